// What a hub knows of its tabs, and what it answers. The hub introduces tabs to each other and passes their offers on; a
// tab whose shards are covered says nothing to it. It knows a tab's session, mask, micro-nodes and number of links, and
// forgets them with the socket.
//
//   HubDirectory directory({.shards = 64, .links_max = 12}, seed);
//   const GroupMask groups = directory.Advise(micro_nodes);        // for a joiner, before it announces itself
//   Welcome welcome = directory.Announced(announce, now_s);
//   Sample sample;
//   Reason reason = directory.Asked(tab, need, now_s, &sample);    // kNone: send the sample
//   HubId home;
//   reason = directory.MayPass(kThisHub, tab, offer, now_s, &home);// kNone: pass it on to `home`, or to the tab itself
//   directory.Forget(tab);                                         // its socket has closed
//
// Other hubs tell of their tabs (Learn), so that a sample may name a tab of another hub. Bounds: tabs_max and
// remote_max tabs, a message budget a tab, an inbox of unanswered offers a tab. Refused messages are counted by reason.
// Pure: time is passed in. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "services/base/token_bucket.h"
#include "shard/tab/draws.h"
#include "shard/tab/messages.h"
#include "shard/tab/placement.h"

namespace lvs::tab {

using HubId = std::uint32_t;
inline constexpr HubId kThisHub = 0;

inline constexpr services::TokenRate kTabBudget = {.per_second = 0.5, .burst = 30};
inline constexpr services::TokenRate kTabInbox = {.per_second = 1, .burst = 40};  // offers that are passed on to a tab
inline constexpr std::size_t kUnansweredMax = 16;
inline constexpr double kAnswerSeconds = 10;

struct HubRules {
  std::uint32_t shards = 16;
  std::uint32_t links_max = 8;      // a tab with fewer has places
  std::size_t tabs_max = 10'000;    // of this hub
  std::size_t remote_max = 50'000;  // of all other hubs
};

class HubDirectory {
 public:
  HubDirectory(const HubRules& rules, std::uint64_t seed) : rules_(rules), draws_(seed) {}
  HubDirectory(const HubDirectory&) = delete;  // holders_ points into tabs_
  HubDirectory& operator=(const HubDirectory&) = delete;

  // The groups that a joiner of so many micro-nodes should hold; the rest is its own choice. Welcome says the same to
  // whoever announces itself for the first time: it may choose again, and announce that.
  GroupMask Advise(std::uint32_t micro_nodes);

  // A tab of this hub joins or changes its mask. The caller has checked that the socket owns the session.
  Welcome Announced(const Announce& announce, double now_s);
  Reason Asked(const TabId& from, const Need& need, double now_s, Sample* sample);
  // Whether a message of `from` may be passed on, and to which hub. `via`: the hub that it came from.
  Reason MayPass(HubId via, const TabId& from, const Offer& offer, double now_s, HubId* home);
  Reason MayPass(HubId via, const TabId& from, const Answer& answer, double now_s, HubId* home);
  // Nothing is remembered of a tab that has gone.
  void Forget(const TabId& tab) { Remove(kThisHub, tab); }

  // ---- Other hubs. hub != kThisHub.
  Reason Learn(HubId hub, const Card& card, double now_s);
  void Forget(HubId hub, const TabId& tab) { Remove(hub, tab); }
  void ForgetHub(HubId hub);

  const Card* Find(const TabId& tab) const;
  // The hub of a tab; empty where the tab is not known.
  std::optional<HubId> HomeOf(const TabId& tab) const;
  std::size_t tabs() const { return tabs_.size() - remote_; }
  std::size_t remote() const { return remote_; }
  std::size_t holders(std::uint32_t shard) const { return holders_[shard].size(); }
  std::uint64_t refused(Reason reason) const { return refused_[static_cast<std::size_t>(reason)]; }
  std::uint64_t taken() const { return taken_; }  // messages

 private:
  struct Unanswered {
    TabId from;
    std::uint32_t attempt = 0;
    double until_s = 0;
  };
  struct Entry {
    Entry(const Card& c, HubId h, double now_s)
        : card(c), home(h), budget(kTabBudget, now_s), inbox(kTabInbox, now_s) {}
    Card card;
    HubId home;
    services::TokenBucket budget;
    services::TokenBucket inbox;
    std::vector<Unanswered> unanswered;
    std::array<std::uint32_t, kShardsMax> at{};  // its position among the holders of a shard
  };

  Reason Count(Reason reason);
  Reason Put(HubId hub, const Card& card, double now_s);
  void Remove(HubId hub, const TabId& tab);
  void Enlist(Entry* entry, ShardMask mask);
  Entry* Of(HubId via, const TabId& tab);
  const Entry* PickHolder(std::uint32_t shard, const TabId& asker, const Need& need, const std::vector<Card>& cards);

  HubRules rules_;
  Draws draws_;
  std::map<TabId, Entry> tabs_;
  std::array<std::vector<Entry*>, kShardsMax> holders_;
  std::size_t remote_ = 0;
  std::array<std::uint64_t, static_cast<std::size_t>(Reason::kCount)> refused_{};
  std::uint64_t taken_ = 0;
};

}  // namespace lvs::tab
