// Random scenarios, and what must hold for every one of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "services/scenario/metrics.h"
#include "tests/end_to_end/random_scenario.h"
#include "tests/end_to_end/runs.h"

namespace lvs {
namespace {

constexpr std::uint64_t kQuick = 20;
constexpr std::uint64_t kAll = 1'000;

bool IsShare(double value) { return std::isnan(value) || (value >= 0 && value <= 1); }

// One threshold on every metric that has a value at the end: what is judged must follow from what is reported.
void AddThresholds(v1::Scenario* scenario) {
  for (const services::Metric& metric : services::Metrics()) {
    if (!metric.of_summary) continue;
    v1::Threshold* threshold = scenario->add_thresholds();
    threshold->set_metric(metric.name);
    threshold->set_at("end");
    threshold->set_max(1e300);
  }
}

void ExpectVerdictFollowsFromFigures(const v1::Summary& summary) {
  bool all = true;
  for (const v1::ThresholdResult& result : summary.thresholds()) {
    const double value = services::FindMetric(result.metric())->of_summary(summary);
    EXPECT_EQ(std::isnan(value), !result.untested().empty()) << result.metric();
    const bool never = value == -1;
    EXPECT_EQ(result.passed(), !std::isnan(value) && !never) << result.metric() << " is " << value;
    all = all && result.passed();
  }
  EXPECT_EQ(summary.passed(), all);
}

// Value is exact: everything acknowledged is held everywhere, nothing else is, and every client has its answer.
void ExpectExactValue(const v1::Summary& summary) {
  const v1::LedgerFigures& ledger = summary.ledger();
  EXPECT_EQ(ledger.missing_uvu(), 0u);
  EXPECT_EQ(ledger.held_uvu(), ledger.accepted_uvu());
  EXPECT_EQ(ledger.excess_uvu(), 0u);
  EXPECT_EQ(ledger.contributions_pending(), 0u);
  EXPECT_EQ(ledger.contributions_offered(), ledger.contributions());
}

void ExpectSoundSeries(const v1::RunReport& report) {
  const v1::Summary& summary = report.summary();
  ASSERT_EQ(static_cast<std::uint64_t>(report.samples_size()), summary.cycles() + 1);
  std::uint64_t accepted = 0;
  for (const v1::Sample& sample : report.samples()) {
    EXPECT_GE(sample.accepted_uvu(), accepted) << "what was acknowledged was taken back in cycle " << sample.cycle();
    accepted = sample.accepted_uvu();
    EXPECT_TRUE(IsShare(sample.loss_ratio())) << sample.cycle();
    EXPECT_TRUE(IsShare(sample.mean_trust())) << sample.cycle();
    EXPECT_FALSE(sample.effective_error_relative() < 0) << sample.cycle();
  }
  const v1::Sample& last = *report.samples().rbegin();
  EXPECT_EQ(last.accepted_uvu(), summary.ledger().accepted_uvu());
  EXPECT_EQ(last.behind_uvu(), summary.ledger().missing_uvu());
  EXPECT_EQ(last.alive(), summary.micro_nodes_alive());
  for (const v1::RecoveryTime& recovery : summary.recoveries()) {
    EXPECT_LE(recovery.ended_at_seconds() + std::max(0.0, recovery.seconds()), summary.virtual_seconds() + 1e-6);
  }
}

void ExpectInvariants(std::uint64_t number) {
  v1::Scenario scenario = RandomScenario(number);
  SCOPED_TRACE("random scenario " + std::to_string(number) + "\n" + scenario.DebugString());
  AddThresholds(&scenario);
  services::EmulationOptions options;
  options.threads = 1;
  const v1::RunReport report = Emulated(scenario, options);
  const v1::Summary& summary = report.summary();
  EXPECT_TRUE(summary.complete());
  EXPECT_EQ(summary.cycles(), scenario.cycle().count());
  EXPECT_EQ(summary.micro_nodes_alive(), MicroNodesAtTheEnd(scenario));
  ExpectExactValue(summary);
  ExpectSoundSeries(report);
  ExpectVerdictFollowsFromFigures(summary);
  options.threads = 2;
  EXPECT_EQ(Emulated(scenario, options).summary().state_hash(), summary.state_hash()) << "a replay differs";
}

TEST(RandomScenarios, KeepEveryInvariant) {
  for (std::uint64_t number = 0; number < kQuick; ++number) ExpectInvariants(number);
}

class RandomScenariosFull : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomScenariosFull, KeepEveryInvariant) {
  constexpr std::uint64_t kPart = kAll / 10;
  for (std::uint64_t n = 0; n < kPart; ++n) ExpectInvariants(GetParam() * kPart + n);
}

INSTANTIATE_TEST_SUITE_P(Tenth, RandomScenariosFull, ::testing::Range(std::uint64_t{0}, std::uint64_t{10}));

// ---- Nobody lies ----

constexpr std::uint64_t kHonestQuick = 4;
constexpr std::uint64_t kHonestAll = 200;
constexpr std::uint64_t kHonestParts = 20;

// |Si - Sj| -> 0 wherever all hear each other in the end, whatever kept them apart before.
void ExpectAgreement(std::uint64_t number) {
  const v1::Scenario scenario = RandomHonestNetwork(number);
  SCOPED_TRACE("random honest network " + std::to_string(number) + "\n" + scenario.DebugString());
  services::EmulationOptions options;
  options.threads = 1;
  const v1::Summary summary = Emulated(scenario, options).summary();
  EXPECT_EQ(summary.micro_nodes_alive(), scenario.population().micro_nodes());
  EXPECT_LE(summary.drift().relative_spread(), 1e-6);
  EXPECT_TRUE(std::isnan(summary.drift().honest_bias_relative())) << "nobody lied";
}

TEST(HonestNetworks, Paper6_WhoeverHearsEachOtherInTheEndAgrees) {
  for (std::uint64_t number = 0; number < kHonestQuick; ++number) ExpectAgreement(number);
}

class HonestNetworksFull : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(HonestNetworksFull, Paper6_WhoeverHearsEachOtherInTheEndAgrees) {
  constexpr std::uint64_t kPart = kHonestAll / kHonestParts;
  for (std::uint64_t n = 0; n < kPart; ++n) ExpectAgreement(GetParam() * kPart + n);
}

INSTANTIATE_TEST_SUITE_P(Part, HonestNetworksFull, ::testing::Range(std::uint64_t{0}, kHonestParts));

}  // namespace
}  // namespace lvs
