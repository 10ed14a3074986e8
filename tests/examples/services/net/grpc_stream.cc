#include "services/net/grpc_stream.h"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace lvs::services {
ServerReactor* Example(const std::shared_ptr<PeerStream>& stream, grpc::CallbackServerContext* context,
                       const std::shared_ptr<grpc::Channel>& channel, const std::shared_ptr<LiveCarriers>& live,
                       std::optional<Connections::Hold> hold) {
  EXAMPLE;
}
}  // namespace lvs::services
