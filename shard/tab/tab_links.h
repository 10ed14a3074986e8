// The links of one browser tab: whom it asks, whom it accepts and whom it drops, so that each of its shards is covered
// by enough links to other holders. Servers are not needed for that: with a hub the tab asks the hub for candidates, and
// in between, or without a hub, it sends walks over its links.
//
//   TabLinks links(RulesFor(shards), {.tab = session, .mask = mask, .micro_nodes = 3}, seed);
//   links.HubUp(now_s);
//   links.Tick(now_s);                           // once a second, when the tab's timer allows
//   links.Offered(std::move(offer), now_s);      // whatever arrives or happens
//   for (Action& action : links.TakeActions()) ...
//
// Pure: time is passed in, in seconds of any clock; the same seed and events give the same actions. Nothing is stored
// up while a tab sleeps: a tick that comes late does the work of one. Bounded: links and attempts by `links_max`,
// messages by budgets; what was refused is counted by reason.
//
// The carrier behind it opens a connection for each Offer and Walk that starts here, writes its description into the
// message, and reports Opened or Failed. It closes what Drop names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <variant>
#include <vector>

#include "services/base/token_bucket.h"
#include "shard/tab/cover.h"
#include "shard/tab/draws.h"
#include "shard/tab/messages.h"
#include "shard/tab/placement.h"

namespace lvs::tab {

struct LinkRules {
  std::uint32_t shards = 16;
  std::uint32_t links_max = 8;
  std::uint32_t links_min = 4;              // fewer: looks for more, even if all shards are covered
  std::uint32_t cover = 3;                  // links that shall lead to each own shard
  std::uint32_t cover_kept = 1;             // that a link leaves to each of its shards, which gives way to an own need
  std::uint32_t cover_kept_for_others = 2;  // or to an urgent offer
  std::uint32_t foreign = 2;                // links that shall lead to tabs with other shards: they can adopt
  std::uint32_t holders_min = 3;            // fewer holders: a shard is offered for adoption
  std::uint32_t adopted_max = kAdoptedMax;  // without a hub
  std::uint32_t adopted_max_with_hub = 8;
  double replace_s = 60;  // a random link gives way to a fresh one; 0: never
};
LinkRules RulesFor(std::uint32_t shards);

inline constexpr double kAttemptSeconds = 5;
inline constexpr double kSilenceSeconds = 15;
inline constexpr double kPingSeconds = 5;
inline constexpr double kSearchAgainSeconds = 3;
inline constexpr double kSearchPauseSeconds = 10;  // doubles, up to kSearchPauseSecondsMax
inline constexpr double kSearchPauseSecondsMax = 60;
inline constexpr double kForeignPauseSeconds = 5;  // doubles likewise
// A link is judged by its rows once both ends have held some shard for so long: one that adopts needs time.
inline constexpr double kRowsAfterSharingSeconds = 15;
// Rows are told again every 12 s at the latest, and a hidden tab is slower. Two in turn may be lost.
inline constexpr double kRowsSeconds = 30;
inline constexpr std::size_t kBannedMax = 64;  // the oldest is forgotten

// Sent to the tab at the far end of an open link.
template <class Message>
struct ToTab {
  TabId to;
  Message message;
};
// A connection that was offered is accepted: `offered` is the far end's description.
struct AcceptOffer {
  Answer answer;  // to the hub
  std::string offered;
};
struct AcceptWalk {
  ToTab<WalkReply> reply;
  std::string offered;
};
// The far end accepted the attempt: its description completes the connection.
struct Connect {
  TabId tab;
  std::uint32_t attempt = 0;
  std::string answered;
};
// Closes a link, or gives an attempt up. Where a link is open, the far end is told the reason.
struct Drop {
  TabId tab;                  // {}: a walk that nobody answered
  std::uint32_t attempt = 0;  // 0: a link, or an attempt that the far end began
  Reason reason = Reason::kNone;
};
// From now on the tab holds the shard: it starts a replica as a joiner does.
struct Adopt {
  std::uint32_t shard = 0;
};

// Announce, Need, Offer, Answer and AcceptOffer go to the hub.
using Action = std::variant<Announce, Need, Offer, Answer, AcceptOffer, ToTab<Walk>, ToTab<WalkReply>, AcceptWalk,
                            ToTab<Ping>, ToTab<AdoptRequest>, Connect, Drop, Adopt>;

class TabLinks {
 public:
  struct Self {
    TabId tab;
    ShardMask mask = 0;
    std::uint32_t micro_nodes = 1;
  };
  struct Link {
    TabId tab;
    ShardMask mask = 0;
    std::uint32_t micro_nodes = 1;
    double shares_s = 0;  // since when both ends hold some shard
    double heard_s = 0;
    double rows_s = 0;
    Cover cover;  // the far end's, as it told last
    bool told = false;
  };

  TabLinks(const LinkRules& rules, const Self& self, std::uint64_t seed);

  void Tick(double now_s);
  std::vector<Action> TakeActions();

  // ---- The tab and its servers
  void HubUp(double now_s);
  void HubDown() { hub_ = false; }
  void Served(bool served) { served_ = served; }  // a place at a server
  void Ready() { ready_ = true; }                 // the tab has the ledgers of its shards
  // The shards of the tab have changed, `adopted` ones among them, or its micro-nodes.
  void Hold(ShardMask mask, ShardMask adopted, std::uint32_t micro_nodes, double now_s);
  void AnnounceAgain(double now_s);
  // The tab slept until now, and cannot judge who was silent meanwhile.
  void Slept(double now_s);
  void Leave(Reason reason = Reason::kGoodbye);  // drops all links and attempts

