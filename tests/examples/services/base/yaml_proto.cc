#include "services/base/yaml_proto.h"

#include "lvs/v1/scenario.pb.h"

namespace lvs::services {
absl::Status Example() {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
