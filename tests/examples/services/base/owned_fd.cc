#include <fcntl.h>

#include <array>

#include "services/base/files.h"

namespace lvs::services {
absl::Status Example(char (&bytes)[16]) {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
