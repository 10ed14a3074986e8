#include "actors/server_node.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "actors/node.h"
#include "actors/peer_link_actor.h"
#include "shard/random.h"

namespace lvs::actors {

using hosting::ShardHostConfig;
using hosting::ShardLayout;
using hosting::Swarm;
using hosting::SwarmConfig;

namespace {

// The shard hosts count server nodes, of which this one is the first. Link n leads to node n + 1.
constexpr std::uint32_t kSelf = 0;
constexpr std::uint32_t NodeAt(std::uint32_t link) { return link + 1; }

// Unacknowledged news is sent again after this time and two cycles at each end: a round trip takes less.
constexpr double kRoundTripMs = 500;
constexpr std::uint32_t kEndCycles = 4;

ShardHostConfig ShardConfig(const ServerNodeConfig& node, std::uint32_t shard, const ShardLayout& layout) {
  ShardHostConfig config;
  config.node = kSelf;
  config.nodes = static_cast<std::uint32_t>(layout.halo_first.size());
  config.layout = layout;
  config.seed = node.seed;
  config.ambassadors = node.halo_rows;
  config.links_change = true;
  config.tell_changes = true;
  // Server nodes are few and their links wide: news is not delayed for batching.
  config.news_cycles = 1;
  config.acknowledge_cycles = 1;
  config.alone_cycles = node.alone_cycles;
  config.resend_cycles.assign(config.nodes, kEndCycles + static_cast<std::uint32_t>(kRoundTripMs / node.period_ms));
  config.shard.shard = shard;
  config.shard.shape = node.shape;
  config.shard.seed = shard::Draw(node.seed, shard::Stream::kInitialState, shard, ~0ull);
  config.shard.session_key = node.session_key;
  return config;
}

// Empty at first: micro-nodes enter once the ledger is there.
Swarm EmptySwarm(const ServerNodeConfig& config, const ShardLayout& layout) {
  SwarmConfig swarm_config;
  swarm_config.shards = config.shards;
  swarm_config.shards_per_node = std::min(config.shards_per_node, config.shards);
  swarm_config.seed = config.seed;
  Swarm swarm(swarm_config);
  swarm.SetFirstRows(std::vector<std::uint32_t>(config.shards, layout.first_local));
  return swarm;
}

}  // namespace

class ServerNode::Actors {
 public:
  Actors(const ServerNodeConfig& config, const std::vector<std::shared_ptr<FrameSink>>& sinks, OnReport on_report)
      : system_({config.threads}),
        tabs_(static_cast<std::uint32_t>(sinks.size()) - config.tab_places,
              NodeAt(static_cast<std::uint32_t>(sinks.size()) - config.tab_places), config.tab_places) {
    const auto links = static_cast<std::uint32_t>(sinks.size());
    std::vector<std::uint32_t> rows(links + 1 - config.tab_places, config.halo_rows);
    rows.resize(links + 1, config.tab_rows);
    const ShardLayout layout = hosting::LayOut(kSelf, rows);
    std::vector<ShardHostConfig> shards;
    for (std::uint32_t s = 0; s < config.shards; ++s) shards.push_back(ShardConfig(config, s, layout));
    std::vector<PeerLinkActor> link_actors(links + 1);
    for (std::uint32_t n = 0; n < links; ++n) {
      link_actors[NodeAt(n)] = SpawnRemoteLink(*system_, NodeAt(n), sinks[n]);
    }
    reporter_ = (*system_).spawn(
        [](caf::event_based_actor* self, OnReport report) -> caf::behavior {
          EndProcessOnException(self);
          return {[report = std::move(report)](const Payload<NodeReport>& said) { report(said); }};
        },
        std::move(on_report));
    node_ = SpawnNode(*system_, {.config = {kSelf, config.seed, config.micro_nodes},
                                 .swarm = EmptySwarm(config, layout),
                                 .shards = SpawnShards(*system_, std::move(shards)),
                                 .links = std::move(link_actors),
                                 .reporter = reporter_});
  }

  ~Actors() {
    node_.End();
    caf::anon_send_exit(reporter_, caf::exit_reason::user_shutdown);
  }

  void Tick(NodeTick tick) {
    tick.turns = tabs_.TurnsAt(tick.cycle);
    node_.Tick(std::move(tick));
  }
  void Deliver(std::uint32_t link, Payload<shard::Frame> frame) {
    const std::uint32_t shard = frame->shard;
    if (shard >= node_.shards.size()) return;
    Post(node_.shards[shard], IncomingFrame{NodeAt(link), 0, std::move(frame)});
  }
  void SetLink(std::uint32_t link, bool up) {
    for (const ShardActor& shard : node_.shards) Post(shard, LinkChange{NodeAt(link), up});
  }

  void SetTab(std::uint32_t link, const TabLink* tab) {
    const std::optional<TabLink> before = tabs_.Set(link, tab);
    for (std::size_t s = 0; s < node_.shards.size(); ++s) {
      const auto holds = [s](const TabLink& held) { return (held.shard_mask >> s & 1) != 0; };
      if (before && holds(*before)) Post(node_.shards[s], LinkChange{.link = NodeAt(link)});
      if (tab == nullptr || !holds(*tab)) continue;
      Post(node_.shards[s], LinkChange{.link = NodeAt(link),
                                       .up = true,
                                       .counts = false,
                                       .resend_cycles = tab->resend_cycles,
                                       .round_trip_cycles = tab->round_trip_cycles,
                                       .missing_cycles = tab->missing_cycles});
    }
  }

 private:
  System system_;  // outlives the handles below; its end waits for their actors
  TabPlaces tabs_;
  NodeActors node_;
  caf::actor reporter_;
};

ServerNode::ServerNode(const ServerNodeConfig& config, std::vector<std::shared_ptr<FrameSink>> sinks,
                       OnReport on_report)
    : actors_(std::make_unique<Actors>(config, sinks, std::move(on_report))) {}

ServerNode::~ServerNode() = default;

void ServerNode::Tick(NodeTick tick) { actors_->Tick(std::move(tick)); }
void ServerNode::Deliver(std::uint32_t link, Payload<shard::Frame> frame) { actors_->Deliver(link, std::move(frame)); }
void ServerNode::SetLink(std::uint32_t link, bool up) { actors_->SetLink(link, up); }
void ServerNode::SetTab(std::uint32_t link, const TabLink* tab) { actors_->SetTab(link, tab); }
void ServerNode::Stop() { actors_.reset(); }

}  // namespace lvs::actors
