#include "services/peering/peer_table.h"

#include <algorithm>

#include "services/base/log.h"

namespace lvs::services {
namespace {

constexpr double kPingSeconds = 1;
// A peer that does not read why its stream ends is cut off after this time.
constexpr double kAbortSeconds = 2;
constexpr double kDialBackoffMaxSeconds = 2;
constexpr std::uint64_t kRoundTripMaxUs = 60'000'000;

std::uint64_t Micros(double now_s) { return static_cast<std::uint64_t>(now_s * 1e6); }

}  // namespace

PeerTable::PeerTable(const PeeringOptions& options) : options_(options), slots_(options.links) {}

void PeerTable::Start(std::string advertise, double now_s) {
  advertise_ = std::move(advertise);
  MembershipOptions membership;
  membership.seed = options_.seed;
  membership.session = options_.session;
  membership.self = advertise_;
  membership.links_max = options_.links;
  membership.backoff_max_s = kDialBackoffMaxSeconds;
  membership_ = std::make_unique<Membership>(membership);
  for (const std::string& address : options_.boot) {
    if (const absl::Status status = membership_->AddBoot(address, now_s); !status.ok()) {
      Log(v1::WARNING, "boot.refused", {{"address", address}, {"why", std::string(status.message())}});
    }
  }
}

// ---- Streams -------------------------------------------------------------------------------------------------------

void PeerTable::Add(const std::shared_ptr<PeerStream>& stream, double now_s) {
  links_.emplace(stream->id, Link{.stream = stream, .since_s = now_s, .heard_s = now_s, .intake{options_, now_s}});
  if (stream->dialled.empty()) strangers_.insert(stream->id);
}

std::shared_ptr<PeerStream> PeerTable::CrowdedOut() {
  if (links_.size() < options_.links + kStrangersMax) return nullptr;
  while (!strangers_.empty()) {
    const Link* const link = Find(*strangers_.begin());
    strangers_.erase(strangers_.begin());
    // Streams that are closed already leave anyway.
    if (link != nullptr && !link->stream->closed()) return link->stream;
  }
  return nullptr;
}

PeerTable::Link* PeerTable::Find(LinkId id) {
  const auto at = links_.find(id);
  return at == links_.end() ? nullptr : &at->second;
}

absl::StatusOr<std::uint32_t> PeerTable::Admit(const std::shared_ptr<PeerStream>& stream, const v1::Hello& hello,
                                               double now_s) {
  Link* const link = Find(stream->id);
  if (link == nullptr) return absl::UnavailableError("the stream is gone");
  const shard::SessionId session{hello.session_high(), hello.session_low()};
  const absl::Status status =
      membership_->Connected({stream->id, hello.advertise(), stream->dialled, hello.region(), session}, now_s);
  if (!status.ok()) return status;
  link->slot = slots_.Occupy(session);
  if (!link->slot) {
    membership_->Disconnected(stream->id, LinkEnd::kDropped, "no link is free", now_s);
    return absl::ResourceExhaustedError("no link is free; try another node");
  }
  strangers_.erase(stream->id);
  return *link->slot;
}

bool PeerTable::Remove(const std::shared_ptr<PeerStream>& stream, const absl::Status& why, double now_s) {
  const auto at = links_.find(stream->id);
  if (at == links_.end()) return false;
  const Link link = std::move(at->second);
  links_.erase(at);
  strangers_.erase(stream->id);
  gone_.Add(link);
  if (link.slot) {
    slots_.Leave(*link.slot);
    const bool dropped = absl::IsResourceExhausted(why) || absl::IsAlreadyExists(why);
    const LinkEnd end = link.goodbye ? LinkEnd::kGoodbye : dropped ? LinkEnd::kDropped : LinkEnd::kBroken;
    membership_->Disconnected(stream->id, end, std::string(why.message()), now_s);
  } else if (!stream->dialled.empty()) {
    if (absl::IsAborted(why)) membership_->MarkSelf(stream->dialled);
    membership_->DialFailed(stream->dialled, why, now_s);
  }
  return link.slot.has_value();
}

std::vector<std::shared_ptr<PeerStream>> PeerTable::streams() const {
  std::vector<std::shared_ptr<PeerStream>> streams;
  for (const auto& [id, link] : links_) streams.push_back(link.stream);
  return streams;
}

// ---- Time ----------------------------------------------------------------------------------------------------------

PeerTable::Upkeep PeerTable::Tick(double now_s, bool seek) {
  Upkeep upkeep;
  for (auto& [id, link] : links_) TickLink(now_s, &link, &upkeep);
  if (seek) TickMembership(now_s, &upkeep);
  return upkeep;
}

void PeerTable::TickLink(double now_s, Link* link, Upkeep* upkeep) {
  const std::shared_ptr<PeerStream>& stream = link->stream;
  if (link->resting && link->intake.MayReadOn(now_s)) {
    link->resting = false;
    upkeep->resume.push_back(stream);
  }
  if (stream->closed()) {
    if (link->closed_s < 0) link->closed_s = now_s;
    if (now_s - link->closed_s > kAbortSeconds) upkeep->abort.push_back(stream);
  } else if (!link->slot && now_s - link->since_s > options_.hello_s) {
    if (stream->dialled.empty() && options_.refusals != nullptr) {
      options_.refusals->Add(ConnectionRefusal::kHelloMissing);
    }
    upkeep->close.emplace_back(stream, absl::DeadlineExceededError("no hello came"));
  } else if (link->slot && now_s - link->heard_s > options_.silence_s) {
    upkeep->close.emplace_back(stream, absl::UnavailableError("nothing was heard for too long"));
  } else if (link->slot && now_s - link->ping_s >= kPingSeconds) {
    link->ping_s = now_s;
    v1::PeerMessage ping;
    ping.mutable_ping()->set_sent_us(Micros(now_s));
    upkeep->say.emplace_back(stream, std::move(ping));
  }
}

void PeerTable::TickMembership(double now_s, Upkeep* upkeep) {
  Membership::Actions actions = membership_->Tick(now_s);
  upkeep->dial = std::move(actions.dial);
  for (const LinkId id : actions.exchange_with) {
    const Link* link = Find(id);
    if (link == nullptr) continue;
    v1::PeerMessage message;
    *message.mutable_peers() = membership_->Sample(id, now_s);
    upkeep->say.emplace_back(link->stream, std::move(message));
  }
  for (const Membership::Drop& drop : actions.drop) {
    if (const Link* link = Find(drop.link)) upkeep->close.emplace_back(link->stream, drop.why);
  }
}

void PeerTable::Pong(const v1::Ping& pong, double now_s, Link* link) {
  const std::uint64_t now_us = Micros(now_s);
  const std::uint64_t sent_us = pong.sent_us();
  if (sent_us > now_us || now_us - sent_us >= kRoundTripMaxUs) return;
  link->rtt_ms = static_cast<double>(now_us - sent_us) / 1000;
}

// ---- What operators see --------------------------------------------------------------------------------------------

void PeerTable::Totals::Add(const Link& link) {
  const PeerStream::Counts counts = link.stream->counts();
  sent.frames_sent += counts.sent.frames_sent;
  sent.bytes_sent += counts.sent.bytes_sent;
  sent.replaced += counts.sent.replaced;
  sent.shortened += counts.sent.shortened;
  sent.dropped += counts.sent.dropped;
  sent.unqueued += counts.sent.unqueued;
  frames_received += link.intake.taken();
  bytes_received += counts.bytes_received;
}

v1::Peer PeerTable::Describe(const Link& link, double now_s) const {
  const PeerStream& stream = *link.stream;
  const v1::Hello hello = stream.hello();
  const PeerStream::Counts counts = stream.counts();
  v1::Peer peer;
  peer.set_address(hello.advertise());
  peer.set_region(hello.region());
  peer.set_build(hello.build());
  peer.set_protocol(stream.protocol());
  peer.set_session_high(hello.session_high());
  peer.set_session_low(hello.session_low());
  peer.set_dialled(!stream.dialled.empty());
  peer.set_connected_s(now_s - link.since_s);
  peer.set_heard_s(now_s - link.heard_s);
  peer.set_rtt_ms(link.rtt_ms);
  peer.set_frames_sent(counts.sent.frames_sent);
  peer.set_frames_received(link.intake.taken());
  peer.set_frames_coalesced(counts.sent.replaced);
  peer.set_bytes_sent(counts.sent.bytes_sent);
  peer.set_bytes_received(counts.bytes_received);
  peer.set_outbox_bytes(stream.outbox().bytes());
  peer.set_refused(link.intake.refused());
  peer.set_leaving(link.leaving);
  return peer;
}

v1::PeerList PeerTable::Peers(double now_s) const {
  v1::PeerList list;
  for (const auto& [id, link] : links_) {
    if (link.slot) *list.add_peers() = Describe(link, now_s);
  }
  if (membership_ == nullptr) return list;
  for (v1::KnownAddress& address : membership_->Known()) *list.add_known() = std::move(address);
  return list;
}

v1::TrafficStatus PeerTable::Traffic() const {
  Totals all = gone_;
  std::uint64_t waiting = 0;
  std::uint64_t limit = 0;
  for (const auto& [id, link] : links_) {
    all.Add(link);
    if (!link.slot) continue;
    waiting += link.stream->outbox().bytes();
    limit += link.stream->outbox().bytes_limit();
  }
  v1::TrafficStatus traffic;
  traffic.set_bytes_sent(all.sent.bytes_sent);
  traffic.set_bytes_received(all.bytes_received);
  traffic.set_frames_sent(all.sent.frames_sent);
  traffic.set_frames_received(all.frames_received);
  traffic.set_frames_coalesced(all.sent.replaced);
  traffic.set_frames_shortened(all.sent.shortened);
  traffic.set_frames_dropped(all.sent.dropped);
  traffic.set_outbox_bytes(waiting);
  traffic.set_outbox_bytes_max(limit);
  return traffic;
}

PeerTable::Standing PeerTable::StandingAt(double now_s) const {
  Standing standing;
  for (const auto& [id, link] : links_) {
    if (!link.slot) continue;
    ++standing.connected;
    standing.staying += link.leaving || link.goodbye ? 0 : 1;
    standing.in_step += link.intake.in_step() ? 1 : 0;
    standing.ahead += link.intake.ahead() ? 1 : 0;
    standing.behind += link.intake.behind() ? 1 : 0;
  }
  if (membership_ == nullptr) return standing;
  standing.known = membership_->known_count();
  standing.expects = membership_->ExpectsSomebody(now_s);
  standing.misses = membership_->MissesSomebody(now_s);
  return standing;
}

}  // namespace lvs::services
