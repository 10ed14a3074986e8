#include "actors/server_node.h"

#include <algorithm>
#include <utility>

#include "actors/node_runtime_actor.h"
#include "actors/peer_link_actor.h"
#include "actors/recycled.h"
#include "actors/shard_actor.h"
#include "actors/vaultguard_monitor_actor.h"
#include "shard/hosting/swarm.h"
#include "shard/random.h"

namespace lvs::actors {

using hosting::Swarm;
using hosting::SwarmConfig;

namespace {

// The shard actors count server nodes, of which this one is the first; link n leads to node n + 1.
constexpr std::uint32_t kSelf = 0;
constexpr std::uint32_t NodeAt(std::uint32_t link) { return link + 1; }

ShardActorConfig ShardConfig(const ServerNodeConfig& node, std::uint32_t shard, std::uint32_t links) {
  ShardActorConfig config;
  config.node = kSelf;
  config.nodes = links + 1;
  config.seed = node.seed;
  config.ambassadors = node.halo_rows;
  config.links_change = true;
  config.tell_changes = true;
  // Server nodes are few and their links wide: a contribution does not wait for company.
  config.news_cycles = 1;
  config.acknowledge_cycles = 1;
  config.alone_cycles = node.alone_cycles;
  for (std::uint32_t n = 0; n < config.nodes; ++n) {
    config.halo_first.push_back(n == kSelf ? 0 : (n - 1) * node.halo_rows);
    config.halo_count.push_back(n == kSelf ? 0 : node.halo_rows);
    // A round trip within half a second, and two cycles at each end.
    config.resend_cycles.push_back(4 + static_cast<std::uint32_t>(500 / node.period_ms));
  }
  config.shard.shard = shard;
  config.shard.shape = node.shape;
  config.shard.seed = shard::Draw(node.seed, shard::Stream::kInitialState, shard, ~0ull);
  config.shard.halo_rows = links * node.halo_rows;
  return config;
}

}  // namespace

class ServerNode::Actors {
 public:
  Actors(const ServerNodeConfig& config, const std::vector<std::shared_ptr<FrameSink>>& sinks, OnReport on_report)
      : system_({config.threads}) {
    const auto links = static_cast<std::uint32_t>(sinks.size());
    std::vector<std::uint32_t> first_rows(config.shards);
    for (std::uint32_t s = 0; s < config.shards; ++s) {
      const ShardActorConfig shard = ShardConfig(config, s, links);
      first_rows[s] = (shard.shard.halo_rows + shard::kRowAlign - 1) / shard::kRowAlign * shard::kRowAlign;
      shards_.push_back(SpawnShardActor(*system_, shard));
    }
    SwarmConfig swarm_config;
    swarm_config.shards = config.shards;
    swarm_config.shards_per_node = std::min(config.shards_per_node, config.shards);
    swarm_config.seed = config.seed;
    Swarm swarm(swarm_config);
    swarm.Populate(0);
    swarm.SetFirstRows(std::move(first_rows));
    runtime_ = SpawnNodeRuntime(*system_, {kSelf, config.seed, config.micro_nodes}, std::move(swarm));

    auto wiring = std::make_shared<Wiring>();
    wiring->links.resize(links + 1);
    for (std::uint32_t n = 0; n < links; ++n) {
      wiring->links[NodeAt(n)] = SpawnRemoteLink(*system_, NodeAt(n), sinks[n]);
    }
    wiring->monitor = SpawnMonitor(*system_, config.shards, runtime_);
    for (const ShardActor& shard : shards_) caf::anon_send(shard, Payload<Wiring>(wiring));
    auto parts = std::make_shared<NodeParts>();
    parts->shards = shards_;
    parts->links = wiring->links;
    parts->emulator = (*system_).spawn(
        [](caf::event_based_actor* self, OnReport report) -> caf::behavior {
          return {[report = std::move(report)](const Payload<NodeReport>& said) { report(said); }};
        },
        std::move(on_report));
    others_.assign(wiring->links.begin() + 1, wiring->links.end());
    monitor_ = wiring->monitor;
    reporter_ = parts->emulator;
    caf::anon_send(runtime_, Payload<NodeParts>(std::move(parts)));
  }

  ~Actors() {
    const auto end = [](const auto& actor) { caf::anon_send_exit(actor, caf::exit_reason::user_shutdown); };
    end(runtime_);
    end(monitor_);
    end(reporter_);
    for (const ShardActor& shard : shards_) end(shard);
    for (const PeerLinkActor& link : others_) end(link);
  }

  void Tick(NodeTick tick) {
    auto told = Recycled<NodeTick>();
    *told = std::move(tick);
    Post(runtime_, Payload<NodeTick>(std::move(told)));
  }
  void Deliver(std::uint32_t link, Payload<shard::Frame> frame) {
    if (frame->shard >= shards_.size()) return;
    const std::uint32_t shard = frame->shard;
    Post(shards_[shard], IncomingFrame{NodeAt(link), 0, std::move(frame)});
  }
  void SetLink(std::uint32_t link, bool up) {
    for (const ShardActor& shard : shards_) Post(shard, LinkChange{NodeAt(link), up});
  }

 private:
  System system_;  // outlives the handles below; its end waits for their actors
  std::vector<ShardActor> shards_;
  std::vector<PeerLinkActor> others_;
  NodeRuntimeActor runtime_;
  MonitorActor monitor_;
  caf::actor reporter_;
};

ServerNode::ServerNode(const ServerNodeConfig& config, std::vector<std::shared_ptr<FrameSink>> sinks,
                       OnReport on_report)
    : actors_(std::make_unique<Actors>(config, sinks, std::move(on_report))) {}

ServerNode::~ServerNode() = default;

void ServerNode::Tick(NodeTick tick) { actors_->Tick(std::move(tick)); }
void ServerNode::Deliver(std::uint32_t link, Payload<shard::Frame> frame) { actors_->Deliver(link, std::move(frame)); }
void ServerNode::SetLink(std::uint32_t link, bool up) { actors_->SetLink(link, up); }
void ServerNode::Stop() { actors_.reset(); }

}  // namespace lvs::actors
