#include "services/emulator/network_plan.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "shard/hosting/ambassadors.h"
#include "shard/random.h"

namespace lvs::services {

namespace {

using hosting::LinkQuality;
using hosting::ShardHostConfig;
using hosting::ShardLayout;
using hosting::Swarm;
using hosting::SwarmConfig;
using shard::Draw;
using shard::Stream;

// The latency between regions without a link of their own, where the scenario names no other default.
constexpr double kLatencyMs = 80;
// Unacknowledged news is sent again after a round trip plus this many cycles.
constexpr std::uint32_t kResendCycles = 20;

double PeriodMs(const v1::Scenario& scenario) {
  return static_cast<double>(scenario.cycle().period_us()) * 1e-6 * 1000;
}

LinkQuality QualityBetween(const v1::Scenario& scenario, const std::string& a, const std::string& b) {
  const auto convert = [](const v1::RegionLink& row) {
    return LinkQuality{static_cast<double>(row.latency_us()) / 1000, static_cast<double>(row.jitter_us()) / 1000,
                       row.loss(), row.duplicate(), row.reorder()};
  };
  LinkQuality quality;
  quality.latency_ms = kLatencyMs;
  for (const v1::RegionLink& row : scenario.links().between()) {
    if (row.regions_size() == 0) quality = convert(row);
  }
  for (const v1::RegionLink& row : scenario.links().between()) {
    if (row.regions_size() == 2 &&
        ((row.regions(0) == a && row.regions(1) == b) || (row.regions(0) == b && row.regions(1) == a))) {
      return convert(row);
    }
  }
  return quality;
}

shard::DriftParameters ParametersOf(const v1::Scenario& scenario) {
  shard::DriftParameters parameters;
  parameters.alpha = static_cast<float>(scenario.drift().alpha());
  parameters.beta = static_cast<float>(scenario.drift().beta());
  parameters.ledger_weight = static_cast<float>(scenario.drift().ledger_weight());
  parameters.bound_factor = static_cast<float>(scenario.drift().bound_factor());
  parameters.bound_factor_free = parameters.bound_factor / 3;
  parameters.plain = scenario.rule() == v1::PLAIN;
  return parameters;
}

// Builds the plan. The placement on every server node comes first, because a shard's halo depends on all of them.
class Planner {
 public:
  Planner(const v1::Scenario& scenario, const Regions& regions) : scenario_(scenario), regions_(regions) {
    for (std::uint32_t n = 0; n < regions_.size(); ++n) {
      SwarmConfig config;
      config.shards = scenario_.state().shards();
      config.shards_per_node = std::min(scenario_.population().shards_per_node(), config.shards);
      config.replicas_min = scenario_.state().replicas_min();
      config.seed = NodeSeed(n);
      swarms_.emplace_back(config);
      replicas_.push_back(swarms_.back().Populate(regions_.population[n]));
    }
  }

  NodePlan Node(std::uint32_t node) {
    NodePlan plan{{node, NodeSeed(node)}, std::move(swarms_[node]), {}, {}};
    std::vector<std::uint32_t> first_rows;
    for (std::uint32_t s = 0; s < scenario_.state().shards(); ++s) {
      plan.shards.push_back(ShardOf(node, s));
      first_rows.push_back(plan.shards.back().layout.first_local);
    }
    plan.swarm.SetFirstRows(std::move(first_rows));
    for (std::uint32_t to = 0; to < regions_.size(); ++to) {
      if (to != node) plan.links.push_back({node, to, scenario_.seed(), PeriodMs(scenario_), Quality(node, to)});
    }
    return plan;
  }

 private:
  std::uint64_t NodeSeed(std::uint32_t node) const { return Draw(scenario_.seed(), Stream::kRegion, node, 0); }
  LinkQuality Quality(std::uint32_t a, std::uint32_t b) const {
    return QualityBetween(scenario_, regions_.names[a], regions_.names[b]);
  }

