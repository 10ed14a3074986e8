// Recovery: opens the database of a cache, and mends it where it is damaged.
//
// <dir>/db is only ever made by renaming <dir>/db.new, which is whole by then. So a crash at any point leaves one of the
// two to take, and a damaged database is in quarantine only once its salvage is on disk.
#pragma once

#include <filesystem>

#include "absl/status/status.h"
#include "services/node/journal.h"
#include "services/node/journal_database.h"
#include "services/node/journal_env.h"
#include "services/node/journal_format.h"

namespace lvs::services {

// Opens <dir>/db into `db`, by way of `files`, and reads it into `restored`, whose `by_shard` has one list a shard. Errors
// are those of Journal::Open; after one, nothing of the cache has changed. The caller holds the folder's lock.
absl::Status RecoverCache(const std::filesystem::path& dir, const CacheShape& shape, CacheEnv* files,
                          Journal::Restored* restored, Database* db);

}  // namespace lvs::services
