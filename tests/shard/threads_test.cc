// Distinct shards share nothing: any thread may advance any of them. A program of its own, for the thread sanitizer: all
// other tests of this folder run on one thread.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

#include "shard/state_shard.h"
#include "tests/shard/generator.h"

namespace lvs::shard {
namespace {

// A life of 40 cycles with liars, losses, contributions and a newcomer; returns the state's hash at its end.
std::uint64_t HashOfALife(std::uint64_t seed) {
  StateShardConfig config;
  config.shard = 3;
  config.seed = seed;
  StateShard shard(config);
  shard.Start(300, 1000 * vaultguard::kMicroPerVu);
  const std::uint32_t first = shard.first_row();
  for (std::uint32_t row = first; row < first + 30; ++row) shard.SetFlag(row, kAdversary, true);
  for (std::uint64_t cycle = 1; cycle <= 40; ++cycle) {
    for (std::uint32_t row = first; row < first + 30; ++row) {
      Generator g(row * 1000ull + cycle);
      float say[vaultguard::kMaxDimensions];
      std::generate_n(say, config.shape.dimensions(), [&g] { return g.Around(1000); });
      shard.OverwriteSaid(row, say, Meta(cycle - 1, 255), /*entropy_word=*/0);
    }
    LedgerEntry entry;
    entry.session = {Mix(cycle + 77), Mix(cycle)};
    entry.opened_cycle = cycle;
    entry.amount_uvu[0] = 1000;
    shard.Contribute(entry, cycle);
    if (cycle == 20) shard.Join(first + 400, cycle);
    CycleCounts counts;
    shard.Advance(cycle, /*loss=*/0.1, &counts);
  }
  return shard.StateHash();
}

TEST(ShardThreads, DistinctShardsAdvanceInParallel) {
  constexpr std::uint64_t kShards = 4;
  std::vector<std::uint64_t> parallel(kShards), serial(kShards);
  std::vector<std::thread> threads;
  for (std::uint64_t n = 0; n < kShards; ++n) threads.emplace_back([&, n] { parallel[n] = HashOfALife(n); });
  for (std::thread& thread : threads) thread.join();
  for (std::uint64_t n = 0; n < kShards; ++n) serial[n] = HashOfALife(n);
  EXPECT_EQ(parallel, serial);
}

}  // namespace
}  // namespace lvs::shard
