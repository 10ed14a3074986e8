// The peer link actor: the way from one server node to another, a virtual link or one that leaves the process. The
// shard actors cannot tell which.
//
// A virtual link has the latency, jitter, loss, duplication, reordering and partitions of the scenario. A frame's fate
// is drawn from (seed, link, shard, cycle), so a run repeats for any number of threads. In flight it is bounded by the
// receivers' inboxes (vaultguard::kMaxPendingFrames).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "actors/interfaces.h"

namespace lvs::actors {

class FrameSink;

struct VirtualLinkConfig {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::uint64_t seed = 0;
  double period_ms = 100;
  LinkQuality quality;
};

// `shards` are the remote server node's shard actors, by shard. The report of a flush goes to its sender.
PeerLinkActor SpawnVirtualLink(caf::actor_system& system, VirtualLinkConfig config, std::vector<ShardActor> shards);

// Hands frames over to whatever carries them out of the process.
PeerLinkActor SpawnRemoteLink(caf::actor_system& system, std::uint32_t to, std::shared_ptr<FrameSink> sink);

// Nonsense of one of kNonsenseKinds kinds, made from a good frame: what a broken or hostile sender might say.
inline constexpr int kNonsenseKinds = 12;
shard::Frame Nonsense(const shard::Frame& good, int kind);

}  // namespace lvs::actors
