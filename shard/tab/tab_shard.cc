#include "shard/tab/tab_shard.h"

#include <algorithm>
#include <memory>

#include "shard/hosting/shard_layout.h"
#include "shard/last_words.h"
#include "shard/random.h"
#include "vaultguard/limits.h"

namespace lvs::tab {

using hosting::RowCommand;
using shard::Draw;
using shard::Stream;
using vaultguard::Refusal;

namespace {

// An entry on the wire: its field, two words, the opening cycle, and amounts of nine bytes at most.
constexpr std::size_t EntryBytes(int value_slots) { return 31 + 9 * static_cast<std::size_t>(value_slots); }

// A session earns for an hour: a tab draws another one long before.
constexpr std::uint64_t kSessionCycles = vaultguard::kMaxSessionCycles / 2;

hosting::ShardHostConfig HostConfig(const TabShardConfig& config) {
  hosting::ShardHostConfig host;
  host.layout = LayoutOf(config);
  host.nodes = static_cast<std::uint32_t>(host.layout.halo_count.size());
  host.node = host.nodes - 1;
  host.shard = config.shard;
  host.shard.seed = Draw(config.seed, Stream::kInitialState, config.shard.shard, 0);
  host.shard.remote_share = 0;
  host.seed = host.shard.seed;
  host.ambassadors = kTabRows;
  host.resend_cycles.assign(host.nodes, kResendCycles);
  // The turns of links gather what waits, so nothing waits beside that.
  host.news_cycles = 1;
  host.acknowledge_cycles = 1;
  host.alone_cycles = kAloneCycles;
  host.sign_of_life_cycles = kTabSignOfLifeCycles;
  host.frame_entries = FrameEntriesOf(config.shard.shape);
  host.missing_cycles = kTabMissingCycles;
  host.links_change = true;
  host.tell_changes = true;
  return host;
}

}  // namespace

std::size_t FrameEntriesOf(const shard::Shape& shape) {
  return std::min(kFrameEntries, kFrameEntriesBytes / EntryBytes(shape.value_slots));
}

hosting::ShardLayout LayoutOf(const TabShardConfig& config) {
  std::vector<std::uint32_t> rows(config.tab_links, kTabRows);
  rows.resize(config.tab_links + config.server_links, kServerRows);
  rows.push_back(0);  // the tab itself
  return hosting::LayOut(static_cast<std::uint32_t>(rows.size()) - 1, rows);
}

TabShard::TabShard(const TabShardConfig& config)
    : value_slots_(config.shard.shape.value_slots),
      seed_(Draw(config.seed, Stream::kSession, config.shard.shard, 0)),
      host_(HostConfig(config)),
      report_(std::make_shared<hosting::ShardReport>()),
      next_row_(host_.state().first_row()) {}

// ---- Who lives here ----

void TabShard::Leave(std::uint32_t micro_node, std::uint64_t cycle) {
  std::erase(waiting_, micro_node);
  std::erase_if(replicas_, [&](const Replica& replica) {
    if (replica.micro_node != micro_node) return false;
    rows_.push_back({.kind = RowCommand::Kind::kLeave, .row = replica.row});
    resting_.emplace_back(cycle + shard::kRestCycles, replica.row);
    return true;
  });
}

void TabShard::SetLowPower(bool on) {
  if (low_power_ == on) return;
  low_power_ = on;
  const auto kind = on ? RowCommand::Kind::kLowPowerOn : RowCommand::Kind::kLowPowerOff;
  for (const Replica& replica : replicas_) rows_.push_back({.kind = kind, .row = replica.row});
}

std::uint32_t TabShard::TakeRow(std::uint64_t cycle) {
  if (resting_.empty() || resting_.front().first > cycle) return next_row_++;
  const std::uint32_t row = resting_.front().second;
  resting_.pop_front();
  return row;
}

void TabShard::EnterWaiting(std::uint64_t cycle, std::vector<RowCommand>* rows) {
  if (!started_ || !report_->synced) return;
  for (const std::uint32_t micro_node : waiting_) {
    const std::uint32_t row = TakeRow(cycle);
    replicas_.push_back({micro_node, row});
    rows->push_back({.kind = RowCommand::Kind::kEnter, .row = row});
    if (low_power_) rows->push_back({.kind = RowCommand::Kind::kLowPowerOn, .row = row});
  }
  waiting_.clear();
}

// ---- Contributions ----

std::optional<Refusal> TabShard::Contribute(std::uint64_t id, const shard::SlotAmounts& amount_uvu,
                                            std::uint64_t cycle) {
  const auto refuse = [this](Refusal why) {
    refused_.Add(why);
    return why;
  };
  if (replicas_.empty()) return refuse(Refusal::kUnknownShard);
  if (contributions_.size() >= kContributionsWaiting) return refuse(Refusal::kTooLarge);
  for (std::size_t slot = 0; slot < amount_uvu.size(); ++slot) {
    const std::int64_t most = static_cast<int>(slot) < value_slots_ ? vaultguard::kMaxEntryUvu : 0;
    if (amount_uvu[slot] < 0 || amount_uvu[slot] > most) return refuse(Refusal::kBadEntry);
  }
  if (own_.session == shard::SessionId{} || cycle >= own_.opened_cycle + kSessionCycles) {
    ++sessions_;
    own_ = {.session = {Draw(seed_, Stream::kWorkload, sessions_, cycle),
                        Draw(seed_, Stream::kWorkload, ~sessions_, cycle) | 1},
            .opened_cycle = cycle};
  }
  for (std::size_t slot = 0; slot < amount_uvu.size(); ++slot) own_.amount_uvu[slot] += amount_uvu[slot];
  hosting::Contribution contribution;
  contribution.id = id;
  contribution.shard = host_.state().config().shard;
  contribution.needed_nodes = ~std::uint32_t{0};  // whoever holds it is told, for a while
  contribution.entry = own_;
  contribution.entry.opened_cycle = hosting::kOpensNow;
  contribution.expires_cycle = cycle + kToldCycles;
  contributions_.push_back(contribution);
  pending_.push_back({id, amount_uvu});
  return std::nullopt;
}

// What is refused was not contributed.
void TabShard::Answer(const hosting::Answer& answer) {
  told_.push_back({.id = answer.id, .final = answer.final, .holders = answer.nodes, .refused = answer.refused});
  std::erase_if(pending_, [&](const Pending& pending) {
    if (pending.id != answer.id) return false;
    for (std::size_t slot = 0; answer.refused && slot < own_.amount_uvu.size(); ++slot) {
      own_.amount_uvu[slot] -= pending.amount_uvu[slot];
    }
    return true;
  });
}

void TabShard::Restore(std::vector<shard::LedgerEntry> entries) {
  restored_ = std::make_shared<const std::vector<shard::LedgerEntry>>(std::move(entries));
}

// ---- A cycle ----

void TabShard::Tick(std::uint64_t cycle, const hosting::Payload<hosting::LinkTurns>& turns) {
  hosting::ShardTick tick;
  tick.cycle = cycle;
  tick.rows = std::exchange(rows_, {});
  EnterWaiting(cycle, &tick.rows);
  tick.contributions = std::exchange(contributions_, {});
  tick.recovery = std::exchange(recovery_, vaultguard::RecoveryAction::kNone);
  tick.restart = !std::exchange(started_, true);
  tick.restored = std::exchange(restored_, nullptr);
  tick.scatter = std::exchange(scatter_, false);
  tick.turns = turns;
  auto report = std::make_shared<hosting::ShardReport>();
  host_.Tick(tick, report.get());
  report_ = std::move(report);
  refused_ += report_->counts.step.refused;
  told_.clear();
  for (const hosting::Answer& answer : report_->answers) Answer(answer);
  Judge(cycle);
}

// The VaultGuard monitor sees this shard alone, whatever its number.
void TabShard::Judge(std::uint64_t cycle) {
  auto seen = std::make_shared<hosting::ShardReport>();
  seen->cycle = cycle;
  seen->counts = report_->counts;
  seen->measure.replicas = report_->measure.replicas;
  seen->total_uvu = report_->total_uvu;
  seen->effective_uvu = report_->effective_uvu;
  seen->drains_on_links = report_->drains_on_links;
  seen->entropy_on_links = report_->entropy_on_links;
  monitor_.Take(seen);
  hosting::Verdict verdict;
  monitor_.Judge(&verdict);
  anomalies_ += verdict.anomalies.size();
  for (const auto& [shard, action] : verdict.orders) {
    recovery_ = action;
    ++recoveries_;
  }
}

}  // namespace lvs::tab
