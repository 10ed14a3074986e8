#include "services/peering/link_faults.h"

#include <cstdint>
#include <memory>
#include <string>

#include "services/peering/peer_stream.h"

namespace lvs::services {
struct Late {
  std::shared_ptr<PeerStream> stream;
  std::shared_ptr<const shard::Frame> frame;
};
void Example(std::uint64_t seed, const v1::Faults& request, const std::string& address, double now,
             const std::shared_ptr<PeerStream>& stream, const std::shared_ptr<const shard::Frame>& frame) {
  EXAMPLE;
}
}  // namespace lvs::services
