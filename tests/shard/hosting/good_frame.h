// A frame that every check lets pass, to be spoiled or sent.
#pragma once

#include <cstdint>

#include "shard/frame.h"

namespace lvs::hosting {

inline constexpr shard::Shape kShape{2, 2, 8};
inline constexpr std::size_t kHaloRows = 16;
inline constexpr std::uint64_t kCycle = 500;

// Of shard 3, with so many rows.
inline shard::Frame Good(std::uint32_t rows) {
  shard::Frame frame;
  frame.shard = 3;
  frame.cycle = kCycle;
  frame.sender = {1, 2};
  frame.value_slots = 2;
  for (std::uint32_t r = 0; r < rows; ++r) {
    frame.halo_row.push_back(r);
    frame.published_cycle.push_back(kCycle - r);
    frame.drift_weight.push_back(255);
    frame.entropy.push_back(r);
    frame.diff.insert(frame.diff.end(), 4, 0.25f);
  }
  shard::LedgerEntry entry;
  entry.session = {7, 8};
  entry.opened_cycle = kCycle - 100;
  entry.amount_uvu[0] = 5'000'000;
  frame.entries.push_back(entry);
  frame.news_to = 1;
  return frame;
}

}  // namespace lvs::hosting
