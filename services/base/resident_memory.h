// Memory of this process that is in RAM.
//
//   std::string text = FormatMegabytes(ResidentBytes());
#pragma once

#include <unistd.h>

#include <cstdint>
#include <fstream>

namespace lvs::services {

// 0 where /proc cannot be read. Any thread.
inline std::uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages = 0;
  statm >> pages >> pages;  // the second number
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace lvs::services
