// The drift core (SPEC-7.1, PAPER-4.3): one cycle's correction of every replica of a shard,
//
//   V(t+1) = guard( V(t) + alpha * sigma * e + beta * ( sum_j w_j clip(D_j, tau) + w0 clip(-V, tau) ) / ( sum_j w_j +
//   w0 ) )
//
// V is the drift vector: the state relative to the replica's own ledger total, so that a replica is worth S = T + V.
// D_j = V_j - V is formed by the receiver. docs/protocol.md derives each rule and names the code below for it.
//
// The kernel is SIMD (Google Highway, one lane a replica) and picks its target at run time. Every lane computes what it
// would compute alone, without fused multiply-add, so that every target gives the same bits.
//
// Layout ("columns"): rows [0, halo_rows) are remote neighbours' newest state diffs, rows from there on are local
// replicas, and behind their `stride` rows lies what those said last who left. Columns of local replicas are indexed by
// row as well, but only the local part of them exists. `stride` is the allocated number of local rows, a multiple of
// kRowAlign. What a row said last is the one thing that others read, in no order: it lies together, so that hearing a
// neighbour costs one cache line.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "shard/entropy_engine.h"
#include "vaultguard/limits.h"
#include "vaultguard/refusals.h"

namespace lvs::shard {

inline constexpr std::size_t kRowAlign = 16;

// What a shard looks like: k value slots, f free coordinates, d neighbours a replica.
struct Shape {
  int value_slots = 2;
  int free_coordinates = 2;
  int peers = 8;
  int dimensions() const { return value_slots + free_coordinates; }
};

// The parameters of the drift step. Defaults are the measured ones (docs/protocol.md).
struct DriftParameters {
  float alpha = 0.02f;           // weight of entropy
  float beta = 0.9f;             // weight of the peers
  float ledger_weight = 8.0f;    // w0, in fully trusted peers
  float bound_factor = 3.0f;     // c: tau = c * weighted median distance
  float bound_shrink = 0.3f;     // tau(t) >= 0.3 tau(t-1)
  float bound_grow = 1.05f;      // tau(t) <= 1.05 tau(t-1)
  float strike_factor = 1.5f;    // a diff beyond 1.5 tau costs its link trust
  float band_decay = 0.9f;       // of b, a cycle
  float publish_factor = 0.05f;  // publish when the state moved by more than 0.05 tau
  bool plain = false;            // the paper's bare equation: no bound, trust, ledger voice, band
  float plain_entropy = 1.0f;    // plain only: standard deviation of the constant-variance entropy
};

// Bits of a replica's flags.
inline constexpr std::uint8_t kAlive = 1;
inline constexpr std::uint8_t kLowPower = 2;   // drifts every fourth cycle (SPEC-9.3): LowPowerTurn
inline constexpr std::uint8_t kFresh = 4;      // joined this cycle: publishes at once
inline constexpr std::uint8_t kAdversary = 8;  // what it publishes is decided elsewhere; its own state drifts on
inline constexpr std::uint8_t kDeparted = 16;  // it left, and what it said last still lies in its row: LastWords
inline constexpr std::uint32_t kLowPowerPeriod = 4;
// Rows that lie together rest together: a vector of them costs nothing then.
constexpr bool LowPowerTurn(std::uint32_t row, std::uint32_t cycle) {
  return (row / kRowAlign + cycle) % kLowPowerPeriod == 0;
}
// A micro-node sends one entropy packet a cycle, and holds about this many shards: each replica's turn comes as often,
// in low power too.
inline constexpr std::uint32_t kEntropyPeriod = 4;
constexpr bool EntropyTurn(std::uint32_t row, std::uint32_t cycle) {
  const std::uint32_t phase = row + cycle;
  return (phase + (phase >> 2)) % kEntropyPeriod == 0;
}

// A published row's meta word: cycle of publication (16 bit), valid bit, whether an entropy packet came along, drift
// weight in 1/255.
inline constexpr std::uint32_t kMetaValid = 1u << 16;
inline constexpr std::uint32_t kMetaPacket = 1u << 17;
constexpr std::uint32_t Meta(std::uint64_t cycle, std::uint8_t drift_weight) {
  return (static_cast<std::uint32_t>(cycle) & 0xffffu) | kMetaValid | (std::uint32_t{drift_weight} << 24);
}
// Cycles since the publication, modulo 2^16.
constexpr std::uint32_t Age(std::uint32_t meta, std::uint64_t cycle) {
  return (static_cast<std::uint32_t>(cycle) - meta) & 0xffffu;
}

// A link is one word: the neighbour's row, and the trust in it (TC, 1/255) in the high byte.
inline constexpr std::uint32_t kNeighbourMask = 0xffffffu;
inline constexpr std::size_t kMaxRows = std::size_t{1} << 24;  // of a shard on one server node
constexpr std::uint32_t Link(std::uint32_t neighbour, std::uint8_t trust) {
  return neighbour | (std::uint32_t{trust} << 24);
}
constexpr std::uint32_t NeighbourOf(std::uint32_t link) { return link & kNeighbourMask; }
constexpr std::uint8_t TrustOf(std::uint32_t link) { return static_cast<std::uint8_t>(link >> 24); }

// Words of what a row said last: its state, the meta word and the entropy word. They are read by fours, so that a few
// more are read past the last row.
constexpr std::size_t SaidWords(int dimensions) { return static_cast<std::size_t>(dimensions) + 2; }
inline constexpr std::size_t kSaidPadding = 4;

// Writes what a row says: the one place that knows the order of its words, beside the kernel.
inline void WriteSaid(float* row, int dimensions, const float* state, std::uint32_t meta, std::uint32_t entropy) {
  float* const words = std::copy_n(state, dimensions, row);
  words[0] = std::bit_cast<float>(meta);
  words[1] = std::bit_cast<float>(entropy);
}

// Pointers into a state shard's memory; every column is kRowAlign-aligned by element.
struct Columns {
  std::size_t stride = 0;
  std::size_t said_words = 0;    // SaidWords(dimensions)
  std::size_t first_local = 0;   // halo_rows rounded up to kRowAlign
  std::size_t end = 0;           // rows in use, rounded up to kRowAlign
  std::size_t departed_end = 0;  // of what is in use from first_departed() on
  float* state = nullptr;        // [dimension][stride]
  float* bound_value = nullptr;  // tau of the value slots, VU
  float* bound_free = nullptr;   // tau of the free coordinates
  float* band = nullptr;         // b, VU
  std::uint8_t* flags = nullptr;
  std::uint32_t* link = nullptr;         // [peer][stride]
  std::uint8_t* link_entropy = nullptr;  // repetition count test a link: 5 bit hash, 3 bit run: [peer][stride]
  float* said = nullptr;                 // [row][said_words], and kSaidPadding

