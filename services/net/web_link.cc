#include "services/net/web_link.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/websocket/error.hpp>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "services/net/grpc_stream.h"

namespace lvs::services {

namespace {

namespace websocket = boost::beast::websocket;

// Buffers of a message that arrives: the first for what an idle connection sends, then by this factor.
constexpr std::size_t kFirstBufferBytes = 256;
constexpr std::size_t kBufferGrowth = 8;
// One more than the longest message, so that a read never has no room.
constexpr std::size_t kLastBufferBytes = kMessageBytesMax + 1;
// A client masks what it sends, in pieces of this size.
constexpr std::size_t kMaskedBytes = 2048;
// Frames that wait in the kernel grow old there, while the outbox has newer ones; and the kernel would let 10,000 peers
// that do not read take megabytes each.
constexpr int kSendBufferBytes = 128 << 10;

absl::Status LinkBroke() { return absl::UnavailableError("the connection broke"); }

double Seconds(std::chrono::milliseconds time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

WebLink::WebLink(WebLoop* loop, std::shared_ptr<WebLinkTerms> terms, PeerStream* stream)
    : loop_(loop),
      terms_(std::move(terms)),
      stream_(stream),
      bytes_beside_(terms_->limits.bytes_beside, SteadySeconds()),
      controls_(terms_->limits.controls, SteadySeconds()) {}

std::unique_ptr<WebSocketStream> WebLink::NewStream(const WebWire& wire) {
  const int size = kSendBufferBytes;
  setsockopt(wire.state()->socket.native_handle(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  auto ws = std::make_unique<WebSocketStream>(wire);
  ws->binary(true);
  ws->auto_fragment(false);
  ws->read_message_max(kMessageBytesMax);
  ws->write_buffer_bytes(kMaskedBytes);
  return ws;
}

// ---- The carrier's calls -------------------------------------------------------------------------------------------

void WebLink::Read() {
  boost::asio::post(loop_->context(), [self = shared_from_this()] {
    self->wants_read_ = true;
    self->StartRead();
  });
}

void WebLink::Write(MessageBytes message) {
  boost::asio::post(loop_->context(), [self = shared_from_this(), message = std::move(message)]() mutable {
    self->out_ = std::move(message);
    self->wants_write_ = true;
    self->StartWrite();
  });
}

void WebLink::End(const absl::Status& why) {
  boost::asio::post(loop_->context(), [self = shared_from_this(), why] { self->OnEnd(why); });
}

void WebLink::PostAbort() {
  if (ended_) return;
  boost::asio::post(loop_->context(), [self = shared_from_this()] { self->Abort(); });
}

// ---- Begin and end -------------------------------------------------------------------------------------------------

void WebLink::Open(std::unique_ptr<WebSocketStream> ws, std::shared_ptr<void> place) {
  cancel_ = nullptr;
  ws_ = std::move(ws);
  wire_ = ws_->next_layer().state();
  place_ = std::move(place);
  heard_s_ = SteadySeconds();
  bytes_weighed_ = wire_->bytes_read;
  ws_->control_callback([this](websocket::frame_type, boost::beast::string_view) { OnControl(); });
  if (end_) return StartClose();
  StartRead();
  StartWrite();
}

void WebLink::Fail(const absl::Status& why) {
  cancel_ = nullptr;
  Break(why);
}

void WebLink::Abort() {
  if (stream_ == nullptr) return;
  if (wire_ != nullptr) wire_->Close();
  if (cancel_ != nullptr) return std::exchange(cancel_, nullptr)();
  Break(LinkBroke());
}

void WebLink::OnEnd(const absl::Status& why) {
  if (end_ || stream_ == nullptr) return;
  end_ = why;
  if (cancel_ != nullptr) return std::exchange(cancel_, nullptr)();
  if (ws_ != nullptr && !broken_) StartClose();
  EndWhereDone();
}

void WebLink::StartClose() {
  closing_ = true;
  over_since_s_ = SteadySeconds();
  const std::uint16_t code = close_code_ != 0 ? close_code_ : CloseCodeOf(*end_);
  websocket::close_reason reason(code);
  const std::string words = CloseWordsOf(*end_);
  reason.reason = boost::beast::string_view(words);
  ws_->async_close(reason, [self = shared_from_this()](WebError /*error*/) {
    self->closing_ = false;
    self->broken_ = true;
    self->wire_->Close();
    self->EndWhereDone();
  });
}

void WebLink::Break(const absl::Status& why) {
  if (stream_ == nullptr) return;
  broken_ = true;
  if (over_since_s_ < 0) over_since_s_ = SteadySeconds();
  if (!end_ && peer_why_.ok()) peer_why_ = why;
  stream_->Close(why);  // which comes back as OnEnd, where the stream had not ended yet
  EndWhereDone();
}

void WebLink::Refuse(const absl::Status& why, std::optional<ConnectionRefusal> counted) {
  if (stream_ == nullptr || end_ || broken_ || stream_->closed()) return;
  if (counted && terms_->refusals != nullptr) terms_->refusals->Add(*counted);
  stream_->Close(why);
}

void WebLink::RefuseUnreadable(std::uint16_t code, const absl::Status& why) {
  if (stream_ == nullptr || end_ || broken_ || stream_->closed()) return;
  close_code_ = code;
  stream_->Unreadable();
  stream_->Close(why);
}

void WebLink::EndWhereDone() {
  if (stream_ == nullptr || !end_ || reading_ || writing_ || pinging_ || closing_) return;
  if (ws_ != nullptr && !broken_) return;
  if (wire_ != nullptr) wire_->Close();
  DropBuffer();
  place_.reset();
  // The stream may keep this link for longer than the loop exists.
  ws_.reset();
  wire_.reset();
  PeerStream* const stream = std::exchange(stream_, nullptr);
  ended_ = true;
  const std::shared_ptr<WebLink> self = shared_from_this();
  stream->Ended(peer_why_.ok() ? *end_ : peer_why_, SteadySeconds());
  loop_->Unwatch(this);
}

// ---- Reading -------------------------------------------------------------------------------------------------------

void WebLink::StartRead() {
  if (!wants_read_ || ws_ == nullptr || end_ || broken_ || reading_) return;
  wants_read_ = false;
  heard_s_ = SteadySeconds();  // while nothing was read, nothing could be heard
  GrowBuffer();
  reading_ = true;
  ws_->async_read_some(boost::asio::buffer(buffer_.get(), capacity_),
                       [self = shared_from_this()](WebError error, std::size_t bytes) { self->OnRead(error, bytes); });
}

void WebLink::OnRead(WebError error, std::size_t bytes) {
  reading_ = false;
  if (error) return OnReadError(error);
  const double now_s = heard_s_ = SteadySeconds();
  if (end_ || broken_) return EndWhereDone();
  if (ws_->got_text()) {
    return RefuseUnreadable(kCloseText, absl::InvalidArgumentError("text was sent; messages are binary"));
  }
  if (size_ == 0) message_since_s_ = now_s;
  size_ += bytes;
  if (ws_->is_message_done()) return TakeMessage(now_s);
  if (size_ == capacity_) GrowBuffer();
  if (terms_->partial_bytes > terms_->limits.partial_bytes) {
    return Refuse(absl::ResourceExhaustedError("too many messages arrive at a time; try again later"),
                  ConnectionRefusal::kMessagesPartial);
  }
  reading_ = true;
  ws_->async_read_some(boost::asio::buffer(buffer_.get() + size_, capacity_ - size_),
                       [self = shared_from_this()](WebError failed, std::size_t more) { self->OnRead(failed, more); });
}

void WebLink::TakeMessage(double now_s) {
  const std::unique_ptr<std::uint8_t[]> message = std::move(buffer_);
  const std::size_t size = size_;
  DropBuffer();
  if (SendsTooMuch(now_s, size)) return;
  if (stream_->Received({reinterpret_cast<const char*>(message.get()), size}, now_s)) return;
  RefuseUnreadable(0, absl::InvalidArgumentError("what was said is no message"));
}

void WebLink::OnReadError(WebError error) {
  if (error == websocket::error::closed) {
    const websocket::close_reason& reason = ws_->reason();
    return Break(StatusOfClose(reason.code, {reason.reason.data(), reason.reason.size()}));
  }
  const bool protocol = error.category() == make_error_code(websocket::error::closed).category();
  if (!protocol || end_ || broken_) return Break(LinkBroke());
  stream_->Unreadable();  // Beast has told the peer why: 1002, 1007 or 1009
  Break(absl::InvalidArgumentError(error == websocket::error::message_too_big
                                       ? absl::StrCat("a message was longer than ", kMessageBytesMax, " bytes")
                                       : absl::StrCat("the WebSocket protocol was broken: ", error.message())));
}

void WebLink::GrowBuffer() {
  const std::size_t larger =
      buffer_ == nullptr ? kFirstBufferBytes : std::min(capacity_ * kBufferGrowth, kLastBufferBytes);
  auto grown = std::make_unique_for_overwrite<std::uint8_t[]>(larger);
  if (size_ > 0) std::memcpy(grown.get(), buffer_.get(), size_);
  buffer_ = std::move(grown);
  terms_->partial_bytes += larger - capacity_;
  capacity_ = larger;
}

void WebLink::DropBuffer() {
  buffer_.reset();
  terms_->partial_bytes -= capacity_;
  capacity_ = size_ = 0;
}

bool WebLink::SendsTooMuch(double now_s, std::size_t of_messages) {
  const double sent = static_cast<double>(wire_->bytes_read - std::exchange(bytes_weighed_, wire_->bytes_read));
  bytes_beside_.Spend(sent - static_cast<double>(of_messages), now_s);
  if (bytes_beside_.Level(now_s) >= 0) return false;
  Refuse(absl::ResourceExhaustedError("too many bytes were sent that are no messages"),
         ConnectionRefusal::kBytesWithoutMessages);
  return true;
}

void WebLink::OnControl() {
  heard_s_ = SteadySeconds();
  if (controls_.Take(heard_s_) == 0) return;
  Refuse(absl::ResourceExhaustedError("too many pings were sent"), ConnectionRefusal::kPingsTooFast);
}

// ---- Writing -------------------------------------------------------------------------------------------------------

void WebLink::StartWrite() {
  if (!wants_write_ || ws_ == nullptr || end_ || broken_) return;
  wants_write_ = false;
  writing_ = true;
  write_since_s_ = SteadySeconds();
  ws_->async_write(boost::asio::buffer(out_.data.get(), out_.size),
                   [self = shared_from_this()](WebError error, std::size_t /*bytes*/) { self->OnWrite(error); });
}

void WebLink::OnWrite(WebError error) {
  writing_ = false;
  out_ = {};
  if (!error) {
    if (!end_ && !broken_) stream_->Written();
    return EndWhereDone();
  }
  // The read that is outstanding ends too, perhaps with what the peer says of it.
  if (!reading_) return Break(LinkBroke());
  if (over_since_s_ < 0) over_since_s_ = SteadySeconds();
  EndWhereDone();
}

// ---- Time ----------------------------------------------------------------------------------------------------------

void WebLink::Look(double now_s) {
  if (ws_ == nullptr) return;  // a dial has its own deadline
  const WebSocketLimits& limits = terms_->limits;
  if (over_since_s_ < 0 && wire_->lingering) over_since_s_ = now_s;  // Beast has sent a close by itself
  if (over_since_s_ >= 0) {
    if (now_s - over_since_s_ > Seconds(limits.close)) wire_->Close();
    return;
  }
  if (writing_ && now_s - write_since_s_ > Seconds(limits.write)) {
    return Refuse(absl::DeadlineExceededError("a message was not read in time"), ConnectionRefusal::kUnread);
  }
  if (!reading_ || SendsTooMuch(now_s, 0)) return;
  if (size_ > 0 && now_s - message_since_s_ > Seconds(limits.message)) {
    return Refuse(absl::DeadlineExceededError("a message was not whole in time"), ConnectionRefusal::kMessageLate);
  }
  // Measured from the ping, so that nobody is taken for silent while this process itself stood still.
  const double silence_s = Seconds(limits.silence);
  if (pinged_s_ <= heard_s_) {
    if (!pinging_ && now_s - heard_s_ > silence_s / 3) StartPing(now_s);
  } else if (now_s - pinged_s_ > silence_s * 2 / 3) {
    Refuse(absl::DeadlineExceededError("nothing was heard for too long"), ConnectionRefusal::kSilent);
  }
}

void WebLink::StartPing(double now_s) {
  pinging_ = true;
  pinged_s_ = now_s;
  ws_->async_ping({}, [self = shared_from_this()](WebError /*error*/) {
    self->pinging_ = false;
    self->EndWhereDone();
  });
}

}  // namespace lvs::services
