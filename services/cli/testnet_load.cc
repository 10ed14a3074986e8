// `lvs testnet load`: sends contributions at a fixed rate, with an optional record and report.
#include <algorithm>
#include <ostream>
#include <thread>

#include "absl/strings/str_format.h"
#include "services/base/poll.h"
#include "services/base/threads.h"
#include "services/base/yaml_proto.h"
#include "services/cli/cli.h"
#include "services/cli/interrupt.h"
#include "services/cli/testnet_commands.h"
#include "services/cli/testnet_reporter.h"
#include "services/client/contribution.h"
#include "services/client/load.h"
#include "services/client/load_record.h"
#include "services/cluster/testnet_control.h"

namespace lvs::services {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLingerPoll{100};
// A report also covers some time before the load, and some after it, in which states converge.
constexpr milliseconds kBeforeLoad{1'000};
constexpr milliseconds kAfterLoad{3'000};

struct LoadArguments : TestnetArguments {
  double rate = 100;
  std::string run = "10s", durability = "memory", amount = "0.01VU";
  std::size_t sessions = 0;
  std::uint32_t shards = 0;
  std::string record;
  std::string out_directory;
};

// Sleeps for the time, or until Ctrl-C.
void Linger(milliseconds time) { PollUntil(InterruptGuard::Requested, time, kLingerPoll); }

absl::StatusOr<LoadOptions> OptionsOf(const LoadArguments& arguments) {
  const absl::StatusOr<milliseconds> run = TimeOf("--for", arguments.run);
  if (!run.ok()) return run.status();
  const absl::StatusOr<std::int64_t> step = ParseValueUvu(arguments.amount);
  if (!step.ok()) return absl::InvalidArgumentError("--amount: " + std::string(step.status().message()));
  v1::ContributeRequest durability;
  if (absl::Status status = ParseDurability(arguments.durability, &durability); !status.ok()) return status;
  LoadOptions options;
  options.rate = arguments.rate;
  options.run = *run;
  options.step_uvu = static_cast<std::uint64_t>(*step);
  options.durability = durability.durability();
  options.nodes = durability.nodes();
  options.sessions = arguments.sessions;
  options.shards = arguments.shards;
  options.stop = &InterruptGuard::Flag();
  if (LoadSize(options) == 0) {
    return absl::InvalidArgumentError("a load of " + FormatNumber(options.rate, 6) + "/s for " + arguments.run +
                                      " sends nothing, so it would test nothing; raise --rate or --for");
  }
  return options;
}

std::string Milliseconds(std::int64_t us) { return FormatNumber(static_cast<double>(us) / 1e3, 4) + "ms"; }

void PrintLoadReport(const LoadReport& report, const LoadOptions& options, std::ostream& out) {
  Rows rows{{"offered", FormatGrouped(report.offered),
             FormatNumber(static_cast<double>(report.offered) / std::max(report.seconds, 1e-9), 4) + "/s over " +
                 FormatNumber(report.seconds) + "s, wanted " + FormatNumber(options.rate, 6) + "/s"},
            {"acknowledged", FormatGrouped(report.acknowledged), ""}};
  for (const auto& [code, count] : report.failed) rows.push_back({"failed", FormatGrouped(count), code});
  rows.push_back({"not sent", FormatGrouped(report.not_sent),
                  "due while " + FormatGrouped(options.in_flight_max) + " were under way"});
  for (const auto& [code, count] : report.repeated) rows.push_back({"repeated", FormatGrouped(count), code});
  PrintTable(out, rows);
  if (report.acknowledged == 0) {
    out << "\nUNTESTED: nothing was acknowledged, so no latency was measured\n";
    return;
  }
  const LatencyHistogram& latency = report.latency;
  out << "\nlatency, from the time that each was due\n";
  PrintTable(out,
             {{"p50", "p90", "p99", "p99.9", "max", "mean"},
              {Milliseconds(latency.Quantile(0.5)), Milliseconds(latency.Quantile(0.9)),
               Milliseconds(latency.Quantile(0.99)), Milliseconds(latency.Quantile(0.999)),
               Milliseconds(latency.MaxUs()), Milliseconds(static_cast<std::int64_t>(latency.MeanUs()))}},
             "  ");
}

// Without an acknowledgement latencies are null.
Json LatencyAsJson(const LoadReport& report) {
  const LatencyHistogram& latency = report.latency;
  if (report.acknowledged == 0) return nullptr;
  return {{"p50", latency.Quantile(0.5)},    {"p90", latency.Quantile(0.9)}, {"p99", latency.Quantile(0.99)},
          {"p999", latency.Quantile(0.999)}, {"max", latency.MaxUs()},       {"mean", latency.MeanUs()}};
}

Json LoadAsJson(const LoadReport& report, const LoadOptions& options) {
  return {{"rate", options.rate},        {"seconds", report.seconds},
          {"offered", report.offered},   {"acknowledged", report.acknowledged},
          {"not_sent", report.not_sent}, {"failed", report.failed},
          {"repeated", report.repeated}, {"latency_us", LatencyAsJson(report)}};
}

// Prints progress as one redrawn line on a terminal, otherwise as a JSON object on a line of its own.
void PrintProgress(const LoadReport& now, const LoadOptions& options, bool terminal, std::ostream& err) {
  if (terminal) {
    err << absl::StrFormat("\r\x1b[K%.0fs  %s offered  %s acknowledged  %s failed  p99 %s", now.seconds,
                           FormatGrouped(now.offered), FormatGrouped(now.acknowledged), FormatGrouped(now.Failed()),
                           Milliseconds(now.latency.Quantile(0.99)))
        << std::flush;
    return;
  }
  Json line = LoadAsJson(now, options);
  line["event"] = "progress";
  err << JsonText(line) << std::endl;
}

// Runs the load, prints its progress, and passes its latencies to the reporter, if there is one.
LoadReport RunAndShow(const std::vector<ControlClient>& clients, LoadOptions options, TestnetReporter* reporter,
                      std::ostream& err) {
  const bool terminal = IsTerminal(err);
  LatencyHistogram earlier;
  options.on_progress = [&](const LoadReport& now) {
    if (reporter != nullptr) {
      const LatencyHistogram lately = now.latency.Since(earlier);
      earlier = now.latency;
      reporter->recorder().SetLatency(static_cast<double>(lately.Quantile(0.5)) / 1e3,
                                      static_cast<double>(lately.Quantile(0.99)) / 1e3);
    }
    PrintProgress(now, options, terminal, err);
  };
  LoadReport report = RunLoad(clients, options);
  if (terminal) err << "\r\x1b[K" << std::flush;
  return report;
}

int Load(const LoadArguments& arguments, std::ostream& out, std::ostream& err) {
  absl::StatusOr<LoadOptions> options = OptionsOf(arguments);
  if (!options.ok()) return Fail(err, options.status());
  const auto nodes = ReadTestnet(arguments.directory);
  if (!nodes.ok()) return Fail(err, nodes.status());
  const auto clients = ClientsOf(*nodes);
  if (!clients.ok()) return Fail(err, clients.status());
  // A stream has a thread that writes and one that reads.
  if (absl::Status can = CheckThreads(2 * static_cast<unsigned>(nodes->size())); !can.ok()) return Fail(err, can);
  if (absl::Status fit = FitToCluster(clients->front(), &*options); !fit.ok()) return Fail(err, fit);
  LoadRecord record;
  if (!arguments.record.empty()) {
    absl::StatusOr<LoadRecord> before = RecordBefore(*clients);
    if (!before.ok()) return Fail(err, before.status());
    record = *std::move(before);
    // The record is first written here, so that an unwritable path fails before the load instead of after it.
    if (absl::Status status = WriteRecord(record, arguments.record); !status.ok()) return Fail(err, status);
  }
  std::optional<TestnetReporter> reporter;
  if (!arguments.out_directory.empty()) {
    reporter.emplace(*nodes, ReportingArguments{.out_directory = arguments.out_directory, .format = arguments.format});
  }
  InterruptGuard interrupts;
  if (reporter) {
    if (absl::Status status = reporter->Start(options->run); !status.ok()) return Fail(err, status);
    Linger(kBeforeLoad);
    reporter->recorder().BeginLoad("load " + FormatNumber(options->rate, 6) + "/s");
  }
  const LoadReport report = RunAndShow(*clients, *options, reporter ? &*reporter : nullptr, err);
  if (arguments.format != "json") {
    PrintLoadReport(report, *options, out);
  } else if (!reporter) {
    out << JsonText(LoadAsJson(report, *options), 2) << "\n";
  }
  if (!arguments.record.empty()) {
    record.expectations = report.expectations;
    if (absl::Status status = WriteRecord(record, arguments.record); !status.ok()) return Fail(err, status);
  }
  if (reporter) {
    reporter->recorder().EndLoad(FiguresOf(report, *options));
    Linger(kAfterLoad);
    return reporter->Finish(out, err);
  }
  if (InterruptGuard::Requested()) {
    err << "lvs: interrupted\n";
    return kExitCouldNotRun;
  }
  return report.acknowledged > 0 && report.acknowledged == report.offered ? kExitPassed : kExitBreached;
}

void AddLoadOptions(CLI::App* command, LoadArguments& given) {
  command->add_option("--rate", given.rate, "Contributions a second (default: 100)")
      ->check(NumberBetween(0.01, 1e6))
      ->option_text("R");
  command->add_option("--for", given.run, "How long (default: 10s)")->option_text("TIME");
  command->add_option("--durability", given.durability, "What to wait for (default: memory)")
      ->option_text("memory|disk|nodes:N");
  command->add_option("--sessions", given.sessions, "Sessions that take turns (default: 1 for 20/s, at least 16)")
      ->check(WholeNumber())
      ->check(CLI::Range(1, 10'000'000))
      ->option_text("S");
  command->add_option("--shards", given.shards, "How many shards to contribute to (default: all)")
      ->check(WholeNumber())
      ->check(CLI::Range(1u, 65'535u))
      ->option_text("N");
  command->add_option("--amount", given.amount, "What each adds (default: 0.01VU)")->option_text("VALUE");
  command->add_option("--record", given.record, "Write what was sent and acknowledged, for `lvs testnet verify`")
      ->expected(1)
      ->option_text("FILE");
  command
      ->add_option("--report", given.out_directory,
                   "Record the nodes meanwhile, and write a run directory: new, empty, or an earlier one to replace")
      ->option_text("DIR");
}

}  // namespace

void AddTestnetLoad(TestnetCommands& commands) {
  commands.Add<LoadArguments>(
      "load", "Contribute at a fixed rate, and measure",
      std::string(
          "Examples:\n  lvs testnet load --rate 500 --for 30s\n"
          "  lvs testnet load --rate 100 --durability nodes:2 --record load.json\n"
          "  lvs testnet load --rate 500 --for 30s --report runs/load\n"
          "\nContributions are due at fixed times, whether or not earlier ones were answered; latency counts from "
          "then.\nWhat fails is repeated at the next node for up to 10s. A report also covers a second before and "
          "some after.\n") +
          kTestnetExitCodes + ", 99 not all were acknowledged, or a threshold of the report is breached.",
      Load, AddLoadOptions);
}

}  // namespace lvs::services
