// Tests of networks with faults and of all sizes and shapes, named by requirement.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/end_to_end/runs.h"

namespace lvs {
namespace {

// The state that every network of these tests must reach once its events are over.
void ExpectWhole(const v1::RunReport& report, const v1::Scenario& scenario) {
  EXPECT_TRUE(NothingLost(report));
  EXPECT_EQ(report.summary().ledger().accepted_uvu(), UndisturbedAcceptedUvu(scenario));
  EXPECT_LE(report.summary().ledger().effective_error_relative(), 1e-6);
  EXPECT_LE(report.summary().drift().relative_spread(), 1e-6);
}

// ---- Size and shape ----

v1::Scenario OneRegion(std::uint32_t micro_nodes, std::uint32_t shards) {
  return Parse("name: test\nseed: 3\nstate: {shards: " + std::to_string(shards) +
               "}\npopulation: {micro_nodes: " + std::to_string(micro_nodes) + R"(}
cycle: {period: 100ms, count: 300}
workload: {contributions_per_second: 20, amount: {min: 0.1VU, max: 10VU}}
)");
}

TEST(Spec11_5, OneMicroNodeIsANetwork) {
  const v1::Scenario scenario = OneRegion(1, 4);
  const v1::RunReport report = Emulated(scenario);
  EXPECT_TRUE(NothingLost(report));
  EXPECT_EQ(report.summary().ledger().accepted_uvu(), UndisturbedAcceptedUvu(scenario));
  EXPECT_LE(report.summary().ledger().effective_error_relative(), 1e-6);
  EXPECT_TRUE(std::isnan(report.summary().drift().relative_spread())) << "it has nobody to agree with";
  EXPECT_EQ(report.summary().replicas(), 4u) << "it holds every shard";
  EXPECT_EQ(report.summary().micro_nodes_alive(), 1u);
  EXPECT_EQ(report.summary().ledger().contributions(), 500u);
}

TEST(Spec11_5, TwoAndThreeMicroNodesHoldEveryShardEach) {
  for (const std::uint32_t n : {2u, 3u}) {
    const v1::Scenario scenario = OneRegion(n, 8);
    const v1::RunReport report = Emulated(scenario);
    ExpectWhole(report, scenario);
    EXPECT_EQ(report.summary().replicas(), n * 8) << n;
  }
}

TEST(Arch4, TenMicroNodesHoldSixteenShardsThreeTimes) {
  const v1::Scenario scenario = OneRegion(10, 16);
  const v1::RunReport report = Emulated(scenario);
  ExpectWhole(report, scenario);
  EXPECT_GE(report.summary().replicas(), 48u);
}

TEST(Spec3_2, OneRegionWithoutALinkSection) {
  const v1::Scenario scenario = OneRegion(200, 4);
  const v1::RunReport report = Emulated(scenario);
  ExpectWhole(report, scenario);
  EXPECT_EQ(report.summary().latency_size(), 0);
  EXPECT_EQ(report.summary().bandwidth().frames(), 0);
}

TEST(Shapes, FromTheSmallestToTheLargest) {
  for (const auto& [slots, free, peers] : {std::tuple(1, 0, 8), {8, 4, 8}, {2, 2, 16}, {8, 4, 16}, {8, 0, 3}}) {
    SCOPED_TRACE(std::to_string(slots) + "+" + std::to_string(free) + ", " + std::to_string(peers) + " peers");
    v1::Scenario scenario = Network();
    scenario.mutable_state()->set_value_slots(static_cast<std::uint32_t>(slots));
    scenario.mutable_state()->set_free_coordinates(static_cast<std::uint32_t>(free));
    scenario.mutable_drift()->set_peers(static_cast<std::uint32_t>(peers));
    const v1::RunReport report = Emulated(scenario);
    ExpectWhole(report, scenario);
    EXPECT_GT(report.summary().drift().cycles_to_1ppm(), 0);
  }
}

TEST(Shapes, NothingToBeginWith) {
  v1::Scenario scenario = Network();
  scenario.mutable_state()->set_opening_balance_uvu(0);
  scenario.mutable_state()->set_value_spread_uvu(0);
  EXPECT_TRUE(NothingLost(Emulated(scenario)));
}

// ---- Convergence ----

TEST(Paper6, DisagreementFallsByThePromisedFactor) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    v1::Scenario scenario = Shipped("convergence");
    scenario.set_seed(seed);
    const v1::RunReport report = Emulated(scenario);
    EXPECT_GE(report.summary().drift().reduction_per_cycle(), 2.2);
    EXPECT_LE(report.summary().drift().cycles_to_1ppm(), 18);
    EXPECT_GT(report.summary().drift().cycles_to_1ppm(), 0);
    EXPECT_LE(report.summary().ledger().cycles_to_1ppm(), 40);
    EXPECT_GT(report.summary().ledger().cycles_to_1ppm(), 0);
  }
}

