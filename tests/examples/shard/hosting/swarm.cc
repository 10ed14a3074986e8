#include "shard/hosting/swarm.h"

#include <cstdint>
#include <vector>

namespace lvs::hosting {
void Example(const SwarmConfig& config, const std::vector<std::uint32_t>& rows_after_the_halo, std::uint64_t cycle) {
  ShardCommands commands(config.shards);
  EXAMPLE;
}
}  // namespace lvs::hosting
