#include "services/scenario/measurement.h"

#include <algorithm>
#include <cmath>

#include "services/base/text.h"
#include "shard/random.h"

namespace lvs::services {

namespace {

constexpr double kPpm = 1e-6;

double Vu(double uvu) { return uvu / static_cast<double>(vaultguard::kMicroPerVu); }

double Ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

double RatioOrUnknown(double part, double whole) {
  return whole > 0 ? part / whole : std::numeric_limits<double>::quiet_NaN();
}

double Median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::uint64_t Sum(const std::map<std::string, std::uint64_t>& counts) {
  std::uint64_t sum = 0;
  for (const auto& [name, n] : counts) sum += n;
  return sum;
}

void AddTo(const std::map<std::string, std::uint64_t>& from, std::map<std::string, std::uint64_t>* to) {
  for (const auto& [name, n] : from) (*to)[name] += n;
}

MeasurementConfig ConfigOf(const v1::Scenario& scenario) {
  MeasurementConfig config;
  config.shape.shards = scenario.state().shards();
  config.shape.value_slots = scenario.state().value_slots();
  config.shape.dimensions = scenario.state().value_slots() + scenario.state().free_coordinates();
  config.shape.period_s = static_cast<double>(scenario.cycle().period_us()) * 1e-6;
  config.coordinate_range = scenario.state().coordinate_range();
  config.tick_s = config.shape.period_s;
  const double value_spread_vu = Vu(static_cast<double>(scenario.state().value_spread_uvu()));
  config.drawn = {value_spread_vu / std::sqrt(3.0), config.coordinate_range / std::sqrt(12.0)};
  return config;
}

}  // namespace

void Counted::Add(const Counted& other) {
  micro_node_cycles += other.micro_node_cycles;
  replica_cycles += other.replica_cycles;
  joined += other.joined;
  left += other.left;
  repaired += other.repaired;
  fallback_links += other.fallback_links;
  redundancy_syncs += other.redundancy_syncs;
  recoveries += other.recoveries;
  heard += other.heard;
  trust_255 += other.trust_255;
  messages += other.messages;
  exposed += other.exposed;
  lost += other.lost;
  sent += other.sent;
  AddTo(other.refused, &refused);
  AddTo(other.clamped, &clamped);
  AddTo(other.anomalies, &anomalies);
}

double Measurement::ShardState::Place(std::size_t dimension, std::size_t value_slots) const {
  const shard::Moments& m = moments[dimension];
  if (m.count == 0) return 0;
  return (dimension < value_slots ? Vu(total_weighted_uvu[dimension] / m.count) : 0) + m.mean;
}

Measurement::Measurement(const MeasurementConfig& config, std::vector<std::string> names)
    : config_(config),
      names_(std::move(names)),
      reference_(config.spread_at_start.value_or(config.drawn)),
      apart_(config.spread_at_start.value_or(MeasurementConfig::Spread())) {
  Reshape(config.shape);
}

Measurement::Measurement(const v1::Scenario& scenario, std::vector<std::string> names)
    : Measurement(ConfigOf(scenario), std::move(names)) {
  // Every rule is listed, be it with 0.
  for (std::size_t n = 0; n < vaultguard::kClamps; ++n) {
    total_.clamped[std::string(vaultguard::Name(static_cast<vaultguard::Clamp>(n)))] = 0;
  }
}

void Measurement::Reshape(const MeasurementShape& shape) {
  config_.shape = shape;
  states_.resize(shape.shards);
  accepted_uvu_.resize(shape.shards);
  mean_before_.resize(shape.shards);
}

// The worse of the two, and the one that is known where the other is not.
double Measurement::relative_spread() const { return std::fmax(value_spread_, free_spread_); }

std::uint64_t Measurement::anomalies() const { return Sum(total_.anomalies); }
std::uint64_t Measurement::refused() const { return Sum(total_.refused); }

double Measurement::ScaleVu(std::size_t shard) const {
  const shard::SlotAmounts& accepted = accepted_uvu_[shard];
  const auto end = accepted.begin() + static_cast<std::ptrdiff_t>(config_.shape.value_slots);
  const std::int64_t least = accepted.begin() == end ? 0 : *std::min_element(accepted.begin(), end);
  return std::max(1.0, Vu(static_cast<double>(least)));
}

std::uint64_t Measurement::Behind(const std::vector<shard::SlotAmounts>& wanted_uvu) const {
  std::uint64_t behind = 0;
  for (std::size_t s = 0; s < wanted_uvu.size(); ++s) {
    for (std::size_t slot = 0; slot < config_.shape.value_slots; ++slot) {
      behind += static_cast<std::uint64_t>(std::max<std::int64_t>(0, wanted_uvu[s][slot] - states_[s].held_uvu[slot]));
    }
  }
  return behind;
}

// ---- A look --------------------------------------------------------------------------------------------------------

void Measurement::Add(const Look& look, v1::RunReport* report) {
  Count(look);
  for (const EndedEvent& event : look.ended) waiting_.push_back({event, look.accepted_uvu});
  NoteLiars(look);
  if (!look.measured) return;
  Gather(look);
  MeasureLedger();
  MeasureSpread(look.cycle);
  MeasureBias();
  MeasureRegions();
  NoteConvergence(look.cycle);
  HashStates(look);
  NoteRecoveries(look);
  AddRow(look, report);
}

void Measurement::Count(const Look& look) {
  at_ = look.at;
  cycle_ = look.cycle;
  alive_ = replicas_ = 0;
  for (std::uint32_t n = 0; n < look.nodes.size(); ++n) {
    const NodeLook& node = look.nodes[n];
    alive_ += node.alive;
    replicas_ += node.replicas;
    total_.Add(node.counted);
    row_.Add(node.counted);
    for (const LinkLook& link : node.links) {
      LinkLook& sum = links_[{n, link.to}];
      sum.frames += link.frames;
      sum.lost += link.lost;
      sum.timed += link.timed;
      sum.latency_ms_sum += link.latency_ms_sum;
      sum.latency_ms_max = std::max(sum.latency_ms_max, link.latency_ms_max);
    }
  }
}

void Measurement::Gather(const Look& look) {
  states_.assign(config_.shape.shards, ShardState());
  accepted_uvu_ = look.accepted_uvu;
  for (const NodeLook& node : look.nodes) {
    for (std::size_t s = 0; s < std::min(node.shards.size(), states_.size()); ++s) {
      const ShardLook& shard = node.shards[s];
      if (shard.measure.replicas == 0) continue;
      ShardState& state = states_[s];
      double apart_vu = 0;
      for (std::size_t slot = 0; slot < config_.shape.value_slots; ++slot) {
        const std::int64_t total = shard.total_uvu[slot];
        const std::int64_t held = total - shard.measure.behind_uvu[slot];
        state.held_uvu[slot] = state.any ? std::min(state.held_uvu[slot], held) : held;
        state.most_uvu[slot] = std::max(state.most_uvu[slot], total);
        state.total_weighted_uvu[slot] += static_cast<double>(total) * shard.measure.moments[slot].count;
        // Only what is missing: value that a node holds and that is not acknowledged yet is in its ledger rightly, and
        // ledger.excess_uvu counts it.
        const std::int64_t missing = std::max<std::int64_t>(0, accepted_uvu_[s][slot] - total);
        apart_vu = std::max(apart_vu, Vu(static_cast<double>(missing)));
      }
      state.any = true;
      state.worst_value_vu = std::max(state.worst_value_vu, shard.measure.worst_value_vu + apart_vu);
      const bool honest = shard.measure.moments[0].count > 0;
      for (std::size_t c = 0; c < config_.shape.dimensions; ++c) {
        const shard::Moments& m = shard.measure.moments[c];
        state.moments[c].Merge(m);
        if (!honest) continue;
        state.least_mean[c] = state.nodes > 0 ? std::min(state.least_mean[c], m.mean) : m.mean;
        state.most_mean[c] = state.nodes > 0 ? std::max(state.most_mean[c], m.mean) : m.mean;
      }
      state.nodes += honest ? 1 : 0;
    }
  }
  known_ = std::any_of(states_.begin(), states_.end(), [](const ShardState& state) { return state.any; });
}

// What is held of what was accepted, and how far values are from it.
void Measurement::MeasureLedger() {
  effective_error_ = kUnknown;
  effective_vu_ = known_ ? 0 : kUnknown;
  excess_uvu_ = held_total_uvu_ = accepted_total_uvu_ = 0;
  for (std::size_t s = 0; s < states_.size(); ++s) {
    const ShardState& state = states_[s];
    for (std::size_t slot = 0; slot < config_.shape.value_slots; ++slot) {
      const std::int64_t truth = accepted_uvu_[s][slot];
      accepted_total_uvu_ += static_cast<std::uint64_t>(truth);
      held_total_uvu_ += static_cast<std::uint64_t>(std::max<std::int64_t>(state.held_uvu[slot], 0));
      excess_uvu_ += static_cast<std::uint64_t>(std::max<std::int64_t>(state.most_uvu[slot] - truth, 0));
      effective_vu_ += state.Place(slot, config_.shape.value_slots);
    }
    if (state.Honest() > 0) effective_error_ = std::fmax(effective_error_, state.worst_value_vu / ScaleVu(s));
  }
}

MeasurementConfig::Spread Measurement::SpreadNow() const {
  double value_variance = 0;
  double free_variance = 0;
  double groups = 0;
  for (const ShardState& state : states_) {
    if (state.Honest() == 0) continue;
    ++groups;
    for (std::size_t c = 0; c < config_.shape.dimensions; ++c) {
      const shard::Moments& m = state.moments[c];
      if (m.count > 0) (c < config_.shape.value_slots ? value_variance : free_variance) += m.m2 / m.count;
    }
  }
  const auto slots = static_cast<double>(config_.shape.value_slots);
  const auto free_dimensions = static_cast<double>(config_.shape.dimensions - config_.shape.value_slots);
  return {std::sqrt(Ratio(value_variance, groups * slots)), std::sqrt(Ratio(free_variance, groups * free_dimensions))};
}

void Measurement::MeasureSpread(std::uint64_t cycle) {
  value_spread_ = free_spread_ = variance_ = kUnknown;
  // One replica alone agrees with itself.
  const bool comparable =
      std::any_of(states_.begin(), states_.end(), [](const ShardState& state) { return state.Honest() >= 2; });
  if (!comparable) return;
  const MeasurementConfig::Spread now = SpreadNow();
  if (cycle == 0 && !config_.spread_at_start) reference_ = apart_ = now;
  variance_ = now.value_vu * now.value_vu;
  value_spread_ = RatioOrUnknown(now.value_vu, reference_.value_vu);
  free_spread_ = RatioOrUnknown(now.free, reference_.free);
}

// What moved the mean before the first liar came was nobody's pull. From then on, means are compared with those of the
// newest measured look before.
void Measurement::NoteLiars(const Look& look) {
  if (liars_came_ || std::none_of(look.nodes.begin(), look.nodes.end(), [](const NodeLook& n) { return n.liars > 0; }))
    return;
  liars_came_ = true;
  for (std::size_t s = 0; s < states_.size(); ++s) {
    for (std::size_t c = config_.shape.value_slots; c < config_.shape.dimensions; ++c) {
      if (states_[s].moments[c].count > 0) mean_before_[s][c] = states_[s].moments[c].mean;
    }
  }
}

void Measurement::MeasureBias() {
  double moved = kUnknown;
  for (std::size_t s = 0; s < states_.size(); ++s) {
    for (std::size_t c = config_.shape.value_slots; c < config_.shape.dimensions; ++c) {
      const shard::Moments& m = states_[s].moments[c];
      if (m.count == 0 || config_.coordinate_range <= 0) continue;
      std::optional<double>& before = mean_before_[s][c];
      if (before) moved = std::fmax(moved, std::abs(m.mean - *before) / config_.coordinate_range);
      if (!before) before = m.mean;
    }
  }
  (liars_came_ ? bias_ : sampling_error_) = moved;
}

void Measurement::MeasureRegions() {
  region_distance_ = kUnknown;
  for (const ShardState& state : states_) {
    if (state.nodes < 2 || config_.coordinate_range <= 0) continue;
    for (std::size_t c = config_.shape.value_slots; c < config_.shape.dimensions; ++c) {
      region_distance_ =
          std::fmax(region_distance_, (state.most_mean[c] - state.least_mean[c]) / config_.coordinate_range);
    }
  }
}

void Measurement::NoteConvergence(std::uint64_t cycle) {
  if (std::isnan(effective_error_at_start_)) effective_error_at_start_ = effective_error_;
  if (cycle == 0 && !config_.spread_at_start) return;
  const bool were_apart = apart_.value_vu > 0 || apart_.free > 0;
  if (relative_spread() < kPpm && were_apart && drift_cycles_to_1ppm_ < 0) {
    drift_cycles_to_1ppm_ = static_cast<std::int64_t>(cycle);
    if (!config_.spread_at_start) {
      reduction_per_cycle_ = std::pow(std::max(relative_spread(), 1e-12), -1.0 / static_cast<double>(cycle));
    }
  }
  const bool was_off = effective_error_at_start_ >= kPpm;
  if (effective_error_ < kPpm && was_off && ledger_cycles_to_1ppm_ < 0)
    ledger_cycles_to_1ppm_ = static_cast<std::int64_t>(cycle);
}

void Measurement::HashStates(const Look& look) {
  if (state_hash_) state_hash_ = 0;
  for (const NodeLook& node : look.nodes) {
    for (const ShardLook& shard : node.shards) {
      if (shard.state_hash) state_hash_ = shard::Mix(state_hash_.value_or(0) ^ *shard.state_hash);
    }
  }
}

void Measurement::NoteRecoveries(const Look& look) {
  const bool everywhere = std::all_of(look.nodes.begin(), look.nodes.end(),
                                      [](const NodeLook& node) { return node.serving || !node.awaited; });
  if (!everywhere || !(relative_spread() <= kRecoveredSpread)) return;  // nor in a gap
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    if (Behind(waiting.accepted_uvu) > 0) return false;
    recovered_.emplace_back(waiting.event, look.at - waiting.event.at);
    return true;
  });
}

