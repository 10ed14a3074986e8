#include "shard/session_index.h"

#include <cstdint>
#include <vector>

namespace lvs::shard {
void Example(const HashKey& key, const SessionId& session) { EXAMPLE; }
}  // namespace lvs::shard
