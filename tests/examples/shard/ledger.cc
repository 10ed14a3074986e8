#include "shard/ledger.h"

#include <cstdint>

namespace lvs::shard {
void Example(const ContributionPolicy& policy, const LedgerEntry& entry, std::uint64_t cycle) { EXAMPLE; }
}  // namespace lvs::shard
