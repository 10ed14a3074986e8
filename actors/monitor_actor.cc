#include "actors/monitor_actor.h"

#include <optional>
#include <utility>

#include "actors/recycled.h"
#include "shard/hosting/monitor.h"

namespace lvs::actors {

namespace {

struct MonitorState {
  static inline const char* name = "lvs.vaultguard_monitor";
  std::optional<hosting::Monitor> monitor;
};

}  // namespace

MonitorActor SpawnMonitor(caf::actor_system& system, std::uint32_t shards, NodeRuntimeActor runtime) {
  const auto behaviour = [](MonitorActor::stateful_pointer<MonitorState> self, std::uint32_t watched,
                            const NodeRuntimeActor& to) -> MonitorActor::behavior_type {
    EndProcessOnException(self);
    self->state.monitor.emplace(watched);
    return {
        [self, to](const Payload<ShardReport>& report) {
          if (!self->state.monitor->Take(report)) return;
          auto verdict = Recycled<Verdict>();
          self->state.monitor->Judge(verdict.get());
          PostFrom(self, to, Payload<Verdict>(std::move(verdict)));
        },
    };
  };
  return system.spawn(behaviour, shards, std::move(runtime));
}

}  // namespace lvs::actors
