// The bytes of a cache: keys and values of its database, each value with a checksum of its own.
//
//   const std::string key = EntryKey(record);
//   batch.Put(key, EntryValue(key, record.entry, shape.value_slots));
//   ...
//   const std::optional<CacheRecord> read = ReadEntry(key, value, shape);   // nullopt: damaged
//
// An entry's key is its shard, then its session, big endian. A value is the format version (1 byte), the CRC-32C of key
// and body (4 bytes), and the body: opening cycle, then one amount a value slot (8 bytes each). The key "lvs-cache" holds
// the shape: shards and value slots (4 bytes each). All numbers are big endian.
//
// Pure and thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shard/ledger.h"

namespace lvs::services {

// The newest format version that this build reads, and the one that it writes.
inline constexpr std::uint8_t kCacheFormat = 1;
// The key of the shape; shorter than the key of an entry.
inline constexpr std::string_view kCacheShapeKey = "lvs-cache";

struct CacheShape {
  std::uint32_t shards = 0;
  std::uint32_t value_slots = 0;
  bool operator==(const CacheShape&) const = default;
};

struct CacheRecord {
  std::uint32_t shard = 0;
  shard::LedgerEntry entry;
};

std::string EntryKey(const CacheRecord& record);
std::string EntryValue(std::string_view key, const shard::LedgerEntry& entry, std::uint32_t value_slots);
// Nullopt where key or value are damaged, or belong to another shape.
std::optional<CacheRecord> ReadEntry(std::string_view key, std::string_view value, const CacheShape& shape);

std::string ShapeValue(const CacheShape& shape);
std::optional<CacheShape> ReadShape(std::string_view value);

// A hash of an entry's key, for sets of them.
std::uint64_t HashOfKey(std::string_view key);

}  // namespace lvs::services
