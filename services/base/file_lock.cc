#include "services/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <utility>

#include "services/base/files.h"

namespace lvs::services {

absl::StatusOr<FileLock> FileLock::Take(const std::filesystem::path& file) {
  OwnedFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.valid()) return FileError("write", file, errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return FileLock(std::move(fd));
  if (errno == EWOULDBLOCK) return absl::UnavailableError(file.string() + " is locked by another process");
  return FileError("lock", file, errno);
}

}  // namespace lvs::services
