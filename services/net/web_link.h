// One WebSocket that carries a peer stream, from the dial or the upgrade to the stream's end. What a WebSocketCarrier is
// asked for on any thread is done here, on the loop's thread, and reported from there.
//
//   auto link = std::make_shared<WebLink>(&loop, terms, stream.get());      // the loop's thread, as all but the carrier's calls
//   loop.Watch(link);
//   stream->Begin(std::make_unique<WebSocketCarrier>(link));
//   link->Open(std::move(ws), place);          // or link->Fail(why), where a dial came to nothing
//
// The end is reported once nothing is outstanding: no read, no write, no ping and no close.
#pragma once

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "services/base/token_bucket.h"
#include "services/net/web_socket.h"
#include "services/net/web_wire.h"
#include "services/peering/connection_refusals.h"

namespace lvs::services {

// Without compression: a message is never longer than the bytes that carry it.
using WebSocketStream = boost::beast::websocket::stream<WebWire, false>;

// What the links of one server or dialler share.
struct WebLinkTerms {
  WebSocketLimits limits;
  std::shared_ptr<ConnectionRefusals> refusals;  // may be null
  std::size_t partial_bytes = 0;                 // in buffers of messages that are not yet whole
};

class WebLink final : public WebLoop::Watched, public std::enable_shared_from_this<WebLink> {
 public:
  // `stream` owns the carrier that is made of this link.
  WebLink(WebLoop* loop, std::shared_ptr<WebLinkTerms> terms, PeerStream* stream);

  // A WebSocket over the wire, with the options of all links.
  static std::unique_ptr<WebSocketStream> NewStream(const WebWire& wire);

  // ---- The carrier's calls: any thread ----

  void Read();
  void Write(MessageBytes message);
  void End(const absl::Status& why);
  void PostAbort();

  // ---- The loop's thread ----

  // Called where the stream ends before the dial has succeeded; the dial then fails, and tells this link so.
  void OnCancel(std::function<void()> cancel) { cancel_ = std::move(cancel); }
  // The WebSocket is open. `place` is let go of at the end.
  void Open(std::unique_ptr<WebSocketStream> ws, std::shared_ptr<void> place);
  void Fail(const absl::Status& why);

  void Look(double now_s) override;
  void Abort() override;

 private:
  void StartRead();
  void StartWrite();
  void StartPing(double now_s);
  void StartClose();
  void OnRead(WebError error, std::size_t bytes);
  void OnReadError(WebError error);
  void OnWrite(WebError error);
  void OnControl();
  void OnEnd(const absl::Status& why);
  void TakeMessage(double now_s);
  void GrowBuffer();
  void DropBuffer();
  bool SendsTooMuch(double now_s, std::size_t of_messages);

  // The connection is over, or soon will be, because of the peer.
  void Break(const absl::Status& why);
  // The peer has done what is not allowed.
  void Refuse(const absl::Status& why, std::optional<ConnectionRefusal> counted);
  void RefuseUnreadable(std::uint16_t code, const absl::Status& why);
  void EndWhereDone();

  WebLoop* const loop_;
  const std::shared_ptr<WebLinkTerms> terms_;
  PeerStream* stream_;              // null once the end was reported
  std::atomic<bool> ended_{false};  // the same, for other threads
  std::function<void()> cancel_;
  std::unique_ptr<WebSocketStream> ws_;  // null until Open
  std::shared_ptr<WireState> wire_;
  std::shared_ptr<void> place_;

  bool wants_read_ = false;  // asked for, and not yet begun
  bool wants_write_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool pinging_ = false;
  bool closing_ = false;             // a close of this side is outstanding
  bool broken_ = false;              // nothing can be sent or read any more
  std::uint16_t close_code_ = 0;     // where it does not follow from the status
  std::optional<absl::Status> end_;  // what the stream said
  absl::Status peer_why_;            // what the peer or the network said before

  MessageBytes out_;                        // while it is written
  std::unique_ptr<std::uint8_t[]> buffer_;  // of the message that arrives
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::uint64_t bytes_weighed_ = 0;  // of the wire
  TokenBucket bytes_beside_;
  TokenBucket controls_;
  double heard_s_ = 0;
  double pinged_s_ = 0;
  double message_since_s_ = 0;
  double write_since_s_ = 0;
  double over_since_s_ = -1;  // when this side began to wait for the connection's end
};

}  // namespace lvs::services
