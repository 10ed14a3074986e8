#include "services/net/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "services/base/log.h"

namespace lvs::services {

namespace {

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
                                      .resting = std::prev(resting_.end())});
  open_ = connections_.size();
  return Watched{id, watched};
}

void Connections::Remove(Id id) {
  const MutexLock lock(&mu_);
  const auto at = connections_.find(id);
  if (at == connections_.end()) return;
  const Connection& connection = at->second;
  if (connection.held == 0 && !connection.reset) resting_.erase(connection.resting);
  // The address may be that of a newer connection already.
  const auto named = by_peer_.find(connection.peer);
  if (named != by_peer_.end() && named->second == id) by_peer_.erase(named);
  close(connection.fd);
  connections_.erase(at);
  open_ = connections_.size();
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
  connection->reset = true;
  Abort(connection->fd);
}

Connections::Connection* Connections::Find(std::string_view peer) {
  const auto named = by_peer_.find(std::string(peer));
  if (named == by_peer_.end()) return nullptr;
  Connection* const connection = &connections_.at(named->second);
  return connection->reset ? nullptr : connection;
}

void Connections::CountCall(std::string_view peer, double now_s) {
  {
    const MutexLock lock(&mu_);
    Connection* const connection = Find(peer);
    if (connection == nullptr) return;
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
  const MutexLock lock(&mu_);
  Connection* const connection = Find(peer);
  if (connection == nullptr) return std::nullopt;
  if (connection->held++ == 0) resting_.erase(connection->resting);
  return Hold(shared_from_this(), by_peer_.at(connection->peer));
}

void Connections::Release(Id id) {
  const MutexLock lock(&mu_);
  const auto at = connections_.find(id);
  if (at == connections_.end()) return;
  Connection& connection = at->second;
  if (--connection.held > 0 || connection.reset) return;
  resting_.push_back(id);
  connection.resting = std::prev(resting_.end());
}

}  // namespace lvs::services
