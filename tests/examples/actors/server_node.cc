#include "actors/server_node.h"

#include <memory>
#include <utility>
#include <vector>

namespace lvs::actors {
void Example(const ServerNodeConfig& config, const std::vector<std::shared_ptr<FrameSink>>& sinks,
             const hosting::Payload<shard::Frame>& frame, hosting::NodeTick tick) {
  EXAMPLE;
}
}  // namespace lvs::actors
