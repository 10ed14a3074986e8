// A tab's connections to other tabs.
#include <algorithm>
#include <type_traits>
#include <utility>

#include "shard/tab/tab.h"

namespace lvs::tab {
namespace {

constexpr double kHelloSeconds = 3;  // for the hello on a connection that has opened

}  // namespace

Tab::Slot* Tab::Of(std::uint32_t link) {
  const auto slot = std::find_if(slots_.begin(), slots_.end(), [link](const Slot& s) { return s.link == link; });
  if (link != 0 && slot != slots_.end()) return &*slot;
  ++traffic_.late_reports;
  return nullptr;
}

Tab::Slot* Tab::OfTab(const TabId& tab) {
  const auto slot = std::find_if(slots_.begin(), slots_.end(),
                                 [&tab](const Slot& s) { return s.phase != Phase::kFree && s.tab == tab; });
  return slot == slots_.end() ? nullptr : &*slot;
}

Tab::Slot* Tab::OfAttempt(std::uint32_t attempt) {
  const auto slot = std::find_if(slots_.begin(), slots_.end(),
                                 [attempt](const Slot& s) { return attempt != 0 && s.attempt == attempt; });
  return slot == slots_.end() ? nullptr : &*slot;
}

Tab::Slot* Tab::Take(const TabId& tab, std::uint32_t attempt, const Now& now) {
  const auto slot = std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.phase == Phase::kFree; });
  if (slot == slots_.end()) return nullptr;
  *slot = {};
  slot->link = ++links_begun_;
  slot->tab = tab;
  slot->attempt = attempt;
  slot->since_s = now.s;
  slot->relay_at_s = now.s + kAttemptSeconds;
  return &*slot;
}

// ---- What the rule decides ----

void Tab::Do(Action action, const Now& now) {
  const auto say_to_tab = [this](const auto& to_tab) {
    if (const Slot* const slot = OfTab(to_tab.to)) node_.Say(NumberOf(*slot), to_tab.message);
  };
  std::visit(
      [&](auto& does) {
        using A = std::remove_cvref_t<decltype(does)>;
        if constexpr (std::is_same_v<A, Announce> || std::is_same_v<A, Need> || std::is_same_v<A, Answer>) {
          node_.Say(config_.node.tab_links, std::move(does));
        } else if constexpr (std::is_same_v<A, Offer>) {
          Begin(does.to, does.attempt, std::move(does), now);
        } else if constexpr (std::is_same_v<A, AcceptOffer>) {
          Accept(does.answer.to, std::move(does.offered), std::move(does.answer), now);
        } else if constexpr (std::is_same_v<A, ToTab<Walk>>) {
          // Others' walks are passed on.
          if (does.message.from.tab != config_.node.session) return say_to_tab(does);
          Begin({}, does.message.attempt, std::move(does), now);
        } else if constexpr (std::is_same_v<A, AcceptWalk>) {
          const TabId origin = does.reply.message.path.empty() ? does.reply.to : does.reply.message.path.front();
          Accept(origin, std::move(does.offered), std::move(does.reply), now);
        } else if constexpr (std::is_same_v<A, Connect>) {
          Connected(does, now);
        } else if constexpr (std::is_same_v<A, Drop>) {
          Dropped(does);
        } else if constexpr (std::is_same_v<A, Adopt>) {
          if (!node_.Adopt(does.shard)) Hold(now);
        } else {
          say_to_tab(does);
        }
      },
      action);
}

void Tab::Begin(const TabId& tab, std::uint32_t attempt, Awaiting awaiting, const Now& now) {
  Slot* const slot = config_.direct || MayRelay(now) ? Take(tab, attempt, now) : nullptr;
  if (slot == nullptr) return links_.Failed(tab, attempt);
  slot->phase = Phase::kOffering;
  slot->awaiting = std::move(awaiting);
  if (!config_.direct) return SayAwaited(slot, "", now);
  slot->carried = true;
  Order(MakeOffer{slot->link});
}

