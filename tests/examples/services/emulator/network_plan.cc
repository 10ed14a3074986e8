#include "services/emulator/network_plan.h"

namespace lvs::services {
void Example(const v1::Scenario& scenario) { EXAMPLE; }
}  // namespace lvs::services
