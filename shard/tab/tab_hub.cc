// A tab and its hub.
#include <algorithm>
#include <utility>

#include "shard/tab/tab.h"

namespace lvs::tab {
namespace {

constexpr double kDialSeconds = 15;
constexpr double kAnnounceAgainSeconds = 5;
constexpr double kMsPerSecond = 1000;
constexpr double kUsPerSecond = 1e6;

// Close codes of a hub (services/net/web_socket.h).
constexpr std::uint16_t kCloseDenied = 4007;
constexpr std::uint16_t kCloseFull = 4008;
constexpr std::uint16_t kCloseMisfit = 4009;
constexpr std::uint16_t kCloseMalformed = 4003;
constexpr std::uint16_t kCloseLeaving = 4014;

HubEnd EndOf(std::uint16_t code) {
  switch (code) {
    case kCloseFull: return HubEnd::kFull;
    case kCloseLeaving: return HubEnd::kLeaving;
    case kCloseMisfit: return HubEnd::kMisfit;
    case kCloseDenied:
    case kCloseMalformed: return HubEnd::kRefused;
    default: return HubEnd::kLost;
  }
}

HubState StateOf(HubEnd end) {
  switch (end) {
    case HubEnd::kFull: return HubState::kFull;
    case HubEnd::kMisfit: return HubState::kMisfit;
    case HubEnd::kRefused: return HubState::kRefused;
    case HubEnd::kLost:
    case HubEnd::kLeaving: break;
  }
  return HubState::kLost;
}

}  // namespace

void Tab::ChangeHub(HubState state, std::string words, double again_s) {
  hub_state_ = state;
  Tell(HubChanged{state, hub_, std::move(words), hub_region_, hub_build_, again_s});
}

void Tab::SayToHub(std::string bytes) {
  if (socket_ == 0) return;
  ++traffic_.hub_messages_sent;
  traffic_.hub_bytes_sent += bytes.size();
  Order(SendToHub{socket_, std::move(bytes)});
}

// ---- The socket ----

void Tab::TendHub(const Now& now) {
  if (socket_ == 0) {
    const auto hub = dial_.Due(now.s);
    if (!hub) return;
    hub_ = *hub;
    socket_ = ++sockets_begun_;
    hub_region_.clear();
    hub_build_.clear();
    hub_heard_s_ = hub_asked_s_ = now.s;
    ++traffic_.hub_dials;
    ChangeHub(HubState::kDialling, "");
    return Order(DialHub{hub_, socket_});
  }
  const double silent_s = now.s - hub_heard_s_;
  if (hub_state_ == HubState::kDialling || hub_state_ == HubState::kOpen) {
    if (silent_s > kDialSeconds) EndHub(HubEnd::kLost, "the hub did not answer for 15 seconds", /*close=*/true, now);
    return;
  }
  if (silent_s > kHubSilenceSeconds) {
    return EndHub(HubEnd::kLost, "nothing was heard of the hub for 45 seconds", /*close=*/true, now);
  }
  if (silent_s >= kHubQuietSeconds && hub_asked_s_ <= hub_heard_s_) {
    hub_asked_s_ = now.s;
    node_.Say(config_.node.tab_links, EchoRequest{static_cast<std::uint64_t>(now.s * kUsPerSecond)});
  }
  if (announce_s_ != 0 && now.s >= announce_s_) {
    announce_s_ = 0;
    links_.AnnounceAgain(now.s);
  }
}

void Tab::HubOpened(std::uint32_t socket, const Now& now) {
  if (socket != socket_ || socket == 0 || hub_state_ != HubState::kDialling) {
    ++traffic_.late_reports;
    return;
  }
  hub_heard_s_ = now.s;
  ChangeHub(HubState::kOpen, "");
  node_.LinkUp(config_.node.tab_links, now.cycle);
  node_.SetBlocked(config_.node.tab_links, false);
  hub_blocked_ = false;
  Settle(now);
}

void Tab::HubClosed(std::uint32_t socket, std::uint16_t code, std::string_view words, const Now& now) {
  if (socket != socket_ || socket == 0) {
    ++traffic_.late_reports;
    return;
  }
  const bool opened = hub_state_ != HubState::kDialling;
  std::string why(words);
  if (why.empty()) why = opened ? "the connection to the hub broke" : "the hub could not be reached";
  EndHub(EndOf(code), std::move(why), /*close=*/false, now);
  Settle(now);
}

void Tab::HubReceived(std::uint32_t socket, std::string_view bytes, const Now& now) {
  if (socket != socket_ || socket == 0 || hub_state_ == HubState::kDialling) {
    ++traffic_.late_reports;
    return;
  }
  ++traffic_.hub_messages_received;
  traffic_.hub_bytes_received += bytes.size();
  Wake(now);
  hub_heard_s_ = now.s;
  node_.Receive(config_.node.tab_links, bytes, now.cycle);
  Settle(now);
  TickLate(now);
}

void Tab::HubBlocked(std::uint32_t socket, bool blocked) {
  if (socket != socket_ || socket == 0) return;
  hub_blocked_ = blocked;
  node_.SetBlocked(config_.node.tab_links, blocked);
  for (const Slot& slot : slots_) {
    if (slot.relayed) node_.SetBlocked(NumberOf(slot), blocked);
  }
}

void Tab::EndHub(HubEnd end, std::string words, bool close, const Now& now) {
  for (Slot& slot : slots_) {
    if (slot.relayed) EndRelay(&slot, "the hub that relayed this link is gone");
  }
  Pump();
  node_.LinkDown(config_.node.tab_links);
  if (close) Order(CloseHub{socket_, words});
  socket_ = 0;
  announce_s_ = 0;
  links_.HubDown();
  if (std::exchange(served_, false)) {
    links_.Served(false);
    Tell(PlaceChanged{false, words});
  }
  dial_.Ended(end, now.s, &draws_);
  ChangeHub(StateOf(end), std::move(words), std::max(0.0, dial_.due_s() - now.s));
}

void Tab::NodeEndedHub(const LinkClosed& closed, const Now& now) {
  if (socket_ == 0) return;
  HubEnd end = HubEnd::kRefused;
  if (closed.end == LinkEnd::kGoodbye) end = HubEnd::kLeaving;
  if (closed.end == LinkEnd::kProtocol || closed.end == LinkEnd::kShape || closed.end == LinkEnd::kPeriod) {
    end = HubEnd::kMisfit;
  }
  EndHub(end, closed.words, /*close=*/true, now);
}

// ---- What the hub says ----

void Tab::HubReady(const Hello& hello, const Now& now) {
  hub_region_ = hello.region;
  hub_build_ = hello.build;
  links_.HubUp(now.s);
  if (const BuildNews news = KnownBuilds(); !news.builds.empty()) node_.Say(config_.node.tab_links, news);
  LearnBuilds({{hello.build.substr(0, kBuildBytesMax), hello.protocol_max, 1}});
}

void Tab::HubSaid(PeerMessage message, const Now& now) {
  if (const auto* const welcome = std::get_if<Welcome>(&message)) return Welcomed(*welcome, now);
  if (const auto* const sample = std::get_if<Sample>(&message)) return links_.Sampled(*sample, now.s);
  if (auto* const offer = std::get_if<Offer>(&message)) {
    if (now.s >= stale_until_s_) links_.Offered(std::move(*offer), now.s);
    return;
  }
  if (auto* const answer = std::get_if<Answer>(&message)) return links_.Answered(std::move(*answer), now.s);
  if (const auto* const relay = std::get_if<Relay>(&message)) return Relayed(*relay, now);
  if (const auto* const refused = std::get_if<Refused>(&message)) return RefusedByHub(*refused, now);
  if (const auto* const builds = std::get_if<BuildNews>(&message)) return LearnBuilds(builds->builds);
  if (const auto* const place = std::get_if<Place>(&message)) {
    links_.Served(place->given);
    if (std::exchange(served_, place->given) != place->given) {
      Tell(PlaceChanged{place->given, std::string(place->given ? "" : Words(place->reason))});
    }
  }
}

void Tab::Welcomed(const Welcome& welcome, const Now& now) {
  switch (welcome.reason) {
    case Reason::kNone:
      if (hub_state_ != HubState::kWelcome) {
        dial_.Welcomed();
        ChangeHub(HubState::kWelcome, "");
      }
      return FollowAdvice(welcome.scarce_groups, now);
    case Reason::kIdTaken:  // by an older socket of this tab, which the hub has not missed yet
    case Reason::kTooFast:
      ++refused_by_hub_[static_cast<std::size_t>(welcome.reason)];
      announce_s_ = now.s + kAnnounceAgainSeconds;
      return;
    default: {
      ++refused_by_hub_[static_cast<std::size_t>(welcome.reason)];
      const bool full = welcome.reason == Reason::kTabsFull;
      return EndHub(full ? HubEnd::kFull : HubEnd::kRefused, std::string(Words(welcome.reason)), /*close=*/true, now);
    }
  }
}

void Tab::RefusedByHub(const Refused& refused, const Now& now) {
  ++refused_by_hub_[static_cast<std::size_t>(refused.reason)];
  const double retry_s = refused.retry_ms / kMsPerSecond;
  Tell(HubRefused{refused.reason, refused.kind,
                  refused.words.empty() ? std::string(Words(refused.reason)) : refused.words});
  if (refused.kind == KindOf(Announce{})) {
    announce_s_ = now.s + std::max(kAnnounceAgainSeconds, retry_s);
  } else if (refused.kind == KindOf(Offer{})) {
    const Slot* const slot = OfAttempt(refused.number);
    const Reason reason = refused.reason == Reason::kNone ? Reason::kFailed : refused.reason;
    if (slot != nullptr && slot->phase == Phase::kOffered) {
      links_.Answered({.to = config_.node.session,
                       .from = {.tab = slot->tab},
                       .attempt = refused.number,
                       .reason = reason,
                       .description = {}},
                      now.s);
    }
  } else if (refused.kind == KindOf(Relay{})) {
    // A budget is over for all pairs of this tab: none begins for a while. Other refusals are of one pair.
    if (refused.reason == Reason::kTooFast) relay_pause_s_ = now.s + std::max(kRelayPauseSeconds, retry_s);
    for (Slot& slot : slots_) {
      const bool named = refused.number != 0 && static_cast<std::uint32_t>(slot.tab.low) == refused.number;
      const bool last = refused.number == 0 && slot.link == relayed_last_;
      if (slot.relayed && (named || last)) EndRelay(&slot, Words(refused.reason));
    }
  }
}

// ---- Builds ----

// A build that a hello names displaces one that was only told of.
void Tab::LearnBuilds(const std::vector<BuildSeen>& builds) {
  bool fresh = false;
  for (const BuildSeen& build : builds) {
    if (build.build.empty() || build.build == config_.node.build) continue;
    const bool said = IsSaid(build.build);
    const auto known =
        std::find_if(builds_.begin(), builds_.end(), [&](const BuildSeen& b) { return b.build == build.build; });
    if (known != builds_.end()) continue;
    if (builds_.size() >= kBuildsMax) {
      const auto told =
          std::find_if(builds_.rbegin(), builds_.rend(), [&](const BuildSeen& b) { return !IsSaid(b.build); });
      if (!said || told == builds_.rend()) continue;
      builds_.erase(std::next(told).base());
    }
    builds_.insert(builds_.begin(), build);
    fresh = true;
  }
  if (!fresh) return;
  const BuildNews news = KnownBuilds();
  Tell(BuildsHeard{news.builds});
  for (const Slot& slot : slots_) {
    if (slot.ready) node_.Say(NumberOf(slot), news);
  }
  node_.Say(config_.node.tab_links, news);
}

bool Tab::IsSaid(const std::string& build) const {
  return build == hub_build_ ||
         std::any_of(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.ready && slot.build == build; });
}

// Of each build, how many of those that are linked run it; of others what was told.
BuildNews Tab::KnownBuilds() const {
  BuildNews news{builds_};
  for (BuildSeen& build : news.builds) {
    std::uint32_t nodes = build.build == hub_build_ ? 1 : 0;
    for (const Slot& slot : slots_) nodes += slot.ready && slot.build == build.build ? 1 : 0;
    if (nodes > 0) build.nodes = nodes;
  }
  return news;
}

}  // namespace lvs::tab
