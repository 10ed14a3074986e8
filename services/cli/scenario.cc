// `lvs scenario`: lists, checks and explains scenario files.
#include "services/scenario/scenario.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "services/base/yaml_describe.h"
#include "services/cli/cli.h"
#include "services/cli/commands.h"
#include "services/cli/output.h"
#include "services/client/contribution.h"
#include "services/scenario/metrics.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

int ListScenarios(const std::string& format, std::ostream& out, std::ostream& err) {
  const std::vector<fs::path> files = ShippedScenarios();
  if (files.empty()) {
    err << "lvs: no scenarios found; looked in:\n";
    for (const fs::path& directory : ScenarioDirectories()) err << "  " << directory.string() << "\n";
    return kExitCouldNotRun;
  }
  int exit_code = kExitPassed;
  Rows rows{{"name", "nodes", "regions", "length", "about"}};
  Json list = Json::array();
  for (const fs::path& file : files) {
    const absl::StatusOr<LoadedScenario> loaded = LoadScenario(file.string());
    if (!loaded.ok()) {
      exit_code = Fail(err, loaded.status());
      continue;
    }
    const v1::Scenario& scenario = loaded->scenario;
    rows.push_back({file.stem().string(), FormatGrouped(scenario.population().micro_nodes()),
                    std::to_string(scenario.population().regions_size()), FormatDurationUs(RunLengthUs(scenario)),
                    scenario.about()});
    list.push_back({{"name", file.stem().string()},
                    {"file", file.string()},
                    {"micro_nodes", scenario.population().micro_nodes()},
                    {"regions", scenario.population().regions_size()},
                    {"cycles", scenario.cycle().count()},
                    {"seconds", static_cast<double>(RunLengthUs(scenario)) / 1e6},
                    {"about", scenario.about()}});
  }
  if (format == "json") {
    out << JsonText(list, 2) << "\n";
  } else {
    PrintTable(out, rows);
    out << "\nRun one with `lvs run NAME`; `lvs scenario explain NAME` says what it does.\n";
  }
  return exit_code;
}

int ValidateScenarios(const std::vector<std::string>& files, std::ostream& out, std::ostream& err) {
  int exit_code = kExitPassed;
  for (const std::string& file : files) {
    const absl::StatusOr<LoadedScenario> loaded = LoadScenario(file);
    if (!loaded.ok()) {
      exit_code = std::max(exit_code, Fail(err, loaded.status()));
      continue;
    }
    const v1::Scenario& scenario = loaded->scenario;
    out << loaded->file.string() << ": ok: " << scenario.name() << ", "
        << FormatCount(scenario.population().micro_nodes(), "micro-node") << ", "
        << FormatCount(static_cast<std::uint64_t>(scenario.events_size()), "event") << ", "
        << FormatCount(static_cast<std::uint64_t>(scenario.thresholds_size()), "threshold") << "\n";
  }
  return exit_code;
}

std::string UnitText(const Metric& metric) {
  switch (metric.unit) {
    case MetricUnit::kSeconds: return "time";
    case MetricUnit::kBytes: return "bytes";
    case MetricUnit::kValue: return "value";
    case MetricUnit::kRatio: return "ratio";
    case MetricUnit::kCycles: return "cycles";
    case MetricUnit::kFactor: return "factor";
    case MetricUnit::kVariance: return "VU squared";
    case MetricUnit::kRate: return "a second";
    case MetricUnit::kCount: break;
  }
  return "count";
}

// Explains the format, when no file is given: all keys, units, attacks and metrics.
void ExplainFormat(std::ostream& out) {
  out << "A scenario file is YAML. Every number that has a unit must carry it; other keys than these are refused.\n\n"
      << DescribeYaml(*v1::Scenario::descriptor())
      << "\nMetrics that a threshold may name. `at:` takes a time (20s) for those with a time series, and end for "
         "all.\n\n";
  Rows rows{{"metric", "takes", "limit such as", "series", "meaning"}};
  for (const Metric& metric : Metrics()) {
    rows.push_back(
        {metric.name, UnitText(metric), LimitExamples(metric), metric.of_sample ? "yes" : "-", metric.meaning});
  }
  PrintTable(out, rows);
  out << "\nAn example: deploy/scenarios/phase2.yaml. What one file does: lvs scenario explain FILE.\n";
}

template <typename Link>
std::string LinkText(const Link& link) {
  std::string text = FormatDurationUs(link.latency_us());
  if (link.jitter_us() > 0) text += " +- " + FormatDurationUs(link.jitter_us());
  if (link.loss() > 0) text += ", loss " + FormatPercent(link.loss());
  if (link.duplicate() > 0) text += ", duplicates " + FormatPercent(link.duplicate());
  if (link.reorder() > 0) text += ", reordered " + FormatPercent(link.reorder());
  return text;
}

std::string ThresholdText(const v1::Threshold& threshold) {
  const Metric& metric = *FindMetric(threshold.metric());
  std::string text;
  if (threshold.has_min()) text += "min " + FormatMetric(metric, threshold.min()) + " ";
  if (threshold.has_max()) text += "max " + FormatMetric(metric, threshold.max()) + " ";
  if (!threshold.after().empty()) return text + "after every " + threshold.after();
  return text + (threshold.from().empty() ? "at " + threshold.at() : "from " + threshold.from() + " on");
}

