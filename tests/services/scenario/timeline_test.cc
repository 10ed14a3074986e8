#include "services/scenario/timeline.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

namespace lvs::services {
namespace {

using hosting::NodeTick;

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::uint32_t kCount = 100;  // cycles of 100 ms: ten seconds

class TimelineTest : public ::testing::Test {
 protected:
  TimelineTest() {
    scenario_.mutable_cycle()->set_period_us(100'000);
    scenario_.mutable_cycle()->set_count(kCount);
  }

  v1::Event* AddEvent(double at_s, double for_s) {
    v1::Event* event = scenario_.add_events();
    event->set_at_us(static_cast<std::int64_t>(at_s * kSecond));
    event->set_for_us(static_cast<std::int64_t>(for_s * kSecond));
    return event;
  }

  Timeline Make() const { return Timeline(scenario_, regions_, population_); }
  std::vector<NodeTick> Ask(std::uint64_t cycle) const {
    std::vector<NodeTick> ticks(regions_.size());
    Make().Ask(cycle, &ticks);
    return ticks;
  }
  // Sum over all cycles and server nodes.
  template <class F>
  std::uint64_t Sum(F of) const {
    std::uint64_t sum = 0;
    for (std::uint64_t cycle = 1; cycle <= kCount; ++cycle) {
      for (const NodeTick& tick : Ask(cycle)) sum += of(tick);
    }
    return sum;
  }

  v1::Scenario scenario_;
  std::vector<std::string> regions_ = {"asia", "eu", "us"};
  std::vector<std::uint32_t> population_ = {25, 40, 35};
};

TEST_F(TimelineTest, AnEventLastsFromItsFirstCycleToTheOneBeforeItsEnd) {
  AddEvent(2, 3)->mutable_churn()->set_rate(0.5);
  for (const auto& [cycle, share] : {std::pair(19, 0.0), {20, 0.05}, {35, 0.05}, {49, 0.05}, {50, 0.0}}) {
    for (const NodeTick& tick : Ask(static_cast<std::uint64_t>(cycle)))
      EXPECT_DOUBLE_EQ(tick.churn_share, share) << cycle;
  }
}

TEST_F(TimelineTest, CycleZeroIsTheStateBeforeAnythingHappens) {
  AddEvent(0, 1)->mutable_churn()->set_rate(0.5);
  EXPECT_EQ(Ask(0)[0].churn_share, 0);
  EXPECT_DOUBLE_EQ(Ask(1)[0].churn_share, 0.05);
  EXPECT_EQ(Ask(10)[0].churn_share, 0);
}

TEST_F(TimelineTest, AnEventShorterThanACycleTakesOne) {
  AddEvent(2, 0.01)->mutable_degrade()->set_loss(0.5);
  EXPECT_EQ(Ask(19)[0].loss, 0);
  EXPECT_EQ(Ask(20)[0].loss, 0.5);
  EXPECT_EQ(Ask(21)[0].loss, 0);
}

TEST_F(TimelineTest, WithoutAnEndItLastsThroughTheLastCycle) {
  AddEvent(2, 0)->mutable_outage()->set_region("eu");
  EXPECT_FALSE(Ask(kCount)[1].alive);
  EXPECT_TRUE(Make().EndingAt(kCount).empty());
}

// services::FillDefaults writes the time to the end where a file says nothing.
TEST_F(TimelineTest, UpToTheEndItLastsThroughTheLastCycle) {
  AddEvent(2, 8)->mutable_outage()->set_region("eu");
  EXPECT_FALSE(Ask(kCount - 1)[1].alive);
  EXPECT_FALSE(Ask(kCount)[1].alive) << "the event is over in the last cycle, which the summary measures";
  EXPECT_TRUE(Make().EndingAt(kCount).empty()) << "nothing recovers from an event that did not end";
}

TEST_F(TimelineTest, Paper8_APartitionSeversExactlyThePairsAcrossItsGroups) {
  v1::Partition* partition = AddEvent(1, 1)->mutable_partition();
  partition->add_groups()->add_regions("eu");
  v1::RegionGroup* both = partition->add_groups();
  both->add_regions("us");
  both->add_regions("asia");
  for (const std::uint64_t cycle : {9u, 10u, 19u, 20u}) {
    const std::vector<NodeTick> ticks = Ask(cycle);
    const bool cut = cycle == 10 || cycle == 19;
    for (const auto& [a, b, across] :
         {std::tuple(0, 1, true), {1, 0, true}, {1, 2, true}, {2, 1, true}, {0, 2, false}, {2, 0, false}}) {
      EXPECT_EQ(ticks[static_cast<std::size_t>(a)].links[static_cast<std::size_t>(b)].severed, cut && across)
          << cycle << ": " << a << "-" << b;
    }
  }
}

TEST_F(TimelineTest, ARegionInNoGroupIsAlone) {
  v1::RegionGroup* group = AddEvent(1, 1)->mutable_partition()->add_groups();
  group->add_regions("eu");
  group->add_regions("us");
  const std::vector<NodeTick> ticks = Ask(15);
  EXPECT_TRUE(ticks[0].links[1].severed);
  EXPECT_TRUE(ticks[0].links[2].severed);
  EXPECT_TRUE(ticks[2].links[0].severed);
  EXPECT_FALSE(ticks[1].links[2].severed);

  // Two regions in no group do not hear each other either.
  scenario_.mutable_events(0)->mutable_partition()->mutable_groups(0)->mutable_regions()->RemoveLast();
  EXPECT_TRUE(Ask(15)[0].links[2].severed);
}

TEST_F(TimelineTest, AnOutageStopsOneServerNodeAndItsLinks) {
  AddEvent(1, 2)->mutable_outage()->set_region("us");
  const std::vector<NodeTick> ticks = Ask(15);
  EXPECT_TRUE(ticks[0].alive);
  EXPECT_TRUE(ticks[1].alive);
  EXPECT_FALSE(ticks[2].alive);
  EXPECT_TRUE(ticks[0].links[2].severed);
  EXPECT_TRUE(ticks[2].links[0].severed);
  EXPECT_FALSE(ticks[0].links[1].severed);
  EXPECT_TRUE(Ask(30)[2].alive);
  EXPECT_FALSE(Ask(30)[0].links[2].severed);
}

// How many leave is decided where they live: only there it is known who entered and left before.
TEST_F(TimelineTest, LeaversAreToldHowManyStayAndUntilWhen) {
  AddEvent(1, 3)->mutable_leave()->set_keep(7);
  AddEvent(2, 1)->mutable_leave()->set_keep(3);
  for (const NodeTick& tick : Ask(9)) EXPECT_TRUE(tick.leave.empty());
  for (const NodeTick& tick : Ask(40)) EXPECT_TRUE(tick.leave.empty());
  const std::vector<NodeTick> ticks = Ask(25);
  std::uint32_t kept[2] = {};
  for (const NodeTick& tick : ticks) {
    ASSERT_EQ(tick.leave.size(), 2u);
    EXPECT_EQ(tick.leave[0].cycles, 15u);
    EXPECT_EQ(tick.leave[1].cycles, 5u);
    for (std::size_t n = 0; n < 2; ++n) kept[n] += tick.leave[n].keep;
  }
  EXPECT_EQ(kept[0], 7u);
  EXPECT_EQ(kept[1], 3u);
  EXPECT_EQ(Ask(39)[0].leave[0].cycles, 1u) << "in the last cycle all go that are too many";
}

TEST_F(TimelineTest, JoinersAreSplitExactly) {
  AddEvent(1, 3)->mutable_join()->set_micro_nodes(1001);
  EXPECT_EQ(Sum([](const NodeTick& t) { return t.enter; }), 1001u);
  // In proportion, and evenly over the event.
  std::vector<std::uint64_t> joined(3);
  for (std::uint64_t cycle = 10; cycle < 40; ++cycle) {
    std::uint64_t now = 0;
    const std::vector<NodeTick> ticks = Ask(cycle);
    for (std::size_t n = 0; n < 3; ++n) {
      joined[n] += ticks[n].enter;
      now += ticks[n].enter;
    }
    EXPECT_NEAR(static_cast<double>(now), 1001 / 30.0, 3) << cycle;
  }
  EXPECT_NEAR(static_cast<double>(joined[0]), 250, 1);
  EXPECT_NEAR(static_cast<double>(joined[1]), 400, 1);
  EXPECT_NEAR(static_cast<double>(joined[2]), 350, 1);
}

TEST_F(TimelineTest, Spec9_3_LowPowerReturnsToThePopulationsShare) {
  scenario_.mutable_population()->set_low_power(0.2);
  AddEvent(2, 1)->mutable_low_power()->set_share(0.5);
  EXPECT_EQ(Ask(1)[0].low_power, 0.2);
  EXPECT_EQ(Ask(2)[0].low_power, -1);
  EXPECT_EQ(Ask(20)[1].low_power, 0.5);
  EXPECT_EQ(Ask(21)[1].low_power, -1);
  EXPECT_EQ(Ask(30)[2].low_power, 0.2);
}

TEST_F(TimelineTest, Spec9_3_OfNestedLowPowerEventsTheOneThatBeganLastCounts) {
  AddEvent(0, 0)->mutable_low_power()->set_share(1);
  AddEvent(1, 1)->mutable_low_power()->set_share(0.3);
  AddEvent(1.5, 5)->mutable_low_power()->set_share(0.6);
  EXPECT_EQ(Ask(1)[0].low_power, 1);
  EXPECT_EQ(Ask(10)[0].low_power, 0.3);
  EXPECT_EQ(Ask(15)[0].low_power, 0.6);
  EXPECT_EQ(Ask(20)[0].low_power, 0.6) << "one that ends ends nothing but itself";
  EXPECT_EQ(Ask(20)[0].low_power_level, 0.6);
  EXPECT_EQ(Ask(65)[0].low_power, 1);
  EXPECT_EQ(Ask(66)[0].low_power, -1);
  EXPECT_EQ(Ask(66)[0].low_power_level, 1) << "for a server node that starts again";
}

TEST_F(TimelineTest, AdversariesBeginAndEnd) {
  v1::Adversaries* one = AddEvent(2, 1)->mutable_adversaries();
  one->set_count(10);
  one->set_attack(v1::STUBBORN);
  std::uint32_t all = 0;
  for (const NodeTick& tick : Ask(20)) {
    ASSERT_EQ(tick.attacks_begin.size(), 1u);
    EXPECT_EQ(tick.attacks_begin[0].attack, hosting::Attack::kStubborn);
    EXPECT_FALSE(tick.attacks_end);
    all += tick.attacks_begin[0].count;
  }
  EXPECT_EQ(all, 10u);
  EXPECT_TRUE(Ask(21)[0].attacks_begin.empty());
  EXPECT_FALSE(Ask(29)[0].attacks_end);
  EXPECT_TRUE(Ask(30)[0].attacks_end);
  EXPECT_FALSE(Ask(31)[0].attacks_end);
}

TEST_F(TimelineTest, DegradeAddsToEveryLinkAndTheWorstCounts) {
  scenario_.mutable_links()->mutable_within()->set_loss(0.1);
  AddEvent(1, 2)->mutable_degrade()->set_loss(0.3);
  AddEvent(2, 2)->mutable_degrade()->set_loss(0.95);
  EXPECT_DOUBLE_EQ(Ask(5)[0].loss, 0.1);
  EXPECT_DOUBLE_EQ(Ask(15)[0].loss, 0.4);
  EXPECT_DOUBLE_EQ(Ask(15)[0].links[1].extra_loss, 0.3);
  EXPECT_DOUBLE_EQ(Ask(25)[0].loss, 1.0) << "no more than everything";
  EXPECT_DOUBLE_EQ(Ask(25)[0].links[1].extra_loss, 0.95);
}

TEST_F(TimelineTest, CorruptGoesToEveryLink) {
  AddEvent(1, 2)->mutable_corrupt()->set_share(0.2);
  EXPECT_EQ(Ask(9)[0].links[1].corrupt, 0);
  EXPECT_EQ(Ask(10)[0].links[1].corrupt, 0.2);
  EXPECT_EQ(Ask(10)[2].links[0].corrupt, 0.2);
}

TEST_F(TimelineTest, EndsBandsAndNames) {
  AddEvent(1, 2)->mutable_churn()->set_rate(0.02);
  AddEvent(2, 2)->mutable_outage()->set_region("us");
  v1::Partition* partition = AddEvent(2.5, 1)->mutable_partition();
  partition->add_groups()->add_regions("eu");
  v1::RegionGroup* group = partition->add_groups();
  group->add_regions("us");
  group->add_regions("asia");
  v1::Adversaries* liars = AddEvent(5, 1)->mutable_adversaries();
  liars->set_share(0.1);
  liars->set_attack(v1::A_LITTLE_IS_ENOUGH);
  const Timeline timeline = Make();
  EXPECT_EQ(timeline.ActiveFaults(5), "");
  EXPECT_EQ(timeline.ActiveFaults(15), "churn 2%/s");
  EXPECT_EQ(timeline.ActiveFaults(27), "churn 2%/s, outage us, partition eu | us+asia");
  EXPECT_EQ(timeline.ActiveFaults(55), "10% a-little-is-enough");
  EXPECT_TRUE(timeline.EndingAt(29).empty());
  ASSERT_EQ(timeline.EndingAt(30).size(), 1u);
  EXPECT_EQ(timeline.EndingAt(30)[0].kind, "churn");
  EXPECT_EQ(timeline.EndingAt(35)[0].kind, "partition");
  EXPECT_EQ(timeline.EndingAt(40)[0].kind, "outage");
  const std::vector<v1::FaultBand> bands = timeline.Bands();
  ASSERT_EQ(bands.size(), 4u);
  EXPECT_EQ(bands[1].kind(), "outage");
  EXPECT_DOUBLE_EQ(bands[1].from_seconds(), 2);
  EXPECT_DOUBLE_EQ(bands[1].to_seconds(), 4);
}

TEST_F(TimelineTest, ForgersForgeWhileTheirEventLasts) {
  v1::Adversaries* liars = AddEvent(2, 1)->mutable_adversaries();
  liars->set_count(1);
  liars->set_attack(v1::DRAIN);
  EXPECT_FALSE(Make().ForgingAt(25));
  liars->set_attack(v1::FORGED_LEDGER);
  EXPECT_FALSE(Make().ForgingAt(19));
  EXPECT_TRUE(Make().ForgingAt(20));
  EXPECT_FALSE(Make().ForgingAt(30));
}

}  // namespace
}  // namespace lvs::services
