#include "shard/ledger_sync.h"

#include <cstdint>
#include <memory>

namespace lvs::shard {
void Send(const Frame& frame);
void Example(const LedgerSyncConfig& config, LedgerSync::Owner& owner, std::shared_ptr<const Frame> heard,
             std::uint64_t cycle, std::uint64_t due_cycle, std::uint32_t links, bool urgent) {
  vaultguard::RefusalCounts refused;
  Frame frame;
  EXAMPLE;
}
}  // namespace lvs::shard
