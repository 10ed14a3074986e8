// Cycles as numbers: they are counted from 2026-01-01T00:00:00Z, so that nodes whose clocks are right agree on them.
//
//   const ClockReading clock = ReadClocks();                              // both clocks at one moment
//   const std::uint64_t cycle = CycleAt(clock.wall, period_us);
//   std::this_thread::sleep_until(CycleStart(cycle + 1, period_us));
//
// Before that date it is always cycle 0. A wall clock may be set to any time at any moment: whatever must go on waits by
// the steady clock (services/node/cycle_pace.h). Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace lvs::services {

// What this machine takes for the time of day. Tests pass one of their own, to set it as they like.
using WallClock = std::function<std::chrono::system_clock::time_point()>;

struct ClockReading {
  std::chrono::steady_clock::time_point steady;
  std::chrono::system_clock::time_point wall;
};

inline constexpr std::chrono::system_clock::time_point kCycleEpoch{std::chrono::seconds{1'767'225'600}};

// A thread that loses the processor between the two clocks would see one of them jump, so it reads them again.
inline ClockReading ReadClocks(const WallClock& wall = std::chrono::system_clock::now) {
  constexpr int kTries = 4;
  constexpr std::chrono::milliseconds kAtOnce{1};
  ClockReading reading;
  for (int n = 0; n < kTries; ++n) {
    const auto before = std::chrono::steady_clock::now();
    reading.wall = wall();
    reading.steady = std::chrono::steady_clock::now();
    if (reading.steady - before <= kAtOnce) break;
  }
  return reading;
}

inline std::uint64_t CycleAt(std::chrono::system_clock::time_point wall, std::uint64_t period_us) {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(wall - kCycleEpoch);
  return since.count() <= 0 ? 0 : static_cast<std::uint64_t>(since.count()) / period_us;
}

inline std::uint64_t CycleNow(std::uint64_t period_us) { return CycleAt(std::chrono::system_clock::now(), period_us); }

// Time since the beginning of the cycle that the clock shows; 0 before the first one.
inline std::chrono::microseconds IntoCycle(std::chrono::system_clock::time_point wall, std::uint64_t period_us) {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(wall - kCycleEpoch);
  return since.count() <= 0 ? std::chrono::microseconds(0)
                            : since % std::chrono::microseconds(static_cast<std::int64_t>(period_us));
}

inline std::chrono::system_clock::time_point CycleStart(std::uint64_t cycle, std::uint64_t period_us) {
  return kCycleEpoch + std::chrono::duration_cast<std::chrono::system_clock::duration>(
                           std::chrono::microseconds(static_cast<std::int64_t>(cycle * period_us)));
}

}  // namespace lvs::services
