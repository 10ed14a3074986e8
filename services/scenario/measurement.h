// What a run measures: the server nodes' reports of a cycle become a row of the time series, and all of them the
// summary (TEST-6: aggregates only). Measured against the truth of the workload, which no replica sees.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "services/scenario/timeline.h"
#include "shard/hosting/messages.h"

namespace lvs::services {

class Measurement {
 public:
  Measurement(const v1::Scenario& scenario, std::vector<std::string> regions);

  // The reports of one cycle, by server node. `accepted` is the truth by shard and slot after it.
  void Add(std::uint64_t cycle, const std::vector<hosting::Payload<hosting::NodeReport>>& nodes,
           const std::vector<shard::SlotAmounts>& accepted, const std::vector<Timeline::Ended>& ended,
           v1::RunReport* report);

  // Fills in what the whole run amounts to.
  void Finish(v1::Summary* summary) const;

  double relative_spread() const { return std::max(value_spread_, free_spread_); }
  std::uint64_t anomalies() const;
  std::uint64_t refused() const { return refused_.Total(); }
  std::uint64_t replica_cycles() const { return replica_cycles_; }
  std::uint64_t micro_node_cycles() const { return micro_node_cycles_; }

 private:
  struct ShardState {  // of one shard, all server nodes together
    std::array<shard::Moments, vaultguard::kMaxDimensions> moments{};
    double worst_value_vu = 0;
    shard::SlotAmounts held_uvu{};  // the least that any live replica holds
    std::array<double, vaultguard::kMaxValueSlots> total_weighted{};
    shard::SlotAmounts most_uvu{};  // the most that any server node holds
    bool any = false;
  };
  struct Waiting {  // an event that ended, until the network has recovered from it
    std::string kind;
    std::uint64_t cycle = 0;
    std::vector<shard::SlotAmounts> accepted;
  };

  void Tally(const std::vector<hosting::Payload<hosting::NodeReport>>& nodes);
  std::vector<ShardState> Gather(const std::vector<hosting::Payload<hosting::NodeReport>>& nodes,
                                 const std::vector<shard::SlotAmounts>& accepted) const;
  double Seconds(std::uint64_t cycle) const;

  std::size_t shards_;
  std::size_t slots_;
  std::size_t dims_;
  double period_s_;
  double coordinate_range_;
  std::vector<std::string> regions_;

  // At cycle 0.
  double value_rms_at_start_ = 0;
  double free_rms_at_start_ = 0;
  std::vector<std::array<double, vaultguard::kMaxDimensions>> mean_at_start_;

  // Now.
  double value_spread_ = 1;
  double free_spread_ = 1;
  double variance_ = 0;
  double bias_ = 0;
  double effective_error_ = 0;
  std::uint64_t missing_uvu_ = 0;
  std::uint64_t excess_uvu_ = 0;
  std::uint64_t held_uvu_ = 0;
  std::uint64_t accepted_uvu_ = 0;
  std::uint64_t alive_ = 0;
  std::uint64_t replicas_ = 0;
  std::uint64_t state_hash_ = 0;

  // Over the run.
  shard::CycleCounts counts_;
  vaultguard::RefusalCounts refused_;
  std::map<std::string, std::uint64_t> anomalies_;
  std::uint64_t recoveries_ = 0;
  std::uint64_t online_ = 0, offline_ = 0, repaired_ = 0;
  std::uint64_t replica_cycles_ = 0;
  std::uint64_t micro_node_cycles_ = 0;
  std::uint64_t frames_ = 0, frames_lost_ = 0;
  std::vector<double> rates_;  // bytes a node and minute, by row of the time series
  std::int64_t drift_cycles_to_1ppm_ = -1;
  std::int64_t ledger_cycles_to_1ppm_ = -1;
  double reduction_per_cycle_ = 0;
  std::uint64_t last_cycle_ = 0;
  std::vector<Waiting> waiting_;
  std::vector<v1::RecoveryTime> recovered_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, hosting::LinkReport> links_;

  // Since the last row of the time series.
  struct Row {
    shard::CycleCounts counts;
    std::uint64_t online = 0, offline = 0, refused = 0, anomalies = 0, frames = 0, frames_lost = 0, node_cycles = 0;
  } row_;
};

}  // namespace lvs::services