void Measurement::AddRow(const Look& look, v1::RunReport* report) {
  v1::Sample* sample = report->add_samples();
  const double minutes = Ratio(static_cast<double>(row_.micro_node_cycles) * config_.shape.period_s, 60.0);
  sample->set_cycle(look.cycle);
  sample->set_seconds(Seconds(look.at));
  sample->set_alive(alive_);
  sample->set_online_events(row_.joined);
  sample->set_offline_events(row_.left);
  sample->set_value_spread_relative(value_spread_);
  sample->set_free_spread_relative(free_spread_);
  sample->set_drift_vector_variance(variance_);
  sample->set_honest_bias_relative(bias_);
  if (config_.shape.dimensions > config_.shape.value_slots) {
    sample->set_sampling_error_relative(liars_came_ ? kUnknown : sampling_error_);
    if (names_.size() > 1) sample->set_region_distance_relative(region_distance_);
  }
  sample->set_effective_error_relative(effective_error_);
  sample->set_accepted_uvu(accepted_total_uvu_);
  sample->set_held_uvu(held_total_uvu_);
  sample->set_effective_uvu(effective_vu_ * static_cast<double>(vaultguard::kMicroPerVu));
  sample->set_behind_uvu(Behind(accepted_uvu_));
  sample->set_loss_ratio(RatioOrUnknown(static_cast<double>(row_.lost), static_cast<double>(row_.exposed)));
  sample->set_bytes_per_node_minute(RatioOrUnknown(static_cast<double>(row_.sent.Total()), minutes));
  if (minutes > 0) rates_.push_back(sample->bytes_per_node_minute());
  sample->set_messages(row_.messages);
  sample->set_refused(Sum(row_.refused));
  sample->set_anomalies(Sum(row_.anomalies));
  sample->set_mean_trust(RatioOrUnknown(static_cast<double>(row_.trust_255), 255.0 * static_cast<double>(row_.heard)));
  row_ = {};
}

