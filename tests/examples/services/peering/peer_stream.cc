#include "services/peering/peer_stream.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace lvs::services {
void Example(LinkId id, const std::string& dialled, const std::shared_ptr<StreamOwner>& owner,
             const Outbox::Limits& outbox_limits, std::unique_ptr<Carrier> carrier, const v1::Hello& their_hello,
             std::uint32_t protocol, const std::shared_ptr<const shard::Frame>& frame) {
  EXAMPLE;
}
}  // namespace lvs::services
