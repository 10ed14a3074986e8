#include "services/node/cycle_pace.h"

#include <algorithm>

namespace lvs::services {

CyclePace::Time CyclePace::WakeAt(WallTime begins, WallTime wall_now, Time now) const {
  const Time::duration left = begins > wall_now ? Time::duration(begins - wall_now) : Time::duration(0);
  return now + std::min<Time::duration>(left, 2 * period_);
}

CyclePace::Step CyclePace::Turn(std::uint64_t shown) {
  if (shown <= cycle_) return Step::kNothing;
  const std::uint64_t skipped = shown - cycle_ - 1 + (running_ ? 1 : 0);
  skipped_ += skipped;
  skipped_in_window_ += skipped;
  if (shown / kSkipWindow != cycle_ / kSkipWindow) {
    skipped_share_ = std::min(1.0, static_cast<double>(skipped_in_window_) / kSkipWindow);
    skipped_in_window_ = 0;
  }
  cycle_ = shown;
  if (running_) return Step::kBusy;
  running_ = true;
  return Step::kRun;
}

}  // namespace lvs::services
