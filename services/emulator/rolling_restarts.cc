#include "services/emulator/rolling_restarts.h"

#include <algorithm>

namespace lvs::services {

RollingRestarts::RollingRestarts(const v1::Scenario& scenario, std::uint32_t nodes) : nodes_(nodes) {
  const auto cycle_of = [&](std::int64_t at_us) {
    return static_cast<std::uint64_t>(at_us / scenario.cycle().period_us());
  };
  for (const v1::Event& event : scenario.events()) {
    if (!event.has_restart()) continue;
    Roll roll;
    roll.from = std::max<std::uint64_t>(1, cycle_of(event.at_us()));
    roll.to = event.for_us() > 0 ? cycle_of(event.at_us() + event.for_us()) : scenario.cycle().count() + 1;
    roll.down_cycles = std::max<std::uint64_t>(1, cycle_of(event.restart().down_us()));
    rolls_.push_back(roll);
  }
}

void RollingRestarts::Ask(std::uint64_t cycle, const std::vector<bool>& holds_all,
                          std::vector<hosting::NodeTick>* ticks) {
  const bool all_hold = std::all_of(holds_all.begin(), holds_all.end(), [](bool holds) { return holds; });
  bool out = false;
  for (Roll& roll : rolls_) {
    if (roll.up_cycle != 0 && cycle > roll.up_cycle && all_hold) {
      ++restarted_;
      ++roll.next;
      roll.up_cycle = 0;
    }
    // Two rolling restarts take turns.
    const bool may_go = all_hold && !out && cycle >= roll.from && cycle < roll.to && roll.next < nodes_;
    if (roll.up_cycle == 0 && may_go) roll.up_cycle = cycle + roll.down_cycles;
    if (cycle >= roll.up_cycle) continue;
    (*ticks)[roll.next].alive = false;
    out = true;
  }
}

}  // namespace lvs::services
