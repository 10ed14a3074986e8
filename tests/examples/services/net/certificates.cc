#include "services/net/certificates.h"

#include <memory>

namespace lvs::services {
absl::Status Example(const v1::NodeConfig& config) {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
