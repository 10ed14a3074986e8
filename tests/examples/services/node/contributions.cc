#include "services/node/contributions.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lvs::services {
void Example(const ContributionLimits& limits, const v1::ContributeRequest& request, const std::string& link,
             Contributions::Time now, Contributions::Time deadline, std::uint64_t cycle, ControlBackend::OnReply done,
             hosting::NodeTick& tick, const hosting::Answer& answer) {
  std::vector<DueReply> due;
  std::vector<std::uint64_t> for_disk;
  EXAMPLE;
}
}  // namespace lvs::services
