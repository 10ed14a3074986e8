#include "services/scenario/measurement.h"

#include <vector>

namespace lvs::services {
void Example(const v1::Scenario& scenario, const std::vector<Look>& looks, v1::RunReport& report) { EXAMPLE; }
}  // namespace lvs::services
