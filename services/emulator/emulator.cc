#include "services/emulator/emulator.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/node.h"
#include "actors/peer_link_actor.h"
#include "actors/shard_actor.h"
#include "services/base/available_memory.h"
#include "services/base/huge_pages.h"
#include "services/base/resident_memory.h"
#include "services/base/text.h"
#include "services/base/threads.h"
#include "services/emulator/network_plan.h"
#include "services/emulator/rolling_restarts.h"
#include "services/emulator/snapshots.h"
#include "services/scenario/measurement.h"
#include "services/scenario/run_look.h"
#include "services/scenario/timeline.h"
#include "services/scenario/workload.h"
#include "shard/blocks.h"
#include "shard/simd_target.h"
#include "shard/stages.h"

namespace lvs::services {

namespace {

using actors::NodeActors;
using actors::PeerLinkActor;
using actors::ShardActor;
using actors::System;
using hosting::Answer;
using hosting::NodeReport;
using hosting::NodeTick;
using hosting::Payload;
using hosting::ShardReport;

using Clock = std::chrono::steady_clock;

// A worker without work spins for this long before it sleeps. This is several times the gap between two cycles of a
// small run.
constexpr std::chrono::microseconds kPatience{100};
// A measurement costs about a tenth of a cycle, so larger populations are measured less often, but always at the end.
constexpr std::uint32_t kLargePopulation = 250'000;
constexpr std::uint64_t kLargeMeasureCycles = 10;
constexpr std::uint64_t kResidentCycles = 64;  // between looks at the resident memory
constexpr std::uint64_t kForgersMax = 64;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The workers' time since cycle 1, by stage.
class Profile {
 public:
  void Add(const shard::StageTimes& stage_ns) {
    for (std::size_t n = 0; n < shard::kStages; ++n) stage_ns_[n] += stage_ns[n];
  }

  // Fills in the stages of the shard actors and the rest of the workers' time: messages between actors, links,
  // population, workload, and waiting for the slowest shard.
  void Fill(double wall_s, v1::Summary* summary) const {
    const double all_s = wall_s * summary->threads();
    const auto add = [&](std::string_view name, double seconds) {
      v1::StageTime* stage = summary->add_profile();
      stage->set_stage(std::string(name));
      stage->set_seconds(seconds);
      stage->set_share(seconds / std::max(all_s, 1e-9));
    };
    double stages_s = 0;
    for (std::size_t n = 0; n < shard::kStages; ++n) {
      const double seconds = static_cast<double>(stage_ns_[n]) * 1e-9;
      stages_s += seconds;
      add(shard::Name(static_cast<shard::Stage>(n)), seconds);
    }
    add("outside of shards", std::max(0.0, all_s - stages_s));
  }

 private:
  shard::StageTimes stage_ns_{};  // sum over all shards
};

// The actors of a run, and the cycle that drives them.
//
// Two threads take turns. The caller's thread runs Run. The pacer, an actor, begins and ends the cycles on a worker's
// thread. While RunFrom runs, the pacer owns every member except the options.
class Emulation {
 public:
  Emulation(const v1::Scenario& scenario, const EmulationOptions& options)
      : scenario_(scenario),
        options_(options),
        regions_(scenario),
        timeline_(scenario, regions_.names, regions_.population),
        restarts_(scenario, regions_.size()),
        snapshots_(scenario_, timeline_),
        workload_(scenario, regions_.size(), {}),
        measurement_(scenario, regions_.names),
        system_({.threads = options.threads, .patience = options.realtime ? std::chrono::microseconds{0} : kPatience}),
        caller_(*system_) {}

