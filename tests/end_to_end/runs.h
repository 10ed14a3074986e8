// Scenarios for the end-to-end tests, and helpers that run them.
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

// The names of all shipped scenarios; SlowNames are those that take more than three seconds, QuickNames the others.
std::vector<std::string> ShippedNames();
std::vector<std::string> SlowNames();
std::vector<std::string> QuickNames();

// A shipped scenario, complete. ShippedText is the file's text, with its comment lines.
v1::Scenario Shipped(const std::string& name);
std::string ShippedText(const std::string& name);

// Parses a scenario from the text of a file.
v1::Scenario Parse(const std::string& text);
// The network that most tests use: 100 micro-nodes in three regions, 30 seconds, contributions, and `events`, which are
// lines such as "{at: 2s, for: 3s, outage: {region: us}}".
v1::Scenario Network(const std::vector<std::string>& events = {}, std::uint64_t seed = 3);

// Runs a scenario and judges it. Throws where the scenario cannot be run; the functions above throw for an invalid
// file.
v1::RunReport Emulated(const v1::Scenario& scenario, const services::EmulationOptions& options = {});

// Succeeds if every threshold held; a failure names those that did not.
::testing::AssertionResult Passed(const v1::RunReport& report);
// Succeeds if held == accepted to the last micro-VU, with nothing missing and nothing pending.
::testing::AssertionResult NothingLost(const v1::RunReport& report);
// The amount accepted from the same clients in a run without events and without message loss. Disturbed runs are
// compared with this amount.
std::uint64_t UndisturbedAcceptedUvu(const v1::Scenario& scenario);

// Returns the last sample at or before this time.
const v1::Sample& SampleAt(const v1::RunReport& report, double seconds);
std::uint64_t Refused(const v1::RunReport& report, const std::string& reason);
std::uint64_t Anomalies(const v1::RunReport& report);
// The worst recovery after events of this kind, computed as for thresholds.
double RecoverySeconds(const v1::RunReport& report, const std::string& kind);
// The share of adversaries among the replicas in the picture taken at this time.
double HostileShare(const v1::RunReport& report, double seconds);

// Turns a name into one that GoogleTest accepts for a parameter: letters, digits and underscores.
std::string TestName(std::string name);

}  // namespace lvs
