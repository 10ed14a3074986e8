#include "tests/end_to_end/runs.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "services/scenario/metrics.h"
#include "services/scenario/scenario.h"

namespace lvs {

std::vector<std::string> ShippedNames() {
  std::istringstream list(LVS_SCENARIOS);
  std::vector<std::string> names;
  for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  return names;
}

std::vector<std::string> SlowNames() { return {"convergence-100k", "million", "phase3", "scale"}; }

std::vector<std::string> QuickNames() {
  std::vector<std::string> names = ShippedNames();
  const std::vector<std::string> slow = SlowNames();
  std::erase_if(names,
                [&](const std::string& name) { return std::find(slow.begin(), slow.end(), name) != slow.end(); });
  return names;
}

std::string ShippedText(const std::string& name) {
  std::ifstream file(std::string(LVS_SCENARIO_DIR) + "/" + name + ".yaml");
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << name;
  return text.str();
}

v1::Scenario Shipped(const std::string& name) {
  const auto loaded = services::LoadScenario(std::string(LVS_SCENARIO_DIR) + "/" + name + ".yaml");
  if (!loaded.ok()) throw std::runtime_error(std::string(loaded.status().message()));
  return loaded->scenario;
}

v1::Scenario Parse(const std::string& text) {
  const auto loaded = services::ParseScenario(text, "test.yaml");
  if (!loaded.ok()) throw std::runtime_error(std::string(loaded.status().message()) + "\n" + text);
  return loaded->scenario;
}

v1::Scenario Network(const std::vector<std::string>& events, std::uint64_t seed) {
  std::string text = "name: test\nseed: " + std::to_string(seed) + R"(
state: {shards: 4}
population: {micro_nodes: 100, regions: {eu: 40%, us: 35%, asia: 25%}}
cycle: {period: 100ms, count: 300}
links: {within: {latency: 20ms, loss: 1%}}
workload: {contributions_per_second: 20, amount: {min: 0.1VU, max: 10VU}}
)";
  if (!events.empty()) text += "events:\n";
  for (const std::string& event : events) text += "  - " + event + "\n";
  return Parse(text);
}

v1::RunReport Emulated(const v1::Scenario& scenario, const services::EmulationOptions& options) {
  auto report = services::Emulate(scenario, options);
  if (!report.ok()) throw std::runtime_error(std::string(report.status().message()));
  services::JudgeThresholds(scenario, &*report);
  return *std::move(report);
}

::testing::AssertionResult Passed(const v1::RunReport& report) {
  if (report.summary().passed()) return ::testing::AssertionSuccess();
  auto failure = ::testing::AssertionFailure() << report.summary().scenario() << ", seed " << report.summary().seed();
  if (!report.summary().complete()) failure << ": not complete";
  for (const v1::ThresholdResult& t : report.summary().thresholds()) {
    if (!t.passed()) failure << "; " << t.metric() << " " << t.when() << " is " << t.value() << ", " << t.limit();
  }
  return failure;
}

::testing::AssertionResult NothingLost(const v1::RunReport& report) {
  const v1::LedgerFigures& ledger = report.summary().ledger();
  if (ledger.accepted_uvu() > 0 && ledger.missing_uvu() == 0 && ledger.held_uvu() == ledger.accepted_uvu() &&
      ledger.contributions_pending() == 0) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << report.summary().scenario() << ", seed " << report.summary().seed()
                                       << ": accepted " << ledger.accepted_uvu() << ", held " << ledger.held_uvu()
                                       << ", missing " << ledger.missing_uvu() << ", pending "
                                       << ledger.contributions_pending();
}

std::uint64_t UndisturbedAcceptedUvu(const v1::Scenario& scenario) {
  v1::Scenario quiet = scenario;
  quiet.clear_events();
  quiet.clear_thresholds();
  quiet.mutable_links()->mutable_within()->set_loss(0);
  for (v1::RegionLink& link : *quiet.mutable_links()->mutable_between()) {
    link.set_loss(0);
    link.set_duplicate(0);
    link.set_reorder(0);
  }
  const v1::RunReport report = Emulated(quiet);
  EXPECT_TRUE(NothingLost(report));
  return report.summary().ledger().accepted_uvu();
}

const v1::Sample& SampleAt(const v1::RunReport& report, double seconds) {
  const v1::Sample* last = &report.samples(0);
  for (const v1::Sample& sample : report.samples()) {
    if (sample.seconds() > seconds + 1e-6) break;
    last = &sample;
  }
  return *last;
}

std::uint64_t Refused(const v1::RunReport& report, const std::string& reason) {
  const auto& refused = report.summary().vaultguard().refused();
  const auto at = refused.find(reason);
  return at == refused.end() ? 0 : at->second;
}

std::uint64_t Anomalies(const v1::RunReport& report) {
  std::uint64_t total = 0;
  for (const auto& [kind, n] : report.summary().vaultguard().anomalies()) total += n;
  return total;
}

double RecoverySeconds(const v1::RunReport& report, const std::string& kind) {
  return services::WorstRecoverySeconds(report.summary(), kind);
}

double HostileShare(const v1::RunReport& report, double seconds) {
  const v1::Snapshot* nearest = &report.snapshots(0);
  for (const v1::Snapshot& snapshot : report.snapshots()) {
    if (std::abs(snapshot.seconds() - seconds) < std::abs(nearest->seconds() - seconds)) nearest = &snapshot;
  }
  EXPECT_NEAR(nearest->seconds(), seconds, 0.5) << "no picture of that moment";
  int hostile = 0;
  for (const v1::Dot& dot : nearest->dots()) hostile += dot.adversary() ? 1 : 0;
  return static_cast<double>(hostile) / std::max(1, nearest->dots_size());
}

std::string TestName(std::string name) {
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
}

}  // namespace lvs
