// One look at a network: what each server node is at one moment, and what it did since the look before. The emulator
// fills looks from its actors' reports, the recorder of a testnet from what nodes answer; services/scenario/measurement.h
// turns looks into figures and does not know who looked.
//
//   Look look{.at = cycle, .cycle = cycle, .nodes = std::vector<NodeLook>(2), .accepted_uvu = truth};
//   look.nodes[0].serving = true;
//   look.nodes[0].shards = {ShardLook{.measure = measure, .total_uvu = {5'000'000}}};
//   measurement.Add(look, &report);
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shard/ledger.h"
#include "shard/state_shard.h"

namespace lvs::services {

struct ShardLook {
  shard::Measure measure{};        // without replicas: the node holds nothing of the shard
  shard::SlotAmounts total_uvu{};  // of the node's ledger
  // Of replicas and ledger; unset where a node does not tell.
  std::optional<std::uint64_t> state_hash{};
};

// What happened on one server node since the look before.
struct Counted {
  std::uint64_t micro_node_cycles = 0;
  std::uint64_t replica_cycles = 0;
  std::uint64_t joined = 0;
  std::uint64_t left = 0;
  std::uint64_t repaired = 0;  // replicas created because a shard had too few
  std::uint64_t fallback_links = 0;
  std::uint64_t redundancy_syncs = 0;
  std::uint64_t recoveries = 0;  // orders of VaultGuard
  std::uint64_t heard = 0;       // state diffs
  std::uint64_t trust_255 = 0;   // in them, 255 is full trust; added up
  std::uint64_t messages = 0;    // all kinds
  // Messages of the kinds whose loss can be seen from where the look is taken, and those of them that were lost.
  std::uint64_t exposed = 0;
  std::uint64_t lost = 0;
  shard::SentBytes sent{};
  // By reason, rule and kind.
  std::map<std::string, std::uint64_t> refused{};
  std::map<std::string, std::uint64_t> clamped{};
  std::map<std::string, std::uint64_t> anomalies{};

  void Add(const Counted& other);
};

// What one server node sent over one link since the look before.
struct LinkLook {
  std::uint32_t to = 0;  // server node, by number
  std::uint64_t frames = 0;
  std::uint64_t lost = 0;
  // One-way latencies of the frames, or pings, that were timed.
  std::uint64_t timed = 0;
  double latency_ms_sum = 0;
  double latency_ms_max = 0;
};

struct NodeLook {
  // It takes part: its micro-nodes have entered, its replicas are up to date and its ledger counts.
  bool serving = false;
  // The network has not recovered from an event before this node serves. False for a node that is meant to be away.
  bool awaited = true;
  std::uint64_t alive = 0;  // micro-nodes
  std::uint64_t replicas = 0;
  std::uint64_t liars = 0;          // micro-nodes that attack, where the one who looks can know
  std::vector<ShardLook> shards{};  // by number; empty where the node tells nothing of its replicas
  Counted counted{};
  std::vector<LinkLook> links{};
};

struct EndedEvent {
  std::string kind;  // "partition"
  std::uint64_t at = 0;
};

struct Look {
  // Time in ticks of the measurement, and cycles since the start. Neither falls from one look to the next.
  std::uint64_t at = 0;
  std::uint64_t cycle = 0;
  // False: nobody measured replicas this time. The look only counts, and makes no row of the time series.
  bool measured = true;
  std::vector<NodeLook> nodes{};  // by number
  // The truth: what clients were told is held, by shard.
  std::vector<shard::SlotAmounts> accepted_uvu{};
  // Events that ended since the look before. The network recovers when it holds what is accepted by this look.
  std::vector<EndedEvent> ended{};
};

}  // namespace lvs::services
