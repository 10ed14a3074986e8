#include "services/node/cycle_pace.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/services/node/test_time.h"

namespace lvs::services {
namespace {

using namespace std::chrono_literals;
using Step = CyclePace::Step;
using Turned = CyclePace::Turned;

constexpr auto kPeriod = 100ms;
constexpr std::uint64_t kPeriodUs = 100'000;

// Both clocks of a machine. Time goes by on both; the wall clock may be set.
class Clocks {
 public:
  // The wall clock shows the very beginning of this cycle.
  explicit Clocks(std::uint64_t cycle) : now_{kNow, CycleStart(cycle, kPeriodUs)} {}

  void Pass(std::chrono::microseconds time) {
    now_.steady += time;
    now_.wall += time;
  }
  void Set(std::chrono::microseconds by) { now_.wall += by; }
  void Show(std::uint64_t cycle) { now_.wall = CycleStart(cycle, kPeriodUs); }
  ClockReading operator()() const { return now_; }
  std::uint64_t shown() const { return CycleAt(now_.wall, kPeriodUs); }

 private:
  ClockReading now_;
};

// A pace that has started, and turns as a node does: it sleeps until it is woken.
class Node {
 public:
  explicit Node(std::uint64_t cycle) : clocks(cycle) { pace.Start(clocks()); }

  // Sleeps and looks; the actors are done at once.
  Turned Turn() {
    const CyclePace::Time until = pace.WakeAt(clocks());
    if (until > clocks().steady)
      clocks.Pass(std::chrono::duration_cast<std::chrono::microseconds>(until - clocks().steady));
    return Look();
  }
  Turned Look() {
    const Turned turned = pace.Turn(clocks());
    if (turned.step == Step::kRun) pace.ReportIn();
    return turned;
  }
  // The cycles that are run within this time.
  std::vector<std::uint64_t> RunFor(std::chrono::seconds time) {
    std::vector<std::uint64_t> ran;
    const CyclePace::Time end = clocks().steady + time;
    while (clocks().steady < end) {
      const Turned turned = Turn();
      if (turned.step == Step::kRun) ran.push_back(turned.cycle);
    }
    return ran;
  }

