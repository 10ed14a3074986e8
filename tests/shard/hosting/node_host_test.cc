// The node host among stand-ins: the order of a cycle, and what a server node does when it dies and starts again.
#include "shard/hosting/node_host.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace lvs::hosting {
namespace {

using Kind = RowCommand::Kind;

constexpr std::uint32_t kShards = 4;

NodeTick At(std::uint64_t cycle) {
  NodeTick tick;
  tick.cycle = cycle;
  return tick;
}
// The region is out.
NodeTick OutAt(std::uint64_t cycle) {
  NodeTick tick = At(cycle);
  tick.alive = false;
  return tick;
}
NodeTick ChurnAt(std::uint64_t cycle, double share) {
  NodeTick tick = At(cycle);
  tick.churn_share = share;
  return tick;
}
NodeTick AttackedAt(std::uint64_t cycle) {
  NodeTick tick = At(cycle);
  tick.attacks_active = {{Attack::kStubborn, 0.3, 0}};
  return tick;
}

class NodeHostTest : public ::testing::Test {
 protected:
  void Make(std::uint32_t micro_nodes, std::size_t links = 0, std::uint32_t starts_with = 0) {
    SwarmConfig config;
    config.shards = kShards;
    config.shards_per_node = 2;
    config.seed = 5;
    Swarm swarm(config);
    swarm.Populate(micro_nodes);
    swarm.SetFirstRows(std::vector<std::uint32_t>(kShards, 0));
    host_ = std::make_unique<NodeHost>(NodeHostConfig{1, 5, starts_with}, std::move(swarm), kShards, links);
  }

  // One cycle without links; what the shards are asked for is in ticks_.
  NodeReport Cycle(const NodeTick& tick, bool synced = true) {
    ticks_.clear();
    if (host_->Begin(std::make_shared<const NodeTick>(tick))) {
      auto verdict = std::make_shared<Verdict>();
      for (std::uint32_t s = 0; s < kShards; ++s) {
        host_->FillTick(s, &ticks_.emplace_back());
        auto report = std::make_shared<ShardReport>();
        report->shard = s;
        report->synced = synced || s != 2;
        verdict->shards.push_back(std::move(report));
      }
      verdict->orders = orders_;
      EXPECT_FALSE(host_->Take(Payload<Verdict>(std::move(verdict))));
    }
    NodeReport report;
    host_->FillReport(&report);
    return report;
  }
  std::size_t Count(Kind kind) const {
    std::size_t count = 0;
    for (const ShardTick& tick : ticks_) {
      count += static_cast<std::size_t>(
          std::count_if(tick.rows.begin(), tick.rows.end(), [&](const RowCommand& c) { return c.kind == kind; }));
    }
    return count;
  }

