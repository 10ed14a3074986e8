// One drift cycle of a state shard on one thread, by size and shape, and with each rule on and off. The item is a
// replica cycle. Each shard runs before the measurement, so that the measured shard has converged.
//
//   build/release/lvs_bench --benchmark_filter=Drift
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/base/huge_pages.h"
#include "shard/simd_target.h"
#include "shard/state_shard.h"

namespace lvs::shard {
namespace {

// Shards are allocated in huge pages, as in `lvs`.
const bool kHugePages = [] {
  UseBlockAllocator({services::AllocateInHugePages, services::FreeHugePages});
  return true;
}();

constexpr std::uint64_t kWarmUpCycles = 64;
constexpr std::int64_t kOpeningUvu = 1000 * vaultguard::kMicroPerVu;

StateShardConfig ConfigOf(const Shape& shape) {
  StateShardConfig config;
  config.shape = shape;
  config.seed = 1;
  return config;
}

// Measures cycles of a shard; the time of `before_cycle` is included.
void Advance(benchmark::State& state, const StateShardConfig& config, std::uint32_t replicas, double loss,
             const std::function<void(StateShard*)>& once_started = {},
             const std::function<void(StateShard*, std::uint64_t)>& before_cycle = {}) {
  StateShard shard(config);
  shard.Start(replicas, kOpeningUvu);
  if (once_started) once_started(&shard);
  std::uint64_t cycle = 0;
  const auto run = [&] {
    CycleCounts counts;
    ++cycle;
    if (before_cycle) before_cycle(&shard, cycle);
    shard.Advance(cycle, loss, &counts);
    benchmark::DoNotOptimize(counts);
  };
  while (cycle < kWarmUpCycles) run();
  for (auto _ : state) run();
  state.SetItemsProcessed(static_cast<std::int64_t>(replicas) * state.iterations());
  state.SetLabel(config.drift.plain ? "scalar" : SimdTargetInUse());
}

constexpr double kLoss = 0.1;

void DriftByReplicas(benchmark::State& state) {
  Advance(state, ConfigOf({}), static_cast<std::uint32_t>(state.range(0)), kLoss);
}
BENCHMARK(DriftByReplicas)->ArgName("replicas")->Arg(256)->Arg(1024)->Arg(4096)->Arg(16'400)->Arg(100'000);

void DriftByPeers(benchmark::State& state) {
  Advance(state, ConfigOf({.peers = static_cast<int>(state.range(0))}), 4096, kLoss);
}
BENCHMARK(DriftByPeers)->ArgName("peers")->Arg(2)->Arg(4)->Arg(8)->Arg(12)->Arg(16);

// Shards take turns, as on a server node, so each has left the caches by its next turn.
void DriftInTurns(benchmark::State& state) {
  const auto replicas = static_cast<std::uint32_t>(state.range(0));
  const std::size_t count = 1'000'000 / replicas;
  std::vector<std::unique_ptr<StateShard>> shards;
  for (std::size_t n = 0; n < count; ++n) {
    StateShardConfig config = ConfigOf({});
    config.seed = n;
    shards.push_back(std::make_unique<StateShard>(config));
    shards.back()->Start(replicas, kOpeningUvu);
  }
  std::uint64_t cycle = 0;
  const auto run = [&] {
    CycleCounts counts;
    ++cycle;
    for (const auto& shard : shards) shard->Advance(cycle, kLoss, &counts);
    benchmark::DoNotOptimize(counts);
  };
  while (cycle < kWarmUpCycles) run();
  for (auto _ : state) run();
  state.SetItemsProcessed(static_cast<std::int64_t>(replicas * count) * state.iterations());
  state.SetLabel(SimdTargetInUse());
}
BENCHMARK(DriftInTurns)->ArgName("replicas")->Arg(4096)->Arg(6256)->Arg(16'400)->Unit(benchmark::kMillisecond);

// Dimensions are half value slots and half free coordinates, with at most four of the latter.
void DriftByDimensions(benchmark::State& state) {
  const int dimensions = static_cast<int>(state.range(0));
  const int free_coordinates = std::min(dimensions / 2, vaultguard::kMaxFreeCoordinates);
  Advance(state, ConfigOf({.value_slots = dimensions - free_coordinates, .free_coordinates = free_coordinates}), 4096,
          kLoss);
}
BENCHMARK(DriftByDimensions)->ArgName("dimensions")->Arg(2)->Arg(4)->Arg(8)->Arg(12);

// ---- Rules, one off at a time ----

void DriftRule(benchmark::State& state, const std::function<void(StateShardConfig*)>& change, double loss,
               const std::function<void(StateShard*)>& once_started,
               const std::function<void(StateShard*, std::uint64_t)>& before_cycle) {
  StateShardConfig config = ConfigOf({});
  if (change) change(&config);
  Advance(state, config, 4096, loss, once_started, before_cycle);
}

void AllLowPower(StateShard* shard) {
  for (std::size_t row = shard->first_row(); row < shard->columns().end; ++row) {
    if ((shard->columns().flags[row] & kAlive) != 0) shard->SetFlag(static_cast<std::uint32_t>(row), kLowPower, true);
  }
}

// A session earns in each cycle, so every cycle has news that spreads from replica to replica.
void NewsEachCycle(StateShard* shard, std::uint64_t cycle) {
  LedgerEntry entry;
  entry.session = {Mix(cycle), Mix(~cycle)};
  entry.opened_cycle = cycle;
  entry.amount_uvu[0] = vaultguard::kMicroPerVu;
  benchmark::DoNotOptimize(shard->Contribute(entry, cycle));
}

BENCHMARK_CAPTURE(DriftRule, all_rules, nullptr, kLoss, nullptr, nullptr);
BENCHMARK_CAPTURE(DriftRule, no_message_is_lost, nullptr, 0.0, nullptr, nullptr);
BENCHMARK_CAPTURE(
    DriftRule, no_entropy, [](StateShardConfig* c) { c->drift.alpha = 0; }, kLoss, nullptr, nullptr);
BENCHMARK_CAPTURE(
    DriftRule, no_ledger_voice, [](StateShardConfig* c) { c->drift.ledger_weight = 0; }, kLoss, nullptr, nullptr);
BENCHMARK_CAPTURE(
    DriftRule, no_shuffle, [](StateShardConfig* c) { c->shuffle = 0; }, kLoss, nullptr, nullptr);
BENCHMARK_CAPTURE(
    DriftRule, published_each_cycle, [](StateShardConfig* c) { c->drift.publish_factor = 0; }, kLoss, nullptr, nullptr);
BENCHMARK_CAPTURE(DriftRule, ledger_news_each_cycle, nullptr, kLoss, nullptr, NewsEachCycle);
BENCHMARK_CAPTURE(DriftRule, all_in_low_power, nullptr, kLoss, AllLowPower, nullptr);
BENCHMARK_CAPTURE(
    DriftRule, plain_equation, [](StateShardConfig* c) { c->drift.plain = true; }, kLoss, nullptr, nullptr);

// ---- SIMD targets that this processor has ----

void DriftBySimdTarget(benchmark::State& state, const std::string& target) {
  if (!SelectSimdTarget(target)) return state.SkipWithError("the target is not there");
  Advance(state, ConfigOf({}), 4096, kLoss);
  if (!SelectSimdTarget("auto")) state.SkipWithError("the best target is not there any more");
}
const bool kTargetsRegistered = [] {
  for (const std::string& target : SimdTargets()) {
    benchmark::RegisterBenchmark(("DriftBySimdTarget/" + target).c_str(), DriftBySimdTarget, target);
  }
  return true;
}();

}  // namespace
}  // namespace lvs::shard
