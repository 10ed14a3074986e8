#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "services/scenario/checker.h"
#include "services/scenario/metrics.h"
#include "services/scenario/scenario.h"

namespace lvs::services {
namespace {

std::vector<std::string> TimedMetrics() {
  std::vector<std::string> names;
  for (const Metric& metric : Metrics()) {
    if (metric.of_sample) names.push_back(metric.name);
  }
  return names;
}

std::vector<std::string> CountedMetrics() {
  std::vector<std::string> names;
  for (const Metric& metric : Metrics()) {
    if (metric.of_row) names.push_back(metric.name);
  }
  return names;
}

void CheckLimit(Checker& check, const Metric& metric, double limit, const std::string& path) {
  const auto written = check.origin().dimensions.find(path);
  if (written == check.origin().dimensions.end()) return;  // made in code: already in the base unit
  const Dimension dimension = written->second;
  const std::string mend = "; write for example " + LimitExamples(metric);
  check.Require(DimensionFits(metric, dimension, limit), path,
                dimension == Dimension::kNone ? NumberText(limit) + " has no unit" + mend
                                              : "this unit does not fit " + metric.name + mend);
}

void CheckAt(Checker& check, const Metric& metric, const v1::Threshold& threshold, const std::string& path) {
  if (threshold.at() == "end") return;
  const absl::StatusOr<std::int64_t> at_us = ParseDurationUs(threshold.at());
  check.Require(at_us.ok(), path, at_us.ok() ? "" : std::string(at_us.status().message()) + ", or end");
  if (!at_us.ok()) return;
  check.Require(metric.of_sample != nullptr, path,
                metric.name + " is known only at the end of a run; remove `at`, or use " + JoinWords(TimedMetrics()));
  check.Require(
      *at_us <= RunLengthUs(check.scenario()), path,
      threshold.at() + " is after the end of the run (" + check.RunText() + "); write end or an earlier time");
}

void CheckFrom(Checker& check, const Metric& metric, const v1::Threshold& threshold, const std::string& path) {
  if (threshold.from().empty()) return;
  check.Require(metric.of_row != nullptr, path,
                metric.name + " counts no events, so no time of them can be left out; remove `from`, or use " +
                    JoinWords(CountedMetrics()));
  const absl::StatusOr<std::int64_t> from_us = ParseDurationUs(threshold.from());
  check.Require(from_us.ok(), path, from_us.ok() ? "" : std::string(from_us.status().message()));
  check.Require(
      !from_us.ok() || *from_us < RunLengthUs(check.scenario()), path,
      threshold.from() + " is not before the end of the run (" + check.RunText() + "); write an earlier time");
}

void CheckAfter(Checker& check, const v1::Threshold& threshold, const std::string& path) {
  std::set<std::string> present;
  bool ends_in_time = false;
  for (const v1::Event& event : check.scenario().events()) {
    present.insert(EventKind(event));
    ends_in_time |=
        EventKind(event) == threshold.after() && event.at_us() + event.for_us() < RunLengthUs(check.scenario());
  }
  const std::string kinds =
      present.empty() ? "this file has no events" : "this file has " + JoinWords({present.begin(), present.end()});
  check.Require(threshold.at().empty(), path + ".at",
                "does not go with recovery.seconds; write after: with a kind of event");
  check.Require(threshold.from().empty(), path + ".from",
                "does not go with recovery.seconds; write after: with a kind of event");
  check.Require(!threshold.after().empty(), path,
                "recovery.seconds needs after: with the kind of event that ends; " + kinds);
  check.Require(present.contains(threshold.after()), path + ".after",
                "no event in this file is a " + threshold.after() + "; " + kinds);
  check.Require(ends_in_time, path + ".after",
                "no " + threshold.after() +
                    " ends before the run does, so there is nothing to recover from; give the event a `for`");
}

void CheckThreshold(Checker& check, const v1::Threshold& threshold, const std::string& path) {
  const Metric* metric = FindMetric(threshold.metric());
  if (metric == nullptr) {
    const std::string near = Nearest(threshold.metric(), MetricNames());
    check.Require(false, path + ".metric",
                  "there is no metric " + threshold.metric() + (near.empty() ? "" : "; did you mean " + near + "?") +
                      (near.empty() ? "; " : " ") + "`lvs scenario explain` lists all");
    return;
  }
  check.Require(threshold.has_max() || threshold.has_min(), path,
                "sets no limit; add max: or min:, for example max: " + LimitExamples(*metric));
  if (threshold.has_max()) CheckLimit(check, *metric, threshold.max(), path + ".max");
  if (threshold.has_min()) CheckLimit(check, *metric, threshold.min(), path + ".min");
  check.Require(!threshold.has_max() || !threshold.has_min() || threshold.min() <= threshold.max(), path,
                "min is more than max, so nothing can pass; swap them");
  if (metric->name == kRecoveryMetric) {
    CheckAfter(check, threshold, path);
  } else {
    check.Require(threshold.after().empty(), path + ".after",
                  "is only for " + std::string(kRecoveryMetric) + "; remove it, or write at: with a time");
    CheckAt(check, *metric, threshold, path + ".at");
    CheckFrom(check, *metric, threshold, path + ".from");
  }
}

}  // namespace

void CheckThresholds(Checker& check) {
  const v1::Scenario& scenario = check.scenario();
  for (int i = 0; i < scenario.thresholds_size(); ++i) {
    CheckThreshold(check, scenario.thresholds(i), Indexed("thresholds", i));
  }
}

}  // namespace lvs::services
