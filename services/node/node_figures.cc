#include "services/node/node_figures.h"

#include <algorithm>
#include <cmath>

namespace lvs::services {

namespace {

std::int64_t Worst(const shard::SlotAmounts& amounts) { return *std::max_element(amounts.begin(), amounts.end()); }

}  // namespace

void NodeFigures::Take(const hosting::NodeReport& report) {
  cycle_ = report.cycle;
  micro_nodes_ = report.alive;
  replicas_ = report.replicas;
  work_.set_micro_node_cycles(work_.micro_node_cycles() + report.alive);
  work_.set_joined(work_.joined() + report.online);
  work_.set_left(work_.left() + report.offline);
  work_.set_repaired(work_.repaired() + report.repaired);
  if (report.verdict == nullptr) return;
  anomalies_ += report.verdict->anomalies.size();
  for (const hosting::Anomaly& anomaly : report.verdict->anomalies) ++anomalies_by_kind_[anomaly.kind];
  recoveries_ += report.verdict->orders.size();
  for (const auto& shard : report.verdict->shards) TakeShard(*shard);
}

void NodeFigures::TakeShard(const hosting::ShardReport& report) {
  ShardView& view = views_[report.shard];
  view.replicas = report.measure.replicas;
  view.total_uvu = report.total_uvu;
  view.sessions = report.sessions;
  view.digest = report.ledger_digest;
  view.synced = report.synced;
  view.holds_all = report.holds_all;
  view.compared = report.compared;
  view.handed_over = report.handed_over;
  if (report.measured) {
    view.measure = report.measure;
    measured_cycle_ = report.cycle;
  }
  refused_ += report.counts.step.refused;
  AddWork(report.counts);
}

void NodeFigures::AddWork(const shard::CycleCounts& counts) {
  work_.set_replica_cycles(work_.replica_cycles() + counts.step.updated);
  work_.set_state_diff_bytes(work_.state_diff_bytes() + counts.sent.state_diff);
  work_.set_entropy_bytes(work_.entropy_bytes() + counts.sent.entropy);
  work_.set_ledger_bytes(work_.ledger_bytes() + counts.sent.ledger);
  work_.set_beacon_bytes(work_.beacon_bytes() + counts.sent.beacon);
  work_.set_heard(work_.heard() + counts.step.heard);
  work_.set_trust(work_.trust() + static_cast<double>(counts.step.trust) / 255);
  for (std::size_t n = 0; n < counts.step.clamped.size(); ++n) {
    if (counts.step.clamped[n] == 0) continue;
    (*work_.mutable_clamped())[std::string(Name(static_cast<vaultguard::Clamp>(n)))] += counts.step.clamped[n];
  }
  work_.set_redundancy_syncs(work_.redundancy_syncs() + counts.redundancy_syncs);
  work_.set_fallback_links(work_.fallback_links() + counts.fallback_links);
}

void NodeFigures::Fill(v1::NodeStatus* status) const {
  status->set_cycle(cycle_);
  status->set_micro_nodes(micro_nodes_);
  status->set_replicas(replicas_);
  status->set_anomalies(anomalies_);
  status->set_recoveries(recoveries_);
  for (const auto& [kind, n] : anomalies_by_kind_) (*status->mutable_anomalies_by_kind())[kind] = n;
  *status->mutable_work() = work_;
  FillLedger(status->mutable_ledger());
  FillSync(status->mutable_sync());
  FillDrift(status->mutable_drift());
}

void NodeFigures::FillLedger(v1::LedgerStatus* ledger) const {
  std::uint64_t digest = 0;
  shard::SlotAmounts total{};
  std::int64_t behind = 0;
  for (std::size_t n = 0; n < views_.size(); ++n) {
    const ShardView& view = views_[n];
    digest += shard::Mix(view.digest + n);
    for (std::size_t s = 0; s < total.size(); ++s) total[s] += view.total_uvu[s];
    behind = std::max(behind, Worst(view.measure.behind_uvu));
    ledger->set_sessions(ledger->sessions() + view.sessions);
  }
  ledger->set_digest(digest);
  for (int s = 0; s < shape_.value_slots; ++s) {
    ledger->add_total_uvu(static_cast<std::uint64_t>(total[static_cast<std::size_t>(s)]));
  }
  ledger->set_behind_uvu(static_cast<std::uint64_t>(behind));
}

void NodeFigures::FillSync(v1::SyncStatus* sync) const {
  const auto count = [this](bool ShardView::*is) {
    return static_cast<std::uint32_t>(
        std::count_if(views_.begin(), views_.end(), [is](const ShardView& view) { return view.*is; }));
  };
  const auto shards = static_cast<std::uint32_t>(views_.size());
  sync->set_shards_missing(shards - count(&ShardView::holds_all));
  sync->set_shards_compared(count(&ShardView::compared));
  sync->set_holds_all(sync->shards_missing() == 0);
  for (std::uint32_t n = 0; n < shards; ++n) {
    if (!views_[n].holds_all) sync->add_incomplete_shards(n);
  }
}

// The relative spread is the standard deviation of the free coordinates divided by that of the range in which they
// start.
void NodeFigures::FillDrift(v1::DriftStatus* drift) const {
  const double range = shard::StateShardConfig{}.coordinate_range;
  double worst = 0;
  for (const ShardView& view : views_) {
    drift->set_worst_value_vu(std::max(drift->worst_value_vu(), view.measure.worst_value_vu));
    for (int c = shape_.value_slots; c < shape_.dimensions(); ++c) {
      const shard::Moments& moments = view.measure.moments[static_cast<std::size_t>(c)];
      if (moments.count > 0) worst = std::max(worst, std::sqrt(moments.m2 / moments.count));
    }
  }
  drift->set_relative_spread(worst / (range / std::sqrt(12.0)));
  for (int c = shape_.value_slots; c < shape_.dimensions() && !views_.empty(); ++c) {
    drift->add_mean(views_[0].measure.moments[static_cast<std::size_t>(c)].mean);
  }
}

v1::ShardList NodeFigures::Shards(Time now) {
  watched_at_ = now;
  v1::ShardList list;
  list.set_measured_cycle(measured_cycle_);
  for (std::size_t n = 0; n < views_.size(); ++n) {
    v1::Shard* shard = list.add_shards();
    shard->set_shard(static_cast<std::uint32_t>(n));
    FillShard(views_[n], shard);
  }
  return list;
}

void NodeFigures::FillShard(const ShardView& view, v1::Shard* shard) const {
  shard->set_replicas(static_cast<std::uint32_t>(view.replicas));
  for (int s = 0; s < shape_.value_slots; ++s) {
    shard->add_total_uvu(static_cast<std::uint64_t>(view.total_uvu[static_cast<std::size_t>(s)]));
    shard->add_behind_slot_uvu(static_cast<std::uint64_t>(view.measure.behind_uvu[static_cast<std::size_t>(s)]));
  }
  for (int c = 0; c < shape_.dimensions(); ++c) {
    const shard::Moments& moments = view.measure.moments[static_cast<std::size_t>(c)];
    v1::Coordinate* coordinate = shard->add_coordinates();
    coordinate->set_replicas(static_cast<std::uint64_t>(moments.count));
    coordinate->set_mean(moments.mean);
    coordinate->set_squares(moments.m2);
  }
  shard->set_sessions(view.sessions);
  shard->set_digest(view.digest);
  shard->set_behind_uvu(static_cast<std::uint64_t>(Worst(view.measure.behind_uvu)));
  shard->set_worst_value_vu(view.measure.worst_value_vu);
  shard->set_synced(view.synced);
  shard->set_holds_all(view.holds_all);
}

bool NodeFigures::HandedOver() const {
  return std::all_of(views_.begin(), views_.end(),
                     [](const ShardView& view) { return view.handed_over || view.sessions == 0; });
}

bool NodeFigures::Compared() const {
  return std::all_of(views_.begin(), views_.end(), [](const ShardView& view) { return view.compared; });
}

std::vector<bool> NodeFigures::ComparedByShard() const {
  std::vector<bool> compared;
  for (const ShardView& view : views_) compared.push_back(view.compared);
  return compared;
}

std::vector<std::uint64_t> NodeFigures::Sessions() const {
  std::vector<std::uint64_t> sessions;
  for (const ShardView& view : views_) sessions.push_back(view.sessions);
  return sessions;
}

}  // namespace lvs::services
