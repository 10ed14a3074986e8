// A shard's replicas as columns. Rows [0, halo_rows) are remote neighbours' newest state diffs. Local replicas follow,
// and behind their `stride` rows lie the last publications of replicas that left. Columns of local replicas are indexed
// by row as well, but only the local part of them exists. `stride` is the allocated number of local rows, a multiple of
// kRowAlign. Neighbours read only a row's last publication, in random order: its words lie together, so that hearing a
// neighbour costs one cache line.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "shard/random.h"
#include "vaultguard/limits.h"

namespace lvs::shard {

inline constexpr std::size_t kRowAlign = 16;
// Rounds `rows` up to kRowAlign: local rows begin and end at such multiples.
constexpr std::size_t AlignRows(std::size_t rows) { return (rows + kRowAlign - 1) / kRowAlign * kRowAlign; }
inline constexpr std::size_t kLineBytes = 64;  // a cache line

// The shape of a shard: k value slots, f free coordinates, d neighbours a replica.
struct Shape {
  int value_slots = 2;
  int free_coordinates = 2;
  int peers = 8;
  int dimensions() const { return value_slots + free_coordinates; }
};

// Flag bits of a replica.
inline constexpr std::uint8_t kAlive = 1;
inline constexpr std::uint8_t kLowPower = 2;   // drifts every fourth cycle (SPEC-9.3): LowPowerTurn
inline constexpr std::uint8_t kFresh = 4;      // entered this cycle: publishes at once
inline constexpr std::uint8_t kAdversary = 8;  // its publications are decided elsewhere; its own state drifts on
inline constexpr std::uint8_t kDeparted = 16;  // it left, and its last publication still lies in its row: LastWords

// The meta word of a publication: its cycle (16 bit), a valid bit, a bit for an entropy packet that came along, and the
// drift weight in 1/255.
inline constexpr std::uint32_t kMetaCycle = 0xffffu;  // the low bits of the cycle of publication
inline constexpr std::uint32_t kMetaValid = 1u << 16;
inline constexpr std::uint32_t kMetaPacket = 1u << 17;
constexpr std::uint32_t Meta(std::uint64_t cycle, std::uint8_t drift_weight) {
  return (static_cast<std::uint32_t>(cycle) & kMetaCycle) | kMetaValid | (std::uint32_t{drift_weight} << 24);
}
// Cycles since the publication, modulo 2^16.
constexpr std::uint32_t Age(std::uint32_t meta, std::uint64_t cycle) {
  return (static_cast<std::uint32_t>(cycle) - meta) & kMetaCycle;
}

// A neighbour slot is one word: the neighbour's row, and the trust in it (TC, 1/255) in the high byte.
inline constexpr std::uint32_t kNeighbourMask = 0xffffffu;
inline constexpr std::size_t kMaxRows = std::size_t{1} << 24;  // of a shard on one server node
constexpr std::uint32_t Link(std::uint32_t neighbour, std::uint8_t trust) {
  return neighbour | (std::uint32_t{trust} << 24);
}
constexpr std::uint32_t NeighbourOf(std::uint32_t link) { return link & kNeighbourMask; }
constexpr std::uint8_t TrustOf(std::uint32_t link) { return static_cast<std::uint8_t>(link >> 24); }

// A publication's words: the state, the meta word and the entropy word. Readers load them by fours, so the column has
// padding behind the last row.
constexpr std::size_t SaidWords(int dimensions) { return static_cast<std::size_t>(dimensions) + 2; }
inline constexpr std::size_t kSaidPadding = 4;

// Copies one row's state, and returns the end of the copy. Four dimensions are the default: a copy of constant size is
// inlined.
inline float* CopyState(const float* state, std::size_t dimensions, float* to) {
  return dimensions == 4 ? std::copy_n(state, 4, to) : std::copy_n(state, dimensions, to);
}

// Writes a publication. Only this function and the kernel know the order of its words.
inline void WriteSaid(float* row, int dimensions, const float* state, std::uint32_t meta, std::uint32_t entropy) {
  float* const words = CopyState(state, static_cast<std::size_t>(dimensions), row);
  words[0] = std::bit_cast<float>(meta);
  words[1] = std::bit_cast<float>(entropy);
}

// Pointers into a state shard's memory; every column is kRowAlign-aligned by element.
struct Columns {
  std::size_t stride = 0;
  std::size_t said_words = 0;    // SaidWords(dimensions)
  std::size_t first_local = 0;   // halo_rows rounded up to kRowAlign
  std::size_t end = 0;           // rows in use, rounded up to kRowAlign
  std::size_t departed_end = 0;  // the same from first_departed() on, not rounded
  float* state = nullptr;        // [dimension][stride]
  float* bound_value = nullptr;  // tau of the value slots, VU
  float* bound_free = nullptr;   // tau of the free coordinates
  float* bound_slow = nullptr;   // their slow bound: as wide as tau may become at once
  float* band = nullptr;         // b, VU
  std::uint8_t* flags = nullptr;
  std::uint32_t* link = nullptr;         // [peer][stride]
  std::uint8_t* link_entropy = nullptr;  // repetition count test a slot, 5 bit hash, 3 bit run: [peer][stride]
  float* said = nullptr;                 // [row][said_words], and kSaidPadding
  std::uint64_t* known = nullptr;        // batches of ledger news that the row has; all bits in an unoccupied row: News

  bool Alive(std::size_t row) const { return (flags[row] & kAlive) != 0; }
  std::size_t first_departed() const { return first_local + stride; }
  const float* Said(std::size_t row) const { return said + row * said_words; }
  std::uint32_t Meta(std::size_t row) const { return std::bit_cast<std::uint32_t>(Said(row)[said_words - 2]); }
  std::uint32_t Entropy(std::size_t row) const { return std::bit_cast<std::uint32_t>(Said(row)[said_words - 1]); }
  // True while the row's last publication is valid and no older than kSilenceCycles.
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

  // Loads all publications into the caches, line by line, before they are read in random order. Plain reads let the
  // processor run ahead; prefetches of the same lines take a tenth of a cycle longer (docs/decisions.md).
  void FetchSaid() const {
    const volatile float* const line = said;
    const std::size_t n = std::max(end, departed_end) * said_words;
    for (std::size_t at = 0; at < n; at += kLineBytes / sizeof(float)) static_cast<void>(line[at]);
  }

  // Returns a live local row; one must exist. The row is random where live rows are dense, and the next one after a
  // random row where they are sparse.
  std::uint32_t RandomLive(std::uint64_t draw) const {
    const auto first = static_cast<std::uint32_t>(first_local);
    const auto locals = static_cast<std::uint32_t>(end) - first;
    std::uint32_t row = first + Below(draw, locals);
    for (std::uint64_t again = 1; !Alive(row) && again < 8; ++again) row = first + Below(Mix(draw + again), locals);
    while (!Alive(row)) row = row + 1 < first + locals ? row + 1 : first;
    return row;
  }
};

}  // namespace lvs::shard