// Explains in words what a scenario file does, with every default filled in.
void ExplainScenario(const LoadedScenario& loaded, std::ostream& out) {
  const v1::Scenario& scenario = loaded.scenario;
  const v1::State& state = scenario.state();
  Rows rows;
  const auto add = [&rows](const std::string& head, const std::string& text) {
    const bool same = std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.front() == head; });
    rows.push_back({same ? "" : head, text});
  };
  std::string regions;
  std::vector<std::string> names;
  for (const auto& [name, share] : scenario.population().regions()) names.push_back(name + " " + FormatPercent(share));
  std::sort(names.begin(), names.end());
  add("network", FormatCount(scenario.population().micro_nodes(), "micro-node") + ", each with " +
                     std::to_string(scenario.population().shards_per_node()) + " of " +
                     FormatCount(state.shards(), "shard") + "; regions: " + JoinWords(names));
  add("state", FormatCount(state.value_slots(), "value slot") + " and " +
                   FormatCount(state.free_coordinates(), "free coordinate") + " a shard; " +
                   ValueText(state.opening_balance_uvu()) + " a slot to begin with, replicas off by up to " +
                   ValueText(state.value_spread_uvu()) + "; at least " + FormatCount(state.replicas_min(), "replica") +
                   " a shard");
  add("run", FormatCount(scenario.cycle().count(), "cycle") + " of " + FormatDurationUs(scenario.cycle().period_us()) +
                 " = " + FormatDurationUs(RunLengthUs(scenario)) + "; seed " + std::to_string(scenario.seed()) +
                 "; rule " + EnumWord(*v1::Rule_descriptor()->FindValueByNumber(scenario.rule())));
  const v1::Drift& drift = scenario.drift();
  add("drift", std::to_string(drift.peers()) + " peers, alpha " + FormatNumber(drift.alpha(), 6) + ", beta " +
                   FormatNumber(drift.beta(), 6) + ", ledger weight " + FormatNumber(drift.ledger_weight(), 6) +
                   ", bound factor " + FormatNumber(drift.bound_factor(), 6) + ", " + FormatPercent(drift.shuffle()) +
                   " of the links shuffled a cycle");
  add("links", "within a region: " + LinkText(scenario.links().within()));
  for (const v1::RegionLink& row : scenario.links().between()) {
    add("links", row.regions(0) + " - " + row.regions(1) + ": " + LinkText(row));
  }
  const v1::Workload& workload = scenario.workload();
  if (workload.contributions_per_second() > 0) {
    add("workload", FormatNumber(workload.contributions_per_second(), 6) + " contributions a second of " +
                        ValueText(workload.amount().min_uvu()) + " to " + ValueText(workload.amount().max_uvu()) +
                        " by " + FormatCount(workload.sessions(), "client") + ", until " +
                        FormatDurationUs(RunLengthUs(scenario) - scenario.cycle().settle_us()) + "; accepted once " +
                        FormatCount(workload.acknowledge_nodes(), "server node") +
                        (workload.acknowledge_nodes() == 1 ? " holds it" : " hold it"));
  } else {
    add("workload", "none");
  }
  for (const v1::Event& event : scenario.events()) {
    add("events", FormatDurationUs(event.at_us()) + " to " + FormatDurationUs(event.at_us() + event.for_us()) + ": " +
                      DescribeEvent(event));
  }
  for (const v1::Threshold& threshold : scenario.thresholds()) {
    const std::string ids = JoinWords({threshold.requirement().begin(), threshold.requirement().end()});
    add("passes if", threshold.metric() + " " + ThresholdText(threshold) + (ids.empty() ? "" : " (" + ids + ")"));
  }
  out << scenario.name() << " (" << loaded.file.string() << ")\n";
  if (!scenario.about().empty()) out << scenario.about() << "\n";
  out << "\n";
  PrintTable(out, rows);
}

int Explain(const std::string& file, std::ostream& out, std::ostream& err) {
  if (file.empty()) {
    ExplainFormat(out);
    return kExitPassed;
  }
  const absl::StatusOr<LoadedScenario> loaded = LoadScenario(file);
  if (!loaded.ok()) return Fail(err, loaded.status());
  ExplainScenario(*loaded, out);
  return kExitPassed;
}

struct ScenarioArguments {
  std::string list_format = "table";
  std::string explain_file;
  std::vector<std::string> validate_files;
};

}  // namespace

void AddScenario(CLI::App& app, Commands& commands) {
  const auto given = std::make_shared<ScenarioArguments>();
  CLI::App* scenario = app.add_subcommand("scenario", "List, check and explain scenario files");
  scenario->require_subcommand(1);
  scenario->footer("Example:\n  lvs scenario list");
  CLI::App* list = scenario->add_subcommand("list", "The shipped scenarios, one a line");
  AddFormat(list, given->list_format);
  list->footer("Example:\n  lvs scenario list");
  CLI::App* validate =
      scenario->add_subcommand("validate", "Check files; each problem is named with its line and mend");
  validate->add_option("FILE", given->validate_files, "Scenario files or names")->required()->option_text("...");
  validate->footer(
      "Example:\n  lvs scenario validate my.yaml deploy/scenarios/*.yaml\n"
      "\nExit codes: 0 all are sound, 1 one cannot be read, 2 one must be mended.");
  CLI::App* explain = scenario->add_subcommand("explain", "What a file does; without one, all keys, units and metrics");
  explain->add_option("FILE", given->explain_file, "A scenario file, or the name of a shipped one")->option_text(" ");
  explain->footer("Examples:\n  lvs scenario explain\n  lvs scenario explain phase2");
  commands.push_back(
      {list, [given](std::ostream& out, std::ostream& err) { return ListScenarios(given->list_format, out, err); }});
  commands.push_back({validate, [given](std::ostream& out, std::ostream& err) {
                        return ValidateScenarios(given->validate_files, out, err);
                      }});
  commands.push_back(
      {explain, [given](std::ostream& out, std::ostream& err) { return Explain(given->explain_file, out, err); }});
}

}  // namespace lvs::services
