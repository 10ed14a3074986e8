#include "services/scenario/measurement.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "shard/random.h"

namespace lvs::services {

namespace {

using hosting::Anomaly;
using hosting::LinkReport;
using hosting::NodeReport;
using hosting::Payload;
using hosting::ShardReport;

constexpr double kPpm = 1e-6;
// States agree again when their spread is back under this share of the start's.
constexpr double kRecoveredSpread = 1e-3;

double Vu(double uvu) { return uvu / static_cast<double>(vaultguard::kMicroPerVu); }

void AddCounts(const shard::CycleCounts& from, shard::CycleCounts* to) {
  to->step += from.step;
  to->sent += from.sent;
  to->redundancy_syncs += from.redundancy_syncs;
  to->fallback_links += from.fallback_links;
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double Ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

}  // namespace

Measurement::Measurement(const v1::Scenario& scenario, std::vector<std::string> regions)
    : shards_(scenario.state().shards()),
      slots_(scenario.state().value_slots()),
      dims_(slots_ + scenario.state().free_coordinates()),
      period_s_(static_cast<double>(scenario.cycle().period_us()) * 1e-6),
      coordinate_range_(scenario.state().coordinate_range()),
      regions_(std::move(regions)),
      mean_at_start_(shards_) {}

double Measurement::Seconds(std::uint64_t cycle) const { return static_cast<double>(cycle) * period_s_; }

std::uint64_t Measurement::anomalies() const {
  std::uint64_t total = 0;
  for (const auto& [kind, n] : anomalies_) total += n;
  return total;
}

void Measurement::Tally(const std::vector<Payload<NodeReport>>& nodes) {
  alive_ = replicas_ = 0;
  for (const Payload<NodeReport>& node : nodes) {
    alive_ += node->alive;
    replicas_ += node->replicas;
    online_ += node->online;
    offline_ += node->offline;
    repaired_ += node->repaired;
    row_.online += node->online;
    row_.offline += node->offline;
    for (const LinkReport& link : node->links) {
      LinkReport& sum = links_[{node->node, link.to}];
      sum.frames += link.frames;
      sum.lost += link.lost;
      sum.bytes += link.bytes;
      sum.delivered += link.delivered;
      sum.latency_ms_sum += link.latency_ms_sum;
      sum.latency_ms_max = std::max(sum.latency_ms_max, link.latency_ms_max);
      frames_ += link.frames;
      frames_lost_ += link.lost;
      row_.frames += link.frames;
      row_.frames_lost += link.lost;
      row_.counts.sent.frames += link.bytes;
      counts_.sent.frames += link.bytes;
    }
    if (!node->verdict) continue;
    for (const Payload<ShardReport>& shard : node->verdict->shards) {
      AddCounts(shard->counts, &counts_);
      AddCounts(shard->counts, &row_.counts);
      refused_ += shard->counts.step.refused;
      row_.refused += shard->counts.step.refused.Total();
      replica_cycles_ += shard->counts.step.updated;
    }
    for (const Anomaly& anomaly : node->verdict->anomalies) ++anomalies_[anomaly.kind];
    row_.anomalies += node->verdict->anomalies.size();
    recoveries_ += node->verdict->orders.size();
  }
  micro_node_cycles_ += alive_;
  row_.node_cycles += alive_;
}

std::vector<Measurement::ShardState> Measurement::Gather(const std::vector<Payload<NodeReport>>& nodes,
                                                         const std::vector<shard::SlotAmounts>& accepted) const {
  std::vector<ShardState> states(shards_);
  for (const Payload<NodeReport>& node : nodes) {
    if (!node->verdict) continue;
    for (const Payload<ShardReport>& report : node->verdict->shards) {
      if (report->measure.replicas == 0) continue;
      ShardState& state = states[report->shard];
      double apart_vu = 0;
      for (std::size_t slot = 0; slot < slots_; ++slot) {
        const std::int64_t held = report->total_uvu[slot] - report->measure.behind_uvu[slot];
        state.held_uvu[slot] = state.any ? std::min(state.held_uvu[slot], held) : held;
        apart_vu = std::max(apart_vu,
                            std::abs(Vu(static_cast<double>(report->total_uvu[slot] - accepted[report->shard][slot]))));
        const shard::Moments& m = report->measure.moments[slot];
        state.total_weighted[slot] += static_cast<double>(report->total_uvu[slot]) * m.count;
        state.most_uvu[slot] = std::max(state.most_uvu[slot], report->total_uvu[slot]);
      }
      state.any = true;
      state.worst_value_vu = std::max(state.worst_value_vu, report->measure.worst_value_vu + apart_vu);
      for (std::size_t c = 0; c < dims_; ++c) state.moments[c].Merge(report->measure.moments[c]);
    }
  }
  return states;
}

void Measurement::Add(std::uint64_t cycle, const std::vector<Payload<NodeReport>>& nodes,
                      const std::vector<shard::SlotAmounts>& accepted, const std::vector<Timeline::Ended>& ended,
                      v1::RunReport* report) {
  if (cycle > 0) Tally(nodes);
  last_cycle_ = cycle;
  for (const Timeline::Ended& event : ended) waiting_.push_back({event.kind, event.cycle, accepted});
  // Where every server node is out, nobody is left to measure: nothing is held.
  const bool nobody =
      std::all_of(nodes.begin(), nodes.end(), [](const Payload<NodeReport>& node) { return !node->verdict; });
  const bool measured = nobody || std::any_of(nodes.begin(), nodes.end(), [](const Payload<NodeReport>& node) {
                          return node->verdict && !node->verdict->shards.empty() && node->verdict->shards[0]->measured;
                        });
  if (!measured) return;

  const std::vector<ShardState> states = Gather(nodes, accepted);
  double value_variance = 0;
  double free_variance = 0;
  double groups = 0;
  double effective_vu = 0;
  bias_ = effective_error_ = 0;
  missing_uvu_ = excess_uvu_ = held_uvu_ = accepted_uvu_ = 0;
  state_hash_ = 0;
  for (std::size_t s = 0; s < shards_; ++s) {
    const ShardState& state = states[s];
    std::int64_t least = 0;
    for (std::size_t slot = 0; slot < slots_; ++slot) {
      const std::int64_t truth = accepted[s][slot];
      accepted_uvu_ += static_cast<std::uint64_t>(truth);
      const std::int64_t held = state.any ? state.held_uvu[slot] : 0;
      held_uvu_ += static_cast<std::uint64_t>(std::max<std::int64_t>(held, 0));
      missing_uvu_ += static_cast<std::uint64_t>(std::max<std::int64_t>(truth - held, 0));
      excess_uvu_ += static_cast<std::uint64_t>(std::max<std::int64_t>(state.most_uvu[slot] - truth, 0));
      least = slot == 0 ? truth : std::min(least, truth);
      if (state.moments[slot].count > 0) {
        effective_vu += Vu(state.total_weighted[slot] / state.moments[slot].count) + state.moments[slot].mean;
      }
    }
    if (!state.any) continue;
    ++groups;
    effective_error_ = std::max(effective_error_, state.worst_value_vu / std::max(1.0, Vu(static_cast<double>(least))));
    for (std::size_t c = 0; c < dims_; ++c) {
      const shard::Moments& m = state.moments[c];
      if (m.count == 0) continue;
      (c < slots_ ? value_variance : free_variance) += m.m2 / m.count;
      if (cycle == 0) mean_at_start_[s][c] = m.mean;
      if (c >= slots_ && coordinate_range_ > 0) {
        bias_ = std::max(bias_, std::abs(m.mean - mean_at_start_[s][c]) / coordinate_range_);
      }
    }
  }
  const auto free_dims = static_cast<double>(dims_ - slots_);
  variance_ = Ratio(value_variance, groups * static_cast<double>(slots_));
  const double value_rms = std::sqrt(variance_);
  const double free_rms = std::sqrt(Ratio(free_variance, groups * free_dims));
  if (cycle == 0) {
    value_rms_at_start_ = value_rms;
    free_rms_at_start_ = free_rms;
  }
  value_spread_ = Ratio(value_rms, value_rms_at_start_);
  free_spread_ = Ratio(free_rms, free_rms_at_start_);
  if (relative_spread() < kPpm && drift_cycles_to_1ppm_ < 0 && cycle > 0) {
    drift_cycles_to_1ppm_ = static_cast<std::int64_t>(cycle);
    reduction_per_cycle_ = std::pow(std::max(relative_spread(), 1e-12), -1.0 / static_cast<double>(cycle));
  }
  if (effective_error_ < kPpm && ledger_cycles_to_1ppm_ < 0 && cycle > 0)
    ledger_cycles_to_1ppm_ = static_cast<std::int64_t>(cycle);

  bool everywhere = true;
  for (const Payload<NodeReport>& node : nodes) {
    everywhere = everywhere && node->verdict;
    if (!node->verdict) continue;
    for (const Payload<ShardReport>& shard : node->verdict->shards)
      state_hash_ = shard::Mix(state_hash_ ^ shard->state_hash);
  }
  std::erase_if(waiting_, [&](const Waiting& event) {
    if (!everywhere || relative_spread() > kRecoveredSpread) return false;
    for (std::size_t s = 0; s < shards_; ++s) {
      for (std::size_t slot = 0; slot < slots_; ++slot) {
        if (states[s].held_uvu[slot] < event.accepted[s][slot]) return false;
      }
    }
    v1::RecoveryTime time;
    time.set_after(event.kind);
    time.set_ended_at_seconds(Seconds(event.cycle));
    time.set_seconds(Seconds(cycle - event.cycle));
    recovered_.push_back(time);
    return true;
  });

  v1::Sample* sample = report->add_samples();
  const double minutes = Ratio(static_cast<double>(row_.node_cycles) * period_s_, 60.0);
  sample->set_cycle(cycle);
  sample->set_seconds(Seconds(cycle));
  sample->set_alive(cycle == 0 ? [&] { std::uint64_t n = 0; for (const auto& node : nodes) n += node->alive; return n; }() : alive_);
  sample->set_online_events(row_.online);
  sample->set_offline_events(row_.offline);
  sample->set_value_spread_relative(value_spread_);
  sample->set_free_spread_relative(free_spread_);
  sample->set_drift_vector_variance(variance_);
  sample->set_honest_bias_relative(bias_);
  sample->set_effective_error_relative(effective_error_);
  sample->set_accepted_uvu(accepted_uvu_);
  sample->set_held_uvu(held_uvu_);
  sample->set_effective_uvu(effective_vu * static_cast<double>(vaultguard::kMicroPerVu));
  sample->set_behind_uvu(missing_uvu_);
  const auto lost = static_cast<double>(row_.counts.step.lost + row_.frames_lost);
  sample->set_loss_ratio(
      Ratio(lost, static_cast<double>(row_.counts.step.heard + row_.counts.step.lost + row_.frames)));
  sample->set_bytes_per_node_minute(Ratio(static_cast<double>(row_.counts.sent.Total()), minutes));
  if (cycle > 0) rates_.push_back(sample->bytes_per_node_minute());
  sample->set_messages(row_.counts.step.heard + row_.counts.step.lost + row_.frames);
  sample->set_refused(row_.refused);
  sample->set_anomalies(row_.anomalies);
  sample->set_mean_trust(
      Ratio(static_cast<double>(row_.counts.step.trust), 255.0 * static_cast<double>(row_.counts.step.heard)));
  row_ = {};
}

void Measurement::Finish(v1::Summary* summary) const {
  summary->set_cycles(last_cycle_);
  summary->set_virtual_seconds(Seconds(last_cycle_));
  summary->set_micro_nodes_alive(alive_);
  summary->set_replicas(replicas_);
  char hash[17];
  std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(state_hash_));
  summary->set_state_hash(hash);

