#include "services/emulator/budget.h"

#include <algorithm>

#include "services/emulator/network_plan.h"
#include "shard/state_shard.h"

namespace lvs::services {

namespace {

// Measured sizes of a replica's row in the swarm, a micro-node, a shard actor, and a process that runs nothing.
constexpr std::uint64_t kRowBytes = 8;
constexpr std::uint64_t kMicroNodeBytes = 20;
constexpr std::uint64_t kShardActorBytes = 32'768;
constexpr std::uint64_t kProcessBytes = 20'000'000;

}  // namespace

ResourceBudget EstimateBudget(const v1::Scenario& scenario) {
  const std::uint64_t nodes = std::max<std::uint64_t>(1, scenario.population().regions_size());
  const std::uint64_t shards = scenario.state().shards();
  const std::uint64_t micro_nodes = scenario.population().micro_nodes();
  ResourceBudget budget;
  budget.replicas = micro_nodes * std::min<std::uint64_t>(scenario.population().shards_per_node(), shards);
  budget.shard_actors = nodes * shards;
  budget.link_actors = nodes * (nodes - 1);
  const std::uint64_t replica_bytes = shard::StateShard::ReplicaBytes(ShapeOf(scenario)) + kRowBytes;
  budget.resident_bytes = budget.replicas * replica_bytes + micro_nodes * kMicroNodeBytes +
                          budget.shard_actors * kShardActorBytes + kProcessBytes;
  budget.replica_cycles = budget.replicas * scenario.cycle().count();
  return budget;
}

}  // namespace lvs::services
