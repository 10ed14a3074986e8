#include "services/base/huge_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

#include "shard/blocks.h"

namespace lvs::services {
namespace {

// Whether huge pages are asked for where this address is.
bool Asked(const void* address) {
  std::ifstream smaps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long first = 0, last = 0;
    const auto at = reinterpret_cast<unsigned long>(address);
    if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &last) == 2) inside = first <= at && at < last;
    if (inside && line.starts_with("VmFlags:")) return line.find(" hg") != std::string::npos;
  }
  return false;
}

// Blocks come by the way that a shard's come.
class HugePages : public testing::Test {
 protected:
  void SetUp() override { shard::UseBlockAllocator({AllocateInHugePages, FreeHugePages}); }
  void TearDown() override { shard::UseBlockAllocator({}); }
};

TEST_F(HugePages, Arch7BlocksOfAnySizeCanBeFilled) {
  for (const std::size_t bytes : {1ul, 4096ul, (4ul << 20) - 1, 4ul << 20, (9ul << 20) + 17}) {
    const auto block = shard::AllocateBlock(bytes);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.get()) % HWY_ALIGNMENT, 0u) << bytes;
    std::fill_n(block.get(), bytes, std::uint8_t{1});
  }
}

TEST_F(HugePages, Arch7LargeBlocksLieInThemAsFarAsTheyFillThem) {
  constexpr std::size_t kMiB = 1 << 20;
  const auto large = shard::AllocateBlock(9 * kMiB + 17);
  if (!Asked(large.get())) GTEST_SKIP() << "this system has no huge pages";
  EXPECT_TRUE(Asked(large.get() + 8 * kMiB - 4096));
  EXPECT_FALSE(Asked(large.get() + 9 * kMiB)) << "the last page would not be full";
  EXPECT_FALSE(Asked(shard::AllocateBlock(kMiB).get()));
}

}  // namespace
}  // namespace lvs::services
