// The figures that a scenario may put a threshold on, and the judgement. The name of a metric is its path in
// summary.json; `recovery.seconds` and the `vaultguard.*_total` are folded from the lists and maps there.
//
//   const Metric* metric = FindMetric("drift.relative_spread");
//   JudgeThresholds(scenario, &report);            // fills report.summary().thresholds() and .passed()
//
// Values are in base units: seconds, bytes, fractions, micro-VU. -1 ("never") breaches every max. NaN says that there was
// nothing to judge: no honest replica, nothing accepted, nobody alive. Such a threshold is untested, and a breach.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lvs/v1/report.pb.h"
#include "lvs/v1/scenario.pb.h"
#include "services/base/yaml_proto.h"

namespace lvs::services {

enum class MetricUnit {
  kCount,     // 3
  kRatio,     // 1e-6, or 1% where a person prefers that
  kCycles,    // 18; -1: never
  kFactor,    // 2.2
  kSeconds,   // 5s; -1: never
  kBytes,     // 50KB
  kValue,     // 250uVU, 0.1VU
  kVariance,  // VU squared
  kRate,      // 1e6 a second
};

struct Metric {
  std::string name;
  MetricUnit unit;
  std::string meaning;
  // The value at the end of the run. Null only for recovery.seconds, which needs the kind of event.
  std::function<double(const v1::Summary&)> of_summary;
  // The value in one row of the time series; null where the metric exists only at the end.
  std::function<double(const v1::Sample&)> of_sample;
  // What a value of NaN means: "no honest replica was there".
  std::string nothing{};
  // The count since the row before, for a metric that is a count of events; else null.
  std::function<double(const v1::Sample&)> of_row{};
};

inline constexpr std::string_view kRecoveryMetric = "recovery.seconds";

// All metrics, in the order in which people read them.
const std::vector<Metric>& Metrics();
std::vector<std::string> MetricNames();
const Metric* FindMetric(std::string_view name);  // nullptr: unknown

// True where a limit written with this unit means something for the metric. A bare 0 fits every metric; another bare
// number does not fit one in seconds, bytes or VU.
bool DimensionFits(const Metric& metric, Dimension dimension, double limit);

// How to write a limit of this metric: "5s or 200ms".
std::string LimitExamples(const Metric& metric);

// A value as a person writes it: "3.2s", "41.3KB", "0.1VU", "1e-06", "never" (-1 of a metric that can be never), "none"
// (NaN).
std::string FormatMetric(const Metric& metric, double value);

// The longest recovery after events of this kind; -1 if one of them did not recover; NaN if no such event ended, or no
// two honest replicas were left that could have agreed.
double WorstRecoverySeconds(const v1::Summary& summary, std::string_view kind);

// "held", "BREACHED", or "UNTESTED" where there was nothing to judge.
std::string VerdictWord(const v1::ThresholdResult& result);

// Judges every threshold of a complete, valid scenario. `passed` is true if all of them hold and the run was complete.
void JudgeThresholds(const v1::Scenario& scenario, v1::RunReport* report);

}  // namespace lvs::services
