// The transport layer (SPEC-3.2, SPEC-13, ARCH-2.2): one gRPC stream to each connected server node, frames in and out.
//
//   TransportLayer transport(options);
//   actors::ServerNode node(config, transport.sinks(), on_report);
//   transport.Start("10.0.0.5:7400",                                   // where peers reach this node
//                   [&](std::uint32_t link, const auto& frame) { node.Deliver(link, frame); },
//                   [&](std::uint32_t link, bool up) { node.SetLink(link, up); });
//   transport.Tick(cycle);        // every cycle: dials, pings, ends what fell silent
//   transport.Drain("upgrade");   // says goodbye; nobody is let in any more
//   transport.Stop();
//
// services/peering/peering.h decides what is sent and taken, for every carrier alike. This layer adds the gRPC service
// and channels, the clock, and a thread that looks up names.
//
// All functions are safe from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "actors/frame_sink.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/security/credentials.h"
#include "lvs/v1/control.pb.h"
#include "services/net/connections.h"
#include "services/peering/peer_table.h"
#include "vaultguard/refusals.h"

namespace lvs::services {

struct TransportOptions : PeeringOptions {
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  // Of the server that serves the service; null: connections have no limits.
  std::shared_ptr<Connections> connections;
};

class TransportLayer {
 public:
  using Deliver = std::function<void(std::uint32_t link, hosting::Payload<shard::Frame>)>;
  using LinkChanged = std::function<void(std::uint32_t link, bool up)>;

  explicit TransportLayer(TransportOptions options);
  ~TransportLayer();
  TransportLayer(const TransportLayer&) = delete;
  TransportLayer& operator=(const TransportLayer&) = delete;

  // Sinks that carry frames to the far end of each link.
  std::vector<std::shared_ptr<actors::FrameSink>> sinks();
  // The service to register with the server that peers connect to, before the server starts.
  grpc::Service* service();

  // `advertise` is the host:port that peers are told to dial; empty: no peer dials this node.
  void Start(std::string advertise, Deliver deliver, LinkChanged link_changed);
  // One cycle of upkeep; `cycle` is the newest one, against which frames are checked.
  void Tick(std::uint64_t cycle);
  void Drain(std::string_view reason);
  // Ends every stream and waits for them. Idempotent.
  void Stop();

  // FAILED_PRECONDITION unless the options allow faults, INVALID_ARGUMENT where a value is out of range.
  absl::Status SetFaults(const v1::Faults& faults);

  v1::PeerList Peers() const;
  v1::TrafficStatus Traffic() const;
  vaultguard::RefusalCounts refused() const;
  std::uint32_t connected() const;
  // How the peers stand to this node.
  PeerTable::Standing standing() const;
  bool draining() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lvs::services
