#include "shard/hosting/virtual_link.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "shard/frame_codec.h"
#include "shard/hosting/nonsense.h"
#include "shard/random.h"

namespace lvs::hosting {

using shard::Draw;
using shard::Frame;
using shard::Mix;
using shard::Stream;
using shard::Unit;

LinkReport VirtualLink::Flush(const LinkFlush& flush) {
  LinkReport report;
  report.to = config_.to;
  delivered_.clear();
  // Shards finish in any order.
  std::sort(outbox_.begin(), outbox_.end(), [](const auto& a, const auto& b) { return a->shard < b->shard; });
  for (const Payload<Frame>& frame : outbox_) Send(frame, flush, &report);
  outbox_.clear();
  return report;
}

void VirtualLink::Send(const Payload<Frame>& frame, const LinkFlush& flush, LinkReport* report) {
  ++report->frames;
  report->bytes += shard::EncodedSize(*frame);
  const std::uint64_t id = (LinkId() << 24) + frame->shard;
  const std::uint64_t fate = Draw(config_.seed, Stream::kLink, id, flush.cycle);
  const double loss = std::min(1.0, config_.quality.loss + flush.extra_loss);
  if (flush.severed || Unit(fate) < loss) {
    ++report->lost;
    return;
  }
  Deliver(frame, flush.cycle, Mix(fate + 1), report);
  if (Unit(Mix(fate + 2)) < config_.quality.duplicate) Deliver(frame, flush.cycle, Mix(fate + 3), report);
  const std::uint64_t corrupt = Draw(config_.seed, Stream::kCorrupt, id, flush.cycle);
  if (Unit(corrupt) < flush.corrupt) {
    auto nonsense = std::make_shared<Frame>(Nonsense(*frame, static_cast<int>(nonsense_++ % kNonsenseKinds)));
    Deliver(std::move(nonsense), flush.cycle, Mix(corrupt), report);
  }
}

void VirtualLink::Deliver(Payload<Frame> frame, std::uint64_t cycle, std::uint64_t draw, LinkReport* report) {
  double delay_ms = config_.quality.latency_ms + (2 * Unit(draw) - 1) * config_.quality.jitter_ms;
  // A reordered frame is one to three periods late, so that later frames overtake it.
  if (Unit(Mix(draw + 1)) < config_.quality.reorder) {
    delay_ms += config_.period_ms * (1 + shard::Below(Mix(draw + 2), 3));
  }
  delay_ms = std::max(0.0, delay_ms);
  const auto cycles = static_cast<std::uint64_t>(std::max(1.0, std::ceil(delay_ms / config_.period_ms)));
  ++report->delivered;
  report->latency_ms_sum += delay_ms;
  report->latency_ms_max = std::max(report->latency_ms_max, delay_ms);
  const std::uint32_t shard = frame->shard;
  delivered_.push_back({shard, {config_.from, cycle + cycles, std::move(frame)}});
}

}  // namespace lvs::hosting