  v1::SwarmFigures* swarm = summary->mutable_swarm();
  swarm->set_joined(online_);
  swarm->set_left(offline_);
  swarm->set_repaired(repaired_);
  swarm->set_fallback_links(counts_.fallback_links);

  v1::LedgerFigures* ledger = summary->mutable_ledger();
  ledger->set_accepted_uvu(accepted_uvu_);
  ledger->set_missing_uvu(missing_uvu_);
  ledger->set_excess_uvu(excess_uvu_);
  ledger->set_held_uvu(held_uvu_);
  ledger->set_effective_error_relative(effective_error_);
  ledger->set_cycles_to_1ppm(ledger_cycles_to_1ppm_);
  ledger->set_redundancy_syncs(counts_.redundancy_syncs);

  v1::DriftFigures* drift = summary->mutable_drift();
  drift->set_relative_spread(relative_spread());
  drift->set_honest_bias_relative(bias_);
  drift->set_reduction_per_cycle(reduction_per_cycle_);
  drift->set_cycles_to_1ppm(drift_cycles_to_1ppm_);
  drift->set_vector_variance(variance_);

  v1::BandwidthFigures* bandwidth = summary->mutable_bandwidth();
  const double minutes = static_cast<double>(micro_node_cycles_) * period_s_ / 60.0;
  const auto per_minute = [minutes](std::uint64_t bytes) { return Ratio(static_cast<double>(bytes), minutes); };
  bandwidth->set_bytes_per_node_minute(Median(rates_));
  bandwidth->set_average_bytes_per_node_minute(per_minute(counts_.sent.Total()));
  bandwidth->set_state_diff(per_minute(counts_.sent.state_diff));
  bandwidth->set_entropy(per_minute(counts_.sent.entropy));
  bandwidth->set_ledger(per_minute(counts_.sent.ledger));
  bandwidth->set_beacon(per_minute(counts_.sent.beacon));
  bandwidth->set_frames(per_minute(counts_.sent.frames));
  bandwidth->set_loss_ratio(Ratio(static_cast<double>(counts_.step.lost + frames_lost_),
                                  static_cast<double>(counts_.step.heard + counts_.step.lost + frames_)));

