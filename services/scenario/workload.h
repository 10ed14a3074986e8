// The clients of a run: they contribute, wait until enough server nodes hold what they contributed, and try elsewhere
// when no answer comes (architecture.md, "Value, end to end"). What was acknowledged to them is the truth that the
// network is measured against: to the last micro-VU, nothing of it may be missing.
//
//   Workload workload(scenario, /*nodes=*/3, policy);
//   // Every cycle:
//   const auto contributions = workload.Cycle(cycle, open, node_alive, forgers);   // by server node
//   for (const hosting::Answer& answer : answers) workload.Take(answer, cycle);
//
// A given scenario and the same answers always give the same contributions. One owner at a time.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "lvs/v1/scenario.pb.h"
#include "shard/hosting/messages.h"

namespace lvs::services {

class Workload {
 public:
  // `policy` is what the network allows a session; only forgers go beyond it.
  Workload(const v1::Scenario& scenario, std::uint32_t nodes, shard::ContributionPolicy policy);

  // The contributions of this cycle, by server node; retries among them. `node_alive`: up, and with micro-nodes. `open`
  // is false once the run settles: from then on only pending contributions are tried again. `forgers` clients claim as
  // much as a session may, and ten times more.
  std::vector<std::vector<hosting::Contribution>> Cycle(std::uint64_t cycle, bool open,
                                                        const std::vector<bool>& node_alive, std::uint32_t forgers);
  // An answer of cycle `cycle`.
  void Take(const hosting::Answer& answer, std::uint64_t cycle);

  // Acknowledged so far, by shard and slot, the opening balance included.
  const std::vector<shard::SlotAmounts>& accepted_uvu() const { return accepted_; }
  // Contributions that clients made, and those of them that were acknowledged; without what forgers claim beyond what
  // they may.
  std::uint64_t offered() const { return offered_; }
  std::uint64_t acknowledged() const { return acknowledged_; }
  std::uint64_t pending() const { return pending_.size(); }

 private:
  struct Session {
    shard::LedgerEntry entry;  // as the client counts it
    shard::SlotAmounts accepted_uvu{};
  };
  struct Pending {
    std::uint64_t session = 0;  // key
    std::uint32_t shard = 0;
    shard::LedgerEntry entry;
    std::uint64_t sent_cycle = 0;
    std::uint32_t node = 0;
    bool forged = false;
  };
  // One cycle's work, and what comes of it.
  struct Round {
    std::uint64_t cycle;
    const std::vector<bool>& node_alive;
    std::vector<std::vector<hosting::Contribution>> out;  // by server node
  };
  // What a client does: adds `amount_uvu` to its session.
  struct Action {
    std::uint64_t client = 0;
    std::uint32_t shard = 0;
    std::uint32_t slot = 0;
    std::int64_t amount_uvu = 0;
    bool forged = false;  // a lie that the client does not count for itself
  };

  std::uint64_t SessionKey(std::uint64_t client, std::uint32_t shard) const { return client * shards_ + shard; }
  std::uint32_t PickNode(std::uint64_t draw, const std::vector<bool>& node_alive) const;
  void Retry(Round* round);
  void Contribute(Round* round);
  void Forge(std::uint32_t forgers, Round* round);
  void Begin(const Action& action, Round* round);
  void Submit(std::uint64_t id, const Pending& pending, Round* round) const;

  v1::Workload workload_;
  std::uint32_t shards_;
  std::uint32_t slots_;
  std::uint32_t nodes_;
  std::uint64_t seed_;
  double per_cycle_;
  std::uint32_t needed_;  // server nodes that must hold a contribution, however many are left
  shard::ContributionPolicy policy_;
  std::unordered_map<std::uint64_t, Session> sessions_;  // by SessionKey
  std::unordered_map<std::uint64_t, Pending> pending_;   // by attempt
  std::vector<std::uint64_t> order_;                     // attempts, oldest first
  std::vector<shard::SlotAmounts> accepted_;
  std::uint64_t next_id_ = 1;
  std::uint64_t drawn_ = 0;  // contributions of the workload
  std::uint64_t offered_ = 0;
  std::uint64_t acknowledged_ = 0;
  double owed_ = 0;  // contributions that are due, a fraction included
};

}  // namespace lvs::services
