// When one link is spoken to that frames go out on at a cadence (LinkTurns): to a browser tab, and by it.
//
//   if (cadence.TakeTurn(cycle, phase, 5)) {
//     turns.speaks[n] = true;
//     turns.refreshes[n] = cadence.TakeRefresh(cycle, 120);
//   }
//
// A turn is a cadence that has begun since the last one, so a process that skips cycles does not miss its turns.
#pragma once

#include <cstdint>

namespace lvs::hosting {

class LinkCadence {
 public:
  // Whether a turn has begun; `phase` spreads the turns of links over the cycles.
  bool TakeTurn(std::uint64_t cycle, std::uint64_t phase, std::uint32_t cadence_cycles) {
    const std::uint64_t turn = (cycle + phase % cadence_cycles + cadence_cycles) / cadence_cycles;
    if (turn == turn_) return false;
    turn_ = turn;
    return true;
  }
  // Whether every ambassador's last state is due, with a turn.
  bool TakeRefresh(std::uint64_t cycle, std::uint64_t every_cycles) {
    if (refreshed_cycle_ != 0 && cycle < refreshed_cycle_ + every_cycles) return false;
    refreshed_cycle_ = cycle;
    return true;
  }
  // What is new is told at once.
  void TurnNow() { turn_ = 0; }

 private:
  std::uint64_t turn_ = 0;  // the last one; 0: none yet
  std::uint64_t refreshed_cycle_ = 0;
};

}  // namespace lvs::hosting
