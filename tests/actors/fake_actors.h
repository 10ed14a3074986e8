// Actors that stand in for the neighbours of the one under test.
#pragma once

#include <memory>

#include "actors/interfaces.h"

namespace lvs::actors {

// Passes the frames that reach it on to `to`.
inline ShardActor SpawnFakeShard(caf::actor_system& system, caf::actor to) {
  return system.spawn([to](ShardActor::pointer) -> ShardActor::behavior_type {
    return {[](const Payload<Wiring>&) {}, [](const Payload<ShardTick>&) {},
            [to](const IncomingFrame& frame) { caf::anon_send(to, frame); }};
  });
}

inline PeerLinkActor SpawnFakeLink(caf::actor_system& system, caf::actor to) {
  return system.spawn([to](PeerLinkActor::pointer) -> PeerLinkActor::behavior_type {
    return {[to](const OutgoingFrame& frame) { caf::anon_send(to, frame); }, [](const Payload<LinkFlush>&) {}};
  });
}

inline MonitorActor SpawnFakeMonitor(caf::actor_system& system, caf::actor to) {
  return system.spawn([to](MonitorActor::pointer) -> MonitorActor::behavior_type {
    return {[to](const Payload<ShardReport>& report) { caf::anon_send(to, report); }};
  });
}

}  // namespace lvs::actors
