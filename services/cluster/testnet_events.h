// The events of a testnet, detected from looks at its nodes: outages, partitions, scatters, loads. Each event is a band
// of the charts, and its end starts a recovery.
//
//   TestnetEvents events(nodes);
//   for (const std::string& kind : events.Follow(seconds, looks, starts, scattered)) ...   // "outage" has just ended
//   *report.mutable_faults() = {events.bands().begin(), events.bands().end()};
//
// Not thread-safe; no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lvs/v1/control.pb.h"
#include "lvs/v1/report.pb.h"
#include "services/cluster/testnet.h"

namespace lvs::services {

// The answers of one node at one look.
struct TestnetLook {
  bool runs = false;   // the node's process runs
  bool ran = false;    // the process ran at some earlier time
  bool ended = false;  // the process does not run because it drained, not because it was killed
  // Unset where the node did not answer.
  std::optional<v1::NodeStatus> status{};
  std::optional<v1::ShardList> shards{};
  std::optional<v1::PeerList> peers{};  // the newest list, which may be older than the status
  v1::Faults faults{};                  // faults that the node is told to have

  bool serves() const { return status && status->state() == v1::SERVING; }
};

class TestnetEvents {
 public:
  explicit TestnetEvents(const std::vector<TestnetNode>& nodes);

  // Returns the kinds of the events that ended since the previous look. `looks` is indexed by node. `starts` counts how
  // often each node was seen to start. `scattered` is true if somebody scattered replicas since the previous look.
  std::vector<std::string> Follow(double seconds, const std::vector<TestnetLook>& looks,
                                  const std::vector<std::uint32_t>& starts, bool scattered);

  void BeginLoad(double seconds, const std::string& label) { load_ = Open("load", label, seconds); }
  void EndLoad(double seconds) { Close(&load_, seconds); }

  // Closes the events still in progress, at the end of the recording.
  void CloseAll(double seconds);

  const std::vector<v1::FaultBand>& bands() const { return bands_; }

 private:
  struct NodeState {
    bool served = false;
    std::uint32_t starts_seen = 0;    // number of starts when the node last served
    std::optional<std::size_t> band;  // set during an outage of the node
  };

  std::size_t Open(const std::string& kind, const std::string& label, double seconds);
  void Close(std::optional<std::size_t>* band, double seconds);
  // Returns true if the node's outage has just ended.
  bool FollowNode(std::size_t i, double seconds, const TestnetLook& look, std::uint32_t starts);
  // "0,1/2", the groups that hear each other; empty where all do.
  std::string PartitionText(const std::vector<TestnetLook>& looks) const;

  std::vector<std::string> addresses_;  // advertised addresses of the nodes
  std::vector<NodeState> nodes_;
  std::vector<v1::FaultBand> bands_;
  std::optional<std::size_t> partition_band_, load_;
  std::string partition_;
  double last_s_ = 0;
};

}  // namespace lvs::services
