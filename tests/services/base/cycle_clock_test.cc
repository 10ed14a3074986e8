#include "services/base/cycle_clock.h"

#include <gtest/gtest.h>

#include <thread>

namespace lvs::services {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kPeriodUs = 100'000;

TEST(CycleClock, CyclesAreCountedFromTheEpoch) {
  EXPECT_EQ(CycleAt(kCycleEpoch - 24h, kPeriodUs), 0u);
  EXPECT_EQ(CycleAt(kCycleEpoch + 99ms, kPeriodUs), 0u);
  EXPECT_EQ(CycleAt(kCycleEpoch + 100ms, kPeriodUs), 1u);
  EXPECT_EQ(CycleStart(10, kPeriodUs), kCycleEpoch + 1s);
  EXPECT_EQ(CycleAt(CycleStart(123'456, kPeriodUs), kPeriodUs), 123'456u);
}

// A recorder waits for the next cycle: before the epoch it would wait until then.
TEST(CycleClock, NoClockIsFurtherIntoACycleThanAPeriod) {
  EXPECT_EQ(IntoCycle(kCycleEpoch + 1234ms, kPeriodUs), 34ms);
  EXPECT_EQ(IntoCycle(kCycleEpoch, kPeriodUs), 0ms);
  EXPECT_EQ(IntoCycle(kCycleEpoch - 30 * 365 * 24h, kPeriodUs), 0ms);
}

// The processor is taken away between the two clocks: the reading is taken again.
TEST(CycleClock, BothClocksAreReadAtOneMoment) {
  int reads = 0;
  const auto wall = [&] {
    const auto now = std::chrono::system_clock::now();
    if (++reads == 1) std::this_thread::sleep_for(20ms);
    return now;
  };
  const auto before = std::chrono::steady_clock::now();
  const ClockReading clock = ReadClocks(wall);
  EXPECT_GE(reads, 2);
  EXPECT_GE(clock.steady - before, 20ms);
}

}  // namespace
}  // namespace lvs::services
