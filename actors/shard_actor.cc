#include "actors/shard_actor.h"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "actors/recycled.h"

namespace lvs::actors {

namespace {

using hosting::ShardHost;
using hosting::ShardHostConfig;

struct ShardState {
  static inline const char* name = "lvs.shard";
  std::optional<ShardHost> host;
  Wiring wiring;
};

void Tick(ShardActor::stateful_pointer<ShardState> self, const ShardTick& tick) {
  auto report = Recycled<ShardReport>();
  self->state.host->Tick(tick, report.get());
  for (ShardHost::Said& said : self->state.host->said()) {
    PostFrom(self, self->state.wiring.links[said.to], OutgoingFrame{std::move(said.frame)});
  }
  PostFrom(self, self->state.wiring.monitor, Payload<ShardReport>(std::move(report)));
}

}  // namespace

std::uint64_t SteadyNanoseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count());
}

ShardActor SpawnShardActor(caf::actor_system& system, ShardHostConfig config) {
  config.make_frame = &Recycled<shard::Frame>;
  // The host is made on a worker's thread, so that many shards start side by side.
  const auto behaviour = [](ShardActor::stateful_pointer<ShardState> self,
                            std::shared_ptr<ShardHostConfig> start) -> ShardActor::behavior_type {
    EndProcessOnException(self);
    self->state.host.emplace(std::move(*start));
    return {
        [self](const Payload<Wiring>& wiring) { self->state.wiring = *wiring; },
        [self](const Payload<ShardTick>& tick) { Tick(self, *tick); },
        [self](const IncomingFrame& frame) { self->state.host->Receive(frame); },
        [self](const LinkChange& change) { self->state.host->Change(change); },
    };
  };
  return system.spawn(behaviour, std::make_shared<ShardHostConfig>(std::move(config)));
}

}  // namespace lvs::actors
