#include "shard/state_shard.h"

#include <cstdint>

namespace lvs::shard {
void Example(const StateShardConfig& config, const LedgerEntry& entry, std::uint64_t cycle) {
  CycleCounts counts;
  Measure measure;
  EXAMPLE;
}
}  // namespace lvs::shard