// ---- The end -------------------------------------------------------------------------------------------------------

void Measurement::Finish(v1::Summary* summary) const {
  summary->set_cycles(cycle_);
  summary->set_virtual_seconds(Seconds(at_));
  summary->set_micro_nodes_alive(alive_);
  summary->set_replicas(replicas_);
  if (state_hash_) summary->set_state_hash(FormatHex(*state_hash_));

  v1::SwarmFigures* swarm = summary->mutable_swarm();
  swarm->set_joined(total_.joined);
  swarm->set_left(total_.left);
  swarm->set_repaired(total_.repaired);
  swarm->set_fallback_links(total_.fallback_links);

  v1::LedgerFigures* ledger = summary->mutable_ledger();
  ledger->set_accepted_uvu(accepted_total_uvu_);
  ledger->set_missing_uvu(missing_uvu());
  ledger->set_excess_uvu(excess_uvu_);
  ledger->set_held_uvu(held_total_uvu_);
  ledger->set_effective_error_relative(effective_error_);
  ledger->set_cycles_to_1ppm(ledger_cycles_to_1ppm_);
  ledger->set_redundancy_syncs(total_.redundancy_syncs);
  ledger->set_effective_error_at_start(effective_error_at_start_);

  v1::DriftFigures* drift = summary->mutable_drift();
  drift->set_relative_spread(relative_spread());
  drift->set_honest_bias_relative(bias_);
  drift->set_sampling_error_relative(sampling_error_);
  drift->set_region_distance_relative(region_distance_);
  drift->set_reduction_per_cycle(reduction_per_cycle_);
  drift->set_cycles_to_1ppm(drift_cycles_to_1ppm_);
  drift->set_vector_variance(variance_);
  drift->set_value_spread_at_start_vu(apart_.value_vu);
  drift->set_free_spread_at_start(apart_.free);

  FillBandwidth(summary->mutable_bandwidth());
  FillVaultGuard(summary->mutable_vaultguard());
  for (const auto& [event, ticks] : recovered_) AddRecovery(event, Seconds(ticks), summary);
  // Where no two replicas are left to agree, nothing says whether the network recovered.
  const double never = std::isnan(relative_spread()) ? kUnknown : -1;
  for (const Waiting& waiting : waiting_) AddRecovery(waiting.event, never, summary);
  for (const auto& [ends, link] : links_) {
    v1::LinkLatency* latency = summary->add_latency();
    latency->set_from(names_[ends.first]);
    latency->set_to(names_[ends.second]);
    latency->set_mean_ms(Ratio(link.latency_ms_sum, static_cast<double>(link.timed)));
    latency->set_max_ms(link.latency_ms_max);
    latency->set_frames(link.frames);
    latency->set_lost(link.lost);
  }
}

