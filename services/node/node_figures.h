// The figures of a node: what the reports of its cycles say, kept for status, shards and metrics.
//
//   NodeFigures figures(shards, shape);
//   tick.measure = figures.MeasureNow(cycle, now);
//   figures.Take(report);                              // once a cycle
//   figures.Fill(&status);
//   v1::ShardList list = figures.Shards(now);
//
// Pure: no threads, no clock. Time is any steady clock's. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lvs/v1/control.pb.h"
#include "shard/hosting/messages.h"
#include "vaultguard/refusals.h"

namespace lvs::services {

class NodeFigures {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Measuring costs a pass over all replicas, so it is done every kMeasureCycles; in every cycle while somebody looks.
  static constexpr std::uint64_t kMeasureCycles = 10;
  // Somebody looks for so long after a call of Shards.
  static constexpr std::chrono::seconds kWatchedFor{1};

  NodeFigures(std::uint32_t shards, const shard::Shape& shape) : shape_(shape), views_(shards) {}

  void Take(const hosting::NodeReport& report);
  // The free coordinates were scattered, for a test network.
  void Scattered() { work_.set_scattered(work_.scattered() + 1); }

  // Whether `cycle` is to be measured.
  bool MeasureNow(std::uint64_t cycle, Time now) const {
    return cycle % kMeasureCycles == 0 || (watched_at_ && now - *watched_at_ < kWatchedFor);
  }

  // Sets the figures that come from reports: cycle, population, anomalies, ledger (without contributions), sync, drift,
  // work.
  void Fill(v1::NodeStatus* status) const;
  // The shards one by one. The cycles of the next kWatchedFor are measured.
  v1::ShardList Shards(Time now);

  // What micro-nodes refused, by reason.
  const vaultguard::RefusalCounts& refused() const { return refused_; }
  // Peers that stay hold all that this node holds, shard by shard; true as well where it holds nothing.
  bool HandedOver() const;
  // Every shard has had all that its peers had (v1::SyncStatus).
  bool Compared() const;
  std::vector<bool> ComparedByShard() const;
  // Sessions in the ledger, by shard.
  std::vector<std::uint64_t> Sessions() const;

 private:
  // What the newest report of a shard said.
  struct ShardView {
    std::uint64_t replicas = 0;
    shard::SlotAmounts total_uvu{};
    std::uint64_t sessions = 0;
    std::uint64_t digest = 0;
    bool synced = false;
    bool holds_all = false;
    bool compared = false;
    bool handed_over = false;
    shard::Measure measure;  // of the last cycle that was measured
  };

  void TakeShard(const hosting::ShardReport& report);
  void AddWork(const shard::CycleCounts& counts);
  void FillLedger(v1::LedgerStatus* ledger) const;
  void FillSync(v1::SyncStatus* sync) const;
  void FillDrift(v1::DriftStatus* drift) const;
  void FillShard(const ShardView& view, v1::Shard* shard) const;

  const shard::Shape shape_;
  std::vector<ShardView> views_;
  std::uint64_t cycle_ = 0;
  std::uint64_t measured_cycle_ = 0;
  std::uint64_t micro_nodes_ = 0;
  std::uint64_t replicas_ = 0;
  std::uint64_t anomalies_ = 0;
  std::uint64_t recoveries_ = 0;
  std::map<std::string, std::uint64_t> anomalies_by_kind_;
  v1::MicroNodeStatus work_;
  vaultguard::RefusalCounts refused_;
  std::optional<Time> watched_at_;  // the newest call of Shards
};

}  // namespace lvs::services
