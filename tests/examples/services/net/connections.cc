#include "services/net/connections.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>

namespace lvs::services {
void Example(const ConnectionLimits& limits, const std::shared_ptr<ConnectionRefusals>& refusals,
             grpc::CallbackServerContext* context, int fd, double now_s) {
  EXAMPLE;
}
}  // namespace lvs::services
