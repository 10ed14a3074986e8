// The pictures of a run in its report. Each picture shows a sample of the replicas of shard 0 on every server node, at
// one of a few telling cycles.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "lvs/v1/report.pb.h"
#include "lvs/v1/scenario.pb.h"
#include "services/scenario/timeline.h"
#include "shard/hosting/messages.h"

namespace lvs::services {

class Snapshots {
 public:
  // `scenario` and `timeline` must outlive the snapshots.
  Snapshots(const v1::Scenario& scenario, const Timeline& timeline);

  // The number of replicas that the picture of this cycle shows for each of `nodes` server nodes; 0 if the cycle has no
  // picture.
  std::uint32_t DotsOf(std::uint64_t cycle, std::uint32_t nodes) const;
  // Appends the picture of a cycle that has one. `reports` has one element for each server node.
  void Add(std::uint64_t cycle, const std::vector<hosting::Payload<hosting::NodeReport>>& reports,
           v1::RunReport* report) const;

 private:
  const v1::Scenario& scenario_;
  const Timeline& timeline_;
  std::set<std::uint64_t> cycles_;
};

}  // namespace lvs::services
