// The core of a node: its state and the one lock around it, without gRPC, actors, disk or a thread of its own.
//
//   NodeCore core(config);
//   ClockReading clock = ReadClocks();
//   core.Start(clock);
//   core.Contribute(request, link, now, deadline, done);            // from any client
//   // The clock's thread:
//   while (core.Sleep(clock)) {
//     clock = ReadClocks();
//     core.Expire(clock.steady);
//     const CyclePace::Turned turned = core.Turn(clock);
//     if (turned.step == CyclePace::Step::kRun) actors.Tick(core.NextTick(turned.cycle, clock.steady));
//   }
//   // The actors' thread:
//   NodeCore::Outcome outcome = core.Take(report);
//   // The cache's thread:
//   core.OnDisk(ids);
//
// The lock is held for bookkeeping only: replies are sent, and their errors written, without it.
//
// Time is passed in, but for the two functions that wait (Sleep, WaitForEnd). All functions are safe from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lvs/v1/config.pb.h"
#include "lvs/v1/control.pb.h"
#include "services/base/mutex.h"
#include "services/node/contributions.h"
#include "services/node/cycle_pace.h"
#include "services/node/node_drain.h"
#include "services/node/node_figures.h"
#include "services/node/problems.h"
#include "shard/hosting/messages.h"
#include "vaultguard/refusals.h"

namespace lvs::services {

class NodeCore {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `config` is complete and valid (node_config.h).
  explicit NodeCore(const v1::NodeConfig& config);

  // ---- Contributions ----

  // Calls `done` once: from within where the contribution is refused here, later where it is taken in.
  void Contribute(const v1::ContributeRequest& request, std::string_view link, Time now, Time deadline,
                  ControlBackend::OnReply done) ABSL_LOCKS_EXCLUDED(mu_);
  // Answers the contributions that waited for the cache.
  void OnDisk(const std::vector<std::uint64_t>& ids) ABSL_LOCKS_EXCLUDED(mu_);
  // Answers those whose deadline is over with what was reached.
  void Expire(Time now) ABSL_LOCKS_EXCLUDED(mu_);

  // ---- Cycles ----

  // The first cycle to run is the one after the clock's.
  void Start(const ClockReading& clock) ABSL_LOCKS_EXCLUDED(mu_);
  // Waits for the next cycle, the next deadline of a contribution, the next look at the drain, or Stop. Contributions and
  // drains that begin meanwhile shorten the wait. False after Stop.
  bool Sleep(const ClockReading& clock) ABSL_LOCKS_EXCLUDED(mu_);
  // How far the newest cycle is ahead of the wall clock.
  std::chrono::microseconds ahead() const ABSL_LOCKS_EXCLUDED(mu_);
  // A look at the clocks: which cycle has begun, if any.
  CyclePace::Turned Turn(const ClockReading& clock) ABSL_LOCKS_EXCLUDED(mu_);
  // What the actors do in `cycle`, but for what the first cycle restores. The first tick begins SYNCING.
  hosting::NodeTick NextTick(std::uint64_t cycle, Time now) ABSL_LOCKS_EXCLUDED(mu_);
  // The next tick scatters the free coordinates.
  void Scatter() ABSL_LOCKS_EXCLUDED(mu_);

  struct Outcome {
    bool began_to_serve = false;
    bool has_compared = false;            // now, for the first time: what is held has all that peers had
    std::vector<DueReply> due;            // to be sent
    std::vector<std::uint64_t> for_disk;  // contributions that wait for the report's changes to be on disk
  };
  // The report of the cycle that NextTick began.
  Outcome Take(const hosting::NodeReport& report) ABSL_LOCKS_EXCLUDED(mu_);

  // ---- The end ----

  // False where a drain has begun before.
  bool Drain(std::string_view reason, Time now) ABSL_LOCKS_EXCLUDED(mu_);
  bool draining() const ABSL_LOCKS_EXCLUDED(mu_);
  // No contribution waits for its answer.
  bool idle() const ABSL_LOCKS_EXCLUDED(mu_);
  // True while the node is SERVING; false after Stop.
  bool serving() const ABSL_LOCKS_EXCLUDED(mu_);

  struct DrainLook {
    NodeDrain::Action action = NodeDrain::Action::kNone;
    bool handed_over = false;
    std::string reason;
  };
  // One look at the drain. `safe` says that what is held outlives the process whatever peers have; `alone`, that there
  // is nobody to hand over to.
  DrainLook LookAtDrain(bool safe, bool alone, Time now) ABSL_LOCKS_EXCLUDED(mu_);
  // True once the drain has ended; false where it has not by `end`.
  bool WaitForEnd(Time end) const ABSL_LOCKS_EXCLUDED(mu_);
  // Whether the drain that has ended handed everything over.
  bool drained_whole() const ABSL_LOCKS_EXCLUDED(mu_);

  // Ends the sleep, now and for good.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);
  // Answers all that still waits: the node ends.
  void RefuseRest() ABSL_LOCKS_EXCLUDED(mu_);

  // ---- Figures ----

  // Sets what the core knows; adds its refusals and facts to the caller's.
  void Fill(v1::NodeStatus* status, vaultguard::RefusalCounts* refused, ProblemFacts* facts, Time now) const
      ABSL_LOCKS_EXCLUDED(mu_);
  v1::ShardList Shards(Time now) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // When something besides cycles is due.
  Time NextDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const ContributionLimits limits_;

  mutable Mutex mu_;
  CondVar wake_;           // Sleep
  mutable CondVar ended_;  // WaitForEnd
  v1::NodeState state_ ABSL_GUARDED_BY(mu_) = v1::STARTING;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  bool scatter_ ABSL_GUARDED_BY(mu_) = false;
  bool compared_ ABSL_GUARDED_BY(mu_) = false;
  CyclePace pace_ ABSL_GUARDED_BY(mu_);
  NodeDrain drain_ ABSL_GUARDED_BY(mu_);
  Contributions contributions_ ABSL_GUARDED_BY(mu_);
  NodeFigures figures_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lvs::services
