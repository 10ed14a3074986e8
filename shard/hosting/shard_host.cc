#include "shard/hosting/shard_host.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "shard/random.h"
#include "vaultguard/limits.h"

namespace lvs::hosting {

namespace {

using shard::Draw;
using shard::Stage;
using shard::Stream;
using vaultguard::Refusal;

// A drift vector counts for this much at most, so that a sum of them stays within an integer.
constexpr double kMaxDriftVu = 1e12;

shard::LedgerSyncConfig SyncConfig(const ShardHostConfig& config) {
  return {.links = config.nodes,
          .up = !config.links_change,
          .holds = config.replicas > 0,
          .resend_cycles = config.resend_cycles,
          .round_trip_cycles = config.round_trip_cycles,
          .news_cycles = config.news_cycles,
          .acknowledge_cycles = config.acknowledge_cycles,
          .alone_cycles = config.alone_cycles,
          .sign_of_life_cycles = config.sign_of_life_cycles,
          .frame_entries = config.frame_entries};
}

}  // namespace

ShardHost::ShardHost(ShardHostConfig config)
    : config_(std::move(config)),
      shard_(NewShard()),
      remotes_(config_.layout, config_.missing_cycles),
      ambassadors_({config_.ambassadors, config_.shard.shard, config_.shard.seed}),
      pending_(config_.tell_changes),
      watch_(config_.clock_ns) {
  if (config_.replicas > 0) shard_->Start(config_.replicas, config_.opening_balance_uvu);
  sync_.emplace(SyncConfig(config_), static_cast<shard::LedgerSync::Owner*>(this));
  sync_->SetUp(config_.node, false);  // nobody is at the far end of this server node's own place
  ambassadors_.Renew(*shard_, 0);
}

std::unique_ptr<shard::StateShard> ShardHost::NewShard() const {
  shard::StateShardConfig config = config_.shard;
  config.halo_rows = config_.layout.halo_rows;
  return std::make_unique<shard::StateShard>(config);
}

shard::SessionId ShardHost::NewSession(std::uint64_t cycle) {
  const std::uint64_t id = (std::uint64_t{config_.node} << 32) | config_.shard.shard;
  return {Draw(config_.seed, Stream::kSession, id, cycle), Draw(config_.seed, Stream::kSession, ~id, cycle) | 1};
}

void ShardHost::Receive(const IncomingFrame& frame) {
  if (!sync_->Receive(frame.from, frame.due_cycle, frame.frame)) refused_.Add(Refusal::kTooLarge);
}

void ShardHost::Change(const LinkChange& change) {
  sync_->SetUp(change.link, change.up, change.counts);
  if (change.resend_cycles > 0) sync_->SetPace(change.link, change.resend_cycles, change.round_trip_cycles);
  if (!change.up) return;
  remotes_.SetFarEnd(change.link, change.counts, change.missing_cycles);
  remotes_.WantEverybody(change.link);
}

void ShardHost::Tick(const ShardTick& tick, ShardReport* report) {
  said_.clear();
  report->shard = config_.shard.shard;
  report->cycle = tick.cycle;
  watch_.Enter(Stage::kPopulation);
  Populate(tick, report);
  watch_.Enter(Stage::kFrames);
  Listen(tick, report);
  picture_.Choose(*shard_, tick.snapshot_dots);
  if (tick.cycle > 0) {
    shard_->Advance(tick.cycle, tick.loss, &report->counts, watch_.runs() ? &watch_ : nullptr);
    watch_.Enter(Stage::kSpeak);
    adversaries_.Publish(config_.seed, tick.cycle, shard_.get());
    Speak(tick);
  }
  pending_.Tell(
      tick.cycle, [this](std::uint64_t version) { return sync_->Holders(version); }, &report->answers);
  if (config_.tell_changes) TellChanges(tick, report);
  watch_.Enter(Stage::kMeasure);
  Measure(tick, report);
  picture_.Draw(*shard_, &report->dots);
  report->stage_ns = watch_.Take();
}

// ---- Who lives here ----

void ShardHost::Populate(const ShardTick& tick, ShardReport* report) {
  if (tick.restart) Restart(tick.cycle);
  if (tick.restored != nullptr && !tick.restored->empty()) Restore(*tick.restored, tick.cycle, &report->restored);
  Recover(tick.recovery);
  if (!tick.rows.empty()) {
    // Replicas that enter read the same memory as the kernel, so fetch it now; the time still counts as the kernel's.
    watch_.Enter(Stage::kDrift);
    shard_->FetchSaid();
    watch_.Enter(Stage::kPopulation);
    for (const RowCommand& command : tick.rows) Apply(command, tick.cycle);
  }
  if (tick.scatter) shard_->Scatter(tick.cycle);
}

// The process died and a new one runs: only the configuration is left.
void ShardHost::Restart(std::uint64_t cycle) {
  shard_ = NewShard();
  adversaries_.Clear();
  pending_.Clear();
  ambassadors_.Clear();
  remotes_.Restart();
  sync_->Restart(cycle);
}

// The server node's cache was opened, and held these entries.
void ShardHost::Restore(const std::vector<shard::LedgerEntry>& cached, std::uint64_t cycle, RestoreCounts* counts) {
  sync_->BeginToHold(cycle);
  for (const shard::LedgerEntry& entry : cached) {
    const shard::Ledger::Outcome outcome = shard_->Restore(entry, cycle);
    if (outcome.refused) refused_.Add(*outcome.refused);
    counts->refused += outcome.refused ? 1 : 0;
    counts->reopened += outcome.reopened ? 1 : 0;
  }
  counts->entries += cached.size();
  // The cache has these entries already, unless one of them is another one now.
  if (counts->reopened == 0) told_version_ = shard_->ledger().version();
}

void ShardHost::Recover(vaultguard::RecoveryAction action) {
  if (action == vaultguard::RecoveryAction::kNone || plain()) return;
  if (action == vaultguard::RecoveryAction::kRepinDrift) shard_->Repin();
  sync_->AskAll();
}

void ShardHost::Apply(const RowCommand& command, std::uint64_t cycle) {
  using Kind = RowCommand::Kind;
  switch (command.kind) {
    case Kind::kEnter: shard_->Join(command.row, cycle); break;
    case Kind::kLeave:
      shard_->Leave(command.row);
      adversaries_.End(command.row);
      break;
    case Kind::kLowPowerOn: shard_->SetFlag(command.row, shard::kLowPower, true); break;
    case Kind::kLowPowerOff: shard_->SetFlag(command.row, shard::kLowPower, false); break;
    case Kind::kAttackOn:
      shard_->SetFlag(command.row, shard::kAdversary, true);
      adversaries_.Begin(command.row, command.attack);
      break;
    case Kind::kAttackOff:
      shard_->SetFlag(command.row, shard::kAdversary, false);
      adversaries_.End(command.row);
      break;
    case Kind::kScatter:
      if (shard_->columns().Alive(command.row)) shard_->ScatterRow(command.row, cycle);
      break;
  }
}

// ---- What others say ----

void ShardHost::Listen(const ShardTick& tick, ShardReport* report) {
  leaving_ = tick.leaving;
  if (tick.leaving) sync_->Leave(tick.cycle);
  if (tick.hand_over) sync_->HandOver();
  // The ledger left with the last replica: clients that wait for an answer try elsewhere.
  if (sync_->Hold(shard_->replicas(), tick.cycle)) pending_.Clear();
  sync_->Begin(tick.cycle);
  const shard::SlotAmounts before = shard_->ledger().totals_uvu();
  const std::vector<shard::LedgerSync::Arrival>& due = sync_->Due(tick.cycle);
  load_ = static_cast<float>(due.size()) / static_cast<float>(vaultguard::kMaxPendingFrames);
  for (const auto& arrival : due) Take(arrival.link, *arrival.frame, tick.cycle);
  for (const Contribution& contribution : tick.contributions) Accept(contribution, tick.cycle, report);
  if (plain()) {
    for (std::size_t s = 0; s < before.size(); ++s) {
      plain_increment_[s] = shard_->ledger().totals_uvu()[s] - before[s];
    }
    shard_->AddToAll(plain_increment_);
  }
  if (config_.links_change) {
    remotes_.Weigh([&](std::uint32_t node) { return sync_->IsHeard(node, tick.cycle); }, shard_.get());
  }
  remotes_.Meet([&](std::uint32_t node) { return sync_->IsUp(node); }, config_.links_change, tick.peers_missing,
                tick.cycle, shard_.get());
}

void ShardHost::Take(std::uint32_t from, const shard::Frame& frame, std::uint64_t cycle) {
  const std::uint32_t halo_rows = config_.layout.halo_count[from];
  if (const auto why = CheckFrame(frame, config_.shard.shape, config_.shard.shard, halo_rows, cycle)) {
    refused_.Add(*why);
    return;
  }
  const shard::LedgerSync::Taken taken =
      plain() ? sync_->TakeWithoutLedger(from, frame, &refused_) : sync_->Take(from, frame, cycle, &refused_);
  if (taken.new_session) remotes_.NewSession(from);
  if (plain()) {
    if (!taken.read) return;
    if (taken.newest) shard_->AddToAll(frame.plain_increment_uvu);
  } else {
    if (!taken.newest) return;
    if (taken.tell_all) remotes_.WantEverybody(from);
    remotes_.TakeBeacon(from, frame.beacon, cycle);
  }
  remotes_.Hear(from, frame, cycle, shard_.get(), &refused_);
}

void ShardHost::Accept(const Contribution& contribution, std::uint64_t cycle, ShardReport* report) {
  const auto refuse = [&](Refusal why) {
    refused_.Add(why);
    report->answers.push_back({.id = contribution.id, .refused = why});
  };
  if (!sync_->holds() || shard_->replicas() == 0) return refuse(Refusal::kUnknownShard);
  Contribution taken = contribution;
  if (taken.entry.opened_cycle == kOpensNow) {
    const auto known = shard_->ledger().Find(taken.entry.session);
    taken.entry.opened_cycle = known ? known->opened_cycle : cycle;
  }
  if (const auto why = shard_->Contribute(taken.entry, cycle).refused) return refuse(*why);
  // The plain rule has no acknowledgements, so no contribution waits for another server node.
  if (plain()) taken.needed_nodes = 0;
  if (!pending_.Add(taken, shard_->ledger().version())) refuse(Refusal::kTooLarge);
}

// ---- What the shard says ----

void ShardHost::Speak(const ShardTick& tick) {
  if (config_.nodes < 2) return;
  const std::uint64_t cycle = tick.cycle;
  ambassadors_.Renew(*shard_, cycle);
  for (std::uint32_t node = 0; node < config_.nodes; ++node) {
    if (node == config_.node || !sync_->IsUp(node)) continue;
    if (tick.turns != nullptr && !tick.turns->Speaks(node)) continue;
    Draft(node, tick);
    // While the shard moves, every frame is sent. A few rows or entries wait for more.
    const bool moving = draft_->halo_row.size() * 2 > ambassadors_.size();
    // A server node that leaves has little time left: it speaks in every cycle, and is answered in every cycle.
    const bool hurries = leaving_ || sync_->IsLeaving(node);
    const bool urgent = moving || hurries || draft_->plain_increment_uvu != shard::SlotAmounts{};
    if (sync_->Speaks(node, cycle, *draft_, urgent)) said_.push_back({node, std::move(draft_)});
  }
}

// Drafts the frame for one server node.
void ShardHost::Draft(std::uint32_t node, const ShardTick& tick) {
  const std::uint64_t cycle = tick.cycle;
  if (draft_ == nullptr) draft_ = config_.make_frame();
  shard::Frame* frame = draft_.get();
  if (plain()) {
    sync_->FillWithoutLedger(node, cycle, frame);
    frame->plain_increment_uvu = plain_increment_;
  } else {
    sync_->Fill(node, cycle, frame);
  }
  const std::uint32_t replicas = shard_->replicas();
  frame->shard = config_.shard.shard;
  frame->beacon.replicas = replicas;
  frame->beacon.load = load_;
  frame->beacon.leaving = leaving_;
  frame->beacon.low_power_share =
      replicas == 0 ? 0.0f : static_cast<float>(shard_->low_power()) / static_cast<float>(replicas);
  const bool in_turns = tick.turns != nullptr && tick.turns->Has(node);
  const bool due = in_turns ? tick.turns->Refreshes(node) : ambassadors_.Refreshes(cycle);
  const bool everybody = remotes_.TakeWantsEverybody(node) || due;
  ambassadors_.Tell(*shard_, cycle, sync_->spoke_cycle(node), everybody, frame);
}

void ShardHost::TellChanges(const ShardTick& tick, ShardReport* report) {
  const shard::Ledger& ledger = shard_->ledger();
  if (tick.tell_all) told_version_ = 0;
  told_version_ = ledger.Changes(told_version_, ledger.size(), &report->changes);
  report->ledger_digest = ledger.digest();
  report->sessions = ledger.size();
  report->handed_over = tick.hand_over && sync_->HandedOver(tick.cycle);
}

void ShardHost::Measure(const ShardTick& tick, ShardReport* report) {
  report->counts.step.refused += std::exchange(refused_, {});
  const shard::HaloLink::Raised raised = remotes_.TakeRaised();
  report->drains_on_links = raised.drains;
  report->entropy_on_links = raised.entropy;
  report->total_uvu = shard_->ledger().totals_uvu();
  const auto mean_drift_vu = shard_->MeanDriftVu();
  for (std::size_t s = 0; s < static_cast<std::size_t>(config_.shard.shape.value_slots); ++s) {
    // A sum that ran over, as the plain rule's may, has no value.
    const double mean_vu = std::isnan(mean_drift_vu[s]) ? -kMaxDriftVu : mean_drift_vu[s];
    const double drift_vu = std::clamp(mean_vu, -kMaxDriftVu, kMaxDriftVu);
    report->effective_uvu += report->total_uvu[s] + static_cast<std::int64_t>(drift_vu * vaultguard::kMicroPerVu);
  }
  report->synced = sync_->Synced(tick.cycle);
  report->holds_all = sync_->HoldsAll(tick.cycle);
  report->compared = sync_->compared();
  report->measured = tick.measure;
  if (tick.measure) {
    shard_->MeasureHonest(&report->measure);
    report->resident_bytes = shard_->resident_bytes();
    if (tick.cycle == config_.last_cycle) report->state_hash = shard_->StateHash();
  }
  report->measure.replicas = shard_->replicas();
}

}  // namespace lvs::hosting
