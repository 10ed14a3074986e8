// The interface of a node as its control service sees it, without gRPC.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

#include "absl/status/status.h"
#include "lvs/v1/control.pb.h"

namespace lvs::services {

// Any thread.
class ControlBackend {
 public:
  using OnReply = std::function<void(const v1::ContributeReply&)>;

  virtual ~ControlBackend() = default;
  virtual v1::NodeStatus Status() const = 0;
  virtual v1::PeerList Peers() const = 0;
  virtual v1::ShardList Shards() const = 0;
  // Calls `done` once: from within the call or later, on any thread, by `deadline` and one cycle period at the latest.
  // `link` names the client's connection; contributions are limited by it.
  virtual void Contribute(const v1::ContributeRequest& request, std::string_view link,
                          std::chrono::steady_clock::time_point deadline, OnReply done) = 0;
  virtual absl::Status SetFaults(const v1::Faults& faults) = 0;
  virtual absl::Status Scatter() = 0;
  virtual void Drain(std::string_view reason) = 0;
};

}  // namespace lvs::services