  // ---- What the hub says
  void Sampled(const Sample& sample, double now_s);
  void Offered(Offer offer, double now_s);
  void Answered(Answer answer, double now_s);

  // ---- What the far ends of links say. A message from who is not linked is counted and dropped.
  void Walked(const TabId& from, Walk walk, double now_s);
  void Replied(const TabId& from, WalkReply reply, double now_s);
  void Pinged(const TabId& from, const Ping& ping, double now_s);
  void AskedToAdopt(const TabId& from, const AdoptRequest& request, double now_s);
  void HeardRows(const TabId& from, double now_s);
  void Heard(const TabId& from, double now_s);  // any other message

  // ---- What the carrier reports
  void Opened(const TabId& tab, double now_s);
  void Failed(const TabId& tab, std::uint32_t attempt);  // an attempt, or an open link that broke; {} as in Drop
  void Closed(const TabId& tab);                         // by the far end
  // The carrier of an attempt tries another way, or has opened and waits for a hello.
  void Extend(const TabId& tab, double deadline_s);
  void Ban(const TabId& tab);  // what it said had to be refused

  ShardMask mask() const { return self_.mask; }
  ShardMask adopted() const { return self_.mask & ~own_; }
  const std::vector<Link>& links() const { return links_; }
  std::size_t places_taken() const { return links_.size() + attempts_.size(); }
  ShardMask need() const { return self_.mask & ~CoverOf(/*attempts=*/true).AtLeast(rules_.cover); }
  std::uint64_t refused(Reason reason) const { return refused_[static_cast<std::size_t>(reason)]; }
  std::uint64_t dropped(Reason reason) const { return dropped_[static_cast<std::size_t>(reason)]; }

 private:
  enum class Purpose : std::uint8_t { kCover, kForeign, kFresh };
  struct Attempt {
    std::uint32_t number = 0;  // 0: the far end's
    TabId tab;                 // {} while a walk is under way
    ShardMask mask = 0;
    std::uint32_t micro_nodes = 1;
    double deadline_s = 0;
    Purpose purpose = Purpose::kCover;
    bool accepted = false;
  };

  // tab_links.cc
  Cover CoverOf(bool attempts) const;
  bool KnowsTab(const TabId& tab) const;
  bool IsBanned(const TabId& tab) const;
  Link* Find(const TabId& tab);
  Attempt* FindAttempt(std::uint32_t number);
  Card OwnCard() const;
  std::vector<TabId> Linked() const;
  void Refuse(Reason reason) { ++refused_[static_cast<std::size_t>(reason)]; }
  void DropLink(TabId tab, Reason reason);
  void GiveUp(std::uint32_t number, const TabId& tab, Reason reason);
  const Link* LeastMissedLink(std::uint32_t covered) const;
  void Expire(double now_s);
  void SayPings(double now_s);
  void Ask(Purpose purpose, ShardMask mask, double now_s);
  void Search(double now_s);
  void SearchForeign(double now_s);
  void SearchFresh(double now_s);
  void TakeForCover(std::vector<Card> cards, double now_s);
  void OfferTo(const Card& card, Purpose purpose, bool urgent, double now_s);
  Reason Judge(const Card& from, bool urgent, double now_s);
  void RequestAdoption();
  void Replace(const TabId& fresh);
  Attempt& Begin(Purpose purpose, double now_s);
  void Accepted(std::uint32_t number, const Card& from, std::string description);
  bool ClaimOk(const Card& card) const { return ClaimFits(card.mask, card.micro_nodes, rules_.shards); }
  bool Foreign(ShardMask mask) const { return (mask & ~self_.mask) != 0; }

  // tab_walks.cc
  void StartWalk(Purpose purpose, ShardMask want, bool urgent, bool roam, double now_s);
  const Link* NextHop(const TabId& from, const TabId& origin, ShardMask want, bool roam);
  void ReplyTo(Walk walk, Reason reason);

  LinkRules rules_;
  Self self_;
  ShardMask own_;  // without adopted shards
  Draws draws_;
  bool hub_ = false;
  bool served_ = false;
  bool ready_ = false;
  std::vector<Link> links_;
  std::vector<Attempt> attempts_;
  std::deque<TabId> banned_;
  std::uint32_t attempts_begun_ = 0;
  std::uint32_t questions_ = 0;
  std::array<std::uint32_t, 3> asked_{};  // the number of the last question of each purpose; 0: answered
  // The search: a round is a question or up to three walks.
  double next_search_s_ = 0;
  double round_began_s_ = 0;
  double search_pause_s_ = kSearchPauseSeconds;
  std::uint32_t rounds_ = 0;
  bool round_open_ = false;
  bool round_found_ = false;
  bool search_in_vain_ = false;
  ShardMask uncovered_ = 0;  // by the last search
  double next_foreign_s_ = 0;
  double foreign_pause_s_ = kForeignPauseSeconds;
  double next_fresh_s_ = 0;
  double next_ping_s_ = 0;
  services::TokenBucket to_hub_;
  services::TokenBucket offers_;  // that others make
  services::TokenBucket evictions_;
  services::TokenBucket walks_;  // of others, and their replies
  services::TokenBucket adoptions_;
  std::vector<Action> actions_;
  std::array<std::uint64_t, static_cast<std::size_t>(Reason::kCount)> refused_{};
  std::array<std::uint64_t, static_cast<std::size_t>(Reason::kCount)> dropped_{};
};

}  // namespace lvs::tab
