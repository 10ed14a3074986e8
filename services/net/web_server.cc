#include "services/net/web_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>

#include "services/base/log.h"
#include "services/base/owned_fd.h"
#include "services/net/connections.h"
#include "services/net/listener.h"
#include "services/net/web_connection.h"

namespace lvs::services {

namespace {

constexpr int kAcceptedInALook = 64;
constexpr std::chrono::milliseconds kPauseWithoutFiles{20};
// A peer that acknowledges nothing of what was sent for so long is gone.
constexpr int kUnacknowledgedMs = 15'000;

std::uint64_t SourceOf(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return SourceOfIpv4(ntohl(v4.sin_addr.s_addr));
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return SourceOfIpv6(v6.sin6_addr.s6_addr);
  std::uint32_t v4 = 0;
  std::memcpy(&v4, v6.sin6_addr.s6_addr + 12, sizeof v4);
  return SourceOfIpv4(ntohl(v4));
}

OwnedFd ReserveFile() { return OwnedFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

// Accepts connections on the loop's thread.
class WebServer::Acceptor {
 public:
  Acceptor(const WebServerOptions& options, std::uint16_t bound)
      : port(bound),
        site(options),
        pause_(site.loop.context()),
        refresh_(site.loop.context()),
        reserve_(ReserveFile()) {}
  ~Acceptor() { Stop(std::chrono::milliseconds(0)); }

  void Listen(ListeningSockets* sockets) {
    for (OwnedFd& socket : sockets->sockets) listening_.emplace_back(site.loop.context(), socket.Release());
  }
  void Start() {
    for (Listening& socket : listening_) Wait(&socket);
    if (site.certificate != nullptr) RefreshLater();
    site.loop.Start();
  }
  void Stop(std::chrono::milliseconds patience) {
    boost::asio::post(site.loop.context(), [this] {
      stopped_ = true;
      listening_.clear();  // whoever connects from now on is told at once
      refresh_.cancel();
      pause_.cancel();
      while (!site.resting.empty()) site.resting.front()->Abort();
    });
    site.loop.Stop(patience);
  }

  const std::uint16_t port;
  WebSite site;

 private:
  using Executor = boost::asio::io_context::executor_type;
  using Listening = boost::asio::posix::basic_stream_descriptor<Executor>;
  using Timer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                  boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

  void Wait(Listening* socket) {
    socket->async_wait(boost::asio::posix::stream_descriptor::wait_read, [this, socket](WebError error) {
      if (error || stopped_) return;
      if (AcceptFrom(socket->native_handle())) return Wait(socket);
      pause_.expires_after(kPauseWithoutFiles);
      pause_.async_wait([this, socket](WebError /*cancelled by another socket's pause, or at the end*/) {
        if (!stopped_) Wait(socket);
      });
    });
  }

  // False: there is no file for a connection; try again later.
  bool AcceptFrom(int listening) {
    for (int n = 0; n < kAcceptedInALook; ++n) {
      OwnedFd fd(AcceptOne(listening));
      if (fd.valid()) {
        Admit(std::move(fd));
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
      if (!IsWithoutFiles(errno)) continue;  // this connection is over already; the next may be sound
      site.Count(ConnectionRefusal::kFilesExhausted);
      Log(v1::WARNING, "files.exhausted", {{"why", std::strerror(errno)}, {"port", "web"}});
      if (!MakeRoom()) {  // the newest is told at once that there is no room for it
        reserve_.Close();
        OwnedFd(AcceptOne(listening)).Close();
        reserve_ = ReserveFile();
      }
      return false;
    }
    return true;
  }

  // Ends the connection that has rested longest.
  bool MakeRoom() {
    if (site.resting.empty()) return false;
    site.resting.front()->Abort();
    return true;
  }

  void Admit(OwnedFd fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (getpeername(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
    if (site.room.connections() >= site.options.connections) {
      site.Count(ConnectionRefusal::kConnectionsFull);
      if (!MakeRoom()) return;
    }
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMs, sizeof kUnacknowledgedMs);
    const auto protocol = address.ss_family == AF_INET6 ? boost::asio::ip::tcp::v6() : boost::asio::ip::tcp::v4();
    auto wire = std::make_shared<WireState>(&site.loop.context());
    WebError error;
    wire->socket.assign(protocol, fd.get(), error);
    if (error) return;
    fd.Release();
    auto connection =
        std::make_shared<WebConnection>(&site, std::move(wire), site.room.Enter(SourceOf(address)), PeerText(address));
    site.loop.Watch(connection);
    connection->Start();
  }

  void RefreshLater() {
    refresh_.expires_after(site.options.certificate_refresh);
    refresh_.async_wait([this](WebError cancelled) {
      if (cancelled || stopped_) return;
      site.certificate->Refresh();
      RefreshLater();
    });
  }

  std::deque<Listening> listening_;
  Timer pause_;
  Timer refresh_;
  OwnedFd reserve_;  // given up for a moment, to accept and close a connection
  bool stopped_ = false;
};

absl::StatusOr<std::unique_ptr<WebServer>> WebServer::Open(const HostPort& at, const WebServerOptions& options,
                                                           std::shared_ptr<ConnectionRefusals> refusals) {
  if (options.certificate_file.empty() != options.key_file.empty()) {
    return absl::FailedPreconditionError("a web server has both a certificate and a key file, or neither");
  }
  std::unique_ptr<WebCertificate> certificate;
  if (!options.certificate_file.empty()) {
    auto loaded = WebCertificate::Load(options.certificate_file, options.key_file);
    if (!loaded.ok()) return loaded.status();
    certificate = *std::move(loaded);
  }
  absl::StatusOr<ListeningSockets> sockets = ListenOn(at);
  if (!sockets.ok()) return sockets.status();
  auto acceptor = std::make_unique<Acceptor>(options, sockets->port);
  acceptor->site.certificate = std::move(certificate);
  acceptor->site.terms->limits = options.socket;
  acceptor->site.terms->refusals = std::move(refusals);
  acceptor->Listen(&*sockets);
  return std::unique_ptr<WebServer>(new WebServer(std::move(acceptor)));
}

WebServer::WebServer(std::unique_ptr<Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}

WebServer::~WebServer() = default;

void WebServer::Start(Handle handle, Accept accept) {
  acceptor_->site.handle = std::move(handle);
  acceptor_->site.accept = std::move(accept);
  acceptor_->Start();
}

void WebServer::Stop(std::chrono::milliseconds patience) { acceptor_->Stop(patience); }

std::uint16_t WebServer::port() const { return acceptor_->port; }

WebServer::Counts WebServer::open() const {
  return {acceptor_->site.room.connections(), acceptor_->site.room.web_sockets()};
}

}  // namespace lvs::services
