// A client of one server node's Control service (proto/lvs/v1/control.proto), with errors that say what to do.
//
//   absl::StatusOr<ControlClient> node = ControlClient::Open({.address = "127.0.0.1:7401"});
//   if (!node.ok()) return node.status();                               // a certificate that cannot be read
//   absl::StatusOr<v1::NodeStatus> status = node->GetStatus();          // "nobody listens at 127.0.0.1:7401; ..."
//
// Every call ends within the timeout. Errors keep the code that the node returned. UNAVAILABLE means that the node
// cannot be reached, UNIMPLEMENTED that something other than a node answers. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/control.grpc.pb.h"

namespace lvs::services {

inline constexpr const char* kControlAddressDefault = "127.0.0.1:7401";

// How to reach a node. TLS is used where `ca_file` is set. The certificate and its key are for nodes that require a
// client certificate.
struct ControlTarget {
  std::string address = kControlAddressDefault;
  std::string ca_file{}, cert_file{}, key_file{};  // PEM
  std::chrono::milliseconds timeout{5'000};
};

// A contribution whose call failed may still be held by the node: `reached` is the durability that it reached.
struct ContributeResult {
  absl::Status status;
  v1::ContributeReply reached;
};

// Clients wait this much longer than the timeout that they give the node, so that the node's answer ends a contribution
// and not the client's clock.
inline constexpr std::chrono::milliseconds kReplySlack{500};

class ControlClient {
 public:
  // Open does not connect yet. INVALID_ARGUMENT for an invalid combination of options, NOT_FOUND for unreadable files.
  static absl::StatusOr<ControlClient> Open(const ControlTarget& target);

  const std::string& address() const { return target_.address; }

  absl::StatusOr<v1::NodeStatus> GetStatus() const;
  absl::StatusOr<v1::PeerList> ListPeers() const;
  absl::StatusOr<v1::ShardList> ListShards() const;
  // Gives the node the timeout to reach the durability, unless the request sets one, and waits kReplySlack longer.
  ContributeResult Contribute(v1::ContributeRequest request) const;
  absl::Status Drain() const;
  absl::StatusOr<v1::Faults> SetFaults(const v1::Faults& faults) const;
  absl::Status Scatter() const;

  // Calls `on_status` with each status. Returns OK once `on_status` returns false or `stop` is set, and an error when
  // the stream breaks. The timeout applies to each status.
  absl::Status Watch(std::chrono::milliseconds interval, const std::function<bool(const v1::NodeStatus&)>& on_status,
                     const std::atomic<bool>* stop) const;

  // The stub is for callers that open streams of their own; Explain turns their gRPC status into an error for users.
  v1::Control::Stub& stub() const { return *stub_; }
  absl::Status Explain(const grpc::Status& status) const;

 private:
  ControlClient(ControlTarget target, std::unique_ptr<v1::Control::Stub> stub)
      : target_(std::move(target)), stub_(std::move(stub)) {}

  template <typename Request, typename Reply>
  absl::StatusOr<Reply> Call(grpc::Status (v1::Control::Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                             const Request& request) const;

  ControlTarget target_;
  std::unique_ptr<v1::Control::Stub> stub_;
};

}  // namespace lvs::services
