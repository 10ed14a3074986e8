// Whole tabs, a hub with its server node, and what a page does for them: dials, connections and bytes, in memory and in
// the time of cycles. The server node is that of tab_net.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "shard/tab/hub_directory.h"
#include "shard/tab/server_places.h"
#include "shard/tab/tab.h"
#include "tests/shard/tab/tab_net.h"

namespace lvs::tab {

class HubNet {
 public:
  static constexpr std::uint64_t kOpenCycles = 3;  // until a connection is there

  explicit HubNet(std::uint64_t seed = 1) : seed_(seed) {}

  // ---- The hub and its server node
  void StartHub(std::uint32_t replicas = 0, std::size_t tabs_max = 100) {
    hub_ = std::make_unique<Hub>(HubRules{kTestShards, 8, tabs_max}, seed_ + cycle_);
    hub_->server = std::make_unique<TestServer>(replicas, seed_ + 99 + cycle_, cycle_ == 0 ? 0 : cycle_ + 1);
  }
  void KillHub() {
    hub_ = nullptr;
    for (Place& tab : tabs_) {
      if (std::exchange(tab.on_hub, false)) tab.hub_ended = true;
    }
  }
  TestServer& server() { return *hub_->server; }
  HubDirectory& directory() { return hub_->directory; }
  std::uint64_t relayed() const { return relayed_; }
  void RelayAtMost(std::uint64_t messages) { relay_max_ = messages; }
  std::string hub_build = "test";
  std::uint32_t hub_protocol = kTabProtocol;

  // ---- Tabs
  std::size_t Add(TabConfig config) {
    Place place;
    place.tab = std::make_unique<Tab>(std::move(config), now());
    tabs_.push_back(std::move(place));
    return tabs_.size() - 1;
  }
  TabConfig Config(std::uint32_t micro_nodes = 1) const {
    TabConfig config;
    config.node = TestConfig(tabs_.size() + 1, seed_);
    config.micro_nodes = micro_nodes;
    return config;
  }
  // Of these groups.
  TabConfig ConfigOf(const std::vector<std::uint32_t>& groups) const {
    TabConfig config = Config();
    for (const std::uint32_t group : groups) config.sessions.push_back(SessionOf(group, tabs_.size()));
    return config;
  }
  Tab& tab(std::size_t n) { return *tabs_[n].tab; }
  bool there(std::size_t n) const { return tabs_[n].tab != nullptr; }
  std::size_t tabs() const { return tabs_.size(); }
  std::vector<TabEvent>& events(std::size_t n) { return tabs_[n].events; }
  const std::vector<std::uint64_t>& sent_each_cycle(std::size_t n) const { return tabs_[n].sent; }
  // Without a word: connections end as a dead browser's do.
  void Kill(std::size_t n) {
    for (const auto& [end, far] : std::map<End, End>(ends_)) {
      if (end.tab == n) lost_.push_back(far);
      if (end.tab == n || far.tab == n) ends_.erase(end);
    }
    if (hub_ != nullptr && tabs_[n].on_hub) hub_->Forget(IdOf(n), n);
    tabs_[n] = {};
  }
  // No connection of this tab ever opens.
  void Forbid(std::size_t n) { tabs_[n].forbidden = true; }
  void Lose(double share) { loss_ = share; }
  // What a tab says on its links, and to its hub, is spoiled.
  void Spoil(std::size_t n, std::string (*spoil)(std::string)) { tabs_[n].spoil = spoil; }

  // ---- Time
  Now now() const { return {static_cast<double>(cycle_) * 0.1, cycle_}; }
  std::uint64_t cycle() const { return cycle_; }
  // `asleep`: the timer of this tab does not fire; `frozen`: nor does anything reach it, until the end.
  void Run(std::uint64_t cycles, std::size_t asleep = ~std::size_t{0}, bool frozen = false) {
    for (; cycles > 0; --cycles) {
      ++cycle_;
      for (Due& due : std::exchange(due_, {})) {
        if (frozen && due.tab == asleep) {
          due_.push_back(std::move(due));
        } else {
          due.act();
        }
      }
      for (const End& end : std::exchange(lost_, {})) {
        if (there(end.tab)) tab(end.tab).LinkLost(end.link, now());
      }
      for (Place& place : tabs_) {
        if (!std::exchange(place.hub_ended, false)) continue;
        if (place.tab != nullptr) place.tab->HubClosed(place.socket, 1006, "", now());
      }
      if (hub_ != nullptr) RunHub();
      for (std::size_t n = 0; n < tabs_.size(); ++n) {
        if (!there(n)) continue;
        if (n != asleep) tab(n).Tick(now());
        if (n != asleep || !frozen) Carry(n);
      }
    }
  }

