#include "services/node/cycle_pace.h"

#include <algorithm>

namespace lvs::services {

void CyclePace::Start(const ClockReading& clock) {
  cycle_ = CycleAt(clock.wall, period_us());
  turned_at_ = clock.steady;
  looked_ = clock;
}

CyclePace::Time CyclePace::WakeAt(const ClockReading& clock) const {
  const auto begins = CycleStart(cycle_ + 1, period_us());
  const Time latest = turned_at_ + kPeriodsMax * period_;
  if (begins <= clock.wall) return clock.steady;
  return std::min(latest, clock.steady + Time::duration(begins - clock.wall));
}

CyclePace::Turned CyclePace::Turn(const ClockReading& clock) {
  Turned turned;
  turned.set_by = SetSince(clock);
  if (turned.set_by != Micros(0)) NoteSet(turned.set_by, clock.steady);
  const auto unseen = std::chrono::duration_cast<Micros>(clock.steady - looked_.steady);
  if (unseen >= kPauseLeast && unseen >= kPausePeriods * period_) turned.paused = unseen;
  looked_ = clock;
  const std::uint64_t shown = CycleAt(clock.wall, period_us());
  if (shown > cycle_ || clock.steady - turned_at_ >= kPeriodsMax * period_) {
    Skip(std::max(shown, cycle_ + 1), turned, clock.steady);
    turned_at_ = clock.steady;
    turned.step = running_ ? Step::kBusy : Step::kRun;
    running_ = true;
  }
  turned.cycle = cycle_;
  return turned;
}

// Moves on to cycle `next` and counts those that were missed.
void CyclePace::Skip(std::uint64_t next, const Turned& turned, Time now) {
  std::uint64_t missed = next - cycle_ - 1;
  if (turned.set_by != Micros(0)) {
    const auto periods = static_cast<std::uint64_t>((now - turned_at_) / period_);
    missed = std::min(missed, std::max<std::uint64_t>(1, periods) - 1);
  }
  if (running_) ++missed;
  skipped_ += missed;
  if (turned.paused == Micros(0)) skipped_in_window_ += missed;
  if (next / kSkipWindow != cycle_ / kSkipWindow) {
    skipped_share_ = std::min(1.0, static_cast<double>(skipped_in_window_) / kSkipWindow);
    skipped_in_window_ = 0;
  }
  cycle_ = next;
}

// By how much the wall clock was set since the last look; 0: it was not.
CyclePace::Micros CyclePace::SetSince(const ClockReading& clock) const {
  const auto steady = std::chrono::duration_cast<Micros>(clock.steady - looked_.steady);
  const auto by = std::chrono::duration_cast<Micros>(clock.wall - looked_.wall) - steady;
  return std::chrono::abs(by) < kSetLeast + steady / 10 ? Micros(0) : by;
}

void CyclePace::NoteSet(Micros by, Time now) {
  ++(by < Micros(0) ? set_back_ : set_forward_);
  set_by_ = by;
  set_at_ = now;
}

CyclePace::Micros CyclePace::ahead() const {
  const auto ahead = CycleStart(cycle_, period_us()) - looked_.wall;
  return std::max(Micros(0), std::chrono::duration_cast<Micros>(ahead));
}

}  // namespace lvs::services
