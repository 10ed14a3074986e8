#include "services/cluster/testnet_report.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "services/base/cycle_clock.h"
#include "services/client/control_client.h"
#include "services/node/node_config.h"
#include "services/scenario/metrics.h"
#include "shard/state_shard.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Slots = std::vector<std::int64_t>;  // a value slot, micro-VU

constexpr double kPpm = 1e-6;
// States agree again when their spread is back under this share of that of a start (as for a run).
constexpr double kRecoveredSpread = 1e-3;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kUvu = 1e-6;
// Means of equal numbers may differ by this share.
constexpr double kRounding = 1e-12;
// What a micro-node may send on average (SPEC-12).
constexpr double kBytesPerMinute = 50'000;

// How far states are apart that are drawn at random, which is how a run starts.
double ValueSpreadOfStart() { return shard::StateShardConfig{}.value_spread / std::sqrt(3.0); }
double CoordinateRange() { return shard::StateShardConfig{}.coordinate_range; }
double FreeSpreadOfStart() { return CoordinateRange() / std::sqrt(12.0); }

double Ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// "0,1/2", the groups that hear each other; empty where all do.
std::string PartitionText(const std::vector<TestnetNode>& nodes, const std::vector<NodeLook>& looks) {
  std::vector<std::string> groups;
  std::vector<bool> placed(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (placed[i]) continue;
    const auto& severed = looks[i].faults.severed();
    const std::set<std::string> far(severed.begin(), severed.end());
    std::string group;
    for (std::size_t j = i; j < nodes.size(); ++j) {
      if (placed[j] || (j != i && far.contains(nodes[j].config.advertise()))) continue;
      placed[j] = true;
      absl::StrAppend(&group, group.empty() ? "" : ",", j);
    }
    groups.push_back(group);
  }
  std::string text;
  for (const std::string& group : groups) absl::StrAppend(&text, text.empty() ? "" : "/", group);
  return groups.size() > 1 ? text : "";
}

// Adds what two states of the same counters differ by. Counters never fall; what fell is no counter, and adds nothing.
void AddSince(const Message& before, const Message& now, Message* sum) {
  const auto* fields = sum->GetReflection();
  const auto more = [](auto is, auto was) { return is > was ? is - was : decltype(is)(0); };
  for (int f = 0; f < sum->GetDescriptor()->field_count(); ++f) {
    const FieldDescriptor* field = sum->GetDescriptor()->field(f);
    if (field->is_repeated()) continue;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64) {
      const auto added = more(fields->GetUInt64(now, field), fields->GetUInt64(before, field));
      fields->SetUInt64(sum, field, fields->GetUInt64(*sum, field) + added);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
      const auto added = more(fields->GetDouble(now, field), fields->GetDouble(before, field));
      fields->SetDouble(sum, field, fields->GetDouble(*sum, field) + added);
    }
  }
}

using Counts = google::protobuf::Map<std::string, google::protobuf::uint64>;

void AddSince(const Counts& before, const Counts& now, Counts* sum) {
  for (const auto& [name, count] : now) {
    const auto was = before.find(name);
    const std::uint64_t earlier = was == before.end() ? 0 : was->second;
    if (count > earlier) (*sum)[name] += count - earlier;
  }
}

std::uint64_t Sum(const Counts& counts) {
  std::uint64_t sum = 0;
  for (const auto& [name, count] : counts) sum += count;
  return sum;
}

// Adds what a node counted between two of its statuses, to a status of nothing but such sums. `before` is empty for a
// node that has just started.
void AddCounters(const v1::NodeStatus& before, const v1::NodeStatus& now, v1::NodeStatus* sum) {
  AddSince(before, now, sum);
  AddSince(before.work(), now.work(), sum->mutable_work());
  AddSince(before.work().clamped(), now.work().clamped(), sum->mutable_work()->mutable_clamped());
  AddSince(before.traffic(), now.traffic(), sum->mutable_traffic());
  AddSince(before.ledger(), now.ledger(), sum->mutable_ledger());
  AddSince(before.refused(), now.refused(), sum->mutable_refused());
  AddSince(before.anomalies_by_kind(), now.anomalies_by_kind(), sum->mutable_anomalies_by_kind());
}

double LossOf(const v1::NodeStatus& sum) {
  return Ratio(static_cast<double>(sum.traffic().frames_lost()), static_cast<double>(sum.traffic().frames_received()));
}

std::uint64_t WorkBytes(const v1::NodeStatus& sum) {
  const v1::MicroNodeStatus& work = sum.work();
  return work.state_diff_bytes() + work.entropy_bytes() + work.ledger_bytes() + work.beacon_bytes();
}

}  // namespace

// ---- The measurement -----------------------------------------------------------------------------------------------

