#include "services/cluster/testnet_report.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>

#include "absl/strings/str_cat.h"
#include "services/base/text.h"
#include "services/cluster/status_counters.h"
#include "services/scenario/metrics.h"
#include "shard/state_shard.h"

namespace lvs::services {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kTickS = 1e-6;
// Rounding may make means of equal numbers differ by this share.
constexpr double kRounding = 1e-12;
// The average that a micro-node may send (SPEC-12).
constexpr double kBytesPerMinute = 50'000;

double Ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

// The start of a testnet is not observed. Its states are therefore compared with randomly drawn states, the start of
// every run.
MeasurementConfig ConfigOf() {
  const shard::StateShardConfig drawn;
  MeasurementConfig config;
  config.coordinate_range = drawn.coordinate_range;
  config.tick_s = kTickS;
  config.spread_at_start = {drawn.value_spread / std::sqrt(3.0), drawn.coordinate_range / std::sqrt(12.0)};
  return config;
}

std::vector<std::string> NamesOf(const std::vector<TestnetNode>& nodes) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < nodes.size(); ++i) names.push_back(absl::StrCat("node ", i));
  return names;
}

// The replicas of a shard on one node. The node may run another build, so values beyond the limits of this build are
// left out.
ShardLook ShardLookOf(const v1::Shard& shard) {
  ShardLook look;
  look.measure.replicas = shard.replicas();
  look.measure.worst_value_vu = shard.worst_value_vu();
  for (std::size_t slot = 0; slot < vaultguard::kMaxValueSlots; ++slot) {
    const int n = static_cast<int>(slot);
    if (n < shard.total_uvu_size()) look.total_uvu[slot] = static_cast<std::int64_t>(shard.total_uvu(n));
    if (n < shard.behind_slot_uvu_size()) {
      look.measure.behind_uvu[slot] = static_cast<std::int64_t>(shard.behind_slot_uvu(n));
    }
  }
  for (int c = 0; c < std::min(shard.coordinates_size(), vaultguard::kMaxDimensions); ++c) {
    const v1::Coordinate& coordinate = shard.coordinates(c);
    look.measure.moments[static_cast<std::size_t>(c)] = {static_cast<double>(coordinate.replicas()), coordinate.mean(),
                                                         coordinate.squares()};
  }
  return look;
}

}  // namespace

TestnetReport::TestnetReport(const std::vector<TestnetNode>& nodes)
    : config_(nodes), measurement_(ConfigOf(), NamesOf(nodes)), events_(nodes) {
  for (const std::string& name : NamesOf(nodes)) {
    const std::string& region = nodes[nodes_.size()].config.region();
    NodeState& node = nodes_.emplace_back();
    node.figures.set_name(name);
    node.figures.set_region(region);
    v1::NodeSeries* series = report_.add_nodes();
    series->set_name(name);
    series->set_region(region);
    const auto& known = report_.regions();
    if (std::find(known.begin(), known.end(), region) == known.end()) report_.add_regions(region);
  }
}

void TestnetReport::EndLoad(double seconds, const v1::LoadFigures& figures) {
  *report_.mutable_summary()->add_loads() = figures;
  events_.EndLoad(seconds);
  latency_ms_.reset();
}

bool TestnetReport::Settled() const {
  return serving_ > 0 && serving_ == running_ && measurement_.missing_uvu() == 0 &&
         measurement_.relative_spread() <= kRecoveredSpread;
}

v1::Sample TestnetReport::Now() const { return report_.samples().empty() ? v1::Sample() : *report_.samples().rbegin(); }

// ---- A look --------------------------------------------------------------------------------------------------------

void TestnetReport::Add(double seconds, const std::vector<TestnetLook>& looks) {
  v1::NodeStatus row;
  measurement_.Add(LookOf(seconds, looks, &row), &report_);
  contributions_ += row.ledger().accepted();

  v1::Sample* sample = report_.mutable_samples(report_.samples_size() - 1);
  std::set<std::uint64_t> digests;
  for (const TestnetLook& look : looks) {
    if (look.serves()) digests.insert(look.status->ledger().digest());
  }
  sample->set_nodes_serving(serving_);
  sample->set_ledgers(static_cast<std::uint32_t>(digests.size()));
  sample->set_contributions(row.ledger().accepted());
  sample->set_node_frames(row.traffic().frames_sent());
  sample->set_node_bytes(row.traffic().bytes_sent());
  AddNodeSeries(looks, sample);
  if (latency_ms_) {
    sample->set_load_p50_ms(latency_ms_->first);
    sample->set_load_p99_ms(latency_ms_->second);
  }
  last_s_ = seconds;
}

