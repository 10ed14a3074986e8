#include "services/peering/link_slots.h"

#include <cstdint>
#include <optional>

namespace lvs::services {
void Example(const shard::SessionId& session) { EXAMPLE; }
}  // namespace lvs::services
