// The transport layer (SPEC-3.2, SPEC-13, ARCH-2.2): one gRPC stream to each connected server node, frames in and out.
//
//   TransportLayer transport(options);
//   actors::ServerNode node(config, transport.sinks(), ...);
//   transport.Start("10.0.0.5:7400",                                   // where peers reach this node
//                   [&](link, frame) { node.Deliver(link, frame); },
//                   [&](link, up) { node.SetLink(link, up); });
//   transport.Tick(cycle);        // every cycle: dials, pings, ends what fell silent
//   transport.Drain("upgrade");   // says goodbye; nobody is let in any more
//   transport.Stop();
//
// The parts: peer_stream.h, one stream; outbox.h, what waits on it; membership.h, whom to dial and to keep;
// link_faults.h, for test networks. Here: which stream holds which link, and what is taken from it.
//
// Streams come and go; links are the fixed places that they take. A peer is welcomed where the protocol ranges overlap
// and state shape and cycle period agree. Of two streams between the same two nodes, the one that the node with the
// smaller session dialled is kept.
//
// What goes out waits in an outbox a link (outbox.h), so a slow peer costs freshness and never memory.
//
// Inbox: every frame is checked against size, columns, finite numbers, shards and the cycle window before it reaches an
// actor; what is refused is counted by reason and changes nothing. A link that says more than a few frames a shard and
// cycle is refused the rest, one that keeps saying what is refused is dropped, and one that says more messages than an
// honest one can is read no faster than that. Of strangers that say no hello the oldest makes room for the newest.
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
#include "actors/server_node.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/security/credentials.h"
#include "lvs/v1/control.pb.h"
#include "services/net/connection_refusals.h"
#include "vaultguard/refusals.h"

namespace lvs::services {

// What this build speaks: 1, one frame a message; 2, many frames a message, and pings.
inline constexpr std::uint32_t kProtocolMin = 1;
inline constexpr std::uint32_t kProtocolMax = 2;

// A message on a stream may not be longer. A batch of frames ends at a quarter of it, and the largest frame takes less
// than half; what is read may take a hundred times as much memory for as long as it is looked at.
inline constexpr int kMessageBytesMax = 1 << 18;

struct TransportOptions {
  std::string region;
  std::string build;
  shard::SessionId session;
  std::uint32_t shards = 0;
  shard::Shape shape;
  std::uint64_t period_us = 100'000;
  std::uint32_t halo_rows = 32;
  std::uint32_t protocol_max = kProtocolMax;
  std::uint32_t links = 16;
  std::vector<std::string> boot;  // host:port; a host may stand for many addresses
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::shared_ptr<ConnectionRefusals> refusals;  // where refused streams are counted; null: nowhere
  bool faults = false;                           // SetFaults may be called
  std::uint64_t seed = 0;
  // Times, seconds.
  double hello_s = 5;    // a stream that has not said hello by then is ended
  double silence_s = 6;  // one that has not been heard for so long is ended
};

class TransportLayer {
 public:
  using Deliver = std::function<void(std::uint32_t link, hosting::Payload<shard::Frame>)>;
  using LinkChanged = std::function<void(std::uint32_t link, bool up)>;

  explicit TransportLayer(TransportOptions options);
  ~TransportLayer();
  TransportLayer(const TransportLayer&) = delete;
  TransportLayer& operator=(const TransportLayer&) = delete;

  // What carries frames to the far end of each link.
  std::vector<std::shared_ptr<actors::FrameSink>> sinks();
  // To be registered with the server that peers connect to, before it starts.
  grpc::Service* service();

  // `advertise` is where peers are told to dial, host:port; empty: nobody dials this node.
  void Start(std::string advertise, Deliver deliver, LinkChanged link_changed);
  // One cycle of upkeep; `cycle` is the newest one, against which frames are checked.
  void Tick(std::uint64_t cycle);
  void Drain(std::string_view reason);
  // Ends every stream and waits for them. Idempotent.
  void Stop();

  // FAILED_PRECONDITION unless the options allow faults, INVALID_ARGUMENT where they cannot be.
  absl::Status SetFaults(const v1::Faults& faults);

  v1::PeerList Peers() const;
  v1::TrafficStatus Traffic() const;
  vaultguard::RefusalCounts refused() const;
  std::uint32_t connected() const;
  // Of those connected, the ones whose last frames (a hundred or more) were all of cycles that have not been.
  std::uint32_t ahead() const;
  bool draining() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lvs::services
