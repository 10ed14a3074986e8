// A carrier of peer streams over one WebSocket (services/peering/carrier.h), the same for the side that dialled and the
// side that was dialled. web_server.h and web_client.h make them.
//
// Each binary message is one serialised lvs.v1.PeerMessage of at most kMessageBytesMax bytes. Text messages, longer ones
// and compression are refused. Every stream ends with a close code and words that the peer can show:
//
//   4000 + n   a status of code n (absl::StatusCode), as gRPC would end the stream; the words are its message:
//     4003 INVALID_ARGUMENT     no hello, a second one, or bytes that are no message
//     4004 DEADLINE_EXCEEDED    no hello in time, or nothing heard for too long
//     4006 ALREADY_EXISTS       the two are connected already
//     4007 PERMISSION_DENIED    the page's origin is not allowed here
//     4008 RESOURCE_EXHAUSTED   full, or too fast: try another node, or later
//     4009 FAILED_PRECONDITION  another protocol, shape of state or cycle period
//     4010 ABORTED              the hello is the node's own
//     4014 UNAVAILABLE          the node is draining, or ends
//   1000       no error
//   1002       the other side broke the WebSocket protocol
//   1003       a text message; messages are binary
//   1009       a message above kMessageBytesMax
//
// Other codes that a peer may send are read as far as RFC 6455 gives them a meaning.
//
// Bounds for one connection: a message while it arrives (and a budget for those of all connections together), one message
// that is sent, and Boost.Beast's 1.5 KB. A peer that sends bytes which are no messages (empty fragments, pings), that is
// silent, or that does not read, is ended, and counted by reason.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "services/base/token_bucket.h"
#include "services/peering/carrier.h"
#include "services/peering/peer_stream.h"

namespace lvs::services {

struct WebSocketLimits {
  // A peer that was not heard for so long is gone. It is pinged after a third of it; browsers answer by themselves, also
  // for hidden tabs. Only counts while the stream reads.
  std::chrono::milliseconds silence{15'000};
  std::chrono::milliseconds message{30'000};            // from the first byte of a message to the last
  std::chrono::milliseconds write{30'000};              // for the peer to read one message
  std::chrono::milliseconds close{3'000};               // for the peer to answer a close
  TokenRate controls = {.per_second = 4, .burst = 64};  // pings and pongs of the peer
  // Bytes of the peer beside its messages, and those of the message that is not yet whole.
  TokenRate bytes_beside = {.per_second = 4096, .burst = 2.0 * kMessageBytesMax};
  std::size_t partial_bytes = 64 << 20;  // of all messages of all connections that are not yet whole
};

// The most bytes of words that a close frame holds.
inline constexpr std::size_t kCloseWordsMax = 123;

inline constexpr std::uint16_t kCloseNormal = 1000;
inline constexpr std::uint16_t kCloseText = 1003;
inline constexpr std::uint16_t kCloseOfStatus = 4000;  // plus the status's code

std::uint16_t CloseCodeOf(const absl::Status& status);
// Cut to kCloseWordsMax bytes, and valid UTF-8.
std::string CloseWordsOf(const absl::Status& status);
// What a peer's close frame says; never OK.
absl::Status StatusOfClose(std::uint16_t code, std::string_view words);

class WebLink;

class WebSocketCarrier final : public Carrier {
 public:
  explicit WebSocketCarrier(std::shared_ptr<WebLink> link) : link_(std::move(link)) {}

  void Read() override;
  void Write(MessageBytes message) override;
  void End(const absl::Status& why) override;
  void Abort() override;

 private:
  const std::shared_ptr<WebLink> link_;
};

}  // namespace lvs::services
