#include "services/net/web_connection.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <exception>

#include "absl/strings/str_cat.h"
#include "services/base/log.h"
#include "services/net/grpc_stream.h"

namespace lvs::services {

namespace {

namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;

// Connections of a source address above its share that are still told so, instead of being closed unheard.
constexpr std::size_t kToldOfSource = 8;
// Beast reads headers in pieces of this size at least, so the buffer is a piece larger than the headers may be.
constexpr std::size_t kHeaderPieceBytes = 512;

std::string_view ViewOf(boost::beast::string_view text) { return {text.data(), text.size()}; }

std::string_view FieldOf(const http::fields& fields, http::field name) { return ViewOf(fields[name]); }

// The head of a refusal fits into the 1.5 KB that Beast's clients read of an answer to an upgrade.
std::string RefusalHead(int code, std::size_t body_bytes) {
  return absl::StrCat(
      "HTTP/1.1 ", code, " ", std::string(PhraseOf(code)), "\r\nContent-Type: text/plain; charset=utf-8\r\n",
      "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n", code == 405 ? "Allow: GET, HEAD\r\n" : "",
      code == 429 || code == 503 ? "Retry-After: 10\r\n" : "", "Content-Length: ", body_bytes,
      "\r\nConnection: close\r\n\r\n");
}

}  // namespace

// ---- Room ----------------------------------------------------------------------------------------------------------

std::shared_ptr<WebRoom::Place> WebRoom::Enter(std::uint64_t source) {
  ++connections_;
  ++of_source_[source];
  return std::make_shared<Place>(this, source);
}

void WebRoom::Leave(std::uint64_t source, bool web_socket) {
  --connections_;
  if (web_socket) --web_sockets_;
  const auto at = of_source_.find(source);
  if (--at->second == 0) of_source_.erase(at);
}

// ---- Requests ------------------------------------------------------------------------------------------------------

WebConnection::WebConnection(WebSite* site, std::shared_ptr<WireState> wire, std::shared_ptr<WebRoom::Place> place,
                             std::string address)
    : site_(site),
      wire_(std::move(wire)),
      place_(std::move(place)),
      address_(std::move(address)),
      buffer_(site->options.header_bytes + kHeaderPieceBytes) {}

void WebConnection::Start() {
  if (place_->neighbours() > site_->options.per_source + kToldOfSource) {
    site_->Count(ConnectionRefusal::kSourceFull);
    return Finish();
  }
  Expect(site_->options.handshake, ConnectionRefusal::kRequestLate);
  Rest();
  if (site_->certificate == nullptr) return ReadRequest();
  wire_.state()->UseTls(site_->certificate->context());
  wire_.state()->tls->async_handshake(boost::asio::ssl::stream_base::server,
                                      [self = shared_from_this()](WebError error) {
                                        if (!error) return self->ReadRequest();
                                        if (!self->over_) self->site_->Count(ConnectionRefusal::kTlsFailed);
                                        self->Finish();
                                      });
}

void WebConnection::ReadRequest() {
  if (over_) return;
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(site_->options.header_bytes));
  parser_->body_limit(std::uint64_t{0});
  http::async_read_header(wire_, buffer_, *parser_, [self = shared_from_this()](WebError error, std::size_t /*bytes*/) {
    self->OnRequest(error);
  });
}

void WebConnection::OnRequest(WebError error) {
  if (over_) return;
  StopResting();
  if (error) return OnUnreadable(error);
  ++requests_;
  const Request& request = parser_->get();
  if (const std::optional<Refusal> misfit = Misfit(request)) return SayRefusal(*misfit);
  const std::string_view target = ViewOf(request.target());
  if (websocket::is_upgrade(request) && target.substr(0, target.find('?')) == site_->options.peer_path) {
    return Upgrade(request);
  }
  if (const std::optional<Refusal> much = TooMuch()) return SayRefusal(*much);
  Serve(request);
}

void WebConnection::OnUnreadable(WebError error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return SayRefusal({absl::InvalidArgumentError(absl::StrCat("the headers of a request are at most ",
                                                               site_->options.header_bytes, " bytes long")),
                       431, ConnectionRefusal::kHeadersTooLong});
  }
  if (error == http::error::body_limit) {
    return SayRefusal(
        {absl::InvalidArgumentError("a request has no body here"), 413, ConnectionRefusal::kRequestInvalid});
  }
  const bool parsed = error.category() == make_error_code(http::error::bad_method).category();
  if (!parsed || error == http::error::end_of_stream || error == http::error::partial_message) return Finish();
  SayRefusal({absl::InvalidArgumentError("this is no HTTP/1.1 request"), 400, ConnectionRefusal::kRequestInvalid});
}

