// The VaultGuard monitor actor of one server node: it reads every shard's report of a cycle, raises anomalies
// (SPEC-8.3), and orders recovery where a shard's value fell catastrophically (SPEC-8.2). It sends one verdict a cycle.
#pragma once

#include <cstdint>

#include "actors/interfaces.h"

namespace lvs::actors {

MonitorActor SpawnMonitor(caf::actor_system& system, std::uint32_t shards, NodeRuntimeActor runtime);

}  // namespace lvs::actors
