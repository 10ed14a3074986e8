// The value engine (ARCH-2.4) computes the value of a contribution (SPEC-5.1: VU = contribution_value(user_action)),
// and how much a session may earn. Pure arithmetic; the ledger applies it. The drift kernel scores trust (SPEC-5.2) and
// weighs what each slot hears (SPEC-5.3) itself: drift_core.h.
#pragma once

#include <cstdint>
#include <string_view>

#include "vaultguard/limits.h"

namespace lvs::shard {

// Kinds of user actions. Only positive activity creates value (no minting, no inflation).
enum class ActionKind : std::uint8_t { kContribution, kStorage, kRelay, kCompute };

// Micro-VU for `quantity` thousandths of an action's unit (a contribution's unit is one VU; storage a GB-hour; relay a
// GB; compute a core-hour). Negative quantities are worth nothing.
std::int64_t ContributionValue(ActionKind kind, std::int64_t quantity_milli);

// The limit on what a session may have earned in one slot `cycles` after its first contribution. Nothing else bounds a
// false contribution (docs/compliance.md, "What is not claimed").
struct ContributionPolicy {
  std::int64_t burst_uvu = 1000 * vaultguard::kMicroPerVu;
  std::int64_t earn_uvu_per_cycle = 10 * vaultguard::kMicroPerVu;
  std::int64_t Allowed(std::uint64_t cycles) const;  // saturates at vaultguard::kMaxEntryUvu
  // The fewest cycles after which a session may have earned `amount_uvu`; the largest number where it never may.
  std::uint64_t CyclesFor(std::int64_t amount_uvu) const;
};

}  // namespace lvs::shard
