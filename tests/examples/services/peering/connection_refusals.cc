#include "services/peering/connection_refusals.h"

#include "lvs/v1/control.pb.h"

namespace lvs::services {
void Example(v1::NodeStatus& status) { EXAMPLE; }
}  // namespace lvs::services
