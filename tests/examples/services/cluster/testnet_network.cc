#include "services/cluster/testnet_network.h"

namespace lvs::services {
absl::Status Example() { EXAMPLE; }
}  // namespace lvs::services