  std::size_t first_departed() const { return first_local + stride; }
  const float* Said(std::size_t row) const { return said + row * said_words; }
  std::uint32_t Meta(std::size_t row) const { return std::bit_cast<std::uint32_t>(Said(row)[said_words - 2]); }
  std::uint32_t Entropy(std::size_t row) const { return std::bit_cast<std::uint32_t>(Said(row)[said_words - 1]); }
  // What it said last has a voice yet.
  bool Heard(std::size_t row, std::uint64_t cycle) const {
    const std::uint32_t meta = Meta(row);
    return (meta & kMetaValid) != 0 && Age(meta, cycle) <= vaultguard::kSilenceCycles;
  }
  void Say(std::size_t row, int dimensions, const float* state_now, std::uint32_t meta, std::uint32_t entropy) const {
    WriteSaid(said + row * said_words, dimensions, state_now, meta, entropy);
  }
  void SetMeta(std::size_t row, std::uint32_t meta) const {
    said[row * said_words + said_words - 2] = std::bit_cast<float>(meta);
  }
};

// What one step did, summed over replicas.
struct StepCounts {
  std::uint64_t updated = 0;     // replica cycles
  std::uint64_t published = 0;   // state diffs of honest replicas
  std::uint64_t packets = 0;     // of entropy: with honest state diffs that are no mere sign of life, in turn
  std::uint64_t heard = 0;       // state diffs that had a voice
  std::uint64_t lost = 0;        // state diffs that the network lost
  std::uint64_t strikes_up = 0;  // diffs well outside the bound, upwards and downwards in value
  std::uint64_t strikes_down = 0;
  std::uint64_t trust = 0;  // sum of TC over heard links, 1/255
  vaultguard::RefusalCounts refused;
  std::array<std::uint64_t, vaultguard::kClamps> clamped{};
  StepCounts& operator+=(const StepCounts& other);
};

struct StepInput {
  std::uint64_t cycle = 0;
  std::uint64_t seed = 0;  // of this shard on this server node
  double loss = 0;         // of a message between two micro-nodes
  // Minus the ledger total that every replica here knows, a slot: the floor of V (SPEC-8.1). VU.
  std::array<float, vaultguard::kMaxValueSlots> floor{};
};

// Runs one cycle over all local rows of `columns`: all hear what was said before, then what they say replaces it.
// Thread-safe for distinct columns; a thread keeps what its largest shard says in one cycle.
void DriftStep(const Shape& shape, const DriftParameters& parameters, const StepInput& input, const Columns& columns,
               StepCounts* counts);

// Picks the SIMD target of all kernels: "" or "auto" for the best, or one of SimdTargets(). INVALID_ARGUMENT names
// those.
absl::Status SelectSimdTarget(std::string_view name);
std::vector<std::string> SimdTargets();
std::string SimdTargetInUse();

}  // namespace lvs::shard
