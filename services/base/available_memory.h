// How much memory this process may still take, and what limits it.
//
//   const AvailableMemory available = FindAvailableMemory();
//   bool fits = (std::uint64_t{1} << 30) <= available.bytes;
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace lvs::services {

struct AvailableMemory {
  std::uint64_t bytes = ~std::uint64_t{0};  // all ones where nothing limits it
  std::string limit;                        // completes "N MB": "are free on this machine"
};

// The least that the machine, the limits of the process (ulimit -v, -d) and the container (cgroup v2) leave. `root` is
// where /proc and /sys are found: another one is for tests.
AvailableMemory FindAvailableMemory(const std::filesystem::path& root = "/");

}  // namespace lvs::services
