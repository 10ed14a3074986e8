// Figures from reports made by hand, against sums made by hand.
#include "services/scenario/measurement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "services/scenario/run_look.h"
#include "shard/random.h"

namespace lvs::services {
namespace {

using hosting::Anomaly;
using hosting::LinkReport;
using hosting::NodeReport;
using hosting::Payload;
using hosting::ShardReport;
using hosting::Verdict;

shard::Moments MomentsOf(const std::vector<double>& values) {
  shard::Moments m;
  for (const double v : values) {
    m.count += 1;
    m.mean += v;
  }
  if (m.count > 0) m.mean /= m.count;
  for (const double v : values) m.m2 += (v - m.mean) * (v - m.mean);
  return m;
}

// One server node with one shard of one value slot and one free coordinate.
struct Node {
  std::vector<double> value{};  // of its replicas, relative to its ledger; VU
  std::vector<double> free{};
  std::int64_t total_uvu = 0;
  std::int64_t behind_uvu = 0;
  double worst_vu = 0;
  std::uint64_t hash = 1;
  bool up = true;
  std::uint64_t replicas = 0;  // honest and hostile, where the hostile ones are not among the values
  std::uint64_t waiting_to_enter = 0;
  std::uint64_t liars = 0;
  shard::CycleCounts counts{};
  std::vector<Anomaly> anomalies{};
  std::vector<LinkReport> links{};
};

class MeasurementTest : public ::testing::Test {
 protected:
  MeasurementTest() : measurement_(Scenario(), {"eu", "us"}) {}