  v1::RunReport Run() {
    const auto started = Clock::now();
    const std::uint64_t resident_before = ResidentBytes();
    Spawn();
    RunFrom(0);
    malloc_trim(0);  // returns memory that only the start needs
    const double startup_s = SecondsSince(started);

    first_ = Clock::now();
    shown_.at = first_;
    resident_ = ResidentBytes();
    while (cycle_ < Cycles() && !Stopped()) {
      if (options_.realtime) {
        std::this_thread::sleep_until(first_ + std::chrono::microseconds(scenario_.cycle().period_us()) *
                                                   static_cast<std::int64_t>(cycle_));
      }
      RunFrom(cycle_ + 1);
      if (ProgressIsDue() || (options_.on_progress && cycle_ == Cycles())) ShowProgress();
    }
    const double wall_s = SecondsSince(first_);
    resident_ = std::max(resident_, ResidentBytes());

    Summarise(startup_s, wall_s, resident_ - std::min(resident_, resident_before));
    for (const std::string& region : regions_.names) report_.add_regions(region);
    for (v1::FaultBand& band : timeline_.Bands()) *report_.add_faults() = std::move(band);
    report_.set_about(scenario_.about());
    Stop();
    return std::move(report_);
  }

 private:
  std::uint64_t Cycles() const { return scenario_.cycle().count(); }
  double PeriodS() const { return static_cast<double>(scenario_.cycle().period_us()) * 1e-6; }
  bool Stopped() const { return options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed); }

  // ---- The actors ----

  void Spawn() {
    pacer_ = (*system_).spawn(Pace, this);
    std::vector<NodePlan> plan = PlanNetwork(scenario_, regions_);
    std::vector<std::vector<ShardActor>> shards;
    for (NodePlan& node : plan) {
      if (options_.profile) {
        for (hosting::ShardHostConfig& shard : node.shards) shard.clock_ns = &actors::SteadyNanoseconds;
      }
      shards.push_back(actors::SpawnShards(*system_, std::move(node.shards)));
    }
    for (std::uint32_t n = 0; n < plan.size(); ++n) {
      std::vector<PeerLinkActor> links(plan.size());
      for (const hosting::VirtualLinkConfig& link : plan[n].links) {
        links[link.to] = actors::SpawnVirtualLink(*system_, link, shards[link.to]);
      }
      nodes_.push_back(actors::SpawnNode(*system_, {.config = plan[n].host,
                                                    .swarm = std::move(plan[n].swarm),
                                                    .shards = shards[n],
                                                    .links = std::move(links),
                                                    .reporter = pacer_}));
    }
  }

  // Ends the actors. No actor is ticked any more, so every mailbox is empty and every actor ends at once.
  void Stop() {
    caller_->send_exit(pacer_, caf::exit_reason::user_shutdown);
    pacer_ = nullptr;
    for (NodeActors& node : nodes_) node.End();
  }

  // ---- The caller's turn ----

  // Runs cycles from `first` on, until the caller's thread has something to do.
  void RunFrom(std::uint64_t first) {
    caller_->send(pacer_, first);
    caller_->receive([](std::uint64_t) {});
  }

  bool ProgressIsDue() const { return options_.on_progress && SecondsSince(shown_.at) >= options_.progress_interval_s; }

  void ShowProgress() {
    const double since = SecondsSince(shown_.at);
    Progress progress;
    progress.virtual_s = static_cast<double>(cycle_) * PeriodS();
    progress.wall_s = SecondsSince(first_);
    progress.cycle = cycle_;
    progress.cycles = Cycles();
    progress.alive = alive_;
    progress.cycles_per_second = static_cast<double>(cycle_ - shown_.cycle) / since;
    progress.replica_cycles_per_second =
        static_cast<double>(measurement_.replica_cycles() - shown_.replica_cycles) / since;
    progress.relative_spread = measurement_.relative_spread();
    progress.anomalies = measurement_.anomalies();
    progress.refused = measurement_.refused();
    progress.active_faults = timeline_.ActiveFaults(cycle_);
    options_.on_progress(progress);
    shown_ = {Clock::now(), cycle_, measurement_.replica_cycles()};
  }

