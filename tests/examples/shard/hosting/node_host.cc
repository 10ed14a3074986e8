#include "shard/hosting/node_host.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace lvs::hosting {
void Example(std::uint64_t seed, Swarm swarm, std::size_t shards, std::size_t links, const Payload<NodeTick>& tick,
             const Payload<Verdict>& verdict, const std::vector<std::size_t>& peers,
             const std::vector<LinkReport>& link_reports) {
  std::vector<ShardTick> ticks(shards);
  std::vector<LinkFlush> flushes(links + 1);
  NodeReport report;
  EXAMPLE;
}
}  // namespace lvs::hosting
