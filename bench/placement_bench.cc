// Placement by rendezvous hashing. The item is a placed micro-node, or a repaired shard.
//
//   build/release/lvs_bench --benchmark_filter=Placement
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "shard/placement.h"

namespace lvs::shard {
namespace {

void PlacementOfMicroNode(benchmark::State& state) {
  std::vector<std::uint32_t> held;
  std::uint64_t session = 0;
  for (auto _ : state) {
    held.clear();
    PlaceMicroNode(Mix(++session), static_cast<std::uint32_t>(state.range(0)), 4, &held);
    benchmark::DoNotOptimize(held.data());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(PlacementOfMicroNode)->ArgName("shards")->Arg(16)->Arg(64)->Arg(256)->Arg(1024);

void PlacementOfRepairer(benchmark::State& state) {
  std::vector<std::uint64_t> candidates;
  for (std::int64_t n = 0; n < state.range(0); ++n) candidates.push_back(Mix(static_cast<std::uint64_t>(n) + 1));
  std::uint32_t shard = 0;
  for (auto _ : state) benchmark::DoNotOptimize(ChooseRepairers(++shard, candidates, 1).front());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(PlacementOfRepairer)->ArgName("candidates")->Arg(100)->Arg(10'000);

}  // namespace
}  // namespace lvs::shard
