// Files and folders of a cache: errors in an operator's words, durable folders and renames, the lock of the folder.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lvs::services {

// The error of a failed system call, by what an operator can do about it; `reason` is its errno.
absl::Status CacheFileError(const std::string& what, int reason);

// Makes a folder, and those above it that are missing, durably.
absl::Status MakeCacheFolder(const std::filesystem::path& folder);
// Makes the names in a folder durable.
absl::Status SyncCacheFolder(const std::filesystem::path& folder);
// Renames durably.
absl::Status RenameDurably(const std::filesystem::path& from, const std::filesystem::path& to);

// The lock of a cache's folder, <dir>/lock. The kernel releases it however the process ends.
class FolderLock {
 public:
  // FAILED_PRECONDITION where another process has it; the message names that process.
  static absl::StatusOr<FolderLock> Take(const std::filesystem::path& dir);

  FolderLock() = default;
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock() { Release(); }

  // The lock file was not deleted or replaced. Where it was, another process can take the folder.
  bool Stands() const;
  const std::filesystem::path& file() const { return file_; }

  void Release();

 private:
  int fd_ = -1;
  std::filesystem::path file_;
};

}  // namespace lvs::services
