#include "tests/shard/tab/tab_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>
#include <utility>
#include <variant>

namespace lvs::tab {
namespace {

constexpr double kHubSeconds = 0.05;
constexpr double kHopSeconds = 0.05;
constexpr double kSetUpSeconds = 2;
constexpr double kSetUpFails = 0.05;
constexpr double kLoss = 0.02;
constexpr double kGoodbye = 0.7;
constexpr double kOldSeconds = 10;
constexpr double kReadySeconds = 5;
constexpr std::uint32_t kServers = 3;

}  // namespace

TabModel::TabModel(const ModelConfig& config) : config_(config), draws_(config.seed) {
  const LinkRules rules = RulesFor(config.shards);
  for (std::uint32_t n = 0; n < kServers; ++n) {
    Server server;
    server.hub = std::make_unique<HubDirectory>(HubRules{config.shards, rules.links_max}, draws_.Next());
    server.places = std::make_unique<ServerPlaces>(PlaceRules{config.shards, config.places}, draws_.Next());
    servers_.push_back(std::move(server));
  }
  tabs_.reserve(100'000);  // actions refer to tabs while others join
  TickServers();
  for (std::uint32_t n = 0; n < config.tabs; ++n) After(30.0 * n / config.tabs, [this] { Spawn(); });
}

void TabModel::After(double seconds, std::function<void()> happen) {
  events_.push({now_s_ + seconds, ++event_number_, std::move(happen)});
}

template <class Deliver>
void TabModel::Tell(double after_s, const TabId& to, Deliver deliver) {
  After(after_s, [this, to, deliver = std::move(deliver)]() mutable {
    if (!Alive(to)) return;
    deliver(Of(to));
    Act(to.low - 1);
  });
}

void TabModel::Run(double seconds, bool arrivals) {
  const double until_s = now_s_ + seconds;
  if (arrivals) next_arrival_s_ = now_s_;
  const auto wait_s = [&] { return -std::log(1 - draws_.Unit()) * config_.session_s / config_.tabs; };
  next_arrival_s_ = arrivals ? now_s_ + wait_s() : until_s + 1;
  while (true) {
    const double event_s = events_.empty() ? until_s + 1 : events_.top().at_s;
    if (std::min(event_s, next_arrival_s_) > until_s) break;
    if (next_arrival_s_ <= event_s) {
      now_s_ = next_arrival_s_;
      next_arrival_s_ += wait_s();
      Spawn();
      continue;
    }
    now_s_ = event_s;
    const auto happen = std::move(const_cast<Event&>(events_.top()).happen);
    events_.pop();
    happen();
  }
  now_s_ = until_s;
}

void TabModel::Join(std::uint32_t tabs) {
  for (; tabs > 0; --tabs) Spawn();
}

void TabModel::CountHub(std::uint64_t messages) {
  if (now_s_ >= second_ends_s_) {
    hub_second_ = 0;
    second_ends_s_ = std::floor(now_s_) + 1;
  }
  traffic_.hub += messages;
  hub_second_ += messages;
  traffic_.hub_peak = std::max(traffic_.hub_peak, hub_second_);
}

void TabModel::Spawn() {
  const std::size_t index = tabs_.size();
  Tab tab;
  tab.id = {shard::Mix(config_.seed * 1'000'003 + index), index + 1};
  tab.micro_nodes = config_.micro_nodes > 0 ? config_.micro_nodes : 1 + draws_.Below(kMicroNodesCounted);
  tab.born_s = now_s_;
  tab.home = draws_.Below(kServers);
  tab.hostile = draws_.Unit() < config_.hostile;
  GroupMask advised = 0;
  if (config_.advise && servers_[tab.home].up) advised = servers_[tab.home].hub->Advise(tab.micro_nodes);
  std::vector<std::uint64_t> sessions;
  for (std::uint32_t n = 0; n < tab.micro_nodes; ++n, advised &= advised - 1) {
    const std::uint64_t draw = draws_.Next();
    const auto group = static_cast<std::uint32_t>(std::countr_zero(advised));
    sessions.push_back(advised == 0 ? draw : SessionInGroup(group, config_.shards, draw));
  }
  ShardMask mask = MaskOf(sessions, config_.shards);
  if (tab.hostile) {
    tab.micro_nodes = kMicroNodesCounted;
    mask = AllShards(config_.shards);
  }
  LinkRules rules = RulesFor(config_.shards);
  rules.replace_s = config_.replace_s;
  if (!config_.adopt) rules.holders_min = 0;
  tab.links = std::make_unique<TabLinks>(rules, TabLinks::Self{tab.id, mask, tab.micro_nodes}, draws_.Next());
  tabs_.push_back(std::move(tab));
  live_.push_back(index);
  After(-config_.session_s * std::log(1 - draws_.Unit()), [this, index] { Die(index); });
  After(kReadySeconds, [this, index] { tabs_[index].links->Ready(); });
  Tab& joined = tabs_[index];
  if (servers_[joined.home].up) joined.links->HubUp(now_s_);
  Act(index);
  After(draws_.Unit(), [this, index] { TickTab(index); });
}

void TabModel::TickTab(std::size_t index) {
  if (!tabs_[index].alive) return;
  tabs_[index].links->Tick(now_s_);
  traffic_.tab_minutes += 1 / 60.0;
  SayRows(tabs_[index]);
  NoteHeld(&tabs_[index]);
  Act(index);
  After(1, [this, index] { TickTab(index); });
}

void TabModel::NoteHeld(Tab* tab) {
  const ShardMask mask = tab->links->mask();
  for (std::uint32_t s = 0; s < config_.shards; ++s) {
    if (((mask & ~tab->held) >> s & 1) != 0) tab->held_since_s[s] = now_s_;
  }
  tab->held = mask;
}

// State rows of an honest tab go over the links to those who hold the same shards.
void TabModel::SayRows(const Tab& tab) {
  if (tab.hostile) return;
  for (const TabLinks::Link& link : tab.links->links()) {
    if ((link.mask & tab.links->mask()) == 0 || !Alive(link.tab) || draws_.Unit() < kLoss) continue;
    Of(link.tab).links->HeardRows(tab.id, now_s_);
  }
}

void TabModel::TickServers() {
  for (std::size_t n = 0; n < servers_.size(); ++n) {
    if (!servers_[n].up) continue;
    for (const PlaceChange& change : servers_[n].places->Tick(now_s_)) {
      CountHub(1);
      Of(change.tab).links->Served(change.reason == Reason::kNone);
    }
    // Every five seconds hubs tell each other how many links their tabs have.
    if (static_cast<std::uint64_t>(now_s_) % 5 != n) continue;
    for (const std::size_t index : live_) {
      const Tab& tab = tabs_[index];
      const Card* card = tab.home == n && tab.on_hub ? servers_[n].hub->Find(tab.id) : nullptr;
      if (card == nullptr) continue;
      for (std::size_t other = 0; other < servers_.size(); ++other) {
        if (other == n || !servers_[other].up) continue;
        const Card* known = servers_[other].hub->Find(tab.id);
        if (known == nullptr || known->links != card->links) {
          servers_[other].hub->Learn(static_cast<HubId>(n + 1), *card, now_s_);
        }
      }
    }
  }
  After(1, [this] { TickServers(); });
}

bool TabModel::Linked(const Tab& a, const TabId& b) const {
  const auto& links = a.links->links();
  return std::any_of(links.begin(), links.end(), [&](const TabLinks::Link& link) { return link.tab == b; });
}

void TabModel::Die(std::size_t index) {
  Tab& tab = tabs_[index];
  if (draws_.Unit() < kGoodbye) {
    tab.links->Leave();
    Act(index);
  }
  tab.alive = false;
  tab.links->TakeActions();
  live_.erase(std::find(live_.begin(), live_.end(), index));
  if (!tab.on_hub) return;
  for (std::size_t n = 0; n < servers_.size(); ++n) {
    if (n == tab.home) {
      servers_[n].hub->Forget(tab.id);
      servers_[n].places->Left(tab.id);
    } else {
      servers_[n].hub->Forget(static_cast<HubId>(tab.home + 1), tab.id);
    }
  }
}

void TabModel::KillServers() {
  for (Server& server : servers_) server.up = false;
  for (const std::size_t index : live_) {
    Tab& tab = tabs_[index];
    tab.stranded = tab.links->links().empty();
    tab.links->HubDown();
    tab.links->Served(false);
    tab.on_hub = false;
  }
}

void TabModel::StartOneServer() {
  const LinkRules rules = RulesFor(config_.shards);
  servers_[0].up = true;
  servers_[0].hub = std::make_unique<HubDirectory>(HubRules{config_.shards, rules.links_max}, draws_.Next());
  servers_[0].places = std::make_unique<ServerPlaces>(PlaceRules{config_.shards, config_.places}, draws_.Next());
  for (const std::size_t index : live_) {
    tabs_[index].home = 0;
    tabs_[index].stranded = false;
    Tell(10 * draws_.Unit(), tabs_[index].id, [this](Tab& tab) { tab.links->HubUp(now_s_); });
  }
}

// ---- What tabs do

void TabModel::Act(std::size_t index) {
  for (Action& action : tabs_[index].links->TakeActions()) {
    std::visit([&](auto& a) { Do(tabs_[index], std::move(a)); }, action);
  }
}

void TabModel::Do(Tab& tab, Announce action) {
  Server& server = servers_[tab.home];
  if (!server.up) return;
  CountHub(2);
  if (server.hub->Announced(action, now_s_).reason != Reason::kNone) {
    ++traffic_.hub_refused;
    return;
  }
  tab.on_hub = true;
  server.places->Came(tab.id, action.card.mask, now_s_);
  for (std::size_t n = 0; n < servers_.size(); ++n) {
    if (n != tab.home && servers_[n].up) servers_[n].hub->Learn(tab.home + 1, action.card, now_s_);
  }
}

void TabModel::Do(Tab& tab, Need action) {
  Server& server = servers_[tab.home];
  if (!server.up) return;
  CountHub(2);
  Sample sample;
  if (server.hub->Asked(tab.id, action, now_s_, &sample) != Reason::kNone) {
    ++traffic_.hub_refused;
    return;
  }
  Tell(2 * kHubSeconds, tab.id, [this, sample](Tab& to) { to.links->Sampled(sample, now_s_); });
}

// Passes a message on through the sender's hub, and the receiver's where it is another one.
template <class Message>
void TabModel::ThroughHubs(Tab& from, Message message) {
  if (!servers_[from.home].up) return;
  CountHub(1);
  HubId home = kThisHub;
  Reason reason = servers_[from.home].hub->MayPass(kThisHub, from.id, message, now_s_, &home);
  if (reason == Reason::kNone && home != kThisHub) {
    HubId last = kThisHub;
    reason = servers_[home - 1].hub->MayPass(from.home + 1, from.id, message, now_s_, &last);
  }
  if (reason != Reason::kNone) {
    ++traffic_.hub_refused;
    return;
  }
  CountHub(1);
  const TabId to = message.to;
  Tell(2 * kHubSeconds, to, [this, message = std::move(message)](Tab& receiver) mutable {
    if constexpr (std::is_same_v<Message, Offer>) {
      receiver.links->Offered(std::move(message), now_s_);
    } else {
      receiver.links->Answered(std::move(message), now_s_);
    }
  });
}

void TabModel::Do(Tab& tab, Offer action) { ThroughHubs(tab, std::move(action)); }

void TabModel::Do(Tab& tab, Answer action) {
  traffic_.refused += action.reason != Reason::kNone ? 1 : 0;
  ThroughHubs(tab, std::move(action));
}

void TabModel::Do(Tab& tab, ToTab<Walk> action) {
  ++traffic_.peer;
  if (!Linked(tab, action.to) || draws_.Unit() < kLoss) return;
  Tell(kHopSeconds, action.to, [this, from = tab.id, walk = std::move(action.message)](Tab& to) mutable {
    to.links->Walked(from, std::move(walk), now_s_);
  });
}

void TabModel::Do(Tab& tab, ToTab<WalkReply> action) {
  ++traffic_.peer;
  if (!Linked(tab, action.to) || draws_.Unit() < kLoss) return;
  Tell(kHopSeconds, action.to, [this, from = tab.id, reply = std::move(action.message)](Tab& to) mutable {
    to.links->Replied(from, std::move(reply), now_s_);
  });
}

void TabModel::Do(Tab& tab, ToTab<Ping> action) {
  ++traffic_.pings;
  if (!Alive(action.to) || draws_.Unit() < kLoss) return;
  Tab& to = Of(action.to);
  if (!Linked(to, tab.id)) return;
  to.links->Pinged(tab.id, action.message, now_s_);
}

void TabModel::Do(Tab& tab, ToTab<AdoptRequest> action) {
  ++traffic_.peer;
  if (draws_.Unit() < kLoss) return;
  Tell(kHopSeconds, action.to,
       [this, from = tab.id, request = action.message](Tab& to) { to.links->AskedToAdopt(from, request, now_s_); });
}

void TabModel::Do(Tab& tab, Connect action) {
  const bool fails = draws_.Unit() < kSetUpFails;
  After(kSetUpSeconds, [this, a = tab.id, b = action.tab, attempt = action.attempt, fails] {
    if (!Alive(a) || !Alive(b) || fails) {
      if (Alive(a)) Of(a).links->Failed(b, attempt);
      if (Alive(b)) Of(b).links->Failed(a, 0);
      return;
    }
    // One end after the other: the second may close the link at once, because it has given the attempt up.
    Of(a).links->Opened(b, now_s_);
    Of(b).links->Opened(a, now_s_);
    traffic_.opened += Linked(Of(a), b) && Linked(Of(b), a) ? 1 : 0;
    Act(a.low - 1);
    Act(b.low - 1);
  });
}

void TabModel::Do(Tab& tab, Drop action) {
  if (action.reason == Reason::kNoRows) {
    ++no_rows_;
    no_rows_honest_ += !tab.hostile && !Of(action.tab).hostile ? 1 : 0;
  }
  if (action.tab == TabId{} || action.attempt != 0 || action.reason == Reason::kSilent) return;
  Tell(kHopSeconds, action.tab, [from = tab.id](Tab& to) { to.links->Closed(from); });
}

// ---- Looking

TabModel::Part TabModel::LookAtShard(std::uint32_t shard, bool with_servers,
                                     std::set<std::pair<std::uint64_t, std::uint32_t>>* cut_off) {
  Part part;
  std::vector<std::size_t> holders;
  std::vector<std::int32_t> place(tabs_.size(), -1);
  for (const std::size_t index : live_) {
    if (tabs_[index].hostile || (tabs_[index].links->mask() >> shard & 1) == 0) continue;
    place[index] = static_cast<std::int32_t>(holders.size());
    holders.push_back(index);
  }
  part.holders = static_cast<std::uint32_t>(holders.size());
  if (holders.empty()) return part;
  std::vector<std::vector<std::size_t>> edges(holders.size() + 1);  // the last one: all servers
  for (std::size_t n = 0; n < holders.size(); ++n) {
    const Tab& tab = tabs_[holders[n]];
    for (const TabLinks::Link& link : tab.links->links()) {
      if (!Alive(link.tab) || place[link.tab.low - 1] < 0 || !Linked(Of(link.tab), tab.id)) continue;
      edges[n].push_back(static_cast<std::size_t>(place[link.tab.low - 1]));
    }
    part.links += edges[n].size();
    if (with_servers && servers_[tab.home].up && servers_[tab.home].places->Has(tab.id)) {
      edges[n].push_back(holders.size());
      edges[holders.size()].push_back(n);
    }
  }
  std::vector<std::uint32_t> colour(holders.size() + 1, 0), distance(holders.size() + 1);
  const auto reach = [&](std::size_t from, std::uint32_t with) {
    std::vector<std::size_t> reached = {from};
    colour[from] = with;
    distance[from] = 0;
    for (std::size_t n = 0; n < reached.size(); ++n) {
      for (const std::size_t next : edges[reached[n]]) {
        if (colour[next] == with) continue;
        colour[next] = with;
        distance[next] = distance[reached[n]] + 1;
        reached.push_back(next);
      }
    }
    return reached;
  };
  std::vector<std::size_t> largest;
  std::uint32_t colours = 0;
  for (std::size_t n = 0; n < holders.size(); ++n) {
    if (colour[n] != 0) continue;
    std::vector<std::size_t> reached = reach(n, ++colours);
    if (reached.size() > largest.size()) largest = std::move(reached);
  }
  for (std::size_t n = 0; n < holders.size(); ++n) {
    const Tab& tab = tabs_[holders[n]];
    const bool held = (tab.held >> shard & 1) != 0 && now_s_ - tab.held_since_s[shard] >= kOldSeconds;
    const bool old = held && now_s_ - tab.born_s >= kOldSeconds && !tab.stranded;
    if (!old || colour[n] == colour[largest[0]]) continue;
    ++part.out;
    if (cut_off != nullptr) cut_off->emplace(tab.id.low, shard);
  }
  for (std::size_t n = 0; n < 3; ++n) {
    const auto reached = reach(largest[n * (largest.size() - 1) / 2], ++colours);
    part.diameter = std::max(part.diameter, distance[reached.back()]);
  }
  return part;
}

Look TabModel::Look() {
  tab::Look look;
  look.tabs = live_.size();
  double replicas = 0, links = 0;
  std::set<std::pair<std::uint64_t, std::uint32_t>> cut_off;
  for (std::uint32_t s = 0; s < config_.shards; ++s) {
    const Part part = LookAtShard(s, /*with_servers=*/false, &cut_off);
    look.lost += part.holders == 0 ? 1 : 0;
    look.cut_off += part.out;
    look.split += part.out > 0 ? 1.0 / config_.shards : 0;
    look.diameter = std::max(look.diameter, part.diameter);
    replicas += part.holders;
    links += static_cast<double>(part.links);
    look.cut_off_servers += LookAtShard(s, /*with_servers=*/true).out;
  }
  for (const auto& replica : cut_off) look.stay_cut_off += cut_off_.contains(replica) ? 1 : 0;
  cut_off_ = std::move(cut_off);
  look.cut_off /= std::max(1.0, replicas);
  look.cut_off_servers /= std::max(1.0, replicas);
  look.links_shard = links / std::max(1.0, replicas);
  for (const std::size_t index : live_) {
    look.links += static_cast<double>(tabs_[index].links->links().size()) / static_cast<double>(live_.size());
    look.shards += ShardCount(tabs_[index].links->mask()) / static_cast<double>(live_.size());
  }
  return look;
}

Traffic TabModel::TakeTraffic() { return std::exchange(traffic_, {}); }

const std::vector<const TabLinks*> TabModel::Tabs() const {
  std::vector<const TabLinks*> tabs;
  for (const std::size_t index : live_) tabs.push_back(tabs_[index].links.get());
  return tabs;
}

}  // namespace lvs::tab
