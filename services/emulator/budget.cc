#include "services/emulator/budget.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "services/emulator/network_plan.h"
#include "services/scenario/scenario.h"
#include "shard/hosting/ambassadors.h"
#include "shard/last_words.h"
#include "shard/state_shard.h"
#include "shard/value_engine.h"

namespace lvs::services {

namespace {

// ---- Measured sizes; tests/end_to_end/budget_test.cc holds the sum to the memory of real runs ------------------------

constexpr double kProcessBytes = 20e6;  // a process that runs nothing
constexpr double kMicroNodeBytes = 36;  // in the swarm
constexpr double kRowBytes = 8;         // in the swarm, a replica
constexpr double kDepartedRests = 3.3;  // for how many rests a replica that left still takes a row
constexpr double kCommandBytes = 40;    // the orders that a replica enters by, on their way
constexpr double kShardActorBytes = 17'500;
constexpr double kLinkActorBytes = 4'000;
constexpr double kLinkShardBytes = 1'700;  // what a shard knows of one remote server node
constexpr double kFrameBytes = 500;        // without its rows
constexpr double kFrameRowBytes = 13;      // beside the state
constexpr double kEntryBytes = 60;         // of a ledger, beside the amounts
constexpr double kSessionBytes = 350;      // of a client, with what is pending
constexpr double kSampleBytes = 550;       // a row of the time series, in the report and in its files

double PeriodsOf(const v1::Scenario& scenario, std::int64_t us) {
  return static_cast<double>(us) / static_cast<double>(scenario.cycle().period_us());
}

// The population by the words of the events: it changes evenly while one of them lasts.
struct PopulationCurve {
  double most = 0;
  double micro_node_cycles = 0;
  double entered_at_once = 0;  // the most that enter in one cycle
};

PopulationCurve CurveOf(const v1::Scenario& scenario) {
  std::set<double> turns = {0, static_cast<double>(scenario.cycle().count())};
  for (const v1::Event& event : scenario.events()) {
    turns.insert(PeriodsOf(scenario, event.at_us()));
    turns.insert(std::min(*turns.rbegin(), PeriodsOf(scenario, event.at_us() + event.for_us())));
  }
  PopulationCurve curve;
  double now = scenario.population().micro_nodes();
  curve.most = now;
  for (auto from = turns.begin(), to = std::next(from); to != turns.end(); ++from, ++to) {
    const double cycles = *to - *from;
    double then = now;
    for (const v1::Event& event : scenario.events()) {
      const double begin = PeriodsOf(scenario, event.at_us());
      const double end = begin + PeriodsOf(scenario, event.for_us());
      if (begin > *from || end <= *from) continue;
      if (event.has_join()) then += event.join().micro_nodes() * cycles / std::max(1.0, end - begin);
      if (event.has_leave()) then -= std::max(0.0, now - event.leave().keep()) * cycles / std::max(cycles, end - *from);
    }
    curve.micro_node_cycles += (now + then) / 2 * cycles;
    curve.entered_at_once = std::max(curve.entered_at_once, (then - now) / std::max(1.0, cycles));
    curve.most = std::max(curve.most, then);
    now = then;
  }
  return curve;
}

// Rows that rest after their replica left, and the last words behind the others.
double ShareOfDeparted(const v1::Scenario& scenario) {
  double rate = 0;
  for (const v1::Event& event : scenario.events()) rate = std::max(rate, event.churn().rate());
  return rate * static_cast<double>(scenario.cycle().period_us()) * 1e-6 * kDepartedRests * shard::kRestCycles;
}

double ReplicaBytes(const v1::Scenario& scenario, const PopulationCurve& curve, double replicas) {
  const double row = static_cast<double>(shard::StateShard::ReplicaBytes(ShapeOf(scenario)));
  const double held = scenario.population().shards_per_node();
  return replicas * (row * (1 + ShareOfDeparted(scenario)) + kRowBytes) + curve.most * kMicroNodeBytes +
         curve.entered_at_once * held * kCommandBytes;
}

// Everything that each shard keeps about each other server node, and the frames between them.
double LinkBytes(const v1::Scenario& scenario, double nodes, double replicas) {
  const double shards = scenario.state().shards();
  const double dimensions = ShapeOf(scenario).dimensions();
  const double rows = hosting::AmbassadorsOf(static_cast<std::uint32_t>(replicas / (shards * nodes)),
                                             static_cast<std::uint32_t>(nodes));
  double latency_us = 0;
  for (const v1::RegionLink& link : scenario.links().between()) {
    latency_us += static_cast<double>(link.latency_us()) / scenario.links().between_size();
  }
  const double cycles = 1 + std::max(1.0, std::ceil(PeriodsOf(scenario, static_cast<std::int64_t>(latency_us))));
  const double frame = kFrameBytes + rows * (kFrameRowBytes + 4 * dimensions);
  const double halo = rows * 4 * (dimensions + 2);
  return nodes * (nodes - 1) * (kLinkActorBytes + shards * (kLinkShardBytes + halo + frame * cycles));
}

// The ledgers of all server nodes, and the clients.
double LedgerBytes(const v1::Scenario& scenario, double nodes) {
  const double shards = scenario.state().shards();
  const double slots = scenario.state().value_slots();
  const double burst_uvu = static_cast<double>(shard::ContributionPolicy{}.burst_uvu);
  const double opening = slots * std::ceil(static_cast<double>(scenario.state().opening_balance_uvu()) / burst_uvu);
  const double made = scenario.workload().contributions_per_second() *
                      static_cast<double>(RunLengthUs(scenario) - scenario.cycle().settle_us()) * 1e-6;
  const double clients = std::min(made, scenario.workload().sessions() * shards);
  return (opening * shards + clients) * nodes * (kEntryBytes + 8 * slots) + clients * kSessionBytes;
}

}  // namespace

ResourceBudget EstimateBudget(const v1::Scenario& scenario) {
  const std::uint64_t nodes = std::max<std::uint64_t>(1, scenario.population().regions_size());
  const std::uint64_t shards = scenario.state().shards();
  const double held = std::min<std::uint64_t>(scenario.population().shards_per_node(), shards);
  const PopulationCurve curve = CurveOf(scenario);
  // Each server node keeps replicas_min of every shard, as long as it has as many micro-nodes.
  const double fewest =
      std::min(static_cast<double>(scenario.state().replicas_min()) * static_cast<double>(nodes), curve.most) *
      static_cast<double>(shards);
  const double replicas = std::max(curve.most * held, fewest);
  ResourceBudget budget;
  budget.replicas = static_cast<std::uint64_t>(replicas);
  budget.shard_actors = nodes * shards;
  budget.link_actors = nodes * (nodes - 1);
  budget.resident_bytes = static_cast<std::uint64_t>(kProcessBytes + ReplicaBytes(scenario, curve, replicas) +
                                                     static_cast<double>(budget.shard_actors) * kShardActorBytes +
                                                     LinkBytes(scenario, static_cast<double>(nodes), replicas) +
                                                     LedgerBytes(scenario, static_cast<double>(nodes)) +
                                                     scenario.cycle().count() * kSampleBytes);
  budget.replica_cycles = static_cast<std::uint64_t>(curve.micro_node_cycles * replicas / curve.most + 0.5);
  return budget;
}

}  // namespace lvs::services
