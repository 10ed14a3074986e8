#include "services/client/control_client.h"

namespace lvs::services {
absl::Status Example() {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
