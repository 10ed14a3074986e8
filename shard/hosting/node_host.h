// The node host: what one server node does in one cycle. The host turns a NodeTick into ticks of its shards (through
// the swarm), waits for the VaultGuard monitor's verdict, has its links flushed, and reports.
//
//   NodeHost host({.node = 0, .seed = seed}, std::move(swarm), shards, links);
//   if (host.Begin(tick)) {
//     for (std::size_t shard = 0; shard < shards; ++shard) host.FillTick(shard, &ticks[shard]);
//     ...                                                             // the monitor judges the shards' reports
//     if (host.Take(verdict)) {
//       for (std::size_t node : peers) host.FillFlush(node, &flushes[node]);
//       ...                                                           // the links are flushed and report
//       for (const LinkReport& link : link_reports) host.Take(link);  // true at the last one
//     }
//   }
//   host.FillReport(&report);                                         // once Begin or Take said that the cycle is over
//
// Lifecycle (SPEC-9): a server node that starts again after an outage first fetches what its peers hold. Its
// micro-nodes enter when all of its shards have it. One owner at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "shard/hosting/messages.h"
#include "shard/hosting/swarm.h"

namespace lvs::hosting {

struct NodeHostConfig {
  std::uint32_t node = 0;
  std::uint64_t seed = 0;  // of this server node
  // The first tick is a start as after an outage: so many micro-nodes enter once the ledger is there.
  std::uint32_t starts_with = 0;
};

class NodeHost {
 public:
  // `swarm` is populated for so many shards. `links` is the number of links that report a flush.
  NodeHost(NodeHostConfig config, Swarm swarm, std::size_t shards, std::size_t links);

  // Begins a cycle. True: every shard gets its tick. False: the server node is out and the cycle is over.
  bool Begin(Payload<NodeTick> tick);
  // Fills in an empty tick of one shard; once for each.
  void FillTick(std::size_t shard, ShardTick* tick);
  // True: every link must be flushed. False: there is nothing to flush and the cycle is over.
  bool Take(Payload<Verdict> verdict);
  void FillFlush(std::size_t node, LinkFlush* flush) const;
  // True: that was the last link, and the cycle is over.
  bool Take(const LinkReport& link);
  // Fills in an empty report of the cycle that is over.
  void FillReport(NodeReport* report);

 private:
  void Down();
  std::uint32_t Leavers(std::uint32_t population) const;
  void Populate(bool restart);
  void PopulateLater();
  void BeginAttack(const NodeTick::AttackOrder& order);
  void SetAttacks(const std::vector<NodeTick::AttackOrder>& active);
  std::uint32_t Round(double expected, std::uint64_t salt) const;

  NodeHostConfig config_;
  Swarm swarm_;
  std::size_t links_;
  std::vector<vaultguard::RecoveryAction> recovery_;  // ordered by the last verdict, by shard
  // State of this cycle, by shard.
  ShardCommands commands_;
  std::vector<std::vector<Contribution>> contributions_;
  Payload<NodeTick> tick_;
  Payload<Verdict> verdict_;
  std::vector<LinkReport> link_reports_;
  std::uint64_t online_ = 0;
  std::uint64_t offline_ = 0;
  std::uint64_t repaired_ = 0;
  bool restart_ = false;  // the server node has started in this cycle

  bool down_ = false;
  bool synced_ = true;                  // all shards, by the last verdict
  std::uint32_t population_ = 0;        // that enters after the outage
  std::uint32_t waiting_to_enter_ = 0;  // until the shards have synced
};

}  // namespace lvs::hosting
