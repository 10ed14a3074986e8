// A few tab nodes and a server node, with links in memory: what one says in a cycle arrives in the next one, in any
// order, and some of it never.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "shard/frame_codec.h"
#include "shard/hosting/shard_host.h"
#include "shard/hosting/shard_layout.h"
#include "shard/last_words.h"
#include "shard/random.h"
#include "shard/tab/tab_node.h"

namespace lvs::tab {

inline constexpr std::uint32_t kTestShards = 8;
inline constexpr shard::Shape kTestShape = {2, 2, 8};

inline TabNodeConfig TestConfig(std::uint64_t number, std::uint64_t seed = 1) {
  TabNodeConfig config;
  config.shards = kTestShards;
  config.shard.shape = kTestShape;
  config.session = {number, shard::Mix(seed + number) | 1};
  config.seed = shard::Mix(seed * 1000 + number);
  config.tab_links = 8;
  config.build = "test";
  return config;
}

// A session whose micro-node holds the group.
inline std::uint64_t SessionOf(std::uint32_t group, std::uint64_t number = 0) {
  return SessionInGroup(group, kTestShards, shard::Mix(group + 17 * number));
}

// All shards of a server node, which speaks to tabs: what its gateway will do.
class TestServer {
 public:
  static constexpr std::uint32_t kPlaces = 8;
  static constexpr std::uint32_t kRowsOfServer = 32;

  TestServer(std::uint32_t replicas, std::uint64_t seed, std::uint64_t started_cycle = 0) : started_(started_cycle) {
    std::vector<std::uint32_t> rows(kPlaces, kTabRows);
    rows.push_back(0);
    const hosting::ShardLayout layout = hosting::LayOut(kPlaces, rows);
    for (std::uint32_t s = 0; s < kTestShards; ++s) {
      hosting::ShardHostConfig config;
      config.node = kPlaces;
      config.nodes = kPlaces + 1;
      config.layout = layout;
      config.shard.shard = s;
      config.shard.shape = kTestShape;
      config.shard.seed = shard::Mix(seed + s);
      config.seed = config.shard.seed;
      config.ambassadors = kRowsOfServer;
      config.replicas = started_cycle == 0 ? replicas : 0;
      config.resend_cycles.assign(kPlaces + 1, 19);
      config.missing_cycles = kTabMissingCycles;
      config.links_change = true;
      config.tell_changes = true;
      hosts_.push_back(std::make_unique<hosting::ShardHost>(std::move(config)));
      reports_.emplace_back();
    }
    replicas_ = replicas;
  }

  void Change(std::uint32_t place, bool up, ShardMask mask) {
    for (std::uint32_t s = 0; s < kTestShards; ++s) {
      if ((mask & MaskOfShard(s)) != 0) {
        hosts_[s]->Change({.link = place, .up = up, .counts = false, .resend_cycles = 19, .round_trip_cycles = 8});
      }
    }
  }
  void Receive(std::uint32_t place, const FrameBatch& batch, std::uint64_t cycle) {
    for (const std::string_view bytes : batch.frames) {
      auto frame = std::make_shared<shard::Frame>();
      if (shard::Decode(bytes, frame.get())) continue;
      hosts_[frame->shard]->Receive({place, cycle, frame});
    }
  }
  // Messages of frames by place.
  std::map<std::uint32_t, std::string> Tick(std::uint64_t cycle) {
    std::map<std::uint32_t, std::vector<hosting::Payload<shard::Frame>>> said;
    for (std::uint32_t s = 0; s < kTestShards; ++s) {
      hosting::ShardTick tick;
      tick.cycle = cycle;
      tick.restart = started_ != 0 && cycle == started_;
      tick.contributions = std::exchange(contributions_[s], {});
      if (started_ != 0 && cycle > started_ && !entered_[s] && reports_[s].synced) {
        entered_[s] = true;
        for (std::uint32_t n = 0; n < replicas_; ++n) {
          tick.rows.push_back({.row = hosts_[s]->state().first_row() + n});
        }
      }
      reports_[s] = {};
      hosts_[s]->Tick(tick, &reports_[s]);
      for (auto& [to, frame] : hosts_[s]->said())
        said[to].push_back(shard::WithRowsBelow(std::move(frame), kServerRows));
    }
    std::map<std::uint32_t, std::string> messages;
    for (const auto& [place, frames] : said) {
      std::vector<const shard::Frame*> pointers;
      for (const auto& frame : frames) pointers.push_back(frame.get());
      messages[place] = EncodeFrames(pointers);
    }
    return messages;
  }
  void Contribute(std::uint32_t s, std::int64_t uvu, std::uint32_t needed) {
    hosting::Contribution contribution;
    contribution.id = 1;
    contribution.shard = s;
    contribution.needed_nodes = needed;
    contribution.entry.session = {7, 7};
    contribution.entry.opened_cycle = hosting::kOpensNow;
    contribution.entry.amount_uvu[0] = uvu;
    contributions_[s].push_back(contribution);
  }
  const hosting::ShardHost& host(std::uint32_t s) const { return *hosts_[s]; }
  const hosting::ShardReport& report(std::uint32_t s) const { return reports_[s]; }

