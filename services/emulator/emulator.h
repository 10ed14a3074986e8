// The emulator: several server nodes, one a region, in one process, driven through a scenario cycle by cycle.
//
//   v1::Scenario scenario = ...;                       // complete: see services/scenario/scenario.h
//   absl::StatusOr<v1::RunReport> report = Emulate(scenario, {.threads = 2});
//
// Deterministic: the same scenario and seed give the same report.summary().state_hash() for any number of threads and
// any SIMD target; only wall times and memory differ. Thresholds are not judged here (services/scenario/metrics.h).
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

// What a run tells while it goes on; times in seconds, one instance every `progress_interval_s` of wall time.
struct Progress {
  double virtual_s = 0;
  double wall_s = 0;
  std::uint64_t cycle = 0;
  std::uint64_t cycles = 0;
  std::uint64_t alive = 0;
  double cycles_per_second = 0;          // since the last report
  double replica_cycles_per_second = 0;  // since the last report
  double relative_spread = 0;
  std::uint64_t anomalies = 0;
  std::uint64_t refused = 0;
  std::string active_faults;  // "churn 2%/s, partition eu|us+asia", empty when none
};

struct EmulationOptions {
  unsigned threads = 0;   // worker threads; 0: one a core
  bool profile = false;   // the summary says where the workers' time went
  bool realtime = false;  // one cycle every period of wall time instead of as fast as the cores go
  double progress_interval_s = 0.25;
  std::function<void(const Progress&)> on_progress;  // called on the caller's thread; may be empty
  const std::atomic<bool>* stop = nullptr;           // when it turns true, the run ends after the current cycle
};

// Runs a complete, validated scenario (every default filled in). Fails with RESOURCE_EXHAUSTED where the machine has
// not the memory for it. summary.passed and summary.thresholds are left for the caller.
absl::StatusOr<v1::RunReport> Emulate(const v1::Scenario& scenario, const EmulationOptions& options);

}  // namespace lvs::services
