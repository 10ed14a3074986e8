#include "services/scenario/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>

namespace lvs::services {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

v1::Threshold Max(const std::string& metric, double max) {
  v1::Threshold threshold;
  threshold.set_metric(metric);
  threshold.set_at("end");
  threshold.set_max(max);
  return threshold;
}

v1::Threshold Min(const std::string& metric, double min) {
  v1::Threshold threshold;
  threshold.set_metric(metric);
  threshold.set_at("end");
  threshold.set_min(min);
  return threshold;
}

// Judges one threshold and returns what came of it; report->summary().passed() must agree.
v1::ThresholdResult Judge(const v1::Threshold& threshold, v1::RunReport report) {
  v1::Scenario scenario;
  *scenario.add_thresholds() = threshold;
  report.mutable_summary()->set_complete(true);
  JudgeThresholds(scenario, &report);
  EXPECT_EQ(report.summary().thresholds_size(), 1);
  EXPECT_EQ(report.summary().passed(), report.summary().thresholds(0).passed());
  return report.summary().thresholds(0);
}

v1::RunReport WithSpread(double spread) {
  v1::RunReport report;
  report.mutable_summary()->mutable_drift()->set_relative_spread(spread);
  return report;
}

TEST(Metrics, NamesAreUniqueAndComplete) {
  std::set<std::string> names;
  for (const Metric& metric : Metrics()) {
    EXPECT_TRUE(names.insert(metric.name).second) << metric.name;
    EXPECT_FALSE(metric.meaning.empty()) << metric.name;
    EXPECT_TRUE(metric.of_summary || metric.name == kRecoveryMetric) << metric.name;
    EXPECT_EQ(FindMetric(metric.name), &metric);
  }
  EXPECT_EQ(FindMetric("ledger.missing"), nullptr);
}

TEST(Thresholds, LimitsAreInclusive) {
  EXPECT_TRUE(Judge(Max("drift.relative_spread", 1e-6), WithSpread(1e-6)).passed());
  EXPECT_FALSE(Judge(Max("drift.relative_spread", 1e-6), WithSpread(1.0000001e-6)).passed());
  EXPECT_TRUE(Judge(Min("drift.relative_spread", 0.5), WithSpread(0.5)).passed());
  EXPECT_FALSE(Judge(Min("drift.relative_spread", 0.5), WithSpread(0.49)).passed());
  v1::Threshold both = Max("drift.relative_spread", 0.6);
  both.set_min(0.4);
  EXPECT_TRUE(Judge(both, WithSpread(0.5)).passed());
  EXPECT_FALSE(Judge(both, WithSpread(0.7)).passed());
  EXPECT_FALSE(Judge(both, WithSpread(0.3)).passed());
  EXPECT_EQ(Judge(both, WithSpread(0.3)).limit(), "min 0.4, max 0.6");
}

TEST(Thresholds, NanNeverPasses) {
  EXPECT_FALSE(Judge(Max("drift.relative_spread", 1e9), WithSpread(kNan)).passed());
  EXPECT_FALSE(Judge(Min("drift.relative_spread", -1e9), WithSpread(kNan)).passed());
}

// A threshold over nothing is a breach with a word of its own, whatever its limits are.
void ExpectUntested(const std::string& metric, const v1::RunReport& report, const std::string& at = "end") {
  for (v1::Threshold threshold : {Max(metric, 1e18), Min(metric, -1e18)}) {
    threshold.set_at(at);
    const v1::ThresholdResult result = Judge(threshold, report);
    EXPECT_FALSE(result.passed()) << metric;
    EXPECT_NE(result.untested(), "") << metric;
    EXPECT_EQ(VerdictWord(result), "UNTESTED") << metric;
    EXPECT_TRUE(std::isnan(result.value())) << metric;
  }
}

TEST(Thresholds, OverNothingAreUntested) {
  v1::RunReport report;
  v1::Summary* s = report.mutable_summary();
  // Nobody is there, nothing was accepted, no message was sent.
  s->mutable_bandwidth()->set_loss_ratio(kNan);
  s->mutable_ledger()->set_effective_error_at_start(kNan);
  for (const char* metric :
       {"ledger.missing_uvu", "ledger.excess_uvu", "ledger.cycles_to_1ppm", "ledger.contributions_pending",
        "drift.reduction_per_cycle", "drift.cycles_to_1ppm", "bandwidth.loss_ratio", "vaultguard.refused_total",
        "vaultguard.clamped_total", "vaultguard.anomalies_total", "resident_bytes_per_micro_node"}) {
    ExpectUntested(metric, report);
  }
  s->mutable_drift()->set_relative_spread(kNan);
  s->mutable_drift()->set_honest_bias_relative(kNan);
  s->mutable_drift()->set_sampling_error_relative(kNan);
  s->mutable_drift()->set_vector_variance(kNan);
  s->mutable_ledger()->set_effective_error_relative(kNan);
  s->mutable_bandwidth()->set_bytes_per_node_minute(kNan);
  s->mutable_bandwidth()->set_average_bytes_per_node_minute(kNan);
  // The regions' distance is absent, as in a summary of an older build.
  for (const char* metric :
       {"drift.relative_spread", "drift.honest_bias_relative", "drift.sampling_error_relative",
        "drift.region_distance_relative", "drift.vector_variance", "ledger.effective_error_relative",
        "bandwidth.bytes_per_node_minute", "bandwidth.average_bytes_per_node_minute"}) {
    ExpectUntested(metric, report);
    ExpectUntested(metric, report, "5s");
  }
  EXPECT_EQ(VerdictWord(Judge(Min("micro_nodes_alive", 1), report)), "BREACHED") << "none is a number here";
}

TEST(Thresholds, MissingIsTestedByWhatWasAcknowledged) {
  v1::RunReport report;
  v1::LedgerFigures* ledger = report.mutable_summary()->mutable_ledger();
  ledger->set_accepted_uvu(1000);
  EXPECT_TRUE(Judge(Max("ledger.missing_uvu", 0), report).passed()) << "the opening balance alone";
  ledger->set_contributions_offered(550);
  ledger->set_contributions_pending(550);
  ExpectUntested("ledger.missing_uvu", report);
  EXPECT_FALSE(Judge(Min("ledger.contributions", 1), report).passed()) << "offered is not accepted";
  ledger->set_missing_uvu(1);
  EXPECT_EQ(VerdictWord(Judge(Max("ledger.missing_uvu", 0), report)), "BREACHED") << "a loss is a loss";
  ledger->set_missing_uvu(0);
  ledger->set_contributions(1);
  EXPECT_TRUE(Judge(Max("ledger.missing_uvu", 0), report).passed());
}

TEST(Thresholds, FromATimeOnCountsWhatCameLater) {
  v1::RunReport report;
  for (int i = 0; i <= 10; ++i) {
    auto& sample = *report.add_samples();
    sample.set_seconds(0.1 * i);
    sample.set_anomalies(i < 5 ? 10 : 1);
    sample.set_offline_events(2);
  }
  v1::Threshold threshold = Min("vaultguard.anomalies_total", 6);
  threshold.set_from("500ms");
  EXPECT_EQ(Judge(threshold, report).value(), 6);
  EXPECT_EQ(Judge(threshold, report).when(), "from 500ms");
  EXPECT_TRUE(Judge(threshold, report).passed());
  threshold.set_metric("swarm.left");
  EXPECT_EQ(Judge(threshold, report).value(), 12);
  threshold.set_from("2s");
  EXPECT_EQ(VerdictWord(Judge(threshold, report)), "UNTESTED") << "no row is that late";
}

TEST(Thresholds, NeverBreachesEveryMax) {
  v1::RunReport report;
  report.mutable_summary()->mutable_drift()->set_cycles_to_1ppm(-1);
  report.mutable_summary()->mutable_ledger()->set_cycles_to_1ppm(-1);
  report.mutable_summary()->mutable_drift()->set_value_spread_at_start_vu(58);
  report.mutable_summary()->mutable_ledger()->set_effective_error_at_start(0.1);
  EXPECT_FALSE(Judge(Max("drift.cycles_to_1ppm", 1e9), report).passed());
  EXPECT_FALSE(Judge(Max("ledger.cycles_to_1ppm", 1e9), report).passed());
  EXPECT_TRUE(Judge(Min("drift.cycles_to_1ppm", 10), report).passed()) << "never takes at least ten cycles";
  report.mutable_summary()->mutable_drift()->set_cycles_to_1ppm(17);
  EXPECT_TRUE(Judge(Max("drift.cycles_to_1ppm", 18), report).passed());
}

TEST(Thresholds, RecoveryIsTheWorstOfItsKind) {
  v1::RunReport report;
  const auto add = [&report](const std::string& after, double seconds) {
    auto& recovery = *report.mutable_summary()->add_recoveries();
    recovery.set_after(after);
    recovery.set_seconds(seconds);
  };
  v1::Threshold threshold;
  threshold.set_metric("recovery.seconds");
  threshold.set_after("partition");
  threshold.set_max(5);
  EXPECT_EQ(VerdictWord(Judge(threshold, report)), "UNTESTED") << "nothing was measured";
  add("partition", 2);
  add("outage", 60);
  EXPECT_TRUE(Judge(threshold, report).passed());
  add("partition", 4.5);
  EXPECT_DOUBLE_EQ(Judge(threshold, report).value(), 4.5);
  EXPECT_EQ(Judge(threshold, report).when(), "after partition");
  EXPECT_EQ(Judge(threshold, report).limit(), "max 5s");
  add("partition", -1);
  EXPECT_EQ(VerdictWord(Judge(threshold, report)), "BREACHED") << "one did not recover";
  threshold.clear_max();
  threshold.set_min(0);
  EXPECT_FALSE(Judge(threshold, report).passed()) << "never is not a time";
}

TEST(Thresholds, AtATimeReadsTheLastRowNotLater) {
  v1::RunReport report;
  for (int i = 1; i <= 10; ++i) {
    auto& sample = *report.add_samples();
    sample.set_seconds(0.1 * i);
    sample.set_value_spread_relative(1.0 / i);
    sample.set_free_spread_relative(0.5 / i);
  }
  v1::Threshold threshold = Max("drift.relative_spread", 1);
  threshold.set_at("300ms");
  EXPECT_DOUBLE_EQ(Judge(threshold, report).value(), 1.0 / 3);
  threshold.set_at("0.35s");
  EXPECT_DOUBLE_EQ(Judge(threshold, report).value(), 1.0 / 3);
  threshold.set_at("1ms");
  EXPECT_FALSE(Judge(threshold, report).passed()) << "before the first row there is no value";
  EXPECT_FALSE(Judge(threshold, v1::RunReport()).passed());
}

TEST(Thresholds, AnIncompleteRunNeverPasses) {
  v1::Scenario scenario;
  *scenario.add_thresholds() = Max("drift.relative_spread", 1);
  v1::Threshold late = Max("drift.relative_spread", 1);
  late.set_at("20s");
  *scenario.add_thresholds() = late;
  v1::RunReport report = WithSpread(0);
  report.add_samples()->set_seconds(10);
  JudgeThresholds(scenario, &report);
  EXPECT_FALSE(report.summary().passed());
  EXPECT_TRUE(report.summary().thresholds(0).passed());
  EXPECT_FALSE(report.summary().thresholds(1).passed()) << "the run did not get there";
  // Judging again replaces the first judgement.
  report.mutable_summary()->set_complete(true);
  JudgeThresholds(v1::Scenario(), &report);
  EXPECT_EQ(report.summary().thresholds_size(), 0);
  EXPECT_TRUE(report.summary().passed());
}

TEST(Thresholds, TotalsAreSums) {
  v1::RunReport report;
  (*report.mutable_summary()->mutable_vaultguard()->mutable_refused())["nan"] = 3;
  (*report.mutable_summary()->mutable_vaultguard()->mutable_refused())["stale"] = 4;
  (*report.mutable_summary()->mutable_vaultguard()->mutable_anomalies())["drain"] = 2;
  EXPECT_EQ(Judge(Min("vaultguard.refused_total", 7), report).value(), 7);
  EXPECT_EQ(Judge(Min("vaultguard.anomalies_total", 1), report).value(), 2);
}

TEST(Metrics, ValuesAsAPersonWritesThem) {
  const auto text = [](const char* name, double value) { return FormatMetric(*FindMetric(name), value); };
  EXPECT_EQ(text("recovery.seconds", 3.25), "3.25s");
  EXPECT_EQ(text("recovery.seconds", -1), "never");
  EXPECT_EQ(text("bandwidth.bytes_per_node_minute", 41'300), "41.3KB");
  EXPECT_EQ(text("resident_bytes_per_micro_node", 812), "812B");
  EXPECT_EQ(text("ledger.missing_uvu", 0), "0");
  EXPECT_EQ(text("ledger.missing_uvu", 3), "3uVU");
  EXPECT_EQ(text("ledger.accepted_uvu", 2.5e6), "2.5VU");
  EXPECT_EQ(text("ledger.accepted_uvu", 1'234'567'890), "1234.56789VU") << "to the micro-VU";
  EXPECT_EQ(text("ledger.accepted_uvu", 1'234'567'891), "1234.567891VU");
  EXPECT_EQ(text("ledger.accepted_uvu", 1e12), "1000000VU");
  EXPECT_EQ(text("ledger.accepted_uvu", 3e18), "3000000000000VU");
  EXPECT_EQ(text("drift.relative_spread", 1e-6), "1e-06");
  EXPECT_EQ(text("drift.cycles_to_1ppm", 18), "18");
  EXPECT_EQ(text("drift.relative_spread", kNan), "none");
}

TEST(Metrics, UnitsThatFit) {
  const auto fits = [](const char* name, Dimension dimension, double limit) {
    return DimensionFits(*FindMetric(name), dimension, limit);
  };
  EXPECT_TRUE(fits("recovery.seconds", Dimension::kTime, 5));
  EXPECT_TRUE(fits("recovery.seconds", Dimension::kNone, 0));
  EXPECT_FALSE(fits("recovery.seconds", Dimension::kNone, 5));
  EXPECT_FALSE(fits("recovery.seconds", Dimension::kBytes, 5));
  EXPECT_TRUE(fits("ledger.missing_uvu", Dimension::kValue, 5));
  EXPECT_FALSE(fits("ledger.missing_uvu", Dimension::kShare, 0));
  EXPECT_TRUE(fits("drift.relative_spread", Dimension::kShare, 0.1));
  EXPECT_TRUE(fits("drift.relative_spread", Dimension::kNone, 0.1));
  EXPECT_FALSE(fits("drift.cycles_to_1ppm", Dimension::kTime, 18));
}

}  // namespace
}  // namespace lvs::services
