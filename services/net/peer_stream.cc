#include "services/net/peer_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/arena.h"
#include "lvs/v1/peer.grpc.pb.h"
#include "services/net/grpc_status.h"

namespace lvs::services {

namespace {

// The connection went, or the other side ended the stream; then its status says more.
absl::Status Broke() { return absl::UnavailableError("the stream broke"); }

// What a peer says is kept short.
absl::Status FromGrpc(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message().substr(0, kWordsMax)};
}

}  // namespace

PeerStream::Counts& PeerStream::Counts::operator+=(const Counts& other) {
  sent.frames_sent += other.sent.frames_sent;
  sent.bytes_sent += other.sent.bytes_sent;
  sent.replaced += other.sent.replaced;
  sent.shortened += other.sent.shortened;
  sent.dropped += other.sent.dropped;
  frames_received += other.frames_received;
  frames_refused += other.frames_refused;
  bytes_received += other.bytes_received;
  return *this;
}

void PeerStream::Welcome(const v1::Hello& hello, std::uint32_t protocol) {
  outbox_.SetReceiver({.many_frames = protocol >= 2, .halo_rows = hello.halo_rows()});
  const std::lock_guard lock(mu_);
  hello_ = hello;
  hello_.DiscardUnknownFields();  // they could be of any size
  protocol_ = protocol;
}

v1::Hello PeerStream::hello() const {
  const std::lock_guard lock(mu_);
  return hello_;
}

std::uint32_t PeerStream::protocol() const {
  const std::lock_guard lock(mu_);
  return protocol_;
}

void PeerStream::Flush() {
  const std::lock_guard lock(mu_);
  Write();
}

void PeerStream::Say(v1::PeerMessage message) {
  outbox_.Say(std::move(message));
  Flush();
}

void PeerStream::Resume() {
  const std::lock_guard lock(mu_);
  if (!closed_ && std::exchange(resting_, false)) StartReading();
}

void PeerStream::Close(const absl::Status& why) {
  const std::lock_guard lock(mu_);
  if (closed_) return;
  closed_ = true;
  why_ = why;
  outbox_.Close();
  End(why);
}

bool PeerStream::closed() const {
  const std::lock_guard lock(mu_);
  return closed_;
}

absl::Status PeerStream::why() const {
  const std::lock_guard lock(mu_);
  return why_;
}

PeerStream::Counts PeerStream::counts() const {
  const std::lock_guard lock(mu_);
  Counts counts = counts_;
  counts.sent = outbox_.counts();
  return counts;
}

void PeerStream::CountFrame(bool taken) {
  const std::lock_guard lock(mu_);
  ++(taken ? counts_.frames_received : counts_.frames_refused);
}

void PeerStream::Begin() { self_ = shared_from_this(); }

bool PeerStream::Take(grpc::ByteBuffer* bytes) {
  bool rest = false;
  {
    const std::size_t length = bytes->Length();
    // Gone before the next one is read: two bytes of a message can take hundreds in memory. A small frame has more
    // parts than its arena has blocks.
    google::protobuf::Arena arena;
    auto* const message = google::protobuf::Arena::CreateMessage<v1::PeerMessage>(&arena);
    if (!grpc::SerializationTraits<v1::PeerMessage>::Deserialize(bytes, message).ok()) return false;
    {
      const std::lock_guard lock(mu_);
      counts_.bytes_received += length;
    }
    rest = owner_->Take(self_, *message, length);
  }
  const std::lock_guard lock(mu_);
  resting_ = rest;
  if (!closed_ && !rest) StartReading();
  return true;
}

void PeerStream::WriteDone(bool ok) {
  if (!ok) return Close(Broke());
  outbox_.Written();
  const std::lock_guard lock(mu_);
  out_.Clear();
  Write();
}

void PeerStream::Done(const absl::Status& why) {
  const std::shared_ptr<PeerStream> self = std::move(self_);
  owner_->Gone(self, why);
}

void PeerStream::Write() {
  if (!closed_ && outbox_.Take(&out_)) StartWriting(&out_);
}

void ServerStream::Begin(const absl::Status& refuse) {
  PeerStream::Begin();
  if (!refuse.ok()) return Close(refuse);
  const std::lock_guard lock(mu_);
  StartReading();
}

void ServerStream::OnReadDone(bool ok) {
  if (ok && TakeRead()) return;
  bool stands = false;
  if (!closed()) {
    const std::lock_guard lock(mu_);
    stands = unread_ = !context_->IsCancelled();
  }
  Close(stands ? absl::InvalidArgumentError("what was said is no message, or the last one was no goodbye")
               : absl::UnavailableError("the peer hung up"));
}

void ServerStream::OnCancel() {
  {
    const std::lock_guard lock(mu_);
    cancelled_ = true;
  }
  Close(Broke());
}

void ServerStream::OnDone() {
  bool unreadable = false;
  {
    const std::lock_guard lock(mu_);
    context_ = nullptr;
    unreadable = unread_ && !cancelled_;  // the connection did not break just then
  }
  if (unreadable) owner_->Unreadable();
  Done(why());
}

void ServerStream::Abort() {
  const std::lock_guard lock(mu_);
  if (context_ != nullptr) context_->TryCancel();
}

void ServerStream::End(const absl::Status& why) { Finish(ToGrpc(why)); }

void ClientStream::Begin(v1::PeerMessage hello) {
  PeerStream::Begin();
  stub_.PrepareBidiStreamingCall(&context_, absl::StrCat("/", v1::Peering::service_full_name(), "/Connect"), {}, this);
  AddHold();  // writes begin on the actors' threads too
  StartReading();
  Say(std::move(hello));
  StartCall();
}

void ClientStream::OnReadDone(bool ok) {
  if (ok && TakeRead()) return;
  if (!closed()) {
    const std::lock_guard lock(mu_);
    unread_ = true;
  }
  Close(Broke());
}

void ClientStream::OnDone(const grpc::Status& status) {
  bool unreadable = false;
  {
    const std::lock_guard lock(mu_);
    unreadable = unread_ && aborted_;  // the other side had not ended the stream
  }
  if (unreadable) owner_->Unreadable();
  // What the other side says is worth more than that the stream broke.
  const bool cancelled = status.error_code() == grpc::StatusCode::CANCELLED;
  Done(cancelled ? why() : FromGrpc(status));
}

void ClientStream::Abort() {
  const std::lock_guard lock(mu_);
  aborted_ = true;
  context_.TryCancel();
}

void ClientStream::End(const absl::Status& why) {
  // A stream that the other side has ended keeps the status that it ended with.
  if (why != Broke()) context_.TryCancel();
  RemoveHold();
}

}  // namespace lvs::services
