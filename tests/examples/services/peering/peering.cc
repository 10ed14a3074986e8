#include "services/peering/peering.h"

#include <cstdint>
#include <memory>
#include <string>

namespace lvs::services {
std::unique_ptr<Carrier> CarrierOf(const std::shared_ptr<PeerStream>& stream);
void Example(const PeeringOptions& options, const Peering::Deliver& deliver, const Peering::LinkChanged& link_changed,
             std::uint64_t cycle, std::uint32_t link, const std::shared_ptr<const shard::Frame>& frame, double now_s) {
  EXAMPLE;
}
}  // namespace lvs::services
