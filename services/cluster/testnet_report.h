// Turns looks at the nodes of a testnet into the same report that `lvs run` writes for a scenario
// (services/report/report.h).
//
//   TestnetReport report(nodes);
//   report.Add(0.1, looks);                    // again and again; services/cluster/recorder.h does
//   report.Mark();
//   return WriteRunDirectory(report.Finish(true), "runs/testnet-report");
//
// Figures are those of services/scenario/measurement.h. The truth of a run is what its clients were told. Here the
// truth is what any node holds, because the node that acknowledged a contribution holds it, and ledgers only grow.
// Whether a node holds more than it should is checked by `lvs testnet verify`.
//
// Not thread-safe. No clock is read: the caller passes `seconds`, counted from the start of the recording.
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

  // Adds a row to the time series. `looks` has one element for each node, by number. `seconds` must not decrease.
  void Add(double seconds, const std::vector<TestnetLook>& looks);

  // Marks the start or the end of a load, which becomes a band of the charts. Its figures go into the summary.
  void BeginLoad(double seconds, const std::string& label) { events_.BeginLoad(seconds, label); }
  void EndLoad(double seconds, const v1::LoadFigures& figures);
  // Sets the latencies of the rows from here on, until the load ends.
  void SetLatency(double p50_ms, double p99_ms) { latency_ms_ = {p50_ms, p99_ms}; }

  // Fixes the present amounts: from here on, what is missing is counted against them.
  void Mark() { measurement_.Mark(); }
  // True if nothing marked is missing, each running node serves, and replicas agree.
  bool Settled() const;

  // The newest row, for progress displays; empty before the first.
  v1::Sample Now() const;

  // Returns the whole report, judged. Call Finish once, after the last Add.
  v1::RunReport Finish(bool complete);

 private:
  struct NodeState {
    v1::NodeFigures figures;
    std::optional<v1::NodeStatus> last;  // the newest status
    v1::NodeStatus sum;                  // sum of the node's counts during the recording
    double up_s = 0;
    bool runs = false, answers = false;
  };

  // The steps of Add.
  Look LookOf(double seconds, const std::vector<TestnetLook>& looks, v1::NodeStatus* row);
  v1::NodeStatus Count(std::size_t i, double seconds, const v1::NodeStatus& now);
  void Grow(const std::vector<TestnetLook>& looks);
  std::vector<LinkLook> LinksOf(std::size_t from, const std::vector<TestnetLook>& looks);
  void AddNodeSeries(const std::vector<TestnetLook>& looks, v1::Sample* sample);
  // The mean position of a node's replicas in a dimension. In a value dimension this is their view of the network's
  // worth.
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
  std::vector<shard::SlotAmounts> accepted_uvu_;  // by shard: the most that any node has held
  std::map<std::pair<std::size_t, std::size_t>, std::uint64_t> frames_seen_;
  std::optional<std::pair<double, double>> latency_ms_;
  double last_s_ = 0;
  std::uint64_t first_cycle_ = 0, last_cycle_ = 0;
  std::uint64_t micro_nodes_max_ = 0, contributions_ = 0, scattered_ = 0;
  std::uint32_t running_ = 0, serving_ = 0;
};

}  // namespace lvs::services
