// Tests of every file in deploy/scenarios against its own thresholds and against the promises in its comments.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/end_to_end/runs.h"

namespace lvs {
namespace {

const auto kName = [](const auto& test) { return TestName(test.param); };

class ShippedQuick : public ::testing::TestWithParam<std::string> {};

TEST_P(ShippedQuick, PassesItsThresholds) { EXPECT_TRUE(Passed(Emulated(Shipped(GetParam())))); }

TEST_P(ShippedQuick, NothingLost) {
  const v1::Scenario scenario = Shipped(GetParam());
  const v1::RunReport report = Emulated(scenario);
  EXPECT_TRUE(NothingLost(report));
  EXPECT_EQ(report.summary().ledger().accepted_uvu(), UndisturbedAcceptedUvu(scenario))
      << "what the clients earned, whatever happened to the network";
}

INSTANTIATE_TEST_SUITE_P(Scenario, ShippedQuick, ::testing::ValuesIn(QuickNames()), kName);

class ShippedFull : public ::testing::TestWithParam<std::string> {};

TEST_P(ShippedFull, PassesItsThresholdsAndNothingIsLost) {
  const v1::RunReport report = Emulated(Shipped(GetParam()));
  EXPECT_TRUE(Passed(report));
  EXPECT_TRUE(NothingLost(report));
}

INSTANTIATE_TEST_SUITE_P(Scenario, ShippedFull, ::testing::ValuesIn(SlowNames()), kName);

class OtherSeedsFull : public ::testing::TestWithParam<std::string> {};

TEST_P(OtherSeedsFull, PassesItsThresholdsAndNothingIsLost) {
  v1::Scenario scenario = Shipped(GetParam());
  const std::uint64_t first = scenario.seed() + 1000;
  const std::uint64_t seeds = scenario.population().micro_nodes() > 250'000 ? 1 : 5;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    SCOPED_TRACE(seed);
    scenario.set_seed(seed);
    const v1::RunReport report = Emulated(scenario);
    EXPECT_TRUE(Passed(report));
    EXPECT_TRUE(NothingLost(report));
  }
}

INSTANTIATE_TEST_SUITE_P(Scenario, OtherSeedsFull, ::testing::ValuesIn(ShippedNames()), kName);

TEST(ShippedFiles, TheSlowOnesAreAmongThem) {
  const std::vector<std::string> names = ShippedNames();
  EXPECT_GE(names.size(), 21u);
  EXPECT_EQ(QuickNames().size(), names.size() - SlowNames().size());
}

// ---- rule: plain ----

struct Contrast {
  std::string scenario;
  std::string metric;
};

// Finds the comments "# Contrast: with `rule: plain` METRIC is breached." in the shipped scenarios.
std::vector<Contrast> Contrasts() {
  std::vector<Contrast> all;
  const std::string begin = "# Contrast: with `rule: plain` ";
  for (const std::string& name : ShippedNames()) {
    const std::string text = ShippedText(name);
    for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
      const std::size_t from = at + begin.size();
      all.push_back({name, text.substr(from, text.find(' ', from) - from)});
    }
  }
  return all;
}

bool Breached(const v1::RunReport& report, const std::string& metric) {
  bool found = false;
  for (const v1::ThresholdResult& threshold : report.summary().thresholds()) {
    if (threshold.metric() != metric) continue;
    found = true;
    if (!threshold.passed()) return true;
  }
  EXPECT_TRUE(found) << "no threshold on " << metric;
  return false;
}

TEST(PlainRuleFails, WhereTheFileSaysSoAndForThatReason) {
  std::set<std::string> scenarios;
  for (const Contrast& contrast : Contrasts()) {
    v1::Scenario scenario = Shipped(contrast.scenario);
    scenario.set_rule(v1::PLAIN);
    EXPECT_TRUE(Breached(Emulated(scenario), contrast.metric)) << contrast.scenario << ": " << contrast.metric;
    scenarios.insert(contrast.scenario);
  }
  for (const char* name : {"stubborn-one", "partition-heal", "hostile-30", "hostile-45", "clever-liars"}) {
    EXPECT_TRUE(scenarios.contains(name)) << name << " has lost its contrast";
  }
}

TEST(PlainRuleFails, StubbornOneDragsTheMeanAway) {
  v1::Scenario scenario = Shipped("stubborn-one");
  const double safe = Emulated(scenario).summary().drift().honest_bias_relative();
  scenario.set_rule(v1::PLAIN);
  const v1::RunReport plain = Emulated(scenario);
  EXPECT_TRUE(Breached(plain, "drift.honest_bias_relative"));
  EXPECT_TRUE(Breached(plain, "ledger.effective_error_relative")) << "value follows the liar too";
  EXPECT_GT(plain.summary().drift().honest_bias_relative(), 50 * safe);
}

TEST(PlainRuleFails, PartitionHealLosesWhatOneSideEarned) {
  v1::Scenario scenario = Shipped("partition-heal");
  scenario.set_rule(v1::PLAIN);
  const v1::RunReport plain = Emulated(scenario);
  EXPECT_TRUE(Breached(plain, "ledger.missing_uvu"));
  EXPECT_TRUE(Breached(plain, "recovery.seconds"));
}

TEST(PlainRuleFails, ConvergenceEndsInANoiseFloor) {
  v1::Scenario scenario = Shipped("convergence");
  scenario.set_rule(v1::PLAIN);
  const v1::RunReport plain = Emulated(scenario);
  EXPECT_TRUE(Breached(plain, "drift.cycles_to_1ppm"));
  EXPECT_TRUE(Breached(plain, "drift.reduction_per_cycle"));
  EXPECT_TRUE(Breached(plain, "ledger.cycles_to_1ppm"));
}

}  // namespace
}  // namespace lvs
