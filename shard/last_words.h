// Last words: the last publications of replicas that left (SPEC-9.4). Neighbours do not know that a replica is gone,
// and hear its last words until the silence limit. The last words move behind the local rows, and the neighbour slots
// that lead to the row follow. So a newcomer can take the row early without being mistaken for the replica that left.
//
//   words.Add(row);                       // it left; its words still lie in its row, which is flagged kDeparted
//   words.RowsToMove();                   // so many rows behind the local ones must be there for
//   words.Move(&columns, peers, cycle);   // now the row is free
//
// Belongs to one StateShard, which owns the memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "shard/columns.h"

namespace lvs::shard {

// A shard moves last words once in so many cycles; a row that has rested as long is free. Each move reads all slots:
// more frequent moves would cost more than the resting rows.
inline constexpr std::uint32_t kRestCycles = 16;

class LastWords {
 public:
  void Add(std::uint32_t row) { left_.push_back(row); }
  // Rows behind the local ones that Move needs: 0 where no replica left.
  std::size_t RowsToMove() const;
  // Moves last words out of their rows, and frees the places of those that have become silent.
  void Move(Columns* columns, int peers, std::uint64_t cycle);
  // Adjusts slots after `by` more local rows were allocated, so that everything behind them lies further by as many.
  void Shift(Columns* columns, int peers, std::size_t by) const;

 private:
  std::vector<std::uint32_t> left_;  // rows
  std::vector<bool> kept_;           // departed rows in use; the first is always silent, for slots that lead to nobody
};

}  // namespace lvs::shard
