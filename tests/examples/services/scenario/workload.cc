#include "services/scenario/workload.h"

#include <cstdint>
#include <vector>

namespace lvs::services {
void Example(const v1::Scenario& scenario, const shard::ContributionPolicy& policy, std::uint64_t cycle, bool open,
             const std::vector<bool>& node_alive, std::uint32_t forgers, const std::vector<hosting::Answer>& answers) {
  EXAMPLE;
}
}  // namespace lvs::services
