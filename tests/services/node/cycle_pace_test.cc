#include "services/node/cycle_pace.h"

#include <gtest/gtest.h>

#include "tests/services/node/test_time.h"

namespace lvs::services {
namespace {

using namespace std::chrono_literals;
using Step = CyclePace::Step;

const CyclePace::WallTime kWallNow{5000s};

CyclePace Started(std::uint64_t cycle) {
  CyclePace pace(100ms);
  pace.Start(cycle);
  return pace;
}

TEST(CyclePace, SleepsUntilTheNextCycleBegins) {
  const CyclePace pace = Started(10);
  EXPECT_EQ(pace.WakeAt(kWallNow + 30ms, kWallNow, kNow), kNow + 30ms);
  EXPECT_EQ(pace.WakeAt(kWallNow - 30ms, kWallNow, kNow), kNow) << "a cycle that has begun is not waited for";
}

TEST(CyclePace, AClockThatIsSetBackDoesNotStopTheNode) {
  EXPECT_EQ(Started(10).WakeAt(kWallNow + 1h, kWallNow, kNow), kNow + 200ms);
}

TEST(CyclePace, RunsEachCycleOnce) {
  CyclePace pace = Started(10);
  EXPECT_EQ(pace.Turn(10), Step::kNothing) << "the cycle of the start is not run";
  EXPECT_EQ(pace.Turn(11), Step::kRun);
  EXPECT_EQ(pace.cycle(), 11u);
  pace.ReportIn();
  EXPECT_EQ(pace.Turn(11), Step::kNothing);
  EXPECT_EQ(pace.Turn(9), Step::kNothing) << "a clock that was set back";
  EXPECT_EQ(pace.Turn(12), Step::kRun);
  EXPECT_EQ(pace.skipped(), 0u);
}

TEST(CyclePace, SkipsCyclesWhileTheActorsAreBusy) {
  CyclePace pace = Started(10);
  EXPECT_EQ(pace.Turn(11), Step::kRun);
  EXPECT_EQ(pace.Turn(12), Step::kBusy);
  EXPECT_EQ(pace.Turn(13), Step::kBusy);
  EXPECT_EQ(pace.cycle(), 13u);
  EXPECT_EQ(pace.skipped(), 2u);
  pace.ReportIn();
  EXPECT_EQ(pace.Turn(14), Step::kRun);
  EXPECT_EQ(pace.skipped(), 2u);
}

TEST(CyclePace, SkipsCyclesThatItSleptThrough) {
  CyclePace pace = Started(10);
  EXPECT_EQ(pace.Turn(15), Step::kRun);
  EXPECT_EQ(pace.skipped(), 4u);
  EXPECT_EQ(pace.Turn(18), Step::kBusy);
  EXPECT_EQ(pace.skipped(), 7u);
}

TEST(CyclePace, TheShareIsOfTheLastWholeWindow) {
  constexpr std::uint64_t kWindow = CyclePace::kSkipWindow;
  const std::uint64_t begin = 10 * kWindow;
  CyclePace pace = Started(begin - 1);
  const auto run = [&](std::uint64_t cycle) {
    EXPECT_EQ(pace.Turn(cycle), Step::kRun);
    pace.ReportIn();
  };
  // One cycle in four is skipped, until the window is over.
  for (std::uint64_t n = 0; n < kWindow; ++n) {
    if (n % 4 != 1) run(begin + n);
    EXPECT_EQ(pace.skipped_share(), 0) << "the window is not over";
  }
  run(begin + kWindow);
  EXPECT_DOUBLE_EQ(pace.skipped_share(), 0.25);
  for (std::uint64_t n = 1; n < kWindow; ++n) run(begin + kWindow + n);
  EXPECT_DOUBLE_EQ(pace.skipped_share(), 0.25) << "the window after it is not over";
  run(begin + 2 * kWindow);
  EXPECT_EQ(pace.skipped_share(), 0);
  EXPECT_EQ(pace.skipped(), kWindow / 4) << "the sum since the start stays";
}

TEST(CyclePace, TheShareIsNeverAboveAll) {
  CyclePace pace = Started(0);
  pace.Turn(100 * CyclePace::kSkipWindow);
  EXPECT_EQ(pace.skipped_share(), 1);
}

}  // namespace
}  // namespace lvs::services
