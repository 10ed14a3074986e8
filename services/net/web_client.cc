#include "services/net/web_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/http/field.hpp>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/net/grpc_stream.h"
#include "services/net/web_link.h"

namespace lvs::services {

namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using boost::asio::ip::tcp;
using Resolver = asio::ip::basic_resolver<tcp, asio::io_context::executor_type>;

constexpr std::size_t kUrlBytesMax = 2048;

absl::Status NoUrl(std::string_view url, const std::string& why) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", std::string(url.substr(0, 256)), "\" ", why, "; write for example ws://127.0.0.1:8080/peer"));
}

// What an answer other than an upgrade means for who dials.
absl::Status StatusOfAnswer(const WebUrl& url, unsigned code, const std::string& origin) {
  switch (code) {
    case 403:
      return absl::PermissionDeniedError(
          absl::StrCat(url.authority, " does not allow the origin ", origin, "; add it to the node's web origins"));
    case 404:
    case 426:
      return absl::NotFoundError(absl::StrCat(url.authority, " has no WebSocket at ", url.target, "; try /peer"));
    case 429:
      return absl::ResourceExhaustedError(
          absl::StrCat(url.authority, " allows no more connections of this address for now; try again later"));
    case 503: return absl::ResourceExhaustedError(absl::StrCat(url.authority, " is full; try another node"));
    default:
      return absl::UnavailableError(absl::StrCat(url.authority, " answered ", code,
                                                 " instead of opening a WebSocket; is it a node's web server?"));
  }
}

}  // namespace

absl::StatusOr<WebUrl> ParseWebUrl(std::string_view url) {
  WebUrl parsed;
  std::string_view rest = url;
  if (url.size() > kUrlBytesMax) return NoUrl(url, "is too long");
  parsed.tls = url.starts_with("wss://");
  if (!parsed.tls && !url.starts_with("ws://")) return NoUrl(url, "begins with neither ws:// nor wss://");
  rest.remove_prefix(parsed.tls ? 6 : 5);
  const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  parsed.authority = rest.substr(0, end);
  parsed.target = rest.substr(end, rest.find('#') - end);
  if (!parsed.target.starts_with('/')) parsed.target.insert(0, "/");
  for (const char c : parsed.target) {
    if (c <= ' ' || c > '~') return NoUrl(url, "has a character that a URL has not");
  }
  const bool with_port = parsed.authority.find(':', parsed.authority.rfind(']') + 1) != std::string::npos;
  const absl::StatusOr<HostPort> at =
      ParseTarget(with_port ? parsed.authority : absl::StrCat(parsed.authority, parsed.tls ? ":443" : ":80"));
  if (!at.ok()) return NoUrl(url, std::string(at.status().message()));
  parsed.at = *at;
  return parsed;
}

// The loop, and the dials that wait for others to be done. Its thread only, but for Begin.
class WebDialler::Dials {
 public:
  explicit Dials(const WebDiallerOptions& with)
      : options(with), terms(std::make_shared<WebLinkTerms>()), loop(with.sweep), resolver(loop.context()) {
    terms->limits = options.socket;
  }

  void Begin(const std::string& url, const std::shared_ptr<PeerStream>& stream);
  void Ended() {
    --under_way_;
    StartNext();
  }

  const WebDiallerOptions options;
  const std::shared_ptr<WebLinkTerms> terms;
  std::shared_ptr<asio::ssl::context> tls;
  WebLoop loop;
  Resolver resolver;

 private:
  class Dial;

  void StartNext();

  std::deque<std::shared_ptr<Dial>> waiting_;
  std::size_t under_way_ = 0;
};

// One dial: name, TCP, TLS, upgrade.
class WebDialler::Dials::Dial final : public WebLoop::Watched, public std::enable_shared_from_this<Dial> {
 public:
  Dial(Dials* dials, std::string url, std::shared_ptr<WebLink> link)
      : dials_(dials), url_text_(std::move(url)), link_(std::move(link)) {}

  // False: it is over already.
  bool Start() {
    if (over_) return false;
    started_ = true;
    deadline_s_ = SteadySeconds() + std::chrono::duration<double>(dials_->options.patience).count();
    absl::StatusOr<WebUrl> url = ParseWebUrl(url_text_);
    if (!url.ok()) {
      // Later, because a dial that ends starts the next one: a queue of bad URLs must not nest.
      asio::post(dials_->loop.context(), [self = shared_from_this(), why = url.status()] { self->Fail(why); });
      return true;
    }
    url_ = *std::move(url);
    dials_->resolver.async_resolve(url_.at.host, std::to_string(url_.at.port), tcp::resolver::numeric_service,
                                   [self = shared_from_this()](WebError error, tcp::resolver::results_type found) {
                                     self->Connect(error, std::move(found));
                                   });
    return true;
  }
  void Look(double now_s) override {
    if (!started_ || now_s < deadline_s_) return;
    Fail(absl::DeadlineExceededError(absl::StrCat("no answer of ", url_text_, " in time; is the address right?")));
  }
  void Abort() override { Fail(absl::CancelledError("the dial was given up")); }

 private:
  void Connect(WebError error, tcp::resolver::results_type found) {
    if (over_) return;
    if (error) {
      return Fail(absl::UnavailableError(absl::StrCat(url_.at.host, " has no address: ", error.message())));
    }
    wire_ = std::make_shared<WireState>(&dials_->loop.context());
    asio::async_connect(wire_->socket, found,
                        [self = shared_from_this()](WebError failed, const tcp::endpoint&) { self->Greet(failed); });
  }

