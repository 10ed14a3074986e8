#include "services/node/operations.h"

#include "services/node/node.h"

namespace lvs::services {
absl::Status Example(const Node& node) {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