 private:
  const std::uint64_t started_;
  std::uint32_t replicas_ = 0;
  std::map<std::uint32_t, bool> entered_;
  std::vector<std::unique_ptr<hosting::ShardHost>> hosts_;
  std::vector<hosting::ShardReport> reports_;
  std::map<std::uint32_t, std::vector<hosting::Contribution>> contributions_;
};

class TabNet {
 public:
  explicit TabNet(std::uint64_t seed = 1, double loss = 0) : seed_(seed), loss_(loss) {}

  // A tab that holds these groups, with this many micro-nodes each.
  std::size_t Add(std::vector<std::uint32_t> groups, std::uint32_t micro_nodes = 2) {
    tabs_.push_back(std::make_unique<TabNode>(TestConfig(tabs_.size() + 1, seed_)));
    for (const std::uint32_t group : groups) {
      for (std::uint32_t n = 0; n < micro_nodes; ++n) tabs_.back()->AddMicroNode(SessionOf(group, n));
    }
    heard_.emplace_back();
    return tabs_.size() - 1;
  }
  TabNode& tab(std::size_t n) { return *tabs_[n]; }
  bool there(std::size_t n) const { return tabs_[n] != nullptr; }
  std::size_t tabs() const { return tabs_.size(); }
  std::uint64_t cycle() const { return cycle_; }
  std::vector<Event>& events(std::size_t n) { return heard_[n]; }

  void Connect(std::size_t a, std::size_t b) {
    const std::uint32_t at_a = Free(a), at_b = Free(b);
    ends_[{a, at_a}] = {b, at_b};
    ends_[{b, at_b}] = {a, at_a};
    tabs_[a]->LinkUp(at_a, cycle_);
    tabs_[b]->LinkUp(at_b, cycle_);
  }
  void ConnectAll() {
    for (std::size_t a = 0; a < tabs_.size(); ++a) {
      for (std::size_t b = a + 1; b < tabs_.size(); ++b) Connect(a, b);
    }
  }
  // Without a word. Those at the far ends notice as many cycles later as their carrier takes.
  void Kill(std::size_t n) {
    for (auto end = ends_.begin(); end != ends_.end();) {
      if (end->first.first == n || end->second.first == n) {
        if (end->second.first == n) tabs_[end->first.first]->LinkDown(end->first.second);
        end = ends_.erase(end);
      } else {
        ++end;
      }
    }
    tabs_[n] = nullptr;
  }
  void Start(std::uint32_t replicas) {
    server_ = std::make_unique<TestServer>(replicas, seed_ + 99, cycle_ == 0 ? 0 : cycle_ + 1);
  }
  void KillServer() {
    server_ = nullptr;
    for (const auto& [place, tab] : places_) tabs_[tab]->LinkDown(kServerLink);
    places_.clear();
  }
  TestServer& server() { return *server_; }
  // The server gives the tab a place for frames.
  void Place(std::size_t n) {
    const auto place = static_cast<std::uint32_t>(places_.size());
    places_[place] = n;
    TabNode& tab = *tabs_[n];
    tab.LinkUp(kServerLink, cycle_);
    Hello hello;
    hello.session_low = 4711;
    hello.shards = kTestShards;
    hello.value_slots = 2;
    hello.free_coordinates = 2;
    hello.period_us = 100'000;
    hello.halo_rows = 2;
    tab.Receive(kServerLink, Encode(hello), cycle_);
    tab.Receive(kServerLink, Encode(lvs::tab::Place{true, Reason::kNone, 5, 2}), cycle_);
    server_->Change(place, true, tab.mask());
  }
  static constexpr std::uint32_t kServerLink = 8;