  ShardHostConfig ShardOf(std::uint32_t node, std::uint32_t s) const {
    const std::uint32_t nodes = regions_.size();
    std::vector<std::uint32_t> ambassadors;
    std::uint64_t remote = 0;
    ShardHostConfig config;
    for (std::uint32_t other = 0; other < nodes; ++other) {
      ambassadors.push_back(hosting::AmbassadorsOf(replicas_[other][s], nodes));
      if (other != node) remote += replicas_[other][s];
      const LinkQuality quality = Quality(node, other);
      const double one_way_ms = quality.latency_ms + quality.jitter_ms;
      config.resend_cycles.push_back(kResendCycles + static_cast<std::uint32_t>(2 * one_way_ms / PeriodMs(scenario_)));
      // A frame takes whole cycles, one at least (hosting::VirtualLink).
      const double one_way_cycles = std::ceil(one_way_ms / PeriodMs(scenario_));
      config.round_trip_cycles.push_back(2 * std::max(1u, static_cast<std::uint32_t>(one_way_cycles)));
    }
    config.node = node;
    config.nodes = nodes;
    config.layout = hosting::LayOut(node, ambassadors);
    config.seed = scenario_.seed();
    config.last_cycle = scenario_.cycle().count();
    config.replicas = replicas_[node][s];
    config.opening_balance_uvu = scenario_.state().opening_balance_uvu();
    config.ambassadors = nodes > 1 ? ambassadors[node] : 0;
    config.shard = StateOf(node, s, remote);
    return config;
  }

  shard::StateShardConfig StateOf(std::uint32_t node, std::uint32_t s, std::uint64_t remote) const {
    shard::StateShardConfig shard;
    shard.shard = s;
    shard.shape = ShapeOf(scenario_);
    shard.drift = ParametersOf(scenario_);
    shard.shuffle = scenario_.drift().shuffle();
    shard.seed = Draw(scenario_.seed(), Stream::kInitialState, (std::uint64_t{node} << 32) | s, ~0ull);
    shard.remote_share =
        remote == 0 ? 0.0 : static_cast<double>(remote) / static_cast<double>(remote + replicas_[node][s]);
    shard.value_spread = static_cast<float>(static_cast<double>(scenario_.state().value_spread_uvu()) * 1e-6);
    shard.coordinate_range = static_cast<float>(scenario_.state().coordinate_range());
    return shard;
  }

  const v1::Scenario& scenario_;
  const Regions& regions_;
  std::vector<Swarm> swarms_;                         // by server node
  std::vector<std::vector<std::uint32_t>> replicas_;  // by server node and shard
};

}  // namespace

Regions::Regions(const v1::Scenario& scenario) {
  // The set sorts the regions, because a protobuf map has no order.
  std::set<std::string> sorted;
  for (const auto& [name, share] : scenario.population().regions()) sorted.insert(name);
  names.assign(sorted.begin(), sorted.end());

  const std::uint32_t all = scenario.population().micro_nodes();
  std::uint32_t given = 0;
  for (const std::string& name : names) {
    population.push_back(static_cast<std::uint32_t>(scenario.population().regions().at(name) * all + 1e-9));
    given += population.back();
  }
  for (std::size_t n = 0; given < all; n = (n + 1) % population.size(), ++given) ++population[n];
}

shard::Shape ShapeOf(const v1::Scenario& scenario) {
  return {static_cast<int>(scenario.state().value_slots()), static_cast<int>(scenario.state().free_coordinates()),
          static_cast<int>(scenario.drift().peers())};
}

std::vector<NodePlan> PlanNetwork(const v1::Scenario& scenario, const Regions& regions) {
  Planner planner(scenario, regions);
  std::vector<NodePlan> plan;
  for (std::uint32_t node = 0; node < regions.size(); ++node) plan.push_back(planner.Node(node));
  return plan;
}

}  // namespace lvs::services
