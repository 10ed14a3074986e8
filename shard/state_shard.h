// A state shard: all replicas of one shard on one server node (SPEC-5.4, ARCH-3), as columns, with the ledger that they
// share. Advance() runs one drift cycle. Pure: no actors, no I/O, no clock; one owner at a time.
//
//   StateShard shard(config);
//   shard.Start(200, 0);                             // 200 replicas, initial state drawn, no opening balance
//   shard.Contribute(entry, cycle);                  // SPEC-5.1
//   shard.Advance(cycle, /*loss=*/0.01, &counts);    // SPEC-7.2
//   shard.MeasureHonest(&measure);
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "shard/blocks.h"
#include "shard/drift_core.h"
#include "shard/frame.h"
#include "shard/last_words.h"
#include "shard/ledger.h"
#include "shard/news.h"
#include "shard/overlay.h"
#include "shard/stages.h"

namespace lvs::shard {

struct StateShardConfig {
  std::uint32_t shard = 0;
  Shape shape;
  DriftParameters drift;
  ContributionPolicy policy;
  double shuffle = 0.01;         // share of neighbour slots exchanged a cycle
  std::uint64_t seed = 0;        // of this shard on this server node
  HashKey session_key;           // drawn once a process; neither state nor digests depend on it
  std::uint32_t halo_rows = 0;   // rows for remote neighbours
  double remote_share = 0;       // share of neighbour slots that point into the halo
  float value_spread = 100;      // VU; replicas start within it of the ledger total
  float coordinate_range = 200;  // free coordinates start on 0..range, and stay there
};

// Bytes that micro-nodes sent, by purpose (SPEC-12).
struct SentBytes {
  std::uint64_t state_diff = 0;
  std::uint64_t entropy = 0;
  std::uint64_t ledger = 0;
  std::uint64_t beacon = 0;
  std::uint64_t frames = 0;
  std::uint64_t Total() const { return state_diff + entropy + ledger + beacon + frames; }
  SentBytes& operator+=(const SentBytes& other);
};

struct CycleCounts {
  StepCounts step;
  SentBytes sent;
  std::uint64_t redundancy_syncs = 0;
  std::uint64_t fallback_links = 0;
};

// Honest replicas of one coordinate: count, mean, and summed squared distance from it. Merge is exact (Chan et al.).
struct Moments {
  double count = 0;
  double mean = 0;
  double m2 = 0;
  void Merge(const Moments& other);
};

struct Measure {
  std::array<Moments, vaultguard::kMaxDimensions> moments{};
  std::uint64_t replicas = 0;  // alive
  double worst_value_vu = 0;   // max |S - T| over honest replicas and slots, T the ledger here
  SlotAmounts behind_uvu{};    // the most that a live replica lacks of the ledger here
};

class StateShard {
 public:
  explicit StateShard(const StateShardConfig& config);
  // Memory of a replica of this shape, all columns together.
  static std::size_t ReplicaBytes(const Shape& shape);
  StateShard(const StateShard&) = delete;
  StateShard& operator=(const StateShard&) = delete;

  // Makes rows first_row()..first_row()+n-1 replicas with a drawn state, and draws the overlay. All of them hold the
  // opening balance (micro-VU a slot).
  void Start(std::uint32_t n, std::int64_t opening_balance_uvu);
  std::uint32_t first_row() const { return static_cast<std::uint32_t>(columns_.first_local); }

  // A replica enters in an unused local row (SPEC-9.1), with d neighbours, the ledger of a live replica, and the median
  // of its neighbours' publications as its first state.
  void Join(std::uint32_t row, std::uint64_t cycle);
  // A replica leaves without a word (SPEC-9.4). Its row should rest for kRestCycles. Its last publication is heard
  // until the silence limit, even if another replica lives in the row by then.
  void Leave(std::uint32_t row);
  void SetFlag(std::uint32_t row, std::uint8_t flag, bool on);
  // Scatters the free coordinates of honest replicas at random, and makes every replica as ready to follow others as at
  // the start. Their publications stay, so neighbours lead them back.
  void Scatter(std::uint64_t cycle);
  // The same for one live row.
  void ScatterRow(std::uint32_t row, std::uint64_t cycle);

  // Joins an entry into the ledger, and starts the spread of what is new among the replicas. Idempotent.
  Ledger::Outcome Contribute(const LedgerEntry& entry, std::uint64_t cycle, std::uint8_t source = Ledger::kHere,
                             bool may_open = true);

  // The same for an entry of the server node's own cache: Ledger::Restore.
  Ledger::Outcome Restore(const LedgerEntry& entry, std::uint64_t cycle);

  // Takes a remote neighbour's state diff, where it is newer than the one before. False: not taken.
  bool SetHalo(std::uint32_t halo_row, std::uint64_t published_cycle, std::uint8_t drift_weight, const float* diff,
               std::uint32_t entropy) {
    if (halo_row >= config_.halo_rows) return false;
    // A repeated entropy word is no new packet.
    const std::uint32_t meta =
        Meta(published_cycle, drift_weight) | (entropy != columns_.Entropy(halo_row) ? kMetaPacket : 0);
    const std::uint32_t before = columns_.Meta(halo_row);
    // Newer means by less than half of the 16 bit circle.
    if ((before & kMetaValid) != 0 && static_cast<std::int16_t>(static_cast<std::uint16_t>(meta - before)) <= 0) {
      return false;
    }
    columns_.Say(halo_row, dims_, diff, meta, entropy);
    return true;
  }

