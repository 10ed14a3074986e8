// The same scenario and seed give the same state, whatever runs it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/report/report.h"
#include "shard/simd_target.h"
#include "tests/end_to_end/runs.h"

namespace lvs {
namespace {

std::string Hash(const v1::Scenario& scenario, unsigned threads = 0) {
  services::EmulationOptions options;
  options.threads = threads;
  const std::string hash = Emulated(scenario, options).summary().state_hash();
  EXPECT_EQ(hash.size(), 16u);
  EXPECT_NE(hash, "0000000000000000");
  return hash;
}

// A scenario with every kind of event at once.
v1::Scenario Turbulent() {
  return Network(
      {"{at: 2s, for: 15s, churn: {rate: 5%/s}}", "{at: 3s, for: 5s, partition: {groups: [[eu], [us, asia]]}}",
       "{at: 9s, for: 3s, outage: {region: us}}", "{at: 5s, for: 6s, adversaries: {share: 20%, attack: noise}}",
       "{at: 8s, for: 5s, corrupt: {share: 20%}}", "{at: 12s, for: 3s, low_power: {share: 50%}}",
       "{at: 14s, for: 3s, degrade: {loss: 20%}}", "{at: 16s, for: 2s, leave: {keep: 40}}",
       "{at: 19s, for: 2s, join: {micro_nodes: 60}}"});
}

TEST(Deterministic, ForAnyNumberOfThreads) {
  for (const v1::Scenario& scenario :
       {Turbulent(), Shipped("phase2"), Shipped("phase2-closed"), Shipped("churn-storm"), Shipped("lossy"),
        Shipped("last-node"), Shipped("corrupt"), Shipped("eight-of-one"), Shipped("returning-crowd")}) {
    const std::string hash = Hash(scenario, 1);
    EXPECT_EQ(Hash(scenario, 2), hash) << scenario.name();
    EXPECT_EQ(Hash(scenario, 4), hash) << scenario.name();
  }
}

// Adversaries that send NaN and infinity, and turn honest at that moment. Their own state is then what they sent last.
v1::Scenario LiarsThatStop(int seed) {
  return Parse(
      "name: liars-that-stop\npopulation: {micro_nodes: 40}\n"
      "state: {shards: 1, value_slots: 2, free_coordinates: 0}\nseed: " +
      std::to_string(seed) +
      "\ncycle: {count: 13}\nevents:\n  - {at: 0s, for: 1s, adversaries: {share: 45%, attack: noise}}\n");
}

TEST(Deterministic, ForEverySimdTarget) {
  const std::vector<std::string> targets = shard::SimdTargets();
  ASSERT_GE(targets.size(), 2u) << "one target is equal to itself: nothing was compared";
  v1::Scenario large = Shipped("stubborn-one");
  large.mutable_cycle()->set_count(60);  // of 300, because the slowest targets take long
  std::vector<v1::Scenario> scenarios = {Turbulent(), large, Shipped("hostile-45"), Shipped("clever-liars")};
  for (int seed = 1; seed <= 8; ++seed) scenarios.push_back(LiarsThatStop(seed));
  for (const v1::Scenario& scenario : scenarios) {
    ASSERT_TRUE(shard::SelectSimdTarget("auto"));
    const std::string best = Hash(scenario);
    for (const std::string& target : targets) {
      ASSERT_TRUE(shard::SelectSimdTarget(target)) << target;
      const v1::RunReport report = Emulated(scenario);
      EXPECT_EQ(report.summary().simd_target(), target);
      EXPECT_EQ(report.summary().state_hash(), best) << scenario.name() << " on " << target;
    }
  }
  ASSERT_TRUE(shard::SelectSimdTarget("auto"));
}

// Odd shapes exercise other paths through the vector code.
TEST(Deterministic, ForEverySimdTargetAndShape) {
  ASSERT_GE(shard::SimdTargets().size(), 2u);
  for (const auto& [slots, free, peers] : {std::tuple(1, 0, 1), {8, 4, 16}, {3, 1, 5}}) {
    v1::Scenario scenario = Turbulent();
    scenario.mutable_cycle()->set_count(150);
    scenario.mutable_state()->set_value_slots(static_cast<std::uint32_t>(slots));
    scenario.mutable_state()->set_free_coordinates(static_cast<std::uint32_t>(free));
    scenario.mutable_drift()->set_peers(static_cast<std::uint32_t>(peers));
    ASSERT_TRUE(shard::SelectSimdTarget("auto"));
    const std::string best = Hash(scenario);
    for (const std::string& target : shard::SimdTargets()) {
      ASSERT_TRUE(shard::SelectSimdTarget(target)) << target;
      EXPECT_EQ(Hash(scenario), best) << slots << "+" << free << " on " << target;
    }
  }
  ASSERT_TRUE(shard::SelectSimdTarget("auto"));
}

TEST(Deterministic, AnotherSeedIsAnotherRun) {
  v1::Scenario scenario = Turbulent();
  const std::string hash = Hash(scenario);
  scenario.set_seed(scenario.seed() + 1);
  EXPECT_NE(Hash(scenario), hash);
  for (const char* name : {"pair", "convergence", "hostile-30"}) {
    v1::Scenario shipped = Shipped(name);
    const std::string first = Hash(shipped);
    shipped.set_seed(shipped.seed() + 1);
    EXPECT_NE(Hash(shipped), first) << name;
  }
}

v1::RunReport WithoutClock(v1::RunReport report) {
  v1::Summary* summary = report.mutable_summary();
  summary->clear_wall_seconds();
  summary->clear_startup_seconds();
  summary->clear_replica_cycles_per_second();
  summary->clear_micro_node_cycles_per_second();
  summary->clear_resident_bytes_per_micro_node();
  return report;
}

TEST(Deterministic, TwiceTheSameReportButForClockAndMemory) {
  for (const v1::Scenario& scenario : {Turbulent(), Shipped("phase2-closed")}) {
    const v1::RunReport a = WithoutClock(Emulated(scenario));
    const v1::RunReport b = WithoutClock(Emulated(scenario));
    EXPECT_EQ(services::SummaryJson(a.summary()), services::SummaryJson(b.summary()));
    ASSERT_EQ(a.samples_size(), b.samples_size());
    for (int n = 0; n < a.samples_size(); ++n) {
      ASSERT_EQ(a.samples(n).SerializeAsString(), b.samples(n).SerializeAsString()) << "cycle " << a.samples(n).cycle();
    }
    ASSERT_EQ(a.snapshots_size(), b.snapshots_size());
    for (int n = 0; n < a.snapshots_size(); ++n) {
      EXPECT_EQ(a.snapshots(n).SerializeAsString(), b.snapshots(n).SerializeAsString()) << a.snapshots(n).label();
    }
  }
}

// Server nodes that restart in the same cycle hear each other at once. Frames and ticks then race, which must not
// affect the state.
TEST(Deterministic, WhenAllButOneStartAgainAtOnce) {
  const v1::Scenario scenario =
      Network({"{at: 5s, for: 1s, outage: {region: us}}", "{at: 5s, for: 1s, outage: {region: eu}}"});
  const std::string hash = Hash(scenario, 2);
  for (int n = 0; n < 40; ++n) ASSERT_EQ(Hash(scenario, 2), hash) << "run " << n;
}

// With more frames in flight than a shard actor keeps, the dropped ones must not depend on the order of arrival.
TEST(DeterministicFull, WhenMoreIsInFlightThanAShardKeeps) {
  std::string regions;
  for (int n = 0; n < 20; ++n) regions += (n > 0 ? ", r" : "r") + std::to_string(n) + ": 5%";
  const v1::Scenario scenario = Parse(R"(name: flood
seed: 3
state: {shards: 1}
population: {micro_nodes: 60, shards_per_node: 1, regions: {)" +
                                      regions + R"(}}
cycle: {period: 10ms, count: 700}
links: {within: {latency: 2ms}, between: [{latency: 6s, jitter: 100ms, duplicate: 100%}]}
workload: {contributions_per_second: 200, amount: {min: 0.1VU, max: 10VU}}
events:
  - {at: 0s, corrupt: {share: 100%}}
)");
  const v1::RunReport first = Emulated(scenario);
  ASSERT_GT(Refused(first, "too_large"), 1000u) << "the scenario does not reach the limit";
  for (int n = 0; n < 5; ++n)
    ASSERT_EQ(Emulated(scenario).summary().state_hash(), first.summary().state_hash()) << "run " << n;
}

TEST(DeterministicFull, TenThousandMicroNodes) {
  v1::Scenario scenario = Shipped("phase3");
  const std::string hash = Hash(scenario, 1);
  EXPECT_EQ(Hash(scenario, 2), hash);
  EXPECT_EQ(Hash(scenario, 4), hash);
  scenario.mutable_cycle()->set_count(250);  // an outage and half of the churn
  const std::vector<std::string> targets = shard::SimdTargets();
  ASSERT_GE(targets.size(), 2u);
  ASSERT_TRUE(shard::SelectSimdTarget("auto"));
  const std::string best = Hash(scenario);
  for (const std::string& target : targets) {
    ASSERT_TRUE(shard::SelectSimdTarget(target));
    EXPECT_EQ(Hash(scenario), best) << target;
  }
  ASSERT_TRUE(shard::SelectSimdTarget("auto"));
}

}  // namespace
}  // namespace lvs
