#include "actors/peer_link_actor.h"

#include <optional>
#include <utility>

namespace lvs::actors {

namespace {

using hosting::VirtualLink;
using hosting::VirtualLinkConfig;

struct VirtualState {
  static inline const char* name = "lvs.peer_link";
  std::optional<VirtualLink> link;
  std::vector<ShardActor> shards;
};

struct RemoteState {
  static inline const char* name = "lvs.remote_link";
  std::shared_ptr<FrameSink> sink;
};

template <class Self>
void Report(Self* self, const LinkReport& report) {
  PostFrom(self, caf::actor_cast<NodeRuntimeActor>(self->current_sender()), report);
}

void Flush(PeerLinkActor::stateful_pointer<VirtualState> self, const LinkFlush& flush) {
  VirtualState& state = self->state;
  const LinkReport report = state.link->Flush(flush);
  for (VirtualLink::Delivery& delivery : state.link->delivered()) {
    // A nonsense frame may name a shard that does not exist; shard 0 then refuses it.
    const std::size_t shard = delivery.shard < state.shards.size() ? delivery.shard : 0;
    PostFrom(self, state.shards[shard], std::move(delivery.frame));
  }
  Report(self, report);
}

}  // namespace

PeerLinkActor SpawnVirtualLink(caf::actor_system& system, VirtualLinkConfig config, std::vector<ShardActor> shards) {
  const auto behaviour = [](PeerLinkActor::stateful_pointer<VirtualState> self, VirtualLinkConfig start,
                            std::vector<ShardActor> remote) -> PeerLinkActor::behavior_type {
    EndProcessOnException(self);
    self->state.link.emplace(start);
    self->state.shards = std::move(remote);
    return {
        [self](const OutgoingFrame& frame) { self->state.link->Take(frame.frame); },
        [self](const Payload<LinkFlush>& flush) { Flush(self, *flush); },
    };
  };
  return system.spawn(behaviour, config, std::move(shards));
}

PeerLinkActor SpawnRemoteLink(caf::actor_system& system, std::uint32_t to, std::shared_ptr<FrameSink> sink) {
  const auto behaviour = [](PeerLinkActor::stateful_pointer<RemoteState> self, std::uint32_t node,
                            std::shared_ptr<FrameSink> carrier) -> PeerLinkActor::behavior_type {
    EndProcessOnException(self);
    self->state.sink = std::move(carrier);
    return {
        [self](const OutgoingFrame& frame) { self->state.sink->Offer(frame.frame); },
        [self, node](const Payload<LinkFlush>&) {
          self->state.sink->Flush();
          LinkReport report;
          report.to = node;
          Report(self, report);
        },
    };
  };
  return system.spawn(behaviour, to, std::move(sink));
}

}  // namespace lvs::actors
