#include "services/node/node_config.h"

#include <iostream>

namespace lvs::services {
void Example() { EXAMPLE; }
}  // namespace lvs::services
