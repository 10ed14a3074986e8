// ARCH-7, "no allocation per micro-node in a cycle": a program of its own, because every allocation is counted.
#include <gtest/gtest.h>

#include "shard/state_shard.h"
#include "tests/allocations.h"

namespace lvs::shard {
namespace {

StateShardConfig Config() {
  StateShardConfig config;
  config.seed = 3;
  config.halo_rows = 64;
  config.remote_share = 0.1;
  return config;
}

TEST(Allocation, Arch7ASteadyCycleAllocatesNothing) {
  StateShard shard(Config());
  shard.Start(5000, 1000 * vaultguard::kMicroPerVu);
  for (std::uint32_t n = 0; n < 500; ++n) shard.SetFlag(shard.first_row() + n, kLowPower, true);
  std::uint64_t cycle = 0;
  const auto run = [&](int cycles, bool earning) {
    for (int n = 0; n < cycles; ++n) {
      CycleCounts counts;
      Measure measure;
      ++cycle;
      if (earning) {
        LedgerEntry entry;
        entry.session = {Mix(cycle), 1};
        entry.opened_cycle = cycle;
        entry.amount_uvu[0] = vaultguard::kMicroPerVu;
        ASSERT_TRUE(shard.Contribute(entry, cycle).grew);
      }
      shard.Advance(cycle, /*loss=*/0.1, &counts);
      shard.MeasureHonest(&measure);
      ASSERT_GT(shard.MeanDriftVu()[0] + 1e9, 0);
      ASSERT_GT(counts.step.lost, 0u);
    }
  };
  // Warm-up: news spreads, pulls are lost and tried again, and every buffer reaches its size.
  run(100, true);
  const std::uint64_t while_earning = allocations;
  run(30, true);
  EXPECT_GT(allocations, while_earning) << "the counter counts: new sessions take memory";
  // News still spreads for a while, and then there is none.
  const std::uint64_t before = allocations;
  run(200, false);
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace lvs::shard
