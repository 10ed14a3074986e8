#include "services/net/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/log.h"

namespace lvs::services {

namespace {

// A connection that had so many calls open at a time, or sent so many bytes beside calls, took some megabytes.
constexpr std::size_t kManyCalls = 64;
constexpr double kManyBytes = 16 << 10;

std::string Ipv4Text(const in_addr& address, std::uint16_t port) {
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &address, text.data(), text.size());
  return absl::StrCat("ipv4:", text.data(), ":", port);
}

// Ends a connection at once and throws away what it sent. (After shutdown() gRPC would still read all that the kernel
// holds already, megabytes of it.) A socket that is no TCP connection any more is left to shutdown().
void Abort(int fd) {
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  if (connect(fd, &nobody, sizeof nobody) != 0) shutdown(fd, SHUT_RDWR);
}

// The kernel's struct tcp_info up to the member that counts. glibc's lacks it, and linux/tcp.h does not go together with
// netinet/tcp.h.
struct TcpInfoToReceived {
  std::array<char, 128> before;
  std::uint64_t bytes_received;
};
static_assert(offsetof(TcpInfoToReceived, bytes_received) == 128);

// Bytes of a connection that this process has read; 0 where the kernel does not say.
std::uint64_t BytesRead(int fd) {
  TcpInfoToReceived info{};
  socklen_t size = sizeof info;
  int unread = 0;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || size < sizeof info) return 0;
  if (ioctl(fd, FIONREAD, &unread) != 0 || unread < 0) return 0;
  const auto waiting = static_cast<std::uint64_t>(unread);
  return info.bytes_received > waiting ? info.bytes_received - waiting : 0;
}

}  // namespace

std::string PeerText(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return Ipv4Text(v4.sin_addr, ntohs(v4.sin_port));
  }
  if (address.ss_family != AF_INET6) return "";
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  const std::uint16_t port = ntohs(v6.sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    in_addr v4{};
    std::memcpy(&v4, v6.sin6_addr.s6_addr + 12, sizeof v4);
    return Ipv4Text(v4, port);
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  const std::string scope = v6.sin6_scope_id == 0 ? "" : absl::StrCat("%25", v6.sin6_scope_id);
  return absl::StrCat("ipv6:%5B", text.data(), scope, "%5D:", port);
}

Connections::~Connections() {
  const MutexLock lock(&mu_);
  for (auto& [id, connection] : connections_) close(connection.fd);
}

std::optional<Connections::Watched> Connections::Add(int fd, double now_s) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::nullopt;
  std::string peer = PeerText(address);
  const MutexLock lock(&mu_);
  const bool full = connections_.size() >= limits_.connections;
  if (full && (connections_.size() >= MostAtOnce() || !ResetOldest())) {
    Count(ConnectionRefusal::kConnectionsFull);
    errno = 0;
    return std::nullopt;
  }
  const int watched = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (watched < 0) return std::nullopt;
  const Id id = ++last_id_;
  by_peer_[peer] = id;
  resting_.push_back(id);
  connections_.emplace(id, Connection{.peer = std::move(peer),
                                      .fd = watched,
                                      .calls = TokenBucket(limits_.calls, now_s),
                                      .bytes = TokenBucket(limits_.bytes, now_s),
                                      .resting = std::prev(resting_.end())});
  open_ = connections_.size();
  resting_count_ = resting_.size();
  return Watched{id, watched};
}

void Connections::Remove(Id id) {
  const MutexLock lock(&mu_);
  const auto at = connections_.find(id);
  if (at == connections_.end()) return;
  Connection& connection = at->second;
  if (connection.most_held >= kManyCalls || connection.bytes.Level(-1) < limits_.bytes.burst - kManyBytes) {
    flooded_ = true;
  }
  if (connection.held == 0 && !connection.reset) resting_.erase(connection.resting);
  if (!connection.reset) held_in_all_ -= connection.held;
  // The address may be that of a newer connection already.
  const auto named = by_peer_.find(connection.peer);
  if (named != by_peer_.end() && named->second == id) by_peer_.erase(named);
  close(connection.fd);
  connections_.erase(at);
  open_ = connections_.size();
  resting_count_ = resting_.size();
}

bool Connections::MakeRoom() {
  const MutexLock lock(&mu_);
  return ResetOldest();
}

bool Connections::ResetOldest() {
  if (resting_.empty()) return false;
  Reset(&connections_.at(resting_.front()));
  Count(ConnectionRefusal::kConnectionsFull);
  return true;
}

