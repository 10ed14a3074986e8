#include "shard/tab/tab_links.h"

#include <utility>

namespace lvs::tab {
void Example(std::uint32_t shards, TabId session, ShardMask mask, std::uint64_t seed, Offer offer, double now_s) {
  EXAMPLE;
}
}  // namespace lvs::tab
