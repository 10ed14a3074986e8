#include "shard/hosting/ambassadors.h"

#include <cstdint>

#include "shard/state_shard.h"

namespace lvs::hosting {
void Example(const shard::StateShard& shard, std::uint64_t shard_seed, std::uint64_t cycle,
             std::uint64_t last_told_cycle) {
  shard::Frame frame;
  EXAMPLE;
}
}  // namespace lvs::hosting
