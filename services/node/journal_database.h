// The database of a cache, in LevelDB: opened with care, read whole, written whole.
#pragma once

#include <leveldb/db.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/node/journal_env.h"
#include "services/node/journal_format.h"

namespace lvs::services {

using Database = std::unique_ptr<leveldb::DB>;

// Every block that is read is checked.
leveldb::Options StrictOptions();
leveldb::Status OpenDatabase(const std::filesystem::path& db, const leveldb::Options& options, Database* out);

// Opens a database that exists; Corruption where a check of journal_soundness.h fails.
//
// A crash or a full disk can leave half a table that nothing refers to, which is no damage. So unsound tables are hidden
// under a name that LevelDB does not know, and LevelDB says whether it misses them.
//
// LevelDB works through `files`, which are of `db` and outlive `out`.
leveldb::Status OpenSound(const std::filesystem::path& db, CacheEnv* files, Database* out);

// The error of the machine (rights, a full or failing disk, too many open files) behind a status; nullopt where there is
// none. Such an error is not damage: moving files aside would mend nothing.
std::optional<absl::Status> MachineFault(const std::filesystem::path& db, const leveldb::Status& status);

struct CacheContents {
  std::optional<CacheShape> shape;    // as the database itself says; nullopt: missing or damaged
  std::optional<std::uint8_t> newer;  // its format version, where that is newer than kCacheFormat
  std::vector<CacheRecord> records;   // by shard and session
  std::uint64_t damaged = 0;          // values with a wrong checksum, or of another shape
};

// Adds all that can be read to `out`; entries are read as of `shape`.
leveldb::Status ReadAll(leveldb::DB& db, const CacheShape& shape, CacheContents* out);

// Makes a whole, durable database in `at`, or none.
absl::Status WriteDatabase(const std::filesystem::path& at, const CacheShape& shape,
                           const std::vector<CacheRecord>& records);

inline leveldb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace lvs::services
