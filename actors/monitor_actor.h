// The monitor actor: a mailbox around the VaultGuard monitor of one server node (shard/hosting/monitor.h). The actor
// sends one verdict a cycle to the node runtime.
#pragma once

#include <cstdint>

#include "actors/interfaces.h"

namespace lvs::actors {

MonitorActor SpawnMonitor(caf::actor_system& system, std::uint32_t shards, NodeRuntimeActor runtime);

}  // namespace lvs::actors
