// `lvs run`: emulates a scenario in one process, judges it and writes a report.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "services/base/build.h"
#include "services/cli/cli.h"
#include "services/cli/commands.h"
#include "services/cli/interrupt.h"
#include "services/cli/output.h"
#include "services/cli/verdict.h"
#include "services/emulator/emulator.h"
#include "services/report/report.h"
#include "services/scenario/metrics.h"
#include "services/scenario/scenario.h"
#include "shard/simd_target.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

struct RunArguments {
  std::string scenario;
  std::optional<std::uint64_t> seed;
  std::optional<std::uint32_t> cycles;
  std::string out_directory;
  std::string simd;
  std::string format = "table";
  unsigned threads = 0;
  bool realtime = false;
  bool profile = false;
};

// Prints the progress of a run on `err`.
class ProgressPrinter {
 public:
  explicit ProgressPrinter(std::ostream& err) : err_(err), terminal_(IsTerminal(err)) {}
  ~ProgressPrinter() { Clear(); }
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  double IntervalSeconds() const { return terminal_ ? 0.25 : 1.0; }
  bool terminal() const { return terminal_; }

  void Print(const Progress& progress, double run_s) {
    if (!terminal_) {
      err_ << JsonText(AsJson(progress)) << std::endl;
      return;
    }
    std::string line = AsLine(progress, run_s);
    if (InterruptGuard::Requested()) line = "stopping after this cycle (Ctrl-C again kills)  " + line;
    err_ << "\r\x1b[K" << line.substr(0, TerminalColumns() - 1) << std::flush;
    drawn_ = true;
  }

  void Clear() {
    if (drawn_) err_ << "\r\x1b[K" << std::flush;
    drawn_ = false;
  }

 private:
  static std::string AsLine(const Progress& progress, double run_s) {
    const double done = run_s > 0 ? 100 * progress.virtual_s / run_s : 100;
    std::string line =
        absl::StrFormat("%3.0f%%  %.1fs of %.6gs in %.1fs  %s alive  %.3g cycles/s  spread %.1e  %s anomalies", done,
                        progress.virtual_s, run_s, progress.wall_s, FormatGrouped(progress.alive),
                        progress.cycles_per_second, progress.relative_spread, FormatGrouped(progress.anomalies));
    if (!progress.active_faults.empty()) line += "  " + progress.active_faults;
    return line;
  }

  static Json AsJson(const Progress& progress) {
    return {{"event", "progress"},
            {"virtual_s", progress.virtual_s},
            {"wall_s", progress.wall_s},
            {"cycle", progress.cycle},
            {"cycles", progress.cycles},
            {"alive", progress.alive},
            {"cycles_per_second", progress.cycles_per_second},
            {"replica_cycles_per_second", progress.replica_cycles_per_second},
            {"relative_spread", progress.relative_spread},
            {"anomalies", progress.anomalies},
            {"refused", progress.refused},
            {"active_faults", progress.active_faults}};
  }

  std::ostream& err_;
  const bool terminal_;
  bool drawn_ = false;
};

std::string ReplayCommand(const RunArguments& arguments, const LoadedScenario& loaded) {
  std::string command =
      "lvs run " + ShellWord(arguments.scenario) + " --seed " + std::to_string(loaded.scenario.seed());
  if (arguments.cycles) command += " --cycles " + std::to_string(*arguments.cycles);
  return command;
}

