// The emulator drives several server nodes, one for each region, through a scenario in one process, cycle by cycle.
//
//   v1::Scenario scenario = ...;                       // complete: see services/scenario/scenario.h
//   absl::StatusOr<v1::RunReport> report = Emulate(scenario, {.threads = 2});
//
// Runs are deterministic: the same scenario and seed give the same report.summary().state_hash() for any number of
// threads and any SIMD target. Only wall times and memory differ. Thresholds are judged elsewhere
// (services/scenario/metrics.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "lvs/v1/report.pb.h"
#include "lvs/v1/scenario.pb.h"
#include "services/emulator/budget.h"

namespace lvs::services {

// The progress of a run, reported every `progress_interval_s` of wall time. Times are in seconds.
struct Progress {
  double virtual_s = 0;
  double wall_s = 0;
  std::uint64_t cycle = 0;
  std::uint64_t cycles = 0;
  std::uint64_t alive = 0;
  double cycles_per_second = 0;          // since the previous report
  double replica_cycles_per_second = 0;  // since the previous report
  double relative_spread = 0;
  std::uint64_t anomalies = 0;
  std::uint64_t refused = 0;
  std::string active_faults;  // "churn 2%/s, partition eu|us+asia", empty when none
};

struct EmulationOptions {
  unsigned threads = 0;   // worker threads; 0: one per core
  bool profile = false;   // the summary breaks down the workers' time by stage
  bool realtime = false;  // one cycle every period of wall time instead of as fast as the cores go
  double progress_interval_s = 0.25;
  std::function<void(const Progress&)> on_progress;  // called on the caller's thread; may be empty
  const std::atomic<bool>* stop = nullptr;           // true ends the run after the current cycle
};

// Runs a complete, validated scenario (every default filled in). RESOURCE_EXHAUSTED where the machine lacks the memory
// for it. The caller fills in summary.passed and summary.thresholds.
absl::StatusOr<v1::RunReport> Emulate(const v1::Scenario& scenario, const EmulationOptions& options);

}  // namespace lvs::services
