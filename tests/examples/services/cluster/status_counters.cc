#include "services/cluster/status_counters.h"

namespace lvs::services {
void Example(const v1::NodeStatus& before, const v1::NodeStatus& now) { EXAMPLE; }
}  // namespace lvs::services
