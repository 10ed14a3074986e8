#include "services/web/socket_table.h"

#include <algorithm>

namespace lvs::services {
namespace {

// A tab that does not read why its socket ends is cut off after this time.
constexpr double kCutOffSeconds = 2;
// Ticks that a large table is looked at in, and the sockets that a tick looks at in any case.
constexpr std::size_t kLookTicks = 8;
constexpr std::size_t kLooksMin = 64;

constexpr std::array<std::string_view, static_cast<std::size_t>(TabEnd::kCount)> kEndNames = {
    "goodbye", "broken", "silent", "no_hello", "hello", "full", "twice", "replaced", "protocol", "refused", "node_ends",
};

}  // namespace

std::string_view Name(TabEnd end) { return end < TabEnd::kCount ? kEndNames[static_cast<std::size_t>(end)] : ""; }

Socket* SocketTable::Add(const std::shared_ptr<PeerStream>& stream, double now_s) {
  strangers_.insert(stream->id);
  return &sockets_.emplace(stream->id, Socket(stream, options_.intake, now_s)).first->second;
}

Socket* SocketTable::CrowdedOut() {
  if (strangers_.size() < kWebStrangersMax) return nullptr;
  while (!strangers_.empty()) {
    Socket* const socket = Find(*strangers_.begin());
    strangers_.erase(strangers_.begin());
    // Sockets that are closed already leave anyway.
    if (socket != nullptr && !socket->stream->closed()) return socket;
  }
  return nullptr;
}

Socket* SocketTable::Find(LinkId id) {
  const auto at = sockets_.find(id);
  return at == sockets_.end() ? nullptr : &at->second;
}

Socket* SocketTable::FindSession(const tab::TabId& session) {
  const auto at = sessions_.find(session);
  return at == sessions_.end() ? nullptr : Find(at->second);
}

void SocketTable::Admit(Socket* socket, const v1::Hello& hello) {
  socket->session = {hello.session_high(), hello.session_low()};
  socket->build = hello.build();
  socket->cadence_cycles = hello.tab().cadence_cycles();
  socket->halo_rows = hello.halo_rows();
  strangers_.erase(socket->stream->id);
  sessions_.emplace(socket->session, socket->stream->id);
}

void SocketTable::Rest(Socket* socket) {
  socket->resting = true;
  resting_.insert(socket->stream->id);
}

void SocketTable::Remove(LinkId id) {
  const auto at = sockets_.find(id);
  if (at == sockets_.end()) return;
  if (at->second.greeted()) sessions_.erase(at->second.session);
  strangers_.erase(id);
  resting_.erase(id);
  sockets_.erase(at);
}

SocketTable::Upkeep SocketTable::Tick(double now_s) {
  Upkeep upkeep;
  std::erase_if(resting_, [&](LinkId id) {
    Socket* const socket = Find(id);
    if (socket == nullptr || socket->reads.Level(now_s) < 0) return socket == nullptr;
    socket->resting = false;
    upkeep.resume.push_back(socket->stream);
    return true;
  });
  const std::size_t looks = std::min(sockets_.size(), std::max(kLooksMin, sockets_.size() / kLookTicks + 1));
  auto at = sockets_.upper_bound(looked_at_);
  for (std::size_t n = 0; n < looks; ++n, ++at) {
    if (at == sockets_.end()) at = sockets_.begin();
    looked_at_ = at->first;
    Look(now_s, &at->second, &upkeep);
  }
  return upkeep;
}

void SocketTable::Look(double now_s, Socket* socket, Upkeep* upkeep) {
  if (socket->stream->closed()) {
    if (socket->closed_s < 0) socket->closed_s = now_s;
    if (now_s - socket->closed_s > kCutOffSeconds) upkeep->abort.push_back(socket->stream);
    return;
  }
  if (!socket->greeted()) {
    if (now_s - socket->since_s > options_.hello_s) upkeep->close.emplace_back(socket, TabEnd::kNoHello);
    return;
  }
  if (now_s - socket->heard_s > options_.silence_s) {
    upkeep->close.emplace_back(socket, TabEnd::kSilent);
    return;
  }
  // A hidden tab answers a ping as well. One that speaks by itself need not be asked.
  const double ping_s = options_.silence_s / 3;
  if (now_s - std::max(socket->heard_s, socket->ping_s) >= ping_s) {
    socket->ping_s = now_s;
    upkeep->ping.push_back(socket->stream);
  }
  upkeep->greeted.push_back(socket);
}

}  // namespace lvs::services
