#include "services/cli.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "actors/emulator.h"
#include "nlohmann/json.hpp"
#include "services/metrics.h"
#include "services/report.h"
#include "services/scenario.h"
#include "shard/drift_core.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// ---- Text ----------------------------------------------------------------------------------------------------------

std::string Short(double number, const char* format = "%.3g") {
  char text[40];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

// 1234567 -> "1,234,567".
std::string Grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

std::string Count(std::uint64_t number, const std::string& one) {
  return Grouped(number) + " " + one + (number == 1 ? "" : "s");
}

std::string Megabytes(std::uint64_t bytes) {
  const double megabytes = static_cast<double>(bytes) / 1e6;
  return megabytes >= 1000 ? Short(megabytes / 1000) + " GB" : Short(megabytes) + " MB";
}

std::string PercentText(double share) { return Short(share * 100, "%.6g") + "%"; }
std::string ValueText(std::int64_t uvu) { return Short(static_cast<double>(uvu) / 1e6, "%.9g") + "VU"; }

std::string ShellWord(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) || std::string_view("-_./=+:,").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

using Rows = std::vector<std::vector<std::string>>;

// Left-aligned columns, two spaces apart; the first row is the heading.
void PrintTable(std::ostream& out, const Rows& rows, const std::string& indent = "") {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line = indent;
    for (std::size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << "\n";
  }
}

int Fail(std::ostream& err, const absl::Status& status) {
  err << "lvs: " << std::string(status.message()) << "\n";
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitCouldNotRun;
}

// ---- Ctrl-C --------------------------------------------------------------------------------------------------------

std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

extern "C" void OnInterrupt(int) { stop_requested.store(true); }

// While it lives, the first SIGINT or SIGTERM sets stop_requested and gives the signal its default action back.
class InterruptGuard {
 public:
  InterruptGuard() {
    stop_requested.store(false);
    struct sigaction action {};
    action.sa_handler = OnInterrupt;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &old_int_);
    sigaction(SIGTERM, &action, &old_term_);
  }
  ~InterruptGuard() {
    sigaction(SIGINT, &old_int_, nullptr);
    sigaction(SIGTERM, &old_term_, nullptr);
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction old_int_ {};
  struct sigaction old_term_ {};
};

// ---- lvs run -------------------------------------------------------------------------------------------------------

struct RunArguments {
  std::string scenario;
  std::optional<std::uint64_t> seed;
  std::optional<std::uint32_t> cycles;
  std::string out_directory;
  std::string simd;
  std::string format = "table";
  unsigned threads = 0;
  bool realtime = false;
};

bool IsTerminal(const std::ostream& stream) { return &stream == &std::cerr && isatty(STDERR_FILENO) == 1; }

std::size_t TerminalColumns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

// Tells how a run goes on, on `err`.
class ProgressPrinter {
 public:
  explicit ProgressPrinter(std::ostream& err) : err_(err), terminal_(IsTerminal(err)) {}
  ~ProgressPrinter() { Clear(); }
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  double IntervalSeconds() const { return terminal_ ? 0.25 : 1.0; }
  bool terminal() const { return terminal_; }

  void Print(const actors::Progress& progress, double run_s) {
    if (!terminal_) {
      err_ << AsJson(progress).dump() << std::endl;
      return;
    }
    std::string line = AsLine(progress, run_s);
    if (stop_requested.load()) line = "stopping after this cycle (Ctrl-C again kills)  " + line;
    err_ << "\r\x1b[K" << line.substr(0, TerminalColumns() - 1) << std::flush;
    drawn_ = true;
  }

  void Clear() {
    if (drawn_) err_ << "\r\x1b[K" << std::flush;
    drawn_ = false;
  }

 private:
  static std::string AsLine(const actors::Progress& progress, double run_s) {
    const double done = run_s > 0 ? 100 * progress.virtual_s / run_s : 100;
    std::string line = Short(done, "%3.0f") + "%  " + Short(progress.virtual_s, "%.1f") + "s of " +
                       Short(run_s, "%.6g") + "s in " + Short(progress.wall_s, "%.1f") + "s  " +
                       Grouped(progress.alive) + " alive  " + Short(progress.cycles_per_second) + " cycles/s  spread " +
                       Short(progress.relative_spread, "%.1e") + "  " + Grouped(progress.anomalies) + " anomalies";
    if (!progress.active_faults.empty()) line += "  " + progress.active_faults;
    return line;
  }

  static Json AsJson(const actors::Progress& progress) {
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

// runs/<name>-<seed>-<UTC time>, with a number behind it where two runs start in one second.
fs::path DefaultRunDirectory(const v1::Scenario& scenario) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
  const fs::path base = fs::path("runs") / (scenario.name() + "-" + std::to_string(scenario.seed()) + "-" + stamp);
  fs::path directory = base;
  std::error_code error;
  for (int i = 2; fs::exists(directory, error) && i < 1000; ++i) directory = base.string() + "-" + std::to_string(i);
  return directory;
}

std::string ReplayCommand(const RunArguments& arguments, const LoadedScenario& loaded) {
  std::string command =
      "lvs run " + ShellWord(arguments.scenario) + " --seed " + std::to_string(loaded.scenario.seed());
  if (arguments.cycles) command += " --cycles " + std::to_string(*arguments.cycles);
  return command;
}

// What the run is and what it needs, before it starts.
void PrintBudget(const v1::Scenario& scenario, const fs::path& directory, bool as_json, std::ostream& to) {
  const actors::ResourceBudget budget = actors::EstimateBudget(scenario);
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
    to << line.dump() << std::endl;
    return;
  }
  const std::string period = FormatDurationUs(scenario.cycle().period_us());
  to << scenario.name() << ": " << Count(micro_nodes, "micro-node") << " in "
     << Count(static_cast<std::uint64_t>(scenario.population().regions_size()), "region") << ", "
     << Count(scenario.cycle().count(), "cycle") << " of " << period << " (" << FormatDurationUs(RunLengthUs(scenario))
     << "), seed " << scenario.seed() << (scenario.rule() == v1::PLAIN ? ", rule plain" : "") << "\n"
     << "needs about " << Megabytes(budget.resident_bytes) << ": " << Count(budget.replicas, "replica") << " of "
     << Count(scenario.state().shards(), "shard") << "; " << Count(budget.shard_actors, "shard actor") << ", "
     << Count(budget.link_actors, "link actor") << "; " << Grouped(budget.replica_cycles) << " replica-cycles of work\n"
     << "report in " << directory.string() << "\n"
     << std::flush;
}

void PrintThresholds(const v1::Summary& summary, std::ostream& out) {
  Rows rows{{"metric", "when", "limit", "value", "verdict", "requirement"}};
  for (const v1::ThresholdResult& result : summary.thresholds()) {
    const Metric* metric = FindMetric(result.metric());
    rows.push_back({result.metric(), result.when(), result.limit(),
                    metric == nullptr ? Short(result.value()) : FormatMetric(*metric, result.value()),
                    result.passed() ? "held" : "BREACHED", result.requirement()});
  }
  if (rows.size() > 1) {
    out << "\n";
    PrintTable(out, rows);
  }
}

void PrintVerdict(const v1::Summary& summary, const fs::path& directory, std::ostream& out) {
  const auto breached = std::count_if(summary.thresholds().begin(), summary.thresholds().end(),
                                      [](const v1::ThresholdResult& result) { return !result.passed(); });
  const std::string took = Count(summary.cycles(), "cycle") + " in " + Short(summary.wall_seconds()) + " s";
  out << "\n";
  if (!summary.complete()) {
    out << "INTERRUPTED after " << Count(summary.cycles(), "cycle") << ": the report is partial and proves nothing\n";
  } else if (breached > 0) {
    out << "FAILED: " << breached << " of " << Count(static_cast<std::uint64_t>(summary.thresholds_size()), "threshold")
        << " breached; " << took << "\n";
  } else if (summary.thresholds().empty()) {
    out << "DONE: the scenario sets no thresholds; " << took << "\n";
  } else {
    out << "PASSED: "
        << (summary.thresholds_size() == 1 ? "the threshold"
                                           : "all " + std::to_string(summary.thresholds_size()) + " thresholds")
        << " held; " << took << "\n";
  }
  Rows facts{{"report", (directory / "report.html").string()}, {"state", summary.state_hash()}};
  if (!summary.passed()) {
    facts.push_back({"seed", std::to_string(summary.seed())});
    facts.push_back({"build", summary.build()});
    facts.push_back({"replay", summary.replay()});
  }
  PrintTable(out, facts, "  ");
}

// What the emulator does not know of its own run.
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

int Run(const RunArguments& arguments, std::ostream& out, std::ostream& err) {
  if (absl::Status status = shard::SelectSimdTarget(arguments.simd); !status.ok()) return Fail(err, status);
  const absl::StatusOr<LoadedScenario> loaded =
      LoadScenario(arguments.scenario, {.seed = arguments.seed, .cycles = arguments.cycles});
  if (!loaded.ok()) return Fail(err, loaded.status());
  const v1::Scenario& scenario = loaded->scenario;
  const fs::path directory =
      arguments.out_directory.empty() ? DefaultRunDirectory(scenario) : fs::path(arguments.out_directory);
  if (absl::Status status = PrepareRunDirectory(directory); !status.ok()) {
    Fail(err, status);
    return kExitCouldNotRun;
  }

  ProgressPrinter progress(err);
  const bool json = arguments.format == "json";
  for (const std::string& note : loaded->notes) {
    if (json && !progress.terminal()) {
      err << Json{{"event", "note"}, {"text", note}}.dump() << "\n";
    } else {
      err << "note: " << note << "\n";
    }
  }
  PrintBudget(scenario, directory, json && !progress.terminal(), json ? err : out);

  InterruptGuard interrupts;
  const double run_s = static_cast<double>(RunLengthUs(scenario)) / 1e6;
  actors::EmulationOptions options;
  options.threads = arguments.threads;
  options.realtime = arguments.realtime;
  options.progress_interval_s = progress.IntervalSeconds();
  options.on_progress = [&](const actors::Progress& now) { progress.Print(now, run_s); };
  options.stop = &stop_requested;
  absl::StatusOr<v1::RunReport> report = actors::Emulate(scenario, options);
  progress.Clear();
  if (!report.ok()) return Fail(err, report.status());

  CompleteReport(*loaded, arguments, *report);
  const v1::Summary& summary = report->summary();
  const absl::Status written = WriteRunDirectory(*report, directory);
  if (json) {
    out << SummaryJson(summary) << std::endl;
  } else {
    PrintThresholds(summary, out);
    PrintVerdict(summary, directory, out);
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

// ---- lvs scenario --------------------------------------------------------------------------------------------------

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
    rows.push_back({file.stem().string(), Grouped(scenario.population().micro_nodes()),
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
    out << list.dump(2) << "\n";
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
        << Count(scenario.population().micro_nodes(), "micro-node") << ", "
        << Count(static_cast<std::uint64_t>(scenario.events_size()), "event") << ", "
        << Count(static_cast<std::uint64_t>(scenario.thresholds_size()), "threshold") << "\n";
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

// Without a file: the format, with all keys, units, attacks and metrics.
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
  if (link.loss() > 0) text += ", loss " + PercentText(link.loss());
  if (link.duplicate() > 0) text += ", duplicates " + PercentText(link.duplicate());
  if (link.reorder() > 0) text += ", reordered " + PercentText(link.reorder());
  return text;
}

std::string ThresholdText(const v1::Threshold& threshold) {
  const Metric& metric = *FindMetric(threshold.metric());
  std::string text;
  if (threshold.has_min()) text += "min " + FormatMetric(metric, threshold.min()) + " ";
  if (threshold.has_max()) text += "max " + FormatMetric(metric, threshold.max()) + " ";
  return text + (threshold.after().empty() ? "at " + threshold.at() : "after every " + threshold.after());
}

// What a file does, in words, with every default filled in.
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
  for (const auto& [name, share] : scenario.population().regions()) names.push_back(name + " " + PercentText(share));
  std::sort(names.begin(), names.end());
  add("network", Count(scenario.population().micro_nodes(), "micro-node") + ", each with " +
                     std::to_string(scenario.population().shards_per_node()) + " of " + Count(state.shards(), "shard") +
                     "; regions: " + JoinWords(names));
  add("state", Count(state.value_slots(), "value slot") + " and " + Count(state.free_coordinates(), "free coordinate") +
                   " a shard; " + ValueText(state.opening_balance_uvu()) +
                   " a slot to begin with, replicas off by up to " + ValueText(state.value_spread_uvu()) +
                   "; at least " + Count(state.replicas_min(), "replica") + " a shard");
  add("run", Count(scenario.cycle().count(), "cycle") + " of " + FormatDurationUs(scenario.cycle().period_us()) +
                 " = " + FormatDurationUs(RunLengthUs(scenario)) + "; seed " + std::to_string(scenario.seed()) +
                 "; rule " + EnumWord(*v1::Rule_descriptor()->FindValueByNumber(scenario.rule())));
  const v1::Drift& drift = scenario.drift();
  add("drift", std::to_string(drift.peers()) + " peers, alpha " + Short(drift.alpha(), "%g") + ", beta " +
                   Short(drift.beta(), "%g") + ", ledger weight " + Short(drift.ledger_weight(), "%g") +
                   ", bound factor " + Short(drift.bound_factor(), "%g") + ", " + PercentText(drift.shuffle()) +
                   " of the links shuffled a cycle");
  add("links", "within a region: " + LinkText(scenario.links().within()));
  for (const v1::RegionLink& row : scenario.links().between()) {
    add("links", row.regions(0) + " - " + row.regions(1) + ": " + LinkText(row));
  }
  const v1::Workload& workload = scenario.workload();
  if (workload.contributions_per_second() > 0) {
    add("workload", Short(workload.contributions_per_second(), "%g") + " contributions a second of " +
                        ValueText(workload.amount().min_uvu()) + " to " + ValueText(workload.amount().max_uvu()) +
                        " by " + Count(workload.sessions(), "client") + ", until " +
                        FormatDurationUs(RunLengthUs(scenario) - scenario.cycle().settle_us()) + "; accepted once " +
                        Count(workload.acknowledge_nodes(), "server node") +
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

// ---- lvs compare ---------------------------------------------------------------------------------------------------

struct Figure {
  std::string name;
  std::string a_text, b_text;
  double a, b;
};

std::vector<Figure> CompareFigures(const v1::Summary& a, const v1::Summary& b) {
  std::vector<Figure> figures;
  const auto add = [&](const std::string& name, double va, double vb, const auto& format) {
    figures.push_back({name, format(va), format(vb), va, vb});
  };
  const auto seconds = [](double value) { return Short(value, "%.4g") + "s"; };
  add("micro_nodes", static_cast<double>(a.micro_nodes()), static_cast<double>(b.micro_nodes()),
      [](double value) { return Short(value, "%.0f"); });
  add("cycles", static_cast<double>(a.cycles()), static_cast<double>(b.cycles()),
      [](double value) { return Short(value, "%.0f"); });
  add("virtual_seconds", a.virtual_seconds(), b.virtual_seconds(), seconds);
  add("wall_seconds", a.wall_seconds(), b.wall_seconds(), seconds);
  add("startup_seconds", a.startup_seconds(), b.startup_seconds(), seconds);
  for (const Metric& metric : Metrics()) {
    if (!metric.of_summary) continue;
    add(metric.name, metric.of_summary(a), metric.of_summary(b),
        [&metric](double value) { return FormatMetric(metric, value); });
  }
  std::set<std::string> kinds;
  for (const v1::Summary* summary : {&a, &b}) {
    for (const auto& recovery : summary->recoveries()) kinds.insert(recovery.after());
  }
  const Metric& recovery = *FindMetric(kRecoveryMetric);
  for (const std::string& kind : kinds) {
    add("recovery.seconds after " + kind, WorstRecoverySeconds(a, kind), WorstRecoverySeconds(b, kind),
        [&recovery](double value) { return FormatMetric(recovery, value); });
  }
  return figures;
}

std::string RatioText(const Figure& figure) {
  if (figure.a == figure.b) return "=";
  if (!(figure.a > 0) || !(figure.b >= 0)) return "-";
  return Short(figure.b / figure.a) + "x";
}

// What a reader must know before comparing figures.
std::vector<std::string> CompareNotes(const v1::Summary& a, const v1::Summary& b) {
  std::vector<std::string> notes;
  const auto differs = [&](const std::string& what, const std::string& of_a, const std::string& of_b) {
    if (of_a != of_b) notes.push_back(what + " differ: A " + of_a + ", B " + of_b);
    return of_a != of_b;
  };
  bool same_run = true;
  same_run &= !differs("scenarios", a.scenario(), b.scenario());
  same_run &= !differs("seeds", std::to_string(a.seed()), std::to_string(b.seed()));
  same_run &= !differs("rules", a.rule(), b.rule());
  same_run &= !differs("lengths", Count(a.cycles(), "cycle"), Count(b.cycles(), "cycle"));
  const bool same_build = !differs("builds", a.build(), b.build());
  differs("threads", std::to_string(a.threads()), std::to_string(b.threads()));
  differs("SIMD targets", a.simd_target(), b.simd_target());
  if (!a.complete()) notes.push_back("A is partial: it was interrupted");
  if (!b.complete()) notes.push_back("B is partial: it was interrupted");
  if (a.state_hash() == b.state_hash()) {
    notes.push_back("state hashes are equal: both ended in the same state, bit for bit (" + a.state_hash() + ")");
  } else if (!same_run) {
    notes.push_back("state hashes differ, as they must: these are different runs");
  } else {
    notes.push_back("state hashes differ (A " + a.state_hash() + ", B " + b.state_hash() +
                    ") for one scenario and seed: " +
                    (same_build ? "the scenario file changed between the runs, or the run is NOT DETERMINISTIC"
                                : "the builds, or the scenario file, compute something else"));
  }
  return notes;
}

int Compare(const std::string& path_a, const std::string& path_b, const std::string& format, std::ostream& out,
            std::ostream& err) {
  const absl::StatusOr<v1::Summary> a = ReadSummary(path_a);
  if (!a.ok()) return Fail(err, a.status());
  const absl::StatusOr<v1::Summary> b = ReadSummary(path_b);
  if (!b.ok()) return Fail(err, b.status());
  const std::vector<Figure> figures = CompareFigures(*a, *b);
  const std::vector<std::string> notes = CompareNotes(*a, *b);
  if (format == "json") {
    Json metrics = Json::object();
    for (const Figure& figure : figures) metrics[figure.name] = {{"a", figure.a}, {"b", figure.b}};
    const Json all{{"a", path_a},
                   {"b", path_b},
                   {"same_state", a->state_hash() == b->state_hash()},
                   {"notes", notes},
                   {"metrics", metrics}};
    out << all.dump(2) << "\n";
    return kExitPassed;
  }
  const auto verdict = [](const v1::Summary& summary) {
    return std::string(!summary.complete() ? "partial" : summary.passed() ? "passed" : "failed");
  };
  Rows rows{{"", "A", "B", "B/A"}, {"verdict", verdict(*a), verdict(*b), verdict(*a) == verdict(*b) ? "=" : ""}};
  for (const Figure& figure : figures) rows.push_back({figure.name, figure.a_text, figure.b_text, RatioText(figure)});
  out << "A  " << path_a << "  (" << a->scenario() << ", seed " << a->seed() << ")\n"
      << "B  " << path_b << "  (" << b->scenario() << ", seed " << b->seed() << ")\n\n";
  PrintTable(out, rows);
  out << "\n";
  for (const std::string& note : notes) out << "note: " << note << "\n";
  return kExitPassed;
}

// ---- The commands --------------------------------------------------------------------------------------------------

CLI::Option* AddFormat(CLI::App* command, std::string& format) {
  return command->add_option("--format", format, "table for people, json for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->option_text("table|json");
}

CLI::App* AddRun(CLI::App& app, RunArguments& arguments) {
  CLI::App* run = app.add_subcommand("run", "Run a scenario, judge it and write a report");
  run->add_option("SCENARIO", arguments.scenario, "A scenario file, or the name of a shipped one")
      ->required()
      ->option_text(" ");
  // CLI11 would read -1 as 2^64 - 1.
  const CLI::Validator whole_number(
      [](const std::string& text) {
        const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
        return digits ? std::string() : "\"" + text + "\" is not a whole number";
      },
      "", "whole_number");
  run->add_option("--seed", arguments.seed, "Seed of all randomness, instead of the file's")
      ->check(whole_number)
      ->option_text("N");
  run->add_option("--out", arguments.out_directory,
                  "Run directory: new, empty, or an earlier run to replace (default: runs/NAME-SEED-TIME)")
      ->option_text("DIR");
  run->add_flag("--realtime", arguments.realtime, "One cycle a period of wall time, instead of as fast as possible");
  run->add_option("--threads", arguments.threads, "Worker threads, 1 to 256 (default: one a core)")
      ->check(CLI::Range(1, 256))
      ->option_text("N");
  run->add_option("--cycles", arguments.cycles, "Length of the run, instead of the file's")
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
      "\nThe state at the end depends on the scenario, --seed and --cycles, and on nothing else.\n"
      "Ctrl-C ends the run after the current cycle with a partial report; a second one kills.\n"
      "\nExit codes: 0 passed, 1 could not run or interrupted, 2 wrong arguments or scenario, 99 a threshold "
      "breached.");
  return run;
}

// CLI11 says that a command is required where an unknown one was given.
std::string UsageProblem(const CLI::App& command, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = command.remaining();
  std::vector<std::string> known;
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(sub->get_name());
  }
  if (unknown.empty()) return error.what();
  if (unknown.front().starts_with('-')) return unknown.front() + " is not an option";
  if (known.empty()) return error.what();
  const std::string near = Nearest(unknown.front(), known);
  return unknown.front() + " is not a command; " +
         (near.empty() ? "write one of " + JoinWords(known) : "did you mean " + near + "?");
}

}  // namespace

int Main(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  CLI::App app{"LVS: a deterministic swarm of micro-nodes that agree by drift, with a verdict", "lvs"};
  app.set_version_flag("--version", "lvs " + BuildString(), "Print the build and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(1);
  app.footer("Examples:\n  lvs scenario list\n  lvs run phase2\n  lvs run --help");

  RunArguments run_arguments;
  CLI::App* run = AddRun(app, run_arguments);

  std::string list_format = "table";
  std::string explain_file;
  std::vector<std::string> validate_files;
  CLI::App* scenario = app.add_subcommand("scenario", "List, check and explain scenario files");
  scenario->require_subcommand(1);
  scenario->footer("Example:\n  lvs scenario list");
  CLI::App* list = scenario->add_subcommand("list", "The shipped scenarios, one a line");
  AddFormat(list, list_format);
  list->footer("Example:\n  lvs scenario list");
  CLI::App* validate =
      scenario->add_subcommand("validate", "Check files; each problem is named with its line and mend");
  validate->add_option("FILE", validate_files, "Scenario files or names")->required()->option_text("...");
  validate->footer(
      "Example:\n  lvs scenario validate my.yaml deploy/scenarios/*.yaml\n"
      "\nExit codes: 0 all are sound, 1 one cannot be read, 2 one must be mended.");
  CLI::App* explain = scenario->add_subcommand("explain", "What a file does; without one, all keys, units and metrics");
  explain->add_option("FILE", explain_file, "A scenario file, or the name of a shipped one")->option_text(" ");
  explain->footer("Examples:\n  lvs scenario explain\n  lvs scenario explain phase2");

  std::string compare_a, compare_b, compare_format = "table";
  CLI::App* compare = app.add_subcommand("compare", "Set two runs side by side");
  compare->add_option("A", compare_a, "A run directory or its summary.json")->required()->option_text(" ");
  compare->add_option("B", compare_b, "The other one")->required()->option_text(" ");
  AddFormat(compare, compare_format);
  compare->footer("Example:\n  lvs compare runs/phase2-7-20260101T120000Z runs/phase2-8-20260101T120100Z");

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success, out, err);
  } catch (const CLI::ParseError& error) {
    const CLI::App* command = &app;
    while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
    std::string name;
    for (const CLI::App* at = command; at != nullptr; at = at->get_parent()) {
      name = at->get_name() + (name.empty() ? "" : " " + name);
    }
    if (argc <= 1) {
      err << app.help();
    } else {
      const std::string problem = UsageProblem(*command, error);
      err << "lvs: " << problem << (problem.ends_with('?') ? " See `" : "; see `") << name << " --help`\n";
    }
    return kExitUsage;
  }
  if (run->parsed()) return Run(run_arguments, out, err);
  if (list->parsed()) return ListScenarios(list_format, out, err);
  if (validate->parsed()) return ValidateScenarios(validate_files, out, err);
  if (explain->parsed()) return Explain(explain_file, out, err);
  return Compare(compare_a, compare_b, compare_format, out, err);
}

}  // namespace lvs::services
