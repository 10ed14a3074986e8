#include "services/scenario/workload.h"

#include <algorithm>
#include <cmath>

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

void Workload::Submit(std::uint64_t key, const Pending& pending, std::vector<std::vector<Contribution>>* out) {
  (*out)[pending.node].push_back({key, pending.shard, needed_now_, pending.entry});
}

std::vector<std::vector<Contribution>> Workload::Cycle(std::uint64_t cycle, bool open,
                                                       const std::vector<bool>& node_alive, std::uint32_t forgers) {
  std::vector<std::vector<Contribution>> out(nodes_);
  // Where fewer server nodes are left than a client wants, all that are left must do (PAPER-8).
  needed_now_ = std::max<std::uint32_t>(
      1, std::min(needed_, static_cast<std::uint32_t>(std::count(node_alive.begin(), node_alive.end(), true))));
  std::erase_if(order_, [this](std::uint64_t id) { return !pending_.contains(id); });
  for (const std::uint64_t id : order_) {
    Pending& waiting = pending_.at(id);
    if (cycle < waiting.sent_cycle + kRetryCycles) continue;
    waiting.sent_cycle = cycle;
    waiting.node = PickNode(Draw(seed_, Stream::kWorkload, id, cycle), node_alive);
    Submit(id, waiting, &out);
  }
  if (!open) return out;

  const auto begin = [&](std::uint64_t client, std::uint32_t shard, std::uint32_t slot, std::int64_t amount_uvu,
                         bool forged) {
    const std::uint64_t key = client * shards_ + shard;
    Session& session = sessions_[key];
    if (session.entry.session == shard::SessionId{}) {
      session.entry.session = {Draw(seed_, Stream::kSession, key, 1), Draw(seed_, Stream::kSession, key, 2)};
      session.entry.opened_cycle = cycle;
    }
    shard::LedgerEntry entry = session.entry;
    entry.amount_uvu[slot] += amount_uvu;
    if (!forged) session.entry = entry;
    const std::uint64_t id = next_id_++;
    Pending waiting{key, shard, entry, cycle, PickNode(Draw(seed_, Stream::kRegion, id, cycle), node_alive), forged};
    Submit(id, waiting, &out);
    pending_.emplace(id, waiting);
    order_.push_back(id);
  };

  owed_ += per_cycle_;
  const std::int64_t least = workload_.amount().min_uvu();
  const std::int64_t most = std::max(least, workload_.amount().max_uvu());
  while (owed_ >= 1 && pending_.size() < kPendingMax) {
    owed_ -= 1;
    ++contributions_;
    const std::uint64_t draw = Draw(seed_, Stream::kWorkload, contributions_, 0);
    const std::uint32_t client = Below(draw, std::max(1u, workload_.sessions()));
    const std::uint32_t shard = Below(Mix(draw + 1), shards_);
    const std::uint32_t slot = Below(Mix(draw + 2), slots_);
    // An action is worth what the value engine says; its size is drawn evenly.
    const auto milli = static_cast<std::int64_t>(static_cast<double>(least) / 1000 +
                                                 Unit(Mix(draw + 3)) * static_cast<double>(most - least) / 1000);
    begin(client, shard, slot,
          shard::ContributionValue(shard::ActionKind::kContribution, std::max<std::int64_t>(milli, 1)), false);
  }
  for (std::uint32_t f = 0; f < forgers; ++f) {
    const std::uint64_t draw = Draw(seed_, Stream::kAttack, f, cycle);
    if (Unit(draw) > 0.05) continue;
    const std::uint32_t shard = Below(Mix(draw), shards_);
    const std::uint64_t client = kForgerClient + f;
    const Session& session = sessions_[client * shards_ + shard];
    const std::uint64_t opened = session.entry.session == shard::SessionId{} ? cycle : session.entry.opened_cycle;
    std::int64_t claimed = 0;
    for (const std::int64_t amount : session.entry.amount_uvu) claimed += amount;
    const std::int64_t room = policy_.Allowed(cycle - opened) - claimed;
    begin(client, shard, 0, 10 * policy_.Allowed(cycle - opened), true);
    if (room > 0) begin(client, shard, 0, room, false);
  }
  return out;
}

void Workload::Take(const Answer& answer, std::uint64_t cycle) {
  const auto at = pending_.find(answer.id);
  if (at == pending_.end()) return;  // an earlier attempt was answered
  const Pending& waiting = at->second;
  if (!answer.accepted) {
    // A forger is turned away; an honest client was at a node that cannot take it now, and tries again.
    if (waiting.forged) pending_.erase(at);
    return;
  }
  if (waiting.forged) {  // it should not have been: no part of the truth, so it shows as an excess
    pending_.erase(at);
    return;
  }
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
