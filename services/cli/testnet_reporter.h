// The reporter of `lvs testnet report` and `lvs testnet load --report`: records the nodes of a testnet, then writes the
// run directory and prints the verdict.
//
//   TestnetReporter reporter(*ReadTestnet("./runs/testnet"), {.out_directory = "runs/mine"});
//   if (absl::Status status = reporter.Start(std::chrono::seconds(10)); !status.ok()) return Fail(err, status);
//   ...
//   return reporter.Finish(out, err);
#pragma once

#include <chrono>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/cluster/recorder.h"
#include "services/cluster/testnet.h"

namespace lvs::services {

struct ReportingArguments {
  std::string out_directory{};  // empty: runs/testnet-TIME
  std::string interval{};       // empty: the recorder's choice
  std::string within = "10s";   // time that nodes may take to agree at the end
  std::string format = "table";
};

class TestnetReporter {
 public:
  TestnetReporter(std::vector<TestnetNode> nodes, ReportingArguments arguments);

  // Prepares the run directory and starts to record; `expected` is the approximate duration.
  absl::Status Start(std::chrono::milliseconds expected);

  // Requires a successful Start.
  TestnetRecorder& recorder() { return *recorder_; }

  // Waits until nodes agree, writes the report, prints the verdict and returns the exit code. Requires an
  // InterruptGuard.
  int Finish(std::ostream& out, std::ostream& err);

 private:
  const std::vector<TestnetNode> nodes_;
  const ReportingArguments arguments_;
  const std::filesystem::path directory_;
  std::chrono::milliseconds within_{0};
  std::optional<TestnetRecorder> recorder_;
};

}  // namespace lvs::services
