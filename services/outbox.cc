#include "services/outbox.h"

#include <algorithm>
#include <utility>

namespace lvs::services {

namespace {

using shard::Frame;

// The frame with the rows that `keep` says.
template <typename Keep>
Frame WithRows(const Frame& frame, const Keep& keep) {
  Frame out = frame;
  out.halo_row.clear();
  out.published_cycle.clear();
  out.drift_weight.clear();
  out.entropy.clear();
  out.diff.clear();
  for (std::size_t n = 0; n < frame.halo_row.size(); ++n) {
    if (keep(frame.halo_row[n])) shard::AppendRow(frame, n, &out);
  }
  return out;
}

}  // namespace

void Outbox::SetReceiver(const Receiver& receiver) {
  const std::lock_guard lock(mu_);
  receiver_ = receiver;
}

void Outbox::Offer(const std::shared_ptr<const Frame>& frame) {
  const std::lock_guard lock(mu_);
  if (closed_) return;
  if (frame->shard >= limits_.shards) {
    ++counts_.dropped;
    return;
  }
  const auto older = frames_.find(frame->shard);
  const bool replaces = older != frames_.end();
  const auto newest = replaces ? std::make_shared<const Frame>(shard::Coalesce(*older->second.frame, *frame)) : frame;
  if (!Fit(frame->shard, newest)) {
    const auto nothing = [](std::uint32_t) { return false; };
    auto news = std::make_shared<Frame>(WithRows(*newest, nothing));
    news->bucket_digest.clear();
    if (!Fit(frame->shard, std::move(news))) {
      ++counts_.dropped;
      return;
    }
    ++counts_.shortened;
  }
  if (replaces) ++counts_.replaced;
}

bool Outbox::Fit(std::uint32_t shard, std::shared_ptr<const Frame> frame) {
  const std::size_t bytes = shard::EncodedSize(*frame);
  const auto older = frames_.find(shard);
  const std::size_t others = bytes_ - (older == frames_.end() ? 0 : older->second.bytes);
  if (others + bytes > limits_.bytes) return false;
  frames_[shard] = {std::move(frame), bytes};
  bytes_ = others + bytes;
  return true;
}

void Outbox::Say(v1::PeerMessage message) {
  const std::lock_guard lock(mu_);
  if (!closed_) messages_[static_cast<std::size_t>(message.kind_case())] = std::move(message);
}

bool Outbox::Take(v1::PeerMessage* message) {
  const std::lock_guard lock(mu_);
  if (closed_ || writing_) return false;
  const auto next = std::find_if(messages_.begin(), messages_.end(), [](const auto& m) { return m.has_value(); });
  if (next != messages_.end()) {
    *message = *std::exchange(*next, std::nullopt);
  } else if (!frames_.empty()) {
    message->Clear();
    TakeFrames(message->mutable_frames());
  } else {
    return false;
  }
  counts_.bytes_sent += message->ByteSizeLong();
  writing_ = true;
  return true;
}

void Outbox::TakeFrames(v1::FrameBatch* batch) {
  std::size_t bytes = 0;
  do {
    // Round the shards: after a message that did not take them all, the next begins behind it.
    auto next = frames_.upper_bound(last_shard_);
    if (next == frames_.end()) next = frames_.begin();
    const Waiting waiting = std::move(next->second);
    last_shard_ = next->first;
    frames_.erase(next);
    const auto known = [this](std::uint32_t row) { return row < receiver_.halo_rows; };
    const Frame& frame = *waiting.frame;
    const bool fits = std::all_of(frame.halo_row.begin(), frame.halo_row.end(), known);
    *batch->add_frames() = shard::ToProto(fits ? frame : WithRows(frame, known));
    bytes += waiting.bytes;
    bytes_ -= waiting.bytes;
    ++counts_.frames_sent;
  } while (receiver_.many_frames && !frames_.empty() && bytes < kBatchBytes);
}

void Outbox::Written() {
  const std::lock_guard lock(mu_);
  writing_ = false;
}

void Outbox::Close() {
  const std::lock_guard lock(mu_);
  closed_ = true;
  for (auto& message : messages_) message.reset();
  frames_.clear();
  bytes_ = 0;
}

std::size_t Outbox::bytes() const {
  const std::lock_guard lock(mu_);
  return bytes_;
}

Outbox::Counts Outbox::counts() const {
  const std::lock_guard lock(mu_);
  return counts_;
}

}  // namespace lvs::services