std::optional<WebConnection::Refusal> WebConnection::Misfit(const Request& request) {
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    return Refusal{absl::InvalidArgumentError("only GET and HEAD are answered here"), 405};
  }
  if (parser_->chunked() || parser_->content_length().value_or(0) > 0) {
    return Refusal{absl::InvalidArgumentError("a request has no body here"), 413};
  }
  if (!request.target().starts_with('/') || (request.version() >= 11 && request[http::field::host].empty())) {
    return Refusal{absl::InvalidArgumentError("a request names a path and a host"), 400};
  }
  return std::nullopt;
}

std::optional<WebConnection::Refusal> WebConnection::TooMuch() {
  if (place_->neighbours() > site_->options.per_source) {
    return Refusal{
        absl::ResourceExhaustedError("your address has too many connections here; close some, or try another node"),
        429, ConnectionRefusal::kSourceFull};
  }
  if (site_->requests.Take(place_->source(), SteadySeconds()) > 0) {
    return Refusal{absl::ResourceExhaustedError("too many requests of your address; wait ten seconds"), 429,
                   ConnectionRefusal::kRequestsTooFast};
  }
  return std::nullopt;
}

void WebConnection::Serve(const Request& request) {
  const std::string_view target = ViewOf(request.target());
  const std::size_t query = target.find('?');
  WebRequest asked;
  asked.method = ViewOf(request.method_string());
  asked.path = target.substr(0, query);
  if (query != std::string_view::npos) asked.query = target.substr(query + 1);
  asked.host = FieldOf(request, http::field::host);
  asked.source = address_;
  asked.if_none_match = FieldOf(request, http::field::if_none_match);
  asked.accepts_gzip = AcceptsGzip(FieldOf(request, http::field::accept_encoding));
  for (const std::string& name : site_->options.headers) asked.headers[name] = ViewOf(request[name]);

  const bool keep_alive = request.keep_alive() && requests_ < site_->options.requests_of_connection;
  Say(FormatAnswer(asked, AnswerTo(asked), keep_alive, site_->options.connect_to), keep_alive);
}

WebAnswer WebConnection::AnswerTo(const WebRequest& asked) const {
  if (asked.path == site_->options.peer_path) {
    return {.code = 426,
            .content = MakeText("this is where peers open a WebSocket\n"),
            .headers = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}}};
  }
  try {
    return site_->handle(asked);
  } catch (const std::exception& e) {
    Log(v1::ERROR, "web.failed", {{"path", asked.path}, {"why", e.what()}});
    return {.code = 500, .content = MakeText("this must not happen; the node's log says more\n")};
  }
}

void WebConnection::Say(FormattedAnswer answer, bool keep_alive) {
  answer_ = std::move(answer);
  Expect(site_->options.answer, ConnectionRefusal::kUnread);
  const std::array<boost::asio::const_buffer, 2> parts = {
      boost::asio::buffer(answer_->head), boost::asio::buffer(answer_->body.data(), answer_->body.size())};
  boost::asio::async_write(wire_, parts,
                           [self = shared_from_this(), keep_alive](WebError error, std::size_t /*bytes*/) {
                             if (self->over_) return;
                             self->answer_.reset();
                             if (error) return self->Finish();
                             if (!keep_alive) return self->Linger();
                             self->parser_.reset();
                             self->buffer_.shrink_to_fit();
                             self->Expect(self->site_->options.keep_alive, std::nullopt);
                             self->Rest();
                             self->ReadRequest();
                           });
}

void WebConnection::SayRefusal(const Refusal& refusal) {
  site_->Count(refusal.counted);
  FormattedAnswer answer;
  answer.content = MakeText(absl::StrCat(refusal.why.message(), "\n"));
  answer.body = answer.content->bytes;
  answer.head = RefusalHead(refusal.code, answer.body.size());
  if (parser_ && parser_->is_header_done() && parser_->get().method() == http::verb::head) answer.body = {};
  Say(std::move(answer), false);
}

void WebConnection::Linger() {
  Expect(site_->options.socket.close, std::nullopt);
  const auto finish = [self = shared_from_this()](WebError /*error*/) { self->Finish(); };
  LingeringClose<std::decay_t<decltype(finish)>>(wire_.state(), finish).Begin();
}

// ---- WebSockets ----------------------------------------------------------------------------------------------------

