// Dials web servers of nodes: one thread carries the WebSockets of thousands of peer streams.
//
//   absl::StatusOr<std::unique_ptr<WebDialler>> dialler = WebDialler::Open(options, refusals);
//   if (!dialler.ok()) return dialler.status();
//   (*dialler)->Dial("wss://hub.example/peer", stream);   // begins the stream; it may close before the dial succeeds
//   (*dialler)->Stop(std::chrono::seconds(2));            // after the streams were closed
//
// A dial that fails ends its stream with a status whose words say what to do:
//   INVALID_ARGUMENT     the URL is none
//   UNAVAILABLE          the name has no address, nobody listens, or the server is no web server of a node
//   DEADLINE_EXCEEDED    no answer in time
//   UNAUTHENTICATED      TLS: the certificate is not trusted here, or for another name
//   PERMISSION_DENIED    the origin is not allowed (403, or close code 4007)
//   NOT_FOUND            no WebSocket at this path (404)
//   RESOURCE_EXHAUSTED   full, or too fast (503, 429, or close code 4008)
//
// At most `dials` are under way at a time; the others wait, and their time runs from their own start.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/host_port.h"
#include "services/net/web_socket.h"
#include "services/peering/connection_refusals.h"
#include "services/peering/peer_stream.h"

namespace lvs::services {

struct WebDiallerOptions {
  std::string origin;    // empty: none is sent, as by any program but a browser
  std::string protocol;  // the WebSocket subprotocol to ask for; empty: none
  std::string ca_file;   // PEM of the CAs to trust with wss; empty: those of the system
  std::size_t dials = 256;
  std::chrono::milliseconds patience{10'000};  // for a dial
  std::chrono::milliseconds sweep{250};
  WebSocketLimits socket;
};

// The parts of ws://host:port/path. The port may be left out: 80, or 443 for wss.
struct WebUrl {
  bool tls = false;
  HostPort at;
  std::string authority;  // host and port, as the Host header says them
  std::string target;     // at least "/"
};
absl::StatusOr<WebUrl> ParseWebUrl(std::string_view url);

class WebDialler {
 public:
  // `refusals` may be null. The errors of reading `ca_file`.
  static absl::StatusOr<std::unique_ptr<WebDialler>> Open(const WebDiallerOptions& options,
                                                          std::shared_ptr<ConnectionRefusals> refusals = nullptr);
  ~WebDialler();
  WebDialler(const WebDialler&) = delete;
  WebDialler& operator=(const WebDialler&) = delete;

  // Begins the stream. Any thread, until Stop.
  void Dial(const std::string& url, const std::shared_ptr<PeerStream>& stream);
  // Waits for streams to end, as long as `patience`; each has ended when this returns. Idempotent. Not from the
  // dialler's thread.
  void Stop(std::chrono::milliseconds patience);

  std::size_t open() const;  // streams, those that are still being dialled included; any thread

 private:
  class Dials;

  explicit WebDialler(std::unique_ptr<Dials> dials);

  const std::unique_ptr<Dials> dials_;
};

}  // namespace lvs::services