// Sets `row` to the counts of all nodes since the previous look.
Look TestnetReport::LookOf(double seconds, const std::vector<TestnetLook>& looks, v1::NodeStatus* row) {
  Grow(looks);
  Look look;
  look.nodes.resize(looks.size());
  running_ = serving_ = 0;
  std::uint64_t cycle = 0;
  std::uint64_t micro_nodes = 0;
  std::vector<std::uint32_t> starts;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    NodeState& state = nodes_[i];
    NodeLook& node = look.nodes[i];
    state.runs = looks[i].runs;
    state.answers = looks[i].status.has_value();
    node.serving = looks[i].serves();
    node.awaited = looks[i].runs;  // stopped nodes are not awaited
    node.links = LinksOf(i, looks);
    running_ += looks[i].runs ? 1 : 0;
    serving_ += node.serving ? 1 : 0;
    if (state.answers) {
      const v1::NodeStatus& status = *looks[i].status;
      const v1::NodeStatus since = Count(i, seconds, status);
      AddCounters({}, since, row);
      node.counted = CountedOf(since);
      node.alive = status.micro_nodes();
      node.replicas = status.replicas();
      cycle = std::max(cycle, status.cycle());
      micro_nodes += status.micro_nodes();
    }
    if (looks[i].shards) {
      for (const v1::Shard& shard : looks[i].shards->shards()) node.shards.push_back(ShardLookOf(shard));
    }
    starts.push_back(state.figures.starts());
  }
  if (cycle > 0 && first_cycle_ == 0) first_cycle_ = cycle;
  last_cycle_ = std::max(last_cycle_, cycle);
  micro_nodes_max_ = std::max(micro_nodes_max_, micro_nodes);
  scattered_ += row->work().scattered();

  look.at = static_cast<std::uint64_t>(std::llround(seconds / kTickS));
  look.cycle = last_cycle_ - first_cycle_;
  look.accepted_uvu = accepted_uvu_;
  for (std::string& kind : events_.Follow(seconds, looks, starts, row->work().scattered() > 0)) {
    look.ended.push_back({std::move(kind), look.at});
  }
  return look;
}

// The counts of a node since its previous status.
v1::NodeStatus TestnetReport::Count(std::size_t i, double seconds, const v1::NodeStatus& now) {
  NodeState& node = nodes_[i];
  const bool same =
      node.last && node.last->session_high() == now.session_high() && node.last->session_low() == now.session_low();
  // Counts from before the recording are left out.
  const bool earlier = !node.last && now.uptime_s() > seconds;
  v1::NodeStatus since;
  AddCounters(same ? *node.last : earlier ? now : v1::NodeStatus(), now, &since);
  AddCounters({}, since, &node.sum);
  if (!same) node.figures.set_starts(node.figures.starts() + 1);
  node.up_s += same ? seconds - last_s_ : 0;
  node.last = now;
  return since;
}

// Extends the shape of the state and the truth, which become known as nodes answer.
void TestnetReport::Grow(const std::vector<TestnetLook>& looks) {
  for (const TestnetLook& look : looks) {
    if (look.status) shape_.period_s = std::max(shape_.period_s, static_cast<double>(look.status->period_us()) * 1e-6);
    if (!look.shards || look.shards->shards().empty()) continue;
    const v1::Shard& first = look.shards->shards(0);
    const int slots = std::min(first.total_uvu_size(), vaultguard::kMaxValueSlots);
    const int dimensions = std::min(first.coordinates_size(), vaultguard::kMaxDimensions);
    shape_.value_slots = std::max(shape_.value_slots, static_cast<std::size_t>(slots));
    shape_.dimensions = std::max({shape_.dimensions, shape_.value_slots, static_cast<std::size_t>(dimensions)});
    shape_.shards = std::max(shape_.shards, static_cast<std::size_t>(look.shards->shards_size()));
  }
  measurement_.Reshape(shape_);
  accepted_uvu_.resize(shape_.shards);
  for (const TestnetLook& look : looks) {
    for (int s = 0; look.shards && s < look.shards->shards_size(); ++s) {
      const v1::Shard& shard = look.shards->shards(s);
      shard::SlotAmounts& accepted = accepted_uvu_[static_cast<std::size_t>(s)];
      for (std::size_t slot = 0; slot < shape_.value_slots; ++slot) {
        const int n = static_cast<int>(slot);
        if (n >= shard.total_uvu_size()) break;
        accepted[slot] = std::max(accepted[slot], static_cast<std::int64_t>(shard.total_uvu(n)));
      }
    }
  }
}

