#include "shard/hosting/shard_host.h"

#include <cstdint>
#include <utility>

namespace lvs::hosting {
void Send(std::uint32_t to, Payload<shard::Frame> frame);
void Example(const ShardHostConfig& config, const Payload<shard::Frame>& frame) { EXAMPLE; }
}  // namespace lvs::hosting
