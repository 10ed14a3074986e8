// The shard actor: one shard on one server node. Takes due frames, refreshes the halo, joins ledger news, runs one
// drift cycle, and says what is new: state diffs of its ambassadors and ledger entries, to each peer link (SPEC-7.2).
//
// What keeps the ledgers of the server nodes equal is shard/ledger_sync.h (SPEC-14, ARCH-2.1).
#pragma once

#include <cstdint>
#include <vector>

#include "actors/interfaces.h"
#include "shard/ledger_sync.h"

namespace lvs::actors {

struct ShardActorConfig {
  std::uint32_t node = 0;   // this server node
  std::uint32_t nodes = 1;  // server nodes in all
  shard::StateShardConfig shard;
  std::uint32_t replicas = 0;            // at the start
  std::int64_t opening_balance_uvu = 0;  // a slot
  std::uint64_t seed = 0;                // of the scenario
  std::uint64_t last_cycle = 0;          // its report carries the state hash
  // Halo rows by server node: [first, first + count) of the halo belong to that node's ambassadors.
  std::vector<std::uint32_t> halo_first;
  std::vector<std::uint32_t> halo_count;
  std::uint32_t ambassadors = 0;  // sampled replicas that speak to the other server nodes
  // Cycles after which unacknowledged news is sent again, by server node: a round trip and some.
  std::vector<std::uint32_t> resend_cycles;
  // Ledger news waits this long for more of it; a frame with nothing but an acknowledgement waits this long for
  // company.
  std::uint32_t news_cycles = shard::LedgerSyncConfig{}.news_cycles;
  std::uint32_t acknowledge_cycles = shard::LedgerSyncConfig{}.acknowledge_cycles;
  // A server node that starts and hears nobody for this long is alone.
  std::uint32_t alone_cycles = shard::LedgerSyncConfig{}.alone_cycles;
  // Server nodes come and go at the far ends of the links (LinkChange): nobody is there at first, and how many of the
  // neighbours are remote follows from what the peers' beacons say.
  bool links_change = false;
  // Reports carry the entries that changed, and an answer for each server node that a contribution reached.
  bool tell_changes = false;
  // Reports say how long each stage took.
  bool profile = false;
};

ShardActor SpawnShardActor(caf::actor_system& system, ShardActorConfig config);

}  // namespace lvs::actors
