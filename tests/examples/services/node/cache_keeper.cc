#include "services/node/cache_keeper.h"

#include <cstdint>
#include <vector>

namespace lvs::services {
absl::Status Example(std::uint32_t shards, int value_slots, hosting::NodeTick& tick,
                     const hosting::RestoreCounts& counts, const std::vector<Journal::Record>& changes,
                     const std::vector<std::uint64_t>& ids) {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