void Tab::Accept(const TabId& tab, std::string offered, Awaiting awaiting, const Now& now) {
  const bool direct = config_.direct && !offered.empty();
  Slot* const slot = direct || MayRelay(now) ? Take(tab, 0, now) : nullptr;
  if (slot == nullptr) {
    Slot refused;
    refused.tab = tab;
    refused.awaiting = std::move(awaiting);
    return RefuseAwaited(&refused);
  }
  slot->phase = Phase::kAnswering;
  slot->awaiting = std::move(awaiting);
  if (!direct) return SayAwaited(slot, "", now);
  slot->carried = true;
  Order(AcceptDescription{slot->link, std::move(offered)});
}

// Sends the offer or answer that waited for its description. An empty one: this side cannot connect, and the hub has to
// relay.
void Tab::SayAwaited(Slot* slot, std::string description, const Now& now) {
  const bool answers = slot->phase == Phase::kAnswering;
  const bool relay = description.empty();
  slot->phase = answers ? Phase::kConnecting : Phase::kOffered;
  std::visit(
      [&](auto& waits) {
        using W = std::remove_cvref_t<decltype(waits)>;
        if constexpr (std::is_same_v<W, Offer> || std::is_same_v<W, Answer>) {
          waits.description = std::move(description);
          node_.Say(config_.node.tab_links, std::move(waits));
        } else if constexpr (!std::is_same_v<W, std::monostate>) {
          waits.message.description = std::move(description);
          if (const Slot* const via = OfTab(waits.to)) node_.Say(NumberOf(*via), waits.message);
        }
      },
      slot->awaiting);
  slot->awaiting = {};
  if (answers && relay && !GoThroughHub(slot, now)) links_.Failed(slot->tab, 0);
}

// Tells the far end that its offer cannot be accepted after all.
void Tab::RefuseAwaited(Slot* slot) {
  std::visit(
      [&](auto& waits) {
        using W = std::remove_cvref_t<decltype(waits)>;
        if constexpr (std::is_same_v<W, Answer>) {
          waits.reason = Reason::kFailed;
          node_.Say(config_.node.tab_links, std::move(waits));
        } else if constexpr (std::is_same_v<W, ToTab<WalkReply>>) {
          waits.message.reason = Reason::kFailed;
          if (const Slot* const via = OfTab(waits.to)) node_.Say(NumberOf(*via), waits.message);
        }
      },
      slot->awaiting);
  slot->awaiting = {};
  links_.Failed(slot->tab, slot->attempt);
}

// The far end has accepted.
void Tab::Connected(const Connect& connect, const Now& now) {
  Slot* const slot = OfAttempt(connect.attempt);
  if (slot == nullptr) return links_.Failed(connect.tab, connect.attempt);
  slot->tab = connect.tab;
  slot->phase = Phase::kConnecting;
  if (slot->carried && !connect.answered.empty()) return Order(ApplyAnswer{slot->link, connect.answered});
  if (!GoThroughHub(slot, now)) links_.Failed(slot->tab, slot->attempt);
}

void Tab::Dropped(const Drop& drop) {
  Slot* const slot = drop.attempt != 0 ? OfAttempt(drop.attempt) : OfTab(drop.tab);
  if (slot == nullptr) return;
  const std::string words(Words(drop.reason));
  if (slot->phase == Phase::kOpen) node_.Say(NumberOf(*slot), Goodbye{words});
  End(slot, words);
}

// What was said to the far end goes out first.
void Tab::End(Slot* slot, std::string words) {
  Pump();
  node_.LinkDown(NumberOf(*slot));
  if (slot->ready) Tell(LinkEnded{slot->link, slot->tab, words});
  if (slot->carried) Order(CloseLink{slot->link, std::move(words)});
  *slot = {};
}

// ---- What the page reports ----

