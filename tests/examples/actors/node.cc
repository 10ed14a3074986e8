#include "actors/node.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace lvs::actors {
void Example(const std::unique_ptr<caf::actor_system>& system, const std::vector<hosting::ShardHostConfig>& configs,
             std::uint64_t seed, hosting::Swarm swarm, const std::vector<PeerLinkActor>& links,
             const caf::actor& reporter, NodeTick tick) {
  EXAMPLE;
}
}  // namespace lvs::actors
