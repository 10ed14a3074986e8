// Scenarios for the tests, and runs of them.
//
//   v1::Scenario scenario = Shipped("phase2");
//   scenario.set_rule(v1::PLAIN);
//   const v1::RunReport report = Emulated(scenario);        // judged
//   EXPECT_TRUE(NothingLost(report));
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lvs/v1/report.pb.h"
#include "lvs/v1/scenario.pb.h"
#include "services/emulator/emulator.h"

namespace lvs {

// The names of all shipped scenarios, and those among them that take more than three seconds.
std::vector<std::string> ShippedNames();
std::vector<std::string> SlowNames();
std::vector<std::string> QuickNames();

// A shipped scenario, complete. Its comment lines are the file's text.
v1::Scenario Shipped(const std::string& name);
std::string ShippedText(const std::string& name);

// A scenario from the text of a file.
v1::Scenario Parse(const std::string& text);
// The same network for most tests: 100 micro-nodes in three regions, 30 seconds, contributions, no event. `events` are
// lines such as "{at: 2s, for: 3s, outage: {region: us}}".
v1::Scenario Network(const std::vector<std::string>& events = {}, std::uint64_t seed = 3);

// Runs and judges; throws where it cannot be run, and so do those above where a file is not sound.
v1::RunReport Emulated(const v1::Scenario& scenario, const services::EmulationOptions& options = {});

// Every threshold held; else which did not.
::testing::AssertionResult Passed(const v1::RunReport& report);
// To the last micro-VU: held == accepted, nothing missing, nothing pending.
::testing::AssertionResult NothingLost(const v1::RunReport& report);
// What the same clients have accepted where nothing happens and no message is lost: the truth that a run is held
// against.
std::uint64_t UndisturbedAcceptedUvu(const v1::Scenario& scenario);

// The last sample at or before this time.
const v1::Sample& SampleAt(const v1::RunReport& report, double seconds);
std::uint64_t Refused(const v1::RunReport& report, const std::string& reason);
std::uint64_t Anomalies(const v1::RunReport& report);
// The worst recovery after events of this kind, as thresholds see it.
double RecoverySeconds(const v1::RunReport& report, const std::string& kind);
// The share of adversaries among the replicas in the picture that was taken at this time.
double HostileShare(const v1::RunReport& report, double seconds);

// A parameter's name for GoogleTest: letters, digits and underscores.
std::string TestName(std::string name);

}  // namespace lvs
