// Looks at the nodes of a testnet as the report that `lvs run` writes for a scenario (services/report/report.h).
//
//   TestnetReport report(nodes);
//   report.Add(0.1, looks);                    // again and again; services/cluster/recorder.h does
//   report.Mark();
//   WriteRunDirectory(report.Finish(true), "runs/testnet-report");
//
// Figures are those of services/scenario/measurement.h. The truth of a run is what its clients were told. Here the truth
// is what any node holds: who acknowledged a contribution holds it, and ledgers only grow. Whether a node knows more than
// it should is for `lvs testnet verify` to say.
//
// Not thread-safe. No clock: `seconds` is the caller's, from the start of the recording.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lvs/v1/control.pb.h"
#include "lvs/v1/report.pb.h"
#include "services/cluster/testnet.h"
#include "services/cluster/testnet_events.h"
#include "services/scenario/measurement.h"

namespace lvs::services {

class TestnetReport {
 public:
  explicit TestnetReport(const std::vector<TestnetNode>& nodes);
  TestnetReport(const TestnetReport&) = delete;
  TestnetReport& operator=(const TestnetReport&) = delete;

  // A row of the time series. `looks`: one a node, by number. Times must not fall.
  void Add(double seconds, const std::vector<TestnetLook>& looks);

  // A load began, or ended; it becomes a band of the charts, and its figures part of the summary.
  void BeginLoad(double seconds, const std::string& label) { events_.BeginLoad(seconds, label); }
  void EndLoad(double seconds, const v1::LoadFigures& figures);
  // Latencies of the rows from here on, until the load ends.
  void SetLatency(double p50_ms, double p99_ms) { latency_ms_ = {p50_ms, p99_ms}; }

  // From here on, what is missing is counted against what is held by now.
  void Mark() { measurement_.Mark(); }
  // Nothing of that is missing, each node that runs serves, and replicas agree.
  bool Settled() const;

  // The newest row, for whoever waits; empty before the first.
  v1::Sample Now() const;

  // All of it, judged. Call it once, after the last Add.
  v1::RunReport Finish(bool complete);

 private:
  struct NodeState {
    v1::NodeFigures figures;
    std::optional<v1::NodeStatus> last;  // the newest that was seen
    v1::NodeStatus sum;                  // of what the node counted during the recording
    double up_s = 0;
    bool runs = false, answers = false;
  };

  // The steps of Add.
  Look LookOf(double seconds, const std::vector<TestnetLook>& looks, v1::NodeStatus* row);
  v1::NodeStatus Count(std::size_t i, double seconds, const v1::NodeStatus& now);
  void Grow(const std::vector<TestnetLook>& looks);
  std::vector<LinkLook> LinksOf(std::size_t from, const std::vector<TestnetLook>& looks);
  void AddNodeSeries(const std::vector<TestnetLook>& looks, v1::Sample* sample);
  // What a node's replicas say of a dimension, and of the worth of the network.
  double Place(const v1::Shard& shard, std::size_t dimension) const;
  // The steps of Finish.
  void FillSummary(v1::Summary* summary);
  void FillNode(const NodeState& node, v1::NodeFigures* figures) const;
  void Judge();

  const std::vector<TestnetNode> config_;
  std::vector<NodeState> nodes_;
  Measurement measurement_;
  TestnetEvents events_;
  v1::RunReport report_;
  MeasurementShape shape_;
  std::vector<shard::SlotAmounts> accepted_uvu_;  // by shard: the most that any node ever held
  std::map<std::pair<std::size_t, std::size_t>, std::uint64_t> frames_seen_;
  std::optional<std::pair<double, double>> latency_ms_;
  double last_s_ = 0;
  std::uint64_t first_cycle_ = 0, last_cycle_ = 0;
  std::uint64_t micro_nodes_max_ = 0, contributions_ = 0, scattered_ = 0;
  std::uint32_t running_ = 0, serving_ = 0;
};

}  // namespace lvs::services
