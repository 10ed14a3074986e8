// Messages between the parts of a server node in one cycle, as plain data. actors/interfaces.h says who takes what.
//
//   auto tick = std::make_shared<ShardTick>();
//   tick->cycle = 7;
//   tick->rows.push_back({RowCommand::Kind::kEnter, row});
//   Payload<ShardTick> sent = std::move(tick);   // nobody changes it any more
//
// A message never leaves its process: a payload is a pointer to something immutable. A message that is large names its
// kColumns, the vectors whose memory outlives it when the message itself is recycled (shard/reuse.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "shard/frame.h"
#include "shard/hosting/attack.h"
#include "shard/hosting/picture.h"
#include "shard/state_shard.h"
#include "vaultguard/recovery.h"

namespace lvs::hosting {

template <class T>
using Payload = std::shared_ptr<const T>;

// A change of one row of a shard, at a cycle boundary.
struct RowCommand {
  enum class Kind : std::uint8_t { kEnter, kLeave, kLowPowerOn, kLowPowerOff, kAttackOn, kAttackOff, kScatter };
  Kind kind = Kind::kEnter;
  std::uint32_t row = 0;
  Attack attack = Attack::kNone;  // kAttackOn
};

// A contribution with this opening cycle opens its session where it arrives, unless the ledger there knows the session.
inline constexpr std::uint64_t kOpensNow = ~std::uint64_t{0};

// A client's cumulative amount, on its way to be accepted.
struct Contribution {
  std::uint64_t id = 0;  // of the attempt, for the answer
  std::uint32_t shard = 0;
  std::uint32_t needed_nodes = 1;  // server nodes that must hold it before it is acknowledged
  shard::LedgerEntry entry;
  std::uint64_t expires_cycle = ~std::uint64_t{0};  // from here on it does not wait for more server nodes
};

struct Answer {
  std::uint64_t id = 0;
  bool accepted = false;    // else refused
  bool final = true;        // else the contribution still waits for more server nodes
  std::uint32_t nodes = 0;  // server nodes that hold it, this one included
  std::optional<vaultguard::Refusal> refused{};
};

// A server node came to, or left, the far end of a link. A link without a server node sends nothing.
struct LinkChange {
  std::uint32_t link = 0;
  bool up = false;
  bool counts = true;  // as a holder for nodes:n; a browser tab does not, at a server node
  // Cycles that news waits for its acknowledgement, and of a round trip; 0: as the configuration says.
  std::uint32_t resend_cycles = 0;
  std::uint32_t round_trip_cycles = 0;
  // Cycles after which a silent far end is missing; likewise.
  std::uint32_t missing_cycles = 0;
};

// Whose turn it is in a cycle, where frames go out at a cadence: for the links from `first` on. Those below are spoken to
// in every cycle. A link that is not spoken to is not drafted a frame either: its rows and its news wait for its turn.
struct LinkTurns {
  std::uint32_t first = 0;
  std::vector<std::uint8_t> speaks;     // by link - first
  std::vector<std::uint8_t> refreshes;  // of these: every ambassador's last state is told

  bool Has(std::uint32_t link) const { return link >= first; }
  bool Speaks(std::uint32_t link) const { return !Has(link) || speaks[link - first] != 0; }
  bool Refreshes(std::uint32_t link) const { return Has(link) && refreshes[link - first] != 0; }

  static constexpr auto kColumns = std::tuple(&LinkTurns::speaks, &LinkTurns::refreshes);
};

// The orders of one shard for one cycle.
struct ShardTick {
  std::uint64_t cycle = 0;
  double loss = 0;  // share of the messages within the region
  std::vector<RowCommand> rows;
  std::vector<Contribution> contributions;
  vaultguard::RecoveryAction recovery = vaultguard::RecoveryAction::kNone;
  bool restart = false;                               // the server node has just started, empty
  Payload<std::vector<shard::LedgerEntry>> restored;  // what its cache holds, when it is opened; may be null
  bool tell_all = false;                              // the report's changes are all entries, changed or not
  bool measure = false;
  bool scatter = false;             // scatters the free coordinates of all replicas at random, for test networks
  bool peers_missing = false;       // server nodes without a link are expected back
  bool leaving = false;             // the server node drains: its frames say so
  bool hand_over = false;           // it takes no more contributions than these: what it holds is handed over
  std::uint32_t snapshot_dots = 0;  // replicas in this cycle's picture
  Payload<LinkTurns> turns;         // null: every link is spoken to in every cycle

  static constexpr auto kColumns = std::tuple(&ShardTick::rows, &ShardTick::contributions);
};

// What became of the entries that a cache held.
struct RestoreCounts {
  std::uint64_t entries = 0;
  std::uint64_t reopened = 0;  // of these, with an earlier opening: the clock was ahead when they were accepted
  std::uint64_t refused = 0;   // of these, not taken, and counted by reason as well

