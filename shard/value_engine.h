// The value engine (ARCH-2.4): what a contribution is worth, how much a session may earn, how trust and drift
// coefficients are scored. Pure arithmetic; the ledger and the drift kernel apply it.
//
//   SPEC-5.1  VU = contribution_value(user_action)      ContributionValue
//   SPEC-5.2  TC = stability_score(node_behaviour)      TrustAfter (by link, earned by what a peer was heard to say)
//   SPEC-5.3  DC = weight(VU, TC, entropy variation)    DriftCoefficient
#pragma once

#include <cstdint>
#include <string_view>

#include "vaultguard/limits.h"

namespace lvs::shard {

// What a user did. Value comes only from positive activity; nothing else creates it (no minting, no inflation).
enum class ActionKind : std::uint8_t { kContribution, kStorage, kRelay, kCompute };

// Micro-VU for `quantity` thousandths of an action's unit (a contribution's unit is one VU; storage a GB-hour; relay a
// GB; compute a core-hour). Negative quantities are worth nothing.
std::int64_t ContributionValue(ActionKind kind, std::int64_t quantity_milli);

// How much a session may have earned in one slot `cycles` after its first contribution. A lie told as a contribution is
// bounded by this and by nothing else (drift.md, "What is not claimed").
struct ContributionPolicy {
  std::int64_t burst_uvu = 1000 * vaultguard::kMicroPerVu;
  std::int64_t earn_uvu_per_cycle = 10 * vaultguard::kMicroPerVu;
  std::int64_t Allowed(std::uint64_t cycles) const;  // saturates at vaultguard::kMaxEntryUvu
};

// TC of a link after a cycle in which it was heard, 1/255: x 0.8 when its diff lay well outside the bound, + 0.02 else.
constexpr std::uint8_t TrustAfter(std::uint8_t trust, bool struck) {
  if (struck) return static_cast<std::uint8_t>((trust * 205u) >> 8);
  return trust > 250 ? 255 : static_cast<std::uint8_t>(trust + 5);
}

// DC of a link, 0..1: trust times the sender's drift weight (SDM), times what the bound leaves of its diff. The last
// factor is the part of value and of its variation: a diff that is far beyond what the peers' spread justifies weighs
// less.
constexpr float DriftCoefficient(float trust, float drift_weight, float distance, float bound) {
  return trust * drift_weight * (distance > bound ? bound / distance : 1.0f);
}

}  // namespace lvs::shard
