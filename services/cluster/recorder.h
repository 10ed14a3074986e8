// Looks at the nodes of a testnet again and again, on threads of its own, and makes a report of what they answer.
//
//   TestnetRecorder recorder(nodes, {});                        // asks from now on
//   ...                                                         // load, kill, partition, heal
//   v1::RunReport report = recorder.Finish(seconds(10), true);  // waits until what was held by any node is held by all
//   WriteRunDirectory(report, "runs/testnet-report");
//
// A node that does not answer within a second has no answer in that look; a node that does not run is no error. Any
// thread may call, except that Finish is called once and last.
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
  // Between looks; 0: the longest period of the nodes, or longer where the recording would have more than kSamplesMax.
  std::chrono::milliseconds interval{0};
  // About how long the recording will be.
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

  void BeginLoad(const std::string& label) ABSL_LOCKS_EXCLUDED(mu_);
  void EndLoad(const v1::LoadFigures& figures) ABSL_LOCKS_EXCLUDED(mu_);
  void SetLatency(double p50_ms, double p99_ms) ABSL_LOCKS_EXCLUDED(mu_);
  v1::Sample Now() const ABSL_LOCKS_EXCLUDED(mu_);

  // Goes on until all is settled, `settle` is over or `stop` is set; then the report.
  v1::RunReport Finish(std::chrono::milliseconds settle, bool complete, const std::atomic<bool>* stop = nullptr)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Asks one node at every look. Looks that pass while a node is slow to answer are left out, and not made up for.
  void Ask(std::size_t i) ABSL_LOCKS_EXCLUDED(mu_);
  // Look `n` at one node; `client` is its connection, opened where there is none and closed where it failed.
  static TestnetLook LookAt(const TestnetNode& node, std::uint64_t n, std::optional<ControlClient>* client);
  // Writes a row of the report after every look.
  void Sample() ABSL_LOCKS_EXCLUDED(mu_);
  double Seconds() const;
  // The look that is due next.
  std::uint64_t LookAfter(std::uint64_t n) const;
  // Waits for look `n`, or a share of the interval later; false once the recording is over.
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
