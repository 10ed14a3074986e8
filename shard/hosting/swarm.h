// The swarm of one server node: its micro-nodes, which shards each one holds, and how they come and go (SPEC-9,
// ARCH-2.1). Plain bookkeeping, no actor: the node runtime asks it for the row commands of each cycle.
//
//   Swarm swarm(config);
//   swarm.Populate(4000);                         // before the first cycle
//   swarm.SetFirstRows(rows_after_the_halo);
//   swarm.Churn(12, cycle, &commands);            // 12 leave without a word, 12 new ones join
//   swarm.Repair(cycle, &commands);               // shards under r_min get new holders (ARCH-4, SPEC-10)
//
// Rows of those who left rest until the shard has moved their last words elsewhere (shard/last_words.h).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "shard/hosting/messages.h"

namespace lvs::hosting {

struct SwarmConfig {
  std::uint32_t shards = 16;
  std::uint32_t shards_per_node = 4;
  std::uint32_t replicas_min = 3;
  std::uint64_t seed = 0;  // of this server node
};

// Commands by shard.
using ShardCommands = std::vector<std::vector<RowCommand>>;

class Swarm {
 public:
  explicit Swarm(SwarmConfig config);

  // The population before the first cycle: places `n` micro-nodes and repairs; returns the replicas of each shard,
  // which take the first local rows in order.
  std::vector<std::uint32_t> Populate(std::uint32_t n);
  // Once, after Populate: where the local rows of each shard begin. Until then they are counted from 0.
  void SetFirstRows(std::vector<std::uint32_t> first_row);

  void Join(std::uint32_t n, std::uint64_t cycle, ShardCommands* commands);
  // Random ones leave without a word; at most all.
  void Leave(std::uint32_t n, std::uint64_t cycle, ShardCommands* commands);
  // Everybody is gone: the server node died. Rows start anew.
  void Clear();
  // Gives shards under r_min new holders, and lets go of helpers that are not needed any more. Returns the new
  // replicas.
  std::uint64_t Repair(std::uint64_t cycle, ShardCommands* commands);

  // `count` honest micro-nodes turn hostile; those who join later do so with probability `share`.
  void BeginAttack(v1::Attack attack, std::uint32_t count, double share, std::uint64_t cycle, ShardCommands* commands);
  void EndAttacks(ShardCommands* commands);
  // This share of the micro-nodes runs in low power from now on.
  void SetLowPower(double share, ShardCommands* commands);

  std::uint32_t alive() const { return static_cast<std::uint32_t>(alive_.size()); }
  std::uint64_t adversaries() const { return adversaries_; }
  std::uint64_t replicas() const { return replicas_; }
  std::size_t resident_bytes() const;

 private:
  struct MicroNode {
    std::uint64_t session = 0;
    std::uint32_t alive_at = 0;  // position in alive_
    std::uint8_t attack = v1::ATTACK_UNSPECIFIED;
    bool low_power = false;
  };
  struct Held {
    std::uint16_t shard;
    std::uint32_t row;
  };
  struct Helper {  // a replica held beyond the micro-node's own shards, to repair
    std::uint32_t node;
    Held held;
  };

  std::uint32_t NewNode(std::uint64_t cycle);
  std::uint32_t TakeRow(std::uint32_t shard, std::uint64_t cycle);
  void DropRow(Held held, std::uint64_t cycle, ShardCommands* commands);
  void Hold(std::uint32_t node, std::uint32_t shard, std::uint64_t cycle, Held* held, ShardCommands* commands);
  void Command(Held held, RowCommand::Kind kind, v1::Attack attack, ShardCommands* commands);
  bool Holds(std::uint32_t node, std::uint32_t shard) const;
  template <class F>
  void ForEachHeld(std::uint32_t node, F f) const;

  SwarmConfig config_;
  std::vector<MicroNode> nodes_;
  std::vector<Held> held_;  // shards_per_node for each node
  std::vector<Helper> helpers_;
  std::vector<std::uint32_t> alive_;
  std::vector<std::uint32_t> free_nodes_;
  std::vector<std::uint32_t> holders_;  // live replicas by shard
  std::vector<std::uint32_t> first_row_;
  std::vector<std::uint32_t> next_row_;
  std::vector<std::deque<std::pair<std::uint64_t, std::uint32_t>>>
      resting_;  // (cycle it may be used again, row) by shard
  std::uint64_t replicas_ = 0;
  std::uint64_t adversaries_ = 0;
  std::uint64_t sessions_ = 0;
  std::vector<std::pair<v1::Attack, double>> joiner_attacks_;  // and the share of joiners that turn to each
  double low_power_share_ = 0;
};

}  // namespace lvs::hosting
