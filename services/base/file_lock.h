// A lock that processes of this machine share by the name of a file.
//
//   absl::StatusOr<FileLock> lock = FileLock::Take("runs/testnet/lock");
//   if (absl::IsUnavailable(lock.status())) std::cerr << "another process works here\n";
#pragma once

#include <filesystem>

#include "absl/status/statusor.h"

namespace lvs::services {

// Holds a lock file, across processes. The kernel releases it however the process ends.
class FileLock {
 public:
  // Creates the file where it is missing. UNAVAILABLE where another holder has it.
  static absl::StatusOr<FileLock> Take(const std::filesystem::path& file);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

  // For content that says who holds it.
  int fd() const { return fd_; }

 private:
  explicit FileLock(int fd) : fd_(fd) {}

  int fd_;  // -1: moved from
};

}  // namespace lvs::services
