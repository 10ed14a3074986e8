// The control service over gRPC (control.proto): what tools and clients call. Each call is one of the functions that
// the node gives.
//
// Who contributes need not be who operates: Drain is taken only from this machine, over loopback, with TLS or without.
// Elsewhere it ends with PERMISSION_DENIED, which says how to go about it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "grpcpp/grpcpp.h"
#include "lvs/v1/control.grpc.pb.h"

namespace lvs::services {

// What a node does for its control service; any thread.
class ControlBackend {
 public:
  using OnReply = std::function<void(const v1::ContributeReply&)>;

  virtual ~ControlBackend() = default;
  virtual v1::NodeStatus Status() const = 0;
  virtual v1::PeerList Peers() const = 0;
  virtual v1::ShardList Shards() const = 0;
  virtual void Contribute(const v1::ContributeRequest& request, std::string_view link,
                          std::chrono::steady_clock::time_point deadline, OnReply done) = 0;
  virtual absl::Status SetFaults(const v1::Faults& faults) = 0;
  virtual absl::Status Scatter() = 0;
  virtual void Drain(std::string_view reason) = 0;
};

// Bounds: contributions of one stream that wait for their answers (then it is read no further), and watchers.
inline constexpr std::size_t kStreamWaitingMax = 8192;
inline constexpr int kWatchersMax = 64;

// Whether a peer, in gRPC's form ("ipv4:10.0.0.7:4242", "ipv6:%5B::1%5D:4242", "unix:..."), is on this machine: over
// loopback or a Unix socket. Another address of the machine's own counts as elsewhere.
bool IsOnThisMachine(std::string_view peer);

// `backend` outlives the server that serves it.
std::unique_ptr<v1::Control::CallbackService> MakeControlService(ControlBackend* backend);

}  // namespace lvs::services
