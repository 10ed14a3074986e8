// One connection of the web server until it is a WebSocket with a stream, or over: TLS, requests and answers, upgrades
// and their refusals. The loop's thread only.
//
//   auto connection = std::make_shared<WebConnection>(&site, wire, place, address);
//   site.loop.Watch(connection);
//   connection->Start();
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "services/net/web_certificate.h"
#include "services/net/web_link.h"
#include "services/net/web_server.h"
#include "services/net/web_wire.h"

namespace lvs::services {

class WebConnection;

// The room that connections take, in all and by source address.
class WebRoom {
 public:
  // What one connection takes, until it is destroyed.
  class Place {
   public:
    Place(WebRoom* room, std::uint64_t source) : room_(room), source_(source) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { room_->Leave(source_, web_socket_); }
    void BecomeWebSocket() {
      web_socket_ = true;
      ++room_->web_sockets_;
    }
    std::uint64_t source() const { return source_; }
    // Connections of its source, this one included.
    std::size_t neighbours() const { return room_->of_source_.at(source_); }

   private:
    WebRoom* const room_;
    const std::uint64_t source_;
    bool web_socket_ = false;
  };

  std::shared_ptr<Place> Enter(std::uint64_t source);
  std::size_t connections() const { return connections_; }
  std::size_t web_sockets() const { return web_sockets_; }

 private:
  void Leave(std::uint64_t source, bool web_socket);

  std::atomic<std::size_t> connections_{0};
  std::atomic<std::size_t> web_sockets_{0};
  std::unordered_map<std::uint64_t, std::size_t> of_source_;
};

// What the connections of one server share.
struct WebSite {
  explicit WebSite(const WebServerOptions& with)
      : options(with), requests(with.requests_of_source), terms(std::make_shared<WebLinkTerms>()), loop(with.sweep) {}

  void Count(ConnectionRefusal refusal) const {
    if (terms->refusals != nullptr) terms->refusals->Add(refusal);
  }

  const WebServerOptions options;
  WebServer::Handle handle;
  WebServer::Accept accept;
  TokenBuckets requests;  // by source
  const std::shared_ptr<WebLinkTerms> terms;
  std::unique_ptr<WebCertificate> certificate;  // null: plain
  WebRoom room;
  std::list<WebConnection*> resting;  // those that wait for a request; the one that has waited longest first
  std::size_t refusing = 0;           // WebSockets that are being told why they are refused
  WebLoop loop;
};

class WebConnection final : public WebLoop::Watched, public std::enable_shared_from_this<WebConnection> {
 public:
  WebConnection(WebSite* site, std::shared_ptr<WireState> wire, std::shared_ptr<WebRoom::Place> place,
                std::string address);

  void Start();
  void Look(double now_s) override;
  void Abort() override { Finish(); }

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::empty_body>;
  using Request = boost::beast::http::request<boost::beast::http::empty_body>;

  // Why a request or an upgrade is not served.
  struct Refusal {
    absl::Status why;
    int code = 0;  // of HTTP
    ConnectionRefusal counted = ConnectionRefusal::kRequestInvalid;
  };

  void ReadRequest();
  void OnRequest(WebError error);
  void OnUnreadable(WebError error);
  void Serve(const Request& request);
  std::optional<Refusal> Misfit(const Request& request);
  std::optional<Refusal> TooMuch();
  WebAnswer AnswerTo(const WebRequest& asked) const;
  void Say(FormattedAnswer answer, bool keep_alive);
  // A short answer, and the end of the connection.
  void SayRefusal(const Refusal& refusal);
  void Linger();

  void Upgrade(const Request& request);
  std::optional<Refusal> UpgradeRefusal(const Request& request);
  void OnUpgraded(WebError error, const absl::Status& refused);
  void BeginStream(const std::shared_ptr<PeerStream>& stream);
  void CloseRefused(const absl::Status& why);

  // The next thing must happen within this time.
  void Expect(std::chrono::milliseconds time, std::optional<ConnectionRefusal> otherwise);
  void Rest();
  void StopResting();
  void Finish();

  WebSite* const site_;
  WebWire wire_;
  std::shared_ptr<WebRoom::Place> place_;
  const std::string address_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::optional<FormattedAnswer> answer_;  // while it is written
  std::unique_ptr<WebSocketStream> ws_;    // while it is upgraded, or refused
  WebPeer peer_;
  std::size_t requests_ = 0;
  double deadline_s_ = 0;
  std::optional<ConnectionRefusal> late_;  // what is counted at the deadline
  std::optional<std::list<WebConnection*>::iterator> resting_;
  bool refusing_ = false;
  bool over_ = false;
};

}  // namespace lvs::services
