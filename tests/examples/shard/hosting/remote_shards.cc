#include "shard/hosting/remote_shards.h"

#include <cstdint>

namespace lvs::hosting {
void Example(const ShardLayout& layout, std::uint32_t from, const shard::Frame& frame, std::uint64_t cycle,
             bool (*is_heard)(std::uint32_t node), bool (*is_up)(std::uint32_t node), bool others_missing,
             shard::StateShard& shard) {
  vaultguard::RefusalCounts refused;
  EXAMPLE;
}
}  // namespace lvs::hosting
