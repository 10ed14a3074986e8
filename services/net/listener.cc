#include "services/net/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/base/heap.h"
#include "services/base/log.h"
#include "services/net/grpc_stream.h"

namespace lvs::services {

namespace {

// Connections that one look accepts, so that ended ones are taken note of in between.
constexpr int kAcceptedAtOnce = 64;
// Time for gRPC to close what was reset, before accept is tried again.
constexpr std::chrono::milliseconds kWithoutFilesPause{20};
// Time between two looks at what resting connections have sent.
constexpr std::chrono::milliseconds kReviewInterval{50};
// Time between two looks at whether any rests.
constexpr std::chrono::milliseconds kRestCheckInterval{1000};
// gRPC ends the calls of a connection that flooded one by one. What it has freed is given back so often, at this interval.
constexpr std::chrono::milliseconds kTrimInterval{1000};
constexpr int kTrims = 30;
// A peer that acknowledges nothing of what was sent for so long is gone; the same time as gRPC's keepalive.
constexpr int kUserTimeoutMs = 5'000;

// What an event of the epoll is about; ids of connections begin at 1.
constexpr std::uint64_t kStopEvent = 0;
constexpr std::uint64_t kListenerEvent = std::uint64_t{1} << 63;

std::string ErrnoText(const char* what, int error) { return absl::StrCat(what, ": ", std::strerror(error)); }

void SetOption(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::StatusOr<Addresses> Resolve(const HostPort& at) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(at.host.c_str(), std::to_string(at.port).c_str(), &hints, &found);
  if (error != 0) return absl::UnavailableError(absl::StrCat(at.host, ": ", gai_strerror(error)));
  return Addresses(found, &freeaddrinfo);
}

absl::StatusOr<OwnedFd> ListenOnAddress(const sockaddr* address, socklen_t size) {
  OwnedFd fd(socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return absl::UnavailableError(ErrnoText("socket", errno));
  SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address, sizeof v6);
    SetOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr) ? 0 : 1);
  }
  if (bind(fd.get(), address, size) != 0 || listen(fd.get(), SOMAXCONN) != 0) {
    return absl::UnavailableError(std::strerror(errno));
  }
  return fd;
}

std::uint16_t* PortOf(sockaddr_storage* address) {
  return address->ss_family == AF_INET6 ? &reinterpret_cast<sockaddr_in6*>(address)->sin6_port
                                        : &reinterpret_cast<sockaddr_in*>(address)->sin_port;
}

std::uint16_t BoundPort(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return 0;
  return ntohs(*PortOf(&bound));
}

}  // namespace

absl::StatusOr<ListeningSockets> ListenOn(const HostPort& at) {
  ListeningSockets listening;
  if (IsWildcard(at.host)) {  // of both families where the machine has both
    auto both = Resolve({"::", at.port});
    if (both.ok()) {
      absl::StatusOr<OwnedFd> fd = ListenOnAddress((*both)->ai_addr, (*both)->ai_addrlen);
      if (fd.ok()) {
        listening.port = BoundPort(fd->get());
        listening.sockets.push_back(*std::move(fd));
        return listening;
      }
    }
  }
  absl::StatusOr<Addresses> addresses = Resolve(at);
  if (!addresses.ok()) return addresses.status();
  absl::Status failed = absl::UnavailableError("the name has no address");
  for (const addrinfo* next = addresses->get(); next != nullptr; next = next->ai_next) {
    sockaddr_storage address{};
    std::memcpy(&address, next->ai_addr, next->ai_addrlen);
    if (listening.port != 0) *PortOf(&address) = htons(listening.port);
    absl::StatusOr<OwnedFd> fd = ListenOnAddress(reinterpret_cast<const sockaddr*>(&address), next->ai_addrlen);
    if (!fd.ok()) {
      failed = fd.status();
      continue;
    }
    listening.port = BoundPort(fd->get());
    listening.sockets.push_back(*std::move(fd));
  }
  if (listening.sockets.empty()) return failed;
  return listening;
}

int AcceptOne(int listening) { return accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }

