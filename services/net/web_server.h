// The web server of a node: pages over HTTP/1.1, and peers over WebSockets on the same port.
//
//   absl::StatusOr<std::unique_ptr<WebServer>> server = WebServer::Open({"127.0.0.1", 8080}, options, refusals);
//   if (!server.ok()) return server.status();
//   (*server)->Start([&](const WebRequest& request) { return AnswerTo(request); },          // on the server's thread:
//                    [&](const WebPeer& peer) -> absl::StatusOr<std::shared_ptr<PeerStream>> {   // neither may wait
//                      return peering->Accept(SteadySeconds());
//                    });
//   (*server)->Stop(std::chrono::seconds(2));     // after the streams were closed: waits until the peers have heard why
//
// GET and HEAD are answered, on connections that are kept for further requests. An upgrade to a WebSocket at `peer_path`
// becomes a stream of `accept`. What refuses an upgrade is said in a close frame (web_socket.h), because a page cannot
// read an HTTP status; only above `refusing` such goodbyes at a time it is a status: 403, 429 or 503.
//
// One thread serves all connections, with a descriptor and a few kilobytes for each; nothing waits. So it does without
// services/net/listener.h, whose connections are gRPC's: they cost a second descriptor, and a flood is only seen from
// outside. What a flood meets here:
//   - `connections` in all. The connection that has rested longest, one without a WebSocket that waits for a request,
//     makes room for the newest. WebSockets are fewer, so that pages can still say what is going on.
//   - `per_source` connections and `requests_of_source` requests of one address, IPv6 by /64. Behind a proxy all
//     visitors have its address: raise both there.
//   - Deadlines for the TLS handshake with the first request, for further ones, and for reading an answer.
//   - `header_bytes` of headers, and no bodies.
// Each refusal is counted by its reason (connection_refusals.h).
//
// With `certificate_file` the server speaks TLS 1.2 or newer, to anybody. The files are read again every
// `certificate_refresh`. lvs_net_test prints what an idle WebSocket costs, both ends: 194 KB of heap, 9 KB without TLS.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/host_port.h"
#include "services/base/token_bucket.h"
#include "services/net/web_request.h"
#include "services/net/web_socket.h"
#include "services/peering/connection_refusals.h"

namespace lvs::services {

struct WebServerOptions {
  std::string peer_path = "/peer";
  std::vector<std::string> protocols;  // WebSocket subprotocols that are spoken; the first that a client offers is said
  std::vector<std::string> origins;    // beside the node's own pages; "*": all
  std::vector<std::string> connect_to;  // beside the node itself, for its pages: "wss://hub.example"
  std::vector<std::string> headers;     // of requests, by lower-case name, that the handler reads

  std::size_t connections = 12'000;
  std::size_t web_sockets = 10'000;
  std::size_t per_source = 256;
  std::size_t refusing = 64;
  TokenRate requests_of_source = {.per_second = 50, .burst = 400};
  std::size_t header_bytes = 8192;
  std::size_t requests_of_connection = 1000;
  std::chrono::milliseconds handshake{10'000};
  std::chrono::milliseconds keep_alive{30'000};
  std::chrono::milliseconds answer{60'000};
  std::chrono::milliseconds sweep{250};  // deadlines are looked at so often
  WebSocketLimits socket;

  std::string certificate_file;  // PEM; both or none
  std::string key_file;
  std::chrono::milliseconds certificate_refresh{30'000};
};

// Who opens a WebSocket.
struct WebPeer {
  std::string address;  // PeerText of connections.h
  std::string origin;   // empty where the client is no browser
  std::string protocol;
};

class WebServer {
 public:
  struct Counts {
    std::size_t connections = 0;  // WebSockets included
    std::size_t web_sockets = 0;
  };
  // May throw; the client then gets 500.
  using Handle = std::function<WebAnswer(const WebRequest& request)>;
  // A status is said to the peer.
  using Accept = std::function<absl::StatusOr<std::shared_ptr<PeerStream>>(const WebPeer& peer)>;

  // `refusals` may be null. UNAVAILABLE where the address cannot be had, and the errors of the certificate.
  static absl::StatusOr<std::unique_ptr<WebServer>> Open(const HostPort& at, const WebServerOptions& options,
                                                         std::shared_ptr<ConnectionRefusals> refusals);
  ~WebServer();
  WebServer(const WebServer&) = delete;
  WebServer& operator=(const WebServer&) = delete;

  // Once.
  void Start(Handle handle, Accept accept);
  // No connection is accepted after that. Waits for streams to end, as long as `patience`; each has ended when this
  // returns. Idempotent. Not from the server's thread.
  void Stop(std::chrono::milliseconds patience);

  std::uint16_t port() const;
  Counts open() const;  // any thread

 private:
  class Acceptor;

  explicit WebServer(std::unique_ptr<Acceptor> acceptor);

  const std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace lvs::services
