// Checks that the ledgers can hold what a scenario puts into them, and that they can spread it before the run ends.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "services/scenario/checker.h"
#include "services/scenario/scenario.h"
#include "shard/ledger_sync.h"
#include "shard/value_engine.h"
#include "vaultguard/limits.h"

namespace lvs::services {
namespace {

// Ledger news in one frame: the other half of the entries is for buckets that differ.
constexpr double kNewsPerFrame = vaultguard::kMaxFrameEntries / 2;
// Cycles that the last entries take besides: to be acknowledged, and from replica to replica.
constexpr double kLastEntriesCycles = 20;
constexpr double kUnansweredCycles = 20;  // beyond a round trip, until news is sent again

double CyclesOf(const v1::Scenario& scenario, std::int64_t us) {
  return static_cast<double>(us) / static_cast<double>(std::max<std::int64_t>(1, scenario.cycle().period_us()));
}

std::string Whole(double number) { return std::to_string(static_cast<std::int64_t>(number)); }

std::int64_t OpeningSessions(std::int64_t opening_balance_uvu) {
  const std::int64_t burst_uvu = shard::ContributionPolicy{}.burst_uvu;
  return (opening_balance_uvu + burst_uvu - 1) / burst_uvu;
}

// What the workload asks of one shard.
struct Demand {
  double cycles = 0;     // in which clients contribute
  double per_cycle = 0;  // contributions
  double sessions = 0;   // different ones
};

Demand DemandOf(const v1::Scenario& scenario) {
  const v1::Workload& workload = scenario.workload();
  Demand demand;
  demand.cycles = CyclesOf(scenario, RunLengthUs(scenario) - scenario.cycle().settle_us());
  demand.per_cycle = workload.contributions_per_second() * static_cast<double>(scenario.cycle().period_us()) * 1e-6 /
                     std::max(1u, scenario.state().shards());
  const double expected = demand.cycles * demand.per_cycle;
  demand.sessions = std::min<double>(workload.sessions(), expected + 5 * std::sqrt(expected));
  return demand;
}

void CheckRoom(Checker& check, const Demand& demand) {
  const v1::State& state = check.scenario().state();
  // Sessions that peers report may not take the last part of the table.
  const bool peers = check.regions().size() > 1;
  const auto room = static_cast<std::int64_t>(vaultguard::kMaxSessionsPerShard) -
                    (peers ? static_cast<std::int64_t>(vaultguard::kSessionsForClients) : 0);
  const auto slots = static_cast<std::int64_t>(std::max(1u, state.value_slots()));
  const std::int64_t opening = slots * OpeningSessions(state.opening_balance_uvu());
  const std::int64_t burst_uvu = shard::ContributionPolicy{}.burst_uvu;
  check.Require(opening <= room, "state.opening_balance",
                "is too large for a ledger of " + std::to_string(room) + " sessions, each of which may hold " +
                    NumberText(static_cast<double>(burst_uvu) / 1e6) + "VU at once; write at most " +
                    NumberText(static_cast<double>(room / slots * burst_uvu) / 1e6) + "VU");
  check.Require(static_cast<double>(opening) + demand.sessions <= static_cast<double>(room), "workload.sessions",
                "a shard's ledger has room for " + std::to_string(room) + " sessions; the opening balance takes " +
                    std::to_string(opening) + ", and the clients would open about " +
                    Whole(std::ceil(demand.sessions)) + "; write fewer sessions or more state.shards");
}

// The worst link between two regions: cycles until unacknowledged news is sent again, times the share that is lost.
double StalledCycles(const v1::Scenario& scenario) {
  double more_loss = 0;
  for (const v1::Event& event : scenario.events()) more_loss = std::max(more_loss, event.degrade().loss());
  double worst = 0;
  for (const v1::RegionLink& link : scenario.links().between()) {
    const double round_trip = CyclesOf(scenario, 2 * (link.latency_us() + link.jitter_us()));
    worst = std::max(worst, std::min(1.0, link.loss() + more_loss) * (kUnansweredCycles + round_trip));
  }
  return worst;
}

// A contribution reaches each other region as an entry of a frame. Entries of a session that changed again are sent
// once, so few sessions never make a queue.
void CheckPace(Checker& check, const Demand& demand) {
  const v1::Scenario& scenario = check.scenario();
  const auto regions = static_cast<double>(check.regions().size());
  if (regions < 2 || demand.per_cycle <= 0) return;
  const double settle = CyclesOf(scenario, scenario.cycle().settle_us());
  const double per_cycle = kNewsPerFrame / (shard::LedgerSyncConfig{}.news_cycles + StalledCycles(scenario));
  const double too_many = std::max(0.0, demand.per_cycle / regions - per_cycle);
  const double queued = too_many > 0 ? std::min(demand.sessions, too_many * demand.cycles) : 0;
  const double needed = queued / per_cycle + kLastEntriesCycles;
  const double period_s = static_cast<double>(scenario.cycle().period_us()) * 1e-6;
  const double shards = scenario.state().shards();
  check.Require(queued == 0 || needed <= settle, "workload.contributions_per_second",
                "is more than the ledgers can spread: a shard passes on about " + Whole(per_cycle / period_s) +
                    " entries a second to each region, and about " + Whole(queued) +
                    " would still be on their way when the run ends; write at most " +
                    Whole(per_cycle * regions / period_s * shards) +
                    ", fewer workload.sessions, more state.shards, or cycle.settle: " +
                    Whole(std::ceil(needed * period_s)) + "s");
  // Peers may open only so many new sessions a cycle.
  const double cycles = demand.cycles + std::max(0.0, settle - kLastEntriesCycles);
  const double openable = vaultguard::kNewSessionsAtOnce + regions * vaultguard::kNewSessionsPerCycle * cycles;
  const double elsewhere = demand.sessions * (regions - 1) / regions;
  check.Require(elsewhere <= openable, "workload.sessions",
                "the clients would open about " + Whole(elsewhere) + " sessions in a shard at other regions, and " +
                    Whole(openable) + " of them can spread before the run ends; write fewer sessions, more " +
                    "state.shards or a longer cycle.settle");
}

}  // namespace

void CheckLedgers(Checker& check) {
  if (!check.status().ok()) return;  // the sums below need a sound scenario
  const Demand demand = DemandOf(check.scenario());
  CheckRoom(check, demand);
  CheckPace(check, demand);
}

}  // namespace lvs::services
