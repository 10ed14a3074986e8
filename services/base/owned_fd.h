// A file descriptor that is closed by its owner's end.
//
//   OwnedFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
//   if (!file.valid()) return FileError("read", "/dev/null", errno);
//   ::read(file.get(), bytes, sizeof bytes);
#pragma once

#include <unistd.h>

#include <utility>

namespace lvs::services {

class OwnedFd {
 public:
  explicit OwnedFd(int fd = -1) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~OwnedFd() { Close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  // The caller closes it.
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace lvs::services
