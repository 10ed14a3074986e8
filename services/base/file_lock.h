// A lock that processes of this machine share by the name of a file.
//
//   absl::StatusOr<FileLock> lock = FileLock::Take("runs/testnet/lock");
//   if (absl::IsUnavailable(lock.status())) std::cerr << "another process works here\n";
#pragma once

#include <filesystem>
#include <utility>

#include "absl/status/statusor.h"
#include "services/base/owned_fd.h"

namespace lvs::services {

// Holds a lock file, across processes. The kernel releases it however the process ends.
class FileLock {
 public:
  // Creates the file where it is missing. UNAVAILABLE where another holder has it.
  static absl::StatusOr<FileLock> Take(const std::filesystem::path& file);

  // For content that says who holds it.
  int fd() const { return fd_.get(); }

 private:
  explicit FileLock(OwnedFd fd) : fd_(std::move(fd)) {}

  OwnedFd fd_;
};

}  // namespace lvs::services
