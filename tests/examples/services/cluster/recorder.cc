#include "services/cluster/recorder.h"

#include <chrono>
#include <vector>

#include "services/report/report.h"

namespace lvs::services {
absl::Status Example(const std::vector<TestnetNode>& nodes) { EXAMPLE; }
}  // namespace lvs::services
