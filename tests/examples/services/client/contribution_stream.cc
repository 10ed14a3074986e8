#include "services/client/contribution_stream.h"

#include <iostream>

namespace lvs::services {
void Example(const ControlClient& client, const v1::ContributeRequest& request) { EXAMPLE; }
}  // namespace lvs::services
