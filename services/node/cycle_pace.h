// The pace of a node's cycles: which cycle to start, which were skipped, and until when to sleep.
//
//   CyclePace pace(period);
//   ClockReading clock = ReadClocks();
//   pace.Start(clock);                                    // the first cycle to run is the next one
//   const CyclePace::Time until = pace.WakeAt(clock);
//   ...                                                   // sleep
//   switch (pace.Turn(ReadClocks()).step) {
//     case CyclePace::Step::kNothing: break;              // the next cycle has not begun
//     case CyclePace::Step::kRun: ...                     // start pace.cycle(); ReportIn() when it is done
//     case CyclePace::Step::kBusy: ...                    // the actors are late: pace.cycle() is skipped
//   }
//
// Cycles are numbered by the wall clock, so that all nodes agree on them, and counted on by the steady clock, so that
// nothing that happens to the wall clock stops them: a cycle begins when the wall clock says so, but kPeriodsMax periods
// after the one before at the latest. Therefore
//   a clock that is slewed       is followed
//   a clock that is set forward  is followed at once: the cycles between are left out
//   a clock that is set back     is waited for at half the pace, for twice as long as it was set back
//   a clock before the epoch     shows no cycle, and cycles are counted at half the pace
// A cycle number is never used twice: peers take a frame for a replay unless its cycle is newer than that of the frame
// before. Half the pace keeps every promise to peers, which are all given in cycle numbers.
//
// A node that is late skips cycles and never catches up. Cycles that a set clock left out are not skipped ones, and those
// that a whole process slept through do not count as a sign of too little processor time.
//
// Pure: no threads, no clock. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>

#include "services/base/cycle_clock.h"

namespace lvs::services {

class CyclePace {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Micros = std::chrono::microseconds;

  enum class Step : std::uint8_t { kNothing, kRun, kBusy };

  // What a look at the clocks shows.
  struct Turned {
    Step step = Step::kNothing;
    std::uint64_t cycle = 0;  // the newest one
    Micros set_by{0};         // the wall clock was set by so much since the look before; 0: it was not
    Micros paused{0};         // nobody looked for so long: the process was stopped; 0: it was not
  };

  // Cycles that skipped_share() looks back on.
  static constexpr std::uint64_t kSkipWindow = 600;
  // A cycle lasts so many periods at most.
  static constexpr int kPeriodsMax = 2;
  // Clocks that move apart by more than this and a tenth of the time were set. The fastest slew of NTP is a tenth.
  static constexpr std::chrono::milliseconds kSetLeast{500};
  // A process was stopped where nobody looked for so long and so many periods.
  static constexpr std::chrono::seconds kPauseLeast{2};
  static constexpr int kPausePeriods = 20;

  explicit CyclePace(Micros period) : period_(period) {}

  // Before the first Turn.
  void Start(const ClockReading& clock);

  // When to look again.
  Time WakeAt(const ClockReading& clock) const;

  // A look at the clocks.
  Turned Turn(const ClockReading& clock);

  // The cycle that Turn started is done.
  void ReportIn() { running_ = false; }

  std::uint64_t cycle() const { return cycle_; }  // the newest one
  std::uint64_t skipped() const { return skipped_; }
  // Of the last full window of kSkipWindow cycles, the share that was skipped.
  double skipped_share() const { return skipped_share_; }

  // ---- The wall clock, at the last look ----

  // How far the newest cycle is ahead of it; 0 where it is not.
  Micros ahead() const;
  bool before_epoch() const { return looked_.wall < kCycleEpoch; }
  // How often it was set, by how much the last time, and when.
  std::uint64_t set_back() const { return set_back_; }
  std::uint64_t set_forward() const { return set_forward_; }
  Micros set_by() const { return set_by_; }
  Time set_at() const { return set_at_; }

 private:
  Micros SetSince(const ClockReading& clock) const;
  void NoteSet(Micros by, Time now);
  void Skip(std::uint64_t next, const Turned& turned, Time now);
  std::uint64_t period_us() const { return static_cast<std::uint64_t>(period_.count()); }

  const Micros period_;
  std::uint64_t cycle_ = 0;
  Time turned_at_;        // when the newest cycle began
  ClockReading looked_;   // the last look
  bool running_ = false;  // a cycle is with the actors
  std::uint64_t skipped_ = 0;
  std::uint64_t skipped_in_window_ = 0;
  double skipped_share_ = 0;
  std::uint64_t set_back_ = 0;
  std::uint64_t set_forward_ = 0;
  Micros set_by_{0};
  Time set_at_;
};

}  // namespace lvs::services
