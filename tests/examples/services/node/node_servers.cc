#include "services/node/node_servers.h"

#include "lvs/v1/config.pb.h"
#include "services/net/transport_layer.h"

namespace lvs::services {
void Example(const v1::NodeConfig& config, const NodeServers::Credentials& credentials, TransportLayer& transport,
             grpc::Service* service) {
  EXAMPLE;
}
}  // namespace lvs::services
