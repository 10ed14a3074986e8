#include "shard/hosting/virtual_link.h"

#include <cstdint>
#include <vector>

#include "shard/hosting/shard_host.h"

namespace lvs::hosting {
void Example(std::uint64_t seed, const LinkQuality& quality, const Payload<shard::Frame>& frame, std::uint64_t cycle,
             const std::vector<ShardHost*>& host_of) {
  EXAMPLE;
}
}  // namespace lvs::hosting
