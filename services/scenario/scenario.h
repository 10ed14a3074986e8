// Loads a scenario file, fills in every default, and checks that it can be run.
//
//   absl::StatusOr<LoadedScenario> loaded = LoadScenario("phase2");            // a path, or the name of a shipped one
//   if (!loaded.ok()) std::cerr << loaded.status().message();                  // "phase2.yaml:12: links.within.loss: ..."
//   Emulate(loaded->scenario, {});                                             // complete: nothing is left unset
//
// Errors: INVALID_ARGUMENT where the file must be mended (the message names file, line, path and the mend); NOT_FOUND,
// PERMISSION_DENIED, FAILED_PRECONDITION where it cannot be read. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/scenario.pb.h"
#include "services/base/shape_limits.h"
#include "services/base/yaml_proto.h"
#include "vaultguard/limits.h"

namespace lvs::services {

// ---- Defaults and limits: the one place ----------------------------------------------------------------------------

// Parameters of the drift step (docs/protocol.md measures them).
struct DriftDefaults {
  std::uint32_t peers = 8;
  double alpha = 0.02;
  double beta = 0.9;
  double ledger_weight = 8;
  double bound_factor = 3;
  double shuffle = 0.01;
};

struct ScenarioDefaults {
  std::uint64_t seed = 1;
  std::uint32_t shards = 16;
  std::uint32_t value_slots = 2;
  std::uint32_t free_coordinates = 2;
  std::uint32_t replicas_min = 3;  // at most the number of micro-nodes
  std::int64_t opening_balance_uvu = 1'000'000'000;
  std::int64_t value_spread_uvu = 100'000'000;  // at most the opening balance
  double coordinate_range = 200;
  std::uint32_t shards_per_node = 4;  // at most state.shards
  std::string_view region = "local";
  std::int64_t period_us = 100'000;
  std::int64_t settle_us = 5'000'000;  // at most half the run
  std::int64_t between_latency_us = 80'000;
  double sessions_per_contribution_rate = 4;
  std::uint32_t acknowledge_nodes = 2;  // at most the number of regions
  DriftDefaults drift;
};

struct ScenarioLimits : ShapeLimits {
  std::uint32_t regions_max = 64;
  std::uint32_t peers_max = vaultguard::kMaxPeers;
  std::int64_t period_us_min = 1'000;
  std::int64_t period_us_max = 60'000'000;
  std::uint32_t cycles_max = 10'000'000;
  double contributions_per_second_max = 1e6;
  std::uint32_t sessions_max = 10'000'000;
};
inline constexpr ScenarioLimits kScenarioLimits;

// ---- Loading -------------------------------------------------------------------------------------------------------

struct LoadedScenario {
  v1::Scenario scenario;           // complete and valid
  std::filesystem::path file;      // where it was found
  std::string text;                // as it is in the file
  std::vector<std::string> notes;  // what an override changed besides what it says
};

// What the command line may change. A run shortened by `cycles` loses the events and thresholds that lie beyond its
// end, each with a note, instead of failing.
struct ScenarioOverrides {
  std::optional<std::uint64_t> seed;
  std::optional<std::uint32_t> cycles;
};

// `path_or_name`: a file, or the bare name of a shipped scenario ("phase2"), looked for in ScenarioDirectories().
absl::StatusOr<LoadedScenario> LoadScenario(std::string_view path_or_name, const ScenarioOverrides& overrides = {});

// The same for text that is already in memory; `name` is what errors call it.
absl::StatusOr<LoadedScenario> ParseScenario(std::string_view text, std::string_view name,
                                             const ScenarioOverrides& overrides = {});

// Where shipped scenarios are looked for, first match wins: ./deploy/scenarios, the source tree that the binary was
// built from, ../share/lvs/scenarios beside the binary.
std::vector<std::filesystem::path> ScenarioDirectories();

// Every shipped scenario file, sorted by name; the first directory that has a name wins.
std::vector<std::filesystem::path> ShippedScenarios();

// ---- The two steps, for scenarios that are made in code -------------------------------------------------------------

// Fills in what is unset, so that nobody downstream asks has_x(). Links.between becomes one row for every unordered
// pair of regions, each event's `for` the time to the end of the run. With an origin, a 0 in the file stays 0 (and is
// refused by ValidateScenario); without one, 0 means unset, except for state.free_coordinates, where 0 means none.
// Idempotent.
void FillDefaults(v1::Scenario* scenario, const YamlOrigin* origin = nullptr);

// Checks a complete scenario. The first problem is returned, with its line where `origin` has one.
absl::Status ValidateScenario(const v1::Scenario& scenario, const YamlOrigin& origin = {});

// The kind of an event, as a file writes it: "partition".
std::string EventKind(const v1::Event& event);

// One line for people: "partition eu | us asia".
std::string DescribeEvent(const v1::Event& event);

inline std::int64_t RunLengthUs(const v1::Scenario& scenario) {
  return scenario.cycle().period_us() * static_cast<std::int64_t>(scenario.cycle().count());
}

}  // namespace lvs::services