void Measurement::FillBandwidth(v1::BandwidthFigures* bandwidth) const {
  const double minutes = static_cast<double>(total_.micro_node_cycles) * config_.shape.period_s / 60.0;
  const auto per_minute = [minutes](std::uint64_t bytes) {
    return RatioOrUnknown(static_cast<double>(bytes), minutes);
  };
  bandwidth->set_bytes_per_node_minute(Median(rates_));
  bandwidth->set_average_bytes_per_node_minute(per_minute(total_.sent.Total()));
  bandwidth->set_state_diff(per_minute(total_.sent.state_diff));
  bandwidth->set_entropy(per_minute(total_.sent.entropy));
  bandwidth->set_ledger(per_minute(total_.sent.ledger));
  bandwidth->set_beacon(per_minute(total_.sent.beacon));
  bandwidth->set_frames(per_minute(total_.sent.frames));
  bandwidth->set_loss_ratio(RatioOrUnknown(static_cast<double>(total_.lost), static_cast<double>(total_.exposed)));
}

void Measurement::FillVaultGuard(v1::VaultGuardFigures* guard) const {
  for (const auto& [reason, n] : total_.refused) (*guard->mutable_refused())[reason] = n;
  for (const auto& [rule, n] : total_.clamped) (*guard->mutable_clamped())[rule] = n;
  for (const auto& [kind, n] : total_.anomalies) (*guard->mutable_anomalies())[kind] = n;
  guard->set_recoveries(total_.recoveries);
}

void Measurement::AddRecovery(const EndedEvent& event, double seconds, v1::Summary* summary) const {
  v1::RecoveryTime* time = summary->add_recoveries();
  time->set_after(event.kind);
  time->set_ended_at_seconds(Seconds(event.at));
  time->set_seconds(seconds);
}

}  // namespace lvs::services
