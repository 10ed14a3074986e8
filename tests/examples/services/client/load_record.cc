#include "services/client/load_record.h"

#include <vector>

namespace lvs::services {
absl::Status Example(const std::vector<ControlClient>& clients) {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
