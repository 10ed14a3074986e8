#include "services/node/node_servers.h"

#include "lvs/v1/config.pb.h"
#include "services/net/transport_layer.h"

namespace lvs::services {
struct ServedNode {
  bool IsReady() const;
};
void Example(const v1::NodeConfig& config, const NodeServers::Credentials& credentials, TransportLayer& transport,
             grpc::Service* service, const ServedNode& node, const std::shared_ptr<ConnectionRefusals>& refusals) {
  EXAMPLE;
}
}  // namespace lvs::services
