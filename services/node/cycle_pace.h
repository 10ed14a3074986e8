// The pace of a node's cycles: which cycle to start, which were skipped, and until when to sleep.
//
//   CyclePace pace(period);
//   pace.Start(CycleNow(period_us));                       // the first cycle to run is the next one
//   const CyclePace::Time until = pace.WakeAt(CycleStart(pace.cycle() + 1, period_us), wall_now, now);
//   ...                                                    // sleep
//   switch (pace.Turn(CycleNow(period_us))) {
//     case CyclePace::Step::kNothing: break;               // the next cycle has not begun
//     case CyclePace::Step::kRun: ...                      // start pace.cycle(); ReportIn() when it is done
//     case CyclePace::Step::kBusy: ...                     // the actors are late: pace.cycle() is skipped
//   }
//
// Cycles are counted on the wall clock, so that all nodes agree on them. A node that is late skips cycles and never
// catches up.
//
// Pure: no threads, no clock. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>

namespace lvs::services {

class CyclePace {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using WallTime = std::chrono::system_clock::time_point;

  enum class Step : std::uint8_t { kNothing, kRun, kBusy };

  // Cycles that skipped_share() looks back on.
  static constexpr std::uint64_t kSkipWindow = 600;

  explicit CyclePace(std::chrono::microseconds period) : period_(period) {}

  // The clock shows `cycle`, before the first Turn.
  void Start(std::uint64_t cycle) { cycle_ = cycle; }

  // When to look again, where the next cycle begins at `begins`. At most two periods ahead, so that a clock that was
  // set back does not put the node to sleep for as long.
  Time WakeAt(WallTime begins, WallTime wall_now, Time now) const;

  // The clock shows cycle `shown`.
  Step Turn(std::uint64_t shown);

  // The cycle that Turn started is done.
  void ReportIn() { running_ = false; }

  std::uint64_t cycle() const { return cycle_; }  // the newest that the clock has shown
  std::uint64_t skipped() const { return skipped_; }
  // Of the last full window of kSkipWindow cycles, the share that was skipped.
  double skipped_share() const { return skipped_share_; }

 private:
  const std::chrono::microseconds period_;
  std::uint64_t cycle_ = 0;
  bool running_ = false;  // a cycle is with the actors
  std::uint64_t skipped_ = 0;
  std::uint64_t skipped_in_window_ = 0;
  double skipped_share_ = 0;
};

}  // namespace lvs::services
