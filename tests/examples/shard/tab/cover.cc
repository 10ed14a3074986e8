#include "shard/tab/cover.h"

#include <vector>

#include "shard/tab/tab_links.h"

namespace lvs::tab {
void Example(const std::vector<TabLinks::Link>& links, ShardMask mask) { EXAMPLE; }
}  // namespace lvs::tab
