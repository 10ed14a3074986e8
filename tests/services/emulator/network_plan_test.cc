#include "services/emulator/network_plan.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

namespace lvs::services {
namespace {

v1::Scenario Scenario(std::uint32_t micro_nodes) {
  v1::Scenario scenario;
  scenario.set_seed(7);
  scenario.mutable_cycle()->set_period_us(100'000);
  scenario.mutable_cycle()->set_count(50);
  scenario.mutable_state()->set_shards(4);
  scenario.mutable_state()->set_value_slots(2);
  scenario.mutable_state()->set_free_coordinates(2);
  scenario.mutable_state()->set_replicas_min(3);
  scenario.mutable_drift()->set_peers(8);
  scenario.mutable_population()->set_micro_nodes(micro_nodes);
  scenario.mutable_population()->set_shards_per_node(2);
  for (const char* region : {"us", "eu", "asia"}) {
    (*scenario.mutable_population()->mutable_regions())[region] = 1.0 / 3;
  }
  return scenario;
}

v1::RegionLink* AddLink(v1::Scenario* scenario, const std::vector<std::string>& regions, std::int64_t latency_us) {
  v1::RegionLink* link = scenario->mutable_links()->add_between();
  for (const std::string& region : regions) link->add_regions(region);
  link->set_latency_us(latency_us);
  return link;
}

TEST(Regions, AreSortedAndHoldEveryMicroNode) {
  for (const std::uint32_t micro_nodes : {3u, 100u, 101u, 1000u}) {
    const Regions regions(Scenario(micro_nodes));
    EXPECT_EQ(regions.names, (std::vector<std::string>{"asia", "eu", "us"}));
    EXPECT_EQ(std::accumulate(regions.population.begin(), regions.population.end(), 0u), micro_nodes);
  }
  EXPECT_EQ(Regions(Scenario(101)).population, (std::vector<std::uint32_t>{34, 34, 33})) << "the rest goes first";
}

TEST(NetworkPlan, AShardsHaloHasTheAmbassadorsOfTheOthers) {
  const v1::Scenario scenario = Scenario(6000);
  const std::vector<NodePlan> plan = PlanNetwork(scenario, Regions(scenario));
  ASSERT_EQ(plan.size(), 3u);
  std::uint32_t replicas = 0;
  for (std::uint32_t n = 0; n < 3; ++n) {
    EXPECT_EQ(plan[n].host.node, n);
    ASSERT_EQ(plan[n].shards.size(), 4u);
    EXPECT_EQ(plan[n].swarm.alive(), 2000u);
    for (std::uint32_t s = 0; s < 4; ++s) {
      const hosting::ShardHostConfig& shard = plan[n].shards[s];
      EXPECT_EQ(shard.node, n);
      EXPECT_EQ(shard.shard.shard, s);
      EXPECT_EQ(shard.last_cycle, 50u);
      EXPECT_NEAR(shard.shard.remote_share, 2.0 / 3, 0.05);
      replicas += shard.replicas;
      for (std::uint32_t other = 0; other < 3; ++other) {
        EXPECT_EQ(shard.layout.halo_count[other], other == n ? 0 : plan[other].shards[s].ambassadors);
      }
      EXPECT_EQ(shard.ambassadors, std::max(32u, shard.replicas / 32));
    }
  }
  EXPECT_EQ(replicas, 12'000u);
}

TEST(NetworkPlan, AFewReplicasHaveEnoughAmbassadorsAndMillionsNotTooMany) {
  const v1::Scenario few = Scenario(3);
  EXPECT_EQ(PlanNetwork(few, Regions(few))[0].shards[0].ambassadors, 16u);
  const v1::Scenario three = Scenario(300);
  EXPECT_EQ(PlanNetwork(three, Regions(three))[0].shards[0].ambassadors, 32u) << "64 of both others";
  v1::Scenario two = Scenario(400);
  two.mutable_population()->clear_regions();
  for (const char* region : {"eu", "us"}) (*two.mutable_population()->mutable_regions())[region] = 0.5;
  EXPECT_EQ(PlanNetwork(two, Regions(two))[0].shards[0].ambassadors, 64u) << "of the only other";
  const v1::Scenario many = Scenario(300'000);
  EXPECT_EQ(PlanNetwork(many, Regions(many))[0].shards[0].ambassadors, 1024u);
}

TEST(NetworkPlan, ALoneRegionSpeaksToNobody) {
  v1::Scenario scenario = Scenario(100);
  scenario.mutable_population()->clear_regions();
  (*scenario.mutable_population()->mutable_regions())["eu"] = 1;
  const std::vector<NodePlan> plan = PlanNetwork(scenario, Regions(scenario));
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_TRUE(plan[0].links.empty());
  EXPECT_EQ(plan[0].shards[0].ambassadors, 0u);
  EXPECT_EQ(plan[0].shards[0].layout.halo_rows, 0u);
  EXPECT_EQ(plan[0].shards[0].shard.remote_share, 0);
}

// A row of two regions holds in both directions; a row without regions holds for all others.
TEST(NetworkPlan, LinksHaveTheQualityOfTheirRegionsAndNewsWaitsForARoundTrip) {
  v1::Scenario scenario = Scenario(100);
  const auto link = [&](std::uint32_t from, std::uint32_t to) {
    const std::vector<NodePlan> plan = PlanNetwork(scenario, Regions(scenario));
    for (const hosting::VirtualLinkConfig& l : plan[from].links) {
      if (l.to == to) return l;
    }
    ADD_FAILURE() << "no link";
    return hosting::VirtualLinkConfig{};
  };
  constexpr std::uint32_t kAsia = 0, kEu = 1, kUs = 2;
  EXPECT_EQ(link(kEu, kUs).quality.latency_ms, 80) << "nothing is said";
  AddLink(&scenario, {}, 30'000);
  AddLink(&scenario, {"us", "eu"}, 45'000)->set_jitter_us(5'000);
  EXPECT_EQ(link(kEu, kUs).quality.latency_ms, 45);
  EXPECT_EQ(link(kUs, kEu).quality.jitter_ms, 5);
  EXPECT_EQ(link(kAsia, kEu).quality.latency_ms, 30);
  EXPECT_EQ(link(kAsia, kEu).from, kAsia);
  EXPECT_DOUBLE_EQ(link(kAsia, kEu).period_ms, 100);

  const hosting::ShardHostConfig shard = PlanNetwork(scenario, Regions(scenario))[kEu].shards[0];
  EXPECT_EQ(shard.resend_cycles[kUs], 21u);
  EXPECT_EQ(shard.resend_cycles[kAsia], 20u);
  EXPECT_EQ(shard.round_trip_cycles[kUs], 2u);
  EXPECT_EQ(shard.round_trip_cycles[kAsia], 2u);
  AddLink(&scenario, {"asia", "eu"}, 190'000)->set_jitter_us(20'000);
  EXPECT_EQ(PlanNetwork(scenario, Regions(scenario))[kEu].shards[0].round_trip_cycles[kAsia], 6u);
}

}  // namespace
}  // namespace lvs::services
