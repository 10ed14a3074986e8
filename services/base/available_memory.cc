#include "services/base/available_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "services/base/files.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

// The number at the start of a text; nullopt for "max", which sets no limit, and for a file that is not there.
std::optional<std::uint64_t> LeadingNumber(std::string_view text) {
  std::uint64_t number = 0;
  const std::from_chars_result read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() ? std::optional(number) : std::nullopt;
}

// The number behind `key` in lines of "key number".
std::uint64_t NumberOf(const std::string& text, std::string_view key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    std::uint64_t number = 0;
    if (words >> word >> number && word == key) return number;
  }
  return 0;
}

std::uint64_t Less(std::uint64_t all, std::uint64_t taken) { return all - std::min(all, taken); }

void Take(std::uint64_t bytes, const char* limit, AvailableMemory* least) {
  if (bytes < least->bytes) *least = {bytes, limit};
}

void TakeMachine(const fs::path& root, AvailableMemory* least) {
  const std::uint64_t kib = NumberOf(ReadFileOrEmpty(root / "proc/meminfo"), "MemAvailable:");
  if (kib > 0) Take(kib * 1024, "are free on this machine", least);
}

void TakeLimits(const fs::path& root, AvailableMemory* least) {
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  std::istringstream statm(ReadFileOrEmpty(root / "proc/self/statm"));
  std::uint64_t all = 0, data = 0, skipped = 0;
  statm >> all >> skipped >> skipped >> skipped >> skipped >> data;
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    Take(Less(limit.rlim_cur, all * page), "are left of the address space (ulimit -v)", least);
  }
  if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    Take(Less(limit.rlim_cur, data * page), "are left of the data segment (ulimit -d)", least);
  }
}

// The control groups of this process, from its own up to the root. What files occupy of a group can be taken back.
void TakeContainer(const fs::path& root, AvailableMemory* least) {
  const std::string text = ReadFileOrEmpty(root / "proc/self/cgroup");
  constexpr std::string_view kUnified = "0::/";
  const std::size_t at = text.find(kUnified);
  if (at == std::string::npos || (at > 0 && text[at - 1] != '\n')) return;  // cgroup v1 only
  const std::size_t path = at + kUnified.size();
  const fs::path top = root / "sys/fs/cgroup";
  fs::path group = text.substr(path, text.find('\n', path) - path);
  while (true) {
    const std::optional<std::uint64_t> most = LeadingNumber(ReadFileOrEmpty(top / group / "memory.max"));
    const std::optional<std::uint64_t> taken = LeadingNumber(ReadFileOrEmpty(top / group / "memory.current"));
    if (most && taken) {
      const std::uint64_t files = NumberOf(ReadFileOrEmpty(top / group / "memory.stat"), "inactive_file");
      Take(Less(*most, Less(*taken, files)), "are left of the container's memory limit", least);
    }
    if (group.empty()) return;
    group = group.parent_path();
  }
}

}  // namespace

AvailableMemory FindAvailableMemory(const fs::path& root) {
  AvailableMemory least;
  TakeMachine(root, &least);
  TakeLimits(root, &least);
  TakeContainer(root, &least);
  return least;
}

}  // namespace lvs::services
