#include "services/scenario/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "absl/strings/str_format.h"
#include "services/base/text.h"

namespace lvs::services {
namespace {

constexpr double kNever = -1;
constexpr double kExactMax = 9007199254740992.0;  // a double tells whole numbers apart up to here

std::string Number(double value) {
  // Whole numbers in full; everything else in four digits.
  const bool whole = value == std::round(value) && std::abs(value) < 1e15;
  return whole ? absl::StrFormat("%.0f", value) : FormatNumber(value, 4);
}

template <typename Map>
double Sum(const Map& counts) {
  double sum = 0;
  for (const auto& [name, count] : counts) sum += static_cast<double>(count);
  return sum;
}

bool CanBeNever(MetricUnit unit) { return unit == MetricUnit::kCycles || unit == MetricUnit::kSeconds; }

// The row of the time series that shows time `at_s`: the last one that is not later. NaN if the run ended before.
double ValueAt(const Metric& metric, const v1::RunReport& report, double at_s) {
  constexpr double kSlack = 1e-9;
  double value = std::numeric_limits<double>::quiet_NaN();
  if (report.samples().empty() || !metric.of_sample) return value;
  if (!report.summary().complete() && report.samples().rbegin()->seconds() + kSlack < at_s) return value;
  for (const v1::Sample& sample : report.samples()) {
    if (sample.seconds() > at_s + kSlack) break;
    value = metric.of_sample(sample);
  }
  return value;
}

bool Holds(const Metric& metric, const v1::Threshold& threshold, double value) {
  if (std::isnan(value)) return false;
  const bool never = CanBeNever(metric.unit) && value == kNever;
  if (never && metric.name == kRecoveryMetric) return false;
  if (threshold.has_max() && (never || !(value <= threshold.max()))) return false;
  if (threshold.has_min() && !never && !(value >= threshold.min())) return false;
  return true;
}

std::string LimitText(const Metric& metric, const v1::Threshold& threshold) {
  std::string text;
  if (threshold.has_min()) text = "min " + FormatMetric(metric, threshold.min());
  if (threshold.has_max()) text += (text.empty() ? "max " : ", max ") + FormatMetric(metric, threshold.max());
  return text;
}

v1::ThresholdResult Judge(const v1::Threshold& threshold, const v1::RunReport& report) {
  v1::ThresholdResult result;
  result.set_metric(threshold.metric());
  result.set_requirement(JoinWords({threshold.requirement().begin(), threshold.requirement().end()}));
  result.set_value(std::numeric_limits<double>::quiet_NaN());
  result.set_when(!threshold.after().empty() ? "after " + threshold.after()
                  : threshold.at().empty()   ? "end"
                                             : threshold.at());
  const Metric* metric = FindMetric(threshold.metric());
  if (metric == nullptr) return result;
  if (metric->name == kRecoveryMetric) {
    result.set_value(WorstRecoverySeconds(report.summary(), threshold.after()));
  } else if (result.when() == "end") {
    result.set_value(metric->of_summary(report.summary()));
  } else if (const auto at_us = ParseDurationUs(threshold.at()); at_us.ok()) {
    result.set_value(ValueAt(*metric, report, static_cast<double>(*at_us) / 1e6));
  }
  result.set_limit(LimitText(*metric, threshold));
  result.set_passed(Holds(*metric, threshold, result.value()));
  return result;
}

std::vector<Metric> MakeMetrics() {
  using S = v1::Summary;
  using R = v1::Sample;
  using U = MetricUnit;
  const auto as_double = [](auto value) { return static_cast<double>(value); };
  return {
      {"ledger.missing_uvu", U::kValue, "accepted value that the worst live replica's shard lacks at the end",
       [=](const S& s) { return as_double(s.ledger().missing_uvu()); }, nullptr},
      {"ledger.accepted_uvu", U::kValue, "value acknowledged to clients, opening balance included",
       [=](const S& s) { return as_double(s.ledger().accepted_uvu()); },
       [=](const R& r) { return as_double(r.accepted_uvu()); }},
      {"ledger.excess_uvu", U::kValue, "what server nodes hold beyond what was accepted",
       [](const S& s) { return static_cast<double>(s.ledger().excess_uvu()); }, nullptr},
      {"ledger.effective_error_relative", U::kRatio,
       "largest distance of an honest replica's value from its ledger total",
       [](const S& s) { return s.ledger().effective_error_relative(); },
       [](const R& r) { return r.effective_error_relative(); }},
      {"ledger.cycles_to_1ppm", U::kCycles, "cycles until ledger.effective_error_relative was first below 1e-6",
       [=](const S& s) { return as_double(s.ledger().cycles_to_1ppm()); }, nullptr},
      {"ledger.contributions", U::kCount, "contributions that were accepted",
       [=](const S& s) { return as_double(s.ledger().contributions()); }, nullptr},
      {"ledger.contributions_pending", U::kCount, "contributions that were never acknowledged",
       [=](const S& s) { return as_double(s.ledger().contributions_pending()); }, nullptr},
      {"ledger.redundancy_syncs", U::kCount, "lagging replicas brought up to date by a direct copy",
       [=](const S& s) { return as_double(s.ledger().redundancy_syncs()); }, nullptr},
      {"drift.relative_spread", U::kRatio, "disagreement of honest replicas, relative to the start",
       [](const S& s) { return s.drift().relative_spread(); },
       [](const R& r) { return std::max(r.value_spread_relative(), r.free_spread_relative()); }},
      {"drift.honest_bias_relative", U::kRatio, "how far the honest free coordinates' mean was pulled, of their range",
       [](const S& s) { return s.drift().honest_bias_relative(); },
       [](const R& r) { return r.honest_bias_relative(); }},
      {"drift.reduction_per_cycle", U::kFactor, "factor by which disagreement falls a cycle, down to 1e-6",
       [](const S& s) { return s.drift().reduction_per_cycle(); }, nullptr},
      {"drift.cycles_to_1ppm", U::kCycles, "cycles until disagreement was first below 1e-6 of the start",
       [=](const S& s) { return as_double(s.drift().cycles_to_1ppm()); }, nullptr},
      {"drift.vector_variance", U::kVariance, "variance of the drift vector over honest replicas",
       [](const S& s) { return s.drift().vector_variance(); }, [](const R& r) { return r.drift_vector_variance(); }},
      {"bandwidth.bytes_per_node_minute", U::kBytes,
       "what a micro-node sends a minute in the steady state (median of the time series)",
       [](const S& s) { return s.bandwidth().bytes_per_node_minute(); },
       [](const R& r) { return r.bytes_per_node_minute(); }},
      {"bandwidth.average_bytes_per_node_minute", U::kBytes,
       "what a micro-node sends a minute, averaged over the whole run, start-up and faults included",
       [](const S& s) { return s.bandwidth().average_bytes_per_node_minute(); }, nullptr},
      {"bandwidth.loss_ratio", U::kRatio, "share of messages that never arrived",
       [](const S& s) { return s.bandwidth().loss_ratio(); }, [](const R& r) { return r.loss_ratio(); }},
      {std::string(kRecoveryMetric), U::kSeconds,
       "from the end of an event (after: KIND) to full agreement; the worst one", nullptr, nullptr},
      {"vaultguard.refused_total", U::kCount, "messages, entries and contributions refused, all reasons",
       [](const S& s) { return Sum(s.vaultguard().refused()); }, nullptr},
      {"vaultguard.clamped_total", U::kCount, "corrections cut down by an invariant, all rules",
       [](const S& s) { return Sum(s.vaultguard().clamped()); }, nullptr},
      {"vaultguard.anomalies_total", U::kCount, "anomalies raised, all kinds",
       [](const S& s) { return Sum(s.vaultguard().anomalies()); }, nullptr},
      {"vaultguard.recoveries", U::kCount, "recoveries that VaultGuard ordered",
       [=](const S& s) { return as_double(s.vaultguard().recoveries()); }, nullptr},
      {"micro_nodes_alive", U::kCount, "micro-nodes alive",
       [=](const S& s) { return as_double(s.micro_nodes_alive()); }, [=](const R& r) { return as_double(r.alive()); }},
      {"swarm.joined", U::kCount, "micro-nodes that entered after the start",
       [=](const S& s) { return as_double(s.swarm().joined()); }, nullptr},
      {"swarm.left", U::kCount, "micro-nodes that left silently",
       [=](const S& s) { return as_double(s.swarm().left()); }, nullptr},
      {"swarm.repaired", U::kCount, "replicas created because a shard had too few",
       [=](const S& s) { return as_double(s.swarm().repaired()); }, nullptr},
      {"swarm.fallback_links", U::kCount, "links replaced by a random fallback connection",
       [=](const S& s) { return as_double(s.swarm().fallback_links()); }, nullptr},
      {"resident_bytes_per_micro_node", U::kBytes, "memory of the process, for each micro-node",
       [](const S& s) { return s.resident_bytes_per_micro_node(); }, nullptr},
      {"micro_node_cycles_per_second", U::kRate,
       "speed of the emulator: micro-nodes times cycles a second of wall time",
       [](const S& s) { return s.micro_node_cycles_per_second(); }, nullptr},
      {"replica_cycles_per_second", U::kRate, "speed of the emulator: replicas times cycles a second of wall time",
       [](const S& s) { return s.replica_cycles_per_second(); }, nullptr},
  };
}

}  // namespace

const std::vector<Metric>& Metrics() {
  static const std::vector<Metric> metrics = MakeMetrics();
  return metrics;
}

std::vector<std::string> MetricNames() {
  std::vector<std::string> names;
  for (const Metric& metric : Metrics()) names.push_back(metric.name);
  return names;
}

const Metric* FindMetric(std::string_view name) {
  for (const Metric& metric : Metrics()) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

bool DimensionFits(const Metric& metric, Dimension dimension, double limit) {
  const bool bare = dimension == Dimension::kNone;
  if (bare && limit == 0) return true;
  switch (metric.unit) {
    case MetricUnit::kSeconds: return dimension == Dimension::kTime;
    case MetricUnit::kBytes: return dimension == Dimension::kBytes;
    case MetricUnit::kValue: return dimension == Dimension::kValue;
    case MetricUnit::kRatio: return bare || dimension == Dimension::kShare;
    default: return bare;
  }
}

std::string LimitExamples(const Metric& metric) {
  switch (metric.unit) {
    case MetricUnit::kSeconds: return "5s or 200ms";
    case MetricUnit::kBytes: return "50KB or 1MB";
    case MetricUnit::kValue: return "0, 250uVU or 0.1VU";
    case MetricUnit::kRatio: return "1e-6 or 0.1%";
    case MetricUnit::kFactor: return "2.2";
    case MetricUnit::kRate: return "1e6";
    case MetricUnit::kVariance: return "0.01";
    case MetricUnit::kCycles: return "18";
    case MetricUnit::kCount: break;
  }
  return "100";
}

std::string FormatMetric(const Metric& metric, double value) {
  if (std::isnan(value)) return "NaN";
  if (CanBeNever(metric.unit) && value == kNever) return "never";
  switch (metric.unit) {
    case MetricUnit::kSeconds: return Number(value) + "s";
    case MetricUnit::kBytes:
      return std::abs(value) >= 1e6   ? Number(value / 1e6) + "MB"
             : std::abs(value) >= 1e3 ? Number(value / 1e3) + "KB"
                                      : Number(value) + "B";
    case MetricUnit::kValue:
      // To the micro-VU: a limit and a value that is out of it must not read the same.
      if (value == 0) return "0";
      if (std::abs(value) < 1e5) return Number(value) + "uVU";
      return std::abs(value) < kExactMax ? FormatMillionths(std::llround(value)) + "VU" : Number(value / 1e6) + "VU";
    default: return Number(value);
  }
}

double WorstRecoverySeconds(const v1::Summary& summary, std::string_view kind) {
  double worst = kNever;
  for (const auto& recovery : summary.recoveries()) {
    if (recovery.after() != kind) continue;
    if (!(recovery.seconds() >= 0)) return kNever;
    worst = std::max(worst, recovery.seconds());
  }
  return worst;
}

void JudgeThresholds(const v1::Scenario& scenario, v1::RunReport* report) {
  v1::Summary& summary = *report->mutable_summary();
  summary.clear_thresholds();
  bool passed = summary.complete();
  for (const v1::Threshold& threshold : scenario.thresholds()) {
    v1::ThresholdResult result = Judge(threshold, *report);
    passed = passed && result.passed();
    *summary.add_thresholds() = std::move(result);
  }
  summary.set_passed(passed);
}

}  // namespace lvs::services
