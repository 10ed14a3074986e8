// Cycles as numbers: they are counted from 2026-01-01T00:00:00Z, so that nodes whose clocks are right agree on them.
//
//   const std::uint64_t cycle = CycleNow(period_us);
//   std::this_thread::sleep_until(CycleStart(cycle + 1, period_us));
//
// Before that date it is always cycle 0. Any thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace lvs::services {

inline constexpr std::chrono::system_clock::time_point kCycleEpoch{std::chrono::seconds{1'767'225'600}};

inline std::uint64_t CycleNow(std::uint64_t period_us) {
  const auto since =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now() - kCycleEpoch);
  return since.count() <= 0 ? 0 : static_cast<std::uint64_t>(since.count()) / period_us;
}

inline std::chrono::system_clock::time_point CycleStart(std::uint64_t cycle, std::uint64_t period_us) {
  return kCycleEpoch + std::chrono::duration_cast<std::chrono::system_clock::duration>(
                           std::chrono::microseconds(static_cast<std::int64_t>(cycle * period_us)));
}

}  // namespace lvs::services
