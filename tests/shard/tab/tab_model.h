// A whole network of tabs in simulated time: every tab is a TabLinks, every server node a HubDirectory with
// ServerPlaces, and the model moves their messages. No replica drifts here; what is looked at is the graph of links.
//
//   TabModel model({.tabs = 100, .shards = 16, .seed = 1});
//   model.Run(300, /*arrivals=*/true);
//   const Look look = model.Look();
//   model.KillServers();
//
// Set-ups of links take 2 s and 5 % of them fail; 2 % of the messages between tabs are lost; 70 % of the tabs say
// goodbye; sessions are exponential. Tabs are spread over three hubs, which tell each other of theirs.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <set>
#include <utility>
#include <vector>

#include "shard/tab/draws.h"
#include "shard/tab/hub_directory.h"
#include "shard/tab/server_places.h"
#include "shard/tab/tab_links.h"

namespace lvs::tab {

struct ModelConfig {
  std::uint32_t tabs = 100;
  std::uint32_t shards = 16;
  std::uint64_t seed = 1;
  std::uint32_t micro_nodes = 0;  // 0: 1 to 10
  std::size_t places = 16;        // a server
  double session_s = 300;
  bool advise = true;  // the hub gives joiners the groups of fewest holders
  bool adopt = true;
  double replace_s = 60;
  double hostile = 0;  // share of tabs that claim all that they may, and never send a row
};

struct Look {
  std::size_t tabs = 0;
  std::uint32_t lost = 0;      // shards without any holder
  double cut_off = 0;          // share of the replicas that are older than 10 s outside the largest part of their shard
  double cut_off_servers = 0;  // the same, where servers connect what is linked with them
  std::uint32_t stay_cut_off = 0;  // replicas that were cut off at the look before, too
  double split = 0;                // share of the shards with somebody cut off
  double links = 0;                // a tab
  double links_shard = 0;          // a replica: to other holders
  double shards = 0;               // a tab
  std::uint32_t diameter = 0;      // of the largest parts; from a few starts
};

struct Traffic {
  std::uint64_t hub = 0;
  std::uint64_t peer = 0;  // walks, their replies, adoption
  std::uint64_t pings = 0;
  std::uint64_t opened = 0;
  std::uint64_t refused = 0;  // offers
  std::uint64_t hub_refused = 0;
  double tab_minutes = 0;
  std::uint64_t hub_peak = 0;  // messages in the busiest second
};

class TabModel {
 public:
  explicit TabModel(const ModelConfig& config);

  void Run(double seconds, bool arrivals);
  void Join(std::uint32_t tabs);
  void KillServers();
  void StartOneServer();  // empty; tabs come back to its hub over 10 s
  tab::Look Look();
  Traffic TakeTraffic();

  double now_s() const { return now_s_; }
  std::uint64_t no_rows_honest() const { return no_rows_honest_; }
  std::uint64_t no_rows() const { return no_rows_; }
  const std::vector<const TabLinks*> Tabs() const;
  ShardMask HeardByServer(std::size_t server) const { return servers_[server].places->Heard(1); }

 private:
  struct Tab {
    std::unique_ptr<TabLinks> links;
    TabId id;
    std::uint32_t micro_nodes = 1;
    double born_s = 0;
    ShardMask held = 0;
    std::array<double, kShardsMax> held_since_s{};
    bool stranded = false;  // it had no link yet when all servers died, and can find nobody
    bool alive = true;
    bool hostile = false;
    bool on_hub = false;
    std::uint32_t home = 0;
  };
  struct Server {
    bool up = true;
    std::unique_ptr<HubDirectory> hub;
    std::unique_ptr<ServerPlaces> places;
  };
  struct Event {
    double at_s;
    std::uint64_t number;
    std::function<void()> happen;
    bool operator<(const Event& other) const {  // the earliest is on top
      return at_s != other.at_s ? at_s > other.at_s : number > other.number;
    }
  };

  void After(double seconds, std::function<void()> happen);
  Tab& Of(const TabId& id) { return tabs_[id.low - 1]; }
  bool Alive(const TabId& id) const { return id.low > 0 && id.low <= tabs_.size() && tabs_[id.low - 1].alive; }
  bool Linked(const Tab& a, const TabId& b) const;
  void Spawn();
  void TickTab(std::size_t index);
  void SayRows(const Tab& tab);
  void NoteHeld(Tab* tab);
  void TickServers();
  void Die(std::size_t index);
  void CountHub(std::uint64_t messages);

  void Act(std::size_t index);
  void Do(Tab& tab, Announce action);
  void Do(Tab& tab, Need action);
  void Do(Tab& tab, Offer action);
  void Do(Tab& tab, Answer action);
  void Do(Tab& tab, AcceptOffer action) { Do(tab, std::move(action.answer)); }
  void Do(Tab& tab, ToTab<Walk> action);
  void Do(Tab& tab, ToTab<WalkReply> action);
  void Do(Tab& tab, AcceptWalk action) { Do(tab, std::move(action.reply)); }
  void Do(Tab& tab, ToTab<Ping> action);
  void Do(Tab& tab, ToTab<AdoptRequest> action);
  void Do(Tab& tab, Connect action);
  void Do(Tab& tab, Drop action);
  void Do(Tab& tab, Adopt action) {}
  template <class Message>
  void ThroughHubs(Tab& from, Message message);
  // Delivers to a live tab, later.
  template <class Deliver>
  void Tell(double after_s, const TabId& to, Deliver deliver);

  struct Part {
    std::uint32_t out = 0;
    std::uint32_t holders = 0;
    std::uint32_t diameter = 0;
    std::uint64_t links = 0;
  };
  Part LookAtShard(std::uint32_t shard, bool with_servers,
                   std::set<std::pair<std::uint64_t, std::uint32_t>>* cut_off = nullptr);

  ModelConfig config_;
  Draws draws_;
  double now_s_ = 0;
  std::vector<Tab> tabs_;
  std::vector<std::size_t> live_;
  std::vector<Server> servers_;
  std::priority_queue<Event> events_;
  std::uint64_t event_number_ = 0;
  Traffic traffic_;
  std::uint64_t hub_second_ = 0;
  double second_ends_s_ = 0;
  std::uint64_t no_rows_ = 0;
  std::uint64_t no_rows_honest_ = 0;
  double next_arrival_s_ = 0;
  std::set<std::pair<std::uint64_t, std::uint32_t>> cut_off_;  // by the last look: tab and shard
};

}  // namespace lvs::tab
