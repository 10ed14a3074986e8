// VaultGuard: its final check of corrections as vector code (the item is one coordinate of a replica), the drain
// detector and the catastrophe detector (a cycle of a stream), and the entropy health tests (a sample).
//
//   build/release/lvs_bench --benchmark_filter=VaultGuard
#include <benchmark/benchmark.h>
#include <hwy/aligned_allocator.h>

#include <cstddef>
#include <cstdint>

#include "shard/random.h"
#include "vaultguard/drain_detector.h"
#include "vaultguard/entropy_health.h"
#include "vaultguard/recovery.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/vaultguard_bench.cc"
#include <hwy/foreach_target.h>
// foreach_target.h must come before highway.h.
#include <hwy/highway.h>

#include "vaultguard/guard-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lvs::vaultguard::HWY_NAMESPACE {

// Applies all four rules to `n` coordinates, a multiple of 16, and returns how often a rule intervened.
std::size_t Guard(const float* correction, float* state, std::size_t n) {
  const hn::ScalableTag<float> d;
  std::size_t changed = 0;
  for (std::size_t i = 0; i < n; i += hn::Lanes(d)) {
    const auto finite = RequireFinite(d, hn::Load(d, correction + i));
    const auto limited = LimitShift(d, finite.value, hn::Set(d, 0.5f));
    const auto moved = hn::Add(hn::Load(d, state + i), limited.value);
    const auto above = KeepAboveFloor(d, moved, hn::Set(d, -100.0f));
    const auto banded = KeepInBand(d, above.value, hn::Set(d, 50.0f));
    hn::Store(banded.value, d, state + i);
    changed += hn::CountTrue(d, hn::Or(hn::Or(finite.changed, limited.changed), hn::Or(above.changed, banded.changed)));
  }
  return changed;
}

}  // namespace lvs::vaultguard::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lvs::vaultguard {
namespace {

HWY_EXPORT(Guard);

void VaultGuardCorrections(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto correction = hwy::AllocateAligned<float>(n);
  const auto value = hwy::AllocateAligned<float>(n);
  for (std::size_t i = 0; i < n; ++i) {
    correction[i] = static_cast<float>(shard::Unit(shard::Mix(i + 1)) * 2 - 1);
    value[i] = 0;
  }
  for (auto _ : state) benchmark::DoNotOptimize(HWY_DYNAMIC_DISPATCH(Guard)(correction.get(), value.get(), n));
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(VaultGuardCorrections)->ArgName("coordinates")->Arg(4096)->Arg(65'536);

void VaultGuardDrainDetector(benchmark::State& state) {
  DrainDetector detector;
  std::uint32_t cycle = 0;
  for (auto _ : state) {
    ++cycle;
    benchmark::DoNotOptimize(detector.Observe({.diffs = 800,
                                               .out_of_bound_downward = cycle % 5,
                                               .out_of_bound_upward = cycle % 7,
                                               .downward_pull_uvu = cycle % 5 * 100}));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(VaultGuardDrainDetector);

void VaultGuardCatastropheDetector(benchmark::State& state) {
  CatastrophicDropDetector detector;
  std::int64_t cycle = 0;
  for (auto _ : state) {
    ++cycle;
    benchmark::DoNotOptimize(detector.Observe(2'000'000'000 + cycle % 1000, 2'000'000'000));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(VaultGuardCatastropheDetector);

void VaultGuardEntropyHealth(benchmark::State& state) {
  EntropyHealth health({.min_entropy_bits = 7.0});
  std::uint64_t n = 0;
  for (auto _ : state) benchmark::DoNotOptimize(health.Add(static_cast<std::uint8_t>(shard::Mix(++n))));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(VaultGuardEntropyHealth);

}  // namespace
}  // namespace lvs::vaultguard
#endif
