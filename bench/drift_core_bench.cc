// The drift core on one thread: ns a replica cycle, with every rule on, by replicas a shard and by peers.
//
//   build/release/lvs_bench --benchmark_filter=Drift
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "shard/state_shard.h"

namespace lvs::shard {
namespace {

StateShardConfig ConfigFor(int peers) {
  StateShardConfig config;
  config.shape.peers = peers;
  config.seed = 1;
  return config;
}

void AdvanceCycles(benchmark::State& state, bool plain) {
  const auto replicas = static_cast<std::uint32_t>(state.range(0));
  StateShardConfig config = ConfigFor(static_cast<int>(state.range(1)));
  config.drift.plain = plain;
  StateShard shard(config);
  shard.Start(replicas, 1000 * vaultguard::kMicroPerVu);
  std::uint64_t cycle = 0;
  for (auto _ : state) {
    CycleCounts counts;
    shard.Advance(++cycle, /*loss=*/0.1, &counts);
    benchmark::DoNotOptimize(counts);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(replicas) * state.iterations());
  state.SetLabel(plain ? "scalar, plain equation" : SimdTargetInUse());
}

// Shards take turns, as on a server node: each has left the caches when its turn comes again.
void DriftCycleInTurns(benchmark::State& state) {
  const auto replicas = static_cast<std::uint32_t>(state.range(0));
  const auto count = static_cast<std::size_t>(state.range(1)) / replicas;
  std::vector<std::unique_ptr<StateShard>> shards;
  for (std::size_t n = 0; n < count; ++n) {
    StateShardConfig config = ConfigFor(8);
    config.seed = n;
    shards.push_back(std::make_unique<StateShard>(config));
    shards.back()->Start(replicas, 1000 * vaultguard::kMicroPerVu);
  }
  std::uint64_t cycle = 0;
  for (auto _ : state) {
    CycleCounts counts;
    ++cycle;
    for (const auto& shard : shards) shard->Advance(cycle, /*loss=*/0.1, &counts);
    benchmark::DoNotOptimize(counts);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(replicas * count) * state.iterations());
}
BENCHMARK(DriftCycleInTurns)
    ->ArgNames({"replicas", "of"})
    ->ArgsProduct({{4096, 6256, 16400}, {1'000'000}})
    ->Unit(benchmark::kMillisecond);

void DriftCycle(benchmark::State& state) { AdvanceCycles(state, false); }
BENCHMARK(DriftCycle)
    ->ArgNames({"replicas", "peers"})
    ->ArgsProduct({{256, 1024, 4096, 16400, 100'000}, {8}})
    ->Args({4096, 16});

void DriftCyclePlain(benchmark::State& state) { AdvanceCycles(state, true); }
BENCHMARK(DriftCyclePlain)->ArgNames({"replicas", "peers"})->Args({4096, 8});

}  // namespace
}  // namespace lvs::shard
