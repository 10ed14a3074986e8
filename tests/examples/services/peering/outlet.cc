#include "services/peering/outlet.h"

#include <cstdint>
#include <functional>
#include <memory>

namespace lvs::services {
void Example(const std::shared_ptr<Outlet>& outlet, const std::shared_ptr<PeerStream>& stream,
             const std::shared_ptr<const shard::Frame>& frame, std::uint32_t slot,
             const std::function<void(std::uint32_t slot, bool up)>& link_changed,
             const std::function<void(std::uint32_t slot, std::shared_ptr<const shard::Frame>)>& deliver) {
  EXAMPLE;
}
}  // namespace lvs::services
