// The ledger's join, and a frame's way to the wire and back.
//
//   build/release/lvs_bench --benchmark_filter='Ledger|Frame'
#include <benchmark/benchmark.h>

#include "shard/frame.h"
#include "shard/ledger.h"

namespace lvs::shard {
namespace {

LedgerEntry EntryOf(std::uint64_t n) {
  LedgerEntry entry;
  entry.session = {Mix(n), Mix(~n)};
  entry.amount_uvu[0] = static_cast<std::int64_t>(n % 1000) + 1;
  return entry;
}

void LedgerJoinNew(benchmark::State& state) {
  for (auto _ : state) {
    Ledger ledger(2, {});
    for (std::int64_t n = 0; n < state.range(0); ++n)
      benchmark::DoNotOptimize(ledger.Merge(EntryOf(static_cast<std::uint64_t>(n)), 1));
  }
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(LedgerJoinNew)->Arg(1000)->Arg(100'000);

void LedgerJoinKnown(benchmark::State& state) {
  Ledger ledger(2, {});
  for (std::int64_t n = 0; n < state.range(0); ++n) ledger.Merge(EntryOf(static_cast<std::uint64_t>(n)), 1);
  std::uint64_t n = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(ledger.Merge(EntryOf(n++ % static_cast<std::uint64_t>(state.range(0))), 1));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(LedgerJoinKnown)->Arg(1000)->Arg(100'000);

Frame FrameOf(std::uint32_t rows) {
  Frame frame;
  frame.value_slots = 2;
  for (std::uint32_t row = 0; row < rows; ++row) {
    frame.halo_row.push_back(row);
    frame.published_cycle.push_back(1000 + row);
    frame.drift_weight.push_back(255);
    frame.entropy.push_back(row * 0x9e3779b9u);
    frame.diff.insert(frame.diff.end(), {0.1f, 0.2f, 0.3f, 0.4f});
  }
  return frame;
}

void FrameEncode(benchmark::State& state) {
  const Frame frame = FrameOf(static_cast<std::uint32_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(ToProto(frame).SerializeAsString());
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(FrameEncode)->Arg(16)->Arg(1000);

void FrameDecode(benchmark::State& state) {
  const std::string bytes = ToProto(FrameOf(static_cast<std::uint32_t>(state.range(0)))).SerializeAsString();
  for (auto _ : state) {
    v1::Frame proto;
    proto.ParseFromString(bytes);
    benchmark::DoNotOptimize(FromProto(proto));
  }
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(FrameDecode)->Arg(16)->Arg(1000);

}  // namespace
}  // namespace lvs::shard
