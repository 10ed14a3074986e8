// Crowds that settled before they heard each other (docs/protocol.md, "Why two bounds"): shard hosts of one shard, whose
// frames this test carries, loses and delays.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shard/hosting/shard_host.h"

namespace lvs::hosting {
namespace {

constexpr double kRange = 200;

using Sizes = std::vector<std::uint32_t>;  // replicas, by server node

class Crowds {
 public:
  Crowds(const Sizes& replicas, std::uint64_t seed) : replicas_(replicas) {
    const auto nodes = static_cast<std::uint32_t>(replicas.size());
    std::uint32_t all = 0;
    for (const std::uint32_t n : replicas) all += n;
    for (std::uint32_t node = 0; node < nodes; ++node) {
      ShardHostConfig config;
      config.node = node;
      config.nodes = nodes;
      config.seed = seed;
      config.shard.seed = shard::Mix(seed * 100 + node);
      config.shard.remote_share = 1 - static_cast<double>(replicas[node]) / all;
      config.layout = LayOut(node, std::vector<std::uint32_t>(nodes, kAmbassadors));
      config.replicas = replicas[node];
      config.ambassadors = kAmbassadors;
      config.resend_cycles.assign(nodes, 20);
      hosts_.push_back(std::make_unique<ShardHost>(std::move(config)));
      ticks_.emplace_back();
      measures_.emplace_back();
      group_.push_back(0);
    }
    Run(1);  // cycle 0: the state that was drawn
  }

  // Frames take so many cycles from now on.
  void SetDelay(std::uint64_t cycles) { delay_ = cycles; }
  // From now on a frame arrives only within its group, given by server node.
  void Cut(std::vector<int> group) { group_ = std::move(group); }
  void Heal() { group_.assign(hosts_.size(), 0); }
  // Orders for the next cycle.
  void Scatter() {
    for (ShardTick& tick : ticks_) tick.scatter = true;
  }
  void Restart(std::size_t node) {
    ticks_[node].restart = true;
    for (std::uint32_t n = 0; n < replicas_[node]; ++n) Order(node, n, RowCommand::Kind::kEnter);
  }
  // The first `share` of the replicas of every server node lie, or stop.
  void Lie(double share, Attack attack) {
    for (std::size_t node = 0; node < hosts_.size(); ++node) {
      for (std::uint32_t n = 0; n < share * replicas_[node]; ++n) {
        Order(node, n, attack == Attack::kNone ? RowCommand::Kind::kAttackOff : RowCommand::Kind::kAttackOn, attack);
      }
    }
  }

  void Run(int cycles) {
    for (int n = 0; n < cycles; ++n) Cycle();
  }
  // Standard deviation of the free coordinates of all honest replicas, relative to the start; the worst coordinate.
  double Spread() const {
    double worst = 0;
    for (std::size_t c = 2; c < 4; ++c) {
      shard::Moments all;
      for (const shard::Measure& measure : measures_) all.Merge(measure.moments[c]);
      worst = std::max(worst, std::sqrt(all.m2 / all.count) / (kRange / std::sqrt(12)));
    }
    return worst;
  }
  double SpreadOf(std::size_t node) const {
    return std::sqrt(measures_[node].moments[2].m2 / measures_[node].moments[2].count) / (kRange / std::sqrt(12));
  }
  // Runs until everybody agrees; how many cycles that took, or `limit`.
  int CyclesToAgree(int limit) {
    int cycles = 0;
    while (cycles < limit && Spread() > 1e-6) {
      Cycle();
      ++cycles;
    }
    return cycles;
  }

 private:
  static constexpr std::uint32_t kAmbassadors = 16;

  void Order(std::size_t node, std::uint32_t n, RowCommand::Kind kind, Attack attack = Attack::kNone) {
    ticks_[node].rows.push_back({kind, hosts_[node]->state().first_row() + n, attack});
  }
  void Cycle() {
    struct Sent {
      std::size_t from, to;
      Payload<shard::Frame> frame;
    };
    std::vector<Sent> sent;
    for (std::size_t node = 0; node < hosts_.size(); ++node) {
      ShardTick tick = std::exchange(ticks_[node], {});
      tick.cycle = cycle_;
      tick.measure = true;
      ShardReport report;
      hosts_[node]->Tick(tick, &report);
      measures_[node] = report.measure;
      for (ShardHost::Said& said : hosts_[node]->said()) sent.push_back({node, said.to, std::move(said.frame)});
    }
    for (Sent& s : sent) {
      if (group_[s.from] != group_[s.to]) continue;
      hosts_[s.to]->Receive({static_cast<std::uint32_t>(s.from), cycle_ + delay_, std::move(s.frame)});
    }
    ++cycle_;
  }