// Prints what the run is and which resources it needs, before it starts.
void PrintBudget(const v1::Scenario& scenario, const fs::path& directory, bool as_json, std::ostream& to) {
  const ResourceBudget budget = EstimateBudget(scenario);
  const std::uint32_t micro_nodes = scenario.population().micro_nodes();
  if (as_json) {
    const Json line{{"event", "start"},
                    {"scenario", scenario.name()},
                    {"seed", scenario.seed()},
                    {"micro_nodes", micro_nodes},
                    {"cycles", scenario.cycle().count()},
                    {"replicas", budget.replicas},
                    {"shard_actors", budget.shard_actors},
                    {"link_actors", budget.link_actors},
                    {"resident_bytes", budget.resident_bytes},
                    {"replica_cycles", budget.replica_cycles},
                    {"run_directory", directory.string()}};
    to << JsonText(line) << std::endl;
    return;
  }
  const std::string period = FormatDurationUs(scenario.cycle().period_us());
  to << scenario.name() << ": " << FormatCount(micro_nodes, "micro-node") << " in "
     << FormatCount(static_cast<std::uint64_t>(scenario.population().regions_size()), "region") << ", "
     << FormatCount(scenario.cycle().count(), "cycle") << " of " << period << " ("
     << FormatDurationUs(RunLengthUs(scenario)) << "), seed " << scenario.seed()
     << (scenario.rule() == v1::PLAIN ? ", rule plain" : "") << "\n"
     << "needs about " << FormatMegabytes(budget.resident_bytes) << ": " << FormatCount(budget.replicas, "replica")
     << " of " << FormatCount(scenario.state().shards(), "shard") << "; "
     << FormatCount(budget.shard_actors, "shard actor") << ", " << FormatCount(budget.link_actors, "link actor") << "; "
     << FormatGrouped(budget.replica_cycles) << " replica-cycles of work\n"
     << "report in " << directory.string() << "\n"
     << std::flush;
}

// Fills in the fields that the emulator does not know about its own run.
void CompleteReport(const LoadedScenario& loaded, const RunArguments& arguments, v1::RunReport& report) {
  v1::Summary& summary = *report.mutable_summary();
  summary.set_scenario(loaded.scenario.name());
  summary.set_seed(loaded.scenario.seed());
  summary.set_rule(EnumWord(*v1::Rule_descriptor()->FindValueByNumber(loaded.scenario.rule())));
  summary.set_build(BuildString());
  summary.set_replay(ReplayCommand(arguments, loaded));
  report.set_scenario_yaml(loaded.text);
  report.set_about(loaded.scenario.about());
  JudgeThresholds(loaded.scenario, &report);
}

// Prints the stages of the profile, longest first.
void PrintProfile(const v1::Summary& summary, std::ostream& out) {
  if (summary.profile().empty()) return;
  std::vector<v1::StageTime> stages(summary.profile().begin(), summary.profile().end());
  std::stable_sort(stages.begin(), stages.end(),
                   [](const v1::StageTime& a, const v1::StageTime& b) { return a.seconds() > b.seconds(); });
  const double replica_cycles = summary.replica_cycles_per_second() * summary.wall_seconds();
  Rows rows{{"stage", "seconds", "share", "ns a replica cycle"}};
  for (const v1::StageTime& stage : stages) {
    rows.push_back({stage.stage(), absl::StrFormat("%.3f", stage.seconds()),
                    absl::StrFormat("%.1f%%", 100 * stage.share()),
                    FormatNumber(stage.seconds() * 1e9 / std::max(replica_cycles, 1.0))});
  }
  out << "\n"
      << FormatCount(summary.threads(), "thread") << " for " << FormatNumber(summary.wall_seconds())
      << " s; started in " << FormatNumber(summary.startup_seconds()) << " s\n";
  PrintTable(out, rows, "  ");
}

