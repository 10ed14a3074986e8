// What `lvs run` reports of a scenario, of a testnet: its nodes are asked again and again, and what they say becomes
// the same run directory (services/report/report.h).
//
//   TestnetRecorder recorder(nodes, {});                        // asks from now on, on threads of its own
//   ...                                                         // load, kill, partition, heal
//   v1::RunReport report = recorder.Finish(seconds(10), true);  // waits until what was held by any node is held by all
//   WriteRunDirectory(report, "runs/testnet-report");
//
// The truth of a run is what its clients were told. Here it is what any node holds: who acknowledged it holds it, and
// ledgers only grow. That a node knows more than it should is for `lvs testnet verify` to say.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lvs/v1/control.pb.h"
#include "lvs/v1/report.pb.h"
#include "services/cluster/testnet.h"

namespace lvs::services {

// ---- What was seen, as a report ------------------------------------------------------------------------------------

// One look at one node.
struct NodeLook {
  bool runs = false;   // its process
  bool ran = false;    // some time before
  bool ended = false;  // where it does not run: it drained, and was not killed
  // Unset where it did not answer.
  std::optional<v1::NodeStatus> status{};
  std::optional<v1::ShardList> shards{};
  std::optional<v1::PeerList> peers{};  // the newest, which may be older than the status
  v1::Faults faults{};                  // that it is told to have
};

// Turns looks into figures. No threads, no clocks: `seconds` is the caller's, from the start of the recording.
class TestnetMeasurement {
 public:
  explicit TestnetMeasurement(const std::vector<TestnetNode>& nodes);
  ~TestnetMeasurement();

  // A row of the time series. `looks`: one a node, by number. Times must not fall.
  void Add(double seconds, const std::vector<NodeLook>& looks);

  // A load began, or ended; it becomes a band of the charts, and its figures part of the summary.
  void BeginLoad(double seconds, const std::string& label);
  void EndLoad(double seconds, const v1::LoadFigures& figures);
  // Latencies of the rows from here on, until the load ends.
  void SetLatency(double p50_ms, double p99_ms);

  // From here on, what is missing is counted against what is held by now.
  void Mark();
  // Nothing of that is missing, each node that runs serves, and replicas agree.
  bool Settled() const;

  // The newest row, for whoever waits; empty before the first.
  v1::Sample Now() const;

  // All of it, judged. Call it once, after the last Add.
  v1::RunReport Finish(bool complete);

 private:
  class State;
  std::unique_ptr<State> state_;
};

// ---- The recording -------------------------------------------------------------------------------------------------

struct TestnetRecording {
  // Between looks; 0: the longest period of the nodes, or longer where the recording would have more than kSamplesMax.
  std::chrono::milliseconds interval{0};
  // About how long it will be.
  std::chrono::milliseconds expected{10'000};
};

class TestnetRecorder {
 public:
  static constexpr std::size_t kSamplesMax = 20'000;

  // Nodes need not run yet. One thread, and one a node.
  TestnetRecorder(std::vector<TestnetNode> nodes, const TestnetRecording& recording);
  ~TestnetRecorder();
  TestnetRecorder(const TestnetRecorder&) = delete;
  TestnetRecorder& operator=(const TestnetRecorder&) = delete;

  // Any thread.
  void BeginLoad(const std::string& label);
  void EndLoad(const v1::LoadFigures& figures);
  void SetLatency(double p50_ms, double p99_ms);
  v1::Sample Now() const;

  // Goes on until all is settled, `settle` is over or `stop` is set; then the report. Call it once.
  v1::RunReport Finish(std::chrono::milliseconds settle, bool complete, const std::atomic<bool>* stop = nullptr);

 private:
  void Ask(std::size_t i);
  void Sample();
  double Seconds() const;
  // Waits for look `n`, or a share of the interval later; false once the recording is over.
  bool WaitForLook(std::uint64_t n, double later);

  const std::vector<TestnetNode> nodes_;
  std::chrono::milliseconds interval_;
  std::chrono::steady_clock::time_point start_;
  mutable std::mutex mu_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::vector<NodeLook> looks_;
  TestnetMeasurement measurement_;
  std::vector<std::thread> threads_;
};

}  // namespace lvs::services