  RestoreCounts& operator+=(const RestoreCounts& other) {
    entries += other.entries;
    reopened += other.reopened;
    refused += other.refused;
    return *this;
  }
};

struct ShardReport {
  std::uint32_t shard = 0;
  std::uint64_t cycle = 0;
  shard::CycleCounts counts;
  shard::Measure measure;
  bool measured = false;
  bool synced = false;     // the shard waits for nothing more of its peers, or no peer answers
  bool holds_all = false;  // since it began empty, the shard has had all that its peers had, or no peer answers
  bool compared = false;   // of these, the first
  shard::SlotAmounts total_uvu{};
  std::int64_t effective_uvu = 0;  // mean state of the live replicas, all slots together
  std::uint64_t state_hash = 0;    // with a measure of the last cycle
  std::size_t resident_bytes = 0;
  std::vector<Answer> answers;
  RestoreCounts restored;
  std::vector<shard::LedgerEntry> changes;  // entries that changed this cycle, where tell_changes asks for them
  std::uint64_t ledger_digest = 0;
  std::uint64_t sessions = 0;
  bool handed_over = false;  // with hand_over: most of the peers that are there and stay have merged all of the ledger
  std::vector<Dot> dots;
  std::uint64_t drains_on_links = 0;  // anomalies raised on peer links
  std::uint64_t entropy_on_links = 0;
  shard::StageTimes stage_ns{};  // of this cycle, where the host has a clock
};

struct Anomaly {
  std::uint32_t shard = 0;
  std::string kind;
};

// One server node's cycle, as its VaultGuard monitor saw it.
struct Verdict {
  std::uint64_t cycle = 0;
  std::vector<Payload<ShardReport>> shards;  // by shard
  std::vector<Anomaly> anomalies;
  std::vector<std::pair<std::uint32_t, vaultguard::RecoveryAction>> orders;  // shard, action; carried out next cycle

  static constexpr auto kColumns = std::tuple(&Verdict::shards, &Verdict::anomalies, &Verdict::orders);
};

struct LinkQuality {
  double latency_ms = 0;
  double jitter_ms = 0;
  double loss = 0;
  double duplicate = 0;
  double reorder = 0;
};

// The end of a cycle on one link: all of its frames are there, and their fate is decided.
struct LinkFlush {
  std::uint64_t cycle = 0;
  bool severed = false;  // a partition, or the other side is down
  double extra_loss = 0;
  double corrupt = 0;  // share of frames that a nonsense frame follows
};

struct LinkReport {
  std::uint32_t to = 0;
  std::uint64_t frames = 0;
  std::uint64_t lost = 0;
  std::uint64_t bytes = 0;
  double latency_ms_sum = 0;
  double latency_ms_max = 0;
  std::uint64_t delivered = 0;
};

struct OutgoingFrame {
  Payload<shard::Frame> frame;
};

struct IncomingFrame {
  std::uint32_t from = 0;  // server node
  std::uint64_t due_cycle = 0;
  Payload<shard::Frame> frame;
};

// The orders of one server node for one cycle.
struct NodeTick {
  std::uint64_t cycle = 0;
  bool alive = true;  // false: the region is out, nothing runs
  double loss = 0;
  double churn_share = 0;  // of the micro-nodes, this cycle; more than 1 counts as 1
  // Micro-nodes leave, evenly over `cycles` from this one on, until so many are left.
  struct LeaveOrder {
    std::uint32_t keep = 0;
    std::uint64_t cycles = 1;
  };
  std::vector<LeaveOrder> leave;
  std::uint32_t enter = 0;
  struct AttackOrder {
    Attack attack = Attack::kNone;
    double share = 0;  // of the micro-nodes; or
    std::uint32_t count = 0;
  };
  std::vector<AttackOrder> attacks_begin;
  bool attacks_end = false;                 // at least one attack is over; the others are in attacks_active
  std::vector<AttackOrder> attacks_active;  // for a server node that starts again
  double low_power_level = 0;               // likewise the share of micro-nodes in low power
  double low_power = -1;                    // >= 0: the share of micro-nodes in low power from now on
  std::vector<Contribution> contributions;
  std::vector<LinkFlush> links;  // by server node; the own entry is unused; empty: nothing is wrong with any
  std::vector<Payload<std::vector<shard::LedgerEntry>>> restored;  // by shard, when the cache is opened; or empty
  bool tell_all = false;  // the reports' changes are all entries, for a cache that begins anew
  bool measure = false;
  bool scatter = false;        // scatters the free coordinates of all replicas at random, for test networks
  bool peers_missing = false;  // server nodes without a link are expected back
  bool leaving = false;        // the server node drains
  bool hand_over = false;      // it takes no more contributions than these
  std::uint32_t snapshot_dots = 0;
  Payload<LinkTurns> turns;  // null: every link is spoken to in every cycle
};

struct NodeReport {
  std::uint32_t node = 0;
  std::uint64_t cycle = 0;
  Payload<Verdict> verdict;  // empty while the server node is out
  std::vector<LinkReport> links;
  std::uint64_t alive = 0;             // micro-nodes
  std::uint64_t waiting_to_enter = 0;  // until the shards have what their peers hold
  std::uint64_t adversaries = 0;
  std::uint64_t replicas = 0;
  std::uint64_t online = 0;  // events of this cycle
  std::uint64_t offline = 0;
  std::uint64_t repaired = 0;  // replicas created for shards under r_min

  static constexpr auto kColumns = std::tuple(&NodeReport::links);
};

}  // namespace lvs::hosting
