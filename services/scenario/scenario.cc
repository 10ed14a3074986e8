#include "services/scenario/scenario.h"

#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#ifndef LVS_SCENARIO_DIR
#define LVS_SCENARIO_DIR ""
#endif

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

// Takes out what lies beyond the end of a run that the command line made shorter, and says so.
std::vector<std::string> DropWhatIsBeyondTheEnd(v1::Scenario& scenario, std::int64_t settle_us) {
  std::vector<std::string> notes;
  const std::int64_t run_us = RunLengthUs(scenario);
  const std::string end = "the end of the run (" + FormatDurationUs(run_us) + ")";
  if (scenario.cycle().has_settle_us() && settle_us > run_us) {
    scenario.mutable_cycle()->set_settle_us(run_us / 2);
    notes.push_back("cycle.settle is shortened to " + FormatDurationUs(run_us / 2) + ", half the run");
  }
  std::set<std::string> ending;
  auto* events = scenario.mutable_events();
  for (auto event = events->begin(); event != events->end();) {
    if (event->at_us() >= run_us) {
      notes.push_back("dropped: " + DescribeEvent(*event) + " at " + FormatDurationUs(event->at_us()) + ", after " +
                      end);
      event = events->erase(event);
      continue;
    }
    if (event->for_us() > run_us - event->at_us()) {
      notes.push_back("cut short by " + end + ": " + DescribeEvent(*event));
      event->set_for_us(run_us - event->at_us());
    }
    if (event->for_us() > 0 && event->at_us() + event->for_us() < run_us) ending.insert(EventKind(*event));
    ++event;
  }
  auto* thresholds = scenario.mutable_thresholds();
  for (auto threshold = thresholds->begin(); threshold != thresholds->end();) {
    const bool counts = !threshold->from().empty();
    const auto at_us = ParseDurationUs(counts ? threshold->from() : threshold->at());
    const bool too_late = at_us.ok() && (counts ? *at_us >= run_us : *at_us > run_us);
    const bool no_event = !threshold->after().empty() && !ending.contains(threshold->after());
    if (too_late || no_event) {
      notes.push_back("dropped: the threshold on " + threshold->metric() +
                      (!too_late ? " after " + threshold->after()
                       : counts  ? " from " + threshold->from()
                                 : " at " + threshold->at()) +
                      ", after " + end);
      threshold = thresholds->erase(threshold);
    } else {
      ++threshold;
    }
  }
  return notes;
}

fs::path BinaryDirectory() {
  std::error_code error;
  const fs::path binary = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path() : binary.parent_path();
}

// A bare name ("phase2") is looked for among the shipped scenarios, unless there is such a file here.
absl::StatusOr<fs::path> FindScenario(std::string_view path_or_name) {
  const std::string name(path_or_name);
  std::error_code error;
  const fs::path path(name);
  const bool bare = name.find('/') == std::string::npos && path.extension() != ".yaml" && path.extension() != ".yml";
  if (!bare || fs::is_regular_file(path, error)) return path;
  std::vector<std::string> names;
  for (const fs::path& shipped : ShippedScenarios()) {
    if (shipped.stem() == name) return shipped;
    names.push_back(shipped.stem().string());
  }
  const std::string near = Nearest(name, names);
  return absl::NotFoundError(name + ": no such file, and no scenario of this name is shipped" +
                             (near.empty() ? "" : "; did you mean " + near + "?") +
                             (names.empty() ? "" : (near.empty() ? "; there are " : " There are ") + JoinWords(names)));
}

}  // namespace

absl::StatusOr<LoadedScenario> ParseScenario(std::string_view text, std::string_view name,
                                             const ScenarioOverrides& overrides) {
  LoadedScenario loaded;
  loaded.file = name;
  loaded.text = text;
  v1::Scenario written;
  const absl::StatusOr<YamlOrigin> origin = ParseYaml(text, name, &written);
  if (!origin.ok()) return origin.status();
  loaded.scenario = written;
  FillDefaults(&loaded.scenario, &*origin);
  if (absl::Status status = ValidateScenario(loaded.scenario, *origin); !status.ok()) return status;

  if (overrides.cycles && *overrides.cycles != written.cycle().count()) {
    // The file is sound as it stands. Now the length changes, and defaults and checks that depend on it run again.
    const std::int64_t settle_us = written.cycle().settle_us();
    written.mutable_cycle()->set_count(*overrides.cycles);
    written.mutable_cycle()->set_period_us(loaded.scenario.cycle().period_us());
    // Indices no longer match the lines of the file, but keys that the file gives as 0 must stay 0.
    loaded.notes = DropWhatIsBeyondTheEnd(written, settle_us);
    YamlOrigin given = *origin;
    std::erase_if(given.lines, [](const auto& entry) { return entry.first.starts_with("events["); });
    FillDefaults(&written, &given);
    loaded.scenario = written;
    YamlOrigin nowhere;
    if (absl::Status status = ValidateScenario(loaded.scenario, nowhere); !status.ok()) {
      return absl::InvalidArgumentError(std::string(name) + " with --cycles " + std::to_string(*overrides.cycles) +
                                        ": " + std::string(status.message()));
    }
  }
  if (overrides.seed) loaded.scenario.set_seed(*overrides.seed);
  return loaded;
}

absl::StatusOr<LoadedScenario> LoadScenario(std::string_view path_or_name, const ScenarioOverrides& overrides) {
  const absl::StatusOr<fs::path> file = FindScenario(path_or_name);
  if (!file.ok()) return file.status();
  const absl::StatusOr<std::string> text = ReadTextFile(*file);
  if (!text.ok()) return text.status();
  return ParseScenario(*text, file->string(), overrides);
}

std::vector<fs::path> ScenarioDirectories() {
  std::vector<fs::path> directories{"deploy/scenarios"};
  if (const fs::path built_from = LVS_SCENARIO_DIR; !built_from.empty()) directories.push_back(built_from);
  if (const fs::path binary = BinaryDirectory(); !binary.empty()) {
    directories.push_back(binary.parent_path() / "share/lvs/scenarios");
  }
  return directories;
}

std::vector<fs::path> ShippedScenarios() {
  std::map<std::string, fs::path> by_name;
  for (const fs::path& directory : ScenarioDirectories()) {
    const absl::StatusOr<std::vector<fs::path>> entries = FolderEntries(directory);
    if (!entries.ok()) continue;
    for (const fs::path& entry : *entries) {
      if (entry.extension() == ".yaml") by_name.emplace(entry.stem().string(), entry);
    }
  }
  std::vector<fs::path> files;
  for (const auto& [name, file] : by_name) files.push_back(file);
  return files;
}
}  // namespace lvs::services
