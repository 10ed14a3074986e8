#include "actors/letter.h"

#include <cstdint>
#include <utility>

#include "actors/interfaces.h"

namespace lvs::actors {
void Example(caf::event_based_actor* self, const ShardActor& shard, const MonitorActor& monitor, std::uint32_t from,
             std::uint64_t due_cycle, const Payload<shard::Frame>& frame, Payload<ShardReport> report) {
  EXAMPLE;
}
}  // namespace lvs::actors
