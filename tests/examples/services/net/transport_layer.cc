#include "services/net/transport_layer.h"

#include <cstdint>

#include "actors/server_node.h"

namespace lvs::services {
void Example(const TransportOptions& options, const actors::ServerNodeConfig& config,
             const actors::ServerNode::OnReport& on_report, std::uint64_t cycle) {
  EXAMPLE;
}
}  // namespace lvs::services
