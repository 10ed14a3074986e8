#include "shard/hosting/monitor.h"

#include <cstdint>
#include <vector>

namespace lvs::hosting {
void Example(std::uint32_t shards, const std::vector<Payload<ShardReport>>& reports) {
  Verdict verdict;
  EXAMPLE;
}
}  // namespace lvs::hosting
