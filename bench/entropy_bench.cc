// The entropy engine: making a packet's word, unfolding it, and testing the packets of a peer link. The item is a
// packet.
//
//   build/release/lvs_bench --benchmark_filter=Entropy
#include <benchmark/benchmark.h>

#include <cstdint>

#include "shard/entropy_engine.h"

namespace lvs::shard {
namespace {

void EntropyPacketMade(benchmark::State& state) {
  std::uint32_t row = 0;
  for (auto _ : state) benchmark::DoNotOptimize(EntropyWord(/*seed=*/1, ++row, /*cycle=*/7));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(EntropyPacketMade);

void EntropyPacketUnfolded(benchmark::State& state) {
  std::uint32_t word = 1;
  for (auto _ : state) {
    word = word * 0x9e3779b9u + 1;
    for (int component = 0; component < state.range(0); ++component) {
      benchmark::DoNotOptimize(EntropyComponent(word, component));
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(EntropyPacketUnfolded)->ArgName("dimensions")->Arg(4)->Arg(12);

void EntropyLinkTested(benchmark::State& state) {
  EntropyLink link;
  std::uint32_t row = 0;
  for (auto _ : state) benchmark::DoNotOptimize(link.Take(EntropyWord(1, ++row, 7)));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(EntropyLinkTested);

}  // namespace
}  // namespace lvs::shard
