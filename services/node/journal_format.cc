#include "services/node/journal_format.h"

#include <array>
#include <cstddef>

#include "shard/random.h"

namespace lvs::services {
namespace {

constexpr std::size_t kKeyBytes = 4 + 16;
constexpr std::size_t kShapeBytes = 4 + 4;

constexpr std::array<std::uint32_t, 256> Crc32cTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = c;
  }
  return table;
}

std::uint32_t Crc32c(std::uint32_t crc, std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = Crc32cTable();
  crc = ~crc;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

template <typename Number>
void PutBigEndian(Number number, std::string* out) {
  for (int shift = 8 * (static_cast<int>(sizeof number) - 1); shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(number >> shift & 0xff));
  }
}

template <typename Number>
Number TakeBigEndian(std::string_view* in) {
  Number number = 0;
  for (std::size_t i = 0; i < sizeof number; ++i) {
    number = static_cast<Number>(number << 8 | static_cast<unsigned char>((*in)[i]));
  }
  in->remove_prefix(sizeof number);
  return number;
}

std::string Sealed(std::string_view key, std::string_view body) {
  std::string value(1, static_cast<char>(kCacheFormat));
  PutBigEndian(Crc32c(Crc32c(0, key), body), &value);
  return value.append(body);
}

std::optional<std::string_view> Unsealed(std::string_view key, std::string_view value) {
  if (value.size() < 5 || static_cast<std::uint8_t>(value[0]) != kCacheFormat) return std::nullopt;
  value.remove_prefix(1);
  const auto crc = TakeBigEndian<std::uint32_t>(&value);
  if (crc != Crc32c(Crc32c(0, key), value)) return std::nullopt;
  return value;
}

}  // namespace

std::string EntryKey(const CacheRecord& record) {
  std::string key;
  key.reserve(kKeyBytes);
  PutBigEndian(record.shard, &key);
  PutBigEndian(record.entry.session.high, &key);
  PutBigEndian(record.entry.session.low, &key);
  return key;
}

std::string EntryValue(std::string_view key, const shard::LedgerEntry& entry, std::uint32_t value_slots) {
  std::string body;
  PutBigEndian(entry.opened_cycle, &body);
  for (std::uint32_t s = 0; s < value_slots; ++s) PutBigEndian(static_cast<std::uint64_t>(entry.amount_uvu[s]), &body);
  return Sealed(key, body);
}

std::optional<CacheRecord> ReadEntry(std::string_view key, std::string_view value, const CacheShape& shape) {
  const std::optional<std::string_view> body = Unsealed(key, value);
  if (!body || key.size() != kKeyBytes || body->size() != 8 * (std::size_t{1} + shape.value_slots)) return std::nullopt;
  CacheRecord record;
  record.shard = TakeBigEndian<std::uint32_t>(&key);
  record.entry.session.high = TakeBigEndian<std::uint64_t>(&key);
  record.entry.session.low = TakeBigEndian<std::uint64_t>(&key);
  std::string_view rest = *body;
  record.entry.opened_cycle = TakeBigEndian<std::uint64_t>(&rest);
  for (std::uint32_t s = 0; s < shape.value_slots; ++s) {
    record.entry.amount_uvu[s] = static_cast<std::int64_t>(TakeBigEndian<std::uint64_t>(&rest));
  }
  if (record.shard >= shape.shards) return std::nullopt;
  return record;
}

std::string ShapeValue(const CacheShape& shape) {
  std::string body;
  PutBigEndian(shape.shards, &body);
  PutBigEndian(shape.value_slots, &body);
  return Sealed(kCacheShapeKey, body);
}

std::optional<CacheShape> ReadShape(std::string_view value) {
  std::optional<std::string_view> body = Unsealed(kCacheShapeKey, value);
  if (!body || body->size() != kShapeBytes) return std::nullopt;
  CacheShape shape;
  shape.shards = TakeBigEndian<std::uint32_t>(&*body);
  shape.value_slots = TakeBigEndian<std::uint32_t>(&*body);
  return shape;
}

std::uint64_t HashOfKey(std::string_view key) {
  const auto shard = TakeBigEndian<std::uint32_t>(&key);
  const auto high = TakeBigEndian<std::uint64_t>(&key);
  return shard::Mix(TakeBigEndian<std::uint64_t>(&key) ^ shard::Mix(high ^ shard::Mix(shard)));
}

}  // namespace lvs::services
