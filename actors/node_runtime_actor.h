// The node runtime actor: a mailbox around one node host (shard/hosting/node_host.h). The actor ticks its shard actors,
// waits for the monitor's verdict, flushes its links, and reports.
#pragma once

#include "actors/interfaces.h"
#include "shard/hosting/node_host.h"

namespace lvs::actors {

// The runtime waits for its NodeParts before anything else.
NodeRuntimeActor SpawnNodeRuntime(caf::actor_system& system, hosting::NodeHostConfig config, hosting::Swarm swarm);

}  // namespace lvs::actors