void Connections::Reset(Connection* connection) {
  if (connection->held == 0) resting_.erase(connection->resting);
  held_in_all_ -= connection->held;
  connection->reset = true;
  Abort(connection->fd);
}

Connections::Connection* Connections::Find(std::string_view peer) {
  const auto named = by_peer_.find(std::string(peer));
  if (named == by_peer_.end()) return nullptr;
  Connection* const connection = &connections_.at(named->second);
  return connection->reset ? nullptr : connection;
}

bool Connections::SendsTooMuch(Connection* connection, double now_s) const {
  const std::uint64_t read = BytesRead(connection->fd);
  const std::uint64_t sent = read > connection->weighed ? read - connection->weighed : 0;
  // Calls are counted later than gRPC reads them, so they also make up for bytes of earlier reviews.
  const std::uint64_t of_calls = std::exchange(connection->calls_to_weigh, 0) * kBytesOfACall;
  connection->weighed = read;
  connection->bytes.Spend(static_cast<double>(sent) - static_cast<double>(of_calls), now_s);
  return connection->bytes.Level(now_s) < 0;
}

void Connections::Review(double now_s) {
  std::vector<std::string> too_much;
  {
    const MutexLock lock(&mu_);
    for (auto next = resting_.begin(); next != resting_.end();) {
      Connection* const connection = &connections_.at(*next++);
      if (!SendsTooMuch(connection, now_s)) continue;
      too_much.push_back(connection->peer);
      flooded_ = true;
      Reset(connection);
    }
    resting_count_ = resting_.size();
  }
  for (const std::string& peer : too_much) {
    Count(ConnectionRefusal::kBytesWithoutCalls);
    Log(v1::WARNING, "connection.reset", {{"peer", peer}, {"why", "it sent more than its calls need"}});
  }
}

void Connections::CountCall(std::string_view peer, double now_s) {
  {
    const MutexLock lock(&mu_);
    Connection* const connection = Find(peer);
    if (connection == nullptr) return;
    ++connection->calls_to_weigh;
    if (connection->held == 0) resting_.splice(resting_.end(), resting_, connection->resting);
    if (connection->calls.Take(now_s) == 0) return;
    flooded_ = true;  // before whoever looks for it learns that the connection is over
    Reset(connection);
  }
  Count(ConnectionRefusal::kCallsTooFast);
  Log(v1::WARNING, "connection.reset",
      {{"peer", peer}, {"why", "it began calls faster than a connection may; send contributions as one stream"}});
}

std::optional<Connections::Hold> Connections::Begin(std::string_view peer) {
  std::string too_many;  // the connection that was reset
  std::optional<Hold> hold = BeginOf(peer, &too_many);
  if (!too_many.empty()) {
    Count(ConnectionRefusal::kCallsOpen);
    Log(v1::WARNING, "connection.reset", {{"peer", too_many}, {"why", "it had too many calls open at a time"}});
  }
  return hold;
}

std::optional<Connections::Hold> Connections::BeginOf(std::string_view peer, std::string* too_many) {
  const MutexLock lock(&mu_);
  Connection* const connection = Find(peer);
  if (connection == nullptr) return std::nullopt;
  Connection* full = connection->held >= limits_.calls_open ? connection : nullptr;
  if (full == nullptr && held_in_all_ >= limits_.calls_open_in_all) full = Busiest();
  if (full != nullptr) {
    *too_many = full->peer;
    flooded_ = true;
    Reset(full);
    resting_count_ = resting_.size();
    if (full == connection) return std::nullopt;
  }
  if (connection->held++ == 0) resting_.erase(connection->resting);
  connection->most_held = std::max(connection->most_held, connection->held);
  ++held_in_all_;
  resting_count_ = resting_.size();
  return Hold(shared_from_this(), by_peer_.at(connection->peer));
}

Connections::Connection* Connections::Busiest() {
  Connection* busiest = nullptr;
  for (auto& [id, connection] : connections_) {
    if (!connection.reset && (busiest == nullptr || connection.held > busiest->held)) busiest = &connection;
  }
  return busiest;
}

void Connections::Release(Id id) {
  const MutexLock lock(&mu_);
  const auto at = connections_.find(id);
  if (at == connections_.end()) return;
  Connection& connection = at->second;
  --connection.held;
  if (connection.reset) return;
  --held_in_all_;
  if (connection.held > 0) return;
  resting_.push_back(id);
  connection.resting = std::prev(resting_.end());
  resting_count_ = resting_.size();
  // What came while the call lasted is not weighed.
  connection.weighed = BytesRead(connection.fd);
  connection.calls_to_weigh = 0;
}

}  // namespace lvs::services
