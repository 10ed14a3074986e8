#include "services/node/health_service.h"

namespace lvs::services {
void Example(grpc::ServerBuilder& builder, const std::shared_ptr<Connections>& connections) { EXAMPLE; }
}  // namespace lvs::services
