// Signalling between tabs (TEST-3.2, TEST-4.1): what a hub does with the messages of its tabs, and of other hubs. It lists
// tabs, answers who holds which shards, and passes offers, answers and relayed messages on.
//
//   Signalling signalling(options);
//   const tab::Reason reason = signalling.Take(session, std::move(message), now_s);  // of a tab; `session` is its socket's
//   signalling.Left(session);
//   signalling.HubUp(hub, now_s);
//   signalling.TakeFromHub(hub, message, now_s);
//   signalling.TellHubs();                                                            // every cycle
//   for (Signalling::Letter& letter : signalling.TakeLetters()) ...                   // deliver in this order
//
// A sender is who its socket says it is: what a message claims is overwritten, and counted where it differs. Whoever
// sends what is not taken is told why, and a refused offer is answered, so that nobody waits for it.
//
// **Other hubs** are told which tabs this one has, a batch a cycle; where a message of a tab goes to a hub that has not
// been told of the tab yet, its card goes first. A tab that has a socket here is of this hub, whatever others say; of two
// other hubs the one that told last is believed. What a lost message leaves behind mends itself: a hub that gets an offer
// for a tab that it has not, or from one that it does not know, answers so, and the asking hub forgets or tells again.
//
// **Relay**: tabs that cannot connect send their messages through their hubs, within a budget of bytes, of each tab and
// of all. A tab is relayed to freely only by tabs that it has accepted an offer of, or has answered; others may try a
// little, because two tabs may have met by a walk.
//
// Bounds: the directory's (shard/tab/hub_directory.h), kRelayPartnersMax a tab, kHubMessages between two hubs, and the
// tabs that a hub has still to be told of. Pure: time is passed in. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "lvs/v1/peer.pb.h"
#include "services/base/token_bucket.h"
#include "shard/tab/hub_directory.h"
#include "shard/tab/peer_message.h"

namespace lvs::services {

// Offers and answers from one hub to another, and as many relayed messages: a part of what the stream between two server
// nodes carries, so that a flood of tabs does not delay its frames.
inline constexpr TokenRate kHubMessages = {.per_second = 256, .burst = 512};
// Messages of all kinds that one hub takes from another: all that an honest one says, twice.
inline constexpr TokenRate kHubMessagesTaken = {.per_second = 1024, .burst = 2048};
inline constexpr std::size_t kHubNewsMax = 256;  // tabs in one HubNews
inline constexpr std::size_t kRelayPartnersMax = 32;
// Relayed messages from tabs that the receiver has not dealt with before.
inline constexpr TokenRate kRelayStrangers = {.per_second = 1, .burst = 8};
// The seconds' worth of bytes that may be relayed at once.
inline constexpr double kRelayBurstSeconds = 4;

// Bytes a second; 0: nothing is relayed.
struct RelayBudget {
  double all = 1 << 20;
  double tab = 16 << 10;
};

class Signalling {
 public:
  struct Options {
    tab::HubRules rules;
    RelayBudget relay;
    std::uint64_t seed = 0;
  };
  // A message to a tab of this hub, or to another hub.
  struct Letter {
    tab::HubId hub = tab::kThisHub;
    tab::TabId to;  // of this hub
    v1::PeerMessage message;
  };
  // Counts since the start.
  struct Counts {
    std::uint64_t announces = 0;  // that were taken, as all that follow
    std::uint64_t samples = 0;
    std::uint64_t offers = 0;
    std::uint64_t answers = 0;
    std::uint64_t relays = 0;
    std::uint64_t relayed_bytes = 0;
    std::uint64_t from_hubs = 0;       // messages
    std::uint64_t forged = 0;          // messages in another tab's name, which were taken in the sender's own
    std::uint64_t relay_over_tab = 0;  // relays refused: the budget of the tab
    std::uint64_t relay_over_all = 0;  // ... of all tabs
    std::uint64_t hub_over = 0;        // messages refused: the budget between two hubs
    std::uint64_t hub_unexpected = 0;  // messages of hubs of no kind that hubs send
  };

