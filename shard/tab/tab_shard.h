// One shard on a tab: its shard host, the micro-nodes that hold a replica of it, and the tab's own contributions to it.
//
//   TabShard shard({.shard = 3, .links = 17, ...});
//   shard.Enter(micro_node);                         // a replica, once the ledger is there
//   shard.Contribute(id, amounts, cycle);
//   shard.Tick(cycle, turns);
//   for (hosting::ShardHost::Said& said : shard.host().said()) ...
//
// Differs from a shard of a server node (tabs.md, "The rule"): replicas enter shard by shard, few ambassadors speak, and
// frames go out when a link's turn comes. Pure; one owner.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "shard/hosting/monitor.h"
#include "shard/hosting/shard_host.h"
#include "shard/session_index.h"

namespace lvs::tab {

// Replicas that speak for a tab, and those of a server node that a tab hears.
inline constexpr std::uint32_t kTabRows = 2;
inline constexpr std::uint32_t kServerRows = 4;
// A tab that starts and hears nobody for so long is alone.
inline constexpr std::uint32_t kAloneCycles = 40;
inline constexpr std::uint32_t kTabSignOfLifeCycles = 60;
// Two signs of life may be lost.
inline constexpr std::uint64_t kTabMissingCycles = 130;
// A halo row is told again at least this often, at the next turn of a link.
inline constexpr std::uint64_t kTabRefreshCycles = 120;
// Cycles beyond both cadences after which news is sent again.
inline constexpr std::uint32_t kResendCycles = 9;
// What follows for a link from the cadences of both ends: hosting::LinkChange.
struct LinkPace {
  std::uint32_t resend_cycles = 0;
  std::uint32_t round_trip_cycles = 0;
};
constexpr LinkPace PaceOf(std::uint32_t cadence_cycles, std::uint32_t far_cadence_cycles) {
  const std::uint32_t both = cadence_cycles + far_cadence_cycles;
  return {.resend_cycles = kResendCycles + both, .round_trip_cycles = 2 + both};
}
inline constexpr std::size_t kFrameEntries = 256;             // at most, where they fit:
inline constexpr std::size_t kFrameEntriesBytes = 12 * 1024;  // of a message of 16 KiB

// Contributions that wait for a cycle; and how long one is told about, as further nodes hold it.
inline constexpr std::size_t kContributionsWaiting = 64;
inline constexpr std::uint64_t kToldCycles = 600;

// A micro-node of this number is the replica of an adopted shard.
inline constexpr std::uint32_t kAdopted = ~std::uint32_t{0};

struct TabShardConfig {
  shard::StateShardConfig shard;   // but for its seed and its halo
  std::uint32_t tab_links = 16;    // numbers 0.. of the links to tabs, and behind them
  std::uint32_t server_links = 1;  // those to server nodes
  std::uint64_t seed = 0;          // of the tab
};

// The most entries of a frame that a DataChannel carries.
std::size_t FrameEntriesOf(const shard::Shape& shape);
hosting::ShardLayout LayoutOf(const TabShardConfig& config);

class TabShard {
 public:
  struct Replica {
    std::uint32_t micro_node = 0;
    std::uint32_t row = 0;
  };
  // What became of a contribution, so far.
  struct Told {
    std::uint64_t id = 0;
    bool final = false;         // nothing more is told of it
    std::uint32_t holders = 0;  // that hold it, this tab included
    std::optional<vaultguard::Refusal> refused;
  };

  explicit TabShard(const TabShardConfig& config);

  // ---- Who lives here
  void Enter(std::uint32_t micro_node) { waiting_.push_back(micro_node); }
  void Leave(std::uint32_t micro_node, std::uint64_t cycle);
  void SetLowPower(bool on);
  bool occupied() const { return !replicas_.empty() || !waiting_.empty(); }
  const std::vector<Replica>& replicas() const { return replicas_; }
  std::size_t waiting() const { return waiting_.size(); }

  // ---- Before a tick
  void Change(const hosting::LinkChange& change) { host_.Change(change); }
  void Receive(const hosting::IncomingFrame& frame) { host_.Receive(frame); }
  // Adds amounts to what the tab has contributed. Refuses what cannot be taken; the ledger decides about the rest in the
  // next tick (`told`).
  std::optional<vaultguard::Refusal> Contribute(std::uint64_t id, const shard::SlotAmounts& amount_uvu,
                                                std::uint64_t cycle);
  void Scatter() { scatter_ = true; }
  // Entries of the tab's cache: joined with the next tick.
  void Restore(std::vector<shard::LedgerEntry> entries);

  // ---- A cycle
  void Tick(std::uint64_t cycle, const hosting::Payload<hosting::LinkTurns>& turns);
  hosting::ShardHost& host() { return host_; }
  const hosting::ShardHost& host() const { return host_; }
  // Of the last tick.
  const hosting::ShardReport& report() const { return *report_; }
  const std::vector<Told>& told() const { return told_; }
  // Since the start.
  const vaultguard::RefusalCounts& refused() const { return refused_; }
  // The session of the tab's contributions, and all that was contributed in it. Session 0: nothing was yet.
  const shard::LedgerEntry& own() const { return own_; }
  std::uint64_t anomalies() const { return anomalies_; }
  std::uint64_t recoveries() const { return recoveries_; }

 private:
  struct Pending {
    std::uint64_t id = 0;
    shard::SlotAmounts amount_uvu{};
  };

  void EnterWaiting(std::uint64_t cycle, std::vector<hosting::RowCommand>* rows);
  std::uint32_t TakeRow(std::uint64_t cycle);
  void Answer(const hosting::Answer& answer);
  void Judge(std::uint64_t cycle);

  const int value_slots_;
  const std::uint64_t seed_;
  hosting::ShardHost host_;
  hosting::Monitor monitor_{1};
  hosting::Payload<hosting::ShardReport> report_;
  std::vector<Replica> replicas_;
  std::vector<std::uint32_t> waiting_;
  std::uint32_t next_row_;
  std::deque<std::pair<std::uint64_t, std::uint32_t>> resting_;  // until when, row
  std::vector<hosting::RowCommand> rows_;                        // for the next tick
  bool low_power_ = false;
  bool scatter_ = false;
  bool started_ = false;
  vaultguard::RecoveryAction recovery_ = vaultguard::RecoveryAction::kNone;
  hosting::Payload<std::vector<shard::LedgerEntry>> restored_;
  // The session of the tab's contributions, and what it has contributed in it.
  shard::LedgerEntry own_;
  std::uint64_t sessions_ = 0;
  std::vector<hosting::Contribution> contributions_;
  std::vector<Pending> pending_;  // not yet accepted
  std::vector<Told> told_;
  vaultguard::RefusalCounts refused_;
  std::uint64_t anomalies_ = 0;
  std::uint64_t recoveries_ = 0;
};

}  // namespace lvs::tab
