#include "shard/tab/hub_directory.h"

namespace lvs::tab {
void Example(std::uint64_t seed, std::uint32_t micro_nodes, const Announce& announce, TabId tab, const Need& need,
             const Offer& offer, double now_s) {
  EXAMPLE;
}
}  // namespace lvs::tab
