// What hubs tell each other.
#include <string>

#include "services/web/signalling.h"
#include "services/web/tab_wire.h"

namespace lvs::services {

using tab::HubId;
using tab::kThisHub;
using tab::Reason;
using tab::TabId;

void Signalling::HubUp(HubId hub, double now_s) {
  HubDown(hub);
  Hub fresh{{}, true, {kHubMessages, now_s}, {kHubMessages, now_s}, {kHubMessagesTaken, now_s}};
  Hub& known = hubs_.emplace(hub, std::move(fresh)).first->second;
  for (const auto& [tab, own] : own_) known.untold.insert(known.untold.end(), tab);
}

void Signalling::HubDown(HubId hub) {
  directory_.ForgetHub(hub);
  hubs_.erase(hub);
}

// ---- What they are told --------------------------------------------------------------------------------------------

// A tab of this hub came, changed or left.
void Signalling::Changed(const TabId& tab) {
  // A hub that has much to be told is told everything anew: what it knew of tabs that have gone is void then.
  const std::size_t untold_max = 2 * options_.rules.tabs_max;
  for (auto& [id, hub] : hubs_) {
    hub.untold.insert(tab);
    if (hub.untold.size() <= untold_max) continue;
    hub.untold.clear();
    for (const auto& [own, record] : own_) hub.untold.insert(hub.untold.end(), own);
    hub.tell_all = true;
  }
}

void Signalling::TellHubs() {
  for (auto& [id, hub] : hubs_) {
    if (hub.untold.empty() && !hub.tell_all) continue;
    v1::PeerMessage message;
    v1::HubNews* const news = message.mutable_hub_news();
    news->set_all(std::exchange(hub.tell_all, false));
    for (std::size_t n = 0; n < kHubNewsMax && !hub.untold.empty(); ++n) {
      const TabId next = *hub.untold.begin();
      Tell(&hub, next, news);
    }
    letters_.push_back({id, {}, std::move(message)});
  }
}

void Signalling::Tell(Hub* hub, const TabId& tab, v1::HubNews* news) {
  hub->untold.erase(tab);
  if (own_.contains(tab)) {
    WriteCard(CardOf(tab), news->add_cards());
  } else {
    WriteTabId(tab, news->add_left());
  }
}

bool Signalling::MayPassTo(HubId hub, double now_s, bool relay) {
  if (hub == kThisHub) return true;
  const auto at = hubs_.find(hub);
  if (at != hubs_.end() && (relay ? at->second.relays_to : at->second.to).Take(now_s) == 0) return true;
  ++counts_.hub_over;
  return false;
}

void Signalling::Pass(HubId home, const TabId& from, const TabId& to, const tab::PeerMessage& message) {
  const auto at = hubs_.find(home);
  if (at != hubs_.end() && at->second.untold.contains(from)) {
    v1::PeerMessage card;
    card.mutable_hub_news()->set_all(std::exchange(at->second.tell_all, false));
    Tell(&at->second, from, card.mutable_hub_news());
    letters_.push_back({home, {}, std::move(card)});
  }
  Post(home, to, message);
}

// ---- What they tell ------------------------------------------------------------------------------------------------

Reason Signalling::TakeFromHub(HubId hub, const v1::PeerMessage& message, double now_s) {
  const auto at = hubs_.find(hub);
  if (at == hubs_.end()) return Count(Reason::kUnknown);
  if (at->second.from.Take(now_s) > 0) {
    ++counts_.hub_over;
    return Count(Reason::kTooFast);
  }
  ++counts_.from_hubs;
  if (message.has_hub_news()) return TakeNews(hub, message.hub_news(), now_s);
  tab::PeerMessage read;
  if (ReadTabMessage(message, &read)) return Count(Reason::kTooLarge);
  if (auto* const offer = std::get_if<tab::Offer>(&read)) {
    const TabId from = offer->from.tab;
    return TakeOffer(hub, from, std::move(*offer), now_s);
  }
  if (auto* const answer = std::get_if<tab::Answer>(&read)) {
    const TabId from = answer->from.tab;
    return TakeAnswer(hub, from, std::move(*answer), now_s);
  }
  if (auto* const relay = std::get_if<tab::Relay>(&read)) {
    const TabId from = relay->from;
    return TakeRelay(hub, from, std::move(*relay), now_s);
  }
  ++counts_.hub_unexpected;
  return Count(Reason::kUnasked);
}

Reason Signalling::TakeNews(HubId hub, const v1::HubNews& news, double now_s) {
  if (static_cast<std::size_t>(news.cards_size()) > kHubNewsMax ||
      static_cast<std::size_t>(news.left_size()) > kHubNewsMax) {
    return Count(Reason::kTooLarge);
  }
  if (news.all()) directory_.ForgetHub(hub);
  for (const v1::TabCard& told : news.cards()) {
    const tab::Card card = ReadCard(told);
    const std::optional<HubId> home = directory_.HomeOf(card.tab);
    // A tab that has moved is told of by its new hub before the old one has missed it.
    if (home && *home != hub && *home != kThisHub) directory_.Forget(*home, card.tab);
    directory_.Learn(hub, card, now_s);
  }
  for (const v1::TabId& left : news.left()) directory_.Forget(hub, ReadTabId(left));
  return Reason::kNone;
}

}  // namespace lvs::services
