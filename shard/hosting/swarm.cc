#include "shard/hosting/swarm.h"

#include <algorithm>
#include <utility>

#include "shard/last_words.h"
#include "shard/placement.h"
#include "shard/random.h"

namespace lvs::hosting {

namespace {

using shard::Draw;
using shard::Stream;
using Kind = RowCommand::Kind;

}  // namespace

Swarm::Swarm(SwarmConfig config)
    : config_(std::move(config)),
      holders_(config_.shards),
      first_row_(config_.shards),
      next_row_(config_.shards),
      resting_(config_.shards) {}

template <class F>
void Swarm::ForEachHeld(std::uint32_t node, F f) const {
  const std::size_t first = std::size_t{node} * config_.shards_per_node;
  for (std::size_t n = 0; n < config_.shards_per_node; ++n) f(held_[first + n]);
  for (const Helper& helper : helpers_) {
    if (helper.node == node) f(helper.held);
  }
}

bool Swarm::Holds(std::uint32_t node, std::uint32_t shard) const {
  bool holds = false;
  ForEachHeld(node, [&](Held held) { holds |= held.shard == shard; });
  return holds;
}

std::uint32_t Swarm::TakeRow(std::uint32_t shard, std::uint64_t cycle) {
  auto& resting = resting_[shard];
  if (!resting.empty() && resting.front().first <= cycle) {
    const std::uint32_t row = resting.front().second;
    resting.pop_front();
    return row;
  }
  return next_row_[shard]++;
}

void Swarm::Command(Held held, Kind kind, v1::Attack attack, ShardCommands* commands) {
  if (commands != nullptr) (*commands)[held.shard].push_back({kind, held.row, attack});
}

void Swarm::DropRow(Held held, std::uint64_t cycle, ShardCommands* commands) {
  Command(held, Kind::kLeave, v1::ATTACK_UNSPECIFIED, commands);
  resting_[held.shard].emplace_back(cycle + shard::kRestCycles, held.row);
  --holders_[held.shard];
  --replicas_;
}

void Swarm::Hold(std::uint32_t node, std::uint32_t shard, std::uint64_t cycle, Held* held, ShardCommands* commands) {
  *held = {static_cast<std::uint16_t>(shard), TakeRow(shard, cycle)};
  ++holders_[shard];
  ++replicas_;
  Command(*held, Kind::kJoin, v1::ATTACK_UNSPECIFIED, commands);
  if (nodes_[node].attack != v1::ATTACK_UNSPECIFIED)
    Command(*held, Kind::kAttackOn, static_cast<v1::Attack>(nodes_[node].attack), commands);
  if (nodes_[node].low_power) Command(*held, Kind::kLowPowerOn, v1::ATTACK_UNSPECIFIED, commands);
}

std::uint32_t Swarm::NewNode(std::uint64_t cycle) {
  std::uint32_t node;
  if (free_nodes_.empty()) {
    node = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
    held_.resize(held_.size() + config_.shards_per_node);
  } else {
    node = free_nodes_.back();
    free_nodes_.pop_back();
  }
  MicroNode& fresh = nodes_[node];
  fresh = {};
  fresh.session = Draw(config_.seed, Stream::kSession, ++sessions_, cycle);
  fresh.alive_at = static_cast<std::uint32_t>(alive_.size());
  double draw = shard::Unit(Draw(config_.seed, Stream::kAdversaryChoice, sessions_, ~0ull));
  for (const auto& [attack, share] : joiner_attacks_) {
    if (draw < share && fresh.attack == v1::ATTACK_UNSPECIFIED) {
      fresh.attack = static_cast<std::uint8_t>(attack);
      ++adversaries_;
    }
    draw -= share;
  }
  fresh.low_power =
      low_power_share_ > 0 && shard::Unit(Draw(config_.seed, Stream::kLowPowerChoice, sessions_, 0)) < low_power_share_;
  alive_.push_back(node);
  return node;
}

std::vector<std::uint32_t> Swarm::Populate(std::uint32_t n) {
  nodes_.reserve(n);
  held_.reserve(std::size_t{n} * config_.shards_per_node);
  alive_.reserve(n);
  Join(n, 0, nullptr);
  Repair(0, nullptr);
  return holders_;
}

void Swarm::SetFirstRows(std::vector<std::uint32_t> first_row) {
  for (Held& held : held_) held.row += first_row[held.shard];
  for (Helper& helper : helpers_) helper.held.row += first_row[helper.held.shard];
  for (std::size_t s = 0; s < next_row_.size(); ++s) next_row_[s] += first_row[s];
  first_row_ = std::move(first_row);
}

void Swarm::Join(std::uint32_t n, std::uint64_t cycle, ShardCommands* commands) {
  std::vector<std::uint32_t> shards;
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t node = NewNode(cycle);
    shard::PlaceMicroNode(nodes_[node].session, config_.shards, config_.shards_per_node, &shards);
    Held* held = held_.data() + std::size_t{node} * config_.shards_per_node;
    for (const std::uint32_t s : shards) Hold(node, s, cycle, held++, commands);
  }
}

