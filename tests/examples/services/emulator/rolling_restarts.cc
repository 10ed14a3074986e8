#include "services/emulator/rolling_restarts.h"

#include "services/scenario/timeline.h"

namespace lvs::services {
void Example(const v1::Scenario& scenario, std::uint64_t cycle, const std::vector<bool>& holds_all) {
  const Timeline timeline(scenario, {"a", "b", "c"}, {10, 10, 10});
  std::vector<hosting::NodeTick> ticks(3);
  EXAMPLE;
}
}  // namespace lvs::services
