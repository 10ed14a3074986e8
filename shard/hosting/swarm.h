// The swarm of one server node: its micro-nodes, which shards each one holds, and how they come and go (SPEC-9,
// ARCH-2.1). Plain bookkeeping: the node host asks it for the row commands of each cycle.
//
//   Swarm swarm(config);
//   swarm.Populate(4000);                         // before the first cycle
//   swarm.SetFirstRows(rows_after_the_halo);
//   swarm.Leave(12, cycle, &commands);            // 12 leave without a word,
//   swarm.Enter(12, cycle, &commands);            // and 12 new ones enter
//   swarm.Repair(cycle, &commands);               // shards under r_min get new holders (ARCH-4, SPEC-10)
//
// Rows of micro-nodes that left rest until the shard has moved their last words elsewhere (shard/last_words.h).
// Deterministic: the same seed and calls give the same commands. One owner at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "shard/hosting/messages.h"

namespace lvs::hosting {

struct SwarmConfig {
  std::uint32_t shards = 16;
  std::uint32_t shards_per_node = 4;  // that each micro-node holds
  std::uint32_t replicas_min = 3;     // r_min
  std::uint64_t seed = 0;             // of this server node
};

// Commands by shard.
using ShardCommands = std::vector<std::vector<RowCommand>>;

class Swarm {
 public:
  explicit Swarm(SwarmConfig config);

  // The population before the first cycle: places `n` micro-nodes and repairs. Returns the replicas of each shard,
  // which take the first local rows in order.
  std::vector<std::uint32_t> Populate(std::uint32_t n);
  // Sets where the local rows of each shard begin; once, after Populate. Until then rows are counted from 0.
  void SetFirstRows(std::vector<std::uint32_t> first_row);

  void Enter(std::uint32_t n, std::uint64_t cycle, ShardCommands* commands);
  // Random micro-nodes leave without a word; at most all.
  void Leave(std::uint32_t n, std::uint64_t cycle, ShardCommands* commands);
  // The server node died, and all of its micro-nodes with it. Rows start anew.
  void Clear();
  // Gives shards under r_min new holders, and lets go of helpers that are not needed any more. Returns the new
  // replicas.
  std::uint64_t Repair(std::uint64_t cycle, ShardCommands* commands);

  // `count` honest micro-nodes turn hostile. Those that enter later do so with probability `share`; where that is 0, a
  // newcomer takes the place of each adversary that `count` lacks, so churn does not thin them out.
  void BeginAttack(Attack attack, std::uint32_t count, double share, std::uint64_t cycle, ShardCommands* commands);
  void EndAttacks(ShardCommands* commands);
  // This share of the micro-nodes runs in low power from now on.
  void SetLowPower(double share, ShardCommands* commands);

  std::uint32_t alive() const { return static_cast<std::uint32_t>(alive_.size()); }
  std::uint64_t adversaries() const { return adversaries_; }
  std::uint64_t replicas() const { return replicas_; }
  std::size_t resident_bytes() const;

 private:
  // A micro-node's number is its position in micro_nodes_, used again after it left.
  using Number = std::uint32_t;

  struct MicroNode {
    std::uint64_t session = 0;
    std::uint32_t alive_at = 0;  // position in alive_
    Attack attack = Attack::kNone;
    bool low_power = false;
    bool counted = false;  // one of the adversaries of a count
  };
  // The adversaries of one attack that were asked for by a count: so many should be there, and so many are.
  struct Count {
    std::uint32_t wanted = 0;
    std::uint32_t there = 0;
  };
  struct Held {
    std::uint16_t shard;
    std::uint32_t row;
  };
  // A replica that a micro-node holds beyond its own shards, to repair one.
  struct Helper {
    Number holder;
    Held held;
  };

  Number NewMicroNode(std::uint64_t cycle);
  void DrawAttack(MicroNode* newcomer);
  std::uint32_t TakeRow(std::uint32_t shard, std::uint64_t cycle);
  void DropRow(Held held, std::uint64_t cycle, ShardCommands* commands);
  void Hold(Number holder, std::uint32_t shard, std::uint64_t cycle, Held* held, ShardCommands* commands);
  void Command(Held held, RowCommand::Kind kind, Attack attack, ShardCommands* commands);
  std::vector<Number> ChooseHelpers(std::uint32_t shard, std::size_t count) const;
  template <class F>
  void ForEachHeld(Number holder, F f) const;

  SwarmConfig config_;
  std::vector<MicroNode> micro_nodes_;
  std::vector<Held> held_;  // shards_per_node for each micro-node
  std::vector<Helper> helpers_;
  std::vector<Number> alive_;
  std::vector<Number> unused_;
  std::vector<std::uint32_t> holders_;  // live replicas by shard
  std::vector<std::uint32_t> first_row_;
  std::vector<std::uint32_t> next_row_;
  // By shard: rows that rest, and from which cycle on each may be used again.
  std::vector<std::deque<std::pair<std::uint64_t, std::uint32_t>>> resting_;
  std::uint64_t replicas_ = 0;
  std::uint64_t adversaries_ = 0;
  std::uint64_t sessions_begun_ = 0;
  std::vector<std::pair<Attack, double>> newcomer_attacks_;  // and the share of newcomers that turn to each
  std::array<Count, kAttacks> counts_{};                     // by attack
  double low_power_share_ = 0;
};

}  // namespace lvs::hosting
