#include "shard/tab/server_places.h"

namespace lvs::tab {
void Example(std::uint64_t seed, TabId tab, ShardMask mask, double now_s) { EXAMPLE; }
}  // namespace lvs::tab
