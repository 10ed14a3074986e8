#include "services/node/disk_backlog.h"

#include <cstdint>
#include <vector>

namespace lvs::services {
void Example(const std::vector<Journal::Record>& changes, const std::vector<std::uint64_t>& ids,
             const absl::Status& status) {
  EXAMPLE;
}
}  // namespace lvs::services
