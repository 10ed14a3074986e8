// `lvs testnet report`: records the nodes for a while, judges them and writes a report.
#include <algorithm>
#include <ostream>
#include <thread>

#include "absl/strings/str_format.h"
#include "services/cli/cli.h"
#include "services/cli/interrupt.h"
#include "services/cli/testnet_commands.h"
#include "services/cli/testnet_reporter.h"
#include "services/client/contribution.h"

namespace lvs::services {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kInterruptPoll{100};

struct ReportArguments : TestnetArguments {
  std::string run = "10s", within = "10s";
  std::string out_directory, interval;
};

// Waits for the time or for Ctrl-C, and prints the nodes' progress about once a second.
void ShowProgress(const TestnetRecorder& recorder, std::size_t nodes, milliseconds run, std::ostream& err) {
  const bool terminal = IsTerminal(err);
  const Clock::time_point start = Clock::now();
  Clock::time_point next = start + std::chrono::seconds(1);
  while (Clock::now() < start + run && !InterruptGuard::Requested()) {
    std::this_thread::sleep_for(std::min<Clock::duration>(kInterruptPoll, start + run - Clock::now()));
    if (Clock::now() < next) continue;
    next += std::chrono::seconds(1);
    const v1::Sample now = recorder.Now();
    if (terminal) {
      err << "\r\x1b[K" << absl::StrFormat("%.0f", now.seconds()) << "s of " << FormatDurationUs(run.count() * 1'000)
          << "  " << now.nodes_serving() << " of " << FormatCount(nodes, "node") << " serving  "
          << FormatCount(now.ledgers(), "ledger") << "  spread "
          << absl::StrFormat("%.1e", std::max(now.value_spread_relative(), now.free_spread_relative())) << "  behind "
          << ValueText(static_cast<std::int64_t>(now.behind_uvu())) << std::flush;
    } else {
      err << JsonText({{"event", "progress"},
                       {"seconds", now.seconds()},
                       {"nodes_serving", now.nodes_serving()},
                       {"ledgers", now.ledgers()},
                       {"relative_spread", std::max(now.value_spread_relative(), now.free_spread_relative())},
                       {"behind_uvu", now.behind_uvu()}})
          << std::endl;
    }
  }
  if (terminal) err << "\r\x1b[K" << std::flush;
}

int Report(const ReportArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<milliseconds> run = TimeOf("--for", arguments.run);
  if (!run.ok()) return Fail(err, run.status());
  const auto nodes = ReadTestnet(arguments.directory);
  if (!nodes.ok()) return Fail(err, nodes.status());
  if (std::none_of(nodes->begin(), nodes->end(), [](const TestnetNode& node) { return ProcessOf(node); })) {
    return Fail(err, absl::FailedPreconditionError(
                         "no node of the testnet runs; `" + TestnetHint(arguments.directory, "start 0") +
                         "` brings one back, and `" + TestnetHint(arguments.directory, "up") + "` a new testnet"));
  }
  TestnetReporter reporter(*nodes, {arguments.out_directory, arguments.interval, arguments.within, arguments.format});
  if (absl::Status status = reporter.Start(*run); !status.ok()) return Fail(err, status);
  InterruptGuard interrupts;
  ShowProgress(reporter.recorder(), nodes->size(), *run, err);
  return reporter.Finish(out, err);
}

void AddReportOptions(CLI::App* command, ReportArguments& given) {
  command->add_option("--for", given.run, "How long (default: 10s)")->option_text("TIME");
  command
      ->add_option("--out", given.out_directory,
                   "Run directory: new, empty, or an earlier one to replace (default: runs/testnet-TIME)")
      ->option_text("DIR");
  command->add_option("--within", given.within, "How long nodes may take to agree after that (default: 10s)")
      ->option_text("TIME");
  command->add_option("--interval", given.interval, "Time between looks (default: a drift cycle, and at least 100ms)")
      ->option_text("TIME");
}

}  // namespace

void AddTestnetReport(TestnetCommands& commands) {
  commands.Add<ReportArguments>(
      "report", "Record the nodes for a while, judge them and write a report like that of lvs run",
      std::string(
          "Examples:\n  lvs testnet report\n"
          "  lvs testnet report --for 60s --out runs/broken & lvs testnet kill 2 --hard; lvs testnet start 2; wait\n"
          "\nIt ends once what any node held after that time is held by all, or --within later. What has to hold: "
          "nothing is missing\nthen, replicas agree, nodes that run serve, and micro-nodes send no more than 50 KB "
          "a minute.\n") +
          kTestnetExitCodes + ", 99 a threshold is breached.",
      Report, AddReportOptions);
}

}  // namespace lvs::services
