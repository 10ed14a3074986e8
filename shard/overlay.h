// The overlay of one shard: who hears whom. Each replica has d neighbour slots; a slot names a row, local or halo.
//
// It starts as d random permutations, so that every replica is heard by exactly d others and a plain average keeps the
// mean. It shuffles slowly by exchange, as Cyclon does: two replicas swap what they have in one slot, which keeps that
// balance. A joiner takes over slots in the same way. A slot whose peer fell silent, or lost all trust, is replaced by
// a random fallback connection (SPEC-10, rule 7 of drift.md: it is what frees a replica that is surrounded by liars).
#pragma once

#include <cstdint>
#include <vector>

#include "shard/columns.h"

namespace lvs::shard {

// A link's trust when it is new, and below which it is dropped; in 1/255.
inline constexpr std::uint8_t kTrustNew = 255;
inline constexpr std::uint8_t kTrustExchanged = 128;
inline constexpr std::uint8_t kTrustDropped = 20;

class Overlay {
 public:
  Overlay(const Shape& shape, std::uint64_t seed) : shape_(shape), seed_(seed) {}

  // Draws all slots of the given local rows, in which `remote_share` of the slots point into the halo rows 0..halo-1.
  void Draw(const Columns& columns, const std::vector<std::uint32_t>& rows, std::uint32_t halo, double remote_share);
  // A new row takes over one slot of each of d random live rows.
  void Join(const Columns& columns, std::uint32_t row, std::uint32_t halo, double remote_share, std::uint64_t cycle);
  // One cycle's upkeep: exchanges `shuffle` of all slots, replaces silent and distrusted links in an eighth of the rows,
  // and trades near ones for far ones. Returns how many fallback connections it made.
  std::uint64_t Maintain(const Columns& columns, double shuffle, std::uint32_t halo, double remote_share,
                         std::uint64_t cycle);

 private:
  // A random live local row other than `row`, or a heard halo row; `row` itself where there is none.
  std::uint32_t Candidate(const Columns& columns, std::uint32_t row, std::uint32_t halo, double remote_share,
                          std::uint64_t draw, std::uint64_t cycle) const;
  // Two rows hand each other a neighbour.
  void Exchange(const Columns& columns, double shuffle, std::uint64_t cycle) const;
  // Other neighbours for those who are silent or distrusted. Returns how many.
  std::uint64_t Replace(const Columns& columns, std::uint32_t halo, double remote_share, std::uint64_t cycle) const;
  // A near neighbour for a far one, or back: after a partition, that is how the share of far ones returns. Returns how
  // many.
  std::uint64_t Trade(const Columns& columns, double shuffle, std::uint32_t halo, double remote_share,
                      std::uint64_t cycle) const;
  void Set(const Columns& columns, int slot, std::uint32_t row, std::uint32_t peer, std::uint8_t trust) const;

  Shape shape_;
  std::uint64_t seed_;
};

}  // namespace lvs::shard
