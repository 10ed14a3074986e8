// The overlay of one shard decides which replicas hear which. Each replica has d neighbour slots; a slot names a row,
// local or halo.
//
// The overlay starts as d random permutations, so that every replica is heard by exactly d others and a plain average
// keeps the mean. Exchange shuffles it slowly, as in Cyclon: two replicas swap the neighbours of one slot, which keeps
// that balance. A replica that enters takes over slots in the same way. A slot whose neighbour fell silent, or lost all
// trust, gets a random fallback connection (SPEC-10, rule 7 of drift.md), which frees a replica that is surrounded by
// liars.
//
// Server nodes that cannot hear one another agree within themselves only. Three rules let their replicas meet: a remote
// candidate is drawn again until one is heard, a remote neighbour is traded for another remote one now and then, and
// trades hurry when a server node is heard for the first time, or again, and when the first replica enters.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "shard/columns.h"

namespace lvs::shard {

// Trust of a slot in 1/255: with a new neighbour, with an exchanged one, and at which the neighbour is dropped.
inline constexpr std::uint8_t kTrustNew = 255;
inline constexpr std::uint8_t kTrustExchanged = 128;
inline constexpr std::uint8_t kTrustDropped = 20;
// Share of the slots that may be traded between local and remote neighbours in a cycle of hurry, and how many cycles
// that lasts.
inline constexpr double kHurryTrades = 0.08;
inline constexpr std::uint64_t kHurryCycles = 50;
// Draws among the halo rows for one that is heard. A server node with few replicas speaks from few of its rows.
inline constexpr std::uint64_t kRemoteDraws = 16;
// So many cycles after the overlay was drawn, slots that lead to a row which never spoke begin to be replaced.
inline constexpr std::uint64_t kFirstWordCycles = 8;

class Overlay {
 public:
  Overlay(const Shape& shape, std::uint64_t seed) : shape_(shape), seed_(seed) {}

  // Draws all slots of the given local rows, in which `remote_share` of the slots point into the halo rows 0..halo-1,
  // whether those have spoken yet or not.
  void Draw(const Columns& columns, const std::vector<std::uint32_t>& rows, std::uint32_t halo, double remote_share,
            std::uint64_t cycle);
  // Gives a new row one slot of each of d random live rows.
  void Join(const Columns& columns, std::uint32_t row, std::uint32_t halo, double remote_share, std::uint64_t cycle);
  // One cycle's upkeep: exchanges `shuffle` of all slots, replaces silent and distrusted neighbours in an eighth of the
  // rows, and draws as many slots for a trade between local and remote neighbours; with `hurry`, kHurryTrades of them.
  // Returns how many fallback connections it made.
  std::uint64_t Maintain(const Columns& columns, double shuffle, std::uint32_t halo, double remote_share, bool hurry,
                         std::uint64_t cycle);

 private:
  // Draws a live local row other than `row`, or a heard halo row; `row` itself where there is none.
  std::uint32_t Candidate(const Columns& columns, std::uint32_t row, std::uint32_t halo, double remote_share,
                          std::uint64_t draw, std::uint64_t cycle) const;
  // Makes pairs of rows swap a neighbour.
  void Exchange(const Columns& columns, double shuffle, std::uint64_t cycle) const;
  // Replaces silent and distrusted neighbours. Returns how many.
  std::uint64_t Replace(const Columns& columns, std::uint32_t halo, double remote_share, std::uint64_t cycle) const;
  // Trades `share` of the slots: any neighbour for a remote one, or a remote one for a local one. After a partition the
  // share of remote ones returns in this way, and they mix: two server nodes that were cut off together would otherwise
  // go on hearing only each other. Returns how many.
  std::uint64_t Trade(const Columns& columns, double share, std::uint32_t halo, double remote_share,
                      std::uint64_t cycle) const;
  void Set(const Columns& columns, int slot, std::uint32_t row, std::uint32_t peer, std::uint8_t trust) const;

  Shape shape_;
  std::uint64_t seed_;
  std::optional<std::uint64_t> drawn_cycle_;  // of Draw
};

}  // namespace lvs::shard
