// The shape of a cache, in a file of its own beside the database: <dir>/shape. It tells whether a node can run with the
// cache, without the database: a node may have that open, and opening it changes it.
//
//   if (absl::Status fits = CheckCacheShape("/var/lib/lvs", {16, 4}); !fits.ok()) return fits;
//
// The database itself has the last word: the file is written whenever it was opened, and a cache without the file fits.
#pragma once

#include <filesystem>

#include "absl/status/status.h"
#include "services/node/journal_format.h"

namespace lvs::services {

// FAILED_PRECONDITION: the cache in `dir` is for nodes of another shape.
absl::Status CheckCacheShape(const std::filesystem::path& dir, const CacheShape& wanted);

// Writes the file, unless it says so already. A file that cannot be written is left out: the cache works without it.
void NoteCacheShape(const std::filesystem::path& dir, const CacheShape& shape);

// The error of a cache that holds another shape, with the ways out.
absl::Status OtherCacheShape(const std::filesystem::path& dir, const CacheShape& stored, const CacheShape& wanted);

}  // namespace lvs::services
