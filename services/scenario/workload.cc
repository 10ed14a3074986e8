#include "services/scenario/workload.h"

#include <algorithm>
#include <utility>

#include "shard/random.h"
#include "shard/value_engine.h"

namespace lvs::services {

namespace {

using hosting::Answer;
using hosting::Contribution;

using shard::Below;
using shard::Draw;
using shard::Mix;
using shard::Stream;
using shard::Unit;

// A client that got no answer for this long tries another server node.
constexpr std::uint64_t kRetryCycles = 25;
// Contributions in flight; above it clients wait.
constexpr std::size_t kPendingMax = 1 << 20;
// Forgers' sessions are counted from here.
constexpr std::uint64_t kForgerClient = std::uint64_t{1} << 40;
// A forger tries in this share of the cycles, and claims this many times what its session may have earned.
constexpr double kForgeShare = 0.05;
constexpr std::int64_t kForgeFactor = 10;

}  // namespace

Workload::Workload(const v1::Scenario& scenario, std::uint32_t nodes, shard::ContributionPolicy policy)
    : workload_(scenario.workload()),
      shards_(scenario.state().shards()),
      slots_(scenario.state().value_slots()),
      nodes_(nodes),
      seed_(scenario.seed()),
      per_cycle_(scenario.workload().contributions_per_second() * static_cast<double>(scenario.cycle().period_us()) *
                 1e-6),
      needed_(std::max(1u, std::min(scenario.workload().acknowledge_nodes(), nodes))),
      policy_(policy),
      accepted_(shards_) {
  for (shard::SlotAmounts& slots : accepted_) {
    for (std::uint32_t s = 0; s < slots_; ++s) slots[s] = scenario.state().opening_balance_uvu();
  }
}

std::uint32_t Workload::PickNode(std::uint64_t draw, const std::vector<bool>& node_alive) const {
  const std::uint32_t first = Below(draw, nodes_);
  for (std::uint32_t n = 0; n < nodes_; ++n) {
    const std::uint32_t node = (first + n) % nodes_;
    if (node_alive[node]) return node;
  }
  return first;
}

void Workload::Submit(std::uint64_t id, const Pending& pending, Round* round) const {
  round->out[pending.node].push_back({id, pending.shard, needed_, pending.entry});
}

std::vector<std::vector<Contribution>> Workload::Cycle(std::uint64_t cycle, bool open,
                                                       const std::vector<bool>& node_alive, std::uint32_t forgers) {
  Round round{cycle, node_alive, std::vector<std::vector<Contribution>>(nodes_)};
  Retry(&round);
  if (open) {
    Contribute(&round);
    Forge(forgers, &round);
  }
  return std::move(round.out);
}

// Sends again what got no answer for too long.
void Workload::Retry(Round* round) {
  std::erase_if(order_, [this](std::uint64_t id) { return !pending_.contains(id); });
  for (const std::uint64_t id : order_) {
    Pending& waiting = pending_.at(id);
    if (round->cycle < waiting.sent_cycle + kRetryCycles) continue;
    waiting.sent_cycle = round->cycle;
    waiting.node = PickNode(Draw(seed_, Stream::kWorkload, id, round->cycle), round->node_alive);
    Submit(id, waiting, round);
  }
}

void Workload::Contribute(Round* round) {
  owed_ += per_cycle_;
  const std::int64_t least = workload_.amount().min_uvu();
  const std::int64_t most = std::max(least, workload_.amount().max_uvu());
  while (owed_ >= 1 && pending_.size() < kPendingMax) {
    owed_ -= 1;
    const std::uint64_t draw = Draw(seed_, Stream::kWorkload, ++drawn_, 0);
    // An action is worth what the value engine says; its size is drawn evenly.
    const auto milli = static_cast<std::int64_t>(static_cast<double>(least) / 1000 +
                                                 Unit(Mix(draw + 3)) * static_cast<double>(most - least) / 1000);
    Action action;
    action.client = Below(draw, std::max(1u, workload_.sessions()));
    action.shard = Below(Mix(draw + 1), shards_);
    action.slot = Below(Mix(draw + 2), slots_);
    action.amount_uvu = shard::ContributionValue(shard::ActionKind::kContribution, std::max<std::int64_t>(milli, 1));
    Begin(action, round);
  }
}

void Workload::Forge(std::uint32_t forgers, Round* round) {
  for (std::uint32_t f = 0; f < forgers; ++f) {
    const std::uint64_t draw = Draw(seed_, Stream::kAttack, f, round->cycle);
    if (Unit(draw) > kForgeShare) continue;
    const std::uint32_t shard = Below(Mix(draw), shards_);
    const std::uint64_t client = kForgerClient + f;
    const shard::LedgerEntry& entry = sessions_[SessionKey(client, shard)].entry;
    const std::uint64_t opened = entry.session == shard::SessionId{} ? round->cycle : entry.opened_cycle;
    const std::int64_t allowed_uvu = policy_.Allowed(round->cycle - opened);
    std::int64_t claimed_uvu = 0;
    for (const std::int64_t amount : entry.amount_uvu) claimed_uvu += amount;
    Begin({client, shard, 0, kForgeFactor * allowed_uvu, /*forged=*/true}, round);
    if (claimed_uvu < allowed_uvu) Begin({client, shard, 0, allowed_uvu - claimed_uvu, /*forged=*/false}, round);
  }
}

void Workload::Begin(const Action& action, Round* round) {
  const std::uint64_t key = SessionKey(action.client, action.shard);
  Session& session = sessions_[key];
  if (session.entry.session == shard::SessionId{}) {
    session.entry.session = {Draw(seed_, Stream::kSession, key, 1), Draw(seed_, Stream::kSession, key, 2)};
    session.entry.opened_cycle = round->cycle;
  }
  shard::LedgerEntry entry = session.entry;
  entry.amount_uvu[action.slot] += action.amount_uvu;
  if (!action.forged) {
    session.entry = entry;
    ++offered_;
  }
  const std::uint64_t id = next_id_++;
  const std::uint32_t node = PickNode(Draw(seed_, Stream::kRegion, id, round->cycle), round->node_alive);
  const Pending waiting{key, action.shard, entry, round->cycle, node, action.forged};
  Submit(id, waiting, round);
  pending_.emplace(id, waiting);
  order_.push_back(id);
}

void Workload::Take(const Answer& answer, std::uint64_t cycle) {
  const auto at = pending_.find(answer.id);
  if (at == pending_.end()) return;  // an earlier attempt was answered
  const Pending& waiting = at->second;
  if (!answer.accepted) {
    // A forger is turned away. An honest client was at a server node that cannot take it now, and tries again.
    if (waiting.forged) pending_.erase(at);
    return;
  }
  if (waiting.forged) {  // a wrong acceptance is no part of the truth, so that it shows as an excess
    pending_.erase(at);
    return;
  }
  ++acknowledged_;
  Session& session = sessions_[waiting.session];
  for (std::uint32_t s = 0; s < slots_; ++s) {
    const std::int64_t gain = waiting.entry.amount_uvu[s] - session.accepted_uvu[s];
    if (gain <= 0) continue;
    session.accepted_uvu[s] += gain;
    accepted_[waiting.shard][s] += gain;
  }
  pending_.erase(at);
}

}  // namespace lvs::services