// The first sample is the state as drawn, before any replica has moved. Figures "relative to the start" refer to it.
TEST(Paper6, TheStartIsTheStateThatWasDrawn) {
  const v1::RunReport report = Emulated(Shipped("convergence"));
  const v1::Sample& start = report.samples(0);
  EXPECT_EQ(start.cycle(), 0u);
  EXPECT_DOUBLE_EQ(start.value_spread_relative(), 1);
  EXPECT_DOUBLE_EQ(start.free_spread_relative(), 1);
  // States are drawn uniformly within 100 VU of a ledger total of 1000 VU.
  EXPECT_NEAR(start.drift_vector_variance(), 100.0 * 100 / 3, 40);
  EXPECT_NEAR(start.effective_error_relative(), 0.1, 0.001);
}

TEST(Spec12, SteadyStateIsWithinFiftyKilobytesAMinute) {
  for (const char* name : {"phase1", "phase2", "partition-heal"}) {
    const v1::RunReport report = Emulated(Shipped(name));
    EXPECT_LT(report.summary().bandwidth().bytes_per_node_minute(), 50'000) << name;
    EXPECT_GT(report.summary().bandwidth().bytes_per_node_minute(), 1'000) << name;
    const v1::BandwidthFigures& b = report.summary().bandwidth();
    EXPECT_NEAR(b.state_diff() + b.entropy() + b.ledger() + b.beacon() + b.frames(), b.average_bytes_per_node_minute(),
                1e-6 * b.average_bytes_per_node_minute());
  }
}

TEST(Test6, LatencyOfEachPairIsMeasured) {
  const v1::RunReport report = Emulated(Shipped("phase2"));
  ASSERT_EQ(report.summary().latency_size(), 6);
  for (const v1::LinkLatency& link : report.summary().latency()) {
    const bool far = link.from() + link.to() == "euasia" || link.from() + link.to() == "asiaeu";
    // Between eu and asia, two of a hundred frames arrive one to three periods later.
    EXPECT_NEAR(link.mean_ms(), far ? 184 : 90, far ? 3 : 1) << link.from() << "-" << link.to();
    EXPECT_NEAR(static_cast<double>(link.lost()) / static_cast<double>(link.frames()), far ? 0.03 : 0.01, 0.01);
  }
}

// ---- Churn, low power ----

TEST(Spec9_4, ChurnReplacesTheShareThatItSays) {
  v1::Scenario scenario = Shipped("churn-storm");
  const v1::RunReport report = Emulated(scenario);
  // Churn is 10 % of 1000 a second for twenty seconds.
  EXPECT_NEAR(static_cast<double>(report.summary().swarm().left()), 2000, 20);
  EXPECT_EQ(report.summary().swarm().joined(), report.summary().swarm().left());
  EXPECT_EQ(report.summary().micro_nodes_alive(), 1000u);
  EXPECT_EQ(SampleAt(report, 4.9).offline_events(), 0u);
  EXPECT_GT(SampleAt(report, 5.0).offline_events(), 0u);
  EXPECT_GT(SampleAt(report, 24.9).offline_events(), 0u);
  EXPECT_EQ(SampleAt(report, 25.0).offline_events(), 0u);
  EXPECT_GT(report.summary().swarm().fallback_links(), 1000u) << "links to those who left are replaced";
}

TEST(Spec9_3, LowPowerDriftsEveryFourthCycle) {
  const auto updates = [](const v1::RunReport& report) {
    return report.summary().replica_cycles_per_second() * report.summary().wall_seconds();
  };
  const v1::Scenario awake = Network();
  const v1::Scenario asleep = Network({"{at: 0s, low_power: {share: 100%}}"});
  const v1::RunReport quick = Emulated(awake);
  const v1::RunReport slow = Emulated(asleep);
  EXPECT_NEAR(updates(slow) / updates(quick), 0.25, 0.01);
  ExpectWhole(slow, asleep);
  EXPECT_GT(slow.summary().drift().cycles_to_1ppm(), quick.summary().drift().cycles_to_1ppm());
}

// Low power saves bandwidth too: every kind of message is sent less often than by micro-nodes that are awake.
TEST(Spec9_3, LowPowerSendsLessOfEverything) {
  const v1::BandwidthFigures awake = Emulated(Network()).summary().bandwidth();
  const v1::BandwidthFigures asleep = Emulated(Network({"{at: 0s, low_power: {share: 100%}}"})).summary().bandwidth();
  EXPECT_LT(asleep.state_diff(), awake.state_diff());
  EXPECT_LT(asleep.entropy(), awake.entropy()) << "every state diff of a sleeper carries an entropy packet";
  EXPECT_LT(asleep.beacon(), awake.beacon());
}

TEST(Spec9_3, LowPowerEndsWithItsEvent) {
  v1::Scenario scenario = Network({"{at: 10s, for: 5s, low_power: {share: 100%}}"});
  const v1::RunReport report = Emulated(scenario);
  ExpectWhole(report, scenario);
  const v1::RunReport awake = Emulated(Network());
  const auto updates = [](const v1::RunReport& r) {
    return r.summary().replica_cycles_per_second() * r.summary().wall_seconds();
  };
  // Low power covers 50 of 300 cycles, at a quarter of the updates.
  EXPECT_NEAR(updates(report) / updates(awake), 1 - 0.75 * 50 / 300, 0.005);
}

// ---- Outage ----

TEST(Test5_3, ARegionComesBackFromItsPeers) {
  const v1::Scenario scenario = Network({"{at: 10s, for: 5s, outage: {region: us}}"});
  const v1::RunReport report = Emulated(scenario);
  EXPECT_EQ(SampleAt(report, 9.9).alive(), 100u);
  EXPECT_EQ(SampleAt(report, 10).alive(), 65u);
  EXPECT_EQ(SampleAt(report, 14.9).alive(), 65u);
  EXPECT_EQ(SampleAt(report, 30).alive(), 100u);
  EXPECT_EQ(report.summary().swarm().left(), 35u);
  EXPECT_EQ(report.summary().swarm().joined(), 35u);
  EXPECT_GE(RecoverySeconds(report, "outage"), 0);
  EXPECT_LE(RecoverySeconds(report, "outage"), 5);
  ExpectWhole(report, scenario);
  // The other regions went on, so the accepted amount grew during the outage.
  EXPECT_GT(SampleAt(report, 14.9).accepted_uvu(), SampleAt(report, 10).accepted_uvu());
}

TEST(Test5_3, EachRegionInTurn) {
  const v1::Scenario scenario =
      Network({"{at: 5s, for: 2s, outage: {region: us}}", "{at: 10s, for: 2s, outage: {region: eu}}",
               "{at: 15s, for: 2s, outage: {region: asia}}"});
  const v1::RunReport report = Emulated(scenario);
  EXPECT_EQ(report.summary().micro_nodes_alive(), 100u);
  ExpectWhole(report, scenario);
}

// Two regions: between the two restarts only one server node holds anything, and half of all that it tells is lost.
TEST(Arch2_1, TwoRestartsSixSecondsApartLoseNothingWhateverIsLostBetween) {
  for (int seed = 1; seed <= 30; ++seed) {
    const v1::RunReport report = Emulated(Parse("name: test\nseed: " + std::to_string(seed) + R"(
population: {micro_nodes: 20, regions: {a: 50%, b: 50%}}
state: {shards: 4, value_slots: 1}
cycle: {count: 650, settle: 30s}  # in which clients whose answers were lost ask again
links: {between: [{latency: 80ms, loss: 50%}]}
workload: {contributions_per_second: 5, amount: {min: 1VU, max: 2VU}}
events:
  - {at: 5s, for: 2s, outage: {region: a}}
  - {at: 11s, for: 2s, outage: {region: b}}
)"));
    EXPECT_EQ(report.summary().ledger().missing_uvu(), 0u) << seed;
    EXPECT_TRUE(NothingLost(report));
  }
}

// Two regions restart in turn over links that lose half of everything. Neither goes before the other is whole.
TEST(Arch2_1, ARollingRestartWaitsUntilAllHoldAll) {
  for (int seed = 1; seed <= 10; ++seed) {
    const v1::RunReport report = Emulated(Parse("name: test\nseed: " + std::to_string(seed) + R"(
population: {micro_nodes: 20, regions: {a: 50%, b: 50%}}
state: {shards: 4, value_slots: 1}
cycle: {count: 850, settle: 30s}
links: {between: [{latency: 80ms, loss: 50%}]}
workload: {contributions_per_second: 5, amount: {min: 1VU, max: 2VU}}
events:
  - {at: 5s, for: 40s, restart: {down: 1s}}
thresholds:
  - {metric: swarm.restarted, min: 2}
)"));
    EXPECT_TRUE(Passed(report));
    EXPECT_TRUE(NothingLost(report));
    EXPECT_EQ(report.summary().micro_nodes_alive(), 20u);
  }
}

// Where two server nodes must hold a contribution and one is left, nobody is told that it is safe.
TEST(Paper8, AnAcknowledgementByTwoWaitsForTwo) {
  const v1::RunReport report = Emulated(Parse(R"(name: test
population: {micro_nodes: 20, regions: {a: 50%, b: 50%}}
state: {shards: 4, value_slots: 1}
cycle: {count: 300}
workload: {contributions_per_second: 20, amount: {min: 1VU, max: 2VU}, acknowledge_nodes: 2}
events:
  - {at: 10s, for: 5s, outage: {region: a}}
)"));
  EXPECT_EQ(SampleAt(report, 14.9).accepted_uvu(), SampleAt(report, 10.2).accepted_uvu());
  EXPECT_GT(SampleAt(report, 20).accepted_uvu(), SampleAt(report, 14.9).accepted_uvu());
  EXPECT_TRUE(NothingLost(report));
}

TEST(Test5_3, ARegionThatDiesAgainBeforeItsMicroNodesAreBack) {
  const v1::Scenario scenario =
      Network({"{at: 5s, for: 2s, outage: {region: us}}", "{at: 7.1s, for: 2s, outage: {region: us}}"});
  const v1::RunReport report = Emulated(scenario);
  EXPECT_EQ(report.summary().micro_nodes_alive(), 100u) << "its micro-nodes never came back";
  ExpectWhole(report, scenario);
}

TEST(Test5_3, AnOutageDuringAPartition) {
  const v1::Scenario scenario = Network(
      {"{at: 5s, for: 10s, partition: {groups: [[eu, us], [asia]]}}", "{at: 8s, for: 3s, outage: {region: us}}"});
  const v1::RunReport report = Emulated(scenario);
  EXPECT_EQ(report.summary().micro_nodes_alive(), 100u);
  ExpectWhole(report, scenario);
}

// ---- Partition ----

TEST(Paper8, BothSidesEarnAndNothingIsLost) {
  const v1::Scenario scenario = Shipped("partition-heal");
  const v1::RunReport report = Emulated(scenario);
  ExpectWhole(report, scenario);
  const v1::Sample& before = SampleAt(report, 10);
  const v1::Sample& cut = SampleAt(report, 29.9);
  EXPECT_GT(cut.accepted_uvu(), before.accepted_uvu() + 300'000'000) << "both sides earn";
  EXPECT_GT(cut.behind_uvu(), 100'000'000u) << "and neither holds what the other earned";
  for (const v1::Sample& sample : report.samples()) {
    // Everything accepted before the partition healed is held everywhere within five seconds.
    if (sample.seconds() < 35) continue;
    EXPECT_GE(sample.held_uvu(), cut.accepted_uvu()) << sample.seconds();
  }
  EXPECT_GE(RecoverySeconds(report, "partition"), 0);
  EXPECT_LE(RecoverySeconds(report, "partition"), 5);
}

TEST(Paper8, EveryRegionAlone) {
  v1::Scenario scenario = Network({"{at: 5s, for: 10s, partition: {groups: [[eu], [us], [asia]]}}"});
  scenario.mutable_workload()->set_acknowledge_nodes(1);
  const v1::RunReport report = Emulated(scenario);
  EXPECT_GT(SampleAt(report, 14.9).behind_uvu(), 0u);
  ExpectWhole(report, scenario);
  EXPECT_LE(RecoverySeconds(report, "partition"), 5);
}

TEST(Paper8, APartitionThatNeverHealsShows) {
  v1::Scenario scenario = Network({"{at: 5s, partition: {groups: [[eu], [us, asia]]}}"});
  scenario.mutable_workload()->set_acknowledge_nodes(1);
  EXPECT_FALSE(NothingLost(Emulated(scenario))) << "the verdict is blind";
}

// ---- Crowds that settle before they hear each other ----

double SpreadAfter(const std::string& scenario) {
  return Emulated(Parse("name: crowds\n" + scenario)).summary().drift().relative_spread();
}

TEST(Paper6, EightMicroNodesInEightRegionsAgree) {
  EXPECT_LE(SpreadAfter(R"(state: {shards: 1, value_slots: 1}
population:
  micro_nodes: 8
  shards_per_node: 1
  regions: {a: 12.5%, b: 12.5%, c: 12.5%, d: 12.5%, e: 12.5%, f: 12.5%, g: 12.5%, h: 12.5%}
cycle: {count: 200}
links: {between: [{latency: 20ms}]}
)"),
            1e-6);
}

TEST(Paper6, RegionsThatAreCutAtTheStartAgreeOnceTheyHearEachOther) {
  for (const char* cut : {"500ms", "10s", "60s"}) {
    for (const char* regions : {"{a: 50%, b: 50%}", "{a: 80%, b: 20%}"}) {
      SCOPED_TRACE(std::string(cut) + " " + regions);
      EXPECT_LE(SpreadAfter("population: {micro_nodes: 40, regions: " + std::string(regions) +
                            "}\nstate: {shards: 1}\ncycle: {count: 750}\nevents: [{at: 0s, for: " + cut +
                            ", partition: {groups: [[a], [b]]}}]\n"),
                1e-6);
    }
  }
}

TEST(Paper6, ARegionThatRestartsInsideAPartitionAgreesOnceItHears) {
  EXPECT_LE(SpreadAfter(R"(population: {micro_nodes: 40, regions: {a: 50%, b: 50%}}
state: {shards: 1}
cycle: {count: 500}
events:
  - {at: 5s, for: 20s, partition: {groups: [[a], [b]]}}
  - {at: 10s, for: 2s, outage: {region: b}}
)"),
            1e-6);
}

TEST(Paper6, RegionsWithLinksOfEightTenthsOfASecondAgree) {
  EXPECT_LE(SpreadAfter(R"(population: {micro_nodes: 40, regions: {a: 50%, b: 50%}}
state: {shards: 1}
cycle: {count: 900}
links: {between: [{latency: 800ms}]}
)"),
            1e-6);
}

// ---- Few, and many again ----

TEST(Paper8, TheLastNodeCarriesEverything) {
  const v1::Scenario scenario = Shipped("last-node");
  const v1::RunReport report = Emulated(scenario);
  EXPECT_EQ(SampleAt(report, 16).alive(), 1u);
  EXPECT_EQ(SampleAt(report, 19.9).alive(), 1u);
  std::uint64_t most_uvu = 0;
  for (const v1::Sample& sample : report.samples()) {
    if (sample.seconds() > 14.95 && sample.seconds() < 19.95) most_uvu = std::max(most_uvu, sample.behind_uvu());
  }
  EXPECT_EQ(most_uvu, 0u) << "value was accepted that the only micro-node does not hold";
  EXPECT_GT(SampleAt(report, 19.9).accepted_uvu(), SampleAt(report, 15).accepted_uvu()) << "it goes on earning";
  EXPECT_EQ(report.summary().micro_nodes_alive(), 1001u);
  EXPECT_EQ(report.summary().swarm().left(), 99u);
  ExpectWhole(report, scenario);
}

TEST(Spec2, TheLastNodeOfThreeRegionsGoesOn) {
  const std::string leave = "{at: 5s, for: 4s, leave: {keep: 1}}";
  const v1::RunReport one = Emulated([&] {
    v1::Scenario scenario = Network({leave});
    scenario.mutable_workload()->set_acknowledge_nodes(1);  // two server nodes hold nothing once one is left
    return scenario;
  }());
  EXPECT_EQ(one.summary().micro_nodes_alive(), 1u);
  EXPECT_EQ(one.summary().ledger().contributions_pending(), 0u) << "it goes on earning";
  EXPECT_TRUE(std::isnan(one.summary().drift().relative_spread())) << "it has nobody to agree with";

  // What two server nodes acknowledged outlives either. What only one did can leave with it.
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    v1::Scenario scenario = Network({leave}, seed);
    scenario.mutable_workload()->set_acknowledge_nodes(2);
    const v1::LedgerFigures two = Emulated(scenario).summary().ledger();
    EXPECT_GT(two.accepted_uvu(), 0u) << seed;
    EXPECT_EQ(two.missing_uvu(), 0u) << seed;
    EXPECT_GT(two.contributions_pending(), 0u) << seed << ": the last one says that nobody else holds it";
    EXPECT_LE(two.effective_error_relative(), 1e-6) << seed;
  }
}

TEST(Spec2, LeaversGoDownToWhatTheFileSays) {
  const v1::Scenario once = Network({"{at: 2s, for: 2s, leave: {keep: 50}}"});
  const v1::RunReport report = Emulated(once);
  EXPECT_EQ(SampleAt(report, 5).alive(), 50u);
  EXPECT_EQ(report.summary().micro_nodes_alive(), 50u);
  ExpectWhole(report, once);
}

TEST(Arch4, RepairAfterMostHaveLeft) {
  const v1::Scenario scenario =
      Network({"{at: 5s, for: 3s, leave: {keep: 6}}", "{at: 12s, for: 3s, join: {micro_nodes: 200}}"});
  const v1::RunReport report = Emulated(scenario);
  EXPECT_EQ(SampleAt(report, 10).alive(), 6u);
  EXPECT_EQ(report.summary().micro_nodes_alive(), 206u);
  ExpectWhole(report, scenario);
}

// ---- Loss ----

TEST(Spec6_3, HalfOfAllMessagesLost) {
  const v1::Scenario scenario = Shipped("lossy");
  const v1::RunReport report = Emulated(scenario);
  ExpectWhole(report, scenario);
  EXPECT_NEAR(report.summary().bandwidth().loss_ratio(), 0.5, 0.02);
}

TEST(Spec10, ATotalLossForAWhile) {
  const v1::Scenario scenario = Network({"{at: 8s, for: 8s, degrade: {loss: 100%}}"});
  const v1::RunReport report = Emulated(scenario);
  EXPECT_GT(SampleAt(report, 12).loss_ratio(), 0.99);
  EXPECT_LE(RecoverySeconds(report, "degrade"), 5);
  EXPECT_GE(RecoverySeconds(report, "degrade"), 0);
  ExpectWhole(report, scenario);
}

}  // namespace
}  // namespace lvs
