#include "services/cluster/testnet_events.h"

#include <cstdint>
#include <string>
#include <vector>

namespace lvs::services {
void Example(const std::vector<TestnetNode>& nodes, const std::vector<TestnetLook>& looks,
             const std::vector<std::uint32_t>& starts, double seconds, bool scattered, v1::RunReport& report) {
  EXAMPLE;
}
}  // namespace lvs::services
