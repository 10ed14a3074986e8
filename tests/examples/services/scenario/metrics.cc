#include "services/scenario/metrics.h"

namespace lvs::services {
void Example(const v1::Scenario& scenario, v1::RunReport& report) { EXAMPLE; }
}  // namespace lvs::services
