// A virtual link: the way from one server node to another inside a process, with the latency, jitter, loss,
// duplication, reordering and partitions of a scenario.
//
//   VirtualLink link({.from = 0, .to = 1, .seed = seed, .period_ms = 100, .quality = quality});
//   link.Take(frame);                                        // in any order within a cycle
//   const LinkReport report = link.Flush({.cycle = cycle});
//   for (VirtualLink::Delivery& d : link.delivered()) host_of[d.shard]->Receive(d.frame);
//
// A frame's fate is drawn from (seed, link, shard, cycle), so a run repeats for any number of threads. Frames in flight
// lie in the receivers' inboxes, which bound them (vaultguard::kMaxPendingFrames). One owner at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "shard/hosting/messages.h"

namespace lvs::hosting {

struct VirtualLinkConfig {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::uint64_t seed = 0;
  double period_ms = 100;  // of a cycle
  LinkQuality quality;
};

class VirtualLink {
 public:
  struct Delivery {
    std::uint32_t shard = 0;  // by the frame's word
    IncomingFrame frame;
  };

  explicit VirtualLink(VirtualLinkConfig config) : config_(config) {}

  // Takes a frame of the running cycle: at most one a shard.
  void Take(Payload<shard::Frame> frame) { outbox_.push_back(std::move(frame)); }
  // Decides the fate of the cycle's frames.
  LinkReport Flush(const LinkFlush& flush);
  // Deliveries of the last flush, in the order of the shards. The caller may move the frames out.
  std::vector<Delivery>& delivered() { return delivered_; }

 private:
  std::uint64_t LinkId() const { return (std::uint64_t{config_.from} << 16) + config_.to; }
  void Send(const Payload<shard::Frame>& frame, const LinkFlush& flush, LinkReport* report);
  void Deliver(Payload<shard::Frame> frame, std::uint64_t cycle, std::uint64_t draw, LinkReport* report);

  VirtualLinkConfig config_;
  std::vector<Payload<shard::Frame>> outbox_;
  std::vector<Delivery> delivered_;
  std::uint64_t nonsense_ = 0;  // nonsense frames so far
};

}  // namespace lvs::hosting
