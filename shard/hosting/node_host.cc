#include "shard/hosting/node_host.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "shard/random.h"

namespace lvs::hosting {

namespace {

using shard::Draw;
using shard::Stream;
using vaultguard::RecoveryAction;

// Separates the draws of NodeHost::Round.
constexpr std::uint64_t kChurnSalt = 1;
constexpr std::uint64_t kAttackSalt = 2;

}  // namespace

NodeHost::NodeHost(NodeHostConfig config, Swarm swarm, std::size_t shards, std::size_t links)
    : config_(config),
      swarm_(std::move(swarm)),
      links_(links),
      recovery_(shards, RecoveryAction::kNone),
      commands_(shards),
      contributions_(shards),
      down_(config.starts_with > 0),
      population_(config.starts_with) {}

bool NodeHost::Begin(Payload<NodeTick> tick) {
  tick_ = std::move(tick);
  online_ = offline_ = repaired_ = 0;
  if (!tick_->alive) {
    Down();
    PopulateLater();
    return false;
  }
  restart_ = std::exchange(down_, false);
  if (tick_->cycle > 0) Populate(restart_);
  for (const Contribution& c : tick_->contributions) contributions_[c.shard].push_back(c);
  return true;
}

void NodeHost::FillTick(std::size_t shard, ShardTick* tick) {
  tick->cycle = tick_->cycle;
  tick->loss = tick_->loss;
  tick->rows.swap(commands_[shard]);
  tick->contributions.swap(contributions_[shard]);
  tick->recovery = std::exchange(recovery_[shard], RecoveryAction::kNone);
  tick->restart = restart_;
  if (!tick_->restored.empty()) tick->restored = tick_->restored[shard];
  tick->tell_all = tick_->tell_all;
  tick->measure = tick_->measure;
  tick->scatter = tick_->scatter;
  tick->peers_missing = tick_->peers_missing;
  tick->leaving = tick_->leaving;
  tick->hand_over = tick_->hand_over;
  tick->snapshot_dots = shard == 0 ? tick_->snapshot_dots : 0;
  tick->turns = tick_->turns;
}

bool NodeHost::Take(Payload<Verdict> verdict) {
  verdict_ = std::move(verdict);
  for (const auto& [shard, action] : verdict_->orders) recovery_[shard] = action;
  synced_ = std::all_of(verdict_->shards.begin(), verdict_->shards.end(),
                        [](const Payload<ShardReport>& shard) { return shard->synced; });
  return links_ > 0 && tick_->cycle > 0;
}

void NodeHost::FillFlush(std::size_t node, LinkFlush* flush) const {
  if (tick_->links.empty()) {
    flush->cycle = tick_->cycle;
  } else {
    *flush = tick_->links[node];
  }
}

bool NodeHost::Take(const LinkReport& link) {
  link_reports_.push_back(link);
  return link_reports_.size() == links_;
}

void NodeHost::FillReport(NodeReport* report) {
  report->node = config_.node;
  report->cycle = tick_->cycle;
  report->verdict = std::exchange(verdict_, nullptr);
  report->links.swap(link_reports_);
  report->alive = swarm_.alive();
  report->waiting_to_enter = waiting_to_enter_;
  report->adversaries = swarm_.adversaries();
  report->replicas = swarm_.replicas();
  report->online = online_;
  report->offline = offline_;
  report->repaired = repaired_;
}

void NodeHost::Down() {
  if (down_) return;
  down_ = true;
  population_ = swarm_.alive() + std::exchange(waiting_to_enter_, 0);
  offline_ += swarm_.alive();
  swarm_.Clear();
}

// Whole events of a rate: chance decides about the fraction.
std::uint32_t NodeHost::Round(double expected, std::uint64_t salt) const {
  const double whole = std::floor(expected);
  const bool one_more = shard::Unit(Draw(config_.seed, Stream::kChurn, ~salt, tick_->cycle)) < expected - whole;
  return static_cast<std::uint32_t>(whole) + (one_more ? 1 : 0);
}

void NodeHost::BeginAttack(const NodeTick::AttackOrder& order) {
  const std::uint32_t count = order.count > 0 ? order.count : Round(order.share * swarm_.alive(), kAttackSalt);
  swarm_.BeginAttack(order.attack, count, order.share, tick_->cycle, &commands_);
}

// Ends every attack and begins those that are on.
void NodeHost::SetAttacks(const std::vector<NodeTick::AttackOrder>& active) {
  swarm_.EndAttacks(&commands_);
  for (const NodeTick::AttackOrder& order : active) BeginAttack(order);
}

// How many of `population` leave in this cycle.
std::uint32_t NodeHost::Leavers(std::uint32_t population) const {
  std::uint32_t left = population;
  for (const NodeTick::LeaveOrder& order : tick_->leave) {
    if (left > order.keep) left -= static_cast<std::uint32_t>((left - order.keep) / order.cycles);
  }
  return population - left;
}

// The events of a cycle in which the server node is out: they change who enters once it is back.
void NodeHost::PopulateLater() {
  population_ -= Leavers(population_);
  population_ += tick_->enter;
}

void NodeHost::Populate(bool restart) {
  const std::uint64_t cycle = tick_->cycle;
  if (restart) {
    waiting_to_enter_ = population_;
    // Attacks and low power may have begun or ended while the server node was out.
    SetAttacks(tick_->attacks_active);
    swarm_.SetLowPower(tick_->low_power_level, &commands_);
  }
  // Newcomers wait with those that were there before the outage.
  std::uint32_t enter = 0;
  (restart || waiting_to_enter_ > 0 ? waiting_to_enter_ : enter) += tick_->enter;
  std::uint32_t leave = Leavers(swarm_.alive() + waiting_to_enter_);
  const std::uint32_t stay_away = std::min(leave, waiting_to_enter_);
  waiting_to_enter_ -= stay_away;
  leave -= stay_away;
  if (waiting_to_enter_ > 0 && !restart && synced_) enter += std::exchange(waiting_to_enter_, 0);
  if (tick_->churn_share > 0) {
    // A micro-node leaves once a cycle at most: who enters in a cycle stays to its end.
    const std::uint32_t churned = Round(std::min(1.0, tick_->churn_share) * swarm_.alive(), kChurnSalt);
    leave += churned;
    enter += churned;
  }
  const std::uint32_t before = swarm_.alive();
  if (leave > 0) swarm_.Leave(leave, cycle, &commands_);
  offline_ += before - swarm_.alive();
  if (tick_->attacks_end) {
    SetAttacks(tick_->attacks_active);
  } else {
    for (const NodeTick::AttackOrder& order : tick_->attacks_begin) BeginAttack(order);
  }
  if (tick_->low_power >= 0) swarm_.SetLowPower(tick_->low_power, &commands_);
  if (enter > 0) swarm_.Enter(enter, cycle, &commands_);
  online_ += enter;
  repaired_ = swarm_.Repair(cycle, &commands_);
}

}  // namespace lvs::hosting