  static v1::Scenario Scenario() {
    v1::Scenario scenario;
    scenario.mutable_state()->set_shards(1);
    scenario.mutable_state()->set_value_slots(1);
    scenario.mutable_state()->set_free_coordinates(1);
    scenario.mutable_state()->set_coordinate_range(200);
    scenario.mutable_cycle()->set_period_us(100'000);
    return scenario;
  }

  const v1::Sample& Add(std::uint64_t cycle, const std::vector<Node>& nodes, std::int64_t accepted_uvu,
                        const std::vector<Timeline::Ended>& ended = {}) {
    std::vector<Payload<NodeReport>> reports;
    for (std::uint32_t n = 0; n < nodes.size(); ++n) {
      const Node& node = nodes[n];
      auto report = std::make_shared<NodeReport>();
      report->node = n;
      report->cycle = cycle;
      report->alive = node.value.size();
      report->replicas = node.value.size();
      report->links = node.links;
      report->waiting_to_enter = node.waiting_to_enter;
      report->adversaries = node.liars;
      if (node.up) {
        auto shard = std::make_shared<ShardReport>();
        shard->measured = true;
        shard->counts = node.counts;
        shard->state_hash = node.hash;
        shard->total_uvu[0] = node.total_uvu;
        shard->measure.replicas = std::max<std::uint64_t>(node.replicas, node.value.size());
        shard->measure.behind_uvu[0] = node.behind_uvu;
        shard->measure.worst_value_vu = node.worst_vu;
        shard->measure.moments[0] = MomentsOf(node.value);
        shard->measure.moments[1] = MomentsOf(node.free);
        auto verdict = std::make_shared<Verdict>();
        verdict->shards.push_back(std::move(shard));
        verdict->anomalies = node.anomalies;
        report->verdict = std::move(verdict);
      }
      reports.push_back(std::move(report));
    }
    measurement_.Add(LookAt(cycle, reports, {shard::SlotAmounts{accepted_uvu}}, ended), &report_);
    return report_.samples(report_.samples_size() - 1);
  }

  const v1::Summary& Finish() {
    measurement_.Finish(report_.mutable_summary());
    return report_.summary();
  }

  Measurement measurement_;
  v1::RunReport report_;
};

TEST(Moments, MergeIsExactHoweverTheReplicasAreSplit) {
  std::vector<double> all;
  for (std::uint64_t n = 0; n < 200; ++n) all.push_back(1e6 + 10 * shard::Unit(shard::Mix(n + 1)));
  const shard::Moments whole = MomentsOf(all);
  for (const std::size_t parts : {1u, 2u, 7u, 200u}) {
    shard::Moments merged;
    for (std::size_t p = 0; p < parts; ++p) {
      std::vector<double> part;
      for (std::size_t n = p; n < all.size(); n += parts) part.push_back(all[n]);
      merged.Merge(MomentsOf(part));
      merged.Merge(shard::Moments());  // nobody: changes nothing
    }
    EXPECT_EQ(merged.count, whole.count);
    EXPECT_NEAR(merged.mean, whole.mean, 1e-8) << parts;
    EXPECT_NEAR(merged.m2, whole.m2, 1e-6 * whole.m2) << parts;
  }
}

TEST_F(MeasurementTest, SpreadAndVarianceOfAllServerNodesTogether) {
  // {0, 2} and {3, 4, 5}: mean 2.8, squared distances 14.8.
  const v1::Sample start = Add(0, {{{0, 2}, {0, 20}}, {{3, 4, 5}, {30, 40, 50}}}, 0);
  EXPECT_DOUBLE_EQ(start.drift_vector_variance(), 14.8 / 5);
  EXPECT_DOUBLE_EQ(start.value_spread_relative(), 1);
  EXPECT_DOUBLE_EQ(start.free_spread_relative(), 1);
  EXPECT_EQ(start.alive(), 5u);
  // A tenth as far apart in value; the free coordinates half as far, and 20 to the side.
  const v1::Sample next = Add(1, {{{0, 0.2}, {34, 44}}, {{0.3, 0.4, 0.5}, {49, 54, 59}}}, 0);
  EXPECT_NEAR(next.value_spread_relative(), 0.1, 1e-12);
  EXPECT_NEAR(next.free_spread_relative(), 0.5, 1e-12);
  EXPECT_NEAR(Finish().drift().relative_spread(), 0.5, 1e-12) << "the worst of the two";
}

TEST_F(MeasurementTest, WithoutLiarsTheMeanMovesByASamplingError) {
  const v1::Sample start = Add(0, {{{0, 0}, {0, 20}}, {{0}, {40}}}, 0);
  EXPECT_TRUE(std::isnan(start.sampling_error_relative())) << "it has not moved yet";
  const v1::Sample next = Add(1, {{{0, 0}, {30, 40}}, {{0}, {50}}}, 0);
  EXPECT_NEAR(next.sampling_error_relative(), 20.0 / 200, 1e-12);
  EXPECT_TRUE(std::isnan(next.honest_bias_relative())) << "nobody pulled";
  EXPECT_NEAR(Finish().drift().sampling_error_relative(), 20.0 / 200, 1e-12);
  EXPECT_TRUE(std::isnan(Finish().drift().honest_bias_relative()));
}

TEST_F(MeasurementTest, LiarsWhoComeLaterAreHeldAgainstTheMeanBeforeThem) {
  Add(0, {{{0, 0}, {0, 20}}, {{0}, {40}}}, 0);
  Add(1, {{{0, 0}, {30, 40}}, {{0}, {50}}}, 0);
  const v1::Sample third = Add(2, {{.value = {0, 0}, .free = {32, 42}, .liars = 1}, {{0}, {52}}}, 0);
  EXPECT_NEAR(third.honest_bias_relative(), 2.0 / 200, 1e-12);
  EXPECT_TRUE(std::isnan(third.sampling_error_relative())) << "from here on both are one figure";
  // The liars stop; what they pulled stays.
  const v1::Sample last = Add(3, {{{0, 0}, {34, 44}}, {{0}, {54}}}, 0);
  EXPECT_NEAR(last.honest_bias_relative(), 4.0 / 200, 1e-12);
  EXPECT_NEAR(Finish().drift().honest_bias_relative(), 4.0 / 200, 1e-12);
  EXPECT_NEAR(Finish().drift().sampling_error_relative(), 20.0 / 200, 1e-12) << "of the time before them";
}

TEST_F(MeasurementTest, OfLiarsFromTheStartNoSamplingErrorIsKnown) {
  Add(0, {{{0, 0}, {0, 20}}, {{0}, {40}}}, 0);
  EXPECT_NEAR(Add(1, {{.value = {0, 0}, .free = {30, 40}, .liars = 1}, {{0}, {50}}}, 0).honest_bias_relative(),
              20.0 / 200, 1e-12);
  EXPECT_TRUE(std::isnan(Finish().drift().sampling_error_relative()));
}

TEST_F(MeasurementTest, RegionsStandApartByTheDistanceOfTheirMeans) {
  EXPECT_NEAR(Add(0, {{{0, 0}, {10, 30}}, {{0}, {120}}}, 0).region_distance_relative(), 100.0 / 200, 1e-12);
  EXPECT_NEAR(Add(1, {{{0, 0}, {60, 80}}, {{0}, {70}}}, 0).region_distance_relative(), 0, 1e-12)
      << "however far replicas of one region are from each other";
  EXPECT_NEAR(Add(2, {{{0, 0}, {80, 80}}, {{0}, {70}}}, 0).region_distance_relative(), 10.0 / 200, 1e-12);
  EXPECT_NEAR(Finish().drift().region_distance_relative(), 10.0 / 200, 1e-12);
  const v1::Sample alone = Add(3, {{.up = false}, {{0}, {70}}}, 0);
  EXPECT_TRUE(std::isnan(alone.region_distance_relative())) << "one region has nobody to be apart from";
}

TEST_F(MeasurementTest, Paper4_4_MissingIsWhatTheWorstReplicaLacks) {
  // The first holds 10 but for one replica that lacks 3; the second holds 8: 7 is the least.
  const v1::Sample a = Add(1, {{{0, 0}, {0, 0}, 10, 3}, {{0}, {0}, 8, 0}}, 10);
  EXPECT_EQ(a.held_uvu(), 7u);
  EXPECT_EQ(a.behind_uvu(), 3u);
  EXPECT_EQ(a.accepted_uvu(), 10u);
  EXPECT_EQ(Finish().ledger().missing_uvu(), 3u);
  // More than accepted (not yet acknowledged) is no fault, and makes up for nothing elsewhere.
  const v1::Sample b = Add(2, {{{0, 0}, {0, 0}, 15, 0}, {{0}, {0}, 9, 0}}, 10);
  EXPECT_EQ(b.held_uvu(), 9u);
  EXPECT_EQ(b.behind_uvu(), 1u);
  // A server node without replicas, or one that is out, holds nothing that could be missing.
  const v1::Sample c = Add(3, {{{0, 0}, {0, 0}, 10, 0}, {{}, {}, 0, 0}}, 10);
  EXPECT_EQ(c.behind_uvu(), 0u);
  EXPECT_EQ(c.held_uvu(), 10u);
  Node out{{}, {}, 0};
  out.up = false;
  EXPECT_EQ(Add(4, {{{0, 0}, {0, 0}, 10, 0}, out}, 10).behind_uvu(), 0u);
  // Nobody left at all: everything is.
  const v1::Sample d = Add(5, {out, out}, 10);
  EXPECT_EQ(d.behind_uvu(), 10u);
  EXPECT_EQ(d.held_uvu(), 0u);
}

// Where there is nothing to measure there is no figure. A 0 would pass for agreement.
TEST_F(MeasurementTest, WithoutAnybodyToMeasureThereIsNoFigure) {
  Add(0, {{{0, 2}, {0, 20}}, {{3, 4}, {30, 40}}}, 10);
  Node liars{{}, {}, 10};
  liars.replicas = 3;
  for (const v1::Sample& sample : {Add(1, {liars, liars}, 10), Add(2, {{{}, {}}, {{}, {}}}, 10)}) {
    EXPECT_TRUE(std::isnan(sample.value_spread_relative()));
    EXPECT_TRUE(std::isnan(sample.free_spread_relative()));
    EXPECT_TRUE(std::isnan(sample.drift_vector_variance()));
    EXPECT_TRUE(std::isnan(sample.honest_bias_relative()));
    EXPECT_TRUE(std::isnan(sample.effective_error_relative()));
    EXPECT_TRUE(std::isnan(sample.loss_ratio()));
  }
  const v1::Summary& summary = Finish();
  EXPECT_TRUE(std::isnan(summary.drift().relative_spread()));
  EXPECT_TRUE(std::isnan(summary.ledger().effective_error_relative()));
  EXPECT_EQ(summary.drift().cycles_to_1ppm(), -1);
  EXPECT_EQ(summary.ledger().cycles_to_1ppm(), -1);
}

TEST_F(MeasurementTest, OneReplicaAloneAgreesWithNobody) {
  const Node one{{5}, {50}, 10};
  EXPECT_TRUE(std::isnan(Add(0, {one, {{}, {}}}, 10).value_spread_relative()));
  Add(1, {one, {{}, {}}}, 10, {{"degrade", 1}});
  const v1::Summary& summary = Finish();
  EXPECT_TRUE(std::isnan(summary.drift().relative_spread()));
  EXPECT_EQ(summary.drift().value_spread_at_start_vu(), 0);
  EXPECT_EQ(summary.drift().cycles_to_1ppm(), -1);
  EXPECT_TRUE(std::isnan(summary.recoveries(0).seconds())) << "nobody could have disagreed";
  report_.mutable_summary()->Clear();
  // Those that enter later are compared with what a run starts with: free coordinates drawn from 0 to 200.
  const v1::Sample more = Add(2, {one, {{5}, {60}}}, 10);
  EXPECT_NEAR(more.free_spread_relative(), 5 / (200 / std::sqrt(12.0)), 1e-9);
}

TEST_F(MeasurementTest, EffectiveErrorAgainstTheTruth) {
  const std::int64_t accepted = 200'000'000;  // 200 VU
  Node exact{{0, 0}, {0, 0}, accepted};
  exact.worst_vu = 0.5;
  Node behind{{0}, {0}, accepted - 3'000'000};
  behind.worst_vu = 0.25;
  const v1::Sample sample = Add(1, {exact, behind}, accepted);
  EXPECT_NEAR(sample.effective_error_relative(), 3.25 / 200, 1e-12);
  EXPECT_NEAR(Finish().ledger().effective_error_relative(), 3.25 / 200, 1e-12);
  // What the network says it is worth: the mean over three replicas.
  EXPECT_NEAR(sample.effective_uvu(), 200e6 - 1e6, 1);
}

TEST_F(MeasurementTest, Spec8_1_WhatIsHeldAndNotAcknowledgedYetIsNoError) {
  const std::int64_t accepted = 200'000'000;
  Node early{{0, 0}, {0, 0}, accepted + 50'000'000};  // contributions that wait for other nodes
  early.worst_vu = 0.5;
  const v1::Sample sample = Add(1, {early}, accepted);
  EXPECT_NEAR(sample.effective_error_relative(), 0.5 / 200, 1e-12);
  EXPECT_EQ(Finish().ledger().excess_uvu(), 50'000'000u) << "it is counted there";
}

TEST_F(MeasurementTest, ConvergenceIsTheFirstCycleUnderAMillionth) {
  const auto at = [](double spread) {
    Node node{{-spread, spread}, {-spread, spread}, 1'000'000'000};
    node.worst_vu = spread;
    return std::vector<Node>{node, {{}, {}}};
  };
  Add(0, at(100), 1'000'000'000);
  for (std::uint64_t cycle = 1; cycle <= 9; ++cycle) Add(cycle, at(100 / std::pow(4, cycle)), 1'000'000'000);
  EXPECT_EQ(Finish().drift().cycles_to_1ppm(), -1);
  EXPECT_EQ(Finish().drift().reduction_per_cycle(), 0);
  for (std::uint64_t cycle = 10; cycle <= 15; ++cycle) Add(cycle, at(100 / std::pow(4, cycle)), 1'000'000'000);
  EXPECT_EQ(Finish().drift().cycles_to_1ppm(), 10);  // 4^10 > 1e6 > 4^9
  EXPECT_NEAR(Finish().drift().reduction_per_cycle(), 4, 1e-9);
  EXPECT_EQ(Finish().ledger().cycles_to_1ppm(), 9);  // 100 / 4^9 < 1000 / 1e6 < 100 / 4^8
}

TEST_F(MeasurementTest, Test10_RecoveryIsUntilAllIsHeldAndStatesAgree) {
  const auto node = [](double spread, std::int64_t held) { return Node{{-spread, spread}, {-spread, spread}, held}; };
  Add(0, {node(100, 10), node(100, 10)}, 10);
  Add(5, {node(0, 10), node(0, 10)}, 12, {{"partition", 5}});
  Add(6, {node(0, 12), node(0, 11)}, 14);  // not all of what was accepted by then
  Add(7, {node(1, 12), node(1, 12)}, 14);  // held, but the states are 1e-2 apart
  EXPECT_EQ(Finish().recoveries(0).seconds(), -1);
  report_.mutable_summary()->Clear();
  Node out = node(0, 0);
  out.up = false;
  Add(8, {node(0.05, 12), out}, 14);  // a server node is out: nobody has recovered
  Node empty = node(0, 12);
  empty.value.clear();
  empty.free.clear();
  empty.waiting_to_enter = 2;
  Add(8, {node(0.05, 12), empty}, 14);           // it is up again, and its micro-nodes are not
  Add(9, {node(0.05, 12), node(0.05, 12)}, 14);  // what came later does not count
  const v1::Summary& summary = Finish();
  ASSERT_EQ(summary.recoveries_size(), 1);
  EXPECT_EQ(summary.recoveries(0).after(), "partition");
  EXPECT_NEAR(summary.recoveries(0).ended_at_seconds(), 0.5, 1e-9);
  EXPECT_NEAR(summary.recoveries(0).seconds(), 0.4, 1e-9);
}

TEST_F(MeasurementTest, Test6_CountsAddUp) {
  Node a{{0, 0}, {0, 0}};
  a.counts.step.updated = 2;
  a.counts.step.heard = 8;
  a.counts.step.lost = 2;
  a.counts.step.trust = 4 * 255;
  a.counts.step.refused.Add(vaultguard::Refusal::kStale, 3);
  a.counts.step.clamped[static_cast<std::size_t>(vaultguard::Clamp::kBand)] = 5;
  a.counts.sent = {100, 20, 30, 40, 0};
  a.counts.redundancy_syncs = 1;
  a.counts.fallback_links = 2;
  a.anomalies = {{0, "drain_pattern"}, {0, "drain_on_link"}};
  a.links = {{1, 4, 1, 60, 300, 120, 3}};
  Node b = a;
  b.counts.step.refused.Add(vaultguard::Refusal::kNotFinite, 1);
  b.links = {{0, 6, 0, 40, 600, 100, 6}};
  const v1::Sample one = Add(1, {a, b}, 0);
  EXPECT_EQ(one.refused(), 7u);
  EXPECT_EQ(one.anomalies(), 4u);
  EXPECT_EQ(one.messages(), 2u * 10 + 10);
  EXPECT_NEAR(one.loss_ratio(), (2 * 2 + 1) / 30.0, 1e-12);
  EXPECT_NEAR(one.mean_trust(), 0.5, 1e-12);
  // 2 * 190 bytes and 100 of frames from four micro-nodes in a 600th of a minute.
  EXPECT_NEAR(one.bytes_per_node_minute(), 480.0 / 4 * 600, 1e-6);
  Add(2, {a, b}, 0);
  a.counts.sent = b.counts.sent = {};
  a.links.clear();
  b.links.clear();
  Add(3, {a, b}, 0);
  const v1::Summary& summary = Finish();
  EXPECT_EQ(summary.vaultguard().refused().at("stale"), 18u);
  EXPECT_EQ(summary.vaultguard().refused().at("not_finite"), 3u);
  EXPECT_EQ(summary.vaultguard().refused().size(), 2u);
  EXPECT_EQ(summary.vaultguard().clamped().at("band"), 30u);
  EXPECT_EQ(summary.vaultguard().anomalies().at("drain_pattern"), 6u);
  EXPECT_EQ(summary.ledger().redundancy_syncs(), 6u);
  EXPECT_EQ(summary.swarm().fallback_links(), 12u);
  EXPECT_EQ(measurement_.replica_cycles(), 12u);
  EXPECT_EQ(measurement_.micro_node_cycles(), 12u);
  EXPECT_NEAR(summary.bandwidth().bytes_per_node_minute(), 480.0 / 4 * 600, 1e-6) << "the median";
  EXPECT_NEAR(summary.bandwidth().average_bytes_per_node_minute(), 480.0 / 4 * 600 * 2 / 3, 1e-6);
  EXPECT_NEAR(summary.bandwidth().state_diff() + summary.bandwidth().entropy() + summary.bandwidth().ledger() +
                  summary.bandwidth().beacon() + summary.bandwidth().frames(),
              summary.bandwidth().average_bytes_per_node_minute(), 1e-6);
  ASSERT_EQ(summary.latency_size(), 2);
  EXPECT_EQ(summary.latency(0).from(), "eu");
  EXPECT_EQ(summary.latency(0).to(), "us");
  EXPECT_NEAR(summary.latency(0).mean_ms(), 100, 1e-9);
  EXPECT_NEAR(summary.latency(0).max_ms(), 120, 1e-9);
  EXPECT_EQ(summary.latency(0).lost(), 2u);
  EXPECT_NEAR(summary.latency(1).mean_ms(), 100, 1e-9);
}

TEST_F(MeasurementTest, TheHashCoversEveryServerNode) {
  const auto hash = [](std::uint64_t a, std::uint64_t b) {
    Measurement measurement(Scenario(), {"eu", "us"});
    std::vector<Payload<NodeReport>> reports;
    for (const std::uint64_t h : {a, b}) {
      auto shard = std::make_shared<ShardReport>();
      shard->measured = true;
      shard->state_hash = h;
      auto verdict = std::make_shared<Verdict>();
      verdict->shards.push_back(std::move(shard));
      auto report = std::make_shared<NodeReport>();
      report->verdict = std::move(verdict);
      reports.push_back(std::move(report));
    }
    v1::RunReport run;
    measurement.Add(LookAt(1, reports, {shard::SlotAmounts{}}, {}), &run);
    measurement.Finish(run.mutable_summary());
    return run.summary().state_hash();
  };
  EXPECT_EQ(hash(1, 2), hash(1, 2));
  EXPECT_NE(hash(1, 2), hash(2, 1));
  EXPECT_NE(hash(1, 2), hash(1, 3));
  EXPECT_NE(hash(1, 2), hash(3, 2));
  EXPECT_EQ(hash(1, 2).size(), 16u);
}

}  // namespace
}  // namespace lvs::services
