// What looks at the nodes of a testnet become: rows, events, recoveries, figures and a verdict. Real nodes are in
// tests/cluster.
#include "services/cluster/testnet_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace lvs::services {
namespace {

using ::testing::ElementsAre;

constexpr int kShards = 2;

std::vector<TestnetNode> Nodes(std::size_t count) {
  std::vector<TestnetNode> nodes(count);
  for (std::size_t i = 0; i < count; ++i) {
    nodes[i].folder = "/nowhere/node-" + std::to_string(i);
    nodes[i].config.set_region(i % 2 == 0 ? "eu" : "us");
    nodes[i].config.set_advertise("127.0.0.1:" + std::to_string(1'000 + i));
  }
  return nodes;
}

// Nodes that serve and agree, to be hurt by a test.
class Testnet3 : public ::testing::Test {
 protected:
  Testnet3() : measurement_(Nodes(3)), looks_(3) {
    for (std::uint64_t i = 0; i < 3; ++i) Serve(i);
  }

  // A process that has just come up.
  void Serve(std::uint64_t i) {
    looks_[i] = {.runs = true, .ran = true, .status = v1::NodeStatus(), .shards = v1::ShardList()};
    v1::NodeStatus& status = *looks_[i].status;
    status.set_state(v1::SERVING);
    status.set_session_low(++sessions_);
    status.set_period_us(100'000);
    status.set_micro_nodes(10);
    status.set_replicas(20);
    status.set_cycle(cycle_);
    status.mutable_work()->set_micro_node_cycles(10);
    status.mutable_ledger()->add_total_uvu(0);
    for (int s = 0; s < kShards; ++s) {
      v1::Shard* shard = looks_[i].shards->add_shards();
      shard->set_replicas(10);
      shard->add_total_uvu(0);
      shard->add_behind_slot_uvu(0);
      for (int c = 0; c < 2; ++c) shard->add_coordinates()->set_replicas(10);
      shard->mutable_coordinates(1)->set_mean(100);
    }
  }
  void Down(std::uint64_t i, bool drained = false) { looks_[i] = {.ran = true, .ended = drained}; }
  void Hold(std::uint64_t i, int shard, std::uint64_t uvu) {
    looks_[i].shards->mutable_shards(shard)->set_total_uvu(0, uvu);
    std::uint64_t total = 0;
    for (const v1::Shard& one : looks_[i].shards->shards()) total += one.total_uvu(0);
    looks_[i].status->mutable_ledger()->set_total_uvu(0, total);
    looks_[i].status->mutable_ledger()->set_digest(total);
  }
  void Sever(std::size_t i, std::size_t j) {
    for (const auto& [from, to] : {std::pair(i, j), std::pair(j, i)}) {
      looks_[from].faults.add_severed("127.0.0.1:" + std::to_string(1'000 + to));
    }
  }

  // A cycle later.
  v1::Sample Look() {
    ++cycle_;
    for (TestnetLook& look : looks_) {
      if (look.status) look.status->set_cycle(cycle_);
    }
    measurement_.Add(static_cast<double>(looked_++) / 10, looks_);
    return measurement_.Now();
  }
  v1::MicroNodeStatus* Work(std::size_t i) { return looks_[i].status->mutable_work(); }

  TestnetReport measurement_;
  std::vector<TestnetLook> looks_;
  std::uint64_t cycle_ = 1'000, sessions_ = 0;
  int looked_ = 0;
};

const v1::ThresholdResult& Result(const v1::Summary& summary, const std::string& metric) {
  static const v1::ThresholdResult none;
  for (const v1::ThresholdResult& result : summary.thresholds()) {
    if (result.metric() == metric) return result;
  }
  ADD_FAILURE() << "no threshold on " << metric;
  return none;
}

TEST_F(Testnet3, AQuietTestnetPasses) {
  Look();
  Look();
  measurement_.Mark();
  Look();
  EXPECT_TRUE(measurement_.Settled());
  const v1::RunReport report = measurement_.Finish(true);
  EXPECT_TRUE(report.summary().passed()) << report.summary().DebugString();
  EXPECT_EQ(report.summary().cycles(), 2u);
  EXPECT_EQ(report.summary().micro_nodes(), 30u);
  EXPECT_EQ(report.summary().replicas(), 60u);
  EXPECT_EQ(report.summary().server_nodes(), 3u);
  EXPECT_EQ(report.samples_size(), 3);
  EXPECT_EQ(report.faults_size(), 0);
  EXPECT_THAT(report.regions(), ElementsAre("eu", "us"));
  EXPECT_EQ(report.summary().nodes(1).state(), "SERVING");
  EXPECT_EQ(report.summary().nodes(1).region(), "us");
}

TEST_F(Testnet3, AnInterruptedRecordingDoesNotPass) {
  Look();
  EXPECT_FALSE(measurement_.Finish(false).summary().passed());
}

// Two replicas a node and coordinate, d apart on either side of its mean: the variance over all follows from the
// distances within the nodes and between them.
TEST_F(Testnet3, Paper6_SpreadIsThatOfTheReplicasOfAllProcesses) {
  for (std::size_t i = 0; i < 3; ++i) {
    for (v1::Shard& shard : *looks_[i].shards->mutable_shards()) {
      v1::Coordinate* free = shard.mutable_coordinates(1);
      free->set_replicas(2);
      free->set_mean(100 + 30.0 * (static_cast<double>(i) - 1));
      free->set_squares(2 * 5 * 5);
    }
  }
  v1::Sample row = Look();
  const double variance = 5 * 5 + 2.0 / 3 * 30 * 30;
  EXPECT_NEAR(row.free_spread_relative(), std::sqrt(variance) / (200 / std::sqrt(12.0)), 1e-12);
  EXPECT_EQ(row.value_spread_relative(), 0);
  EXPECT_NEAR(row.node_distance_relative(), 30.0 / 200, 1e-12) << "the outer two are this far from the mean";
  EXPECT_FALSE(measurement_.Settled());
  for (std::size_t i = 0; i < 3; ++i) {
    for (v1::Shard& shard : *looks_[i].shards->mutable_shards()) {
      shard.mutable_coordinates(1)->set_mean(100);
      shard.mutable_coordinates(1)->set_squares(0);
    }
  }
  row = Look();
  EXPECT_EQ(row.free_spread_relative(), 0);
  EXPECT_TRUE(measurement_.Settled());
}

TEST_F(Testnet3, ValueOfANodeIsItsLedgerAndItsDrift) {
  Hold(0, 0, 3'000'000);
  Hold(1, 0, 3'000'000);
  Hold(2, 0, 1'500'000);
  looks_[2].shards->mutable_shards(0)->mutable_coordinates(0)->set_mean(0.75);
  looks_[2].shards->mutable_shards(0)->set_worst_value_vu(1);
  const v1::Sample row = Look();
  EXPECT_EQ(row.accepted_uvu(), 3'000'000u) << "what any node holds";
  EXPECT_EQ(row.held_uvu(), 1'500'000u);
  EXPECT_EQ(row.behind_uvu(), 1'500'000u);
  EXPECT_NEAR(row.effective_uvu(), (3 + 3 + 2.25) / 3 * 1e6, 1e-3);
  EXPECT_NEAR(row.effective_error_relative(), (1 + 1.5) / 3, 1e-12);
  EXPECT_NEAR(row.node_distance_relative(), 0.5 / 3, 1e-12);
  EXPECT_EQ(row.ledgers(), 2u);
  const v1::RunReport report = measurement_.Finish(true);
  EXPECT_DOUBLE_EQ(report.nodes(2).effective_vu(0), 2.25);
  EXPECT_NEAR(report.nodes(2).distance_relative(0), 0.5 / 3, 1e-12);
  EXPECT_EQ(report.summary().nodes(2).behind_uvu(), 1'500'000u);
  EXPECT_FALSE(Result(report.summary(), "ledger.missing_uvu").passed());
  EXPECT_FALSE(report.summary().passed());
}

// A load that goes on must not keep a report from its verdict: only what was held at the mark has to arrive.
TEST_F(Testnet3, OnlyWhatWasHeldAtTheMarkCanBeMissing) {
  for (std::uint64_t i = 0; i < 3; ++i) Hold(i, 0, 1'000);
  Look();
  measurement_.Mark();
  Hold(0, 0, 9'000);
  EXPECT_EQ(Look().behind_uvu(), 8'000u);
  EXPECT_TRUE(measurement_.Settled());
  EXPECT_EQ(measurement_.Finish(true).summary().ledger().missing_uvu(), 0u);
}

TEST_F(Testnet3, WhatReplicasLackIsNotHeld) {
  for (std::uint64_t i = 0; i < 3; ++i) Hold(i, 1, 1'000);
  looks_[1].shards->mutable_shards(1)->set_behind_slot_uvu(0, 400);
  EXPECT_EQ(Look().held_uvu(), 600u);
  EXPECT_FALSE(measurement_.Settled());
}

TEST_F(Testnet3, Chain5_AKilledNodeIsABandAndItsReturnARecovery) {
  for (std::uint64_t i = 0; i < 3; ++i) Hold(i, 0, 1'000);
  Look();
  Down(1);
  v1::Sample row = Look();
  EXPECT_EQ(row.nodes_serving(), 2u);
  EXPECT_EQ(row.alive(), 20u);
  EXPECT_EQ(row.behind_uvu(), 0u) << "who is away is not behind";
  Serve(1);
  Look();  // it serves, and has nothing yet
  Look();
  Hold(1, 0, 1'000);
  row = Look();
  const v1::RunReport report = measurement_.Finish(true);
  ASSERT_EQ(report.faults_size(), 1);
  EXPECT_EQ(report.faults(0).kind(), "outage");
  EXPECT_EQ(report.faults(0).label(), "node 1 killed");
  EXPECT_DOUBLE_EQ(report.faults(0).from_seconds(), 0);
  EXPECT_DOUBLE_EQ(report.faults(0).to_seconds(), 0.2);
  ASSERT_EQ(report.summary().recoveries_size(), 1);
  EXPECT_EQ(report.summary().recoveries(0).after(), "outage");
  EXPECT_NEAR(report.summary().recoveries(0).seconds(), 0.2, 1e-12);
  EXPECT_EQ(report.summary().nodes(1).starts(), 2u);
  EXPECT_TRUE(report.summary().passed());
  EXPECT_TRUE(std::isnan(report.nodes(1).effective_vu(1))) << "a gap while it was away";
}

TEST_F(Testnet3, ANodeThatDrainedEndedAndOneThatIsDownAtTheEndIsNotJudged) {
  Look();
  Down(2, /*drained=*/true);
  Look();
  EXPECT_TRUE(measurement_.Settled());
  const v1::RunReport report = measurement_.Finish(true);
  EXPECT_EQ(report.faults(0).label(), "node 2 ended");
  EXPECT_EQ(report.summary().nodes(2).state(), "does not run");
  EXPECT_TRUE(report.summary().passed());
}

TEST_F(Testnet3, ANodeThatRunsAndDoesNotServeFails) {
  Look();
  looks_[0].status->set_state(v1::SYNCING);
  Look();
  EXPECT_FALSE(measurement_.Settled());
  v1::RunReport report = measurement_.Finish(true);
  EXPECT_EQ(Result(report.summary(), "nodes.not_serving").value(), 1);
  EXPECT_FALSE(report.summary().passed());
}

TEST_F(Testnet3, ARestartBetweenTwoLooksIsSeen) {
  Look();
  Serve(1);
  Look();
  const v1::RunReport report = measurement_.Finish(true);
  ASSERT_EQ(report.faults_size(), 1);
  EXPECT_EQ(report.faults(0).label(), "node 1 restarted");
}

TEST_F(Testnet3, Paper8_APartitionIsABandUntilItIsHealed) {
  Look();
  Sever(0, 2);
  Sever(1, 2);
  Look();
  Look();
  for (TestnetLook& look : looks_) look.faults.Clear();
  Look();
  const v1::RunReport report = measurement_.Finish(true);
  ASSERT_EQ(report.faults_size(), 1);
  EXPECT_EQ(report.faults(0).label(), "partition 0,1/2");
  EXPECT_DOUBLE_EQ(report.faults(0).from_seconds(), 0.1);
  EXPECT_DOUBLE_EQ(report.faults(0).to_seconds(), 0.3);
  EXPECT_EQ(report.summary().recoveries(0).after(), "partition");
}

TEST_F(Testnet3, WhatDidNotRecoverIsSaid) {
  Look();
  Sever(0, 1);
  Look();
  looks_[0].faults.Clear();
  looks_[1].faults.Clear();
  Hold(0, 0, 500);
  Look();
  Look();
  const v1::RunReport report = measurement_.Finish(true);
  ASSERT_EQ(report.summary().recoveries_size(), 1);
  EXPECT_EQ(report.summary().recoveries(0).seconds(), -1);
}

// ---- Counters ----

TEST_F(Testnet3, Spec12_CountsAreThoseOfTheRecording) {
  for (std::size_t i = 0; i < 3; ++i) {
    looks_[i].status->set_uptime_s(100);
    Work(i)->set_state_diff_bytes(1'000'000);
    Work(i)->set_micro_node_cycles(5'000);
    looks_[i].status->mutable_ledger()->set_accepted(77);
    (*looks_[i].status->mutable_refused())["stale"] = 9;
  }
  EXPECT_EQ(Look().contributions(), 0u) << "what was before is not counted";
  // A cycle: 10 micro-nodes a node, each sends 50 bytes; on top 200 bytes between the nodes.
  for (std::size_t i = 0; i < 3; ++i) {
    Work(i)->set_state_diff_bytes(1'000'500);
    Work(i)->set_micro_node_cycles(5'010);
  }
  looks_[0].status->mutable_traffic()->set_bytes_sent(600);
  looks_[0].status->mutable_traffic()->set_frames_received(10);
  looks_[0].status->mutable_traffic()->set_frames_lost(1);
  looks_[1].status->mutable_ledger()->set_accepted(80);
  (*looks_[2].status->mutable_refused())["stale"] = 10;
  (*looks_[2].status->mutable_refused())["wrong_dimension"] = 2;
  const v1::Sample row = Look();
  EXPECT_EQ(row.contributions(), 3u);
  EXPECT_EQ(row.refused(), 3u);
  EXPECT_DOUBLE_EQ(row.loss_ratio(), 0.1);
  EXPECT_NEAR(row.bytes_per_node_minute(), (3 * 500 + 600) / (30 * 0.1 / 60), 1e-9);
  const v1::Summary summary = measurement_.Finish(true).summary();
  EXPECT_EQ(summary.ledger().contributions(), 3u);
  EXPECT_EQ(summary.nodes(1).accepted(), 3u);
  EXPECT_EQ(summary.vaultguard().refused().at("stale"), 1u);
  EXPECT_EQ(summary.vaultguard().refused().at("wrong_dimension"), 2u);
}

TEST_F(Testnet3, CountersOfARestartedNodeBeginAnew) {
  looks_[0].status->set_uptime_s(100);
  looks_[0].status->mutable_ledger()->set_accepted(1'000);
  Look();
  Serve(0);
  looks_[0].status->mutable_ledger()->set_accepted(5);
  EXPECT_EQ(Look().contributions(), 5u);
}

TEST_F(Testnet3, Spec12_ASilentTestnetMaySendFiftyKilobytesAMicroNodeAndMinute) {
  for (int cycle = 0; cycle < 3; ++cycle) {
    Work(0)->set_state_diff_bytes(Work(0)->state_diff_bytes() + 10 * 90);  // 54 KB
    Work(0)->set_micro_node_cycles(Work(0)->micro_node_cycles() + 10);
    Look();
  }
  EXPECT_FALSE(Result(measurement_.Finish(true).summary(), "bandwidth.bytes_per_node_minute").passed());
}

TEST_F(Testnet3, WhatALoadCostsIsNotJudged) {
  Look();
  looks_[0].status->mutable_ledger()->set_accepted(1);
  Work(0)->set_state_diff_bytes(1'000'000);
  Work(0)->set_micro_node_cycles(10);
  Look();
  EXPECT_TRUE(measurement_.Finish(true).summary().passed());
}

// ---- Loads ----

TEST_F(Testnet3, Test10_ALoadIsABandWithFiguresAndALimit) {
  Look();
  measurement_.BeginLoad(0.05, "load 100/s");
  measurement_.SetLatency(12, 34);
  EXPECT_EQ(Look().load_p99_ms(), 34);
  v1::LoadFigures figures;
  figures.set_offered(10);
  figures.set_acknowledged(9);
  measurement_.EndLoad(0.15, figures);
  EXPECT_FALSE(Look().has_load_p99_ms());
  const v1::RunReport report = measurement_.Finish(true);
  EXPECT_EQ(report.faults(0).kind(), "load");
  EXPECT_DOUBLE_EQ(report.faults(0).to_seconds(), 0.15);
  EXPECT_EQ(Result(report.summary(), "load.not_acknowledged").value(), 1);
  EXPECT_FALSE(report.summary().passed());
}

}  // namespace
}  // namespace lvs::services
