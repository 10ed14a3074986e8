#include "shard/news.h"

#include <cstdint>

#include "shard/state_shard.h"

namespace lvs::shard {
void Example(const StateShardConfig& config, const MessageSizes& sizes, const SlotAmounts& gained_uvu,
             const Columns& columns, const Crowd& crowd, int peers, std::uint64_t cycle, double loss) {
  NewsCounts counts;
  EXAMPLE;
}
}  // namespace lvs::shard
