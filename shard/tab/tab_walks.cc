// Walks: offers that find a holder of a shard without a hub. A walk goes from link to link, preferring links that lead to
// holders. The path is in the message, so that nobody on the way keeps anything.
#include <algorithm>
#include <utility>

#include "shard/tab/tab_links.h"

namespace lvs::tab {

void TabLinks::StartWalk(Purpose purpose, ShardMask want, bool urgent, bool roam, double now_s) {
  const Link* next = NextHop({}, {}, want, roam);
  if (next == nullptr) return;
  Walk walk{OwnCard(), 0, want, roam, urgent, {self_.tab}, {}};
  const TabId to = next->tab;
  Attempt& attempt = Begin(purpose, now_s);
  // What the far end will hold at least; of one that may hold anything nobody can tell.
  attempt.mask = purpose == Purpose::kForeign ? 0 : want;
  walk.attempt = attempt.number;
  actions_.push_back(ToTab<Walk>{to, std::move(walk)});
}

// A random link that leads on, to a holder if there is one; neither straight back nor to the origin.
const TabLinks::Link* TabLinks::NextHop(const TabId& from, const TabId& origin, ShardMask want, bool roam) {
  std::vector<const Link*> holders, any;
  for (const Link& link : links_) {
    if (link.tab == from || link.tab == origin) continue;
    any.push_back(&link);
    if ((link.mask & want) != 0) holders.push_back(&link);
  }
  const auto& choice = roam || holders.empty() ? any : holders;
  return choice.empty() ? nullptr : choice[draws_.Below(choice.size())];
}

void TabLinks::Walked(const TabId& from, Walk walk, double now_s) {
  Link* link = Find(from);
  if (link == nullptr) return Refuse(Reason::kUnknown);
  link->heard_s = now_s;
  if (walk.path.empty() || walk.path.size() > kWalkStepsMax || walk.path.back() != from ||
      walk.path.front() != walk.from.tab || walk.description.size() > kDescriptionBytesMax) {
    return Refuse(Reason::kTooLarge);
  }
  if (!ClaimOk(walk.from)) return Refuse(Reason::kClaim);
  if (walks_.Take(now_s) > 0) return Refuse(Reason::kTooFast);

  const std::size_t steps = walk.path.size();
  const TabId origin = walk.from.tab;
  const bool may_answer = (self_.mask & walk.want) != 0 && origin != self_.tab && !KnowsTab(origin);
  if (may_answer && steps >= kWalkSteps && places_taken() < rules_.links_max) {
    const Reason reason = Judge(walk.from, walk.urgent, now_s);
    return ReplyTo(std::move(walk), reason);
  }
  const bool roams = walk.roam && steps < kRoamSteps;
  const Link* next = steps < kWalkStepsMax ? NextHop(from, origin, walk.want, roams) : nullptr;
  if (next == nullptr) {
    const Reason reason = may_answer ? Judge(walk.from, walk.urgent, now_s) : Reason::kNobody;
    return ReplyTo(std::move(walk), reason);
  }
  walk.path.push_back(self_.tab);
  actions_.push_back(ToTab<Walk>{next->tab, std::move(walk)});
}

void TabLinks::ReplyTo(Walk walk, Reason reason) {
  const TabId to = walk.path.back();
  walk.path.pop_back();
  ToTab<WalkReply> reply{to, {OwnCard(), walk.attempt, reason, std::move(walk.path), {}}};
  if (reason == Reason::kNone) {
    actions_.push_back(AcceptWalk{std::move(reply), std::move(walk.description)});
  } else {
    actions_.push_back(std::move(reply));
  }
}

void TabLinks::Replied(const TabId& from, WalkReply reply, double now_s) {
  Link* link = Find(from);
  if (link == nullptr) return Refuse(Reason::kUnknown);
  link->heard_s = now_s;
  if (reply.path.size() > kWalkStepsMax || reply.description.size() > kDescriptionBytesMax) {
    return Refuse(Reason::kTooLarge);
  }
  if (!reply.path.empty()) {
    if (walks_.Take(now_s) > 0) return Refuse(Reason::kTooFast);
    const TabId to = reply.path.back();
    // The link that the walk came over may have closed meanwhile; then the origin's deadline ends the attempt.
    if (Find(to) == nullptr) return Refuse(Reason::kNobody);
    reply.path.pop_back();
    actions_.push_back(ToTab<WalkReply>{to, std::move(reply)});
    return;
  }
  const Attempt* attempt = FindAttempt(reply.attempt);
  if (attempt == nullptr || attempt->accepted || attempt->tab != TabId{}) return Refuse(Reason::kUnasked);
  if (reply.reason != Reason::kNone) return GiveUp(reply.attempt, {}, reply.reason);
  if (reply.from.tab == self_.tab) return GiveUp(reply.attempt, {}, Reason::kSelf);
  if (IsBanned(reply.from.tab)) return GiveUp(reply.attempt, {}, Reason::kBanned);
  if (KnowsTab(reply.from.tab)) return GiveUp(reply.attempt, {}, Reason::kLinked);
  if (attempt->purpose == Purpose::kCover) round_found_ = true;
  if (attempt->purpose == Purpose::kForeign) {
    foreign_pause_s_ = kForeignPauseSeconds;
    next_foreign_s_ = now_s + foreign_pause_s_;
  }
  Accepted(reply.attempt, reply.from, std::move(reply.description));
}

}  // namespace lvs::tab
