#include "services/cluster/testnet_config.h"

#include <string>
#include <vector>

namespace lvs::services {
void Example() { EXAMPLE; }
}  // namespace lvs::services
