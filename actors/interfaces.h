// The catalogue of actors and of what they say to each other. One cycle of the emulator:
//
//   emulator --NodeTick--> node runtime --ShardTick--> shard actors        (one a shard and server node; side by side)
//   shard actor --OutgoingFrame--> peer link actors                        (one a remote server node)
//   shard actor --ShardReport--> VaultGuard monitor --Verdict--> node runtime
//   node runtime --LinkFlush--> peer link actors --IncomingFrame--> remote shard actors
//   peer link actor --LinkReport--> node runtime --NodeReport--> emulator
//
// A frame said in cycle t is in the receiver's mailbox before the receiver's tick of t+1, because a mailbox keeps the
// order in which it was filled and the reports close the cycle. Frames of one cycle are sorted by sender before they
// are read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/caf.h"
#include "lvs/v1/report.pb.h"
#include "lvs/v1/scenario.pb.h"
#include "shard/frame.h"
#include "shard/state_shard.h"
#include "vaultguard/recovery.h"

namespace lvs::actors {

// What happens to one row of a shard, at a cycle boundary.
struct RowCommand {
  enum class Kind : std::uint8_t { kJoin, kLeave, kLowPowerOn, kLowPowerOff, kAttackOn, kAttackOff };
  Kind kind = Kind::kJoin;
  std::uint32_t row = 0;
  v1::Attack attack = v1::ATTACK_UNSPECIFIED;  // kAttackOn
};

// A client's cumulative amount, on its way to be accepted.
struct Contribution {
  std::uint64_t id = 0;  // of the attempt, for the answer
  std::uint32_t shard = 0;
  std::uint32_t needed_nodes = 1;  // server nodes that must hold it before it is acknowledged
  shard::LedgerEntry entry;
};

struct Answer {
  std::uint64_t id = 0;
  bool accepted = false;  // else refused
};

struct ShardTick {
  std::uint64_t cycle = 0;
  double loss = 0;  // of a message within the region
  std::vector<RowCommand> rows;
  std::vector<Contribution> contributions;
  vaultguard::RecoveryAction recovery = vaultguard::RecoveryAction::kNone;
  bool restart = false;  // the server node has just started, empty
  bool measure = false;
  std::uint32_t snapshot_dots = 0;
};

struct ShardReport {
  std::uint32_t shard = 0;
  std::uint64_t cycle = 0;
  shard::CycleCounts counts;
  shard::Measure measure;
  bool measured = false;
  bool synced = false;  // has what its peers announced, or has no peer that answers
  shard::SlotAmounts total_uvu{};
  std::int64_t effective_uvu = 0;  // mean state of the live replicas, all slots together
  std::uint64_t state_hash = 0;    // with a measure of the last cycle
  std::size_t resident_bytes = 0;
  std::vector<Answer> answers;
  std::vector<v1::Dot> dots;
  std::uint64_t drains_on_links = 0;  // anomalies raised on peer links
  std::uint64_t entropy_on_links = 0;
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
};

struct LinkQuality {
  double latency_ms = 0;
  double jitter_ms = 0;
  double loss = 0;
  double duplicate = 0;
  double reorder = 0;
};

struct LinkFlush {
  std::uint64_t cycle = 0;
  bool severed = false;  // a partition, or the other side is down
  double extra_loss = 0;
  double corrupt = 0;  // share of frames that a nonsense one follows
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

// What the emulator asks of one server node for one cycle.
struct NodeTick {
  std::uint64_t cycle = 0;
  bool alive = true;  // false: the region is out, nothing runs
  double loss = 0;
  double churn_share = 0;  // of the micro-nodes, this cycle
  std::uint32_t leave = 0;
  std::uint32_t join = 0;
  struct AttackOrder {
    v1::Attack attack = v1::ATTACK_UNSPECIFIED;
    double share = 0;  // of the micro-nodes; or
    std::uint32_t count = 0;
  };
  std::vector<AttackOrder> attacks_begin;
  bool attacks_end = false;                 // one of them is over; those that are not are in attacks_active
  std::vector<AttackOrder> attacks_active;  // what a server node that starts again must know
  double low_power_level = 0;               // likewise the share of micro-nodes in low power
  double low_power = -1;                    // >= 0: the share of micro-nodes in low power from now on
  std::vector<Contribution> contributions;
  std::vector<LinkFlush> links;  // by server node; the own entry is unused
  bool measure = false;
  std::uint32_t snapshot_dots = 0;
};

struct NodeReport {
  std::uint32_t node = 0;
  std::uint64_t cycle = 0;
  Payload<Verdict> verdict;  // empty while the node is out
  std::vector<LinkReport> links;
  std::uint64_t alive = 0;  // micro-nodes
  std::uint64_t adversaries = 0;
  std::uint64_t replicas = 0;
  std::uint64_t online = 0;  // events of this cycle
  std::uint64_t offline = 0;
  std::uint64_t repaired = 0;  // replicas created for shards under r_min
};

}  // namespace lvs::actors

// CAF asks for this permission by type, at global scope.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::actors::Payload<lvs::actors::ShardTick>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::actors::Payload<lvs::actors::ShardReport>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::actors::Payload<lvs::actors::Verdict>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::actors::Payload<lvs::actors::LinkFlush>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::actors::Payload<lvs::actors::NodeTick>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::actors::Payload<lvs::actors::NodeReport>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::actors::LinkReport)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::actors::OutgoingFrame)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::actors::IncomingFrame)

namespace lvs::actors {

// Carries frames to one remote server node. Takes frames as they come; decides their fate at the flush.
using PeerLinkActor = TypedActor<Reacts<OutgoingFrame>, Reacts<Payload<LinkFlush>>>;
// Reads the shards' reports of one server node, raises anomalies, orders recovery.
using MonitorActor = TypedActor<Reacts<Payload<ShardReport>>>;
struct Wiring;
struct NodeParts;

}  // namespace lvs::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::actors::Payload<lvs::actors::Wiring>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::actors::Payload<lvs::actors::NodeParts>)

namespace lvs::actors {

// Where a shard actor sends what it has to say; told once, after all actors are spawned.
struct Wiring {
  std::vector<PeerLinkActor> links;  // by server node; the own entry is empty
  MonitorActor monitor;
};
// Holds one shard on one server node. Takes frames at any time; runs a cycle for each tick.
using ShardActor = TypedActor<Reacts<Payload<Wiring>>, Reacts<Payload<ShardTick>>, Reacts<IncomingFrame>>;
// The actors of one server node, told to its runtime once all are spawned.
struct NodeParts {
  std::vector<ShardActor> shards;
  std::vector<PeerLinkActor> links;  // by server node; the own entry is empty
  caf::actor emulator;               // takes the NodeReports
};
// Runs one server node: its swarm, its shards, its links.
using NodeRuntimeActor =
    TypedActor<Reacts<Payload<NodeParts>>, Reacts<Payload<NodeTick>>, Reacts<Payload<Verdict>>, Reacts<LinkReport>>;

}  // namespace lvs::actors