void WebConnection::Upgrade(const Request& request) {
  if (buffer_.size() > 0) {
    return SayRefusal({absl::InvalidArgumentError("a client sends nothing before the upgrade is answered"), 400});
  }
  const std::optional<Refusal> refusal = UpgradeRefusal(request);
  if (refusal && site_->refusing >= site_->options.refusing) return SayRefusal(*refusal);
  if (refusal) {
    site_->Count(refusal->counted);
    refusing_ = true;
    ++site_->refusing;
  }
  peer_.address = address_;
  peer_.origin = FieldOf(request, http::field::origin);
  peer_.protocol = ChooseProtocol(FieldOf(request, http::field::sec_websocket_protocol), site_->options.protocols);
  Expect(site_->options.handshake, ConnectionRefusal::kUnread);
  ws_ = WebLink::NewStream(wire_);
  ws_->set_option(websocket::stream_base::decorator([protocol = peer_.protocol](websocket::response_type& response) {
    response.set(http::field::server, "lvs");
    if (!protocol.empty()) response.set(http::field::sec_websocket_protocol, protocol);
  }));
  const absl::Status refused = refusal ? refusal->why : absl::OkStatus();
  ws_->async_accept(request,
                    [self = shared_from_this(), refused](WebError error) { self->OnUpgraded(error, refused); });
}

std::optional<WebConnection::Refusal> WebConnection::UpgradeRefusal(const Request& request) {
  if (std::optional<Refusal> much = TooMuch()) return much;
  const std::string_view origin = FieldOf(request, http::field::origin);
  if (!OriginAllowed(origin, FieldOf(request, http::field::host), site_->options.origins)) {
    return Refusal{
        absl::PermissionDeniedError("pages of this origin may not connect to this node; open the node's own page"), 403,
        ConnectionRefusal::kOriginForbidden};
  }
  if (site_->room.web_sockets() >= site_->options.web_sockets) {
    return Refusal{absl::ResourceExhaustedError("this node is full; try another one"), 503,
                   ConnectionRefusal::kSocketsFull};
  }
  return std::nullopt;
}

void WebConnection::OnUpgraded(WebError error, const absl::Status& refused) {
  if (over_) return;
  if (error) {  // Beast has answered
    site_->Count(ConnectionRefusal::kRequestInvalid);
    return Linger();
  }
  if (!refused.ok()) return CloseRefused(refused);
  const absl::StatusOr<std::shared_ptr<PeerStream>> stream = site_->accept(peer_);
  if (!stream.ok()) return CloseRefused(stream.status());
  if (*stream == nullptr) return CloseRefused(absl::ResourceExhaustedError("this node is full; try another one"));
  BeginStream(*stream);
}

void WebConnection::BeginStream(const std::shared_ptr<PeerStream>& stream) {
  place_->BecomeWebSocket();
  auto link = std::make_shared<WebLink>(&site_->loop, site_->terms, stream.get());
  site_->loop.Watch(link);
  stream->Begin(std::make_unique<WebSocketCarrier>(link));
  link->Open(std::move(ws_), std::move(place_));
  over_ = true;
  site_->loop.Unwatch(this);
}

void WebConnection::CloseRefused(const absl::Status& why) {
  Expect(site_->options.socket.close, std::nullopt);
  websocket::close_reason reason(CloseCodeOf(why));
  const std::string words = CloseWordsOf(why);
  reason.reason = boost::beast::string_view(words);
  ws_->async_close(reason, [self = shared_from_this()](WebError /*error*/) { self->Finish(); });
}

// ---- Time and end --------------------------------------------------------------------------------------------------

void WebConnection::Expect(std::chrono::milliseconds time, std::optional<ConnectionRefusal> otherwise) {
  deadline_s_ = SteadySeconds() + std::chrono::duration<double>(time).count();
  late_ = otherwise;
}

void WebConnection::Look(double now_s) {
  if (now_s < deadline_s_) return;
  if (late_) site_->Count(*late_);
  Finish();
}

void WebConnection::Rest() { resting_ = site_->resting.insert(site_->resting.end(), this); }

void WebConnection::StopResting() {
  if (resting_) site_->resting.erase(*resting_);
  resting_.reset();
}

void WebConnection::Finish() {
  if (std::exchange(over_, true)) return;
  StopResting();
  if (refusing_) --site_->refusing;
  wire_.state()->Close();
  place_.reset();
  site_->loop.Unwatch(this);
}

}  // namespace lvs::services
