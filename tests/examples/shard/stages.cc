#include "shard/stages.h"

#include <cstdint>

#include "shard/state_shard.h"

namespace lvs::shard {
void Example(StateShard& shard, std::uint64_t cycle, double loss) {
  CycleCounts counts;
  EXAMPLE;
}
}  // namespace lvs::shard
