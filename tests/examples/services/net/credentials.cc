#include "services/net/credentials.h"

#include <grpcpp/server_builder.h>

#include <memory>

namespace lvs::services {
absl::Status Example(const v1::NodeConfig& config, grpc::ServerBuilder& builder) {
  int port = 0;
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