  Sizes replicas_;
  std::vector<std::unique_ptr<ShardHost>> hosts_;
  std::vector<ShardTick> ticks_;  // of the next cycle
  std::vector<shard::Measure> measures_;
  std::vector<int> group_;
  std::uint64_t cycle_ = 0;
  std::uint64_t delay_ = 1;
};

class Paper6_Crowds : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, Paper6_Crowds, ::testing::Values(1, 2, 3));

TEST_P(Paper6_Crowds, EightServerNodesOfOneReplica) {
  Crowds crowds(Sizes(8, 1), GetParam());
  EXPECT_LT(crowds.CyclesToAgree(200), 60);
}

TEST_P(Paper6_Crowds, TwoServerNodesOfTwoReplicas) {
  Crowds crowds(Sizes{2, 2}, GetParam());
  EXPECT_LT(crowds.CyclesToAgree(300), 120);
}

TEST_P(Paper6_Crowds, AFewLargeServerNodes) {
  Crowds crowds(Sizes{100, 100, 100}, GetParam());
  EXPECT_LT(crowds.CyclesToAgree(200), 30);
}

TEST_P(Paper6_Crowds, WhoStartsApartAgreesSoonAfterMeeting) {
  for (const int apart : {5, 100, 600}) {
    for (const Sizes& replicas : {Sizes{100, 100}, Sizes{160, 40}, Sizes{50, 50, 50, 50}}) {
      SCOPED_TRACE(std::to_string(apart) + " cycles, " + std::to_string(replicas.size()) + " server nodes");
      Crowds crowds(replicas, GetParam());
      crowds.Cut({0, 1, 2, 3});
      crowds.Run(apart);
      if (apart >= 600) {
        EXPECT_LT(crowds.SpreadOf(0), 1e-6);
        EXPECT_LT(crowds.SpreadOf(1), 1e-6);
      }
      EXPECT_GT(crowds.Spread(), 1e-3);
      crowds.Heal();
      EXPECT_LT(crowds.CyclesToAgree(300), 100);
    }
  }
}

// Two pairs that were cut off together used to hear only each other afterwards.
TEST_P(Paper6_Crowds, PairsThatWereCutOffTogether) {
  Crowds crowds(Sizes{50, 50, 50, 50}, GetParam());
  crowds.Cut({0, 0, 1, 1});
  crowds.Run(400);
  crowds.Heal();
  EXPECT_LT(crowds.CyclesToAgree(300), 100);
}

TEST_P(Paper6_Crowds, ScatteredWhileCut) {
  Crowds crowds(Sizes{100, 100, 100}, GetParam());
  crowds.Run(800);
  crowds.Cut({0, 0, 1});
  crowds.Run(200);  // what the others said last has no voice any more: it would lead both sides to the same place
  crowds.Scatter();
  crowds.Run(400);
  EXPECT_GT(crowds.Spread(), 1e-3);
  crowds.Heal();
  EXPECT_LT(crowds.CyclesToAgree(300), 100);
}

TEST_P(Paper6_Crowds, RestartedWhileCut) {
  Crowds crowds(Sizes{60, 60}, GetParam());
  crowds.Cut({0, 1});
  crowds.Run(100);
  crowds.Restart(1);
  crowds.Run(150);
  crowds.Heal();
  EXPECT_LT(crowds.CyclesToAgree(300), 150);
}

// Whoever is scattered or restarted is as young as at the start, and finds back once the lies stop.
TEST_P(Paper6_Crowds, ScatteredUnderLiarsThatStop) {
  for (const Sizes& replicas : {Sizes{480}, Sizes{160, 160, 160}}) {
    for (const int lies : {100, 600}) {
      SCOPED_TRACE(std::to_string(replicas.size()) + " server nodes, lies for " + std::to_string(lies) + " cycles");
      Crowds crowds(replicas, GetParam());
      crowds.Run(100);
      crowds.Lie(0.28, Attack::kStubborn);
      crowds.Run(1);
      crowds.Scatter();
      crowds.Run(lies);
      crowds.Lie(0.28, Attack::kNone);
      EXPECT_LT(crowds.CyclesToAgree(1000), 400) << crowds.Spread();
    }
  }
}

}  // namespace
}  // namespace lvs::hosting
