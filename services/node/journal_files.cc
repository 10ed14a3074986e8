#include "services/node/journal_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "services/base/text.h"

namespace lvs::services {

namespace fs = std::filesystem;

absl::Status CacheFileError(const std::string& what, int reason) {
  const std::string text = what + ": " + ErrnoText(reason);
  switch (reason) {
    case EACCES:
    case EPERM: return absl::PermissionDeniedError(text + "; chown the folder, or name another one (cache_dir)");
    case EROFS:
      return absl::UnavailableError(text +
                                    "; look at the disk's health and mount it writable, or name a folder on "
                                    "another disk (cache_dir)");
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return absl::ResourceExhaustedError(text + "; make room, or name a folder on another disk (cache_dir)");
    case EMFILE:
    case ENFILE: return absl::ResourceExhaustedError(text + "; raise the limit of open files (ulimit -n)");
    case ENOTDIR:
    case EEXIST: return absl::FailedPreconditionError(text + "; name a folder (cache_dir)");
    default: return absl::UnavailableError(text);
  }
}

absl::Status MakeCacheFolder(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> made;  // the lowest first
  const fs::path whole = fs::absolute(folder, error).lexically_normal();
  if (error) return CacheFileError(folder.string(), error.value());
  for (fs::path at = whole; !fs::exists(at, error) && at != at.root_path(); at = at.parent_path()) {
    made.push_back(at);
  }
  fs::create_directories(folder, error);
  if (error) return CacheFileError(folder.string(), error.value());
  for (const fs::path& one : made) {
    // A folder that may be written but not read cannot be synced, and is left to the file system.
    absl::Status synced = SyncCacheFolder(one.parent_path());
    if (!synced.ok() && !absl::IsPermissionDenied(synced)) return synced;
  }
  return absl::OkStatus();
}

absl::Status SyncCacheFolder(const fs::path& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return CacheFileError(folder.string(), errno);
  const int failed = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return failed == 0 ? absl::OkStatus() : CacheFileError(folder.string(), failed);
}

absl::Status RenameDurably(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  return error ? CacheFileError(from.string() + " to " + to.string(), error.value())
               : SyncCacheFolder(to.parent_path());
}

absl::StatusOr<FolderLock> FolderLock::Take(const fs::path& dir) {
  const fs::path file = dir / "lock";
  FolderLock lock;
  lock.file_ = file;
  lock.fd_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock.fd_ < 0) return CacheFileError(file.string(), errno);
  if (flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return CacheFileError(file.string(), errno);
    std::array<char, 32> pid{};
    const ssize_t length = pread(lock.fd_, pid.data(), pid.size() - 1, 0);
    return absl::FailedPreconditionError(
        dir.string() + " is in use by another node" +
        (length > 0 ? " (process " + std::string(pid.data(), static_cast<std::size_t>(length)) + ")" : "") +
        "; give each node a cache_dir of its own, or stop that process");
  }
  const std::string pid = std::to_string(getpid());
  // The process id is for people, so writing it may fail: a full disk must not keep the node from reading its cache.
  if (ftruncate(lock.fd_, 0) == 0) static_cast<void>(!pwrite(lock.fd_, pid.data(), pid.size(), 0));
  return lock;
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), file_(std::move(other.file_)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(file_, other.file_);
  return *this;
}

bool FolderLock::Stands() const {
  struct stat held {};
  struct stat named {};
  if (fd_ < 0 || fstat(fd_, &held) != 0) return false;
  if (stat(file_.c_str(), &named) != 0) return errno != ENOENT && errno != ENOTDIR;
  return held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

void FolderLock::Release() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

}  // namespace lvs::services
