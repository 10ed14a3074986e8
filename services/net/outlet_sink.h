// Adapts an outlet to the actors' interface: frames of an actor go out on the stream that holds the link.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "actors/frame_sink.h"
#include "services/peering/outlet.h"

namespace lvs::services {

class OutletSink final : public actors::FrameSink {
 public:
  explicit OutletSink(std::shared_ptr<Outlet> outlet) : outlet_(std::move(outlet)) {}
  void Offer(const hosting::Payload<shard::Frame>& frame) override { outlet_->Offer(frame); }
  void Flush() override { outlet_->Flush(); }

  static std::vector<std::shared_ptr<actors::FrameSink>> Of(const std::vector<std::shared_ptr<Outlet>>& outlets) {
    std::vector<std::shared_ptr<actors::FrameSink>> sinks;
    for (const auto& outlet : outlets) sinks.push_back(std::make_shared<OutletSink>(outlet));
    return sinks;
  }

 private:
  const std::shared_ptr<Outlet> outlet_;
};

}  // namespace lvs::services
