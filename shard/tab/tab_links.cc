#include "shard/tab/tab_links.h"

#include <algorithm>
#include <string>
#include <utility>

namespace lvs::tab {
namespace {

// Below what the hub allows, so that an honest tab is never refused there.
constexpr services::TokenRate kToHub = {.per_second = 28 / 60.0, .burst = 26};
constexpr services::TokenRate kOffersTaken = {.per_second = 1, .burst = 40};
// Urgent offers may take the places of redundant links, but nobody may turn all links over.
constexpr services::TokenRate kEvictions = {.per_second = 0.2, .burst = 6};
constexpr services::TokenRate kWalksTaken = {.per_second = 4, .burst = 60};
constexpr services::TokenRate kAdoptionsTaken = {.per_second = 0.5, .burst = 12};
constexpr double kAdoptionChance = 0.3;  // a second and shard
constexpr std::uint32_t kWalksAtOnce = 3;
constexpr std::uint32_t kHubEveryRounds = 3;

}  // namespace

LinkRules RulesFor(std::uint32_t shards) {
  LinkRules rules;
  rules.shards = shards;
  rules.links_max = shards > 16 ? 12 : 8;
  return rules;
}

TabLinks::TabLinks(const LinkRules& rules, const Self& self, std::uint64_t seed)
    : rules_(rules),
      self_(self),
      own_(self.mask),
      draws_(seed),
      to_hub_(kToHub, 0),
      offers_(kOffersTaken, 0),
      evictions_(kEvictions, 0),
      walks_(kWalksTaken, 0),
      adoptions_(kAdoptionsTaken, 0) {}

std::vector<Action> TabLinks::TakeActions() { return std::exchange(actions_, {}); }

void TabLinks::Tick(double now_s) {
  if (next_fresh_s_ == 0) next_fresh_s_ = now_s + rules_.replace_s * (0.5 + draws_.Unit());
  Expire(now_s);
  if (now_s >= next_ping_s_) SayPings(now_s);
  SearchForeign(now_s);
  Search(now_s);
  SearchFresh(now_s);
  RequestAdoption();
}

void TabLinks::HubUp(double now_s) {
  hub_ = true;
  asked_.fill(0);
  actions_.push_back(Announce{OwnCard()});
  to_hub_.Spend(1, now_s);
}

void TabLinks::AnnounceAgain(double now_s) {
  if (!hub_) return;
  actions_.push_back(Announce{OwnCard()});
  to_hub_.Spend(1, now_s);
}

void TabLinks::Hold(ShardMask mask, ShardMask adopted, std::uint32_t micro_nodes, double now_s) {
  own_ = mask & ~adopted;
  if (self_.mask == mask && self_.micro_nodes == micro_nodes) return;
  self_.mask = mask;
  self_.micro_nodes = micro_nodes;
  AnnounceAgain(now_s);
}

void TabLinks::Slept(double now_s) {
  for (Link& link : links_) {
    link.heard_s = std::max(link.heard_s, now_s - kSilenceSeconds + kPingSeconds);
    link.rows_s = std::max(link.rows_s, link.heard_s);
  }
}

void TabLinks::Leave(Reason reason) {
  while (!links_.empty()) DropLink(links_.back().tab, reason);
  while (!attempts_.empty()) GiveUp(attempts_.back().number, attempts_.back().tab, reason);
}

Cover TabLinks::CoverOf(bool attempts) const {
  Cover cover;
  for (const Link& link : links_) cover.Add(link.mask);
  if (attempts) {
    for (const Attempt& attempt : attempts_) cover.Add(attempt.mask);
  }
  if (served_) cover.Add(AllShards(rules_.shards));
  return cover;
}

bool TabLinks::KnowsTab(const TabId& tab) const {
  const auto is_tab = [&](const auto& known) { return known.tab == tab; };
  return std::any_of(links_.begin(), links_.end(), is_tab) || std::any_of(attempts_.begin(), attempts_.end(), is_tab);
}

bool TabLinks::IsBanned(const TabId& tab) const {
  return std::find(banned_.begin(), banned_.end(), tab) != banned_.end();
}

TabLinks::Link* TabLinks::Find(const TabId& tab) {
  const auto link = std::find_if(links_.begin(), links_.end(), [&](const Link& l) { return l.tab == tab; });
  return link == links_.end() ? nullptr : &*link;
}

TabLinks::Attempt* TabLinks::FindAttempt(std::uint32_t number) {
  const auto attempt = std::find_if(attempts_.begin(), attempts_.end(),
                                    [&](const Attempt& a) { return number != 0 && a.number == number; });
  return attempt == attempts_.end() ? nullptr : &*attempt;
}

Card TabLinks::OwnCard() const {
  return {self_.tab, self_.mask, self_.micro_nodes, static_cast<std::uint32_t>(places_taken())};
}

std::vector<TabId> TabLinks::Linked() const {
  std::vector<TabId> linked;
  for (const Link& link : links_) linked.push_back(link.tab);
  for (const Attempt& attempt : attempts_) {
    if (attempt.tab != TabId{}) linked.push_back(attempt.tab);
  }
  // The banned ones that are left out here are asked for, and then passed over.
  for (auto tab = banned_.rbegin(); tab != banned_.rend() && linked.size() < kLinksKnownMax; ++tab) {
    linked.push_back(*tab);
  }
  return linked;
}

// By value: the caller's may be a member of the link.
void TabLinks::DropLink(TabId tab, Reason reason) {
  ++dropped_[static_cast<std::size_t>(reason)];
  actions_.push_back(Drop{tab, 0, reason});
  std::erase_if(links_, [&](const Link& link) { return link.tab == tab; });
}

void TabLinks::GiveUp(std::uint32_t number, const TabId& tab, Reason reason) {
  const auto attempt = std::find_if(attempts_.begin(), attempts_.end(),
                                    [&](const Attempt& a) { return number != 0 ? a.number == number : a.tab == tab; });
  if (attempt == attempts_.end()) return;
  ++dropped_[static_cast<std::size_t>(reason)];
  actions_.push_back(Drop{attempt->tab, attempt->number, reason});
  attempts_.erase(attempt);
}

// The link that both ends miss least: without it each of its shards is covered so often. nullptr where there is none.
const TabLinks::Link* TabLinks::LeastMissedLink(std::uint32_t covered) const {
  const Cover own = CoverOf(/*attempts=*/false);
  const Link* best = nullptr;
  std::uint32_t best_cover = covered;
  for (const Link& link : links_) {
    if (!link.told) continue;
    const ShardMask shared = self_.mask & link.mask;
    const std::uint32_t cover = std::min(own.Least(shared), link.cover.Least(shared));
    if (cover > best_cover) {
      best = &link;
      best_cover = cover;
    }
  }
  return best;
}

void TabLinks::Expire(double now_s) {
  for (std::size_t n = attempts_.size(); n-- > 0;) {
    if (now_s >= attempts_[n].deadline_s) GiveUp(attempts_[n].number, attempts_[n].tab, Reason::kTimeout);
  }
  for (std::size_t n = links_.size(); n-- > 0;) {
    Link& link = links_[n];
    const bool shares = (link.mask & self_.mask) != 0;
    if (!shares) link.shares_s = now_s;
    if (now_s > link.heard_s + kSilenceSeconds) {
      DropLink(link.tab, Reason::kSilent);
    } else if (ready_ && shares && now_s > link.shares_s + kRowsAfterSharingSeconds &&
               link.heard_s > link.rows_s + kRowsSeconds) {
      Ban(link.tab);
      DropLink(link.tab, Reason::kNoRows);
    }
  }
}

void TabLinks::SayPings(double now_s) {
  next_ping_s_ = now_s + kPingSeconds;
  const Ping ping{OwnCard(), served_, CoverOf(/*attempts=*/false)};
  for (const Link& link : links_) actions_.push_back(ToTab<Ping>{link.tab, ping});
}

void TabLinks::Ask(Purpose purpose, ShardMask mask, double now_s) {
  if (to_hub_.Take(now_s) > 0) return;
  asked_[static_cast<std::size_t>(purpose)] = ++questions_;
  actions_.push_back(Need{questions_, mask, purpose == Purpose::kCover ? std::uint32_t{kSampleMax} : 3,
                          static_cast<std::uint32_t>(places_taken()), Linked()});
}

// Finds holders of the shards that lack links: by a question to the hub, or by walks.
void TabLinks::Search(double now_s) {
  ShardMask need = this->need();
  if (need == 0 && places_taken() >= rules_.links_min) {
    search_pause_s_ = kSearchPauseSeconds;
    round_open_ = search_in_vain_ = false;
    return;
  }
  // A shard that has lost its last link is looked for at once, however long others were looked for in vain.
  const ShardMask uncovered = self_.mask & ~CoverOf(/*attempts=*/true).AtLeast(1);
  if ((uncovered & ~std::exchange(uncovered_, uncovered)) != 0) search_pause_s_ = kSearchPauseSeconds;
  if (now_s < std::min(next_search_s_, round_began_s_ + search_pause_s_)) return;
  if (std::exchange(round_open_, false) && !round_found_) {
    search_in_vain_ = true;
    next_search_s_ = round_began_s_ + search_pause_s_;
    search_pause_s_ = std::min(kSearchPauseSecondsMax, 2 * search_pause_s_);
    if (now_s < next_search_s_) return;
  }
  if (need == 0) need = self_.mask;
  // The hub knows most, and is asked in every other round where a shard has no link at all. A question without the means
  // for an offer would be for nothing.
  const bool hub_turn = uncovered != 0 ? rounds_ % 2 == 0 : rounds_ % kHubEveryRounds == kHubEveryRounds - 1;
  const bool hub = hub_ && (hub_turn || links_.empty()) && to_hub_.Level(now_s) >= 2;
  if (!hub && links_.empty()) return;
  ++rounds_;
  round_open_ = true;
  round_found_ = false;
  round_began_s_ = now_s;
  next_search_s_ = now_s + kSearchAgainSeconds;
  if (hub) return Ask(Purpose::kCover, uncovered != 0 ? uncovered : need, now_s);

  std::vector<std::uint32_t> wanted;
  for (std::uint32_t s = 0; s < rules_.shards; ++s) {
    if ((need >> s & 1) != 0) wanted.push_back(s);
  }
  draws_.Shuffle(&wanted);
  std::ranges::stable_partition(wanted, [&](std::uint32_t s) { return (uncovered >> s & 1) != 0; });
  for (std::size_t n = 0; n < wanted.size() && n < kWalksAtOnce; ++n) {
    const bool urgent = (uncovered >> wanted[n] & 1) != 0;
    // One place more than there are while another link can make room.
    if (places_taken() > rules_.links_max) break;
    if (places_taken() == rules_.links_max && !(urgent && LeastMissedLink(rules_.cover_kept) != nullptr)) continue;
    StartWalk(Purpose::kCover, MaskOfShard(wanted[n]), urgent, /*roam=*/search_in_vain_ && n % 2 == 1, now_s);
  }
}

// Has its own timer: what looks for other shards never holds back what looks for holders of the own ones.
void TabLinks::SearchForeign(double now_s) {
  if (now_s < next_foreign_s_ || places_taken() >= rules_.links_max) return;
  if (self_.mask == AllShards(rules_.shards)) return;
  if (!search_in_vain_ && (need() != 0 || places_taken() < rules_.links_min)) return;
  std::uint32_t foreign = 0;
  for (const Link& link : links_) foreign += Foreign(link.mask) ? 1 : 0;
  for (const Attempt& attempt : attempts_) foreign += Foreign(attempt.mask) ? 1 : 0;
  if (foreign >= rules_.foreign || (!hub_ && links_.empty())) return;
  next_foreign_s_ = now_s + foreign_pause_s_;
  foreign_pause_s_ = std::min(kSearchPauseSecondsMax, 2 * foreign_pause_s_);  // until somebody is found
  const ShardMask lacking = AllShards(rules_.shards) & ~self_.mask;
  if (hub_) {
    Ask(Purpose::kForeign, lacking, now_s);
  } else {
    StartWalk(Purpose::kForeign, lacking, /*urgent=*/false, /*roam=*/true, now_s);
  }
}

// Once in a while a random holder replaces a link: a tab that only hostile ones surround hears an honest one.
void TabLinks::SearchFresh(double now_s) {
  if (rules_.replace_s <= 0 || now_s < next_fresh_s_) return;
  next_fresh_s_ = now_s + rules_.replace_s * (0.5 + draws_.Unit());
  if (need() != 0 || links_.size() < 2 || places_taken() > rules_.links_max) return;
  if (hub_) {
    Ask(Purpose::kFresh, self_.mask, now_s);
  } else {
    std::uint32_t skip = draws_.Below(ShardCount(self_.mask));
    ShardMask want = self_.mask;
    for (; skip > 0; --skip) want &= want - 1;
    StartWalk(Purpose::kFresh, want & ~(want - 1), /*urgent=*/false, /*roam=*/true, now_s);
  }
}

void TabLinks::Sampled(const Sample& sample, double now_s) {
  const auto asked = std::find(asked_.begin(), asked_.end(), sample.number);
  if (sample.number == 0 || asked == asked_.end()) return Refuse(Reason::kUnasked);
  if (sample.cards.size() > kSampleMax) return Refuse(Reason::kTooLarge);
  const auto purpose = static_cast<Purpose>(asked - asked_.begin());
  *asked = 0;
  std::vector<Card> cards;
  for (const Card& card : sample.cards) {
    if (ClaimOk(card) && card.tab != self_.tab && !KnowsTab(card.tab) && !IsBanned(card.tab)) cards.push_back(card);
  }
  draws_.Shuffle(&cards);
  if (purpose == Purpose::kCover) return TakeForCover(std::move(cards), now_s);
  const std::uint32_t places = rules_.links_max + (purpose == Purpose::kFresh ? 1 : 0);
  for (const Card& card : cards) {
    if (places_taken() >= places || card.links >= rules_.links_max) continue;
    if (purpose == Purpose::kForeign ? !Foreign(card.mask) : (card.mask & self_.mask) == 0) continue;
    if (purpose == Purpose::kForeign) {
      foreign_pause_s_ = kForeignPauseSeconds;
      next_foreign_s_ = now_s + foreign_pause_s_;
    }
    return OfferTo(card, purpose, /*urgent=*/false, now_s);
  }
}

// Offers to the candidates one by one, the one that covers most of the need first, as long as there is a need.
void TabLinks::TakeForCover(std::vector<Card> cards, double now_s) {
  while (!cards.empty()) {
    const ShardMask need = this->need();
    if (need == 0 && places_taken() >= rules_.links_min) return;
    const auto best = std::max_element(cards.begin(), cards.end(), [&](const Card& a, const Card& b) {
      return ShardCount(a.mask & need) < ShardCount(b.mask & need);
    });
    if (need != 0 && (best->mask & need) == 0) return;
    const bool urgent = (best->mask & self_.mask & ~CoverOf(/*attempts=*/true).AtLeast(1)) != 0;
    // Another link gives way once the offer is accepted.
    if (places_taken() > rules_.links_max) return;
    if (places_taken() == rules_.links_max && !(urgent && LeastMissedLink(rules_.cover_kept) != nullptr)) return;
    OfferTo(*best, Purpose::kCover, urgent, now_s);
    cards.erase(best);
  }
}

void TabLinks::OfferTo(const Card& card, Purpose purpose, bool urgent, double now_s) {
  if (to_hub_.Take(now_s) > 0) return;
  if (purpose == Purpose::kCover) round_found_ = true;
  Attempt& attempt = Begin(purpose, now_s);
  attempt.tab = card.tab;
  attempt.mask = card.mask;
  attempt.micro_nodes = card.micro_nodes;
  actions_.push_back(Offer{card.tab, OwnCard(), attempt.number, urgent, {}});
}

TabLinks::Attempt& TabLinks::Begin(Purpose purpose, double now_s) {
  if (++attempts_begun_ == 0) ++attempts_begun_;  // 0 stands for the far end's attempts
  Attempt attempt;
  attempt.number = attempts_begun_;
  attempt.deadline_s = now_s + kAttemptSeconds;
  attempt.purpose = purpose;
  attempts_.push_back(attempt);
  return attempts_.back();
}

// Decides on an offer; with kNone the place is taken.
Reason TabLinks::Judge(const Card& from, bool urgent, double now_s) {
  if (from.tab == self_.tab || from.tab == TabId{}) return Reason::kSelf;
  if (!ClaimOk(from)) return Reason::kClaim;
  if (IsBanned(from.tab)) return Reason::kBanned;
  if (offers_.Take(now_s) > 0) return Reason::kTooFast;
  if (Find(from.tab) != nullptr) return Reason::kLinked;
  const auto own =
      std::find_if(attempts_.begin(), attempts_.end(), [&](const Attempt& a) { return a.tab == from.tab; });
  if (own != attempts_.end()) {
    // Both offered: the one of the smaller session stands.
    if (own->number == 0 || own->accepted) return Reason::kLinked;
    if (self_.tab < from.tab) return Reason::kCrossing;
    GiveUp(own->number, own->tab, Reason::kCrossing);
  }
  if (places_taken() >= rules_.links_max) {
    const Link* least = urgent ? LeastMissedLink(rules_.cover_kept_for_others) : nullptr;
    if (least == nullptr || places_taken() > rules_.links_max) return Reason::kFull;
    if (evictions_.Take(now_s) > 0) return Reason::kFull;
    DropLink(least->tab, Reason::kRedundant);
  }
  Attempt attempt;
  attempt.tab = from.tab;
  attempt.mask = from.mask;
  attempt.micro_nodes = from.micro_nodes;
  attempt.deadline_s = now_s + kAttemptSeconds;
  attempt.accepted = true;
  attempts_.push_back(attempt);
  return Reason::kNone;
}

void TabLinks::Offered(Offer offer, double now_s) {
  Reason reason = offer.description.size() > kDescriptionBytesMax ? Reason::kTooLarge : Reason::kNone;
  if (offer.to != self_.tab) reason = Reason::kUnknown;
  if (reason == Reason::kNone) reason = Judge(offer.from, offer.urgent, now_s);
  Answer answer{offer.from.tab, OwnCard(), offer.attempt, reason, {}};
  if (reason == Reason::kNone) {
    actions_.push_back(AcceptOffer{std::move(answer), std::move(offer.description)});
    return;
  }
  Refuse(reason);
  // Whoever floods, or is no tab, gets no answer.
  if (reason != Reason::kTooFast && reason != Reason::kSelf && reason != Reason::kUnknown) {
    actions_.push_back(std::move(answer));
  }
}

void TabLinks::Answered(Answer answer, double now_s) {
  const Attempt* attempt = FindAttempt(answer.attempt);
  if (attempt == nullptr || attempt->tab != answer.from.tab || attempt->accepted) return Refuse(Reason::kUnasked);
  if (answer.reason != Reason::kNone) return GiveUp(answer.attempt, answer.from.tab, answer.reason);
  Accepted(answer.attempt, answer.from, std::move(answer.description));
}

// The far end of an own attempt accepted.
void TabLinks::Accepted(std::uint32_t number, const Card& from, std::string description) {
  Attempt* attempt = FindAttempt(number);
  if (!ClaimOk(from)) return GiveUp(number, attempt->tab, Reason::kClaim);
  if (description.size() > kDescriptionBytesMax) return GiveUp(number, attempt->tab, Reason::kTooLarge);
  attempt->tab = from.tab;
  attempt->mask = from.mask;
  attempt->micro_nodes = from.micro_nodes;
  attempt->accepted = true;
  actions_.push_back(Connect{from.tab, number, std::move(description)});
  // A fresh link opens before another one goes; an urgent one goes into the place of the one that is least missed.
  if (attempt->purpose == Purpose::kFresh || places_taken() <= rules_.links_max) return;
  if (const Link* least = LeastMissedLink(rules_.cover_kept)) {
    DropLink(least->tab, Reason::kRedundant);
  } else {
    GiveUp(number, from.tab, Reason::kFull);
  }
}

void TabLinks::Opened(const TabId& tab, double now_s) {
  const auto attempt =
      std::find_if(attempts_.begin(), attempts_.end(), [&](const Attempt& a) { return a.accepted && a.tab == tab; });
  if (attempt == attempts_.end()) {
    // Too late: the deadline has passed.
    if (Find(tab) == nullptr) actions_.push_back(Drop{tab, 0, Reason::kTimeout});
    return;
  }
  const bool fresh = attempt->purpose == Purpose::kFresh;
  Link link;
  link.tab = tab;
  link.mask = attempt->mask;
  link.micro_nodes = attempt->micro_nodes;
  link.shares_s = link.heard_s = link.rows_s = now_s;
  links_.push_back(link);
  attempts_.erase(attempt);
  actions_.push_back(ToTab<Ping>{tab, {OwnCard(), served_, CoverOf(/*attempts=*/false)}});
  if (fresh) Replace(tab);
}

// Drops a random link whose shards are covered without it. The far end's cover does not count here: hostile ends would
// say that they need their link.
void TabLinks::Replace(const TabId& fresh) {
  const Cover own = CoverOf(/*attempts=*/false);
  std::vector<TabId> spare;
  for (const Link& link : links_) {
    if (link.tab != fresh && own.Least(self_.mask & link.mask) > rules_.cover) spare.push_back(link.tab);
  }
  if (!spare.empty() && links_.size() > rules_.links_min) {
    DropLink(spare[draws_.Below(spare.size())], Reason::kReplaced);
  } else if (places_taken() > rules_.links_max) {
    DropLink(fresh, Reason::kUnneeded);
  }
}

void TabLinks::Failed(const TabId& tab, std::uint32_t attempt) {
  if (Link* link = Find(tab); link != nullptr && attempt == 0) return DropLink(link->tab, Reason::kFailed);
  GiveUp(attempt, tab, Reason::kFailed);
}

void TabLinks::Extend(const TabId& tab, double deadline_s) {
  for (Attempt& attempt : attempts_) {
    if (attempt.accepted && attempt.tab == tab) attempt.deadline_s = std::max(attempt.deadline_s, deadline_s);
  }
}

void TabLinks::Ban(const TabId& tab) {
  if (IsBanned(tab)) return;
  banned_.push_back(tab);
  if (banned_.size() > kBannedMax) banned_.pop_front();
}

void TabLinks::Closed(const TabId& tab) {
  std::erase_if(links_, [&](const Link& link) { return link.tab == tab; });
  std::erase_if(attempts_, [&](const Attempt& attempt) { return attempt.accepted && attempt.tab == tab; });
}

void TabLinks::Pinged(const TabId& from, const Ping& ping, double now_s) {
  Link* link = Find(from);
  if (link == nullptr) return Refuse(Reason::kUnknown);
  link->heard_s = now_s;
  if (ping.card.tab != from || !ClaimOk(ping.card)) {
    Refuse(Reason::kClaim);
    return DropLink(from, Reason::kClaim);
  }
  link->mask = ping.card.mask;
  link->micro_nodes = ping.card.micro_nodes;
  link->cover = ping.cover;
  if (ping.served) link->cover.Add(AllShards(rules_.shards));
  link->told = true;
}

void TabLinks::Heard(const TabId& from, double now_s) {
  if (Link* link = Find(from)) link->heard_s = now_s;
}

void TabLinks::HeardRows(const TabId& from, double now_s) {
  if (Link* link = Find(from)) link->heard_s = link->rows_s = now_s;
}

// Asks a linked tab to hold a shard that has too few holders, where the linked holders see too few as well.
void TabLinks::RequestAdoption() {
  if (!ready_) return;
  const std::uint32_t room = hub_ ? rules_.adopted_max_with_hub : rules_.adopted_max;
  Cover holders;
  holders.Add(self_.mask);
  for (const Link& link : links_) holders.Add(link.mask);
  const ShardMask few = self_.mask & ~holders.AtLeast(rules_.holders_min);
  for (std::uint32_t s = 0; s < rules_.shards; ++s) {
    if ((few >> s & 1) == 0 || draws_.Unit() >= kAdoptionChance) continue;
    std::vector<TabId> may;
    bool few_everywhere = true;
    for (const Link& link : links_) {
      if ((link.mask >> s & 1) != 0) {
        few_everywhere = few_everywhere && link.told && link.cover.Of(s) + 1 < rules_.holders_min;
      } else if (ShardCount(link.mask) < ClaimMax(link.micro_nodes, room)) {
        may.push_back(link.tab);
      }
    }
    if (!few_everywhere || may.empty()) continue;
    actions_.push_back(ToTab<AdoptRequest>{may[draws_.Below(may.size())], {s}});
  }
}

void TabLinks::AskedToAdopt(const TabId& from, const AdoptRequest& request, double now_s) {
  Link* link = Find(from);
  if (link == nullptr) return Refuse(Reason::kUnknown);
  link->heard_s = now_s;
  const std::uint32_t s = request.shard;
  if (s >= rules_.shards || (link->mask >> s & 1) == 0) return Refuse(Reason::kClaim);
  if ((self_.mask >> s & 1) != 0) return;
  if (adoptions_.Take(now_s) > 0) return Refuse(Reason::kTooFast);
  const std::uint32_t room = hub_ ? rules_.adopted_max_with_hub : rules_.adopted_max;
  // More holders among the own links than whoever asks says there are.
  const bool enough = CoverOf(/*attempts=*/false).Of(s) >= rules_.holders_min + (served_ ? 1 : 0);
  if (enough || ShardCount(adopted()) >= room) return Refuse(Reason::kFull);
  self_.mask |= MaskOfShard(s);
  actions_.push_back(Adopt{s});
  SayPings(now_s);
  AnnounceAgain(now_s);
}

}  // namespace lvs::tab