  v1::VaultGuardFigures* guard = summary->mutable_vaultguard();
  for (std::size_t n = 0; n < vaultguard::kRefusals; ++n) {
    const auto why = static_cast<vaultguard::Refusal>(n);
    if (refused_.Of(why) > 0) (*guard->mutable_refused())[std::string(vaultguard::Name(why))] = refused_.Of(why);
  }
  for (std::size_t n = 0; n < vaultguard::kClamps; ++n) {
    (*guard->mutable_clamped())[std::string(vaultguard::Name(static_cast<vaultguard::Clamp>(n)))] =
        counts_.step.clamped[n];
  }
  for (const auto& [kind, n] : anomalies_) (*guard->mutable_anomalies())[kind] = n;
  guard->set_recoveries(recoveries_);

  for (const v1::RecoveryTime& time : recovered_) *summary->add_recoveries() = time;
  for (const Waiting& event : waiting_) {
    v1::RecoveryTime* time = summary->add_recoveries();
    time->set_after(event.kind);
    time->set_ended_at_seconds(Seconds(event.cycle));
    time->set_seconds(-1);
  }
  for (const auto& [ends, link] : links_) {
    v1::LinkLatency* latency = summary->add_latency();
    latency->set_from(regions_[ends.first]);
    latency->set_to(regions_[ends.second]);
    latency->set_mean_ms(Ratio(link.latency_ms_sum, static_cast<double>(link.delivered)));
    latency->set_max_ms(link.latency_ms_max);
    latency->set_frames(link.frames);
    latency->set_lost(link.lost);
  }
}

}  // namespace lvs::services
