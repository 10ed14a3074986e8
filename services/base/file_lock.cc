#include "services/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "services/base/text.h"

namespace lvs::services {
namespace {

absl::Status Failed(const char* what, const std::filesystem::path& file, int error) {
  return absl::Status(absl::ErrnoToStatusCode(error),
                      std::string("cannot ") + what + " " + file.string() + ": " + ErrnoText(error));
}

}  // namespace

absl::StatusOr<FileLock> FileLock::Take(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return Failed("write", file, errno);
  FileLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return absl::UnavailableError(file.string() + " is locked by another process");
  return Failed("lock", file, errno);
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace lvs::services
