// The shard actor: a mailbox around one shard host (shard/hosting/shard_host.h).
//
// Frames of a tick go to the peer link actors first, then the report to the monitor: a report closes the cycle.
#pragma once

#include <cstdint>

#include "actors/interfaces.h"
#include "shard/hosting/shard_host.h"

namespace lvs::actors {

// The clock for ShardHostConfig::clock_ns.
std::uint64_t SteadyNanoseconds();

// The actor makes its frames from recycled memory, whatever config.make_frame says. The actor waits for its Wiring
// before the first tick.
ShardActor SpawnShardActor(caf::actor_system& system, hosting::ShardHostConfig config);

}  // namespace lvs::actors
