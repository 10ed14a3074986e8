#include "services/peering/peer_table.h"

#include <cstdint>
#include <memory>

namespace lvs::services {
void Example(const PeeringOptions& options, const std::shared_ptr<PeerStream>& stream, const v1::Hello& hello,
             const absl::Status& why, double now_s) {
  EXAMPLE;
}
}  // namespace lvs::services
