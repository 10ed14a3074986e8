#include "shard/hosting/adversary.h"

#include <cstdint>

#include "shard/state_shard.h"

namespace lvs::hosting {
void Example(shard::StateShard& shard, std::uint32_t row, std::uint64_t seed, std::uint64_t cycle, double loss) {
  shard::CycleCounts counts;
  EXAMPLE;
}
}  // namespace lvs::hosting