void Tab::Described(std::uint32_t link, std::string description, const Now& now) {
  Slot* const slot = Of(link);
  if (slot == nullptr || (slot->phase != Phase::kOffering && slot->phase != Phase::kAnswering)) return;
  if (description.empty() || description.size() > kDescriptionBytesMax) {
    if (std::exchange(slot->carried, false)) Order(CloseLink{link, "no description of this connection can be sent"});
    return LinkLost(link, now);
  }
  SayAwaited(slot, std::move(description), now);
  Settle(now);
}

void Tab::LinkOpened(std::uint32_t link, const Now& now) {
  Slot* const slot = Of(link);
  if (slot == nullptr || slot->phase != Phase::kConnecting) return;
  slot->phase = Phase::kOpen;
  slot->relay_at_s = std::max(slot->relay_at_s, now.s + kHelloSeconds);
  links_.Extend(slot->tab, slot->relay_at_s);
  node_.LinkUp(NumberOf(*slot), now.cycle);
  Settle(now);
}

void Tab::LinkLost(std::uint32_t link, const Now& now) {
  Slot* const slot = Of(link);
  if (slot == nullptr) return;
  slot->carried = false;
  const bool awaited = slot->phase == Phase::kOffering || slot->phase == Phase::kAnswering;
  if (awaited && MayRelay(now)) {
    SayAwaited(slot, "", now);
  } else if (slot->phase == Phase::kAnswering) {
    RefuseAwaited(slot);
  } else if (slot->relayed || slot->phase == Phase::kOffered) {
    // The pair needs no connection, or may still be relayed once the answer is there.
  } else if (slot->ready) {
    links_.Failed(slot->tab, 0);
  } else if (slot->phase == Phase::kOffering || !GoThroughHub(slot, now)) {
    links_.Failed(slot->tab, slot->attempt);
  }
  Settle(now);
}

void Tab::LinkReceived(std::uint32_t link, std::string_view bytes, const Now& now) {
  const Slot* const slot = Of(link);
  if (slot == nullptr || slot->relayed || slot->phase != Phase::kOpen) return;
  ++traffic_.link_messages_received;
  traffic_.link_bytes_received += bytes.size();
  Wake(now);
  node_.Receive(NumberOf(*slot), bytes, now.cycle);
  Settle(now);
  TickLate(now);
}

void Tab::LinkBlocked(std::uint32_t link, bool blocked) {
  const Slot* const slot = Of(link);
  if (slot != nullptr && !slot->relayed) node_.SetBlocked(NumberOf(*slot), blocked);
}

// ---- The relay ----

bool Tab::MayRelay(const Now& now) const { return hub_state_ == HubState::kWelcome && now.s >= relay_pause_s_; }

bool Tab::GoThroughHub(Slot* slot, const Now& now) {
  if (!MayRelay(now)) return false;
  const std::uint32_t number = NumberOf(*slot);
  Pump();
  node_.LinkDown(number);
  if (std::exchange(slot->carried, false)) {
    Order(CloseLink{slot->link, "the connection did not open in time: the hub relays"});
  }
  slot->relayed = true;
  slot->phase = Phase::kOpen;
  ++traffic_.links_relayed;
  links_.Extend(slot->tab, now.s + kAttemptSeconds);
  node_.LinkUp(number, now.cycle);
  node_.SetBlocked(number, hub_blocked_);
  return true;
}

// Both descriptions are there, and the connection, or its hello, is not. The deadline of the attempt ends those that
// cannot be relayed.
void Tab::RelayLate(const Now& now) {
  for (Slot& slot : slots_) {
    const bool waits = slot.phase == Phase::kConnecting || (slot.phase == Phase::kOpen && !slot.ready);
    if (waits && !slot.relayed && now.s >= slot.relay_at_s) GoThroughHub(&slot, now);
  }
}

void Tab::EndRelay(Slot* slot, std::string_view words) {
  links_.Failed(slot->tab, slot->ready ? 0 : slot->attempt);
  End(slot, std::string(words));
}

