// What limits the memory of a process, from files as Linux has them.
#include "services/base/available_memory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

class AvailableMemoryTest : public testing::Test {
 protected:
  AvailableMemoryTest() {
    std::string pattern = (fs::temp_directory_path() / "lvs-memory-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    Write("proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\nHugePages_Total: 0\n");
    Write("proc/self/statm", "1000 500 100 10 0 200 0\n");
  }
  ~AvailableMemoryTest() override { fs::remove_all(root_); }

  void Write(const std::string& file, const std::string& text) const {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }

  fs::path root_;
};

TEST_F(AvailableMemoryTest, IsWhatTheMachineHasFree) {
  const AvailableMemory available = FindAvailableMemory(root_);
  EXPECT_EQ(available.bytes, 8'192'000'000u);
  EXPECT_EQ(available.limit, "are free on this machine");
}

TEST_F(AvailableMemoryTest, IsWhatTheNarrowestContainerLeaves) {
  Write("proc/self/cgroup", "1:name=systemd:/x\n0::/outer/inner\n");
  Write("sys/fs/cgroup/outer/inner/memory.max", "max\n");
  Write("sys/fs/cgroup/outer/inner/memory.current", "1000\n");
  Write("sys/fs/cgroup/outer/memory.max", "1000000\n");
  Write("sys/fs/cgroup/outer/memory.current", "700000\n");
  Write("sys/fs/cgroup/outer/memory.stat", "anon 5\ninactive_file 200000\nactive_file 9\n");
  const AvailableMemory available = FindAvailableMemory(root_);
  EXPECT_EQ(available.bytes, 500'000u) << "what files occupy can be taken back";
  EXPECT_EQ(available.limit, "are left of the container's memory limit");
}

TEST_F(AvailableMemoryTest, WithoutAnyReportNothingLimitsIt) {
  EXPECT_EQ(FindAvailableMemory(root_ / "none").bytes, ~std::uint64_t{0});
}

}  // namespace
}  // namespace lvs::services