  void Greet(WebError error) {
    if (over_) return;
    if (error) {
      return Fail(absl::UnavailableError(absl::StrCat("nobody can be reached at ", url_.authority, " (",
                                                      error.message(), "); is the node's web server on?")));
    }
    const int on = 1;
    setsockopt(wire_->socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!url_.tls) return Upgrade();
    wire_->UseTls(dials_->tls);
    wire_->tls->set_verify_mode(asio::ssl::verify_peer);
    wire_->tls->set_verify_callback(asio::ssl::host_name_verification(url_.at.host));
    if (!IsIpv4(url_.at.host) && !IsIpv6(url_.at.host)) {
      SSL_set_tlsext_host_name(wire_->tls->native_handle(), url_.at.host.c_str());
    }
    wire_->tls->async_handshake(asio::ssl::stream_base::client, [self = shared_from_this()](WebError failed) {
      if (self->over_) return;
      if (!failed) return self->Upgrade();
      self->Fail(absl::UnauthenticatedError(
          absl::StrCat("TLS with ", self->url_.authority, " failed (", failed.message(),
                       "); name the CA of its certificate, and the name that the certificate is for")));
    });
  }

  void Upgrade() {
    ws_ = WebLink::NewStream(WebWire(wire_));
    ws_->set_option(websocket::stream_base::decorator([options = &dials_->options](websocket::request_type& request) {
      namespace http = boost::beast::http;
      request.set(http::field::user_agent, "lvs");
      if (!options->origin.empty()) request.set(http::field::origin, options->origin);
      if (!options->protocol.empty()) request.set(http::field::sec_websocket_protocol, options->protocol);
    }));
    answer_ = std::make_unique<websocket::response_type>();
    ws_->async_handshake(*answer_, url_.authority, url_.target,
                         [self = shared_from_this()](WebError error) { self->OnAnswer(error); });
  }

  void OnAnswer(WebError error) {
    if (over_) return;
    if (error == websocket::error::upgrade_declined) {
      return Fail(StatusOfAnswer(url_, answer_->result_int(), dials_->options.origin));
    }
    if (error) {
      return Fail(
          absl::UnavailableError(absl::StrCat(url_.authority, " did not open a WebSocket (", error.message(),
                                              "); is it a node's web server", url_.tls ? "" : ", without TLS", "?")));
    }
    answer_.reset();
    link_->Open(std::move(ws_), nullptr);
    End();
  }

  void Fail(const absl::Status& why) {
    if (over_) return;
    if (wire_ != nullptr) wire_->Close();
    const std::shared_ptr<Dial> self = shared_from_this();
    End();
    link_->Fail(why);
  }

  void End() {
    over_ = true;
    dials_->loop.Unwatch(this);
    if (started_) dials_->Ended();
  }

  Dials* const dials_;
  const std::string url_text_;
  const std::shared_ptr<WebLink> link_;
  WebUrl url_;
  std::shared_ptr<WireState> wire_;
  std::unique_ptr<WebSocketStream> ws_;
  std::unique_ptr<websocket::response_type> answer_;
  double deadline_s_ = 0;
  bool started_ = false;
  bool over_ = false;
};

void WebDialler::Dials::Begin(const std::string& url, const std::shared_ptr<PeerStream>& stream) {
  auto link = std::make_shared<WebLink>(&loop, terms, stream.get());
  // Before the stream can ask the link for anything.
  asio::post(loop.context(), [this, url, link] {
    auto dial = std::make_shared<Dial>(this, url, link);
    loop.Watch(link);
    loop.Watch(dial);
    link->OnCancel([dial = std::weak_ptr<Dial>(dial)] {
      if (const std::shared_ptr<Dial> there = dial.lock()) there->Abort();
    });
    waiting_.push_back(std::move(dial));
    StartNext();
  });
  stream->Begin(std::make_unique<WebSocketCarrier>(link));
}

void WebDialler::Dials::StartNext() {
  while (under_way_ < options.dials && !waiting_.empty()) {
    const std::shared_ptr<Dial> next = std::move(waiting_.front());
    waiting_.pop_front();
    ++under_way_;
    if (!next->Start()) --under_way_;
  }
}

absl::StatusOr<std::unique_ptr<WebDialler>> WebDialler::Open(const WebDiallerOptions& options,
                                                             std::shared_ptr<ConnectionRefusals> refusals) {
  auto dials = std::make_unique<Dials>(options);
  dials->terms->refusals = std::move(refusals);
  dials->tls = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  WebError error;
  if (options.ca_file.empty()) {
    dials->tls->set_default_verify_paths(error);
  } else {
    dials->tls->load_verify_file(options.ca_file, error);
  }
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat(options.ca_file.empty() ? "the system's CAs" : options.ca_file,
                                                      " cannot be read: ", error.message()));
  }
  dials->loop.Start();
  return std::unique_ptr<WebDialler>(new WebDialler(std::move(dials)));
}

WebDialler::WebDialler(std::unique_ptr<Dials> dials) : dials_(std::move(dials)) {}

WebDialler::~WebDialler() { Stop(std::chrono::milliseconds(0)); }

void WebDialler::Dial(const std::string& url, const std::shared_ptr<PeerStream>& stream) { dials_->Begin(url, stream); }

void WebDialler::Stop(std::chrono::milliseconds patience) { dials_->loop.Stop(patience); }

std::size_t WebDialler::open() const { return dials_->loop.watched(); }

}  // namespace lvs::services
