#include <cmath>
#include <cstdint>
#include <string>

#include "services/scenario/checker.h"
#include "services/scenario/scenario.h"

namespace lvs::services {
namespace {

void CheckNames(Checker& check) {
  check.Word(check.scenario().name(), "name");
  for (const std::string& region : check.regions()) check.Word(region, "population.regions." + region);
}

void CheckState(Checker& check) {
  const v1::State& state = check.scenario().state();
  check.Between<std::uint32_t>(state.shards(), 1, kScenarioLimits.shards_max, "state.shards");
  check.Between<std::uint32_t>(state.value_slots(), 1, kScenarioLimits.value_slots_max, "state.value_slots");
  check.Between<std::uint32_t>(state.free_coordinates(), 0, kScenarioLimits.free_coordinates_max,
                               "state.free_coordinates");
  check.Between<std::uint32_t>(state.replicas_min(), 1, std::max(1u, check.scenario().population().micro_nodes()),
                               "state.replicas_min", " (population.micro_nodes)");
  const double opening = static_cast<double>(state.opening_balance_uvu());
  check.Require(opening >= 0 && opening * state.shards() * state.value_slots() < 4.6e18, "state.opening_balance",
                "the sum over all shards and slots is too large; write less than " +
                    NumberText(4.6e12 / std::max(1u, state.shards() * state.value_slots())) + "VU");
  check.Require(
      state.value_spread_uvu() >= 0 && state.value_spread_uvu() <= state.opening_balance_uvu(), "state.value_spread",
      "is more than opening_balance, so values would start below 0; write at most " + NumberText(opening / 1e6) + "VU");
  check.Between(state.coordinate_range(), 1e-3, 1e6, "state.coordinate_range");
}

void CheckCycle(Checker& check) {
  const v1::Cycle& cycle = check.scenario().cycle();
  check.Require(
      cycle.period_us() >= kScenarioLimits.period_us_min && cycle.period_us() <= kScenarioLimits.period_us_max,
      "cycle.period",
      FormatDurationUs(cycle.period_us()) + " is out of range; it must be between " +
          FormatDurationUs(kScenarioLimits.period_us_min) + " and " + FormatDurationUs(kScenarioLimits.period_us_max));
  check.Between<std::uint32_t>(cycle.count(), 1, kScenarioLimits.cycles_max, "cycle.count");
  check.Require(cycle.settle_us() >= 0 && cycle.settle_us() <= RunLengthUs(check.scenario()), "cycle.settle",
                FormatDurationUs(cycle.settle_us()) + " is longer than the run (" + check.RunText() + "); write less");
}

void CheckPopulation(Checker& check) {
  const v1::Population& population = check.scenario().population();
  check.Between<std::uint32_t>(population.micro_nodes(), 1, kScenarioLimits.micro_nodes_max, "population.micro_nodes");
  check.Require(population.shards_per_node() >= 1, "population.shards_per_node",
                "0 shards a micro-node hold nothing; write at least 1");
  check.Require(population.shards_per_node() <= check.scenario().state().shards(), "population.shards_per_node",
                std::to_string(population.shards_per_node()) + " is more than the " +
                    std::to_string(check.scenario().state().shards()) +
                    " shards there are (state.shards); write at most " +
                    std::to_string(check.scenario().state().shards()));
  const double held = 1.0 * population.micro_nodes() * population.shards_per_node();
  check.Require(held >= check.scenario().state().shards(), "population.micro_nodes",
                "all micro-nodes together hold " + NumberText(held) + " replicas, too few for " +
                    std::to_string(check.scenario().state().shards()) +
                    " shards; write more micro_nodes, more shards_per_node or fewer state.shards");
  check.Share(population.low_power(), "population.low_power");
  check.Between<std::size_t>(check.regions().size(), 1, kScenarioLimits.regions_max, "population.regions");
  double sum = 0;
  for (const std::string& region : check.regions()) {
    const double share = population.regions().at(region);
    const std::string path = "population.regions." + region;
    check.Share(share, path);
    check.Require(share * population.micro_nodes() >= 1, path,
                  PercentText(share) + " of " + std::to_string(population.micro_nodes()) +
                      " micro-nodes is less than one; write a larger share or remove the region");
    sum += share;
  }
  check.Require(std::abs(sum - 1) <= 1e-9, "population.regions",
                "the shares sum to " + PercentText(sum) + "; they must sum to 100%");
}

void CheckDrift(Checker& check) {
  const v1::Drift& drift = check.scenario().drift();
  check.Between<std::uint32_t>(drift.peers(), 1, kScenarioLimits.peers_max, "drift.peers");
  check.Between(drift.alpha(), 0.0, 1.0, "drift.alpha");
  check.Between(drift.beta(), 0.0, 1.0, "drift.beta");
  check.Between(drift.ledger_weight(), 0.0, 1e3, "drift.ledger_weight");
  check.Between(drift.bound_factor(), 0.1, 100.0, "drift.bound_factor");
  check.Share(drift.shuffle(), "drift.shuffle");
}
void CheckWorkload(Checker& check) {
  const v1::Workload& workload = check.scenario().workload();
  check.Between(workload.contributions_per_second(), 0.0, kScenarioLimits.contributions_per_second_max,
                "workload.contributions_per_second");
  check.Between<std::uint32_t>(workload.acknowledge_nodes(), 1,
                               static_cast<std::uint32_t>(std::max<std::size_t>(1, check.regions().size())),
                               "workload.acknowledge_nodes", " (each region is one server node)");
  if (workload.contributions_per_second() == 0) return;
  const v1::Workload::Amount& amount = workload.amount();
  check.Require(workload.has_amount(), "workload", "contributions have no amount; add amount: {min: 0.1VU, max: 10VU}");
  check.Require(amount.min_uvu() > 0,
                check.origin().Has("workload.amount.min") ? "workload.amount.min" : "workload.amount",
                "min must be above 0; write for example min: 0.1VU");
  check.Require(amount.max_uvu() > 0,
                check.origin().Has("workload.amount.max") ? "workload.amount.max" : "workload.amount",
                "max must be above 0; write for example max: 10VU");
  check.Require(amount.min_uvu() <= amount.max_uvu(), "workload.amount",
                "min (" + NumberText(amount.min_uvu() / 1e6) + "VU) is more than max (" +
                    NumberText(amount.max_uvu() / 1e6) + "VU); swap them");
  check.Between<std::uint32_t>(workload.sessions(), 1, kScenarioLimits.sessions_max, "workload.sessions");
}
}  // namespace

absl::Status ValidateScenario(const v1::Scenario& scenario, const YamlOrigin& origin) {
  Checker check(scenario, origin);
  CheckNames(check);
  CheckState(check);
  CheckCycle(check);
  CheckPopulation(check);
  CheckDrift(check);
  CheckLinks(check);
  CheckWorkload(check);
  CheckEvents(check);
  CheckEventsTogether(check);
  CheckLedgers(check);
  CheckThresholds(check);
  return check.status();
}

}  // namespace lvs::services
