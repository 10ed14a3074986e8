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
using shard::Unit;
using Kind = RowCommand::Kind;

}  // namespace

Swarm::Swarm(SwarmConfig config)
    : config_(std::move(config)),
      holders_(config_.shards),
      first_row_(config_.shards),
      next_row_(config_.shards),
      resting_(config_.shards) {}

template <class F>
void Swarm::ForEachHeld(Number holder, F f) const {
  const std::size_t first = std::size_t{holder} * config_.shards_per_node;
  for (std::size_t n = 0; n < config_.shards_per_node; ++n) f(held_[first + n]);
  for (const Helper& helper : helpers_) {
    if (helper.holder == holder) f(helper.held);
  }
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

void Swarm::Command(Held held, Kind kind, Attack attack, ShardCommands* commands) {
  if (commands != nullptr) (*commands)[held.shard].push_back({kind, held.row, attack});
}

void Swarm::DropRow(Held held, std::uint64_t cycle, ShardCommands* commands) {
  Command(held, Kind::kLeave, Attack::kNone, commands);
  resting_[held.shard].emplace_back(cycle + shard::kRestCycles, held.row);
  --holders_[held.shard];
  --replicas_;
}

void Swarm::Hold(Number holder, std::uint32_t shard, std::uint64_t cycle, Held* held, ShardCommands* commands) {
  const MicroNode& micro_node = micro_nodes_[holder];
  *held = {static_cast<std::uint16_t>(shard), TakeRow(shard, cycle)};
  ++holders_[shard];
  ++replicas_;
  Command(*held, Kind::kEnter, Attack::kNone, commands);
  if (micro_node.attack != Attack::kNone) Command(*held, Kind::kAttackOn, micro_node.attack, commands);
  if (micro_node.low_power) Command(*held, Kind::kLowPowerOn, Attack::kNone, commands);
}

Swarm::Number Swarm::NewMicroNode(std::uint64_t cycle) {
  Number number;
  if (unused_.empty()) {
    number = static_cast<Number>(micro_nodes_.size());
    micro_nodes_.emplace_back();
    held_.resize(held_.size() + config_.shards_per_node);
  } else {
    number = unused_.back();
    unused_.pop_back();
  }
  MicroNode& fresh = micro_nodes_[number];
  fresh = {};
  fresh.session = Draw(config_.seed, Stream::kSession, ++sessions_begun_, cycle);
  fresh.alive_at = static_cast<std::uint32_t>(alive_.size());
  DrawAttack(&fresh);
  fresh.low_power =
      low_power_share_ > 0 && Unit(Draw(config_.seed, Stream::kLowPowerChoice, sessions_begun_, 0)) < low_power_share_;
  alive_.push_back(number);
  return number;
}

void Swarm::DrawAttack(MicroNode* newcomer) {
  for (std::size_t n = 0; n < counts_.size() && !newcomer->counted; ++n) {
    if (counts_[n].there >= counts_[n].wanted) continue;
    ++counts_[n].there;
    newcomer->attack = static_cast<Attack>(n);
    newcomer->counted = true;
  }
  double draw = Unit(Draw(config_.seed, Stream::kAdversaryChoice, sessions_begun_, ~0ull));
  for (const auto& [attack, share] : newcomer_attacks_) {
    if (draw < share && newcomer->attack == Attack::kNone) newcomer->attack = attack;
    draw -= share;
  }
  if (newcomer->attack != Attack::kNone) ++adversaries_;
}

std::vector<std::uint32_t> Swarm::Populate(std::uint32_t n) {
  micro_nodes_.reserve(n);
  held_.reserve(std::size_t{n} * config_.shards_per_node);
  alive_.reserve(n);
  Enter(n, 0, nullptr);
  Repair(0, nullptr);
  return holders_;
}

void Swarm::SetFirstRows(std::vector<std::uint32_t> first_row) {
  for (Held& held : held_) held.row += first_row[held.shard];
  for (Helper& helper : helpers_) helper.held.row += first_row[helper.held.shard];
  for (std::size_t s = 0; s < next_row_.size(); ++s) next_row_[s] += first_row[s];
  first_row_ = std::move(first_row);
}

void Swarm::Enter(std::uint32_t n, std::uint64_t cycle, ShardCommands* commands) {
  std::vector<std::uint32_t> shards;
  for (std::uint32_t i = 0; i < n; ++i) {
    const Number number = NewMicroNode(cycle);
    shard::PlaceMicroNode(micro_nodes_[number].session, config_.shards, config_.shards_per_node, &shards);
    Held* held = held_.data() + std::size_t{number} * config_.shards_per_node;
    for (const std::uint32_t s : shards) Hold(number, s, cycle, held++, commands);
  }
}

void Swarm::Leave(std::uint32_t n, std::uint64_t cycle, ShardCommands* commands) {
  for (std::uint32_t i = 0; i < n && !alive_.empty(); ++i) {
    const std::uint64_t draw = Draw(config_.seed, Stream::kChurn, i, cycle);
    const Number leaver = alive_[shard::Below(draw, static_cast<std::uint32_t>(alive_.size()))];
    ForEachHeld(leaver, [&](Held held) { DropRow(held, cycle, commands); });
    std::erase_if(helpers_, [leaver](const Helper& helper) { return helper.holder == leaver; });
    if (micro_nodes_[leaver].attack != Attack::kNone) --adversaries_;
    if (micro_nodes_[leaver].counted) --counts_[static_cast<std::size_t>(micro_nodes_[leaver].attack)].there;
    const std::uint32_t at = micro_nodes_[leaver].alive_at;
    alive_[at] = alive_.back();
    micro_nodes_[alive_[at]].alive_at = at;
    alive_.pop_back();
    unused_.push_back(leaver);
  }
}

void Swarm::Clear() {
  micro_nodes_.clear();
  held_.clear();
  helpers_.clear();
  alive_.clear();
  unused_.clear();
  std::fill(holders_.begin(), holders_.end(), 0);
  next_row_ = first_row_;
  for (auto& resting : resting_) resting.clear();
  for (Count& count : counts_) count.there = 0;
  replicas_ = 0;
  adversaries_ = 0;
}

// Micro-nodes that do not hold the shard yet, in the order in which they are chosen. All holders are found in one pass:
// a shard may lack as many as there are micro-nodes.
std::vector<Swarm::Number> Swarm::ChooseHelpers(std::uint32_t shard, std::size_t count) const {
  std::vector<bool> holds(micro_nodes_.size());
  for (const Number number : alive_) {
    const auto first = held_.begin() + static_cast<std::ptrdiff_t>(std::size_t{number} * config_.shards_per_node);
    holds[number] = std::any_of(first, first + static_cast<std::ptrdiff_t>(config_.shards_per_node),
                                [shard](Held held) { return held.shard == shard; });
  }
  for (const Helper& helper : helpers_) {
    if (helper.held.shard == shard) holds[helper.holder] = true;
  }
  std::vector<Number> numbers;
  std::vector<std::uint64_t> sessions;
  for (const Number number : alive_) {
    if (holds[number]) continue;
    numbers.push_back(number);
    sessions.push_back(micro_nodes_[number].session);
  }
  std::vector<Number> helpers;
  for (const std::size_t chosen : shard::ChooseRepairers(shard, sessions, count)) helpers.push_back(numbers[chosen]);
  return helpers;
}

std::uint64_t Swarm::Repair(std::uint64_t cycle, ShardCommands* commands) {
  const std::uint32_t wanted = std::min(config_.replicas_min, alive());
  std::uint64_t repaired = 0;
  for (std::uint32_t s = 0; s < config_.shards; ++s) {
    if (holders_[s] >= wanted) continue;
    for (const Number helper : ChooseHelpers(s, wanted - holders_[s])) {
      Held held{};
      Hold(helper, s, cycle, &held, commands);
      helpers_.push_back({helper, held});
      ++repaired;
    }
  }
  // A helper goes only when the shard has more than twice what it needs: a shard at the limit would flap.
  std::erase_if(helpers_, [&](const Helper& helper) {
    if (holders_[helper.held.shard] <= 2 * config_.replicas_min) return false;
    DropRow(helper.held, cycle, commands);
    return true;
  });
  return repaired;
}

void Swarm::BeginAttack(Attack attack, std::uint32_t count, double share, std::uint64_t cycle,
                        ShardCommands* commands) {
  const bool counted = share <= 0;
  Count& sum = counts_[static_cast<std::size_t>(attack)];
  if (counted) {
    sum.wanted += count;
  } else {
    newcomer_attacks_.emplace_back(attack, share);
  }
  // A partial shuffle of the honest ones: the first `count` turn.
  std::vector<Number> honest;
  for (const Number number : alive_) {
    if (micro_nodes_[number].attack == Attack::kNone) honest.push_back(number);
  }
  count = std::min(count, static_cast<std::uint32_t>(honest.size()));
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t draw = Draw(config_.seed, Stream::kAdversaryChoice, i, cycle);
    std::swap(honest[i], honest[i + shard::Below(draw, static_cast<std::uint32_t>(honest.size()) - i)]);
    micro_nodes_[honest[i]].attack = attack;
    micro_nodes_[honest[i]].counted = counted;
    sum.there += counted ? 1 : 0;
    ++adversaries_;
    ForEachHeld(honest[i], [&](Held held) { Command(held, Kind::kAttackOn, attack, commands); });
  }
}

void Swarm::EndAttacks(ShardCommands* commands) {
  newcomer_attacks_.clear();
  counts_ = {};
  for (const Number number : alive_) {
    if (micro_nodes_[number].attack == Attack::kNone) continue;
    micro_nodes_[number].attack = Attack::kNone;
    micro_nodes_[number].counted = false;
    ForEachHeld(number, [&](Held held) { Command(held, Kind::kAttackOff, Attack::kNone, commands); });
  }
  adversaries_ = 0;
}

void Swarm::SetLowPower(double share, ShardCommands* commands) {
  low_power_share_ = share;
  for (const Number number : alive_) {
    const bool low = Unit(Draw(config_.seed, Stream::kLowPowerChoice, number, 1)) < share;
    if (low == micro_nodes_[number].low_power) continue;
    micro_nodes_[number].low_power = low;
    const Kind kind = low ? Kind::kLowPowerOn : Kind::kLowPowerOff;
    ForEachHeld(number, [&](Held held) { Command(held, kind, Attack::kNone, commands); });
  }
}

std::size_t Swarm::resident_bytes() const {
  return micro_nodes_.capacity() * sizeof(MicroNode) + held_.capacity() * sizeof(Held) + alive_.capacity() * 4;
}

}  // namespace lvs::hosting
