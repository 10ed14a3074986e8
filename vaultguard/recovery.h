// Catastrophic loss prevention (SPEC-8.2) orders a shard's recovery when its value drops suddenly and far. A replica
// may lose its drift (pulled away, or corrupted) or its ledger (memory or cache damaged). Both are repaired from what
// the peers hold, because ledgers only grow and merge (drift.md, rule 2).
//
// Example, once a cycle for each shard:
//   CatastrophicDropDetector detector;
//   if (const auto order = detector.Observe(effective_uvu, ledger_total_uvu)) {
//     if (order->action == RecoveryAction::kRepinDrift) RepinDriftToLedger();
//     AskEveryPeerForFullSync();      // every order asks for it
//   }
//
// Units: micro-VU. effective_uvu is the value that the shard shows (ledger plus drift), ledger_total_uvu the total of
// its ledger; both of the same replicas, so that they are comparable. Cycles are the calls of Observe.
//
// One fall gives one order. Until the fall is mended, the detector repeats the order every cooldown_cycles (orders(),
// of which retries() are repeats), because a peer that has the entries may only just have connected. Mended means that
// the ledger is back at its mark and the effective value above the limit again, measured from the mark that it fell
// from or from the ledger, whichever is lower. A lasting loss cannot flood the network: at most one order is given in
// cooldown_cycles.
//
// A slow decline is no catastrophe: the mark is the highest value of the last window_cycles only.
//
// Errors: WhyInvalid() names what is wrong with options that come from outside, and is empty where nothing is.
// Constructing from invalid options is a bug and aborts. Any values may be observed, negative ones too. Threads: not
// shared. Deterministic, integers only; no allocation after construction, amortised O(1) a cycle.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace lvs::vaultguard {

enum class RecoveryAction : std::uint8_t {
  kNone,
  kResyncLedger,  // the ledger itself shrank or is empty: fill it from the peers before anything is pinned to it
  kRepinDrift,    // the ledger is whole, the effective value fell: set the drift vectors back to the ledger
};

// The evidence about one shard.
struct RecoveryEvidence {
  std::int64_t effective_uvu = 0;
  std::int64_t effective_mark_uvu = 0;  // the highest of the window
  std::int64_t ledger_total_uvu = 0;
  std::int64_t ledger_mark_uvu = 0;  // the highest ever: a ledger never shrinks
};

struct RecoveryOptions {
  double drop_share = 0.5;  // a fall by more than this share of the mark; above 0, below 1; counted in ppm
  std::int64_t min_mark_uvu = 1'000'000;  // marks under 1 VU are not worth a recovery; >= 1
  std::uint32_t window_cycles = 50;       // 1..kMaxWindowCycles
  std::uint32_t cooldown_cycles = 50;     // >= 1: from one order to the next for the same fall

  static constexpr std::uint32_t kMaxWindowCycles = 36'000;
};
std::string_view WhyInvalid(const RecoveryOptions& options);

// The policy: which action the evidence calls for. Stateless.
class RecoveryPolicy {
 public:
  explicit RecoveryPolicy(const RecoveryOptions& options);

  // kResyncLedger where the ledger's total is below its mark (by a single micro-VU: a sound ledger never shrinks), else
  // kRepinDrift where the effective value fell by more than drop_share of a mark of at least min_mark_uvu, else kNone.
  RecoveryAction Decide(const RecoveryEvidence& evidence) const;

  // Whether `value` lies below `mark` by more than drop_share of it.
  bool Dropped(std::int64_t value_uvu, std::int64_t mark_uvu) const;

 private:
  std::int64_t keep_ppm_;  // what is left of a mark at the limit
  std::int64_t min_mark_uvu_;
};

struct RecoveryOrder {
  RecoveryAction action = RecoveryAction::kNone;  // never kNone in an order
  RecoveryEvidence evidence;
  bool retry = false;  // an earlier order for the same fall has not helped yet
};

class CatastrophicDropDetector {
 public:
  explicit CatastrophicDropDetector(const RecoveryOptions& options = {});

  // Observes one cycle. Returns an order, or nothing.
  std::optional<RecoveryOrder> Observe(std::int64_t effective_uvu, std::int64_t ledger_total_uvu);

  // True while an order was given and its fall is not mended yet.
  bool recovering() const { return recovering_; }
  std::uint64_t orders() const { return orders_; }
  std::uint64_t retries() const { return retries_; }
  std::uint64_t mended() const { return mended_; }

 private:
  struct Entry {
    std::uint64_t cycle;
    std::int64_t value_uvu;
  };

  void Remember(std::int64_t effective_uvu);
  void Forget(std::int64_t effective_uvu);  // the fall is mended: start anew from here
  std::int64_t WindowMark() const { return ring_[first_].value_uvu; }

  RecoveryOptions options_;
  RecoveryPolicy policy_;
  // The window's candidates for the highest value: falling values, oldest first. A ring of window_cycles entries.
  std::vector<Entry> ring_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  std::uint64_t cycle_ = 0;
  std::int64_t ledger_mark_uvu_ = 0;

  bool recovering_ = false;
  std::int64_t fallen_from_uvu_ = 0;  // the effective mark of the order; meaningful while recovering_
  std::uint32_t cooldown_left_ = 0;
  std::uint64_t orders_ = 0;
  std::uint64_t retries_ = 0;
  std::uint64_t mended_ = 0;
};

}  // namespace lvs::vaultguard
