#include "actors/node_runtime_actor.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "actors/recycled.h"

namespace lvs::actors {

namespace {

using hosting::NodeHost;
using hosting::NodeHostConfig;
using hosting::Swarm;

struct RuntimeState {
  static inline const char* name = "lvs.node_runtime";
  std::optional<NodeHost> host;
  NodeParts parts;
};
using Self = NodeRuntimeActor::stateful_pointer<RuntimeState>;

void Finish(Self self) {
  auto report = Recycled<NodeReport>();
  self->state.host->FillReport(report.get());
  Post(self->state.parts.reporter, Payload<NodeReport>(std::move(report)));
}

void Tick(Self self, const Payload<NodeTick>& tick) {
  RuntimeState& state = self->state;
  if (!state.host->Begin(tick)) return Finish(self);
  for (std::size_t s = 0; s < state.parts.shards.size(); ++s) {
    auto shard = Recycled<ShardTick>();
    state.host->FillTick(s, shard.get());
    PostFrom(self, state.parts.shards[s], Payload<ShardTick>(std::move(shard)));
  }
}

void Take(Self self, const Payload<Verdict>& verdict) {
  RuntimeState& state = self->state;
  if (!state.host->Take(verdict)) return Finish(self);
  for (std::size_t n = 0; n < state.parts.links.size(); ++n) {
    if (!state.parts.links[n]) continue;
    auto flush = Recycled<LinkFlush>();
    state.host->FillFlush(n, flush.get());
    PostFrom(self, state.parts.links[n], Payload<LinkFlush>(std::move(flush)));
  }
}

}  // namespace

NodeRuntimeActor SpawnNodeRuntime(caf::actor_system& system, NodeHostConfig config, Swarm swarm) {
  const auto behaviour = [](Self self, NodeHostConfig start,
                            std::shared_ptr<Swarm> own) -> NodeRuntimeActor::behavior_type {
    EndProcessOnException(self);
    return {
        [self, start, own](const Payload<NodeParts>& parts) {
          self->state.parts = *parts;
          const auto links = std::count_if(parts->links.begin(), parts->links.end(),
                                           [](const PeerLinkActor& link) { return static_cast<bool>(link); });
          self->state.host.emplace(start, std::move(*own), parts->shards.size(), static_cast<std::size_t>(links));
        },
        [self](const Payload<NodeTick>& tick) { Tick(self, tick); },
        [self](const Payload<Verdict>& verdict) { Take(self, verdict); },
        [self](const LinkReport& report) {
          if (self->state.host->Take(report)) Finish(self);
        },
    };
  };
  return system.spawn(behaviour, config, std::make_shared<Swarm>(std::move(swarm)));
}

}  // namespace lvs::actors
