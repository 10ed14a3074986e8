#include "services/cluster/testnet.h"

#include <chrono>
#include <cstddef>

namespace lvs::services {
absl::Status Example() {
  EXAMPLE;
  return killed.status();
}
}  // namespace lvs::services
