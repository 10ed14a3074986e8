#include "services/net/grpc_stream.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "lvs/v1/peer.grpc.pb.h"
#include "services/net/grpc_status.h"

namespace lvs::services {

namespace {

// The connection broke, or the peer ended the stream; in the second case its status says more.
absl::Status Broke() { return absl::UnavailableError("the stream broke"); }

// Truncates the peer's text.
absl::Status FromGrpc(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message().substr(0, kWordsMax)};
}

grpc::ByteBuffer ToBuffer(MessageBytes message) {
  const std::size_t size = message.size;
  const auto free = [](void* data) { delete[] static_cast<std::uint8_t*>(data); };
  const grpc::Slice slice(message.data.release(), size, free);
  return {&slice, 1};
}

}  // namespace

void LiveCarriers::Add() {
  const MutexLock lock(&mu_);
  ++count_;
}

void LiveCarriers::Remove() {
  const MutexLock lock(&mu_);
  if (--count_ == 0) none_.NotifyAll();
}

bool LiveCarriers::WaitNone(std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  const MutexLock lock(&mu_);
  while (count_ > 0) {
    if (!none_.WaitUntil(&mu_, until)) break;
  }
  return count_ == 0;
}

// ---- Both sides ----------------------------------------------------------------------------------------------------

template <typename Reactor>
void ReactorCarrier<Reactor>::Write(MessageBytes message) {
  out_ = ToBuffer(std::move(message));
  this->StartWrite(&out_);
}

template <typename Reactor>
void ReactorCarrier<Reactor>::OnWriteDone(bool ok) {
  if (!ok) return stream_->Close(Broke());
  out_.Clear();
  stream_->Written();
}

template <typename Reactor>
bool ReactorCarrier<Reactor>::Take() {
  grpc::Slice whole;
  if (in_.TrySingleSlice(&whole).ok()) {
    in_.Clear();
    return stream_->Received({reinterpret_cast<const char*>(whole.begin()), whole.size()}, SteadySeconds());
  }
  std::vector<grpc::Slice> parts;
  if (!in_.Dump(&parts).ok()) return false;
  in_.Clear();
  flat_.clear();
  for (const grpc::Slice& part : parts) flat_.append(reinterpret_cast<const char*>(part.begin()), part.size());
  return stream_->Received(flat_, SteadySeconds());
}

template <typename Reactor>
void ReactorCarrier<Reactor>::ReportEnd(const absl::Status& why) {
  const std::shared_ptr<LiveCarriers> live = live_;
  stream_->Ended(why, SteadySeconds());
  live->Remove();
}

template class ReactorCarrier<ServerReactor>;
template class ReactorCarrier<ClientReactor>;

// ---- A peer dialled ------------------------------------------------------------------------------------------------

void ServerCarrier::OnReadDone(bool ok) {
  if (ok && Take()) return;
  bool stands = false;
  if (!stream_->closed()) {
    const MutexLock lock(&mu_);
    stands = unread_ = !context_->IsCancelled();
  }
  stream_->Close(stands ? absl::InvalidArgumentError("what was said is no message, or the last message was no goodbye")
                        : absl::UnavailableError("the peer hung up"));
}

void ServerCarrier::OnCancel() {
  {
    const MutexLock lock(&mu_);
    cancelled_ = true;
  }
  stream_->Close(Broke());
}

void ServerCarrier::OnDone() {
  bool unreadable = false;
  {
    const MutexLock lock(&mu_);
    context_ = nullptr;
    unreadable = unread_ && !cancelled_;  // the connection did not break just then
  }
  if (unreadable) stream_->Unreadable();
  ReportEnd(stream_->why());
}

void ServerCarrier::Abort() {
  const MutexLock lock(&mu_);
  if (context_ != nullptr) context_->TryCancel();
}

void ServerCarrier::End(const absl::Status& why) { Finish(ToGrpc(why)); }

// ---- This node dialled ---------------------------------------------------------------------------------------------

void ClientCarrier::Dial(const std::shared_ptr<PeerStream>& stream, const std::shared_ptr<grpc::Channel>& channel,
                         std::shared_ptr<LiveCarriers> live) {
  auto* const carrier = new ClientCarrier(stream.get(), channel, std::move(live));
  carrier->stub_.PrepareBidiStreamingCall(&carrier->context_,
                                          absl::StrCat("/", v1::Peering::service_full_name(), "/Connect"), {}, carrier);
  carrier->AddHold();  // writes begin on the actors' threads too
  stream->Begin(std::unique_ptr<Carrier>(carrier));
  carrier->StartCall();  // until now gRPC reports nothing, and the carrier exists
}

void ClientCarrier::OnReadDone(bool ok) {
  if (ok && Take()) return;
  if (!stream_->closed()) {
    const MutexLock lock(&mu_);
    unread_ = true;
  }
  stream_->Close(Broke());
}

void ClientCarrier::OnDone(const grpc::Status& status) {
  bool unreadable = false;
  {
    const MutexLock lock(&mu_);
    unreadable = unread_ && aborted_;  // the peer had not ended the stream
  }
  if (unreadable) stream_->Unreadable();
  // The peer's status says more than that the stream broke.
  const bool cancelled = status.error_code() == grpc::StatusCode::CANCELLED;
  ReportEnd(cancelled ? stream_->why() : FromGrpc(status));
}

void ClientCarrier::Abort() {
  const MutexLock lock(&mu_);
  aborted_ = true;
  context_.TryCancel();
}

void ClientCarrier::End(const absl::Status& why) {
  // A stream that the peer has ended keeps the status that it ended with.
  if (why != Broke()) context_.TryCancel();
  RemoveHold();
}

}  // namespace lvs::services
