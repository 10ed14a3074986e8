#include "services/web/signalling.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/web/tab_wire.h"

namespace lvs::services {
namespace {

using tab::HubId;
using tab::kThisHub;
using tab::Reason;
using tab::TabId;

// A tab that relays more than it may is told so this often.
constexpr double kRelayWordsSeconds = 1;

TokenRate BytesOf(double per_second) { return {.per_second = per_second, .burst = per_second * kRelayBurstSeconds}; }

// Time until the same message may be taken; 0: it never will.
std::uint32_t RetryMs(Reason reason) {
  switch (reason) {
    case Reason::kTooFast: return static_cast<std::uint32_t>(1000 / tab::kTabBudget.per_second);
    case Reason::kInboxFull: return static_cast<std::uint32_t>(1000 * tab::kAnswerSeconds);
    case Reason::kTabsFull: return 30'000;
    default: return 0;
  }
}

// Whether the sender of an offer should change its ways. Otherwise the answer to the offer says enough.
bool IsFaultOfSender(Reason reason) {
  return reason == Reason::kTooFast || reason == Reason::kTooLarge || reason == Reason::kClaim ||
         reason == Reason::kUnknown || reason == Reason::kSelf;
}

}  // namespace

Signalling::Signalling(const Options& options)
    : options_(options), directory_(options.rules, options.seed), relay_(BytesOf(options.relay.all), 0) {}

Reason Signalling::Count(Reason reason) {
  if (reason != Reason::kNone) ++refused_[static_cast<std::size_t>(reason)];
  return reason;
}

void Signalling::Post(HubId hub, const TabId& to, const tab::PeerMessage& message) {
  letters_.push_back({hub, to, WriteTabMessage(message)});
}

void Signalling::Refuse(const TabId& to, std::uint32_t kind, std::uint32_t number, Reason reason) {
  Post(kThisHub, to, tab::Refused{reason, kind, number, RetryMs(reason), std::string(tab::Words(reason))});
}

// ---- What tabs of this hub say -------------------------------------------------------------------------------------

Reason Signalling::Take(const TabId& from, tab::PeerMessage message, double now_s) {
  if (auto* const announce = std::get_if<tab::Announce>(&message)) return TakeAnnounce(from, *announce, now_s);
  if (const auto* const need = std::get_if<tab::Need>(&message)) return TakeNeed(from, *need, now_s);
  if (auto* const offer = std::get_if<tab::Offer>(&message)) {
    if (offer->from.tab != from && offer->from.tab != TabId{}) ++counts_.forged;
    return TakeOffer(kThisHub, from, std::move(*offer), now_s);
  }
  if (auto* const answer = std::get_if<tab::Answer>(&message)) {
    if (answer->from.tab != from && answer->from.tab != TabId{}) ++counts_.forged;
    return TakeAnswer(kThisHub, from, std::move(*answer), now_s);
  }
  if (auto* const relay = std::get_if<tab::Relay>(&message)) {
    if (relay->from != from && relay->from != TabId{}) ++counts_.forged;
    return TakeRelay(kThisHub, from, std::move(*relay), now_s);
  }
  return Count(Reason::kUnasked);
}

Reason Signalling::TakeAnnounce(const TabId& from, tab::Announce announce, double now_s) {
  if (announce.card.tab != from && announce.card.tab != TabId{}) ++counts_.forged;
  announce.card.tab = from;
  // The socket is here, so what another hub told of this tab is old or a lie.
  const std::optional<HubId> home = directory_.HomeOf(from);
  if (home && *home != kThisHub) directory_.Forget(*home, from);
  const tab::Card before = CardOf(from);
  const tab::Welcome welcome = directory_.Announced(announce, now_s);
  if (welcome.reason == Reason::kTooFast) {
    Refuse(from, v1::PeerMessage::kAnnounceFieldNumber, 0, welcome.reason);
    return welcome.reason;
  }
  Post(kThisHub, from, welcome);
  if (welcome.reason != Reason::kNone) {
    Left(from);
    return welcome.reason;
  }
  ++counts_.announces;
  own_.try_emplace(from, Own{{BytesOf(options_.relay.tab), now_s}, {kRelayStrangers, now_s}, {}});
  if (before.mask != announce.card.mask || before.micro_nodes != announce.card.micro_nodes) Changed(from);
  return Reason::kNone;
}

void Signalling::Left(const TabId& tab) {
  if (own_.erase(tab) == 0) return;
  directory_.Forget(tab);
  Changed(tab);
}

Reason Signalling::TakeNeed(const TabId& from, const tab::Need& need, double now_s) {
  tab::Sample sample;
  const Reason reason = directory_.Asked(from, need, now_s, &sample);
  if (reason == Reason::kNone) {
    ++counts_.samples;
    Post(kThisHub, from, sample);
  } else {
    Refuse(from, v1::PeerMessage::kNeedFieldNumber, need.number, reason);
  }
  return reason;
}

// What is known of a tab; at least its session.
tab::Card Signalling::CardOf(const TabId& tab) const {
  const tab::Card* const known = directory_.Find(tab);
  return known != nullptr ? *known : tab::Card{tab, 0, 0, 0};
}

// The sender's card is what the directory knows. Only the number of its links is its own to say.
void Signalling::SetSender(const TabId& from, tab::Card* card) {
  const std::uint32_t links = card->links;
  *card = CardOf(from);
  card->links = links;
}

// ---- From tab to tab, by one hub or two ----------------------------------------------------------------------------

Reason Signalling::TakeOffer(HubId via, const TabId& from, tab::Offer offer, double now_s) {
  SetSender(from, &offer.from);
  HubId home = kThisHub;
  Reason reason = directory_.MayPass(via, from, offer, now_s, &home);
  if (reason == Reason::kNone && !MayPassTo(home, now_s)) reason = Count(Reason::kInboxFull);
  if (reason == Reason::kNone) {
    ++counts_.offers;
    Pass(home, from, offer.to, offer);
    return reason;
  }
  Post(via, from, tab::Answer{from, CardOf(offer.to), offer.attempt, reason, {}});
  if (via == kThisHub && IsFaultOfSender(reason)) {
    Refuse(from, v1::PeerMessage::kOfferFieldNumber, offer.attempt, reason);
  }
  return reason;
}

Reason Signalling::TakeAnswer(HubId via, const TabId& from, tab::Answer answer, double now_s) {
  SetSender(from, &answer.from);
  HubId home = kThisHub;
  Reason reason = directory_.MayPass(via, from, answer, now_s, &home);
  // Hubs do not pass on for each other twice.
  if (reason == Reason::kNone && via != kThisHub && home != kThisHub) reason = Count(Reason::kNobody);
  if (reason == Reason::kNone && !MayPassTo(home, now_s)) reason = Count(Reason::kInboxFull);
  if (via != kThisHub && answer.reason == Reason::kNobody) directory_.Forget(via, from);
  if (via != kThisHub && answer.reason == Reason::kUnknown && own_.contains(answer.to)) {
    hubs_.at(via).untold.insert(answer.to);
  }
  if (reason == Reason::kNone) {
    ++counts_.answers;
    if (answer.reason == Reason::kNone) {
      AddPartner(from, answer.to);
      AddPartner(answer.to, from);
    }
    Pass(home, from, answer.to, answer);
  } else if (via == kThisHub) {
    Refuse(from, v1::PeerMessage::kAnswerFieldNumber, answer.attempt, reason);
  }
  return reason;
}

void Signalling::AddPartner(const TabId& tab, const TabId& partner) {
  const auto own = own_.find(tab);
  if (own == own_.end()) return;
  std::vector<TabId>& partners = own->second.partners;
  if (std::find(partners.begin(), partners.end(), partner) != partners.end()) return;
  if (partners.size() >= kRelayPartnersMax) partners.erase(partners.begin());
  partners.push_back(partner);
}

// ---- Relay ---------------------------------------------------------------------------------------------------------

Reason Signalling::TakeRelay(HubId via, const TabId& from, tab::Relay relay, double now_s) {
  relay.from = from;
  HubId home = kThisHub;
  const Reason reason = MayRelay(via, relay, now_s, &home);
  if (reason == Reason::kNone) {
    ++counts_.relays;
    counts_.relayed_bytes += relay.message.size();
    AddPartner(from, relay.to);
    Pass(home, from, relay.to, relay);
  } else if (via == kThisHub) {
    RefuseRelay(from, reason, now_s);
  }
  return reason;
}

Reason Signalling::MayRelay(HubId via, const tab::Relay& relay, double now_s, HubId* home) {
  if (directory_.HomeOf(relay.from) != via) return Count(Reason::kUnknown);
  if (relay.to == relay.from) return Count(Reason::kSelf);
  const std::optional<HubId> to = directory_.HomeOf(relay.to);
  if (!to || (via != kThisHub && *to != kThisHub)) return Count(Reason::kNobody);
  *home = *to;
  const auto sender = own_.find(relay.from);
  if (sender != own_.end() && (options_.relay.tab <= 0 || sender->second.relay.Level(now_s) <= 0)) {
    ++counts_.relay_over_tab;
    return Count(Reason::kTooFast);
  }
  if (options_.relay.all <= 0 || relay_.Level(now_s) <= 0) {
    ++counts_.relay_over_all;
    return Count(Reason::kTooFast);
  }
  if (const auto receiver = own_.find(relay.to); receiver != own_.end()) {
    const std::vector<TabId>& partners = receiver->second.partners;
    const bool partner = std::find(partners.begin(), partners.end(), relay.from) != partners.end();
    if (!partner && receiver->second.strangers.Take(now_s) > 0) return Count(Reason::kInboxFull);
  }
  if (!MayPassTo(*home, now_s, /*relay=*/true)) return Count(Reason::kInboxFull);
  // What is over may go into debt, so that the largest message passes a small budget.
  const auto bytes = static_cast<double>(relay.message.size());
  if (sender != own_.end()) sender->second.relay.Spend(bytes, now_s);
  relay_.Spend(bytes, now_s);
  return Reason::kNone;
}

void Signalling::RefuseRelay(const TabId& to, Reason reason, double now_s) {
  const auto own = own_.find(to);
  if (own != own_.end()) {
    if (own->second.told_s >= 0 && now_s - own->second.told_s < kRelayWordsSeconds) return;
    own->second.told_s = now_s;
  }
  if (reason != Reason::kTooFast || own == own_.end()) {
    return Refuse(to, v1::PeerMessage::kRelayFieldNumber, 0, reason);
  }
  tab::Refused refused{reason, v1::PeerMessage::kRelayFieldNumber, 0, 0, "this server relays no messages between tabs"};
  const double of_tab = own->second.relay.Level(now_s);
  const double rate = of_tab <= 0 ? options_.relay.tab : options_.relay.all;
  if (rate > 0 && options_.relay.all > 0) {
    const double debt = std::max(0.0, -(of_tab <= 0 ? of_tab : relay_.Level(now_s)));
    refused.retry_ms = static_cast<std::uint32_t>(std::clamp(1000 * (1 + debt) / rate, 100.0, 3'600'000.0));
    refused.words = absl::StrCat("the relay of this server is at its budget of ", std::llround(rate),
                                 " bytes a second for ", of_tab <= 0 ? "each tab" : "all tabs");
  }
  Post(kThisHub, to, refused);
}

}  // namespace lvs::services
