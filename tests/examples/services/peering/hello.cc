#include "services/peering/hello.h"

#include <cstdint>
#include <memory>

#include "services/peering/peer_stream.h"

namespace lvs::services {
void Example(const NodeTerms& terms, const v1::Hello& theirs, const std::shared_ptr<PeerStream>& stream) { EXAMPLE; }
}  // namespace lvs::services
