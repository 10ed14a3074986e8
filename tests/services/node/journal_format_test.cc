// The bytes of a cache, as builds before this one wrote them: whoever changes them loses every cache that exists.
#include "services/node/journal_format.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "services/node/journal_soundness.h"

namespace lvs::services {
namespace {

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

const std::string kKey = FromHex("0000000301020304050607081112131415161718");
const std::string kValue = FromHex("0198828c0b000000000000002a00000000000003e80fedcba987654321");
const std::string kShapeBytes = FromHex("01bc62250d0000001000000002");
constexpr CacheShape kShape{16, 2};

CacheRecord TheRecord() {
  CacheRecord record;
  record.shard = 3;
  record.entry.session = {0x0102030405060708, 0x1112131415161718};
  record.entry.opened_cycle = 42;
  record.entry.amount_uvu = {1000, 0x0fedcba987654321};
  return record;
}

TEST(JournalFormat, AnEntryHasTheseBytes) {
  EXPECT_EQ(EntryKey(TheRecord()), kKey);
  EXPECT_EQ(EntryValue(kKey, TheRecord().entry, 2), kValue);
}

TEST(JournalFormat, TheseBytesAreThatEntry) {
  const std::optional<CacheRecord> read = ReadEntry(kKey, kValue, kShape);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->shard, 3u);
  EXPECT_EQ(read->entry, TheRecord().entry);
}

TEST(JournalFormat, TheShapeHasTheseBytes) {
  EXPECT_EQ(ShapeValue(kShape), kShapeBytes);
  EXPECT_EQ(ReadShape(kShapeBytes), kShape);
  EXPECT_EQ(ReadShape(""), std::nullopt);
  EXPECT_EQ(ReadShape(kValue), std::nullopt);
}

TEST(JournalFormat, AnyBitThatFlipsIsFound) {
  for (std::size_t bit = 0; bit < 8 * kValue.size(); ++bit) {
    std::string value = kValue;
    value[bit / 8] = static_cast<char>(value[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(ReadEntry(kKey, value, kShape).has_value()) << bit;
  }
  for (std::size_t bit = 0; bit < 8 * kKey.size(); ++bit) {
    std::string key = kKey;
    key[bit / 8] = static_cast<char>(key[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(ReadEntry(key, kValue, kShape).has_value()) << bit;
  }
}

TEST(JournalFormat, AnyLengthButItsOwnIsRefused) {
  for (std::size_t size = 0; size < kValue.size(); ++size) {
    EXPECT_FALSE(ReadEntry(kKey, kValue.substr(0, size), kShape).has_value()) << size;
  }
  EXPECT_FALSE(ReadEntry(kKey, kValue + "x", kShape).has_value());
  EXPECT_FALSE(ReadEntry(kKey.substr(1), kValue, kShape).has_value());
}

TEST(JournalFormat, AnEntryOfAnotherShapeIsRefused) {
  EXPECT_FALSE(ReadEntry(kKey, kValue, {3, 2}).has_value()) << "shard 3 of 3";
  EXPECT_FALSE(ReadEntry(kKey, kValue, {16, 1}).has_value());
  EXPECT_FALSE(ReadEntry(kKey, kValue, {16, 3}).has_value());
}

TEST(JournalFormat, KeysThatDifferHashApart) {
  CacheRecord other = TheRecord();
  other.shard = 4;
  EXPECT_NE(HashOfKey(kKey), HashOfKey(EntryKey(other)));
  other = TheRecord();
  std::swap(other.entry.session.high, other.entry.session.low);
  EXPECT_NE(HashOfKey(kKey), HashOfKey(EntryKey(other)));
}

// ---- Logs ----

// A record of LevelDB's log: checksum (not looked at here), length, type, payload.
std::string LogRecord(std::size_t length, int type) {
  std::string record(4, 'c');
  record.push_back(static_cast<char>(length & 0xff));
  record.push_back(static_cast<char>(length >> 8));
  record.push_back(static_cast<char>(type));
  return record + std::string(length, 'p');
}

TEST(JournalSoundness, ALogIsTornWhereItEndsInARecord) {
  constexpr int kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4;
  EXPECT_FALSE(EndsTorn(""));
  const std::string whole = LogRecord(100, kFull) + LogRecord(0, kFull);
  EXPECT_FALSE(EndsTorn(whole));
  for (std::size_t size = LogRecord(100, kFull).size() + 1; size < whole.size(); ++size) {
    EXPECT_TRUE(EndsTorn(whole.substr(0, size))) << size;
  }
  EXPECT_TRUE(EndsTorn(LogRecord(100, kFirst)));
  EXPECT_TRUE(EndsTorn(LogRecord(100, kFirst) + LogRecord(100, kMiddle)));
  EXPECT_FALSE(EndsTorn(LogRecord(100, kFirst) + LogRecord(100, kMiddle) + LogRecord(5, kLast)));
  EXPECT_TRUE(EndsTorn(LogRecord(100, 0))) << "type 0 is room that was never written";
}

TEST(JournalSoundness, RecordsFillBlocksOf32KiB) {
  constexpr int kFull = 1;
  constexpr std::size_t kBlock = 32'768, kHeader = 7;
  // Fewer than seven bytes are left of the block: they are skipped.
  const std::string nearly = LogRecord(kBlock - kHeader - 3, kFull) + std::string(3, '\0');
  EXPECT_FALSE(EndsTorn(nearly + LogRecord(10, kFull)));
  EXPECT_TRUE(EndsTorn(nearly + LogRecord(10, kFull).substr(0, 9)));
  EXPECT_TRUE(EndsTorn(LogRecord(kBlock - kHeader + 1, kFull))) << "no record crosses a block";
}

}  // namespace
}  // namespace lvs::services
