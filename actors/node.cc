#include "actors/node.h"

#include <memory>
#include <utility>

#include "actors/monitor_actor.h"
#include "actors/node_runtime_actor.h"
#include "actors/recycled.h"
#include "actors/shard_actor.h"

namespace lvs::actors {

std::vector<ShardActor> SpawnShards(caf::actor_system& system, std::vector<hosting::ShardHostConfig> configs) {
  std::vector<ShardActor> shards;
  for (hosting::ShardHostConfig& config : configs) shards.push_back(SpawnShardActor(system, std::move(config)));
  return shards;
}

NodeActors SpawnNode(caf::actor_system& system, NodeSetup setup) {
  NodeActors node;
  node.shards = std::move(setup.shards);
  node.links = std::move(setup.links);
  node.runtime = SpawnNodeRuntime(system, setup.config, std::move(setup.swarm));
  node.monitor = SpawnMonitor(system, static_cast<std::uint32_t>(node.shards.size()), node.runtime);

  const auto wiring = std::make_shared<const Wiring>(Wiring{node.links, node.monitor});
  for (const ShardActor& shard : node.shards) Post(shard, Payload<Wiring>(wiring));
  Post(node.runtime,
       Payload<NodeParts>(std::make_shared<const NodeParts>(NodeParts{node.shards, node.links, setup.reporter})));
  return node;
}

void NodeActors::Tick(hosting::NodeTick tick) const {
  auto told = Recycled<NodeTick>();
  *told = std::move(tick);
  Post(runtime, Payload<NodeTick>(std::move(told)));
}

void NodeActors::End() {
  const auto end = [](const auto& actor) {
    if (actor) caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  };
  end(runtime);
  end(monitor);
  for (const ShardActor& shard : shards) end(shard);
  for (const PeerLinkActor& link : links) end(link);
  // Actors hold handles of each other; with these handles dropped, the last references go when the system ends.
  *this = {};
}

}  // namespace lvs::actors
