#include "services/node/probe_server.h"

#include <memory>
#include <string_view>

namespace lvs::services {
ProbeAnswer AnswerTo(std::string_view method, std::string_view path);
absl::Status Example(const ProbeServer::Limits& limits) {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
