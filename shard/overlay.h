// The overlay of one shard decides which replicas hear which. Each replica has d neighbour slots; a slot names a row,
// local or halo.
//
// The overlay starts as d random permutations, so that every replica is heard by exactly d others and a plain average
// keeps the mean. Exchange shuffles it slowly, as in Cyclon: two replicas swap the neighbours of one slot, which keeps
// that balance. A replica that enters takes over slots in the same way. A slot whose neighbour fell silent, or lost all
// trust, gets a random fallback connection (SPEC-10, rule 7 of drift.md), which frees a replica that is surrounded by
// liars.
#pragma once

#include <cstdint>
#include <vector>

#include "shard/columns.h"

namespace lvs::shard {

// Trust of a slot in 1/255: with a new neighbour, with an exchanged one, and at which the neighbour is dropped.
inline constexpr std::uint8_t kTrustNew = 255;
inline constexpr std::uint8_t kTrustExchanged = 128;
inline constexpr std::uint8_t kTrustDropped = 20;

class Overlay {
 public:
  Overlay(const Shape& shape, std::uint64_t seed) : shape_(shape), seed_(seed) {}

  // Draws all slots of the given local rows, in which `remote_share` of the slots point into the halo rows 0..halo-1.
  void Draw(const Columns& columns, const std::vector<std::uint32_t>& rows, std::uint32_t halo, double remote_share);
  // Gives a new row one slot of each of d random live rows.
  void Join(const Columns& columns, std::uint32_t row, std::uint32_t halo, double remote_share, std::uint64_t cycle);
  // One cycle's upkeep: exchanges `shuffle` of all slots, replaces silent and distrusted neighbours in an eighth of the
  // rows, and trades local neighbours for remote ones. Returns how many fallback connections it made.
  std::uint64_t Maintain(const Columns& columns, double shuffle, std::uint32_t halo, double remote_share,
                         std::uint64_t cycle);

 private:
  // Draws a live local row other than `row`, or a heard halo row; `row` itself where there is none.
  std::uint32_t Candidate(const Columns& columns, std::uint32_t row, std::uint32_t halo, double remote_share,
                          std::uint64_t draw, std::uint64_t cycle) const;
  // Makes pairs of rows swap a neighbour.
  void Exchange(const Columns& columns, double shuffle, std::uint64_t cycle) const;
  // Replaces silent and distrusted neighbours. Returns how many.
  std::uint64_t Replace(const Columns& columns, std::uint32_t halo, double remote_share, std::uint64_t cycle) const;
  // Trades local neighbours for remote ones, or back: after a partition the share of remote ones returns in this way.
  // Returns how many.
  std::uint64_t Trade(const Columns& columns, double shuffle, std::uint32_t halo, double remote_share,
                      std::uint64_t cycle) const;
  void Set(const Columns& columns, int slot, std::uint32_t row, std::uint32_t peer, std::uint8_t trust) const;

  Shape shape_;
  std::uint64_t seed_;
};

}  // namespace lvs::shard
