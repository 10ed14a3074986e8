#include "services/node/node_drain.h"

#include <chrono>

namespace lvs::services {
void Example(NodeDrain::Time now) { EXAMPLE; }
}  // namespace lvs::services
