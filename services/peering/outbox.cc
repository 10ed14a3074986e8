#include "services/peering/outbox.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "google/protobuf/io/coded_stream.h"
#include "shard/frame_codec.h"

namespace lvs::services {

namespace {

using google::protobuf::io::CodedOutputStream;
using shard::Frame;

// A field of one message within another: its tag, which is one byte here, its length, and that many bytes.
std::size_t DelimitedSize(std::size_t bytes) { return 1 + CodedOutputStream::VarintSize64(bytes) + bytes; }
std::uint8_t* BeginDelimited(int field, std::size_t bytes, std::uint8_t* at) {
  constexpr std::uint32_t kDelimited = 2;
  at = CodedOutputStream::WriteTagToArray(static_cast<std::uint32_t>(field) << 3 | kDelimited, at);
  return CodedOutputStream::WriteVarint64ToArray(bytes, at);
}

// The bytes stay uninitialised: clearing them first would slow the link measurably.
MessageBytes Allocate(std::size_t size) { return {std::make_unique_for_overwrite<std::uint8_t[]>(size), size}; }

MessageBytes Serialised(const v1::PeerMessage& message) {
  MessageBytes bytes = Allocate(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(bytes.data.get());
  return bytes;
}

}  // namespace

void Outbox::SetReceiver(const Receiver& receiver) {
  const MutexLock lock(&mu_);
  receiver_ = receiver;
}

void Outbox::Offer(const std::shared_ptr<const Frame>& frame) {
  const MutexLock lock(&mu_);
  if (closed_) return;
  if (frame->shard >= limits_.shards) {
    ++counts_.dropped;
    return;
  }
  const auto older = frames_.find(frame->shard);
  const bool replaces = older != frames_.end();
  const auto newest = replaces ? std::make_shared<const Frame>(shard::Coalesce(*older->second.frame, *frame)) : frame;
  if (!Fit(frame->shard, newest)) {
    auto news = std::make_shared<Frame>(*newest);
    shard::ClearRows(news.get());
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
  const MutexLock lock(&mu_);
  if (closed_) return;
  const auto kind = static_cast<std::size_t>(message.kind_case());
  if (kind < messages_.size()) {
    messages_[kind] = std::move(message);
    return;
  }
  MessageBytes bytes = Serialised(message);
  if (queued_bytes_ + bytes.size > limits_.queued_bytes) {
    ++counts_.unqueued;
    return;
  }
  queued_bytes_ += bytes.size;
  queued_.push_back(std::move(bytes));
}

bool Outbox::Take(MessageBytes* message) {
  const MutexLock lock(&mu_);
  if (closed_ || writing_) return false;
  const auto next = std::find_if(messages_.begin(), messages_.end(), [](const auto& m) { return m.has_value(); });
  if (next != messages_.end()) {
    *message = Serialised(**next);
    next->reset();
  } else if (!queued_.empty() && !(frames_next_ && !frames_.empty())) {
    *message = TakeQueued();
    frames_next_ = true;
  } else if (!frames_.empty()) {
    frames_next_ = false;
    *message = TakeFrames();
  } else {
    return false;
  }
  counts_.bytes_sent += message->size;
  writing_ = true;
  return true;
}

MessageBytes Outbox::TakeQueued() {
  MessageBytes message = std::move(queued_.front());
  queued_.pop_front();
  queued_bytes_ -= message.size;
  return message;
}

MessageBytes Outbox::TakeFrames() {
  std::vector<Waiting> taken;
  std::size_t bytes = 0;
  do {
    // Round the shards: after a message that did not take them all, the next begins behind it.
    auto next = frames_.upper_bound(last_shard_);
    if (next == frames_.end()) next = frames_.begin();
    taken.push_back(std::move(next->second));
    last_shard_ = next->first;
    frames_.erase(next);
    bytes += taken.back().bytes;
    bytes_ -= taken.back().bytes;
    ++counts_.frames_sent;
  } while (receiver_.many_frames && !frames_.empty() && bytes < kBatchBytes);

  std::size_t size = 0;
  for (Waiting& waiting : taken) {
    const auto fitting = shard::WithRowsBelow(waiting.frame, receiver_.halo_rows);
    if (fitting != waiting.frame) waiting = {fitting, shard::EncodedSize(*fitting)};
    size += DelimitedSize(waiting.bytes);
  }
  MessageBytes message = Allocate(DelimitedSize(size));
  std::uint8_t* at = BeginDelimited(v1::PeerMessage::kFramesFieldNumber, size, message.data.get());
  for (const Waiting& waiting : taken) {
    at = shard::Encode(*waiting.frame, BeginDelimited(v1::FrameBatch::kFramesFieldNumber, waiting.bytes, at));
  }
  return message;
}

void Outbox::Written() {
  const MutexLock lock(&mu_);
  writing_ = false;
}

void Outbox::Close() {
  const MutexLock lock(&mu_);
  closed_ = true;
  for (auto& message : messages_) message.reset();
  queued_.clear();
  queued_bytes_ = 0;
  frames_.clear();
  bytes_ = 0;
}

std::size_t Outbox::bytes() const {
  const MutexLock lock(&mu_);
  return bytes_;
}

Outbox::Counts Outbox::counts() const {
  const MutexLock lock(&mu_);
  return counts_;
}

}  // namespace lvs::services
