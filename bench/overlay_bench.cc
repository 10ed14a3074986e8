// The overlay: drawing it, its upkeep each cycle, and a replica that enters. The item is a replica.
//
//   build/release/lvs_bench --benchmark_filter=Overlay
#include <benchmark/benchmark.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "shard/overlay.h"
#include "shard/state_shard.h"

namespace lvs::shard {
namespace {

constexpr std::uint64_t kSeed = 1;

// The state shard owns the columns, which the overlay only reads and writes.
struct Fixture {
  explicit Fixture(std::uint32_t replicas) : shard(Config()) { shard.Start(replicas, 0); }
  static StateShardConfig Config() {
    StateShardConfig config;
    config.seed = kSeed;
    return config;
  }
  StateShard shard;
  Overlay overlay{Shape{}, kSeed};
};

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("replicas")->Arg(1024)->Arg(4096)->Arg(16'400)->Arg(100'000);
}

void OverlayDraw(benchmark::State& state) {
  Fixture fixture(static_cast<std::uint32_t>(state.range(0)));
  std::vector<std::uint32_t> rows(static_cast<std::size_t>(state.range(0)));
  std::iota(rows.begin(), rows.end(), fixture.shard.first_row());
  for (auto _ : state) fixture.overlay.Draw(fixture.shard.columns(), rows, 0, 0, 0);
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(OverlayDraw)->Apply(Sizes);

// The upkeep of one cycle, at the default shuffle of 1 %.
void OverlayMaintain(benchmark::State& state) {
  Fixture fixture(static_cast<std::uint32_t>(state.range(0)));
  std::uint64_t cycle = 0;
  for (; cycle < 8; ++cycle) {  // every row publishes, so no neighbour counts as silent
    CycleCounts counts;
    fixture.shard.Advance(cycle, 0, &counts);
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        fixture.overlay.Maintain(fixture.shard.columns(), Fixture::Config().shuffle, 0, 0, false, cycle));
  }
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(OverlayMaintain)->Apply(Sizes);

void OverlayJoin(benchmark::State& state) {
  Fixture fixture(static_cast<std::uint32_t>(state.range(0)));
  std::uint64_t cycle = 1;
  for (auto _ : state) fixture.overlay.Join(fixture.shard.columns(), fixture.shard.first_row(), 0, 0, ++cycle);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(OverlayJoin)->Apply(Sizes);

}  // namespace
}  // namespace lvs::shard
