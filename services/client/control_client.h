// What tools ask of one server node (proto/lvs/v1/control.proto), with errors that say what to do.
//
//   absl::StatusOr<ControlClient> node = ControlClient::Open({.address = "127.0.0.1:7401"});
//   if (!node.ok()) return node.status();                               // a certificate that cannot be read
//   absl::StatusOr<v1::NodeStatus> status = node->GetStatus();          // "nobody listens at 127.0.0.1:7401; ..."
//
// Every call ends within the timeout. Errors keep the code of the node; a node that cannot be reached is UNAVAILABLE,
// one that answers as something else is UNIMPLEMENTED. Thread-safe.
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

// How to reach a node. TLS is spoken where `ca_file` is given; the certificate and its key where the node asks for one.
struct ControlTarget {
  std::string address = kControlAddressDefault;
  std::string ca_file{}, cert_file{}, key_file{};  // PEM
  std::chrono::milliseconds timeout{5'000};
};

// A contribution that failed may have been held all the same: `reached` says how far it came.
struct ContributeResult {
  absl::Status status;
  v1::ContributeReply reached;
};

// What a client waits beyond the timeout that a node was given, so that the node's answer and not the client's clock ends
// a contribution.
inline constexpr std::chrono::milliseconds kReplySlack{500};

class ControlClient {
 public:
  // Does not connect yet. INVALID_ARGUMENT for options that do not go together, NOT_FOUND for files that cannot be
  // read.
  static absl::StatusOr<ControlClient> Open(const ControlTarget& target);

  const std::string& address() const { return target_.address; }

  absl::StatusOr<v1::NodeStatus> GetStatus() const;
  absl::StatusOr<v1::PeerList> ListPeers() const;
  absl::StatusOr<v1::ShardList> ListShards() const;
  // Gives the node the timeout to reach the durability, unless the request has one, and waits a little longer.
  ContributeResult Contribute(v1::ContributeRequest request) const;
  absl::Status Drain() const;
  absl::StatusOr<v1::Faults> SetFaults(const v1::Faults& faults) const;
  absl::Status Scatter() const;

  // Calls `on_status` with each status, until it returns false, `stop` is set (both: OK), or the stream breaks. The
  // timeout is for each status.
  absl::Status Watch(std::chrono::milliseconds interval, const std::function<bool(const v1::NodeStatus&)>& on_status,
                     const std::atomic<bool>* stop) const;

  // For streams of one's own; Explain says what became of them.
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