void Tab::Relayed(const Relay& relay, const Now& now) {
  ++traffic_.relayed_received;
  Slot* const slot = relay.to == config_.node.session ? OfTab(relay.from) : nullptr;
  // The far end gave the connection up before this side did.
  const bool waits = slot != nullptr && !slot->relayed &&
                     (slot->phase == Phase::kConnecting || (slot->phase == Phase::kOpen && !slot->ready));
  if (waits) GoThroughHub(slot, now);
  if (slot == nullptr || !slot->relayed) {
    ++traffic_.stray_relays;
    return;
  }
  node_.Receive(NumberOf(*slot), relay.message, now.cycle);
}

// ---- What node core and far ends say ----

void Tab::NodeSaid(Event event, const Now& now) {
  if (auto* const heard = std::get_if<Heard>(&event)) {
    if (node_.leads_to_server(heard->link)) return HubSaid(std::move(heard->message), now);
    return TabSaid(&slots_[heard->link], std::move(heard->message), now);
  }
  if (const auto* const ready = std::get_if<LinkReady>(&event)) {
    return node_.leads_to_server(ready->link) ? HubReady(ready->hello, now) : Greeted(ready->link, ready->hello, now);
  }
  if (auto* const closed = std::get_if<LinkClosed>(&event)) {
    if (node_.leads_to_server(closed->link)) return NodeEndedHub(*closed, now);
    return NodeEnded(*closed);
  }
  if (auto* const mask = std::get_if<MaskChanged>(&event)) {
    Hold(now);
    return Tell(*mask);
  }
  if (auto* const contributed = std::get_if<Contributed>(&event)) return Tell(std::move(*contributed));
  if (auto* const changed = std::get_if<Changed>(&event)) return Tell(std::move(*changed));
}

void Tab::Greeted(std::uint32_t number, const Hello& hello, const Now& now) {
  Slot& slot = slots_[number];
  if (slot.phase != Phase::kOpen) return;
  if (hello.session() != slot.tab) {
    // Whoever passed the descriptions on has put in its own.
    ++traffic_.forged;
    node_.Say(number, Goodbye{"another tab was asked"});
    links_.Failed(slot.tab, slot.attempt);
    return End(&slot, "another tab answered than the one that was asked");
  }
  slot.ready = true;
  slot.attempt = 0;
  slot.since_s = now.s;
  slot.build = hello.build.substr(0, kBuildBytesMax);
  ++traffic_.links_opened;
  Tell(LinkOpen{slot.link, slot.tab, slot.relayed, hello.region, hello.build});
  links_.Opened(slot.tab, now.s);
  if (const BuildNews news = KnownBuilds(); !news.builds.empty()) node_.Say(number, news);
  LearnBuilds({{slot.build, hello.protocol_max, 1}});
}

void Tab::NodeEnded(const LinkClosed& closed) {
  Slot& slot = slots_[closed.link];
  if (slot.phase == Phase::kFree) return;
  if (closed.end == LinkEnd::kRefused || closed.end == LinkEnd::kClaim) links_.Ban(slot.tab);
  if (slot.ready && closed.end == LinkEnd::kGoodbye) {
    links_.Closed(slot.tab);
  } else {
    links_.Failed(slot.tab, slot.ready ? 0 : slot.attempt);
  }
  End(&slot, closed.words);
}

void Tab::TabSaid(Slot* slot, PeerMessage message, const Now& now) {
  if (!slot->ready) return;
  const TabId from = slot->tab;
  std::visit(
      [&](auto& said) {
        using M = std::remove_cvref_t<decltype(said)>;
        if constexpr (std::is_same_v<M, Walk>) {
          if (now.s >= stale_until_s_) links_.Walked(from, std::move(said), now.s);
        } else if constexpr (std::is_same_v<M, WalkReply>) {
          links_.Replied(from, std::move(said), now.s);
        } else if constexpr (std::is_same_v<M, Ping>) {
          links_.Pinged(from, said, now.s);
        } else if constexpr (std::is_same_v<M, AdoptRequest>) {
          links_.AskedToAdopt(from, said, now.s);
        } else if constexpr (std::is_same_v<M, BuildNews>) {
          LearnBuilds(said.builds);
        }
      },
      message);
}

}  // namespace lvs::tab
