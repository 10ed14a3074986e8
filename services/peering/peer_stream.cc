#include "services/peering/peer_stream.h"

#include "google/protobuf/arena.h"

namespace lvs::services {

void PeerStream::Begin(std::unique_ptr<Carrier> carrier) {
  self_ = shared_from_this();
  const MutexLock lock(&mu_);
  carrier_ = std::move(carrier);
  if (closed_) return carrier_->End(why_);
  ReadNext();
  WriteNext();
}

void PeerStream::Welcome(const v1::Hello& hello, std::uint32_t protocol) {
  outbox_.SetReceiver({.many_frames = protocol >= 2, .halo_rows = hello.halo_rows()});
  const MutexLock lock(&mu_);
  hello_ = hello;
  hello_.DiscardUnknownFields();  // unknown fields could be of any size
  protocol_ = protocol;
}

v1::Hello PeerStream::hello() const {
  const MutexLock lock(&mu_);
  return hello_;
}

std::uint32_t PeerStream::protocol() const {
  const MutexLock lock(&mu_);
  return protocol_;
}

void PeerStream::Flush() {
  const MutexLock lock(&mu_);
  WriteNext();
}

void PeerStream::Say(v1::PeerMessage message) {
  outbox_.Say(std::move(message));
  Flush();
}

void PeerStream::Pause() {
  const MutexLock lock(&mu_);
  paused_ = true;
}

void PeerStream::Resume() {
  const MutexLock lock(&mu_);
  paused_ = false;
  ReadNext();
}

void PeerStream::Close(const absl::Status& why) {
  const MutexLock lock(&mu_);
  if (closed_) return;
  closed_ = true;
  why_ = why;
  outbox_.Close();
  if (carrier_ != nullptr) carrier_->End(why);
}

void PeerStream::Abort() {
  Carrier* carrier = nullptr;
  {
    const MutexLock lock(&mu_);
    carrier = carrier_.get();
  }
  if (carrier != nullptr) carrier->Abort();  // the carrier lives as long as this stream, which the caller holds
}

bool PeerStream::closed() const {
  const MutexLock lock(&mu_);
  return closed_;
}

absl::Status PeerStream::why() const {
  const MutexLock lock(&mu_);
  return why_;
}

PeerStream::Counts PeerStream::counts() const {
  const MutexLock lock(&mu_);
  return {outbox_.counts(), bytes_received_};
}

bool PeerStream::Received(std::string_view bytes, double now_s) {
  {
    // The parsed message is freed before the next one is read: two bytes of a message can take hundreds in memory. An
    // arena is used because a small frame has more parts than its arena has blocks.
    google::protobuf::Arena arena;
    auto* const message = google::protobuf::Arena::CreateMessage<v1::PeerMessage>(&arena);
    if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
    {
      const MutexLock lock(&mu_);
      bytes_received_ += bytes.size();
    }
    owner_->Take(self_, *message, bytes.size(), now_s);
  }
  const MutexLock lock(&mu_);
  reading_ = false;
  ReadNext();
  return true;
}

void PeerStream::Written() {
  outbox_.Written();
  Flush();
}

void PeerStream::Ended(const absl::Status& why, double now_s) {
  const std::shared_ptr<PeerStream> self = std::move(self_);
  owner_->Gone(self, why, now_s);
}

void PeerStream::ReadNext() {
  if (closed_ || carrier_ == nullptr || paused_ || reading_) return;
  reading_ = true;
  carrier_->Read();
}

void PeerStream::WriteNext() {
  if (closed_ || carrier_ == nullptr) return;
  if (MessageBytes message; outbox_.Take(&message)) carrier_->Write(std::move(message));
}

}  // namespace lvs::services
