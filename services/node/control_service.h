// The control service over gRPC (control.proto): what tools and clients call. Each call becomes a call of the backend.
//
// Whoever may contribute need not be an operator: Drain is taken only from this machine, over loopback, with TLS or
// without. From elsewhere it ends with PERMISSION_DENIED, whose message says how to go about it.
//
// Calls hold their connection (services/net/held_service.h).
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "grpcpp/impl/service_type.h"
#include "services/net/connections.h"
#include "services/node/control_backend.h"

namespace lvs::services {

// Contributions of one stream without an answer; with so many, the stream is read no further.
inline constexpr std::size_t kStreamWaitingMax = 8192;
// Calls of Watch at a time.
inline constexpr int kWatchersMax = 64;

// Whether a peer, in gRPC's form ("ipv4:10.0.0.7:4242", "ipv6:%5B::1%5D:4242", "unix:..."), is on this machine: over
// loopback or a Unix socket. Another address of the machine's own counts as elsewhere.
bool IsOnThisMachine(std::string_view peer);

// `backend` outlives the server that serves it. `connections`: of that server; null: they have no limits.
std::unique_ptr<grpc::Service> MakeControlService(ControlBackend* backend, std::shared_ptr<Connections> connections);

}  // namespace lvs::services
