// The recorder polls the nodes of a testnet on threads of its own and makes a report of their answers.
//
//   TestnetRecorder recorder(nodes, {});                                     // asks from now on
//   ...                                                                      // load, kill, partition, heal
//   v1::RunReport report = recorder.Finish(std::chrono::seconds(10), true);  // until all hold what any held
//   return WriteRunDirectory(report, "runs/testnet-report");
//
// A node that takes longer than a second has no answer in that look. A node that does not run is not an error. Any
// thread may call; Finish is called once and last.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "services/base/mutex.h"
#include "services/client/control_client.h"
#include "services/cluster/testnet.h"
#include "services/cluster/testnet_report.h"

namespace lvs::services {

struct TestnetRecording {
  // Time between looks. 0: the longest period of the nodes, or longer where the recording would have more than
  // kSamplesMax samples.
  std::chrono::milliseconds interval{0};
  // Approximate duration of the recording.
  std::chrono::milliseconds expected{10'000};
};

class TestnetRecorder {
 public:
  static constexpr std::size_t kSamplesMax = 20'000;

  // Nodes need not run yet. The recorder starts one thread for rows and one for each node.
  TestnetRecorder(std::vector<TestnetNode> nodes, const TestnetRecording& recording);
  ~TestnetRecorder();
  TestnetRecorder(const TestnetRecorder&) = delete;
  TestnetRecorder& operator=(const TestnetRecorder&) = delete;

  void BeginLoad(const std::string& label) ABSL_LOCKS_EXCLUDED(mu_);
  void EndLoad(const v1::LoadFigures& figures) ABSL_LOCKS_EXCLUDED(mu_);
  void SetLatency(double p50_ms, double p99_ms) ABSL_LOCKS_EXCLUDED(mu_);
  v1::Sample Now() const ABSL_LOCKS_EXCLUDED(mu_);

  // Records until everything has settled, `settle` is over or `stop` is set, then returns the report.
  v1::RunReport Finish(std::chrono::milliseconds settle, bool complete, const std::atomic<bool>* stop = nullptr)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Asks one node at every look. Looks that pass while the node is slow to answer are skipped, not made up for.
  void Ask(std::size_t i) ABSL_LOCKS_EXCLUDED(mu_);
  // Takes look `n` at one node. `client` is the connection to the node, opened if absent and closed after a failure.
  static TestnetLook LookAt(const TestnetNode& node, std::uint64_t n, std::optional<ControlClient>* client);
  // Adds a row to the report after every look.
  void Sample() ABSL_LOCKS_EXCLUDED(mu_);
  double Seconds() const;
  // The number of the look that is due next.
  std::uint64_t LookAfter(std::uint64_t n) const;
  // Waits for look `n` plus the share `later` of the interval. Returns false once the recording is over.
  bool WaitForLook(std::uint64_t n, double later) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends all threads.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  const std::vector<TestnetNode> nodes_;
  std::chrono::milliseconds interval_;
  std::chrono::steady_clock::time_point start_;
  mutable Mutex mu_;
  CondVar changed_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<TestnetLook> looks_ ABSL_GUARDED_BY(mu_);  // the newest, by node
  TestnetReport report_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_;
};

}  // namespace lvs::services
