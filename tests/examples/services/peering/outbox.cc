#include "services/peering/outbox.h"

#include <memory>
#include <utility>

namespace lvs::services {
void Send(MessageBytes message);
void Example(const std::shared_ptr<const shard::Frame>& frame) { EXAMPLE; }
}  // namespace lvs::services
