// Snapshots of a shard: its measurement, the hash of its state, and the copy of its ledger that a member fetches when
// it enters. The item is a replica; for the copy, an entry.
//
//   build/release/lvs_bench --benchmark_filter=Snapshot
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "shard/state_shard.h"

namespace lvs::shard {
namespace {

struct Fixture {
  explicit Fixture(std::uint32_t replicas) : shard(StateShardConfig{}) {
    shard.Start(replicas, 1000 * vaultguard::kMicroPerVu);
    for (std::uint64_t cycle = 1; cycle <= 16; ++cycle) {
      CycleCounts counts;
      shard.Advance(cycle, 0, &counts);
    }
  }
  StateShard shard;
};

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("replicas")->Arg(1024)->Arg(16'400)->Arg(100'000);
}

void SnapshotMeasure(benchmark::State& state) {
  const Fixture fixture(static_cast<std::uint32_t>(state.range(0)));
  for (auto _ : state) {
    Measure measure;
    fixture.shard.MeasureHonest(&measure);
    benchmark::DoNotOptimize(measure);
  }
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(SnapshotMeasure)->Apply(Sizes);

void SnapshotStateHash(benchmark::State& state) {
  const Fixture fixture(static_cast<std::uint32_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(fixture.shard.StateHash());
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(SnapshotStateHash)->Apply(Sizes);

// Copies a whole ledger in parts of 512 entries, as frames carry it, and joins the parts into an empty ledger.
void SnapshotLedgerCopy(benchmark::State& state) {
  constexpr std::size_t kPart = vaultguard::kMaxFrameEntries / 2;
  Ledger from(2, {});
  for (std::int64_t n = 0; n < state.range(0); ++n) {
    LedgerEntry entry;
    entry.session = {Mix(static_cast<std::uint64_t>(n)), Mix(~static_cast<std::uint64_t>(n))};
    entry.amount_uvu[0] = 1 + n % 1000;
    from.Merge(entry, 1);
  }
  for (auto _ : state) {
    Ledger to(2, {});
    std::vector<LedgerEntry> part;
    for (std::uint64_t at = 0; at < from.version();) {
      part.clear();
      at = from.Changes(at, kPart, &part);
      for (const LedgerEntry& entry : part) to.Merge(entry, 1, /*source=*/0);
    }
    if (to.digest() != from.digest()) return state.SkipWithError("the copy differs");
  }
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(SnapshotLedgerCopy)->ArgName("entries")->Arg(1000)->Arg(100'000);

}  // namespace
}  // namespace lvs::shard
