// What a run measures, in the emulator and on real nodes alike: looks at its server nodes become rows of the time series,
// and all of them the summary (TEST-6: aggregates only).
//
//   Measurement measurement(scenario, {"eu", "us"});
//   for (const Look& look : looks) measurement.Add(look, &report);  // services/scenario/look.h
//   measurement.Finish(report.mutable_summary());
//
// Figures are taken against the truth that each look brings, which no replica sees. Not thread-safe; no clock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lvs/v1/report.pb.h"
#include "lvs/v1/scenario.pb.h"
#include "services/scenario/look.h"

namespace lvs::services {

// States agree again when their spread is back under this share of the start's.
inline constexpr double kRecoveredSpread = 1e-3;

struct MeasurementShape {
  std::size_t shards = 0;
  std::size_t value_slots = 0;
  std::size_t dimensions = 0;  // value slots, then free coordinates
  double period_s = 0;         // of a cycle
};

struct MeasurementConfig {
  MeasurementShape shape{};
  double coordinate_range = 0;
  double tick_s = 0;  // of Look::at
  // Root mean square distances of replicas from their shard's mean at the start, for a network that was not seen to
  // start. Unset: those of cycle 0.
  struct Spread {
    double value_vu = 0;
    double free = 0;
  };
  std::optional<Spread> spread_at_start{};
  // The start that a run is compared with in which no shard has two replicas at first.
  Spread drawn{};
};

// A figure without anything to measure (no honest replica, no message, no node that answers) is NaN: a gap in the charts,
// and nothing that a threshold could hold for.
class Measurement {
 public:
  // What one shard is on all server nodes together.
  struct ShardState {
    std::array<shard::Moments, vaultguard::kMaxDimensions> moments{};
    double worst_value_vu = 0;
    shard::SlotAmounts held_uvu{};  // the least that any live replica holds
    std::array<double, vaultguard::kMaxValueSlots> total_weighted_uvu{};
    shard::SlotAmounts most_uvu{};  // the most that any server node holds
    bool any = false;               // somebody has replicas
    std::size_t nodes = 0;          // server nodes with honest replicas
    // The least and the most of their means.
    std::array<double, vaultguard::kMaxDimensions> least_mean{};
    std::array<double, vaultguard::kMaxDimensions> most_mean{};

    double Honest() const { return moments[0].count; }  // replicas
    // Where the mean replica is in one dimension: VU, ledger and drift together, or a free coordinate.
    double Place(std::size_t dimension, std::size_t value_slots) const;
  };

  // `names` of the server nodes, for their links.
  Measurement(const MeasurementConfig& config, std::vector<std::string> names);
  // For a run of a complete scenario: a tick is a cycle, and cycle 0 is the start.
  Measurement(const v1::Scenario& scenario, std::vector<std::string> names);

  // For a network whose shape shows only as its nodes answer. Nothing may shrink.
  void Reshape(const MeasurementShape& shape);

  // Counts the look, and adds a row to the time series of `report` where it was measured. `nodes` and `accepted_uvu` of
  // the look have an element for each node and shard.
  void Add(const Look& look, v1::RunReport* report);

  // From here on, what is missing is counted against what was accepted by the newest measured look.
  void Mark() { mark_ = accepted_uvu_; }

  // Fills in what the whole run amounts to.
  void Finish(v1::Summary* summary) const;

  // Of the newest measured look; NaN where no shard has two honest replicas.
  double relative_spread() const;
  bool known() const { return known_; }  // somebody told of replicas
  std::uint64_t missing_uvu() const { return Behind(mark_ ? *mark_ : accepted_uvu_); }
  const std::vector<ShardState>& shards() const { return states_; }
  // What errors of a shard's values are relative to: its smallest accepted total, and at least 1 VU.
  double ScaleVu(std::size_t shard) const;

  // Of the whole run.
  const Counted& total() const { return total_; }
  std::uint64_t anomalies() const;
  std::uint64_t refused() const;
  std::uint64_t replica_cycles() const { return total_.replica_cycles; }
  std::uint64_t micro_node_cycles() const { return total_.micro_node_cycles; }

 private:
  struct Waiting {  // an event that ended, until the network has recovered from it
    EndedEvent event;
    std::vector<shard::SlotAmounts> accepted_uvu;
  };

  double Seconds(std::uint64_t ticks) const { return static_cast<double>(ticks) * config_.tick_s; }
  std::uint64_t Behind(const std::vector<shard::SlotAmounts>& wanted_uvu) const;

  // The steps of Add.
  void Count(const Look& look);
  void Gather(const Look& look);
  void MeasureLedger();
  MeasurementConfig::Spread SpreadNow() const;
  void MeasureSpread(std::uint64_t cycle);
  void NoteLiars(const Look& look);
  void MeasureBias();
  void MeasureRegions();
  void NoteConvergence(std::uint64_t cycle);
  void HashStates(const Look& look);
  void NoteRecoveries(const Look& look);
  void AddRow(const Look& look, v1::RunReport* report);
  // The steps of Finish.
  void FillBandwidth(v1::BandwidthFigures* bandwidth) const;
  void FillVaultGuard(v1::VaultGuardFigures* guard) const;
  void AddRecovery(const EndedEvent& event, double seconds, v1::Summary* summary) const;

  MeasurementConfig config_;
  std::vector<std::string> names_;

  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

  // At the start.
  MeasurementConfig::Spread reference_;  // that spreads are relative to
  MeasurementConfig::Spread apart_;      // that was seen; 0 where nothing was apart
  double effective_error_at_start_ = kUnknown;
  // Means of the free coordinates, by shard: at the start, and from the first liar on those just before it came.
  std::vector<std::array<std::optional<double>, vaultguard::kMaxDimensions>> mean_before_;
  bool liars_came_ = false;

  // Now: of the newest look, and from states_ on of the newest measured one.
  std::uint64_t at_ = 0;
  std::uint64_t cycle_ = 0;
  std::uint64_t alive_ = 0;
  std::uint64_t replicas_ = 0;
  std::vector<ShardState> states_;
  std::vector<shard::SlotAmounts> accepted_uvu_;
  bool known_ = false;  // somebody told of replicas
  double value_spread_ = kUnknown;
  double free_spread_ = kUnknown;
  double variance_ = kUnknown;
  double bias_ = kUnknown;
  double sampling_error_ = kUnknown;  // until the first liar came
  double region_distance_ = kUnknown;
  double effective_error_ = kUnknown;
  double effective_vu_ = kUnknown;
  std::uint64_t excess_uvu_ = 0;
  std::uint64_t held_total_uvu_ = 0;
  std::uint64_t accepted_total_uvu_ = 0;
  std::optional<std::uint64_t> state_hash_;

  // Over the run.
  Counted total_;
  Counted row_;                // since the newest row
  std::vector<double> rates_;  // bytes a micro-node and minute, by row
  std::int64_t drift_cycles_to_1ppm_ = -1;
  std::int64_t ledger_cycles_to_1ppm_ = -1;
  double reduction_per_cycle_ = 0;
  std::optional<std::vector<shard::SlotAmounts>> mark_;
  std::vector<Waiting> waiting_;
  std::vector<std::pair<EndedEvent, std::uint64_t>> recovered_;        // and the ticks that it took
  std::map<std::pair<std::uint32_t, std::uint32_t>, LinkLook> links_;  // by both ends
};

}  // namespace lvs::services