  std::unique_ptr<NodeHost> host_;
  std::vector<ShardTick> ticks_;
  std::vector<std::pair<std::uint32_t, vaultguard::RecoveryAction>> orders_;
};

TEST_F(NodeHostTest, EachShardGetsItsPartOfTheTick) {
  Make(100);
  NodeTick tick;
  tick.cycle = 7;
  tick.loss = 0.25;
  tick.measure = true;
  tick.snapshot_dots = 80;
  for (std::uint32_t s = 0; s < kShards; ++s) tick.contributions.push_back({10 + s, s, 1, {}});
  const NodeReport report = Cycle(tick);
  for (std::uint32_t s = 0; s < kShards; ++s) {
    EXPECT_EQ(ticks_[s].cycle, 7u);
    EXPECT_EQ(ticks_[s].loss, 0.25);
    EXPECT_TRUE(ticks_[s].measure);
    EXPECT_FALSE(ticks_[s].restart);
    EXPECT_EQ(ticks_[s].snapshot_dots, s == 0 ? 80u : 0u);
    ASSERT_EQ(ticks_[s].contributions.size(), 1u);
    EXPECT_EQ(ticks_[s].contributions[0].id, 10 + s);
  }
  EXPECT_EQ(report.node, 1u);
  EXPECT_EQ(report.cycle, 7u);
  EXPECT_EQ(report.alive, 100u);
  EXPECT_EQ(report.replicas, 200u);
  ASSERT_NE(report.verdict, nullptr);
  Cycle(At(8));
  for (const ShardTick& next : ticks_) EXPECT_TRUE(next.contributions.empty()) << "given once";
}

TEST_F(NodeHostTest, CycleZeroIsTheStateBeforeAnythingHappens) {
  Make(100);
  NodeTick tick = ChurnAt(0, 0.5);
  tick.leave = {{.keep = 90}};
  const NodeReport report = Cycle(tick);
  EXPECT_EQ(report.alive, 100u);
  EXPECT_EQ(Count(Kind::kLeave), 0u);
}

TEST_F(NodeHostTest, ChurnReplacesAsManyAsLeave) {
  Make(100);
  const NodeReport report = Cycle(ChurnAt(1, 0.1));
  EXPECT_EQ(report.offline, 10u);
  EXPECT_EQ(report.online, 10u);
  EXPECT_EQ(report.alive, 100u);
  EXPECT_EQ(Count(Kind::kEnter), 20u);
  EXPECT_EQ(Count(Kind::kLeave), 20u);
}

TEST_F(NodeHostTest, ChurnOfMoreThanAllReplacesAll) {
  Make(100);
  Cycle(At(0));
  for (std::uint64_t cycle = 1; cycle < 12; ++cycle) {
    const NodeReport report = Cycle(ChurnAt(cycle, 2.5));
    EXPECT_EQ(report.alive, 100u) << "it must not grow";
    EXPECT_EQ(report.online, 100u);
    EXPECT_EQ(report.offline, 100u);
  }
}

TEST_F(NodeHostTest, AFractionOfAnEventHappensThatOften) {
  Make(100);
  std::uint64_t left = 0;
  for (std::uint64_t cycle = 1; cycle <= 400; ++cycle) left += Cycle(ChurnAt(cycle, 0.0025)).offline;
  EXPECT_NEAR(static_cast<double>(left), 100, 5 * 8.7);
}

TEST_F(NodeHostTest, Spec8_2_AnOrderIsCarriedOutInTheNextCycleOnce) {
  Make(100);
  orders_ = {{2, vaultguard::RecoveryAction::kRepinDrift}};
  Cycle(At(1));
  EXPECT_EQ(ticks_[2].recovery, vaultguard::RecoveryAction::kNone);
  orders_.clear();
  Cycle(At(2));
  EXPECT_EQ(ticks_[2].recovery, vaultguard::RecoveryAction::kRepinDrift);
  EXPECT_EQ(ticks_[1].recovery, vaultguard::RecoveryAction::kNone);
  Cycle(At(3));
  EXPECT_EQ(ticks_[2].recovery, vaultguard::RecoveryAction::kNone);
}

TEST_F(NodeHostTest, Arch4_AfterAnOutageMicroNodesEnterOnceAllShardsHaveTheLedger) {
  Make(100);
  Cycle(At(1));
  NodeReport report = Cycle(OutAt(2));
  EXPECT_EQ(report.offline, 100u);
  EXPECT_EQ(report.alive, 0u);
  EXPECT_EQ(report.verdict, nullptr);
  EXPECT_TRUE(ticks_.empty());
  EXPECT_EQ(Cycle(OutAt(3)).offline, 0u) << "they left once";

  report = Cycle(At(4), /*synced=*/false);
  for (const ShardTick& tick : ticks_) EXPECT_TRUE(tick.restart);
  EXPECT_EQ(report.alive, 0u);
  report = Cycle(At(5), /*synced=*/false);
  for (const ShardTick& tick : ticks_) EXPECT_FALSE(tick.restart);
  EXPECT_EQ(report.alive, 0u) << "one shard has not heard enough";
  EXPECT_EQ(Cycle(At(6), /*synced=*/true).alive, 0u) << "known from the next cycle on";
  report = Cycle(At(7));
  EXPECT_EQ(report.online, 100u);
  EXPECT_EQ(report.alive, 100u);
  EXPECT_EQ(Cycle(At(8)).online, 0u);
}

TEST_F(NodeHostTest, ASecondOutageForgetsNobodyWhoStillWaitsToEnter) {
  Make(100);
  Cycle(OutAt(1));
  Cycle(At(2), /*synced=*/false);
  Cycle(OutAt(3));
  Cycle(At(4));
  EXPECT_EQ(Cycle(At(5)).alive, 100u);
}

NodeTick LeaveAt(std::uint64_t cycle, std::uint32_t keep, std::uint64_t cycles) {
  NodeTick tick = At(cycle);
  tick.leave = {{.keep = keep, .cycles = cycles}};
  return tick;
}

TEST_F(NodeHostTest, TheyLeaveEvenlyUntilSoManyAreLeft) {
  Make(100);
  for (std::uint64_t cycle = 1; cycle <= 10; ++cycle) {
    EXPECT_EQ(Cycle(LeaveAt(cycle, 50, 11 - cycle)).alive, 100 - 5 * cycle);
  }
  // A second time it is counted from those that are left, and newcomers count like the others.
  NodeTick tick = LeaveAt(11, 10, 2);
  tick.enter = 40;
  EXPECT_EQ(Cycle(tick).alive, 50u - 20 + 40);
  EXPECT_EQ(Cycle(LeaveAt(12, 10, 1)).alive, 10u);
  EXPECT_EQ(Cycle(LeaveAt(13, 20, 1)).alive, 10u) << "nobody enters because more may stay";
}

TEST_F(NodeHostTest, TwoLeavesAtOnceLeaveTheFewer) {
  Make(100);
  NodeTick tick = LeaveAt(1, 30, 1);
  tick.leave.push_back({.keep = 10, .cycles = 1});
  EXPECT_EQ(Cycle(tick).alive, 10u);
}

TEST_F(NodeHostTest, Arch4_LeaversAndJoinersOfAnOutageCountOnceItIsOver) {
  Make(100);
  Cycle(OutAt(1));
  NodeTick tick = OutAt(2);
  tick.leave = {{.keep = 20, .cycles = 1}};
  Cycle(tick);
  tick = OutAt(3);
  tick.enter = 15;
  Cycle(tick);
  // The ledger is not there yet: who enters now waits like the others, and who leaves does not come.
  tick = At(4);
  tick.enter = 5;
  NodeReport report = Cycle(tick, /*synced=*/false);
  EXPECT_EQ(report.alive, 0u);
  EXPECT_EQ(report.waiting_to_enter, 40u);
  report = Cycle(LeaveAt(5, 30, 1));
  EXPECT_EQ(report.waiting_to_enter, 30u);
  report = Cycle(At(6));
  EXPECT_EQ(report.alive, 30u);
  EXPECT_EQ(report.waiting_to_enter, 0u);
}

TEST_F(NodeHostTest, ACountOfAdversariesOutlivesChurnAndOutages) {
  Make(100);
  const auto counted = [](std::uint64_t cycle) {
    NodeTick tick = ChurnAt(cycle, 0.2);
    tick.attacks_active = {{Attack::kDrain, 0, 45}};
    if (cycle == 1) tick.attacks_begin = tick.attacks_active;
    return tick;
  };
  for (std::uint64_t cycle = 1; cycle <= 50; ++cycle) EXPECT_EQ(Cycle(counted(cycle)).adversaries, 45u) << cycle;
  Cycle(OutAt(51));
  Cycle(counted(52));
  EXPECT_EQ(Cycle(counted(53)).adversaries, 45u);
}

TEST_F(NodeHostTest, AServerThatStartsFetchesTheLedgerFirst) {
  Make(0, 0, /*starts_with=*/50);
  EXPECT_EQ(Cycle(At(1)).alive, 0u);
  for (const ShardTick& tick : ticks_) EXPECT_TRUE(tick.restart);
  EXPECT_EQ(Cycle(At(2)).alive, 50u);
}

TEST_F(NodeHostTest, AttacksThatAreStillOnBeginAgainAfterAnOutage) {
  Make(100);
  NodeTick first = AttackedAt(1);
  first.attacks_begin = first.attacks_active;
  EXPECT_EQ(Cycle(first).adversaries, 30u);
  EXPECT_EQ(Count(Kind::kAttackOn), 60u);
  Cycle(OutAt(2));
  Cycle(AttackedAt(3));
  EXPECT_GT(Cycle(AttackedAt(4)).adversaries, 10u);
  NodeTick last = At(5);
  last.attacks_end = true;
  EXPECT_EQ(Cycle(last).adversaries, 0u);
}

TEST_F(NodeHostTest, LinksAreFlushedAfterTheVerdictAndTheLastOneEndsTheCycle) {
  Make(100, /*links=*/2);
  auto tick = std::make_shared<NodeTick>();
  tick->cycle = 3;
  tick->links.resize(3);
  tick->links[2].severed = true;
  ASSERT_TRUE(host_->Begin(Payload<NodeTick>(tick)));
  for (std::uint32_t s = 0; s < kShards; ++s) {
    ShardTick shard;
    host_->FillTick(s, &shard);
  }
  ASSERT_TRUE(host_->Take(std::make_shared<const Verdict>()));
  LinkFlush flush;
  host_->FillFlush(2, &flush);
  EXPECT_TRUE(flush.severed);
  EXPECT_FALSE(host_->Take(LinkReport{0, 1}));
  EXPECT_TRUE(host_->Take(LinkReport{2, 2}));
  NodeReport report;
  host_->FillReport(&report);
  ASSERT_EQ(report.links.size(), 2u);
  EXPECT_EQ(report.links[1].frames, 2u);

  ASSERT_TRUE(host_->Begin(std::make_shared<const NodeTick>(At(4))));
  ASSERT_TRUE(host_->Take(std::make_shared<const Verdict>()));
  flush = {};
  host_->FillFlush(2, &flush);
  EXPECT_EQ(flush.cycle, 4u);
  EXPECT_FALSE(flush.severed) << "a tick without links has nothing wrong with any";
  EXPECT_FALSE(host_->Take(LinkReport{})) << "counted anew";
}

}  // namespace
}  // namespace lvs::hosting
