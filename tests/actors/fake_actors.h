// Actors that stand in for the neighbours of the one under test. Each is spawned with an argument: without one, CAF
// 0.17 binds a reference to nothing.
#pragma once

#include <memory>

#include "actors/interfaces.h"

namespace lvs::actors {

// Passes the frames that reach it on to `to`.
inline ShardActor SpawnFakeShard(caf::actor_system& system, caf::actor out) {
  const auto behaviour = [](ShardActor::pointer, caf::actor to) -> ShardActor::behavior_type {
    return {[](const Payload<Wiring>&) {}, [](const Payload<ShardTick>&) {},
            [to](const IncomingFrame& frame) { caf::anon_send(to, frame); }, [](const LinkChange&) {}};
  };
  return system.spawn(behaviour, std::move(out));
}

inline PeerLinkActor SpawnFakeLink(caf::actor_system& system, caf::actor out) {
  const auto behaviour = [](PeerLinkActor::pointer, caf::actor to) -> PeerLinkActor::behavior_type {
    return {[to](const OutgoingFrame& frame) { caf::anon_send(to, frame); }, [](const Payload<LinkFlush>&) {}};
  };
  return system.spawn(behaviour, std::move(out));
}

inline MonitorActor SpawnFakeMonitor(caf::actor_system& system, caf::actor out) {
  const auto behaviour = [](MonitorActor::pointer, caf::actor to) -> MonitorActor::behavior_type {
    return {[to](const Payload<ShardReport>& report) { caf::anon_send(to, report); }};
  };
  return system.spawn(behaviour, std::move(out));
}

}  // namespace lvs::actors
