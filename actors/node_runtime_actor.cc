#include "actors/node_runtime_actor.h"

#include <cmath>
#include <memory>
#include <utility>

#include "actors/recycled.h"
#include "shard/random.h"

namespace lvs::actors {

using hosting::ShardCommands;
using hosting::Swarm;

namespace {

using shard::Draw;
using shard::Stream;
using vaultguard::RecoveryAction;

class NodeRuntime {
 public:
  static inline const char* name = "lvs.node_runtime";

  void Configure(NodeRuntimeConfig config, std::shared_ptr<Swarm> swarm) {
    config_ = config;
    swarm_ = std::move(swarm);
    down_ = config_.starts_with > 0;
    population_ = config_.starts_with;
  }

  void Wire(const NodeParts& parts) {
    parts_ = parts;
    recovery_.assign(parts_.shards.size(), RecoveryAction::kNone);
    commands_.resize(parts_.shards.size());
    contributions_.resize(parts_.shards.size());
    for (const PeerLinkActor& link : parts_.links) links_ += link ? 1 : 0;
  }

  template <class Self>
  void Tick(const Payload<NodeTick>& tick, Self* self) {
    tick_ = tick;
    report_ = Recycled<NodeReport>();
    report_->node = config_.node;
    report_->cycle = tick->cycle;
    if (!tick->alive) {
      Down();
      Finish();
      return;
    }
    const bool restart = std::exchange(down_, false);
    if (tick->cycle > 0) Live(restart, &commands_);
    for (const Contribution& c : tick->contributions) contributions_[c.shard].push_back(c);
    for (std::size_t s = 0; s < parts_.shards.size(); ++s) {
      auto shard = Recycled<ShardTick>();
      shard->cycle = tick->cycle;
      shard->loss = tick->loss;
      shard->rows.swap(commands_[s]);
      shard->contributions.swap(contributions_[s]);
      shard->recovery = std::exchange(recovery_[s], RecoveryAction::kNone);
      shard->restart = restart;
      if (!tick->restored.empty()) shard->restored = tick->restored[s];
      shard->measure = tick->measure;
      shard->scatter = tick->scatter;
      shard->snapshot_dots = s == 0 ? tick->snapshot_dots : 0;
      PostFrom(self, parts_.shards[s], Payload<ShardTick>(std::move(shard)));
    }
  }

  template <class Self>
  void Take(const Payload<Verdict>& verdict, Self* self) {
    report_->verdict = verdict;
    for (const auto& [shard, action] : verdict->orders) recovery_[shard] = action;
    synced_ = true;
    for (const Payload<ShardReport>& shard : verdict->shards) synced_ = synced_ && shard->synced;
    if (links_ == 0 || tick_->cycle == 0) {
      Finish();
      return;
    }
    for (std::size_t n = 0; n < parts_.links.size(); ++n) {
      if (!parts_.links[n]) continue;
      auto flush = Recycled<LinkFlush>();
      *flush = tick_->links.empty() ? LinkFlush{.cycle = tick_->cycle} : tick_->links[n];
      PostFrom(self, parts_.links[n], Payload<LinkFlush>(std::move(flush)));
    }
  }

  void Take(const LinkReport& link) {
    report_->links.push_back(link);
    if (report_->links.size() == links_) Finish();
  }

 private:
  void Down() {
    if (down_) return;
    down_ = true;
    population_ = swarm_->alive() + std::exchange(waiting_to_join_, 0);
    report_->offline += swarm_->alive();
    swarm_->Clear();
  }

  // Whole events of a rate: the fraction is drawn.
  std::uint32_t Round(double expected, std::uint64_t salt) const {
    const double whole = std::floor(expected);
    const bool one_more = shard::Unit(Draw(config_.seed, Stream::kChurn, ~salt, tick_->cycle)) < expected - whole;
    return static_cast<std::uint32_t>(whole) + (one_more ? 1 : 0);
  }

  void Begin(const NodeTick::AttackOrder& order, ShardCommands* commands) {
    const std::uint32_t count = order.count > 0 ? order.count : Round(order.share * swarm_->alive(), 2);
    swarm_->BeginAttack(order.attack, count, order.share, tick_->cycle, commands);
  }

  // Ends every attack and begins those that are on.
  void Attack(const std::vector<NodeTick::AttackOrder>& active, ShardCommands* commands) {
    swarm_->EndAttacks(commands);
    for (const NodeTick::AttackOrder& order : active) Begin(order, commands);
  }

  void Live(bool restart, ShardCommands* commands) {
    const std::uint64_t cycle = tick_->cycle;
    if (restart) {
      waiting_to_join_ = population_;
      // What began or ended while it was out.
      Attack(tick_->attacks_active, commands);
      swarm_->SetLowPower(tick_->low_power_level, commands);
    }
    std::uint32_t joins = tick_->join;
    std::uint32_t leaves = tick_->leave;
    if (waiting_to_join_ > 0 && !restart && synced_) joins += std::exchange(waiting_to_join_, 0);
    if (tick_->churn_share > 0) {
      const std::uint32_t churned = Round(tick_->churn_share * swarm_->alive(), 1);
      leaves += churned;
      joins += churned;
    }
    const std::uint32_t before = swarm_->alive();
    if (leaves > 0) swarm_->Leave(leaves, cycle, commands);
    report_->offline += before - swarm_->alive();
    if (tick_->attacks_end) {
      Attack(tick_->attacks_active, commands);
    } else {
      for (const NodeTick::AttackOrder& order : tick_->attacks_begin) Begin(order, commands);
    }
    if (tick_->low_power >= 0) swarm_->SetLowPower(tick_->low_power, commands);
    if (joins > 0) swarm_->Join(joins, cycle, commands);
    report_->online += joins;
    report_->repaired = swarm_->Repair(cycle, commands);
  }

  void Finish() {
    report_->alive = swarm_->alive();
    report_->adversaries = swarm_->adversaries();
    report_->replicas = swarm_->replicas();
    Post(parts_.emulator, Payload<NodeReport>(std::move(report_)));
  }

  NodeRuntimeConfig config_;
  std::shared_ptr<Swarm> swarm_;
  NodeParts parts_;
  std::size_t links_ = 0;
  std::vector<RecoveryAction> recovery_;
  // Of this cycle, by shard.
  ShardCommands commands_;
  std::vector<std::vector<Contribution>> contributions_;
  Payload<NodeTick> tick_;
  std::shared_ptr<NodeReport> report_;
  bool down_ = false;
  bool synced_ = true;
  std::uint32_t population_ = 0;       // before the outage
  std::uint32_t waiting_to_join_ = 0;  // until the shards have synced
};

}  // namespace

NodeRuntimeActor SpawnNodeRuntime(caf::actor_system& system, NodeRuntimeConfig config, Swarm swarm) {
  const auto behaviour = [](NodeRuntimeActor::stateful_pointer<NodeRuntime> self, NodeRuntimeConfig start,
                            std::shared_ptr<Swarm> own) -> NodeRuntimeActor::behavior_type {
    self->state.Configure(start, std::move(own));
    return {
        [self](const Payload<NodeParts>& parts) { self->state.Wire(*parts); },
        [self](const Payload<NodeTick>& tick) { self->state.Tick(tick, self); },
        [self](const Payload<Verdict>& verdict) { self->state.Take(verdict, self); },
        [self](const LinkReport& report) { self->state.Take(report); },
    };
  };
  return system.spawn(behaviour, config, std::make_shared<Swarm>(std::move(swarm)));
}

}  // namespace lvs::actors
