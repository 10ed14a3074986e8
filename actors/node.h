// The actors of one server node, wired: the emulator runs one server node a region, a server process exactly one.
//
//   std::vector<ShardActor> shards = SpawnShards(*system, configs);      // of every node first: links lead to them
//   NodeActors node = SpawnNode(*system, {.config = {.node = 0, .seed = seed}, .swarm = std::move(swarm),
//                                         .shards = shards, .links = links, .reporter = reporter});
//   node.Tick(std::move(tick));                                          // reporter gets the NodeReport
//   node.End();
#pragma once

#include <cstdint>
#include <vector>

#include "actors/interfaces.h"
#include "shard/hosting/node_host.h"
#include "shard/hosting/shard_host.h"

namespace lvs::actors {

struct NodeSetup {
  hosting::NodeHostConfig config;
  hosting::Swarm swarm;  // populated, with its first rows
  std::vector<ShardActor> shards;
  std::vector<PeerLinkActor> links;  // by server node; the own entry is empty
  caf::actor reporter;               // takes a Payload<NodeReport> a cycle
};

// Handles; copies name the same actors. Threads: any.
struct NodeActors {
  std::vector<ShardActor> shards;
  std::vector<PeerLinkActor> links;
  MonitorActor monitor;
  NodeRuntimeActor runtime;

  // Runs one cycle. Call only after the report of the one before.
  void Tick(hosting::NodeTick tick) const;
  // Ends the actors, after what is in their mailboxes, and drops the handles. Idempotent.
  void End();
};

// The shard actors of one server node, by shard.
std::vector<ShardActor> SpawnShards(caf::actor_system& system, std::vector<hosting::ShardHostConfig> configs);

// Spawns the node's monitor and runtime, and tells the shards and the runtime of each other and of the links.
NodeActors SpawnNode(caf::actor_system& system, NodeSetup setup);

}  // namespace lvs::actors