  // `asleep`: this tab's timer does not fire, but what is said to it arrives.
  void Run(std::uint64_t cycles, std::size_t asleep = ~std::size_t{0}) {
    for (; cycles > 0; --cycles) {
      ++cycle_;
      std::vector<Flying> due = std::exchange(flying_, {});
      for (std::size_t n = due.size(); n > 1; --n) {
        std::swap(due[n - 1], due[shard::Below(shard::Mix(seed_ + ++draws_), static_cast<std::uint32_t>(n))]);
      }
      for (const Flying& message : due) Arrive(message);
      if (server_ != nullptr) {
        for (auto& [place, bytes] : server_->Tick(cycle_)) {
          if (places_.contains(place)) flying_.push_back({places_[place], kServerLink, false, std::move(bytes)});
        }
      }
      for (std::size_t n = 0; n < tabs_.size(); ++n) {
        if (tabs_[n] != nullptr && n != asleep) tabs_[n]->Tick(cycle_);
      }
      for (std::size_t n = 0; n < tabs_.size(); ++n) Carry(n);
    }
  }

 private:
  struct Flying {
    std::size_t to = 0;
    std::uint32_t link = 0;
    bool to_server = false;
    std::string bytes;
  };

  std::uint32_t Free(std::size_t n) {
    std::uint32_t link = 0;
    while (ends_.contains({n, link})) ++link;
    return link;
  }
  void Arrive(const Flying& message) {
    if (!message.to_server) {
      if (tabs_[message.to] != nullptr) tabs_[message.to]->Receive(message.link, message.bytes, cycle_);
      return;
    }
    PeerMessage heard;
    if (server_ == nullptr || Decode(message.bytes, &heard)) return;
    if (const auto* batch = std::get_if<FrameBatch>(&heard)) server_->Receive(message.link, *batch, cycle_);
  }
  void Carry(std::size_t n) {
    if (tabs_[n] == nullptr) return;
    for (Outgoing& out : tabs_[n]->TakeOutgoing()) {
      largest_ = std::max(largest_, out.bytes.size());
      // Hellos are repeated by a carrier that loses; here they are not lost.
      const bool hello = !out.bytes.empty() && out.bytes[0] == 10;
      if (!hello && shard::Unit(shard::Mix(seed_ ^ ++draws_)) < loss_) continue;
      if (out.link == kServerLink) {
        for (const auto& [place, tab] : places_) {
          if (tab == n) flying_.push_back({0, place, true, out.bytes});
        }
      } else if (const auto end = ends_.find({n, out.link}); end != ends_.end()) {
        flying_.push_back({end->second.first, end->second.second, false, std::move(out.bytes)});
      }
    }
    for (Event& event : tabs_[n]->TakeEvents()) heard_[n].push_back(std::move(event));
  }

 public:
  std::size_t largest() const { return largest_; }

 private:
  const std::uint64_t seed_;
  const double loss_;
  std::uint64_t cycle_ = 0;
  std::uint64_t draws_ = 0;
  std::size_t largest_ = 0;
  std::vector<std::unique_ptr<TabNode>> tabs_;
  std::vector<std::vector<Event>> heard_;
  std::map<std::pair<std::size_t, std::uint32_t>, std::pair<std::size_t, std::uint32_t>> ends_;
  std::map<std::uint32_t, std::size_t> places_;
  std::unique_ptr<TestServer> server_;
  std::vector<Flying> flying_;
};

}  // namespace lvs::tab
