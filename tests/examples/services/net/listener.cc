#include "services/net/listener.h"

#include <memory>

namespace lvs::services {
void Serve(int fd);
absl::Status Example(const std::shared_ptr<Connections>& connections,
                     const std::shared_ptr<ConnectionRefusals>& refusals) {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
