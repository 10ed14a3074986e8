// The node runtime actor: one server node. It turns what the emulator asks of a cycle into row commands (through the
// swarm), ticks its shard actors, waits for the VaultGuard monitor's verdict, flushes its links, and reports.
//
// Lifecycle (SPEC-9): a server node that starts again after an outage first fetches what its peers hold; its
// micro-nodes join when all its shards have it.
#pragma once

#include <cstdint>
#include <vector>

#include "actors/interfaces.h"
#include "shard/hosting/swarm.h"

namespace lvs::actors {

struct NodeRuntimeConfig {
  std::uint32_t node = 0;
  std::uint64_t seed = 0;  // of this server node
  // It starts with the first tick as after an outage: these many micro-nodes join once the ledger is there.
  std::uint32_t starts_with = 0;
};

// `swarm` is populated, and the runtime's alone from here on. The runtime waits for its NodeParts before anything else.
NodeRuntimeActor SpawnNodeRuntime(caf::actor_system& system, NodeRuntimeConfig config, hosting::Swarm swarm);

}  // namespace lvs::actors
