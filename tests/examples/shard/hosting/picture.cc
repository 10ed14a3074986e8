#include "shard/hosting/picture.h"

#include <cstdint>
#include <vector>

#include "shard/state_shard.h"

namespace lvs::hosting {
void Example(shard::StateShard& shard, std::uint64_t cycle, double loss) {
  shard::CycleCounts counts;
  std::vector<Dot> dots;
  EXAMPLE;
}
}  // namespace lvs::hosting
