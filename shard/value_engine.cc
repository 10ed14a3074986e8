#include "shard/value_engine.h"

#include <algorithm>
#include <limits>

namespace lvs::shard {

std::int64_t ContributionValue(ActionKind kind, std::int64_t quantity_milli) {
  if (quantity_milli <= 0) return 0;
  std::int64_t uvu_per_milli = 0;
  switch (kind) {
    case ActionKind::kContribution: uvu_per_milli = 1000; break;
    case ActionKind::kStorage: uvu_per_milli = 10; break;
    case ActionKind::kRelay: uvu_per_milli = 50; break;
    case ActionKind::kCompute: uvu_per_milli = 500; break;
  }
  if (uvu_per_milli == 0) return 0;
  return std::min(quantity_milli, vaultguard::kMaxEntryUvu / uvu_per_milli) * uvu_per_milli;
}

std::int64_t ContributionPolicy::Allowed(std::uint64_t cycles) const {
  if (burst_uvu >= vaultguard::kMaxEntryUvu) return vaultguard::kMaxEntryUvu;
  if (earn_uvu_per_cycle > 0 &&
      cycles > static_cast<std::uint64_t>((vaultguard::kMaxEntryUvu - burst_uvu) / earn_uvu_per_cycle)) {
    return vaultguard::kMaxEntryUvu;
  }
  return burst_uvu + earn_uvu_per_cycle * static_cast<std::int64_t>(cycles);
}

std::uint64_t ContributionPolicy::CyclesFor(std::int64_t amount_uvu) const {
  if (amount_uvu <= burst_uvu) return 0;
  if (earn_uvu_per_cycle <= 0 || amount_uvu > vaultguard::kMaxEntryUvu)
    return std::numeric_limits<std::uint64_t>::max();
  return static_cast<std::uint64_t>((amount_uvu - burst_uvu - 1) / earn_uvu_per_cycle) + 1;
}

}  // namespace lvs::shard
