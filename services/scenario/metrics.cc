#include "services/scenario/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <utility>

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

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
constexpr double kSlackS = 1e-9;
constexpr const char* kNoRow = "the time series has no row of that time";

struct Judged {
  double value = kNothing;
  std::string nothing{};  // why, where the value is NaN
};

// The row of the time series that shows time `at_s`: the last one that is not later. NaN if the run ended before.
Judged ValueAt(const Metric& metric, const v1::RunReport& report, double at_s) {
  Judged judged{kNothing, kNoRow};
  if (report.samples().empty() || !metric.of_sample) return judged;
  if (!report.summary().complete() && report.samples().rbegin()->seconds() + kSlackS < at_s) return judged;
  for (const v1::Sample& sample : report.samples()) {
    if (sample.seconds() > at_s + kSlackS) break;
    judged = {metric.of_sample(sample), metric.nothing};
  }
  return judged;
}

// What was counted from `from_s` on.
Judged CountFrom(const Metric& metric, const v1::RunReport& report, double from_s) {
  Judged judged{kNothing, kNoRow};
  for (const v1::Sample& sample : report.samples()) {
    if (!metric.of_row || sample.seconds() < from_s - kSlackS) continue;
    judged.value = (std::isnan(judged.value) ? 0 : judged.value) + metric.of_row(sample);
  }
  return judged;
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

std::string WhenText(const v1::Threshold& threshold) {
  if (!threshold.after().empty()) return "after " + threshold.after();
  if (!threshold.from().empty()) return "from " + threshold.from();
  return threshold.at().empty() ? "end" : threshold.at();
}

// The figure that the threshold is about.
Judged ValueOf(const Metric& metric, const v1::Threshold& threshold, const v1::RunReport& report) {
  const auto seconds = [](const std::string& text) {
    const auto us = ParseDurationUs(text);
    return us.ok() ? static_cast<double>(*us) / 1e6 : kNothing;
  };
  if (metric.name == kRecoveryMetric) {
    return {WorstRecoverySeconds(report.summary(), threshold.after()), metric.nothing};
  }
  if (!threshold.from().empty()) return CountFrom(metric, report, seconds(threshold.from()));
  if (!threshold.at().empty() && threshold.at() != "end") return ValueAt(metric, report, seconds(threshold.at()));
  return {metric.of_summary(report.summary()), metric.nothing};
}

v1::ThresholdResult Judge(const v1::Threshold& threshold, const v1::RunReport& report) {
  v1::ThresholdResult result;
  result.set_metric(threshold.metric());
  result.set_requirement(JoinWords({threshold.requirement().begin(), threshold.requirement().end()}));
  result.set_when(WhenText(threshold));
  const Metric* metric = FindMetric(threshold.metric());
  const Judged judged =
      metric == nullptr ? Judged{kNothing, "this build has no such metric"} : ValueOf(*metric, threshold, report);
  result.set_value(judged.value);
  if (std::isnan(judged.value)) result.set_untested(judged.nothing.empty() ? "it has no value" : judged.nothing);
  if (metric == nullptr) return result;
  result.set_limit(LimitText(*metric, threshold));
  result.set_passed(Holds(*metric, threshold, result.value()));
  return result;
}

// ---- Figures that are NaN where there was nothing to judge -----------------------------------------------------------

double Given(bool there, double value) { return there ? value : kNothing; }

// Value that was never accepted cannot be missing. Where clients contributed and none was acknowledged, only the
// opening balance was tested.
double MissingUvu(const v1::Summary& s) {
  const v1::LedgerFigures& ledger = s.ledger();
  const bool tested = ledger.accepted_uvu() > 0 && (ledger.contributions_offered() == 0 || ledger.contributions() > 0);
  return Given(tested || ledger.missing_uvu() > 0, static_cast<double>(ledger.missing_uvu()));
}

// Whether there was a way to go. Summaries of older builds say nothing about their start.
bool StartedApart(const v1::Summary& s) {
  return s.drift().value_spread_at_start_vu() > 0 || s.drift().free_spread_at_start() > 0 ||
         s.drift().cycles_to_1ppm() > 0;
}

bool StartedOffTheLedger(const v1::Summary& s) {
  return s.ledger().effective_error_at_start() >= 1e-6 || s.ledger().cycles_to_1ppm() > 0;
}

// Without a message nothing can be refused, cut down or suspicious.
double CountOfMessages(const v1::Summary& s, double count) {
  return Given(!std::isnan(s.bandwidth().loss_ratio()) || count > 0, count);
}

// The rows and summaries of builds that did not measure a figure do not have it.
double SamplingError(const auto& of) { return Given(of.has_sampling_error_relative(), of.sampling_error_relative()); }
double RegionDistance(const auto& of) {
  return Given(of.has_region_distance_relative(), of.region_distance_relative());
}

constexpr const char* kNoTwo = "no shard had two honest replicas that could disagree";
constexpr const char* kNoMessage = "no message was sent";
constexpr const char* kNobody = "no micro-node was alive";

constexpr auto kAsDouble = [](auto value) { return static_cast<double>(value); };

std::vector<Metric> LedgerMetrics() {
  using S = v1::Summary;
  using R = v1::Sample;
  using U = MetricUnit;
  return {
      {"ledger.missing_uvu", U::kValue, "accepted value that the worst live replica's shard lacks at the end",
       MissingUvu, nullptr, "nothing was accepted that could be missing"},
      {"ledger.accepted_uvu", U::kValue, "value acknowledged to clients, opening balance included",
       [](const S& s) { return kAsDouble(s.ledger().accepted_uvu()); },
       [](const R& r) { return kAsDouble(r.accepted_uvu()); }},
      {"ledger.excess_uvu", U::kValue, "what server nodes hold beyond what was accepted",
       [](const S& s) { return Given(s.replicas() > 0, kAsDouble(s.ledger().excess_uvu())); }, nullptr,
       "no replica was there that could hold too much"},
      {"ledger.effective_error_relative", U::kRatio,
       "largest distance of an honest replica's value from its ledger total",
       [](const S& s) { return s.ledger().effective_error_relative(); },
       [](const R& r) { return r.effective_error_relative(); }, "no honest replica was there to judge"},
      {"ledger.cycles_to_1ppm", U::kCycles, "cycles until ledger.effective_error_relative was first below 1e-6",
       [](const S& s) { return Given(StartedOffTheLedger(s), kAsDouble(s.ledger().cycles_to_1ppm())); }, nullptr,
       "every value was right from the start"},
      {"ledger.contributions", U::kCount, "contributions that were acknowledged to their clients",
       [](const S& s) { return kAsDouble(s.ledger().contributions()); }, nullptr},
      {"ledger.contributions_pending", U::kCount, "contributions that were never acknowledged",
       [](const S& s) {
         const bool any = s.ledger().contributions_offered() + s.ledger().contributions() > 0;
         return Given(any, kAsDouble(s.ledger().contributions_pending()));
       },
       nullptr, "no client contributed"},
      {"ledger.redundancy_syncs", U::kCount, "lagging replicas brought up to date by a direct copy",
       [](const S& s) { return kAsDouble(s.ledger().redundancy_syncs()); }, nullptr},
  };
}

std::vector<Metric> DriftMetrics() {
  using S = v1::Summary;
  using R = v1::Sample;
  using U = MetricUnit;
  return {
      {"drift.relative_spread", U::kRatio, "disagreement of honest replicas, relative to the start",
       [](const S& s) { return s.drift().relative_spread(); },
       [](const R& r) { return std::fmax(r.value_spread_relative(), r.free_spread_relative()); }, kNoTwo},
      {"drift.honest_bias_relative", U::kRatio,
       "how far liars pulled the honest free coordinates' mean, of their range",
       [](const S& s) { return s.drift().honest_bias_relative(); }, [](const R& r) { return r.honest_bias_relative(); },
       "nobody had lied yet, or no honest replica had a free coordinate: drift.sampling_error_relative is how far the "
       "mean moves without liars"},
      {"drift.sampling_error_relative", U::kRatio,
       "how far the free coordinates' mean moved before anybody lied, of their range",
       [](const S& s) { return SamplingError(s.drift()); }, [](const R& r) { return SamplingError(r); },
       "liars were there from the start, or no honest replica had a free coordinate"},
      {"drift.region_distance_relative", U::kRatio,
       "largest distance between the means of two regions' free coordinates, of their range",
       [](const S& s) { return RegionDistance(s.drift()); }, [](const R& r) { return RegionDistance(r); },
       "no shard had honest replicas with a free coordinate in two regions"},
      {"drift.reduction_per_cycle", U::kFactor, "factor by which disagreement falls a cycle, down to 1e-6",
       [](const S& s) { return Given(StartedApart(s), s.drift().reduction_per_cycle()); }, nullptr, kNoTwo},
      {"drift.cycles_to_1ppm", U::kCycles, "cycles until disagreement was first below 1e-6 of the start",
       [](const S& s) { return Given(StartedApart(s), kAsDouble(s.drift().cycles_to_1ppm())); }, nullptr, kNoTwo},
      {"drift.vector_variance", U::kVariance, "variance of the drift vector over honest replicas",
       [](const S& s) { return s.drift().vector_variance(); }, [](const R& r) { return r.drift_vector_variance(); },
       kNoTwo},
  };
}

std::vector<Metric> TrafficMetrics() {
  using S = v1::Summary;
  using R = v1::Sample;
  using U = MetricUnit;
  return {
      {"bandwidth.bytes_per_node_minute", U::kBytes,
       "what a micro-node sends a minute in the steady state (median of the time series)",
       [](const S& s) { return s.bandwidth().bytes_per_node_minute(); },
       [](const R& r) { return r.bytes_per_node_minute(); }, kNobody},
      {"bandwidth.average_bytes_per_node_minute", U::kBytes,
       "what a micro-node sends a minute, averaged over the whole run, start-up and faults included",
       [](const S& s) { return s.bandwidth().average_bytes_per_node_minute(); }, nullptr, kNobody},
      {"bandwidth.loss_ratio", U::kRatio, "share of messages that never arrived",
       [](const S& s) { return s.bandwidth().loss_ratio(); }, [](const R& r) { return r.loss_ratio(); }, kNoMessage},
      {std::string(kRecoveryMetric), U::kSeconds,
       "from the end of an event (after: KIND) to full agreement; the worst one", nullptr, nullptr,
       "no such event ended, or no two honest replicas were left to agree"},
      {"vaultguard.refused_total", U::kCount, "messages, entries and contributions refused, all reasons",
       [](const S& s) { return CountOfMessages(s, Sum(s.vaultguard().refused())); }, nullptr, kNoMessage,
       [](const R& r) { return kAsDouble(r.refused()); }},
      {"vaultguard.clamped_total", U::kCount, "corrections cut down by an invariant, all rules",
       [](const S& s) { return CountOfMessages(s, Sum(s.vaultguard().clamped())); }, nullptr, kNoMessage},
      {"vaultguard.anomalies_total", U::kCount, "anomalies raised, all kinds",
       [](const S& s) { return CountOfMessages(s, Sum(s.vaultguard().anomalies())); }, nullptr, kNoMessage,
       [](const R& r) { return kAsDouble(r.anomalies()); }},
      {"vaultguard.recoveries", U::kCount, "recoveries that VaultGuard ordered",
       [](const S& s) { return kAsDouble(s.vaultguard().recoveries()); }, nullptr},
  };
}

std::vector<Metric> SwarmMetrics() {
  using S = v1::Summary;
  using R = v1::Sample;
  using U = MetricUnit;
  return {
      {"micro_nodes_alive", U::kCount, "micro-nodes alive", [](const S& s) { return kAsDouble(s.micro_nodes_alive()); },
       [](const R& r) { return kAsDouble(r.alive()); }},
      {"swarm.joined", U::kCount, "micro-nodes that entered after the start",
       [](const S& s) { return kAsDouble(s.swarm().joined()); }, nullptr, "",
       [](const R& r) { return kAsDouble(r.online_events()); }},
      {"swarm.left", U::kCount, "micro-nodes that left silently",
       [](const S& s) { return kAsDouble(s.swarm().left()); }, nullptr, "",
       [](const R& r) { return kAsDouble(r.offline_events()); }},
      {"swarm.repaired", U::kCount, "replicas created because a shard had too few",
       [](const S& s) { return kAsDouble(s.swarm().repaired()); }, nullptr},
      {"swarm.restarted", U::kCount, "server nodes that a rolling restart has brought back",
       [](const S& s) { return kAsDouble(s.swarm().restarted()); }, nullptr},
      {"swarm.fallback_links", U::kCount, "links replaced by a random fallback connection",
       [](const S& s) { return kAsDouble(s.swarm().fallback_links()); }, nullptr},
      {"resident_bytes_per_micro_node", U::kBytes, "memory of the process, for each micro-node",
       [](const S& s) { return Given(s.resident_bytes_per_micro_node() > 0, s.resident_bytes_per_micro_node()); },
       nullptr, "no memory was measured"},
      {"micro_node_cycles_per_second", U::kRate,
       "speed of the emulator: micro-nodes times cycles a second of wall time",
       [](const S& s) { return s.micro_node_cycles_per_second(); }, nullptr},
      {"replica_cycles_per_second", U::kRate, "speed of the emulator: replicas times cycles a second of wall time",
       [](const S& s) { return s.replica_cycles_per_second(); }, nullptr},
  };
}

std::vector<Metric> MakeMetrics() {
  std::vector<Metric> all;
  for (const auto& part : {LedgerMetrics, DriftMetrics, TrafficMetrics, SwarmMetrics})
    std::ranges::move(part(), std::back_inserter(all));
  return all;
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
  if (std::isnan(value)) return "none";
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
  double worst = kNothing;
  bool unknown = false;
  for (const auto& recovery : summary.recoveries()) {
    if (recovery.after() != kind) continue;
    if (recovery.seconds() < 0) return kNever;
    unknown = unknown || std::isnan(recovery.seconds());
    worst = std::fmax(worst, recovery.seconds());
  }
  return unknown ? kNothing : worst;
}

std::string VerdictWord(const v1::ThresholdResult& result) {
  return result.passed() ? "held" : result.untested().empty() ? "BREACHED" : "UNTESTED";
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