  void Summarise(double startup_s, double wall_s, std::uint64_t resident_bytes) {
    const std::uint32_t micro_nodes = scenario_.population().micro_nodes();
    const auto per_second = [wall_s](std::uint64_t n) { return static_cast<double>(n) / std::max(wall_s, 1e-9); };
    v1::Summary* summary = report_.mutable_summary();
    measurement_.Finish(summary);
    summary->set_complete(cycle_ == Cycles());
    if (!summary->complete()) summary->set_state_hash("");  // the hash is defined only at the end
    summary->set_scenario(scenario_.name());
    summary->set_seed(scenario_.seed());
    summary->set_rule(scenario_.rule() == v1::PLAIN ? "plain" : "safe");
    summary->set_micro_nodes(micro_nodes);
    summary->set_shards(scenario_.state().shards());
    summary->set_server_nodes(regions_.size());
    summary->set_threads(options_.threads == 0 ? System::OneACore() : options_.threads);
    summary->set_simd_target(scenario_.rule() == v1::PLAIN ? "none" : shard::SimdTargetInUse());
    summary->set_wall_seconds(wall_s);
    summary->set_startup_seconds(startup_s);
    if (options_.profile) profile_.Fill(wall_s, summary);
    summary->set_replica_cycles_per_second(per_second(measurement_.replica_cycles()));
    summary->set_micro_node_cycles_per_second(per_second(measurement_.micro_node_cycles()));
    summary->set_resident_bytes_per_micro_node(static_cast<double>(resident_bytes) / micro_nodes);
    summary->mutable_swarm()->set_restarted(restarts_.restarted());
    summary->mutable_ledger()->set_contributions_offered(workload_.offered());
    summary->mutable_ledger()->set_contributions(workload_.acknowledged());
    summary->mutable_ledger()->set_contributions_pending(workload_.offered() - workload_.acknowledged());
  }

  // ---- The pacer's turn ----

  // The pacer begins each cycle on the worker that ended the previous one. Waking the caller's thread, and from there a
  // worker, would take as long as a cycle of ten thousand replicas.
  static caf::behavior Pace(caf::event_based_actor* pacer, Emulation* emulation) {
    actors::EndProcessOnException(pacer);
    return {
        [emulation](std::uint64_t cycle) { emulation->Begin(cycle); },
        [pacer, emulation](const Payload<NodeReport>& node) {
          emulation->reports_[node->node] = node;
          if (++emulation->reported_ < emulation->regions_.size()) return;
          emulation->End();
          if (emulation->Pauses()) {
            pacer->send(caf::actor_cast<caf::actor>(emulation->caller_), emulation->cycle_);
          } else {
            emulation->Begin(emulation->cycle_ + 1);
          }
        },
    };
  }

  bool Pauses() const { return cycle_ == 0 || cycle_ == Cycles() || options_.realtime || Stopped() || ProgressIsDue(); }

  bool Measured(std::uint64_t cycle) const {
    const bool large = scenario_.population().micro_nodes() > kLargePopulation;
    return !large || cycle % kLargeMeasureCycles == 0 || cycle == Cycles();
  }

  void Begin(std::uint64_t cycle) {
    cycle_ = cycle;
    reported_ = 0;
    std::vector<NodeTick> ticks(regions_.size());
    if (restarts_.any()) restarts_.Ask(cycle, holds_all_, &ticks);
    timeline_.Ask(cycle, &ticks);
    if (cycle > 0) Contribute(&ticks);
    for (std::uint32_t n = 0; n < ticks.size(); ++n) {
      ticks[n].measure = Measured(cycle);
      ticks[n].snapshot_dots = snapshots_.DotsOf(cycle, regions_.size());
      nodes_[n].Tick(std::move(ticks[n]));
    }
  }

  // Adds the clients' contributions of this cycle to the ticks.
  void Contribute(std::vector<NodeTick>* ticks) {
    std::vector<bool> up;
    for (std::uint32_t n = 0; n < ticks->size(); ++n) up.push_back((*ticks)[n].alive && alive_by_node_[n] > 0);
    const auto settle = static_cast<std::uint64_t>(scenario_.cycle().settle_us() / scenario_.cycle().period_us());
    const bool open = cycle_ + settle <= Cycles();
    const std::uint64_t forgers = timeline_.ForgingAt(cycle_) ? std::min(kForgersMax, adversaries_) : 0;
    auto contributions = workload_.Cycle(cycle_, open, up, static_cast<std::uint32_t>(forgers));
    for (std::uint32_t n = 0; n < ticks->size(); ++n) (*ticks)[n].contributions = std::move(contributions[n]);
  }