bool IsWithoutFiles(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(const HostPort& at,
                                                         std::shared_ptr<ConnectionRefusals> refusals) {
  absl::StatusOr<ListeningSockets> sockets = ListenOn(at);
  if (!sockets.ok()) return sockets.status();
  std::unique_ptr<Listener> listener(new Listener(*std::move(sockets), std::move(refusals)));
  if (const absl::Status status = listener->Prepare(); !status.ok()) return status;
  return listener;
}

absl::Status Listener::Prepare() {
  epoll_ = OwnedFd(epoll_create1(EPOLL_CLOEXEC));
  stop_ = OwnedFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  reserve_ = OwnedFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!epoll_.valid() || !stop_.valid()) return absl::UnavailableError(ErrnoText("no file is left", errno));
  const auto watch = [&](int fd, std::uint64_t what) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = what;
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  };
  bool watched = watch(stop_.get(), kStopEvent);
  for (std::size_t n = 0; n < sockets_.sockets.size(); ++n) {
    watched = watch(sockets_.sockets[n].get(), kListenerEvent | n) && watched;
  }
  return watched ? absl::OkStatus() : absl::UnavailableError(ErrnoText("epoll", errno));
}

void Listener::Start(std::shared_ptr<Connections> connections, Take take) {
  connections_ = std::move(connections);
  take_ = std::move(take);
  thread_ = std::thread([this] { Run(); });
}

void Listener::Stop() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof one);
  thread_.join();
  sockets_.sockets.clear();  // whoever connects from now on is told at once
}

void Listener::Run() {
  std::array<epoll_event, 64> events{};
  while (true) {
    const int ready = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), UntilNextLookMs());
    for (int n = 0; n < ready; ++n) {
      const std::uint64_t what = events[static_cast<std::size_t>(n)].data.u64;
      if (what == kStopEvent) return;
      if ((what & kListenerEvent) == 0) {
        connections_->Remove(what);
      } else {
        AcceptFrom(sockets_.sockets[what & ~kListenerEvent].get());
      }
    }
    Look();
  }
}

void Listener::Look() {
  const Time now = std::chrono::steady_clock::now();
  if (now >= review_at_ && connections_->any_rests()) {
    connections_->Review(SteadySeconds());
    review_at_ = now + kReviewInterval;
  }
  if (connections_->TakeFlooded()) {
    trims_left_ = kTrims;
    trim_at_ = now + kTrimInterval;
  }
  if (trims_left_ > 0 && now >= trim_at_) {
    ReturnFreeMemory();
    --trims_left_;
    trim_at_ = now + kTrimInterval;
  }
}

int Listener::UntilNextLookMs() const {
  const Time now = std::chrono::steady_clock::now();
  Time next = Time::max();
  if (connections_->open() > 0) next = connections_->any_rests() ? review_at_ : now + kRestCheckInterval;
  if (trims_left_ > 0) next = std::min(next, trim_at_);
  if (next == Time::max()) return -1;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - now).count();
  return static_cast<int>(std::max<std::int64_t>(0, left + 1));
}

void Listener::AcceptFrom(int listening) {
  for (int n = 0; n < kAcceptedAtOnce && !connections_->crowded(); ++n) {
    const int fd = AcceptOne(listening);
    if (fd >= 0) {
      Admit(fd);
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    if (IsWithoutFiles(errno)) return GetByWithoutFiles(listening, errno);
    // Otherwise this one connection is over already; the next may be sound.
  }
}

void Listener::Admit(int fd) {
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
  const std::optional<Connections::Watched> watched = connections_->Add(fd, SteadySeconds());
  if (!watched) {
    const int error = errno;
    close(fd);
    if (IsWithoutFiles(error)) GetByWithoutFiles(-1, error);
    return;
  }
  epoll_event event{};  // EPOLLHUP and EPOLLERR are always reported
  event.data.u64 = watched->id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, watched->fd, &event) != 0) {
    connections_->Remove(watched->id);
    close(fd);
    return;
  }
  take_(fd);
}

void Listener::GetByWithoutFiles(int listening, int error) {
  if (refusals_ != nullptr) refusals_->Add(ConnectionRefusal::kFilesExhausted);
  Log(v1::WARNING, "files.exhausted",
      {{"why", std::strerror(error)}, {"do", "raise the limit of open files (ulimit -n, LimitNOFILE)"}});
  if (!connections_->MakeRoom() && listening >= 0) {
    // The newest connection is told at once that there is no room for it, instead of waiting unheard.
    reserve_.Close();
    const int fd = AcceptOne(listening);
    if (fd >= 0) close(fd);
    reserve_ = OwnedFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  std::this_thread::sleep_for(kWithoutFilesPause);
}

}  // namespace lvs::services