  explicit Signalling(const Options& options);

  // Takes an announcement, need, offer, answer or relay of a tab of this hub. kNone: it was taken.
  tab::Reason Take(const tab::TabId& from, tab::PeerMessage message, double now_s);
  void Left(const tab::TabId& tab);

  // ---- Other hubs. hub != kThisHub.
  void HubUp(tab::HubId hub, double now_s);
  void HubDown(tab::HubId hub);
  tab::Reason TakeFromHub(tab::HubId hub, const v1::PeerMessage& message, double now_s);
  // Tells each hub about at most kHubNewsMax tabs.
  void TellHubs();

  std::vector<Letter> TakeLetters() { return std::exchange(letters_, {}); }

  const tab::HubDirectory& directory() const { return directory_; }
  std::size_t hubs() const { return hubs_.size(); }
  const Counts& counts() const { return counts_; }
  std::uint64_t refused(tab::Reason reason) const {
    return directory_.refused(reason) + refused_[static_cast<std::size_t>(reason)];
  }

 private:
  // A tab of this hub that has announced itself.
  struct Own {
    TokenBucket relay;                 // bytes
    TokenBucket strangers;             // relayed messages of tabs that are no partners
    std::vector<tab::TabId> partners;  // the newest last
    double told_s = -1;                // when it was told last that a relayed message was refused
  };
  struct Hub {
    std::set<tab::TabId> untold;  // tabs that came, changed or left since
    bool tell_all = true;         // the next news begins anew
    TokenBucket to;               // offers and answers
    TokenBucket relays_to;        // counted apart, so that no relay keeps tabs from finding each other
    TokenBucket from;
  };

  // signalling.cc
  tab::Reason TakeAnnounce(const tab::TabId& from, tab::Announce announce, double now_s);
  tab::Reason TakeNeed(const tab::TabId& from, const tab::Need& need, double now_s);
  tab::Reason TakeOffer(tab::HubId via, const tab::TabId& from, tab::Offer offer, double now_s);
  tab::Reason TakeAnswer(tab::HubId via, const tab::TabId& from, tab::Answer answer, double now_s);
  tab::Reason TakeRelay(tab::HubId via, const tab::TabId& from, tab::Relay relay, double now_s);
  tab::Reason MayRelay(tab::HubId via, const tab::Relay& relay, double now_s, tab::HubId* home);
  void RefuseRelay(const tab::TabId& to, tab::Reason reason, double now_s);
  void SetSender(const tab::TabId& from, tab::Card* card);
  tab::Card CardOf(const tab::TabId& tab) const;
  void AddPartner(const tab::TabId& tab, const tab::TabId& partner);
  tab::Reason Count(tab::Reason reason);
  void Refuse(const tab::TabId& to, std::uint32_t kind, std::uint32_t number, tab::Reason reason);
  void Post(tab::HubId hub, const tab::TabId& to, const tab::PeerMessage& message);

  // signalling_hubs.cc
  bool MayPassTo(tab::HubId hub, double now_s, bool relay = false);
  void Pass(tab::HubId home, const tab::TabId& from, const tab::TabId& to, const tab::PeerMessage& message);
  tab::Reason TakeNews(tab::HubId hub, const v1::HubNews& news, double now_s);
  void Changed(const tab::TabId& tab);
  void Tell(Hub* hub, const tab::TabId& tab, v1::HubNews* news);

  const Options options_;
  tab::HubDirectory directory_;
  std::map<tab::TabId, Own> own_;
  std::map<tab::HubId, Hub> hubs_;
  TokenBucket relay_;  // bytes
  std::vector<Letter> letters_;
  Counts counts_;
  std::array<std::uint64_t, static_cast<std::size_t>(tab::Reason::kCount)> refused_{};  // beside the directory's
};

}  // namespace lvs::services