  Clocks clocks;
  CyclePace pace{kPeriod};
};

void ExpectEachOnce(const std::vector<std::uint64_t>& ran) {
  for (std::size_t n = 1; n < ran.size(); ++n) ASSERT_EQ(ran[n], ran[n - 1] + 1) << "the " << n << "th that ran";
}

// ---- The pace of a right clock ----

TEST(CyclePace, SleepsUntilTheNextCycleBegins) {
  Clocks clocks(10);
  CyclePace pace(kPeriod);
  pace.Start(clocks());
  clocks.Pass(70ms);
  EXPECT_EQ(pace.WakeAt(clocks()), clocks().steady + 30ms);
  clocks.Pass(60ms);
  EXPECT_EQ(pace.WakeAt(clocks()), clocks().steady) << "a cycle that has begun is not waited for";
}

TEST(CyclePace, RunsEachCycleOnce) {
  Node node(10);
  EXPECT_EQ(node.Look().step, Step::kNothing) << "the cycle of the start is not run";
  EXPECT_EQ(node.RunFor(1s), (std::vector<std::uint64_t>{11, 12, 13, 14, 15, 16, 17, 18, 19, 20}));
  EXPECT_EQ(node.Look().step, Step::kNothing);
  EXPECT_EQ(node.pace.cycle(), node.clocks.shown());
  EXPECT_EQ(node.pace.skipped(), 0u);
  EXPECT_EQ(node.pace.ahead(), 0s);
}

TEST(CyclePace, SkipsCyclesWhileTheActorsAreBusy) {
  Clocks clocks(10);
  CyclePace pace(kPeriod);
  pace.Start(clocks());
  const auto turn = [&] {
    clocks.Pass(kPeriod);
    return pace.Turn(clocks());
  };
  EXPECT_EQ(turn().step, Step::kRun);
  EXPECT_EQ(turn().step, Step::kBusy);
  const Turned turned = turn();
  EXPECT_EQ(turned.step, Step::kBusy);
  EXPECT_EQ(turned.cycle, 13u);
  EXPECT_EQ(pace.skipped(), 2u);
  pace.ReportIn();
  EXPECT_EQ(turn().step, Step::kRun);
  EXPECT_EQ(pace.skipped(), 2u);
}

TEST(CyclePace, SkipsCyclesThatItSleptThrough) {
  Clocks clocks(10);
  CyclePace pace(kPeriod);
  pace.Start(clocks());
  clocks.Pass(5 * kPeriod);
  EXPECT_EQ(pace.Turn(clocks()).step, Step::kRun);
  EXPECT_EQ(pace.skipped(), 4u);
  clocks.Pass(3 * kPeriod);
  EXPECT_EQ(pace.Turn(clocks()).step, Step::kBusy);
  EXPECT_EQ(pace.skipped(), 7u);
}

TEST(CyclePace, TheShareIsOfTheLastWholeWindow) {
  constexpr std::uint64_t kWindow = CyclePace::kSkipWindow;
  const std::uint64_t begin = 10 * kWindow;
  Clocks clocks(begin - 1);
  CyclePace pace(kPeriod);
  pace.Start(clocks());
  std::uint64_t at = begin - 1;
  const auto run = [&](std::uint64_t cycle) {
    clocks.Pass((cycle - at) * kPeriod);
    at = cycle;
    EXPECT_EQ(pace.Turn(clocks()).step, Step::kRun);
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
  Clocks clocks(0);
  CyclePace pace(kPeriod);
  pace.Start(clocks());
  // So many periods at a time are no pause, and the actors are never done.
  for (int n = 0; n < 100; ++n) {
    clocks.Pass(15 * kPeriod);
    pace.Turn(clocks());
  }
  EXPECT_EQ(pace.skipped_share(), 1);
}

TEST(CyclePace, AStoppedProcessLacksNoProcessorTime) {
  Node node(10);
  node.RunFor(120s);
  node.clocks.Pass(60s);
  const Turned turned = node.Look();
  EXPECT_EQ(turned.paused, 60s);
  EXPECT_EQ(turned.set_by, 0s) << "both clocks went on";
  EXPECT_GE(node.pace.skipped(), 599u);
  node.RunFor(120s);
  EXPECT_EQ(node.pace.skipped_share(), 0);
  EXPECT_EQ(node.Look().paused, 0s) << "once";
}

// ---- A clock that is set ----

TEST(CyclePace, AClockThatIsSetBackStopsNoCycle) {
  Node node(10'000);
  node.RunFor(10s);
  node.clocks.Set(-60s);
  const std::vector<std::uint64_t> ran = node.RunFor(60s);
  EXPECT_GE(ran.size(), 299u) << "half the pace";
  EXPECT_LE(ran.size(), 301u);
  ExpectEachOnce(ran);
  EXPECT_EQ(ran.front(), 10'101u);
  EXPECT_NEAR(std::chrono::duration<double>(node.pace.ahead()).count(), 30, 0.2) << "half of the step is caught up";
}

TEST(CyclePace, AfterTwiceTheStepTheNodeIsInStepWithTheClock) {
  Node node(10'000);
  node.RunFor(10s);
  node.clocks.Set(-60s);
  std::vector<std::uint64_t> ran = node.RunFor(121s);
  EXPECT_EQ(node.pace.cycle(), node.clocks.shown());
  EXPECT_EQ(node.pace.ahead(), 0s);
  for (const std::uint64_t cycle : node.RunFor(10s)) ran.push_back(cycle);
  ExpectEachOnce(ran);
  EXPECT_EQ(ran.size(), 1'310u - 600u) << "every cycle of the clock ran, and 60 s of them were run ahead";
  EXPECT_EQ(node.pace.skipped(), 0u);
}

TEST(CyclePace, AClockThatIsSetForwardIsFollowedAtOnce) {
  Node node(10'000);
  node.RunFor(10s);
  node.clocks.Set(1h);
  const Turned turned = node.Turn();
  EXPECT_EQ(turned.step, Step::kRun);
  EXPECT_EQ(turned.cycle, node.clocks.shown());
  EXPECT_EQ(node.pace.cycle(), 10'100u + 36'000u);
  EXPECT_LE(node.pace.skipped(), 1u) << "no cycle was missed for want of processor time";
  ExpectEachOnce(node.RunFor(10s));
  EXPECT_EQ(node.pace.ahead(), 0s);
}

TEST(CyclePace, AStepIsSeenOnceAndCounted) {
  Node node(10'000);
  node.RunFor(1s);
  EXPECT_EQ(node.pace.set_back() + node.pace.set_forward(), 0u);
  node.clocks.Set(-60s);
  EXPECT_EQ(node.Look().set_by, -60s) << "before the next cycle";
  EXPECT_EQ(node.Look().set_by, 0s);
  EXPECT_EQ(node.pace.set_back(), 1u);
  EXPECT_EQ(node.pace.set_by(), -60s);
  EXPECT_EQ(node.pace.set_at(), node.clocks().steady);
  node.RunFor(1s);
  node.clocks.Set(59s);
  EXPECT_EQ(node.Look().set_by, 59s);
  EXPECT_EQ(node.pace.set_back(), 1u);
  EXPECT_EQ(node.pace.set_forward(), 1u);
  EXPECT_EQ(node.pace.set_by(), 59s);
}

// NTP slews a clock by a tenth at most: no step, however long it takes.
TEST(CyclePace, ASlewedClockIsFollowedAndNoStep) {
  for (const int slew_percent : {-10, 10}) {
    Node node(10'000);
    std::vector<std::uint64_t> ran;
    for (int n = 0; n < 600; ++n) {
      const CyclePace::Time before = node.clocks().steady;
      const Turned turned = node.Turn();
      EXPECT_EQ(turned.set_by, 0s);
      if (turned.step == Step::kRun) ran.push_back(turned.cycle);
      node.clocks.Set(std::chrono::duration_cast<std::chrono::microseconds>(node.clocks().steady - before) *
                      slew_percent / 100);
    }
    ExpectEachOnce(ran);
    EXPECT_GE(node.pace.cycle() + 1, node.clocks.shown());
    EXPECT_LE(node.pace.cycle(), node.clocks.shown() + 1);
    EXPECT_EQ(node.pace.set_back() + node.pace.set_forward(), 0u);
  }
}

TEST(CyclePace, AClockBeforeTheEpochStopsNoCycleEither) {
  Node node(0);
  node.clocks.Set(-50 * 365 * 24h);
  node.pace.Start(node.clocks());
  const std::vector<std::uint64_t> ran = node.RunFor(10s);
  EXPECT_EQ(ran.size(), 50u);
  ExpectEachOnce(ran);
  EXPECT_EQ(ran.front(), 1u);
  EXPECT_TRUE(node.pace.before_epoch());
  node.clocks.Show(70'000);
  EXPECT_EQ(node.Turn().cycle, 70'000u) << "the clock was set";
  EXPECT_FALSE(node.pace.before_epoch());
  EXPECT_EQ(node.pace.ahead(), 0s);
}

TEST(CyclePace, ABusyNodeThatIsAheadOfTheClockSkipsToo) {
  Clocks clocks(10'000);
  CyclePace pace(kPeriod);
  pace.Start(clocks());
  clocks.Set(-60s);
  for (int n = 0; n < 10; ++n) {
    clocks.Pass(2 * kPeriod);
    EXPECT_EQ(pace.Turn(clocks()).step, n == 0 ? Step::kRun : Step::kBusy);
  }
  EXPECT_EQ(pace.cycle(), 10'010u);
  EXPECT_EQ(pace.skipped(), 9u);
}

}  // namespace
}  // namespace lvs::services
