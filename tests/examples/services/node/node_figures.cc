#include "services/node/node_figures.h"

#include <cstdint>

namespace lvs::services {
void Example(std::uint32_t shards, const shard::Shape& shape, hosting::NodeTick& tick, std::uint64_t cycle,
             NodeFigures::Time now, const hosting::NodeReport& report, v1::NodeStatus& status) {
  EXAMPLE;
}
}  // namespace lvs::services
