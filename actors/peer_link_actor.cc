#include "actors/peer_link_actor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "actors/server_node.h"
#include "shard/random.h"

namespace lvs::actors {

namespace {

using shard::Draw;
using shard::Frame;
using shard::Stream;
using shard::Unit;

class VirtualLink {
 public:
  static inline const char* name = "lvs.peer_link";

  void Configure(VirtualLinkConfig config, std::vector<ShardActor> shards) {
    config_ = config;
    shards_ = std::move(shards);
  }

  void Take(const OutgoingFrame& frame) { outbox_.push_back(frame.frame); }

  template <class Self>
  LinkReport Flush(const LinkFlush& flush, Self* self) {
    LinkReport report;
    report.to = config_.to;
    // Shard actors finish in any order.
    std::sort(outbox_.begin(), outbox_.end(), [](const auto& a, const auto& b) { return a->shard < b->shard; });
    for (const Payload<Frame>& frame : outbox_) {
      ++report.frames;
      report.bytes += shard::EncodedSize(*frame);
      const std::uint64_t fate = Draw(config_.seed, Stream::kLink, (LinkId() << 24) + frame->shard, flush.cycle);
      const double loss = std::min(1.0, config_.quality.loss + flush.extra_loss);
      if (flush.severed || Unit(fate) < loss) {
        ++report.lost;
        continue;
      }
      Deliver(frame, flush.cycle, shard::Mix(fate + 1), &report, self);
      if (Unit(shard::Mix(fate + 2)) < config_.quality.duplicate) {
        Deliver(frame, flush.cycle, shard::Mix(fate + 3), &report, self);
      }
      const std::uint64_t corrupt = Draw(config_.seed, Stream::kCorrupt, (LinkId() << 24) + frame->shard, flush.cycle);
      if (Unit(corrupt) < flush.corrupt) {
        auto nonsense = std::make_shared<Frame>(Nonsense(*frame, static_cast<int>(nonsense_++ % kNonsenseKinds)));
        Deliver(std::move(nonsense), flush.cycle, shard::Mix(corrupt), &report, self);
      }
    }
    outbox_.clear();
    return report;
  }

 private:
  std::uint64_t LinkId() const { return (std::uint64_t{config_.from} << 16) + config_.to; }

  template <class Self>
  void Deliver(Payload<Frame> frame, std::uint64_t cycle, std::uint64_t draw, LinkReport* report, Self* self) {
    double delay_ms = config_.quality.latency_ms + (2 * Unit(draw) - 1) * config_.quality.jitter_ms;
    // A reordered frame takes a way that is one to three periods longer: later ones overtake it.
    if (Unit(shard::Mix(draw + 1)) < config_.quality.reorder) {
      delay_ms += config_.period_ms * (1 + shard::Below(shard::Mix(draw + 2), 3));
    }
    delay_ms = std::max(0.0, delay_ms);
    const auto cycles = static_cast<std::uint64_t>(std::max(1.0, std::ceil(delay_ms / config_.period_ms)));
    ++report->delivered;
    report->latency_ms_sum += delay_ms;
    report->latency_ms_max = std::max(report->latency_ms_max, delay_ms);
    const std::uint32_t shard = frame->shard < shards_.size() ? frame->shard : 0;
    PostFrom(self, shards_[shard], IncomingFrame{config_.from, cycle + cycles, std::move(frame)});
  }

  VirtualLinkConfig config_;
  std::vector<ShardActor> shards_;
  std::vector<Payload<Frame>> outbox_;  // of the running cycle: one a shard
  std::uint64_t nonsense_ = 0;
};

class RemoteLink {
 public:
  static inline const char* name = "lvs.remote_link";
  std::shared_ptr<FrameSink> sink;
};

}  // namespace

Frame Nonsense(const Frame& good, int kind) {
  Frame bad = good;
  // One more row than the good frame has, so that there is something to spoil.
  const std::size_t dims =
      good.halo_row.empty() ? static_cast<std::size_t>(good.value_slots) + 2 : good.diff.size() / good.halo_row.size();
  bad.halo_row.push_back(0);
  bad.published_cycle.push_back(static_cast<std::uint32_t>(good.cycle));
  bad.drift_weight.push_back(255);
  bad.entropy.push_back(0x01010101);
  bad.diff.resize(bad.diff.size() + dims, 0.5f);
  shard::LedgerEntry forged;
  forged.session = {0xbad, 0xbad + static_cast<std::uint64_t>(kind)};
  forged.opened_cycle = good.cycle;
  switch (kind) {
    case 0: bad.diff.back() = std::numeric_limits<float>::quiet_NaN(); break;
    case 1: bad.diff.back() = -std::numeric_limits<float>::infinity(); break;
    case 2: bad.diff.pop_back(); break;
    case 3: bad.drift_weight.clear(); break;
    case 4: bad.shard = good.shard + 1'000'000; break;
    case 5: bad.cycle = good.cycle + 1'000'000; break;
    case 6: bad.halo_row.back() = 0xffffffff; break;
    case 7: bad.value_slots = good.value_slots + 1; break;
    case 8: bad = good; break;  // said before, word for word
    case 9: bad.halo_row.assign(vaultguard::kMaxFrameRows + 1, 0); break;
    case 10:  // more than the session may have earned
      forged.amount_uvu[0] = std::int64_t{1} << 50;
      bad = good;
      bad.entries.push_back(forged);
      break;
    case 11:  // value that is less than none
      forged.amount_uvu[0] = -1;
      bad = good;
      bad.entries.push_back(forged);
      break;
    default: break;
  }
  return bad;
}

PeerLinkActor SpawnVirtualLink(caf::actor_system& system, VirtualLinkConfig config, std::vector<ShardActor> shards) {
  const auto behaviour = [](PeerLinkActor::stateful_pointer<VirtualLink> self, VirtualLinkConfig start,
                            std::vector<ShardActor> remote) -> PeerLinkActor::behavior_type {
    self->state.Configure(start, std::move(remote));
    return {
        [self](const OutgoingFrame& frame) { self->state.Take(frame); },
        [self](const Payload<LinkFlush>& flush) {
          const LinkReport report = self->state.Flush(*flush, self);
          PostFrom(self, caf::actor_cast<NodeRuntimeActor>(self->current_sender()), report);
        },
    };
  };
  return system.spawn(behaviour, config, std::move(shards));
}

PeerLinkActor SpawnRemoteLink(caf::actor_system& system, std::uint32_t to, std::shared_ptr<FrameSink> sink) {
  const auto behaviour = [](PeerLinkActor::stateful_pointer<RemoteLink> self, std::uint32_t node,
                            std::shared_ptr<FrameSink> carrier) -> PeerLinkActor::behavior_type {
    self->state.sink = std::move(carrier);
    return {
        [self](const OutgoingFrame& frame) { self->state.sink->Offer(frame.frame); },
        [self, node](const Payload<LinkFlush>&) {
          self->state.sink->Flush();
          LinkReport report;
          report.to = node;
          PostFrom(self, caf::actor_cast<NodeRuntimeActor>(self->current_sender()), report);
        },
    };
  };
  return system.spawn(behaviour, to, std::move(sink));
}

}  // namespace lvs::actors
