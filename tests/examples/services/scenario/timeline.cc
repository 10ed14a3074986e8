#include "services/scenario/timeline.h"

#include <cstdint>
#include <vector>

namespace lvs::services {
void Example(const v1::Scenario& scenario, std::uint64_t cycle) { EXAMPLE; }
}  // namespace lvs::services
