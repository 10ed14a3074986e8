#include "services/cluster/testnet_control.h"

#include <iostream>

namespace lvs::services {
absl::Status Example() {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
