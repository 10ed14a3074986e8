#include "shard/tab/hub_directory.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <span>
#include <utility>

namespace lvs::tab {
namespace {

// Holders of one shard that are looked at for one card of a sample.
constexpr std::size_t kLooksMax = 16;

}  // namespace

Reason HubDirectory::Count(Reason reason) {
  if (reason == Reason::kNone) {
    ++taken_;
  } else {
    ++refused_[static_cast<std::size_t>(reason)];
  }
  return reason;
}

GroupMask HubDirectory::Advise(std::uint32_t micro_nodes) {
  std::array<std::uint32_t, kShardsMax / kGroupShards> holders{};
  const std::uint32_t groups = rules_.shards / kGroupShards;
  for (std::uint32_t group = 0; group < groups; ++group) {
    std::size_t least = tabs_.size();
    for (std::uint32_t n = 0; n < kGroupShards; ++n) least = std::min(least, holders_[kGroupShards * group + n].size());
    holders[group] = static_cast<std::uint32_t>(least);
  }
  return ScarceGroups(std::span(holders).first(groups), std::min(micro_nodes, kMicroNodesCounted), draws_.Next());
}

Welcome HubDirectory::Announced(const Announce& announce, double now_s) {
  const auto known = tabs_.find(announce.card.tab);
  // Before the tab counts as a holder itself: it may still choose.
  const GroupMask scarce_groups = known == tabs_.end() ? Advise(announce.card.micro_nodes) : 0;
  Reason reason = Reason::kNone;
  if (known != tabs_.end() && known->second.home == kThisHub && known->second.budget.Take(now_s) > 0) {
    reason = Reason::kTooFast;
  } else {
    reason = Put(kThisHub, announce.card, now_s);
  }
  return {Count(reason), rules_.shards, reason == Reason::kNone ? scarce_groups : 0};
}

Reason HubDirectory::Learn(HubId hub, const Card& card, double now_s) { return Count(Put(hub, card, now_s)); }

Reason HubDirectory::Put(HubId hub, const Card& card, double now_s) {
  if (card.tab == TabId{}) return Reason::kUnknown;
  if (!ClaimFits(card.mask, card.micro_nodes, rules_.shards)) return Reason::kClaim;
  auto at = tabs_.find(card.tab);
  if (at != tabs_.end() && at->second.home != hub) return Reason::kIdTaken;
  if (at == tabs_.end()) {
    const bool full = hub == kThisHub ? tabs() >= rules_.tabs_max : remote_ >= rules_.remote_max;
    if (full) return Reason::kTabsFull;
    at = tabs_.emplace(card.tab, Entry(card, hub, now_s)).first;
    at->second.card.mask = 0;
    if (hub != kThisHub) ++remote_;
  }
  Enlist(&at->second, card.mask);
  at->second.card = card;
  return Reason::kNone;
}

// Changes the mask of an entry, and with it the lists of holders.
void HubDirectory::Enlist(Entry* entry, ShardMask mask) {
  for (ShardMask changed = mask ^ entry->card.mask; changed != 0; changed &= changed - 1) {
    const auto s = static_cast<std::size_t>(std::countr_zero(changed));
    const bool holds = (mask >> s & 1) != 0;
    std::vector<Entry*>& holders = holders_[s];
    if (holds) {
      entry->at[s] = static_cast<std::uint32_t>(holders.size());
      holders.push_back(entry);
    } else {
      holders.back()->at[s] = entry->at[s];
      holders[entry->at[s]] = holders.back();
      holders.pop_back();
    }
  }
  entry->card.mask = mask;
}

void HubDirectory::Remove(HubId hub, const TabId& tab) {
  const auto at = tabs_.find(tab);
  if (at == tabs_.end() || at->second.home != hub) return;
  Enlist(&at->second, 0);
  if (hub != kThisHub) --remote_;
  tabs_.erase(at);
}

void HubDirectory::ForgetHub(HubId hub) {
  for (auto at = tabs_.begin(); at != tabs_.end();) {
    const auto next = std::next(at);
    if (at->second.home == hub && hub != kThisHub) Remove(hub, at->first);
    at = next;
  }
}

const Card* HubDirectory::Find(const TabId& tab) const {
  const auto at = tabs_.find(tab);
  return at == tabs_.end() ? nullptr : &at->second.card;
}

std::optional<HubId> HubDirectory::HomeOf(const TabId& tab) const {
  const auto at = tabs_.find(tab);
  if (at == tabs_.end()) return std::nullopt;
  return at->second.home;
}

// The entry of a sender, where it belongs to the hub that its message came from.
HubDirectory::Entry* HubDirectory::Of(HubId via, const TabId& tab) {
  const auto at = tabs_.find(tab);
  return at == tabs_.end() || at->second.home != via ? nullptr : &at->second;
}

Reason HubDirectory::Asked(const TabId& from, const Need& need, double now_s, Sample* sample) {
  sample->number = need.number;
  sample->cards.clear();
  Entry* asker = Of(kThisHub, from);
  if (asker == nullptr) return Count(Reason::kUnknown);
  if (asker->budget.Take(now_s) > 0) return Count(Reason::kTooFast);
  if (need.mask == 0 || (need.mask & ~AllShards(rules_.shards)) != 0) return Count(Reason::kClaim);
  if (need.linked.size() > kLinksKnownMax || need.wanted > kSampleMax) return Count(Reason::kTooLarge);
  asker->card.links = need.links;

  std::vector<std::uint32_t> shards;
  for (std::uint32_t s = 0; s < rules_.shards; ++s) {
    if ((need.mask >> s & 1) != 0) shards.push_back(s);
  }
  draws_.Shuffle(&shards);
  // Round robin over the shards, so that each is served before any is served twice.
  for (std::size_t n = 0; n < 3 * shards.size() && sample->cards.size() < need.wanted; ++n) {
    const Entry* holder = PickHolder(shards[n % shards.size()], from, need, sample->cards);
    if (holder != nullptr) sample->cards.push_back(holder->card);
  }
  return Count(Reason::kNone);
}

// A random holder that has places; a full one where none was found; nullptr where nobody is of use to the asker.
const HubDirectory::Entry* HubDirectory::PickHolder(std::uint32_t shard, const TabId& asker, const Need& need,
                                                    const std::vector<Card>& cards) {
  const std::vector<Entry*>& holders = holders_[shard];
  if (holders.empty()) return nullptr;
  const bool all = holders.size() <= kLooksMax;
  const std::size_t first = draws_.Below(holders.size());
  const Entry* full = nullptr;
  for (std::size_t n = 0; n < std::min(kLooksMax, holders.size()); ++n) {
    const Entry* holder = holders[all ? (first + n) % holders.size() : draws_.Below(holders.size())];
    const TabId& tab = holder->card.tab;
    if (tab == asker || std::find(need.linked.begin(), need.linked.end(), tab) != need.linked.end()) continue;
    if (std::any_of(cards.begin(), cards.end(), [&](const Card& card) { return card.tab == tab; })) continue;
    if (holder->card.links < rules_.links_max) return holder;
    if (full == nullptr) full = holder;
  }
  return full;
}

Reason HubDirectory::MayPass(HubId via, const TabId& from, const Offer& offer, double now_s, HubId* home) {
  Entry* sender = Of(via, from);
  if (sender == nullptr || offer.from.tab != from) return Count(Reason::kUnknown);
  // A remote sender has paid at its own hub.
  if (via == kThisHub && sender->budget.Take(now_s) > 0) return Count(Reason::kTooFast);
  if (offer.to == from) return Count(Reason::kSelf);
  if (offer.description.size() > kDescriptionBytesMax) return Count(Reason::kTooLarge);
  if (offer.from.mask != sender->card.mask || offer.from.micro_nodes != sender->card.micro_nodes) {
    return Count(Reason::kClaim);
  }
  sender->card.links = offer.from.links;
  const auto at = tabs_.find(offer.to);
  if (at == tabs_.end()) return Count(Reason::kNobody);
  Entry& target = at->second;
  // Hubs do not pass on for each other twice.
  if (via != kThisHub && target.home != kThisHub) return Count(Reason::kNobody);
  std::erase_if(target.unanswered, [&](const Unanswered& u) { return now_s >= u.until_s; });
  if (target.unanswered.size() >= kUnansweredMax || target.inbox.Take(now_s) > 0) return Count(Reason::kInboxFull);
  target.unanswered.push_back({from, offer.attempt, now_s + kAnswerSeconds});
  *home = target.home;
  return Count(Reason::kNone);
}

Reason HubDirectory::MayPass(HubId via, const TabId& from, const Answer& answer, double now_s, HubId* home) {
  Entry* sender = Of(via, from);
  if (sender == nullptr || answer.from.tab != from) return Count(Reason::kUnknown);
  if (answer.description.size() > kDescriptionBytesMax) return Count(Reason::kTooLarge);
  // Answers cost no budget: each needs an offer, and is taken once.
  const auto asked = std::find_if(sender->unanswered.begin(), sender->unanswered.end(), [&](const Unanswered& u) {
    return u.from == answer.to && u.attempt == answer.attempt && now_s < u.until_s;
  });
  if (asked == sender->unanswered.end()) {
    if (via == kThisHub && sender->budget.Take(now_s) > 0) return Count(Reason::kTooFast);
    return Count(Reason::kUnasked);
  }
  sender->unanswered.erase(asked);
  sender->card.links = answer.from.links;
  const auto at = tabs_.find(answer.to);
  if (at == tabs_.end()) return Count(Reason::kNobody);
  *home = at->second.home;
  return Count(Reason::kNone);
}

}  // namespace lvs::tab
