// The network plan turns a scenario into configurations: one server node for each region, the placement of shards on
// it, and the links between server nodes. Only the scenario is read. The emulator turns the plan into actors.
//
//   const Regions regions(scenario);
//   for (NodePlan& node : PlanNetwork(scenario, regions)) ...
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lvs/v1/scenario.pb.h"
#include "shard/hosting/node_host.h"
#include "shard/hosting/shard_host.h"
#include "shard/hosting/virtual_link.h"

namespace lvs::services {

// The regions by name, and the number of micro-nodes in each. Shares that do not divide the population exactly leave a
// remainder, which goes to the first regions.
struct Regions {
  explicit Regions(const v1::Scenario& scenario);
  std::uint32_t size() const { return static_cast<std::uint32_t>(names.size()); }

  std::vector<std::string> names;  // sorted
  std::vector<std::uint32_t> population;
};

struct NodePlan {
  hosting::NodeHostConfig host;
  hosting::Swarm swarm;  // populated, with its initial rows
  std::vector<hosting::ShardHostConfig> shards;
  std::vector<hosting::VirtualLinkConfig> links;  // to each other server node
};

shard::Shape ShapeOf(const v1::Scenario& scenario);

// Plans the network; the result has one element for each region.
std::vector<NodePlan> PlanNetwork(const v1::Scenario& scenario, const Regions& regions);

}  // namespace lvs::services
