// The drift core (SPEC-7.1, PAPER-4.3): one cycle's correction of every replica of a shard,
//
//   V(t+1) = guard( V(t) + alpha * sigma * e
//                        + beta * ( sum_j w_j clip(D_j, tau) + w0 clip(-V, tau) ) / ( sum_j w_j + w0 ) )
//
// in value slots. Free coordinates have no ledger voice, w0 = 0, and only neighbours within the strike bound have a voice.
// V is the drift vector: the state relative to the replica's own ledger total, so that a replica is worth S = T + V.
// D_j = V_j - V is formed by the receiver. docs/protocol.md derives each rule and names the code below for it.
//
// The kernel is SIMD (Google Highway, one lane a replica) and picks its target at run time. Lanes are independent and
// use no fused multiply-add, so every target gives the same bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "shard/columns.h"
#include "shard/entropy_engine.h"
#include "vaultguard/limits.h"
#include "vaultguard/refusals.h"

namespace lvs::shard {

// The parameters of the drift step. Defaults are the measured ones (docs/protocol.md).
struct DriftParameters {
  float alpha = 0.02f;             // weight of entropy
  float beta = 0.9f;               // weight of the neighbours
  float ledger_weight = 8.0f;      // w0, in fully trusted neighbours
  float bound_factor = 3.0f;       // c: tau = c * weighted median distance, of the value slots
  float bound_factor_free = 1.0f;  // c_f, of the free coordinates
  float bound_shrink = 0.3f;       // tau(t) >= 0.3 tau(t-1)
  float bound_grow = 1.05f;        // tau(t) <= 1.05 tau(t-1), or the slow bound where that is wider
  float slow_keep = 0.97f;         // kappa: factor of the slow bound, a cycle
  float near_least = 0.75f;        // free coordinates: the step is longer where neighbours are clipped, 4/3 at most
  // A diff costs its slot trust beyond 1.5 tau (value), or beyond 1.5 of the slow bound and, up to a tenth of the range,
  // of 4 tau (free).
  float strike_factor = 1.5f;
  float strike_tau = 4;
  float strike_range = 0.1f;
  float band_decay = 0.9f;       // factor of b, a cycle
  float publish_factor = 0.05f;  // publish when the state moved by more than 0.05 tau
  bool plain = false;            // the paper's bare equation: no bound, trust, ledger voice, band
  float plain_entropy = 1.0f;    // plain only: standard deviation of the constant-variance entropy
};

// Trust by slot (rule 5 of drift.md), in 1/255: what a strike leaves of it, in 1/256 (0.8), and what a cycle gives back
// (0.02). One word of a neighbour with whole trust and whole drift weight weighs kTrustWhole.
inline constexpr std::uint32_t kTrustWhole = 255;
inline constexpr std::uint32_t kTrustKept256 = 205;
inline constexpr std::uint32_t kTrustRegained = 5;
// Entropy health of a slot: so many packets in a row with the same hash are one too many, and an honest packet has no
// component beyond the rail.
inline constexpr std::uint32_t kRepetitionCutoff = 7;
inline constexpr std::int32_t kEntropyRail = 119;

// A low-power replica drifts once in so many cycles. Adjacent rows rest together, so that the kernel skips their whole
// vector.
inline constexpr std::uint32_t kLowPowerPeriod = 4;
constexpr bool LowPowerTurn(std::uint32_t row, std::uint32_t cycle) {
  return (row / kRowAlign + cycle) % kLowPowerPeriod == 0;
}
// A micro-node sends one entropy packet a cycle and holds about this many shards, so each replica's turn comes once in
// so many cycles, in low power too.
inline constexpr std::uint32_t kEntropyPeriod = 4;
constexpr bool EntropyTurn(std::uint32_t row, std::uint32_t cycle) {
  const std::uint32_t phase = row + cycle;
  return (phase + (phase >> 2)) % kEntropyPeriod == 0;
}

// Counts of one step, summed over replicas.
struct StepCounts {
  std::uint64_t updated = 0;     // replica cycles
  std::uint64_t published = 0;   // state diffs of honest replicas
  std::uint64_t packets = 0;     // entropy packets: sent in turn, with honest state diffs other than mere signs of life
  std::uint64_t heard = 0;       // state diffs that counted
  std::uint64_t lost = 0;        // state diffs that the network lost
  std::uint64_t strikes_up = 0;  // diffs well outside the bound, upwards and downwards in value
  std::uint64_t strikes_down = 0;
  std::uint64_t trust = 0;  // sum of TC over heard slots, 1/255
  vaultguard::RefusalCounts refused;
  std::array<std::uint64_t, vaultguard::kClamps> clamped{};
  StepCounts& operator+=(const StepCounts& other);
};

struct StepInput {
  std::uint64_t cycle = 0;
  std::uint64_t seed = 0;  // of this shard on this server node
  double loss = 0;         // probability for a message between two micro-nodes
  float range = 0;         // free coordinates stay in [0, range]; 0: anywhere
  bool apart = false;      // a server node with this shard is missing: slow bounds do not narrow meanwhile
  // The floor of V (SPEC-8.1), VU a slot: minus the ledger total that every replica here knows.
  std::array<float, vaultguard::kMaxValueSlots> floor{};
};

// Runs one cycle over all local rows of `columns`: every row hears the previous publications, then the new ones replace
// them. Thread-safe for distinct columns. Each thread keeps a buffer for one cycle's publications of its largest shard.
void DriftStep(const Shape& shape, const DriftParameters& parameters, const StepInput& input, const Columns& columns,
               StepCounts* counts);

}  // namespace lvs::shard
