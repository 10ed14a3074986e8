// What replicas said last before they left (SPEC-9.4). Their neighbours do not know that they are gone, and go on
// hearing it until it is silent. So that a newcomer can live in the row by then without being taken for the one who
// left, the last words move behind the local rows, and the links to the row follow them.
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

// A shard moves last words every so many cycles; a row that rests as long is free. All links are read for it: more
// often would cost more than the rows that rest.
inline constexpr std::uint32_t kRestCycles = 16;

class LastWords {
 public:
  void Add(std::uint32_t row) { left_.push_back(row); }
  // Rows behind the local ones that Move needs: 0 where nobody left.
  std::size_t RowsToMove() const;
  // Takes the words of those who left out of their rows, and forgets what nobody hears any more.
  void Move(Columns* columns, int peers, std::uint64_t cycle);
  // There are `by` more local rows, so that all behind them lies as much further.
  void Shift(Columns* columns, int peers, std::size_t by) const;

 private:
  std::vector<std::uint32_t> left_;  // rows
  std::vector<bool> kept_;           // departed rows in use; the first one is silence, for links to nobody
};

}  // namespace lvs::shard
