#include "services/scenario/run_look.h"

#include <cstdint>
#include <vector>

#include "services/scenario/measurement.h"
#include "services/scenario/workload.h"

namespace lvs::services {
void Example(std::uint64_t cycle, const std::vector<hosting::Payload<hosting::NodeReport>>& reports,
             const Workload& workload, const Timeline& timeline, Measurement& measurement, v1::RunReport& report) {
  EXAMPLE;
}
}  // namespace lvs::services
