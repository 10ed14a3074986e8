#include "services/node/journal.h"

#include <cstdint>

namespace lvs::services {
absl::Status Example(std::uint32_t shards, int value_slots, std::uint32_t shard, const shard::LedgerEntry& entry) {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::services
