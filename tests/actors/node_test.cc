// SpawnNode: actors wired as the emulator and a server process wire them. Two whole nodes, virtual links between them.
#include "actors/node.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "actors/peer_link_actor.h"

namespace lvs::actors {
namespace {

using hosting::ShardHostConfig;
using hosting::ShardLayout;
using hosting::Swarm;
using hosting::SwarmConfig;

constexpr std::uint32_t kNodes = 2;
constexpr std::uint32_t kShards = 3;
constexpr std::uint32_t kAmbassadors = 16;
constexpr std::uint32_t kReplicas = 100 * kShards;  // each of 100 micro-nodes holds all shards

NodeTick At(std::uint64_t cycle) {
  NodeTick tick;
  tick.cycle = cycle;
  return tick;
}

class NodeActorsTest : public ::testing::Test {
 protected:
  NodeActorsTest() : system_({2}), self_(*system_) {
    std::vector<std::vector<ShardActor>> shards;
    std::vector<Swarm> swarms;
    for (std::uint32_t n = 0; n < kNodes; ++n) {
      const ShardLayout layout = hosting::LayOut(n, std::vector<std::uint32_t>(kNodes, kAmbassadors));
      SwarmConfig config;
      config.shards = kShards;
      config.shards_per_node = kShards;
      config.seed = n + 1;
      swarms.emplace_back(config);
      const std::vector<std::uint32_t> replicas = swarms.back().Populate(100);
      swarms.back().SetFirstRows(std::vector<std::uint32_t>(kShards, layout.first_local));
      std::vector<ShardHostConfig> hosts(kShards);
      for (std::uint32_t s = 0; s < kShards; ++s) {
        hosts[s].node = n;
        hosts[s].nodes = kNodes;
        hosts[s].layout = layout;
        hosts[s].shard.shard = s;
        hosts[s].shard.seed = 10 * n + s;
        hosts[s].shard.remote_share = 0.5;
        hosts[s].replicas = replicas[s];
        hosts[s].seed = 5;
        hosts[s].ambassadors = kAmbassadors;
        hosts[s].resend_cycles.assign(kNodes, 20);
      }
      shards.push_back(SpawnShards(*system_, std::move(hosts)));
    }
    for (std::uint32_t n = 0; n < kNodes; ++n) {
      std::vector<PeerLinkActor> links(kNodes);
      links[1 - n] = SpawnVirtualLink(*system_, {n, 1 - n, 5, 100, {}}, shards[1 - n]);
      nodes_.push_back(SpawnNode(*system_, {.config = {n, n + 1, 0},
                                            .swarm = std::move(swarms[n]),
                                            .shards = shards[n],
                                            .links = std::move(links),
                                            .reporter = self_}));
    }
  }
  ~NodeActorsTest() override {
    for (NodeActors& node : nodes_) {
      node.End();
      node.End();  // idempotent
    }
  }

  // One cycle of both; the reports by server node.
  std::map<std::uint32_t, Payload<NodeReport>> Cycle(const NodeTick& tick) {
    for (const NodeActors& node : nodes_) node.Tick(tick);
    std::map<std::uint32_t, Payload<NodeReport>> reports;
    while (reports.size() < kNodes) {
      self_->receive([&](const Payload<NodeReport>& report) { reports[report->node] = report; });
    }
    return reports;
  }

  System system_;
  caf::scoped_actor self_;
  std::vector<NodeActors> nodes_;
};

TEST_F(NodeActorsTest, ACycleEndsWithOneReportThatHasEveryShardAndLink) {
  for (std::uint64_t cycle = 0; cycle < 30; ++cycle) {
    NodeTick tick = At(cycle);
    tick.measure = true;
    for (const auto& [node, report] : Cycle(tick)) {
      EXPECT_EQ(report->cycle, cycle);
      EXPECT_EQ(report->replicas, kReplicas);
      ASSERT_NE(report->verdict, nullptr);
      ASSERT_EQ(report->verdict->shards.size(), kShards);
      for (std::uint32_t s = 0; s < kShards; ++s) {
        EXPECT_EQ(report->verdict->shards[s]->shard, s);
        EXPECT_EQ(report->verdict->shards[s]->cycle, cycle);
        EXPECT_EQ(report->verdict->shards[s]->measure.replicas, 100u);
      }
      ASSERT_EQ(report->links.size(), cycle == 0 ? 0u : 1u);
      for (const hosting::LinkReport& link : report->links) EXPECT_EQ(link.to, 1 - node);
    }
  }
}

TEST_F(NodeActorsTest, WhatOneHoldsTheOtherHearsOverTheLink) {
  NodeTick tick;
  Cycle(tick);
  tick.cycle = 1;
  hosting::Contribution contribution;
  contribution.id = 7;
  contribution.shard = 2;
  contribution.needed_nodes = 2;
  contribution.entry.session = {1, 2};
  contribution.entry.opened_cycle = 1;
  contribution.entry.amount_uvu[0] = 5;
  tick.contributions = {contribution};
  nodes_[0].Tick(tick);
  tick.contributions.clear();
  nodes_[1].Tick(tick);
  for (std::uint32_t n = 0; n < kNodes; ++n) self_->receive([](const Payload<NodeReport>&) {});
  bool answered = false;
  for (tick.cycle = 2; tick.cycle < 40; ++tick.cycle) {
    const auto reports = Cycle(tick);
    for (const Answer& answer : reports.at(0)->verdict->shards[2]->answers) {
      EXPECT_EQ(answer.id, 7u);
      EXPECT_EQ(answer.nodes, 2u);
      EXPECT_EQ(reports.at(1)->verdict->shards[2]->total_uvu[0], 5);
      answered = true;
    }
  }
  EXPECT_TRUE(answered);
}

TEST_F(NodeActorsTest, ANodeThatIsOutReportsAndTheOtherGoesOn) {
  Cycle(At(0));
  for (std::uint64_t cycle = 1; cycle < 5; ++cycle) {
    NodeTick out = At(cycle);
    out.alive = false;
    nodes_[0].Tick(out);
    nodes_[1].Tick(At(cycle));
    std::map<std::uint32_t, Payload<NodeReport>> reports;
    while (reports.size() < kNodes) {
      self_->receive([&](const Payload<NodeReport>& report) { reports[report->node] = report; });
    }
    EXPECT_EQ(reports[0]->verdict, nullptr);
    EXPECT_EQ(reports[0]->alive, 0u);
    EXPECT_EQ(reports[1]->alive, 100u);
  }
}

TEST(ActorsDeathTest, AnExceptionInAnActorEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  // Without EndProcessOnException CAF ends this actor alone, and whoever waits for its answer waits for ever.
  EXPECT_DEATH(
      {
        System system({2});
        caf::scoped_actor self(*system);
        const caf::actor thrower = (*system).spawn([](caf::event_based_actor* actor) -> caf::behavior {
          EndProcessOnException(actor);
          return {[](int) { throw std::runtime_error("no way on"); }};
        });
        self->send(thrower, 1);
        self->receive([](int) {}, caf::after(std::chrono::seconds(20)) >> [] {});
      },
      "no way on");
}

}  // namespace
}  // namespace lvs::actors