  // Sets how many rows of the halo are in use, the first `halo_rows`, and the share of neighbour slots that point
  // there.
  void SetRemote(std::uint32_t halo_rows, double remote_share);

  // Whether a server node that has this shard is missing: until it is back, slow bounds do not narrow.
  void SetApart(bool apart) { apart_ = apart; }
  bool apart() const { return apart_; }
  // Nobody hears these halo rows until they speak again.
  void ForgetHalo(std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t row = first; row < first + count; ++row) columns_.SetMeta(row, columns_.Meta(row) & ~kMetaValid);
  }
  // A server node with this shard is heard for the first time, or again after it was missing, or the first replica enters
  // here: for kHurryCycles from now on, neighbours on other server nodes are drawn faster, and a new replica is as ready
  // to follow others as those that are here.
  void Hurry(std::uint64_t cycle) { hurry_until_ = cycle + kHurryCycles; }
  bool Hurries(std::uint64_t cycle) const { return cycle < hurry_until_; }

  // Loads all publications into the caches, for readers in random order: the kernel, and before it the replicas that
  // enter.
  void FetchSaid() {
    if (!std::exchange(said_is_near_, true)) columns_.FetchSaid();
  }

  // Runs one drift cycle over all replicas. A watch is told of its stages.
  void Advance(std::uint64_t cycle, double loss, CycleCounts* counts, StageWatch* watch = nullptr);

  // Replaces the publication that a row has just made, as an adversary does.
  void OverwriteSaid(std::uint32_t row, const float* state, std::uint32_t meta, std::uint32_t entropy);

  // Mean drift vector of all live replicas, VU a value slot: the shard's value beyond its ledger.
  std::array<double, vaultguard::kMaxValueSlots> MeanDriftVu() const;
  // SPEC-8.2: pins every drift vector back to the ledger.
  void Repin();
  // Plain rule only: adds an increment, which is sent once, to every replica.
  void AddToAll(const SlotAmounts& increment_uvu);
  // Clears the ledger, when no replica is left here.
  void ForgetLedger();

  void MeasureHonest(Measure* measure) const;
  // Mixes every replica's state and the ledger into one number; equal for equal states.
  std::uint64_t StateHash() const;

  const Ledger& ledger() const { return ledger_; }
  const News& news() const { return news_; }
  const Columns& columns() const { return columns_; }
  const StateShardConfig& config() const { return config_; }
  std::uint32_t replicas() const { return replicas_; }
  std::uint32_t low_power() const { return low_power_; }
  // The state in a row's last publication: `dimensions` floats.
  const float* said(std::uint32_t row) const { return columns_.Said(row); }
  std::uint32_t said_meta(std::uint32_t row) const { return columns_.Meta(row); }
  std::uint32_t said_entropy(std::uint32_t row) const { return columns_.Entropy(row); }
  std::size_t resident_bytes() const;

 private:
  // Allocates memory for this many rows, and for this many last words.
  void Grow(std::size_t rows, std::size_t departed);
  // Frees the rows of replicas that left.
  void MoveLastWords(std::uint64_t cycle);
  void FirstState(std::uint32_t row, std::uint64_t cycle);
  // The slow bound of a new replica whose bound is `bound`, after asking the `n` heard rows `asked`.
  float FirstSlowBound(const std::uint32_t* asked, int n, float bound, std::uint64_t cycle) const;
  // Finds a row that is heard, if there is one: any_heard_. All replicas that enter in one cycle share one search of
  // the rows, because no row begins to publish meanwhile.
  bool FindAnyHeard(std::uint64_t cycle);
  void MeasurePlain(Measure* measure) const;

  StateShardConfig config_;
  int dims_;
  MessageSizes sizes_;
  Ledger ledger_;
  Overlay overlay_;
  News news_;
  std::uint32_t halo_in_use_;
  double remote_share_;
  bool apart_ = false;
  std::uint64_t hurry_until_ = 0;  // exclusive
  Columns columns_;
  LastWords last_words_;
  std::size_t departed_rows_ = 0;  // allocated
  std::uint32_t replicas_ = 0;
  std::uint32_t low_power_ = 0;
  struct {
    std::uint64_t cycle = ~std::uint64_t{0};
    std::size_t row = 0;  // no earlier row is heard
  } any_heard_;
  std::vector<std::uint32_t> fresh_;  // rows with kFresh
  bool said_is_near_ = false;         // FetchSaid since the last cycle

  Block memory_;  // of the columns

  std::uint64_t joined_bytes_ = 0;  // ledger copies that new replicas fetched since the last cycle
  SlotAmounts opening_uvu_{};       // plain rule: states are relative to this
};

}  // namespace lvs::shard
