// Encoding and decoding of frames, by their number of rows. The item is a state diff (an SDM) with its entropy, or a
// ledger entry.
//
//   build/release/lvs_bench --benchmark_filter=Frame
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shard/frame.h"
#include "shard/frame_codec.h"
#include "shard/halo_link.h"

namespace lvs::shard {
namespace {

constexpr std::uint64_t kCycle = 100'000;

Frame FrameOf(std::uint32_t rows, std::uint32_t entries = 0) {
  Frame frame;
  frame.cycle = kCycle;
  frame.sender = {Mix(1), Mix(2)};
  frame.value_slots = Shape{}.value_slots;
  frame.beacon.replicas = 1000;
  for (std::uint32_t row = 0; row < rows; ++row) {
    frame.halo_row.push_back(row);
    frame.published_cycle.push_back(static_cast<std::uint32_t>(kCycle));
    frame.drift_weight.push_back(255);
    frame.entropy.push_back(row * 0x9e3779b9u);
    frame.diff.insert(frame.diff.end(), {0.1f, 0.2f, 0.3f, 0.4f});
  }
  for (std::uint32_t n = 0; n < entries; ++n) {
    LedgerEntry entry;
    entry.session = {Mix(n), Mix(~std::uint64_t{n})};
    entry.opened_cycle = kCycle - n;
    entry.amount_uvu[0] = 1'000'000 + n;
    frame.entries.push_back(entry);
  }
  return frame;
}

std::string Encoded(const Frame& frame) {
  std::string bytes(EncodedSize(frame), '\0');
  Encode(frame, reinterpret_cast<std::uint8_t*>(bytes.data()));
  return bytes;
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("rows")->Arg(1)->Arg(8)->Arg(32)->Arg(100)->Arg(1000);
}

void FrameEncode(benchmark::State& state) {
  const Frame frame = FrameOf(static_cast<std::uint32_t>(state.range(0)));
  std::string bytes;
  for (auto _ : state) {
    bytes = Encoded(frame);
    benchmark::DoNotOptimize(bytes.data());
  }
  state.SetItemsProcessed(state.range(0) * state.iterations());
  state.counters["bytes"] = static_cast<double>(bytes.size());
}
BENCHMARK(FrameEncode)->Apply(Sizes);

// Decodes a frame into columns and checks it.
void FrameDecode(benchmark::State& state) {
  const auto rows = static_cast<std::uint32_t>(state.range(0));
  const std::string bytes = Encoded(FrameOf(rows));
  Frame frame;
  for (auto _ : state) {
    const bool taken = !Decode(bytes, &frame) && !CheckFrame(frame, Shape{}, 0, rows, kCycle);
    if (!taken) return state.SkipWithError("the frame is refused");
    benchmark::DoNotOptimize(frame.diff.data());
  }
  state.SetItemsProcessed(state.range(0) * state.iterations());
  state.counters["bytes"] = static_cast<double>(bytes.size());
}
BENCHMARK(FrameDecode)->Apply(Sizes);

void FrameEntriesEncode(benchmark::State& state) {
  const Frame frame = FrameOf(0, static_cast<std::uint32_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(Encoded(frame).data());
  state.SetItemsProcessed(state.range(0) * state.iterations());
  state.counters["bytes"] = static_cast<double>(EncodedSize(frame));
}
BENCHMARK(FrameEntriesEncode)->ArgName("entries")->Arg(1)->Arg(100)->Arg(512);

void FrameEncodedSize(benchmark::State& state) {
  const Frame frame = FrameOf(static_cast<std::uint32_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(EncodedSize(frame));
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(FrameEncodedSize)->ArgName("rows")->Arg(32)->Arg(1000);

// A slow link coalesces frames: the frame of this cycle replaces one that still waits.
void FrameCoalesce(benchmark::State& state) {
  const Frame older = FrameOf(static_cast<std::uint32_t>(state.range(0)));
  Frame newer = older;
  ++newer.cycle;
  for (auto _ : state) benchmark::DoNotOptimize(Coalesce(older, newer));
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(FrameCoalesce)->ArgName("rows")->Arg(32)->Arg(1000);

// The rows of a frame enter the halos of shards that together exceed a core's own cache.
void FrameHear(benchmark::State& state) {
  constexpr std::uint32_t kRows = 1000;
  constexpr std::size_t kShards = 64;
  Frame frame = FrameOf(kRows);
  std::vector<std::unique_ptr<StateShard>> shards;
  std::vector<HaloLink> links(kShards);
  for (std::size_t s = 0; s < kShards; ++s) {
    StateShardConfig config;
    config.halo_rows = kRows;
    shards.push_back(std::make_unique<StateShard>(config));
  }
  vaultguard::RefusalCounts refused;
  std::uint64_t cycle = kCycle;
  for (auto _ : state) {
    ++cycle;
    std::fill(frame.published_cycle.begin(), frame.published_cycle.end(), static_cast<std::uint32_t>(cycle));
    for (std::uint32_t row = 0; row < kRows; ++row)
      frame.entropy[row] = static_cast<std::uint32_t>(Mix(cycle << 32 | row));
    for (std::size_t s = 0; s < kShards; ++s) links[s].Hear(frame, 0, cycle, 1.0f, shards[s].get(), &refused);
  }
  if (refused.Total() > 0) state.SkipWithError("refused");
  state.SetItemsProcessed(state.iterations() * kRows * kShards);
}
BENCHMARK(FrameHear);

}  // namespace
}  // namespace lvs::shard
