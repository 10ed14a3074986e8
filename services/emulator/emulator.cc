#include "services/emulator/emulator.h"

#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/node_runtime_actor.h"
#include "actors/peer_link_actor.h"
#include "actors/recycled.h"
#include "actors/shard_actor.h"
#include "actors/vaultguard_monitor_actor.h"
#include "services/base/resident_memory.h"
#include "services/scenario/measurement.h"
#include "services/scenario/run_look.h"
#include "services/scenario/timeline.h"
#include "services/scenario/workload.h"
#include "shard/drift_core.h"
#include "shard/hosting/swarm.h"
#include "shard/random.h"

namespace lvs::services {

namespace {

using actors::MonitorActor;
using actors::NodeParts;
using actors::NodeRuntimeActor;
using actors::PeerLinkActor;
using actors::Post;
using actors::Recycled;
using actors::ShardActor;
using actors::ShardActorConfig;
using actors::SpawnMonitor;
using actors::SpawnNodeRuntime;
using actors::SpawnShardActor;
using actors::SpawnVirtualLink;
using actors::System;
using actors::Wiring;

using hosting::Answer;
using hosting::LinkQuality;
using hosting::NodeReport;
using hosting::NodeTick;
using hosting::Payload;
using hosting::ShardReport;
using hosting::Swarm;
using hosting::SwarmConfig;

// Of a worker that is done with a cycle before the others: some times what it waits for the next one to begin.
constexpr std::chrono::microseconds kPatience{100};

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::uint64_t AvailableBytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::string key;
  std::uint64_t kib = 0;
  std::string unit;
  while (meminfo >> key >> kib >> unit) {
    if (key == "MemAvailable:") return kib * 1024;
  }
  return ~std::uint64_t{0};
}

// Regions in the order of their names; a map of protobuf has none.
std::vector<std::string> RegionNames(const v1::Scenario& scenario) {
  std::set<std::string> names;
  for (const auto& [name, share] : scenario.population().regions()) names.insert(name);
  return {names.begin(), names.end()};
}

// Micro-nodes by region: the shares, with what rounding leaves over going to the first ones.
std::vector<std::uint32_t> Populations(const v1::Scenario& scenario, const std::vector<std::string>& regions) {
  const std::uint32_t all = scenario.population().micro_nodes();
  std::vector<std::uint32_t> population;
  std::uint32_t given = 0;
  for (const std::string& region : regions) {
    const auto n = static_cast<std::uint32_t>(scenario.population().regions().at(region) * all + 1e-9);
    population.push_back(n);
    given += n;
  }
  for (std::size_t n = 0; given < all; n = (n + 1) % population.size(), ++given) ++population[n];
  return population;
}

LinkQuality QualityBetween(const v1::Scenario& scenario, const std::string& a, const std::string& b) {
  const auto convert = [](const v1::RegionLink& row) {
    return LinkQuality{static_cast<double>(row.latency_us()) / 1000, static_cast<double>(row.jitter_us()) / 1000,
                       row.loss(), row.duplicate(), row.reorder()};
  };
  LinkQuality quality;
  quality.latency_ms = 80;
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

shard::Shape ShapeOf(const v1::Scenario& scenario) {
  return {static_cast<int>(scenario.state().value_slots()), static_cast<int>(scenario.state().free_coordinates()),
          static_cast<int>(scenario.drift().peers())};
}

shard::DriftParameters ParametersOf(const v1::Scenario& scenario) {
  shard::DriftParameters parameters;
  parameters.alpha = static_cast<float>(scenario.drift().alpha());
  parameters.beta = static_cast<float>(scenario.drift().beta());
  parameters.ledger_weight = static_cast<float>(scenario.drift().ledger_weight());
  parameters.bound_factor = static_cast<float>(scenario.drift().bound_factor());
  parameters.plain = scenario.rule() == v1::PLAIN;
  return parameters;
}

// Sampled replicas that speak for a shard to the other server nodes: enough for a fair sample, few enough for the link.
std::uint32_t Ambassadors(std::uint32_t replicas) { return std::clamp<std::uint32_t>(replicas / 32, 16, 1024); }

// The actors of a run, and the cycle that drives them.
class Emulation {
 public:
  Emulation(const v1::Scenario& scenario, const EmulationOptions& options)
      : scenario_(scenario),
        options_(options),
        regions_(RegionNames(scenario)),
        population_(Populations(scenario, regions_)),
        timeline_(scenario, regions_, population_),
        pictured_(PicturedCycles(scenario, timeline_)),
        workload_(scenario, Nodes(), policy_),
        measurement_(scenario, regions_),
        system_({.threads = options.threads, .patience = options.realtime ? std::chrono::microseconds{0} : kPatience}),
        self_(*system_) {}

  v1::RunReport Run() {
    const auto started = Clock::now();
    const std::uint64_t resident_before = ResidentBytes();
    Spawn();
    RunFrom(0);
    malloc_trim(0);  // what the start needed and the cycles do not
    const double startup_s = SecondsSince(started);

    first_ = Clock::now();
    shown_.at = first_;
    resident_ = ResidentBytes();
    const std::uint64_t count = scenario_.cycle().count();
    while (cycle_ < count && !Stopped()) {
      if (options_.realtime) {
        std::this_thread::sleep_until(first_ + std::chrono::microseconds(scenario_.cycle().period_us()) *
                                                   static_cast<std::int64_t>(cycle_));
      }
      RunFrom(cycle_ + 1);
      if (ProgressIsDue() || (options_.on_progress && cycle_ == count)) ShowProgress();
    }
    const double wall_s = SecondsSince(first_);
    const bool complete = cycle_ == count;
    resident_ = std::max(resident_, ResidentBytes());

    v1::Summary* summary = report_.mutable_summary();
    measurement_.Finish(summary);
    summary->set_complete(complete);
    if (!complete) summary->set_state_hash("");  // of the end, which this run has not seen
    summary->set_scenario(scenario_.name());
    summary->set_seed(scenario_.seed());
    summary->set_rule(scenario_.rule() == v1::PLAIN ? "plain" : "safe");
    summary->set_micro_nodes(scenario_.population().micro_nodes());
    summary->set_shards(scenario_.state().shards());
    summary->set_server_nodes(Nodes());
    summary->set_threads(options_.threads == 0 ? System::OneACore() : options_.threads);
    summary->set_simd_target(scenario_.rule() == v1::PLAIN ? "none" : shard::SimdTargetInUse());
    summary->set_wall_seconds(wall_s);
    summary->set_startup_seconds(startup_s);
    if (options_.profile) AddProfile(wall_s, summary);
    summary->set_replica_cycles_per_second(static_cast<double>(measurement_.replica_cycles()) / std::max(wall_s, 1e-9));
    summary->set_micro_node_cycles_per_second(static_cast<double>(measurement_.micro_node_cycles()) /
                                              std::max(wall_s, 1e-9));
    summary->set_resident_bytes_per_micro_node(static_cast<double>(resident_ - std::min(resident_, resident_before)) /
                                               scenario_.population().micro_nodes());
    summary->mutable_ledger()->set_contributions(workload_.contributions());
    summary->mutable_ledger()->set_contributions_pending(workload_.pending());
    for (const std::string& region : regions_) report_.add_regions(region);
    for (v1::FaultBand& band : timeline_.Bands()) *report_.add_faults() = std::move(band);
    report_.set_about(scenario_.about());
    Stop();
    return std::move(report_);
  }

 private:
  std::uint32_t Nodes() const { return static_cast<std::uint32_t>(regions_.size()); }
  double PeriodS() const { return static_cast<double>(scenario_.cycle().period_us()) * 1e-6; }

  std::uint64_t NodeSeed(std::uint32_t node) const {
    return shard::Draw(scenario_.seed(), shard::Stream::kRegion, node, 0);
  }

  bool Stopped() const { return options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed); }

  // Runs cycles from this one on, until there is something to do on the caller's thread.
  void RunFrom(std::uint64_t first) {
    self_->send(pacer_, first);
    self_->receive([](std::uint64_t) {});
  }

  bool Pauses() const {
    return cycle_ == 0 || cycle_ == scenario_.cycle().count() || options_.realtime || Stopped() || ProgressIsDue();
  }

  bool ProgressIsDue() const { return options_.on_progress && SecondsSince(shown_.at) >= options_.progress_interval_s; }

  void ShowProgress() {
    const double since = SecondsSince(shown_.at);
    Progress progress;
    progress.virtual_s = static_cast<double>(cycle_) * PeriodS();
    progress.wall_s = SecondsSince(first_);
    progress.cycle = cycle_;
    progress.cycles = scenario_.cycle().count();
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

  // An actor begins each cycle: the worker that ended the one before. To wake the caller's thread for it, and a worker
  // from there, would take as long as a cycle of ten thousand replicas.
  static caf::behavior Pace(caf::event_based_actor* pacer, Emulation* emulation) {
    return {
        [emulation](std::uint64_t cycle) { emulation->Begin(cycle); },
        [pacer, emulation](const Payload<NodeReport>& node) {
          emulation->reports_[node->node] = node;
          if (++emulation->reported_ < emulation->Nodes()) return;
          emulation->End();
          if (emulation->Pauses()) {
            pacer->send(caf::actor_cast<caf::actor>(emulation->self_), emulation->cycle_);
          } else {
            emulation->Begin(emulation->cycle_ + 1);
          }
        },
    };
  }

  void Spawn() {
    pacer_ = (*system_).spawn(Pace, this);
    const std::uint32_t nodes = Nodes();
    const std::uint32_t shards = scenario_.state().shards();
    const shard::Shape shape = ShapeOf(scenario_);
    // Who holds what, on every server node.
    std::vector<Swarm> swarms;
    std::vector<std::vector<std::uint32_t>> replicas;  // [node][shard]
    for (std::uint32_t n = 0; n < nodes; ++n) {
      SwarmConfig config;
      config.shards = shards;
      config.shards_per_node = std::min(scenario_.population().shards_per_node(), shards);
      config.replicas_min = scenario_.state().replicas_min();
      config.seed = NodeSeed(n);
      swarms.emplace_back(config);
      replicas.push_back(swarms.back().Populate(population_[n]));
    }

    shards_.resize(nodes);
    std::vector<std::vector<ShardActorConfig>> configs(nodes);
    std::vector<std::vector<std::uint32_t>> first_rows(nodes);
    for (std::uint32_t n = 0; n < nodes; ++n) {
      for (std::uint32_t s = 0; s < shards; ++s) {
        ShardActorConfig config;
        config.node = n;
        config.nodes = nodes;
        config.seed = scenario_.seed();
        config.profile = options_.profile;
        config.last_cycle = scenario_.cycle().count();
        config.replicas = replicas[n][s];
        config.opening_balance_uvu = scenario_.state().opening_balance_uvu();
        config.ambassadors = nodes > 1 ? Ambassadors(replicas[n][s]) : 0;
        std::uint32_t halo = 0;
        std::uint64_t remote = 0;
        for (std::uint32_t o = 0; o < nodes; ++o) {
          const std::uint32_t rows = o == n ? 0 : Ambassadors(replicas[o][s]);
          config.halo_first.push_back(halo);
          config.halo_count.push_back(rows);
          halo += rows;
          if (o != n) remote += replicas[o][s];
          const LinkQuality quality = QualityBetween(scenario_, regions_[n], regions_[o]);
          config.resend_cycles.push_back(
              20 + static_cast<std::uint32_t>(2 * (quality.latency_ms + quality.jitter_ms) / (PeriodS() * 1000)));
        }
        shard::StateShardConfig& shard = config.shard;
        shard.shard = s;
        shard.shape = shape;
        shard.drift = ParametersOf(scenario_);
        shard.policy = policy_;
        shard.shuffle = scenario_.drift().shuffle();
        shard.seed = shard::Draw(scenario_.seed(), shard::Stream::kInitialState, (std::uint64_t{n} << 32) | s, ~0ull);
        shard.halo_rows = halo;
        shard.remote_share =
            remote == 0 ? 0.0 : static_cast<double>(remote) / static_cast<double>(remote + replicas[n][s]);
        shard.value_spread = static_cast<float>(static_cast<double>(scenario_.state().value_spread_uvu()) * 1e-6);
        shard.coordinate_range = static_cast<float>(scenario_.state().coordinate_range());
        first_rows[n].push_back(
            static_cast<std::uint32_t>((halo + shard::kRowAlign - 1) / shard::kRowAlign * shard::kRowAlign));
        configs[n].push_back(std::move(config));
      }
    }
    for (std::uint32_t n = 0; n < nodes; ++n) {
      swarms[n].SetFirstRows(std::move(first_rows[n]));
      runtimes_.push_back(SpawnNodeRuntime(*system_, {n, NodeSeed(n)}, std::move(swarms[n])));
      for (ShardActorConfig& config : configs[n]) shards_[n].push_back(SpawnShardActor(*system_, std::move(config)));
    }
    for (std::uint32_t n = 0; n < nodes; ++n) {
      auto wiring = std::make_shared<Wiring>();
      wiring->links.resize(nodes);
      for (std::uint32_t o = 0; o < nodes; ++o) {
        if (o == n) continue;
        wiring->links[o] = SpawnVirtualLink(
            *system_, {n, o, scenario_.seed(), PeriodS() * 1000, QualityBetween(scenario_, regions_[n], regions_[o])},
            shards_[o]);
      }
      wiring->monitor = SpawnMonitor(*system_, shards, runtimes_[n]);
      for (const ShardActor& shard : shards_[n]) self_->send(shard, Payload<Wiring>(wiring));
      auto parts = std::make_shared<NodeParts>();
      parts->shards = shards_[n];
      parts->links = wiring->links;
      parts->emulator = pacer_;
      self_->send(runtimes_[n], Payload<NodeParts>(std::move(parts)));
      others_.insert(others_.end(), wiring->links.begin(), wiring->links.end());
      monitors_.push_back(wiring->monitor);
    }
  }

  bool Measured(std::uint64_t cycle) const {
    // A measure costs about a tenth of a cycle; a large population is measured less often, and always at the end.
    const std::uint64_t every = scenario_.population().micro_nodes() > 250'000 ? 10 : 1;
    return cycle % every == 0 || cycle == scenario_.cycle().count();
  }

  // The start, the contraction, the middle of the first faults, the end; no two that would look alike.
  static std::set<std::uint64_t> PicturedCycles(const v1::Scenario& scenario, const Timeline& timeline) {
    const std::uint64_t last = scenario.cycle().count();
    std::set<std::uint64_t> cycles = {0, std::min<std::uint64_t>(3, last), std::min<std::uint64_t>(10, last), last};
    for (const v1::FaultBand& band : timeline.Bands()) {
      const double middle_s = (band.from_seconds() + band.to_seconds()) / 2;
      const auto middle =
          static_cast<std::uint64_t>(middle_s * 1e6 / static_cast<double>(scenario.cycle().period_us()));
      const bool alike = std::any_of(cycles.begin(), cycles.end(), [&](std::uint64_t c) {
        return (c > middle ? c - middle : middle - c) < std::max<std::uint64_t>(1, last / 20);
      });
      if (!alike && cycles.size() < 7) cycles.insert(middle);
    }
    return cycles;
  }

  void Begin(std::uint64_t cycle) {
    cycle_ = cycle;
    reported_ = 0;
    const std::uint32_t nodes = Nodes();
    std::vector<NodeTick> ticks(nodes);
    timeline_.Ask(cycle, &ticks);
    if (cycle > 0) {
      std::vector<bool> up;
      for (std::uint32_t n = 0; n < nodes; ++n) up.push_back(ticks[n].alive && alive_by_node_[n] > 0);
      const auto settle = static_cast<std::uint64_t>(scenario_.cycle().settle_us() / scenario_.cycle().period_us());
      const bool open = cycle + settle <= scenario_.cycle().count();
      const auto forgers =
          timeline_.ForgingAt(cycle) ? static_cast<std::uint32_t>(std::min<std::uint64_t>(64, adversaries_)) : 0u;
      auto contributions = workload_.Cycle(cycle, open, up, forgers);
      for (std::uint32_t n = 0; n < nodes; ++n) ticks[n].contributions = std::move(contributions[n]);
    }
    for (std::uint32_t n = 0; n < nodes; ++n) {
      ticks[n].measure = cycle == 0 || Measured(cycle);
      ticks[n].snapshot_dots = Dots();
      auto tick = Recycled<NodeTick>();
      *tick = std::move(ticks[n]);
      Post(runtimes_[n], Payload<NodeTick>(std::move(tick)));
    }
  }

  // All server nodes have reported.
  void End() {
    alive_ = adversaries_ = 0;
    for (const Payload<NodeReport>& node : reports_) {
      alive_by_node_[node->node] = node->alive;
      alive_ += node->alive;
      adversaries_ += node->adversaries;
      if (!node->verdict) continue;
      for (const Payload<ShardReport>& shard : node->verdict->shards) {
        for (const Answer& answer : shard->answers) workload_.Take(answer, cycle_);
        // Cycle 0 belongs to the start.
        for (std::size_t n = 0; cycle_ > 0 && n < shard::kStages; ++n) stage_ns_[n] += shard->stage_ns[n];
      }
    }
    measurement_.Add(LookAt(cycle_, reports_, workload_.accepted_uvu(), timeline_.EndingAt(cycle_)), &report_);
    if (Dots() > 0) AddSnapshot();
    std::fill(reports_.begin(), reports_.end(), nullptr);
    if (cycle_ % 64 == 0) resident_ = std::max(resident_, ResidentBytes());
  }

  // Replicas of a server node that this cycle's picture shows.
  std::uint32_t Dots() const { return pictured_.contains(cycle_) ? std::max(1u, 240 / Nodes()) : 0; }

  void AddSnapshot() {
    v1::Snapshot* snapshot = report_.add_snapshots();
    snapshot->set_cycle(cycle_);
    snapshot->set_seconds(static_cast<double>(cycle_) * PeriodS());
    const std::string faults = timeline_.ActiveFaults(cycle_);
    snapshot->set_label(cycle_ == 0                           ? "start"
                        : !faults.empty()                     ? faults
                        : cycle_ == scenario_.cycle().count() ? "end"
                                                              : absl::StrCat("cycle ", cycle_));
    for (const Payload<NodeReport>& node : reports_) {
      if (!node->verdict) continue;
      const auto offset = static_cast<std::uint32_t>(snapshot->dots_size());
      for (const v1::Dot& dot : node->verdict->shards[0]->dots) {
        v1::Dot* copy = snapshot->add_dots();
        *copy = dot;
        for (int p = 0; p < copy->peer_size(); ++p) copy->set_peer(p, copy->peer(p) + offset);
      }
    }
  }

  // The stages of the shard actors, and what is left of the workers' time: messages between actors, links, population,
  // workload, and waiting for the slowest.
  void AddProfile(double wall_s, v1::Summary* summary) const {
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

  // One path: nobody is ticked any more, so every mailbox is empty and every actor ends at once.
  void Stop() {
    self_->send_exit(pacer_, caf::exit_reason::user_shutdown);
    for (const auto& runtime : runtimes_) self_->send_exit(runtime, caf::exit_reason::user_shutdown);
    for (const auto& node : shards_) {
      for (const ShardActor& shard : node) self_->send_exit(shard, caf::exit_reason::user_shutdown);
    }
    for (const PeerLinkActor& link : others_) {
      if (link) self_->send_exit(link, caf::exit_reason::user_shutdown);
    }
    for (const MonitorActor& monitor : monitors_) self_->send_exit(monitor, caf::exit_reason::user_shutdown);
    // The actors hold handles of each other; without these the last references go when the system ends.
    pacer_ = nullptr;
    runtimes_.clear();
    shards_.clear();
    others_.clear();
    monitors_.clear();
  }

  const v1::Scenario& scenario_;
  const EmulationOptions& options_;
  shard::ContributionPolicy policy_;
  std::vector<std::string> regions_;
  std::vector<std::uint32_t> population_;
  Timeline timeline_;
  std::set<std::uint64_t> pictured_;  // cycles that the report shows as pictures
  Workload workload_;
  Measurement measurement_;
  System system_;
  caf::scoped_actor self_;  // the caller
  // From RunFrom on until it returns, the pacer's.
  v1::RunReport report_;
  std::uint64_t cycle_ = 0;
  std::vector<Payload<NodeReport>> reports_ = std::vector<Payload<NodeReport>>(regions_.size());
  std::uint32_t reported_ = 0;
  Clock::time_point first_;  // when cycle 1 began
  struct {
    Clock::time_point at;
    std::uint64_t cycle = 0;
    std::uint64_t replica_cycles = 0;
  } shown_;  // the newest progress
  std::uint64_t resident_ = 0;
  caf::actor pacer_;
  std::vector<NodeRuntimeActor> runtimes_;
  std::vector<std::vector<ShardActor>> shards_;
  std::vector<PeerLinkActor> others_;
  std::vector<MonitorActor> monitors_;
  std::uint64_t alive_ = 0;
  std::vector<std::uint64_t> alive_by_node_ = std::vector<std::uint64_t>(regions_.size());
  std::uint64_t adversaries_ = 0;
  shard::StageTimes stage_ns_{};  // of all shards since cycle 1
};

}  // namespace

ResourceBudget EstimateBudget(const v1::Scenario& scenario) {
  const std::uint64_t nodes = std::max<std::uint64_t>(1, scenario.population().regions_size());
  const std::uint64_t shards = scenario.state().shards();
  ResourceBudget budget;
  budget.replicas = std::uint64_t{scenario.population().micro_nodes()} *
                    std::min<std::uint64_t>(scenario.population().shards_per_node(), shards);
  budget.shard_actors = nodes * shards;
  budget.link_actors = nodes * (nodes - 1);
  // A replica and its row in the population; a micro-node; and what a process and its actors take anyway.
  const std::uint64_t replica_bytes = shard::StateShard::ReplicaBytes(ShapeOf(scenario));
  budget.resident_bytes = budget.replicas * (replica_bytes + 8) +
                          std::uint64_t{scenario.population().micro_nodes()} * 20 + budget.shard_actors * 32'768 +
                          20'000'000;
  budget.replica_cycles = budget.replicas * scenario.cycle().count();
  return budget;
}

absl::StatusOr<v1::RunReport> Emulate(const v1::Scenario& scenario, const EmulationOptions& options) {
  const ResourceBudget budget = EstimateBudget(scenario);
  if (budget.resident_bytes > AvailableBytes()) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the scenario needs about ", budget.resident_bytes >> 20, " MiB of memory and ", AvailableBytes() >> 20,
        " MiB are free: lower population.micro_nodes or population.shards_per_node"));
  }
  // A shard's memory grows in one block: what it leaves goes back to the system and is no hole in the heap. (Left
  // alone, glibc raises this limit to the largest block that was ever freed.)
  mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  Emulation emulation(scenario, options);
  return emulation.Run();
}

}  // namespace lvs::services