class TestnetMeasurement::State {
 public:
  explicit State(const std::vector<TestnetNode>& nodes) : config_(nodes) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      nodes_.emplace_back();
      nodes_.back().figures.set_name(absl::StrCat("node ", i));
      nodes_.back().figures.set_region(nodes[i].config.region());
      v1::NodeSeries* series = report_.add_nodes();
      series->set_name(nodes_.back().figures.name());
      series->set_region(nodes[i].config.region());
      const auto& known = report_.regions();
      if (std::find(known.begin(), known.end(), nodes[i].config.region()) == known.end()) {
        report_.add_regions(nodes[i].config.region());
      }
    }
  }

  void Add(double seconds, const std::vector<NodeLook>& looks) {
    v1::Sample* sample = report_.add_samples();
    sample->set_seconds(seconds);
    v1::NodeStatus row;
    Count(seconds, looks, &row);
    FillRow(row, sample);
    MeasureReplicas(looks, sample);
    MeasureLinks(looks);
    Follow(seconds, looks);
    if (latency_ms_) {
      sample->set_load_p50_ms(latency_ms_->first);
      sample->set_load_p99_ms(latency_ms_->second);
    }
    last_s_ = seconds;
  }

  void BeginLoad(double seconds, const std::string& label) { load_band_ = Open("load", label, seconds); }

  void EndLoad(double seconds, const v1::LoadFigures& figures) {
    *report_.mutable_summary()->add_loads() = figures;
    Close(&load_band_, seconds);
    latency_ms_.reset();
  }

  void SetLatency(double p50_ms, double p99_ms) { latency_ms_ = {p50_ms, p99_ms}; }

  void Mark() { mark_ = accepted_; }

  bool Settled() const {
    return serving_ > 0 && serving_ == running_ && MissingUvu() == 0 && Spread() <= kRecoveredSpread;
  }

  v1::Sample Now() const { return report_.samples().empty() ? v1::Sample() : *report_.samples().rbegin(); }

  v1::RunReport Finish(bool complete) {
    for (NodeState& node : nodes_) Close(&node.band, last_s_);
    Close(&partition_band_, last_s_);
    Close(&load_band_, last_s_);
    v1::Summary* summary = report_.mutable_summary();
    summary->set_complete(complete);
    FillSummary(summary);
    FillNodes(summary);
    Judge();
    return std::move(report_);
  }

 private:
  struct NodeState {
    v1::NodeFigures figures;
    std::optional<v1::NodeStatus> last;  // the newest that was seen
    v1::NodeStatus sum;                  // of what it counted during the recording
    double up_s = 0;
    bool runs = false, answers = false;
    bool served = false;
    std::uint32_t starts_seen = 0;  // when it last served
    std::optional<int> band;        // of report_.faults(), while it is out
  };
  struct Waiting {  // an event that ended, until the testnet has recovered from it
    std::string kind;
    double ended_s = 0;
    std::vector<Slots> accepted;
  };
  struct Link {
    double looks = 0, sum_ms = 0, max_ms = 0;
    std::uint64_t frames = 0, frames_seen = 0;
  };

  // ---- Counters ----

  void Count(double seconds, const std::vector<NodeLook>& looks, v1::NodeStatus* row) {
    std::uint64_t cycle = 0;
    std::uint64_t micro_nodes = 0;
    std::set<std::uint64_t> digests;
    running_ = serving_ = 0;
    for (std::size_t i = 0; i < looks.size(); ++i) {
      NodeState& node = nodes_[i];
      running_ += looks[i].runs ? 1 : 0;
      node.runs = looks[i].runs;
      node.answers = looks[i].status.has_value();
      if (!looks[i].status) continue;
      const v1::NodeStatus& now = *looks[i].status;
      const bool same =
          node.last && node.last->session_high() == now.session_high() && node.last->session_low() == now.session_low();
      // What it did before the recording is not part of it.
      const bool earlier = !node.last && now.uptime_s() > seconds;
      const v1::NodeStatus before = same ? *node.last : earlier ? now : v1::NodeStatus();
      if (!same) node.figures.set_starts(node.figures.starts() + 1);
      for (v1::NodeStatus* sum : {row, &node.sum, &totals_}) AddCounters(before, now, sum);
      node.up_s += same ? seconds - last_s_ : 0;
      node.last = now;
      cycle = std::max(cycle, now.cycle());
      micro_nodes += now.micro_nodes();
      period_s_ = std::max(period_s_, static_cast<double>(now.period_us()) * 1e-6);
      if (now.state() == v1::SERVING) {
        ++serving_;
        digests.insert(now.ledger().digest());
      }
    }
    if (cycle > 0 && first_cycle_ == 0) first_cycle_ = cycle;
    last_cycle_ = std::max(last_cycle_, cycle);
    alive_ = micro_nodes;
    micro_nodes_max_ = std::max(micro_nodes_max_, micro_nodes);
    ledgers_ = static_cast<std::uint32_t>(digests.size());
  }

  void FillRow(const v1::NodeStatus& row, v1::Sample* sample) {
    sample->set_cycle(last_cycle_ - first_cycle_);
    sample->set_alive(alive_);
    sample->set_online_events(row.work().joined());
    sample->set_offline_events(row.work().left());
    sample->set_messages(row.work().heard() + row.traffic().frames_received());
    sample->set_loss_ratio(LossOf(row));
    const double minutes = static_cast<double>(row.work().micro_node_cycles()) * period_s_ / 60;
    const double bytes = static_cast<double>(WorkBytes(row) + row.traffic().bytes_sent());
    sample->set_bytes_per_node_minute(minutes > 0 ? bytes / minutes : kNaN);
    if (minutes > 0) rates_.push_back(bytes / minutes);
    sample->set_refused(Sum(row.refused()));
    sample->set_anomalies(row.anomalies());
    sample->set_mean_trust(row.work().heard() > 0 ? row.work().trust() / static_cast<double>(row.work().heard())
                                                  : kNaN);
    sample->set_nodes_serving(serving_);
    sample->set_ledgers(ledgers_);
    sample->set_contributions(row.ledger().accepted());
    sample->set_node_frames(row.traffic().frames_sent());
    sample->set_node_bytes(row.traffic().bytes_sent());
  }

  // ---- Replicas ----

  // Of one shard, all nodes together.
  struct ShardState {
    std::vector<shard::Moments> moments;  // of coordinates; values off the ledger of their own node
    std::vector<double> place;            // where the mean replica is; values with the ledger
    double worst_vu = 0;
  };

  static bool HasReplicas(const NodeLook& look, int shard) {
    return look.shards && shard < look.shards->shards_size() && look.shards->shards(shard).replicas() > 0;
  }

  // What a node's replicas say of a coordinate.
  static double Place(const v1::Shard& shard, int c) {
    const double ledger_vu = c < shard.total_uvu_size() ? static_cast<double>(shard.total_uvu(c)) * kUvu : 0;
    return ledger_vu + (c < shard.coordinates_size() ? shard.coordinates(c).mean() : 0);
  }

  void Shape(const std::vector<NodeLook>& looks) {
    for (const NodeLook& look : looks) {
      if (!look.shards || look.shards->shards().empty()) continue;
      slots_ = look.shards->shards(0).total_uvu_size();
      dims_ = std::max(dims_, look.shards->shards(0).coordinates_size());
      shards_ = std::max(shards_, look.shards->shards_size());
    }
    accepted_.resize(static_cast<std::size_t>(shards_), Slots(static_cast<std::size_t>(slots_)));
  }

  ShardState Gather(int s, const std::vector<NodeLook>& looks) {
    ShardState state;
    state.moments.resize(static_cast<std::size_t>(dims_));
    state.place.assign(static_cast<std::size_t>(dims_), 0);
    Slots& accepted = accepted_[static_cast<std::size_t>(s)];
    Slots& held = held_[static_cast<std::size_t>(s)];
    for (const NodeLook& look : looks) {
      if (!look.shards || s >= look.shards->shards_size()) continue;
      for (int slot = 0; slot < std::min(slots_, look.shards->shards(s).total_uvu_size()); ++slot) {
        std::int64_t& most = accepted[static_cast<std::size_t>(slot)];
        most = std::max(most, static_cast<std::int64_t>(look.shards->shards(s).total_uvu(slot)));
      }
    }
    bool any = false;
    for (const NodeLook& look : looks) {
      if (!HasReplicas(look, s)) continue;
      const v1::Shard& shard = look.shards->shards(s);
      double apart_vu = 0;
      for (int slot = 0; slot < std::min(slots_, shard.total_uvu_size()); ++slot) {
        const auto n = static_cast<std::size_t>(slot);
        const auto total = static_cast<std::int64_t>(shard.total_uvu(slot));
        const auto behind =
            slot < shard.behind_slot_uvu_size() ? static_cast<std::int64_t>(shard.behind_slot_uvu(slot)) : 0;
        held[n] = any ? std::min(held[n], total - behind) : total - behind;
        apart_vu = std::max(apart_vu, static_cast<double>(accepted[n] - total) * kUvu);
      }
      any = true;
      state.worst_vu = std::max(state.worst_vu, shard.worst_value_vu() + apart_vu);
      for (int c = 0; c < std::min(dims_, shard.coordinates_size()); ++c) {
        const v1::Coordinate& coordinate = shard.coordinates(c);
        const auto replicas = static_cast<double>(coordinate.replicas());
        state.moments[static_cast<std::size_t>(c)].Merge({replicas, coordinate.mean(), coordinate.squares()});
        state.place[static_cast<std::size_t>(c)] += replicas * Place(shard, c);
      }
    }
    for (std::size_t c = 0; c < state.place.size(); ++c) {
      state.place[c] = Ratio(state.place[c], state.moments[c].count);
    }
    return state;
  }

  void MeasureReplicas(const std::vector<NodeLook>& looks, v1::Sample* sample) {
    Shape(looks);
    held_.assign(static_cast<std::size_t>(shards_), Slots(static_cast<std::size_t>(slots_)));
    double value_variance = 0, free_variance = 0, groups = 0, effective_vu = 0;
    double accepted_uvu = 0, held_uvu = 0;
    bias_ = error_ = 0;
    std::vector<double> effective(looks.size()), distance(looks.size());
    free_at_start_.resize(static_cast<std::size_t>(shards_));
    for (int s = 0; s < shards_; ++s) {
      const ShardState state = Gather(s, looks);
      const Slots& accepted = accepted_[static_cast<std::size_t>(s)];
      double least_vu = std::numeric_limits<double>::infinity();
      for (std::size_t slot = 0; slot < accepted.size(); ++slot) {
        accepted_uvu += static_cast<double>(accepted[slot]);
        held_uvu += static_cast<double>(std::max<std::int64_t>(held_[static_cast<std::size_t>(s)][slot], 0));
        least_vu = std::min(least_vu, static_cast<double>(accepted[slot]) * kUvu);
      }
      const double scale_vu = std::max(1.0, least_vu);
      error_ = std::max(error_, state.worst_vu / scale_vu);
      std::vector<double>& at_start = free_at_start_[static_cast<std::size_t>(s)];
      const bool first = at_start.empty();
      if (!state.moments.empty() && state.moments[0].count > 0) ++groups;
      for (std::size_t c = 0; c < state.moments.size(); ++c) {
        const shard::Moments& m = state.moments[c];
        if (m.count == 0) continue;
        const bool value = static_cast<int>(c) < slots_;
        (value ? value_variance : free_variance) += m.m2 / m.count;
        if (value) {
          effective_vu += state.place[c];
        } else if (first) {
          at_start.push_back(m.mean);
        } else {
          bias_ =
              std::max(bias_, std::abs(m.mean - at_start[c - static_cast<std::size_t>(slots_)]) / CoordinateRange());
        }
      }
      for (std::size_t i = 0; i < looks.size(); ++i) {
        if (!looks[i].shards || s >= looks[i].shards->shards_size()) continue;
        const v1::Shard& shard = looks[i].shards->shards(s);
        for (int c = 0; c < dims_; ++c) {
          const double place = Place(shard, c);
          if (c < slots_) effective[i] += place;
          if (shard.replicas() == 0) continue;
          const double off = std::abs(place - state.place[static_cast<std::size_t>(c)]);
          const double relative = off / (c < slots_ ? scale_vu : CoordinateRange());
          if (relative > kRounding) distance[i] = std::max(distance[i], relative);
        }
      }
    }
    const bool measured = groups > 0;
    variance_ = measured ? value_variance / (groups * std::max(1, slots_)) : kNaN;
    value_spread_ = std::sqrt(variance_) / ValueSpreadOfStart();
    free_spread_ =
        measured ? std::sqrt(free_variance / (groups * std::max(1, dims_ - slots_))) / FreeSpreadOfStart() : kNaN;
    const double node_distance = measured ? *std::max_element(distance.begin(), distance.end()) : kNaN;
    if (!measured) error_ = kNaN;
    const auto cycles = static_cast<std::int64_t>(last_cycle_ - first_cycle_);
    if (measured && Spread() < kPpm && drift_cycles_to_1ppm_ < 0) drift_cycles_to_1ppm_ = cycles;
    if (measured && error_ < kPpm && ledger_cycles_to_1ppm_ < 0) ledger_cycles_to_1ppm_ = cycles;
    if (!measured) held_uvu = effective_vu = kNaN;

    sample->set_value_spread_relative(value_spread_);
    sample->set_free_spread_relative(free_spread_);
    sample->set_drift_vector_variance(variance_);
    sample->set_honest_bias_relative(bias_);
    sample->set_effective_error_relative(error_);
    sample->set_accepted_uvu(static_cast<std::uint64_t>(accepted_uvu));
    sample->set_held_uvu(measured ? static_cast<std::uint64_t>(held_uvu) : 0);
    sample->set_effective_uvu(effective_vu / kUvu);
    sample->set_behind_uvu(BehindUvu(accepted_));
    sample->set_node_distance_relative(node_distance);
    for (std::size_t i = 0; i < looks.size(); ++i) {
      v1::NodeSeries* series = report_.mutable_nodes(static_cast<int>(i));
      const bool has = measured && looks[i].shards && looks[i].status && looks[i].status->state() == v1::SERVING;
      series->add_effective_vu(has ? effective[i] : kNaN);
      series->add_distance_relative(has ? distance[i] : kNaN);
    }
  }

  // What held_ lacks of it.
  std::uint64_t BehindUvu(const std::vector<Slots>& wanted) const {
    std::int64_t behind = 0;
    for (std::size_t s = 0; s < wanted.size() && s < held_.size(); ++s) {
      for (std::size_t slot = 0; slot < wanted[s].size(); ++slot) {
        behind += std::max<std::int64_t>(0, wanted[s][slot] - held_[s][slot]);
      }
    }
    return static_cast<std::uint64_t>(behind);
  }
  std::uint64_t MissingUvu() const { return BehindUvu(mark_ ? *mark_ : accepted_); }

  double Spread() const {
    return std::isnan(value_spread_) ? kNaN : std::max(value_spread_, free_spread_);  // NaN is lost in max
  }

  // ---- Links ----

  void MeasureLinks(const std::vector<NodeLook>& looks) {
    for (std::size_t from = 0; from < looks.size(); ++from) {
      if (!looks[from].peers) continue;
      for (const v1::Peer& peer : looks[from].peers->peers()) {
        for (std::size_t to = 0; to < config_.size(); ++to) {
          if (to == from || config_[to].config.advertise() != peer.address()) continue;
          Link& link = links_[{from, to}];
          link.frames += peer.frames_sent() >= link.frames_seen ? peer.frames_sent() - link.frames_seen
                                                                : peer.frames_sent();  // a new connection
          link.frames_seen = peer.frames_sent();
          if (peer.rtt_ms() <= 0) continue;
          const double one_way_ms = peer.rtt_ms() / 2 + looks[to].faults.delay_ms();
          ++link.looks;
          link.sum_ms += one_way_ms;
          link.max_ms = std::max(link.max_ms, one_way_ms);
        }
      }
    }
  }

  // ---- Events ----

  int Open(const std::string& kind, const std::string& label, double seconds) {
    v1::FaultBand* band = report_.add_faults();
    band->set_kind(kind);
    band->set_label(label);
    band->set_from_seconds(seconds);
    return report_.faults_size() - 1;
  }

  void Close(std::optional<int>* band, double seconds) {
    if (*band) report_.mutable_faults(**band)->set_to_seconds(seconds);
    band->reset();
  }

  void Follow(double seconds, const std::vector<NodeLook>& looks) {
    bool all_serve = true;
    for (std::size_t i = 0; i < looks.size(); ++i) {
      NodeState& node = nodes_[i];
      const NodeLook& look = looks[i];
      const bool serves = look.status && look.status->state() == v1::SERVING;
      all_serve = all_serve && (serves || !look.runs);
      if (!look.runs && (node.served || look.ran) && !node.band) {
        const char* what = look.ended ? " ended" : " killed";
        node.band = Open("outage", absl::StrCat("node ", i, what), node.served ? last_s_ : seconds);
      }
      // Away and back between two looks.
      if (serves && node.served && !node.band && node.figures.starts() > node.starts_seen) {
        node.band = Open("outage", absl::StrCat("node ", i, " restarted"), last_s_);
      }
      if (serves) {
        node.served = true;
        node.starts_seen = node.figures.starts();
        if (node.band) {
          Close(&node.band, seconds);
          waiting_.push_back({"outage", seconds, accepted_});
        }
      }
    }
    if (totals_.work().scattered() > scattered_seen_) {
      std::optional<int> band = Open("scatter", "scattered", last_s_);
      Close(&band, seconds);
      waiting_.push_back({"scatter", seconds, accepted_});
    }
    scattered_seen_ = totals_.work().scattered();
    const std::string partition = PartitionText(config_, looks);
    if (partition_band_ && partition != partition_) {
      Close(&partition_band_, seconds);
      waiting_.push_back({"partition", seconds, accepted_});
    }
    if (!partition.empty() && !partition_band_) {
      partition_band_ = Open("partition", absl::StrCat("partition ", partition), seconds);
    }
    partition_ = partition;
    if (!all_serve || !(Spread() <= kRecoveredSpread)) return;
    std::erase_if(waiting_, [&](const Waiting& event) {
      if (BehindUvu(event.accepted) > 0) return false;
      AddRecovery(event, seconds - event.ended_s);
      return true;
    });
  }

  void AddRecovery(const Waiting& event, double took_s) {
    v1::RecoveryTime* time = report_.mutable_summary()->add_recoveries();
    time->set_after(event.kind);
    time->set_ended_at_seconds(event.ended_s);
    time->set_seconds(took_s);
  }

  // ---- The end ----

  void FillSummary(v1::Summary* summary) {
    summary->set_scenario("testnet");
    summary->set_micro_nodes(micro_nodes_max_);
    summary->set_micro_nodes_alive(alive_);
    summary->set_shards(static_cast<std::uint32_t>(shards_));
    summary->set_server_nodes(static_cast<std::uint32_t>(nodes_.size()));
    summary->set_cycles(last_cycle_ - first_cycle_);
    summary->set_virtual_seconds(last_s_);
    summary->set_wall_seconds(last_s_);
    summary->set_replica_cycles_per_second(Ratio(static_cast<double>(totals_.work().replica_cycles()), last_s_));
    summary->set_micro_node_cycles_per_second(Ratio(static_cast<double>(totals_.work().micro_node_cycles()), last_s_));

    v1::SwarmFigures* swarm = summary->mutable_swarm();
    swarm->set_joined(totals_.work().joined());
    swarm->set_left(totals_.work().left());
    swarm->set_repaired(totals_.work().repaired());
    swarm->set_fallback_links(totals_.work().fallback_links());

    v1::LedgerFigures* ledger = summary->mutable_ledger();
    ledger->set_accepted_uvu(Now().accepted_uvu());
    ledger->set_missing_uvu(MissingUvu());
    ledger->set_held_uvu(Now().held_uvu());
    ledger->set_effective_error_relative(error_);
    ledger->set_cycles_to_1ppm(ledger_cycles_to_1ppm_);
    ledger->set_contributions(totals_.ledger().accepted());
    ledger->set_redundancy_syncs(totals_.work().redundancy_syncs());

    v1::DriftFigures* drift = summary->mutable_drift();
    drift->set_relative_spread(Spread());
    drift->set_honest_bias_relative(bias_);
    drift->set_cycles_to_1ppm(drift_cycles_to_1ppm_);
    drift->set_vector_variance(variance_);

    v1::BandwidthFigures* bandwidth = summary->mutable_bandwidth();
    const double minutes = static_cast<double>(totals_.work().micro_node_cycles()) * period_s_ / 60;
    const auto per_minute = [minutes](std::uint64_t bytes) { return Ratio(static_cast<double>(bytes), minutes); };
    bandwidth->set_bytes_per_node_minute(Median(rates_));
    bandwidth->set_average_bytes_per_node_minute(per_minute(WorkBytes(totals_) + totals_.traffic().bytes_sent()));
    bandwidth->set_state_diff(per_minute(totals_.work().state_diff_bytes()));
    bandwidth->set_entropy(per_minute(totals_.work().entropy_bytes()));
    bandwidth->set_ledger(per_minute(totals_.work().ledger_bytes()));
    bandwidth->set_beacon(per_minute(totals_.work().beacon_bytes()));
    bandwidth->set_frames(per_minute(totals_.traffic().bytes_sent()));
    bandwidth->set_loss_ratio(LossOf(totals_));

    v1::VaultGuardFigures* guard = summary->mutable_vaultguard();
    *guard->mutable_refused() = totals_.refused();
    *guard->mutable_clamped() = totals_.work().clamped();
    *guard->mutable_anomalies() = totals_.anomalies_by_kind();
    guard->set_recoveries(totals_.recoveries());

    for (const Waiting& event : waiting_) AddRecovery(event, -1);
    for (const auto& [ends, link] : links_) {
      v1::LinkLatency* latency = summary->add_latency();
      latency->set_from(NameOf(ends.first));
      latency->set_to(NameOf(ends.second));
      latency->set_mean_ms(Ratio(link.sum_ms, link.looks));
      latency->set_max_ms(link.max_ms);
      latency->set_frames(link.frames);
    }
  }

  static std::string StateName(const v1::NodeStatus& status) { return v1::NodeState_Name(status.state()); }
  std::string NameOf(std::size_t i) const { return nodes_[i].figures.name(); }

  void FillNodes(v1::Summary* summary) {
    std::uint64_t replicas = 0, pending = 0, resident = 0;
    for (NodeState& node : nodes_) {
      v1::NodeFigures figures = node.figures;
      const v1::NodeStatus& sum = node.sum;
      figures.set_accepted(sum.ledger().accepted());
      figures.set_refused(sum.ledger().refused());
      figures.set_frames_sent(sum.traffic().frames_sent());
      figures.set_frames_received(sum.traffic().frames_received());
      figures.set_frames_lost(sum.traffic().frames_lost());
      figures.set_bytes_sent_per_minute(Ratio(static_cast<double>(sum.traffic().bytes_sent()), node.up_s / 60));
      figures.set_bytes_received_per_minute(Ratio(static_cast<double>(sum.traffic().bytes_received()), node.up_s / 60));
      figures.set_cycles_skipped(sum.cycles_skipped());
      figures.set_cpu_share(Ratio(sum.cpu_seconds(), node.up_s));
      figures.set_state(!node.runs ? "does not run" : !node.answers ? "does not answer" : StateName(*node.last));
      if (node.answers) {
        const v1::NodeStatus& status = *node.last;
        figures.set_micro_nodes(status.micro_nodes());
        figures.set_replicas(status.replicas());
        figures.set_peers(status.peers_connected());
        figures.set_resident_bytes(status.resident_bytes());
        figures.set_ledger_digest(absl::StrCat(absl::Hex(status.ledger().digest(), absl::kZeroPad16)));
        for (const std::uint64_t uvu : status.ledger().total_uvu()) figures.set_total_uvu(figures.total_uvu() + uvu);
        const std::uint64_t accepted = Now().accepted_uvu();
        figures.set_behind_uvu(accepted > figures.total_uvu() ? accepted - figures.total_uvu() : 0);
        replicas += status.replicas();
        pending += status.ledger().waiting();
        resident += status.resident_bytes();
      }
      *summary->add_nodes() = std::move(figures);
    }
    summary->set_replicas(replicas);
    summary->mutable_ledger()->set_contributions_pending(pending);
    summary->set_resident_bytes_per_micro_node(Ratio(static_cast<double>(resident), static_cast<double>(alive_)));
  }

  void Judge() {
    v1::Scenario limits;
    const auto limit = [&](const char* metric, double max, std::initializer_list<const char*> requirements) {
      v1::Threshold* threshold = limits.add_thresholds();
      threshold->set_metric(metric);
      threshold->set_max(max);
      for (const char* id : requirements) threshold->add_requirement(id);
    };
    limit("ledger.missing_uvu", 0, {"PAPER-4.4", "TEST-10"});
    limit("drift.relative_spread", kRecoveredSpread, {"PAPER-6"});
    // A contribution goes to every replica of its shard, and a scattered swarm has much to say: what that costs is for
    // whoever asks for it to judge.
    const bool quiet = totals_.ledger().accepted() == 0 && totals_.work().scattered() == 0;
    if (quiet) limit("bandwidth.bytes_per_node_minute", kBytesPerMinute, {"SPEC-12"});
    JudgeThresholds(limits, &report_);
    v1::Summary* summary = report_.mutable_summary();
    const auto none = [&](const char* metric, double value, const char* requirement) {
      v1::ThresholdResult* result = summary->add_thresholds();
      result->set_metric(metric);
      result->set_when("end");
      result->set_limit("max 0");
      result->set_value(value);
      result->set_passed(value == 0);
      result->set_requirement(requirement);
      summary->set_passed(summary->passed() && result->passed());
    };
    none("nodes.not_serving", static_cast<double>(running_) - serving_, "PAPER-8");
    if (summary->loads().empty()) return;
    std::uint64_t lost = 0;
    for (const v1::LoadFigures& load : summary->loads()) lost += load.offered() - load.acknowledged();
    none("load.not_acknowledged", static_cast<double>(lost), "CHAIN-5");
  }

  const std::vector<TestnetNode> config_;
  std::vector<NodeState> nodes_;
  v1::RunReport report_;
  v1::NodeStatus totals_;  // of all nodes
  int slots_ = 0, dims_ = 0, shards_ = 0;
  double period_s_ = 0;
  double last_s_ = 0;

  // Now.
  std::uint64_t first_cycle_ = 0, last_cycle_ = 0, alive_ = 0, micro_nodes_max_ = 0;
  std::uint32_t running_ = 0, serving_ = 0, ledgers_ = 0;
  std::vector<Slots> accepted_, held_;  // by shard
  std::optional<std::vector<Slots>> mark_;
  double value_spread_ = kNaN, free_spread_ = kNaN, variance_ = kNaN, bias_ = 0, error_ = kNaN;
  std::vector<std::vector<double>> free_at_start_;  // by shard

  std::vector<double> rates_;  // bytes a micro-node and minute, by row
  std::int64_t drift_cycles_to_1ppm_ = -1, ledger_cycles_to_1ppm_ = -1;
  std::vector<Waiting> waiting_;
  std::optional<int> partition_band_, load_band_;
  std::string partition_;
  std::uint64_t scattered_seen_ = 0;
  std::optional<std::pair<double, double>> latency_ms_;
  std::map<std::pair<std::size_t, std::size_t>, Link> links_;
};

