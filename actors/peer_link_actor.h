// The peer link actor: the way from one server node to another, a virtual link (shard/hosting/virtual_link.h) or one
// that leaves the process. The shard actors cannot tell which. Either reports each flush to the flush's sender.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "actors/frame_sink.h"
#include "actors/interfaces.h"
#include "shard/hosting/virtual_link.h"

namespace lvs::actors {

// `shards` are the remote server node's shard actors, by shard.
PeerLinkActor SpawnVirtualLink(caf::actor_system& system, hosting::VirtualLinkConfig config,
                               std::vector<ShardActor> shards);

// Hands frames to the sink that carries them out of the process.
PeerLinkActor SpawnRemoteLink(caf::actor_system& system, std::uint32_t to, std::shared_ptr<FrameSink> sink);

}  // namespace lvs::actors
