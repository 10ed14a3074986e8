#include "shard/tab/placement.h"

#include <vector>

namespace lvs::tab {
void Example(const std::vector<std::uint64_t>& sessions_of_my_micro_nodes, std::uint32_t shards,
             std::uint32_t micro_nodes, const std::vector<std::uint32_t>& holders_by_group, std::uint32_t group,
             std::uint64_t draw) {
  EXAMPLE;
}
}  // namespace lvs::tab
