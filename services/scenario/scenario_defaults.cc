#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "services/scenario/checker.h"
#include "services/scenario/metrics.h"
#include "services/scenario/scenario.h"

namespace lvs::services {
namespace {

constexpr ScenarioDefaults kDefaults;
void FillState(v1::Scenario& scenario, const auto& unset) {
  v1::State& state = *scenario.mutable_state();
  if (unset(state.shards(), "state.shards")) state.set_shards(kDefaults.shards);
  if (unset(state.value_slots(), "state.value_slots")) state.set_value_slots(kDefaults.value_slots);
  if (unset(state.replicas_min(), "state.replicas_min")) {
    state.set_replicas_min(std::max(1u, std::min(kDefaults.replicas_min, scenario.population().micro_nodes())));
  }
  if (!state.has_opening_balance_uvu()) state.set_opening_balance_uvu(kDefaults.opening_balance_uvu);
  if (!state.has_value_spread_uvu()) {
    state.set_value_spread_uvu(std::min(kDefaults.value_spread_uvu, state.opening_balance_uvu()));
  }
  if (!state.has_coordinate_range()) state.set_coordinate_range(kDefaults.coordinate_range);
}

void FillDrift(v1::Drift& drift, const auto& unset) {
  constexpr const DriftDefaults& defaults = kDefaults.drift;
  if (unset(drift.peers(), "drift.peers")) drift.set_peers(defaults.peers);
  if (!drift.has_alpha()) drift.set_alpha(defaults.alpha);
  if (!drift.has_beta()) drift.set_beta(defaults.beta);
  if (!drift.has_ledger_weight()) drift.set_ledger_weight(defaults.ledger_weight);
  if (!drift.has_bound_factor()) drift.set_bound_factor(defaults.bound_factor);
  if (!drift.has_shuffle()) drift.set_shuffle(defaults.shuffle);
}

// One row for every unordered pair of regions. Rows that make no sense stay as they are, for ValidateScenario to
// refuse.
void ExpandLinks(v1::Scenario& scenario, const YamlOrigin& origin) {
  v1::Links& links = *scenario.mutable_links();
  links.mutable_within();
  Checker check(scenario, origin);
  CheckLinks(check);
  if (!check.status().ok()) return;
  v1::RegionLink otherwise;
  otherwise.set_latency_us(kDefaults.between_latency_us);
  std::map<RegionPair, v1::RegionLink> rows;
  for (const v1::RegionLink& row : links.between()) {
    if (row.regions().empty()) {
      otherwise = row;
    } else {
      rows[PairOf(row)] = row;
    }
  }
  links.clear_between();
  const std::vector<std::string> regions = RegionNames(scenario);
  for (std::size_t i = 0; i < regions.size(); ++i) {
    for (std::size_t k = i + 1; k < regions.size(); ++k) {
      v1::RegionLink& row = *links.add_between();
      const auto given = rows.find({regions[i], regions[k]});
      row = given == rows.end() ? otherwise : given->second;
      row.clear_regions();
      row.add_regions(regions[i]);
      row.add_regions(regions[k]);
    }
  }
}

void FillWorkload(v1::Scenario& scenario, const auto& unset) {
  v1::Workload& workload = *scenario.mutable_workload();
  if (unset(workload.acknowledge_nodes(), "workload.acknowledge_nodes")) {
    const auto regions = static_cast<std::uint32_t>(scenario.population().regions_size());
    workload.set_acknowledge_nodes(std::min(kDefaults.acknowledge_nodes, regions));
  }
  if (unset(workload.sessions(), "workload.sessions")) {
    const double sessions = std::ceil(workload.contributions_per_second() * kDefaults.sessions_per_contribution_rate);
    workload.set_sessions(static_cast<std::uint32_t>(std::clamp(sessions, 0.0, 1.0 * kScenarioLimits.sessions_max)));
  }
}
}  // namespace

void FillDefaults(v1::Scenario* scenario, const YamlOrigin* origin) {
  const auto unset = [origin](auto value, const char* path) {
    return value == 0 && (origin == nullptr || !origin->Has(path));
  };
  if (unset(scenario->seed(), "seed")) scenario->set_seed(kDefaults.seed);
  v1::Population& population = *scenario->mutable_population();
  if (population.regions().empty() && (origin == nullptr || !origin->Has("population.regions"))) {
    (*population.mutable_regions())[std::string(kDefaults.region)] = 1.0;
  }
  FillState(*scenario, unset);
  const bool free_given = origin != nullptr && origin->Has("state.free_coordinates");
  if (origin != nullptr && !free_given) scenario->mutable_state()->set_free_coordinates(kDefaults.free_coordinates);
  if (unset(population.shards_per_node(), "population.shards_per_node")) {
    population.set_shards_per_node(std::min(kDefaults.shards_per_node, scenario->state().shards()));
  }
  v1::Cycle& cycle = *scenario->mutable_cycle();
  if (unset(cycle.period_us(), "cycle.period")) cycle.set_period_us(kDefaults.period_us);
  if (!cycle.has_settle_us()) cycle.set_settle_us(std::min(kDefaults.settle_us, RunLengthUs(*scenario) / 2));
  FillDrift(*scenario->mutable_drift(), unset);
  ExpandLinks(*scenario, origin == nullptr ? YamlOrigin() : *origin);
  FillWorkload(*scenario, unset);
  for (int i = 0; i < scenario->events_size(); ++i) {
    v1::Event& event = *scenario->mutable_events(i);
    if (unset(event.for_us(), (Indexed("events", i) + ".for").c_str())) {
      event.set_for_us(std::max<std::int64_t>(0, RunLengthUs(*scenario) - event.at_us()));
    }
  }
  for (v1::Threshold& threshold : *scenario->mutable_thresholds()) {
    if (threshold.at().empty() && threshold.metric() != kRecoveryMetric) threshold.set_at("end");
  }
}
}  // namespace lvs::services
