// The catalogue of actors and of their messages. One cycle of the emulator:
//
//   emulator --NodeTick--> node runtime --ShardTick--> shard actors        (one a shard and server node; side by side)
//   shard actor --OutgoingFrame--> peer link actors                        (one a remote server node)
//   shard actor --ShardReport--> VaultGuard monitor --Verdict--> node runtime
//   node runtime --LinkFlush--> peer link actors --IncomingFrame--> remote shard actors
//   peer link actor --LinkReport--> node runtime --NodeReport--> emulator
//
// Each actor is a mailbox around a class of shard/hosting; node.h spawns and wires them.
//
// A frame of cycle t is in the receiver's mailbox before the receiver's tick of t+1, because mailboxes are FIFO and the
// reports close the cycle. Frames of one cycle are sorted by sender before they are read.
#pragma once

#include "actors/caf.h"
#include "shard/hosting/messages.h"

// CAF asks for this permission by type, at global scope.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::hosting::Payload<lvs::hosting::ShardTick>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::hosting::Payload<lvs::hosting::ShardReport>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::hosting::Payload<lvs::hosting::Verdict>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::hosting::Payload<lvs::hosting::LinkFlush>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::hosting::Payload<lvs::hosting::NodeTick>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::hosting::Payload<lvs::hosting::NodeReport>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::hosting::LinkReport)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::hosting::OutgoingFrame)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::hosting::IncomingFrame)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::hosting::LinkChange)

namespace lvs::actors {

using hosting::Anomaly;
using hosting::Answer;
using hosting::Contribution;
using hosting::IncomingFrame;
using hosting::kOpensNow;
using hosting::LinkChange;
using hosting::LinkFlush;
using hosting::LinkQuality;
using hosting::LinkReport;
using hosting::NodeReport;
using hosting::NodeTick;
using hosting::OutgoingFrame;
using hosting::Payload;
using hosting::RowCommand;
using hosting::ShardReport;
using hosting::ShardTick;
using hosting::Verdict;

// Carries frames to one remote server node: takes each as it comes, and decides its fate at the flush.
using PeerLinkActor = TypedActor<Reacts<OutgoingFrame>, Reacts<Payload<LinkFlush>>>;
// Reads the shards' reports of one server node, raises anomalies, and orders recovery.
using MonitorActor = TypedActor<Reacts<Payload<ShardReport>>>;
struct Wiring;
struct NodeParts;

}  // namespace lvs::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::hosting::Payload<lvs::actors::Wiring>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lvs::hosting::Payload<lvs::actors::NodeParts>)

namespace lvs::actors {

// The addressees of a shard actor, sent to it once, after all actors are spawned.
struct Wiring {
  std::vector<PeerLinkActor> links;  // by server node; the own entry is empty
  MonitorActor monitor;
};
// Hosts one shard on one server node: takes frames at any time, and runs a cycle for each tick.
using ShardActor =
    TypedActor<Reacts<Payload<Wiring>>, Reacts<Payload<ShardTick>>, Reacts<IncomingFrame>, Reacts<LinkChange>>;
// The actors of one server node, sent to its runtime once all are spawned.
struct NodeParts {
  std::vector<ShardActor> shards;
  std::vector<PeerLinkActor> links;  // by server node; the own entry is empty
  caf::actor reporter;               // takes the NodeReports: the emulator's pacer, or the server process
};
// Runs one server node: its swarm, its shards, its links.
using NodeRuntimeActor =
    TypedActor<Reacts<Payload<NodeParts>>, Reacts<Payload<NodeTick>>, Reacts<Payload<Verdict>>, Reacts<LinkReport>>;

}  // namespace lvs::actors
