#include "shard/huge_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

namespace lvs::shard {
namespace {

// KiB of the mapping that holds this address which lie in huge pages.
std::size_t HugeKib(const void* address) {
  std::ifstream smaps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long first = 0, last = 0;
    std::size_t kib = 0;
    const auto at = reinterpret_cast<unsigned long>(address);
    if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &last) == 2) inside = first <= at && at < last;
    if (inside && std::sscanf(line.c_str(), "AnonHugePages: %zu kB", &kib) == 1) return kib;
  }
  return 0;
}

// Always, and this test could not tell who asked for them; never, and nobody can.
bool GivenWhenAsked() {
  std::string enabled;
  std::getline(std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled"), enabled);
  return enabled.find("[madvise]") != std::string::npos;
}

TEST(HugePages, Arch7BlocksOfAnySizeCanBeFilled) {
  for (const std::size_t bytes : {1ul, 4096ul, (4ul << 20) - 1, 4ul << 20, (9ul << 20) + 17}) {
    const auto block = AllocateInHugePages(bytes);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.get()) % HWY_ALIGNMENT, 0u) << bytes;
    std::fill_n(block.get(), bytes, std::uint8_t{1});
  }
}

TEST(HugePages, Arch7OnlyLargeBlocksLieInThemAndOnlyWhereTheyFillThem) {
  if (!GivenWhenAsked()) GTEST_SKIP() << "this system gives huge pages to all or to nobody";
  constexpr std::size_t kBytes = (9ul << 20) + 17;
  const auto large = AllocateInHugePages(kBytes);
  std::fill_n(large.get(), kBytes, std::uint8_t{1});
  const auto small = AllocateInHugePages(1 << 20);
  std::fill_n(small.get(), 1 << 20, std::uint8_t{1});
  EXPECT_GT(HugeKib(large.get()), 0u);
  EXPECT_LE(HugeKib(large.get()), kBytes >> 10);
  EXPECT_EQ(HugeKib(small.get()), 0u);
}

}  // namespace
}  // namespace lvs::shard