std::vector<LinkLook> TestnetReport::LinksOf(std::size_t from, const std::vector<TestnetLook>& looks) {
  std::vector<LinkLook> links;
  if (!looks[from].peers) return links;
  for (const v1::Peer& peer : looks[from].peers->peers()) {
    for (std::size_t to = 0; to < config_.size(); ++to) {
      if (to == from || config_[to].config.advertise() != peer.address()) continue;
      LinkLook& link = links.emplace_back();
      link.to = static_cast<std::uint32_t>(to);
      std::uint64_t& seen = frames_seen_[{from, to}];
      link.frames = peer.frames_sent() >= seen ? peer.frames_sent() - seen : peer.frames_sent();  // a new connection
      seen = peer.frames_sent();
      if (peer.rtt_ms() <= 0) continue;
      link.timed = 1;
      link.latency_ms_sum = link.latency_ms_max = peer.rtt_ms() / 2 + looks[to].faults.delay_ms();
    }
  }
  return links;
}

double TestnetReport::Place(const v1::Shard& shard, std::size_t dimension) const {
  const int n = static_cast<int>(dimension);
  const bool value = dimension < shape_.value_slots && n < shard.total_uvu_size();
  const double ledger_vu = value ? shard::Vu(static_cast<std::int64_t>(shard.total_uvu(n))) : 0;
  return ledger_vu + (n < shard.coordinates_size() ? shard.coordinates(n).mean() : 0);
}

void TestnetReport::AddNodeSeries(const std::vector<TestnetLook>& looks, v1::Sample* sample) {
  const bool known = measurement_.known();
  double farthest = 0;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    double effective_vu = 0;
    double distance = 0;
    for (std::size_t s = 0; looks[i].shards && s < static_cast<std::size_t>(looks[i].shards->shards_size()); ++s) {
      const v1::Shard& shard = looks[i].shards->shards(static_cast<int>(s));
      for (std::size_t c = 0; c < shape_.dimensions; ++c) {
        const bool value = c < shape_.value_slots;
        const double place = Place(shard, c);
        if (value) effective_vu += place;
        if (shard.replicas() == 0) continue;
        const double off = std::abs(place - measurement_.shards()[s].Place(c, shape_.value_slots));
        const double relative =
            off / (value ? measurement_.ScaleVu(s) : static_cast<double>(shard::StateShardConfig{}.coordinate_range));
        if (relative > kRounding) distance = std::max(distance, relative);
      }
    }
    farthest = std::max(farthest, distance);
    const bool has = known && looks[i].shards && looks[i].serves();
    v1::NodeSeries* series = report_.mutable_nodes(static_cast<int>(i));
    series->add_effective_vu(has ? effective_vu : kNaN);
    series->add_distance_relative(has ? distance : kNaN);
  }
  sample->set_node_distance_relative(known ? farthest : kNaN);
}

// ---- The end -------------------------------------------------------------------------------------------------------

v1::RunReport TestnetReport::Finish(bool complete) {
  events_.CloseAll(last_s_);
  for (const v1::FaultBand& band : events_.bands()) *report_.add_faults() = band;
  v1::Summary* summary = report_.mutable_summary();
  summary->set_complete(complete);
  FillSummary(summary);
  Judge();
  return std::move(report_);
}

void TestnetReport::FillSummary(v1::Summary* summary) {
  measurement_.Finish(summary);
  summary->set_scenario("testnet");
  summary->set_micro_nodes(micro_nodes_max_);
  summary->set_shards(static_cast<std::uint32_t>(shape_.shards));
  summary->set_server_nodes(static_cast<std::uint32_t>(nodes_.size()));
  summary->set_wall_seconds(last_s_);
  const auto per_second = [this](std::uint64_t cycles) { return Ratio(static_cast<double>(cycles), last_s_); };
  summary->set_replica_cycles_per_second(per_second(measurement_.replica_cycles()));
  summary->set_micro_node_cycles_per_second(per_second(measurement_.micro_node_cycles()));
  std::uint64_t pending = 0, resident = 0;
  for (const NodeState& node : nodes_) {
    FillNode(node, summary->add_nodes());
    if (!node.answers) continue;
    pending += node.last->ledger().waiting();
    resident += node.last->resident_bytes();
  }
  summary->mutable_ledger()->set_contributions(contributions_);
  summary->mutable_ledger()->set_contributions_pending(pending);
  summary->set_resident_bytes_per_micro_node(
      Ratio(static_cast<double>(resident), static_cast<double>(summary->micro_nodes_alive())));
}

