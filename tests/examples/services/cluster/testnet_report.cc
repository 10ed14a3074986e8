#include "services/cluster/testnet_report.h"

#include <vector>

#include "services/report/report.h"

namespace lvs::services {
absl::Status Example(const std::vector<TestnetNode>& nodes, const std::vector<TestnetLook>& looks) { EXAMPLE; }
}  // namespace lvs::services