void Swarm::Leave(std::uint32_t n, std::uint64_t cycle, ShardCommands* commands) {
  for (std::uint32_t i = 0; i < n && !alive_.empty(); ++i) {
    const std::uint64_t draw = Draw(config_.seed, Stream::kChurn, i, cycle);
    const std::uint32_t node = alive_[shard::Below(draw, static_cast<std::uint32_t>(alive_.size()))];
    ForEachHeld(node, [&](Held held) { DropRow(held, cycle, commands); });
    std::erase_if(helpers_, [node](const Helper& helper) { return helper.node == node; });
    if (nodes_[node].attack != v1::ATTACK_UNSPECIFIED) --adversaries_;
    const std::uint32_t at = nodes_[node].alive_at;
    alive_[at] = alive_.back();
    nodes_[alive_[at]].alive_at = at;
    alive_.pop_back();
    free_nodes_.push_back(node);
  }
}

void Swarm::Clear() {
  nodes_.clear();
  held_.clear();
  helpers_.clear();
  alive_.clear();
  free_nodes_.clear();
  std::fill(holders_.begin(), holders_.end(), 0);
  next_row_ = first_row_;
  for (auto& resting : resting_) resting.clear();
  replicas_ = 0;
  adversaries_ = 0;
}

std::uint64_t Swarm::Repair(std::uint64_t cycle, ShardCommands* commands) {
  const std::uint32_t wanted = std::min(config_.replicas_min, alive());
  std::uint64_t repaired = 0;
  std::vector<std::uint32_t> candidates;
  std::vector<std::uint64_t> sessions;
  for (std::uint32_t s = 0; s < config_.shards; ++s) {
    while (holders_[s] < wanted) {
      candidates.clear();
      sessions.clear();
      for (const std::uint32_t node : alive_) {
        if (Holds(node, s)) continue;
        candidates.push_back(node);
        sessions.push_back(nodes_[node].session);
      }
      const std::uint32_t node = candidates[shard::ChooseRepairer(s, sessions)];
      Held held{};
      Hold(node, s, cycle, &held, commands);
      helpers_.push_back({node, held});
      ++repaired;
    }
  }
  // A helper goes when the shard has twice what it needs: not at once, or a shard at the limit would flap.
  std::erase_if(helpers_, [&](const Helper& helper) {
    if (holders_[helper.held.shard] <= 2 * config_.replicas_min) return false;
    DropRow(helper.held, cycle, commands);
    return true;
  });
  return repaired;
}

void Swarm::BeginAttack(v1::Attack attack, std::uint32_t count, double share, std::uint64_t cycle,
                        ShardCommands* commands) {
  if (share > 0) joiner_attacks_.emplace_back(attack, share);
  // A partial shuffle of the honest ones: the first `count` turn.
  std::vector<std::uint32_t> honest;
  for (const std::uint32_t node : alive_) {
    if (nodes_[node].attack == v1::ATTACK_UNSPECIFIED) honest.push_back(node);
  }
  count = std::min(count, static_cast<std::uint32_t>(honest.size()));
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t draw = Draw(config_.seed, Stream::kAdversaryChoice, i, cycle);
    std::swap(honest[i], honest[i + shard::Below(draw, static_cast<std::uint32_t>(honest.size()) - i)]);
    nodes_[honest[i]].attack = static_cast<std::uint8_t>(attack);
    ++adversaries_;
    ForEachHeld(honest[i], [&](Held held) { Command(held, Kind::kAttackOn, attack, commands); });
  }
}

void Swarm::EndAttacks(ShardCommands* commands) {
  joiner_attacks_.clear();
  for (const std::uint32_t node : alive_) {
    if (nodes_[node].attack == v1::ATTACK_UNSPECIFIED) continue;
    nodes_[node].attack = v1::ATTACK_UNSPECIFIED;
    ForEachHeld(node, [&](Held held) { Command(held, Kind::kAttackOff, v1::ATTACK_UNSPECIFIED, commands); });
  }
  adversaries_ = 0;
}

void Swarm::SetLowPower(double share, ShardCommands* commands) {
  low_power_share_ = share;
  for (const std::uint32_t node : alive_) {
    const bool low = shard::Unit(Draw(config_.seed, Stream::kLowPowerChoice, node, 1)) < share;
    if (low == nodes_[node].low_power) continue;
    nodes_[node].low_power = low;
    ForEachHeld(node, [&](Held held) {
      Command(held, low ? Kind::kLowPowerOn : Kind::kLowPowerOff, v1::ATTACK_UNSPECIFIED, commands);
    });
  }
}

std::size_t Swarm::resident_bytes() const {
  return nodes_.capacity() * sizeof(MicroNode) + held_.capacity() * sizeof(Held) + alive_.capacity() * 4;
}

}  // namespace lvs::hosting