void TestnetReport::FillNode(const NodeState& node, v1::NodeFigures* figures) const {
  *figures = node.figures;
  const v1::NodeStatus& sum = node.sum;
  const auto per_minute = [&node](std::uint64_t bytes) { return Ratio(static_cast<double>(bytes), node.up_s / 60); };
  figures->set_accepted(sum.ledger().accepted());
  figures->set_refused(sum.ledger().refused());
  figures->set_frames_sent(sum.traffic().frames_sent());
  figures->set_frames_received(sum.traffic().frames_received());
  figures->set_frames_lost(sum.traffic().frames_lost());
  figures->set_bytes_sent_per_minute(per_minute(sum.traffic().bytes_sent()));
  figures->set_bytes_received_per_minute(per_minute(sum.traffic().bytes_received()));
  figures->set_cycles_skipped(sum.cycles_skipped());
  figures->set_cpu_share(Ratio(sum.cpu_seconds(), node.up_s));
  figures->set_state(!node.runs      ? "does not run"
                     : !node.answers ? "does not answer"
                                     : v1::NodeState_Name(node.last->state()));
  if (!node.answers) return;
  const v1::NodeStatus& status = *node.last;
  figures->set_micro_nodes(status.micro_nodes());
  figures->set_replicas(status.replicas());
  figures->set_peers(status.peers_connected());
  figures->set_resident_bytes(status.resident_bytes());
  figures->set_ledger_digest(FormatHex(status.ledger().digest()));
  for (const std::uint64_t uvu : status.ledger().total_uvu()) figures->set_total_uvu(figures->total_uvu() + uvu);
  const std::uint64_t accepted = Now().accepted_uvu();
  figures->set_behind_uvu(accepted > figures->total_uvu() ? accepted - figures->total_uvu() : 0);
}

void TestnetReport::Judge() {
  v1::Scenario limits;
  const auto limit = [&](const char* metric, double max, std::initializer_list<const char*> requirements) {
    v1::Threshold* threshold = limits.add_thresholds();
    threshold->set_metric(metric);
    threshold->set_max(max);
    for (const char* id : requirements) threshold->add_requirement(id);
  };
  // Of a network that nobody contributed to, nothing can be missing.
  const bool quiet_ledger = report_.summary().ledger().accepted_uvu() == 0 && measurement_.known();
  if (!quiet_ledger) limit("ledger.missing_uvu", 0, {"PAPER-4.4", "TEST-10"});
  limit("drift.relative_spread", kRecoveredSpread, {"PAPER-6"});
  // The bandwidth limit applies to quiet recordings only. A contribution goes to every replica of its shard, and a
  // scattered swarm sends much, so whoever asked for either judges its cost.
  const bool quiet = contributions_ == 0 && scattered_ == 0;
  if (quiet) limit("bandwidth.bytes_per_node_minute", kBytesPerMinute, {"SPEC-12"});
  JudgeThresholds(limits, &report_);
  v1::Summary* summary = report_.mutable_summary();
  const auto none = [&](const char* metric, double value, const char* requirement, const char* untested) {
    v1::ThresholdResult* result = summary->add_thresholds();
    result->set_metric(metric);
    result->set_when("end");
    result->set_limit("max 0");
    result->set_value(untested == nullptr ? value : kNaN);
    result->set_passed(untested == nullptr && value == 0);
    if (untested != nullptr) result->set_untested(untested);
    result->set_requirement(requirement);
    summary->set_passed(summary->passed() && result->passed());
  };
  none("nodes.not_serving", static_cast<double>(running_) - serving_, "PAPER-8",
       running_ == 0 ? "no node runs" : nullptr);
  if (summary->loads().empty()) return;
  std::uint64_t offered = 0;
  std::uint64_t lost = 0;
  for (const v1::LoadFigures& load : summary->loads()) {
    offered += load.offered();
    lost += load.offered() - load.acknowledged();
  }
  none("load.not_acknowledged", static_cast<double>(lost), "CHAIN-5",
       offered == 0 ? "the load offered nothing" : nullptr);
}

}  // namespace lvs::services