int Run(const RunArguments& arguments, std::ostream& out, std::ostream& err) {
  if (!shard::SelectSimdTarget(arguments.simd)) {
    return Fail(
        err, absl::InvalidArgumentError("SIMD target \"" + arguments.simd + "\" is not one of this machine's: auto, " +
                                        absl::StrJoin(shard::SimdTargets(), ", ")));
  }
  const absl::StatusOr<LoadedScenario> loaded =
      LoadScenario(arguments.scenario, {.seed = arguments.seed, .cycles = arguments.cycles});
  if (!loaded.ok()) return Fail(err, loaded.status());
  const v1::Scenario& scenario = loaded->scenario;
  const fs::path directory = arguments.out_directory.empty()
                                 ? NewRunDirectory(scenario.name() + "-" + std::to_string(scenario.seed()))
                                 : fs::path(arguments.out_directory);
  if (absl::Status status = PrepareRunDirectory(directory); !status.ok()) {
    Fail(err, status);
    return kExitCouldNotRun;
  }

  ProgressPrinter progress(err);
  const bool json = arguments.format == "json";
  for (const std::string& note : loaded->notes) {
    if (json && !progress.terminal()) {
      err << JsonText({{"event", "note"}, {"text", note}}) << "\n";
    } else {
      err << "note: " << note << "\n";
    }
  }
  PrintBudget(scenario, directory, json && !progress.terminal(), json ? err : out);

  InterruptGuard interrupts;
  const double run_s = static_cast<double>(RunLengthUs(scenario)) / 1e6;
  EmulationOptions options;
  options.threads = arguments.threads;
  options.realtime = arguments.realtime;
  options.profile = arguments.profile;
  options.progress_interval_s = progress.IntervalSeconds();
  options.on_progress = [&](const Progress& now) { progress.Print(now, run_s); };
  options.stop = &InterruptGuard::Flag();
  absl::StatusOr<v1::RunReport> report = Emulate(scenario, options);
  progress.Clear();
  if (!report.ok()) return Fail(err, report.status());

  CompleteReport(*loaded, arguments, *report);
  const v1::Summary& summary = report->summary();
  const absl::Status written = WriteRunDirectory(*report, directory);
  if (json) {
    out << SummaryJson(summary) << std::endl;
  } else {
    PrintVerdict(summary, directory, out);
    PrintProfile(summary, out);
    out << std::flush;
  }
  if (!written.ok()) {
    Fail(err, written);
    return kExitCouldNotRun;
  }
  if (!summary.complete()) {
    err << "lvs: interrupted: the report in " << directory.string() << " is partial\n";
    return kExitCouldNotRun;
  }
  return summary.passed() ? kExitPassed : kExitBreached;
}

}  // namespace

void AddRun(CLI::App& app, Commands& commands) {
  const auto given = std::make_shared<RunArguments>();
  RunArguments& arguments = *given;
  CLI::App* run = app.add_subcommand("run", "Run a scenario, judge it and write a report");
  run->add_option("SCENARIO", arguments.scenario, "A scenario file, or the name of a shipped one")
      ->required()
      ->option_text(" ");
  run->add_option("--seed", arguments.seed, "Seed of all randomness, instead of the file's")
      ->check(WholeNumber())
      ->option_text("N");
  run->add_option("--out", arguments.out_directory,
                  "Run directory: new, empty, or an earlier run to replace (default: runs/NAME-SEED-TIME)")
      ->option_text("DIR");
  run->add_flag("--realtime", arguments.realtime, "One cycle a period of wall time, instead of as fast as possible");
  run->add_flag("--profile", arguments.profile, "Say where the time went, stage by stage");
  run->add_option("--threads", arguments.threads, "Worker threads, 1 to 256 (default: one a core)")
      ->check(WholeNumber())
      ->check(CLI::Range(1, 256))
      ->option_text("N");
  run->add_option("--cycles", arguments.cycles, "Length of the run, instead of the file's")
      ->check(WholeNumber())
      ->check(CLI::Range(1u, ScenarioLimits{}.cycles_max))
      ->option_text("N");
  run->add_option("--simd", arguments.simd, "SIMD target of the drift kernel (default: the best here)")
      ->option_text("TARGET");
  AddFormat(run, arguments.format)->description("json: only summary.json on standard output (default: table)");
  run->footer(
      "Examples:\n"
      "  lvs run phase2\n"
      "  lvs run my.yaml --seed 8 --out runs/mine\n"
      "  lvs run phase2 --format json | jq .ledger\n"
      "  lvs run scale --profile\n"
      "\nThe state at the end depends on the scenario, --seed and --cycles, and on nothing else.\n"
      "Ctrl-C ends the run after the current cycle with a partial report; a second one kills.\n"
      "\nExit codes: 0 passed, 1 could not run or interrupted, 2 wrong arguments or scenario, 99 a threshold "
      "breached.");
  commands.push_back({run, [given](std::ostream& out, std::ostream& err) { return Run(*given, out, err); }});
}

}  // namespace lvs::services
