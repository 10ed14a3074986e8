#include "services/node/cache_shape.h"

namespace lvs::services {
absl::Status Example() {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
