// The clients of a run: they contribute, wait until enough server nodes hold what they contributed, and try elsewhere
// when no answer comes (architecture.md, "Value, end to end"). What was acknowledged to them is the truth that the
// network is measured against: to the last micro-VU, nothing of it may be missing.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "shard/hosting/messages.h"

namespace lvs::services {

class Workload {
 public:
  // `policy` is what the network allows a session; only forgers go beyond it.
  Workload(const v1::Scenario& scenario, std::uint32_t nodes, shard::ContributionPolicy policy);

  // The contributions of this cycle, by server node; retries among them. `node_alive`: up, and with micro-nodes. `open`
  // is false once the run settles: then only what is pending is tried again. `forgers` clients claim as much as a
  // session may, and ten times more.
  std::vector<std::vector<hosting::Contribution>> Cycle(std::uint64_t cycle, bool open,
                                                        const std::vector<bool>& node_alive, std::uint32_t forgers);
  // An answer of cycle `cycle`.
  void Take(const hosting::Answer& answer, std::uint64_t cycle);

  // Acknowledged so far, by shard and slot, the opening balance included.
  const std::vector<shard::SlotAmounts>& accepted_uvu() const { return accepted_; }
  std::uint64_t contributions() const { return contributions_; }
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

  std::uint32_t PickNode(std::uint64_t draw, const std::vector<bool>& node_alive) const;
  void Submit(std::uint64_t key, const Pending& pending, std::vector<std::vector<hosting::Contribution>>* out);

  v1::Workload workload_;
  std::uint32_t shards_;
  std::uint32_t slots_;
  std::uint32_t nodes_;
  std::uint64_t seed_;
  double per_cycle_;
  std::uint32_t needed_;
  std::uint32_t needed_now_ = 1;
  shard::ContributionPolicy policy_;
  std::unordered_map<std::uint64_t, Session> sessions_;  // by client and shard
  std::unordered_map<std::uint64_t, Pending> pending_;   // by attempt
  std::vector<std::uint64_t> order_;                     // attempts, oldest first
  std::vector<shard::SlotAmounts> accepted_;
  std::uint64_t next_id_ = 1;
  std::uint64_t contributions_ = 0;
  double owed_ = 0;
};

}  // namespace lvs::services
