#include "services/scenario/look.h"

#include <cstdint>
#include <vector>

#include "services/scenario/measurement.h"

namespace lvs::services {
void Example(std::uint64_t cycle, const std::vector<shard::SlotAmounts>& truth, const shard::Measure& measure,
             Measurement& measurement, v1::RunReport& report) {
  EXAMPLE;
}
}  // namespace lvs::services