 private:
  struct End {
    std::size_t tab = 0;
    std::uint32_t link = 0;
    auto operator<=>(const End&) const = default;
  };
  // Something that happens in the next cycle, at a tab or at the hub.
  struct Due {
    std::size_t tab = 0;
    std::function<void()> act;
  };
  static constexpr std::size_t kAtHub = ~std::size_t{0} - 1;
  struct Place {
    std::unique_ptr<Tab> tab;
    std::vector<TabEvent> events;
    std::uint32_t socket = 0;
    bool on_hub = false;
    bool hub_ended = false;
    bool forbidden = false;
    std::string (*spoil)(std::string) = nullptr;
    std::vector<std::uint64_t> sent;  // messages, a cycle
  };
  struct Hub {
    Hub(const HubRules& rules, std::uint64_t seed)
        : directory(rules, seed), places({kTestShards, TestServer::kPlaces}, seed + 1) {
      for (std::uint32_t n = 0; n < TestServer::kPlaces; ++n) free.push_back(n);
    }
    void Forget(const TabId& id, std::size_t tab) {
      directory.Forget(id);
      places.Left(id);
      Release(tab);
    }
    void Release(std::size_t tab) {
      if (!placed.contains(tab)) return;
      server->Change(placed[tab], false, AllShards(kTestShards));
      free.push_back(placed[tab]);
      placed.erase(tab);
    }
    HubDirectory directory;
    ServerPlaces places;
    std::unique_ptr<TestServer> server;
    std::deque<std::uint32_t> free;
    std::map<std::size_t, std::uint32_t> placed;
  };

  TabId IdOf(std::size_t n) const { return TestConfig(n + 1, seed_).session; }
  std::size_t TabOf(const TabId& id) const { return id.high - 1; }
  void Say(std::size_t n, const PeerMessage& message) { SayBytes(n, Encode(message)); }
  void SayBytes(std::size_t n, std::string bytes) {
    if (n >= tabs_.size() || !tabs_[n].on_hub) return;
    due_.push_back({n, [this, n, socket = tabs_[n].socket, bytes = std::move(bytes)] {
                      if (there(n)) tab(n).HubReceived(socket, bytes, now());
                    }});
  }

  // ---- The hub
  void RunHub() {
    for (auto& [place, bytes] : hub_->server->Tick(cycle_)) {
      for (const auto& [n, at] : hub_->placed) {
        if (at == place) SayBytes(n, bytes);
      }
    }
    if (cycle_ % 10 != 0) return;
    for (const PlaceChange& change : hub_->places.Tick(now().s)) {
      const std::size_t n = TabOf(change.tab);
      if (change.reason != Reason::kNone) {
        hub_->Release(n);
        Say(n, lvs::tab::Place{.given = false, .reason = change.reason});
      } else if (!hub_->free.empty()) {
        hub_->placed[n] = hub_->free.front();
        hub_->free.pop_front();
        Say(n, lvs::tab::Place{.given = true, .cadence_cycles = 5, .halo_rows = kTabRows});
        hub_->server->Change(hub_->placed[n], true, hub_->directory.Find(change.tab)->mask);
      }
    }
  }
  void ToHub(std::size_t n, const std::string& bytes) {
    if (hub_ == nullptr || !tabs_[n].on_hub) return;
    PeerMessage message;
    if (Decode(bytes, &message)) return;
    const TabId id = IdOf(n);
    if (std::holds_alternative<Hello>(message)) {
      Hello hello;
      hello.session_low = 4711;
      hello.build = hub_build;
      hello.region = "eu";
      hello.protocol_min = hello.protocol_max = hub_protocol;
      hello.shards = kTestShards;
      hello.value_slots = hello.free_coordinates = 2;
      hello.period_us = 100'000;
      Say(n, hello);
    } else if (const auto* announce = std::get_if<Announce>(&message)) {
      const Welcome welcome = hub_->directory.Announced(*announce, now().s);
      Say(n, welcome);
      if (welcome.reason == Reason::kNone) hub_->places.Came(id, announce->card.mask, now().s);
    } else if (const auto* need = std::get_if<Need>(&message)) {
      Sample sample;
      const Reason reason = hub_->directory.Asked(id, *need, now().s, &sample);
      reason == Reason::kNone ? Say(n, sample) : Say(n, Refused{reason, KindOf(message), need->number, 0, ""});
    } else if (auto* offer = std::get_if<Offer>(&message)) {
      PassOn(n, *offer);
    } else if (auto* answer = std::get_if<Answer>(&message)) {
      PassOn(n, *answer);
    } else if (auto* relay = std::get_if<Relay>(&message)) {
      if (++relayed_ > relay_max_) {
        return Say(n, Refused{Reason::kTooFast, KindOf(message), static_cast<std::uint32_t>(relay->to.low), 0, ""});
      }
      relay->from = id;
      Say(TabOf(relay->to), *relay);
    } else if (const auto* batch = std::get_if<FrameBatch>(&message)) {
      if (hub_->placed.contains(n)) hub_->server->Receive(hub_->placed[n], *batch, cycle_);
    } else if (const auto* echo = std::get_if<EchoRequest>(&message)) {
      Say(n, EchoReply{echo->sent_us});
    }
  }
  template <class Message>
  void PassOn(std::size_t n, const Message& message) {
    HubId home;
    const Reason reason = hub_->directory.MayPass(kThisHub, IdOf(n), message, now().s, &home);
    if (reason == Reason::kNone) return Say(TabOf(message.to), message);
    Say(n, Refused{reason, KindOf(message), message.attempt, 0, ""});
  }

