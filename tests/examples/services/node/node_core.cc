#include "services/node/node_core.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "actors/server_node.h"
#include "services/base/cycle_clock.h"

namespace lvs::services {
void Example(const v1::NodeConfig& config, std::uint64_t period_us, const v1::ContributeRequest& request,
             const std::string& link, NodeCore::WallTime wall_now, NodeCore::Time now, NodeCore::Time deadline,
             std::uint64_t cycle, const ControlBackend::OnReply& done, actors::ServerNode& actors,
             const hosting::NodeReport& report, const std::vector<std::uint64_t>& ids) {
  EXAMPLE;
}
}  // namespace lvs::services