  static bool HoldsAll(const hosting::Verdict& verdict) {
    return std::all_of(verdict.shards.begin(), verdict.shards.end(),
                       [](const Payload<ShardReport>& shard) { return shard->compared; });
  }

  // Ends the cycle, once all server nodes have reported.
  void End() {
    alive_ = adversaries_ = 0;
    for (const Payload<NodeReport>& node : reports_) {
      alive_by_node_[node->node] = node->alive;
      alive_ += node->alive;
      adversaries_ += node->adversaries;
      if (restarts_.any()) holds_all_[node->node] = node->verdict && HoldsAll(*node->verdict);
      if (!node->verdict) continue;
      for (const Payload<ShardReport>& shard : node->verdict->shards) {
        for (const Answer& answer : shard->answers) workload_.Take(answer, cycle_);
        if (cycle_ > 0) profile_.Add(shard->stage_ns);
      }
    }
    measurement_.Add(LookAt(cycle_, reports_, workload_.accepted_uvu(), timeline_.EndingAt(cycle_)), &report_);
    if (snapshots_.DotsOf(cycle_, regions_.size()) > 0) snapshots_.Add(cycle_, reports_, &report_);
    std::fill(reports_.begin(), reports_.end(), nullptr);
    if (cycle_ % kResidentCycles == 0) resident_ = std::max(resident_, ResidentBytes());
  }

  const v1::Scenario& scenario_;
  const EmulationOptions& options_;
  Regions regions_;
  Timeline timeline_;
  RollingRestarts restarts_;
  Snapshots snapshots_;
  Workload workload_;
  Measurement measurement_;
  Profile profile_;
  System system_;
  caf::scoped_actor caller_;
  caf::actor pacer_;
  std::vector<NodeActors> nodes_;  // by region
  v1::RunReport report_;
  std::uint64_t cycle_ = 0;
  std::vector<Payload<NodeReport>> reports_ = std::vector<Payload<NodeReport>>(regions_.size());
  std::uint32_t reported_ = 0;
  Clock::time_point first_;  // start of cycle 1
  struct {
    Clock::time_point at;
    std::uint64_t cycle = 0;
    std::uint64_t replica_cycles = 0;
  } shown_;  // the newest progress
  std::uint64_t resident_ = 0;
  std::uint64_t alive_ = 0;
  std::vector<std::uint64_t> alive_by_node_ = std::vector<std::uint64_t>(regions_.size());
  std::vector<bool> holds_all_ = std::vector<bool>(regions_.size());
  std::uint64_t adversaries_ = 0;
};

}  // namespace

absl::StatusOr<v1::RunReport> Emulate(const v1::Scenario& scenario, const EmulationOptions& options) {
  const ResourceBudget budget = EstimateBudget(scenario);
  const AvailableMemory available = FindAvailableMemory();
  if (budget.resident_bytes > available.bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the scenario needs about ", FormatMegabytes(budget.resident_bytes), " of memory and ",
        FormatMegabytes(available.bytes), " ", available.limit, ": lower population.micro_nodes and what joins it, ",
        "population.shards_per_node, state.shards or the number of regions"));
  }
  // CAF's timer has a thread too.
  const unsigned threads = (options.threads == 0 ? System::OneACore() : options.threads) + 1;
  if (absl::Status can = CheckThreads(threads); !can.ok()) return can;
  // A shard's memory grows in one block. Above this size a freed block returns to the system and leaves no hole in the
  // heap. The limit is set because glibc otherwise raises it to the largest block ever freed.
  mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  shard::UseBlockAllocator({AllocateInHugePages, FreeHugePages});
  Emulation emulation(scenario, options);
  return emulation.Run();
}

}  // namespace lvs::services
