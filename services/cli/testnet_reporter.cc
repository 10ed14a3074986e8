#include "services/cli/testnet_reporter.h"

#include <ostream>
#include <utility>

#include "services/base/threads.h"
#include "services/cli/cli.h"
#include "services/cli/interrupt.h"
#include "services/cli/output.h"
#include "services/cli/testnet_commands.h"
#include "services/cli/verdict.h"
#include "services/cluster/testnet_control.h"
#include "services/report/report.h"

namespace lvs::services {

using std::chrono::milliseconds;

TestnetReporter::TestnetReporter(std::vector<TestnetNode> nodes, ReportingArguments arguments)
    : nodes_(std::move(nodes)),
      arguments_(std::move(arguments)),
      directory_(arguments_.out_directory.empty() ? NewRunDirectory("testnet")
                                                  : std::filesystem::path(arguments_.out_directory)) {}

absl::Status TestnetReporter::Start(milliseconds expected) {
  if (absl::Status ready = PrepareRunDirectory(directory_); !ready.ok()) return ready;
  TestnetRecording recording{.expected = expected};
  if (!arguments_.interval.empty()) {
    const absl::StatusOr<milliseconds> interval = TimeOf("--interval", arguments_.interval);
    if (!interval.ok()) return interval.status();
    recording.interval = *interval;
  }
  const absl::StatusOr<milliseconds> within = TimeOf("--within", arguments_.within);
  if (!within.ok()) return within.status();
  within_ = *within;
  if (absl::Status can = CheckThreads(static_cast<unsigned>(nodes_.size()) + 1); !can.ok()) return can;
  recorder_.emplace(nodes_, recording);
  return absl::OkStatus();
}

int TestnetReporter::Finish(std::ostream& out, std::ostream& err) {
  const bool complete = !InterruptGuard::Requested();
  v1::RunReport report = recorder_->Finish(within_, complete, &InterruptGuard::Flag());
  DescribeTestnet(nodes_, &report);
  const v1::Summary& summary = report.summary();
  const absl::Status written = WriteRunDirectory(report, directory_);
  if (arguments_.format == "json") {
    out << SummaryJson(summary) << std::flush;
  } else {
    PrintVerdict(summary, directory_, out);
  }
  if (!written.ok()) {
    Fail(err, written);
    return kExitCouldNotRun;
  }
  if (!complete) {
    err << "lvs: interrupted: the report in " << directory_.string() << " is partial\n";
    return kExitCouldNotRun;
  }
  return summary.passed() ? kExitPassed : kExitBreached;
}

}  // namespace lvs::services
