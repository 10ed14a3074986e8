#include "services/base/threads.h"

namespace lvs::services {
absl::Status Example() {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