TestnetMeasurement::TestnetMeasurement(const std::vector<TestnetNode>& nodes)
    : state_(std::make_unique<State>(nodes)) {}
TestnetMeasurement::~TestnetMeasurement() = default;
void TestnetMeasurement::Add(double seconds, const std::vector<NodeLook>& looks) { state_->Add(seconds, looks); }
void TestnetMeasurement::BeginLoad(double seconds, const std::string& label) { state_->BeginLoad(seconds, label); }
void TestnetMeasurement::EndLoad(double seconds, const v1::LoadFigures& figures) { state_->EndLoad(seconds, figures); }
void TestnetMeasurement::SetLatency(double p50_ms, double p99_ms) { state_->SetLatency(p50_ms, p99_ms); }
void TestnetMeasurement::Mark() { state_->Mark(); }
bool TestnetMeasurement::Settled() const { return state_->Settled(); }
v1::Sample TestnetMeasurement::Now() const { return state_->Now(); }
v1::RunReport TestnetMeasurement::Finish(bool complete) { return state_->Finish(complete); }

// ---- The recording -------------------------------------------------------------------------------------------------

namespace {

// A look later than this is one without an answer.
constexpr milliseconds kLookTimeout{1'000};
constexpr milliseconds kIntervalMin{100};
constexpr std::uint64_t kLooksAPeerList = 10;
// Nodes measure right after a cycle's start; looks come so far into one, and rows are written so much later.
constexpr double kPhase = 0.4;
constexpr double kRowAfter = 0.4;

milliseconds PeriodOf(const std::vector<TestnetNode>& nodes) {
  std::int64_t period_us = 0;
  for (const TestnetNode& node : nodes) {
    period_us = std::max(period_us, node.config.period_us() > 0 ? node.config.period_us() : NodeDefaults{}.period_us);
  }
  return std::max(milliseconds(1), milliseconds(period_us / 1'000));
}

// The last words of a node that drained.
bool SaidItsEnd(const fs::path& log) {
  std::ifstream in(log, std::ios::binary | std::ios::ate);
  if (!in) return false;
  const std::streamoff size = in.tellg();
  std::string tail(static_cast<std::size_t>(std::min<std::streamoff>(size, 1'024)), '\0');
  in.seekg(size - static_cast<std::streamoff>(tail.size()));
  in.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  return tail.find("node.ended") != std::string::npos;
}

}  // namespace

TestnetRecorder::TestnetRecorder(std::vector<TestnetNode> nodes, const TestnetRecording& recording)
    : nodes_(std::move(nodes)), interval_(recording.interval), looks_(nodes_.size()), measurement_(nodes_) {
  const milliseconds period = PeriodOf(nodes_);
  const milliseconds wanted = interval_ > milliseconds(0) ? interval_ : std::max(period, kIntervalMin);
  const milliseconds least = std::max(wanted, recording.expected / static_cast<std::int64_t>(kSamplesMax));
  interval_ = (least + period - milliseconds(1)) / period * period;  // whole cycles
  // In step with the cycles of the nodes, which all have one clock.
  const auto period_us = static_cast<std::uint64_t>(period.count()) * 1'000;
  const auto into_cycle = std::chrono::system_clock::now() - CycleStart(CycleNow(period_us), period_us);
  start_ = Steady::now() - std::chrono::duration_cast<Steady::duration>(into_cycle) + period +
           std::chrono::duration_cast<Steady::duration>(kPhase * period);
  for (std::size_t i = 0; i < nodes_.size(); ++i) threads_.emplace_back([this, i] { Ask(i); });
  threads_.emplace_back([this] { Sample(); });
}

TestnetRecorder::~TestnetRecorder() {
  {
    const std::lock_guard lock(mu_);
    stop_ = true;
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

double TestnetRecorder::Seconds() const {
  return std::max(0.0, std::chrono::duration<double>(Steady::now() - start_).count());
}

bool TestnetRecorder::WaitForLook(std::uint64_t n, double later) {
  const auto at = start_ + std::chrono::duration_cast<Steady::duration>((static_cast<double>(n) + later) * interval_);
  std::unique_lock lock(mu_);
  return !changed_.wait_until(lock, at, [this] { return stop_; });
}

// Asks one node at every look; of the looks that pass meanwhile none is made up for.
void TestnetRecorder::Ask(std::size_t i) {
  const TestnetNode& node = nodes_[i];
  std::optional<ControlClient> client;
  for (std::uint64_t n = 0; WaitForLook(n, 0);) {
    NodeLook look;
    // A call on a connection that was refused a moment ago may wait for its whole timeout: each failure gets a new one.
    if (!client) {
      absl::StatusOr<ControlClient> opened =
          ControlClient::Open({.address = node.config.control_listen(), .timeout = kLookTimeout});
      if (opened.ok()) client.emplace(*std::move(opened));
    }
    look.runs = ProcessOf(node).has_value();
    if (look.runs && client) {
      if (absl::StatusOr<v1::NodeStatus> status = client->GetStatus(); status.ok()) look.status = *std::move(status);
      if (look.status) {
        if (auto shards = client->ListShards(); shards.ok()) look.shards = *std::move(shards);
        if (n % kLooksAPeerList == 0) {
          if (auto peers = client->ListPeers(); peers.ok()) look.peers = *std::move(peers);
        }
      }
    }
    if (!look.status) client.reset();
    std::error_code ignored;
    look.ran = fs::exists(node.LogFile(), ignored);
    look.ended = !look.runs && SaidItsEnd(node.LogFile());
    look.faults = ReadFaults(node);
    const auto next = static_cast<std::uint64_t>(Seconds() / std::chrono::duration<double>(interval_).count()) + 1;
    n = std::max(n + 1, next);
    const std::lock_guard lock(mu_);
    if (!look.peers && looks_[i].peers) look.peers = std::move(looks_[i].peers);
    looks_[i] = std::move(look);
  }
}

void TestnetRecorder::Sample() {
  for (std::uint64_t n = 0; WaitForLook(n, kRowAfter); ++n) {
    // The machine stood still: no two rows of one moment.
    n = std::max(n, static_cast<std::uint64_t>(Seconds() / std::chrono::duration<double>(interval_).count()));
    const std::lock_guard lock(mu_);
    measurement_.Add(Seconds(), looks_);
    for (NodeLook& look : looks_) look.peers.reset();
    changed_.notify_all();
  }
}

void TestnetRecorder::BeginLoad(const std::string& label) {
  const std::lock_guard lock(mu_);
  measurement_.BeginLoad(Seconds(), label);
}

void TestnetRecorder::EndLoad(const v1::LoadFigures& figures) {
  const std::lock_guard lock(mu_);
  measurement_.EndLoad(Seconds(), figures);
}

void TestnetRecorder::SetLatency(double p50_ms, double p99_ms) {
  const std::lock_guard lock(mu_);
  measurement_.SetLatency(p50_ms, p99_ms);
}

v1::Sample TestnetRecorder::Now() const {
  const std::lock_guard lock(mu_);
  return measurement_.Now();
}

v1::RunReport TestnetRecorder::Finish(milliseconds settle, bool complete, const std::atomic<bool>* stop) {
  std::unique_lock lock(mu_);
  const auto stopped = [&] { return stop != nullptr && stop->load(); };
  // What was promised a moment ago may not have been seen by a look yet.
  const auto rows = [&](int more) {
    for (int i = 0; i < more && !stopped(); ++i) changed_.wait_for(lock, 2 * interval_);
  };
  rows(2);
  measurement_.Mark();
  const auto end = Steady::now() + settle;
  rows(1);
  while (!measurement_.Settled() && Steady::now() < end && !stopped()) changed_.wait_for(lock, interval_);
  stop_ = true;
  changed_.notify_all();
  lock.unlock();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  return measurement_.Finish(complete);
}

}  // namespace lvs::services