  // ---- What the page of a tab does
  void Carry(std::size_t n) {
    Place& place = tabs_[n];
    place.sent.push_back(0);
    for (Command& command : place.tab->TakeCommands()) {
      if (place.tab == nullptr) return;
      std::visit([&](auto& c) { Do(n, c); }, command);
    }
    for (TabEvent& event : place.tab->TakeEvents()) place.events.push_back(std::move(event));
  }
  void Do(std::size_t n, const DialHub& dial) {
    tabs_[n].socket = dial.socket;
    const bool up = hub_ != nullptr;
    if (up) tabs_[n].on_hub = true;
    due_.push_back({n, [this, n, socket = dial.socket, up] {
                      if (!there(n)) return;
                      up ? tab(n).HubOpened(socket, now()) : tab(n).HubClosed(socket, 0, "", now());
                    }});
  }
  void Do(std::size_t n, const CloseHub& close) {
    if (close.socket != tabs_[n].socket || !std::exchange(tabs_[n].on_hub, false)) return;
    if (hub_ != nullptr) hub_->Forget(IdOf(n), n);
  }
  void Do(std::size_t n, SendToHub& send) {
    ++tabs_[n].sent.back();
    if (tabs_[n].spoil != nullptr) send.bytes = tabs_[n].spoil(std::move(send.bytes));
    due_.push_back({kAtHub, [this, n, bytes = std::move(send.bytes)] { ToHub(n, bytes); }});
  }
  void Do(std::size_t n, const MakeOffer& make) {
    due_.push_back({n, [this, n, make] {
                      if (there(n))
                        tab(n).Described(make.link, std::to_string(n) + " " + std::to_string(make.link), now());
                    }});
  }
  void Do(std::size_t n, const AcceptDescription& accept) {
    const End far = EndOf(accept.description);
    ends_[{n, accept.link}] = far;
    due_.push_back({n, [this, n, accept] {
                      if (there(n))
                        tab(n).Described(accept.link, std::to_string(n) + " " + std::to_string(accept.link), now());
                    }});
  }
  void Do(std::size_t n, const ApplyAnswer& apply) {
    const End far = EndOf(apply.description), near = {n, apply.link};
    const auto known = ends_.find(far);
    if (known == ends_.end() || known->second != near || tabs_[n].forbidden || tabs_[far.tab].forbidden) return;
    ends_[near] = far;
    Open(near, far, kOpenCycles);
  }
  void Open(End near, End far, std::uint64_t cycles) {
    due_.push_back({kAtHub, [this, near, far, cycles] {
                      if (cycles > 0) return Open(near, far, cycles - 1);
                      if (!there(near.tab) || !there(far.tab) || !ends_.contains(near) || !ends_.contains(far)) return;
                      tab(near.tab).LinkOpened(near.link, now());
                      tab(far.tab).LinkOpened(far.link, now());
                    }});
  }
  void Do(std::size_t n, SendOnLink& send) {
    ++tabs_[n].sent.back();
    const auto end = ends_.find({n, send.link});
    if (end == ends_.end() || shard::Unit(shard::Mix(seed_ ^ ++draws_)) < loss_) return;
    if (tabs_[n].spoil != nullptr) send.bytes = tabs_[n].spoil(std::move(send.bytes));
    due_.push_back({end->second.tab, [this, far = end->second, bytes = std::move(send.bytes)] {
                      if (there(far.tab)) tab(far.tab).LinkReceived(far.link, bytes, now());
                    }});
  }
  void Do(std::size_t n, const CloseLink& close) {
    const auto end = ends_.find({n, close.link});
    if (end == ends_.end()) return;
    lost_.push_back(end->second);
    ends_.erase(end->second);
    ends_.erase({n, close.link});
  }
  static End EndOf(const std::string& description) {
    const std::size_t space = description.find(' ');
    if (space == std::string::npos) return {};
    return {std::stoul(description), static_cast<std::uint32_t>(std::stoul(description.substr(space + 1)))};
  }

  const std::uint64_t seed_;
  std::uint64_t cycle_ = 0;
  std::uint64_t draws_ = 0;
  double loss_ = 0;
  std::uint64_t relayed_ = 0;
  std::uint64_t relay_max_ = ~std::uint64_t{0};
  std::vector<Place> tabs_;
  std::unique_ptr<Hub> hub_;
  std::map<End, End> ends_;
  std::vector<End> lost_;
  std::vector<Due> due_;
};

}  // namespace lvs::tab
