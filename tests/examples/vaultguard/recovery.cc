#include "vaultguard/recovery.h"

#include <cstdint>

namespace lvs::vaultguard {
void RepinDriftToLedger();
void AskEveryPeerForFullSync();
void Example(std::int64_t effective_uvu, std::int64_t ledger_total_uvu) { EXAMPLE; }
}  // namespace lvs::vaultguard
