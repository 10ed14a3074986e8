#include "services/node/node_core.h"

#include <cstdint>
#include <string>
#include <vector>

#include "actors/server_node.h"
#include "services/base/cycle_clock.h"

namespace lvs::services {
void Example(const v1::NodeConfig& config, const v1::ContributeRequest& request, const std::string& link,
             NodeCore::Time now, NodeCore::Time deadline, const ControlBackend::OnReply& done,
             actors::ServerNode& actors, const hosting::NodeReport& report, const std::vector<std::uint64_t>& ids) {
  EXAMPLE;
}
}  // namespace lvs::services
