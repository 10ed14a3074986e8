// A frame: what one server node tells another about one shard in one cycle, as plain columns. Its wire form is
// lvs.v1.Frame (frame_codec.h); within a process the struct itself is passed on.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "shard/columns.h"
#include "shard/drift_core.h"
#include "shard/ledger.h"

namespace lvs::shard {

struct Beacon {
  std::uint32_t replicas = 0;
  float load = 0;  // how full the inbox is, 0..1
  float low_power_share = 0;
  bool leaving = false;  // the server node drains: nothing is handed over to it
};

enum class Correction : std::uint8_t { kNone, kSyncAll, kSyncBuckets };

struct Frame {
  std::uint32_t shard = 0;
  std::uint64_t cycle = 0;
  SessionId sender;         // ephemeral session of the server node
  SlotAmounts total_uvu{};  // the sender's ledger total
  int value_slots = 0;      // how many of them count
  std::uint64_t ledger_digest = 0;
  // Ledger news: `entries` holds all that changed in (news_from, news_to].
  std::uint64_t news_from = 0;
  std::uint64_t news_to = 0;
  std::uint64_t acknowledged = 0;     // newest change of the receiver's ledger that the sender has merged
  std::uint64_t acknowledged_of = 0;  // low half of the receiver's session that this refers to
  std::vector<LedgerEntry> entries;
  // State diffs and entropy of sampled replicas; all columns have one element a row, diff has `dimensions`.
  std::vector<std::uint32_t> halo_row;
  std::vector<std::uint32_t> published_cycle;
  std::vector<std::uint8_t> drift_weight;
  std::vector<float> diff;
  std::vector<std::uint32_t> entropy;
  Beacon beacon;
  Correction correction = Correction::kNone;
  // With kSyncBuckets: which. With kSyncAll: the sender takes the parts of the ledger in any order, says which of them it
  // holds (`held`), asks until it has all, and wants these buckets first; 0: from an earlier version, which does not.
  std::uint32_t correction_buckets = 0;
  std::vector<std::uint64_t> bucket_digest;  // empty, or Ledger::kBuckets of them
  // Beside kSyncAll: what the sender has merged of the receiver's ledger beyond `acknowledged`, as pairs of change
  // numbers (from, to], ascending and apart; vaultguard::kMaxHeldRanges pairs at most.
  std::vector<std::uint64_t> held;
  std::uint64_t news_all = 0;  // to a peer that asks for everything: the newest change of the sender's ledger
  // Plain rule only: contributions of this cycle, sent once. Never on the wire.
  SlotAmounts plain_increment_uvu{};

  static constexpr auto kColumns =
      std::tuple(&Frame::entries, &Frame::halo_row, &Frame::published_cycle, &Frame::drift_weight, &Frame::diff,
                 &Frame::entropy, &Frame::bucket_digest, &Frame::held);  // reuse.h
};

// ResizeRows and ClearRows set the number of rows and keep the memory. AppendRow appends row `n` of one frame to
// another of the same shape.
void ResizeRows(Frame* frame, std::size_t rows, std::size_t dimensions);
void ClearRows(Frame* frame);
void AppendRow(const Frame& from, std::size_t n, Frame* to);

// The frame without the rows that a receiver of so many halo rows has no place for: it would refuse the whole frame. The
// same frame where it has no such row.
std::shared_ptr<const Frame> WithRowsBelow(std::shared_ptr<const Frame> frame, std::uint32_t halo_rows);

// Writes a frame's rows one after the other, rows_max at most, into columns that are long enough for all of them from
// the start. The frame is whole when its writer ends.
class RowWriter {
 public:
  RowWriter(Frame* frame, std::size_t rows_max, int dimensions)
      : frame_(frame), dimensions_(static_cast<std::size_t>(dimensions)) {
    ResizeRows(frame_, rows_max, dimensions_);
  }
  ~RowWriter() { ResizeRows(frame_, rows_, dimensions_); }
  RowWriter(const RowWriter&) = delete;
  RowWriter& operator=(const RowWriter&) = delete;

  void Add(std::uint32_t halo_row, std::uint32_t published_cycle, std::uint8_t drift_weight, std::uint32_t entropy,
           const float* diff) {
    assert(rows_ < frame_->halo_row.size());
    frame_->halo_row[rows_] = halo_row;
    frame_->published_cycle[rows_] = published_cycle;
    frame_->drift_weight[rows_] = drift_weight;
    frame_->entropy[rows_] = entropy;
    CopyState(diff, dimensions_, frame_->diff.data() + rows_ * dimensions_);
    ++rows_;
  }

 private:
  Frame* const frame_;
  const std::size_t dimensions_;
  std::size_t rows_ = 0;
};

// Merges `older`, which was not sent yet, and `newer` into one frame, as new as `newer`. Ledger news of both is kept
// where the two ranges follow on each other or overlap, and fit. Otherwise the older frame's news is kept, so that news
// moves on however slow the link is. Rows that only the older frame had are kept.
Frame Coalesce(const Frame& older, Frame newer);

// Checks whether a frame may touch a shard of this shape: lengths, dimensions, finite numbers, known halo rows, cycle
// window. Returns the reason where it must be refused. A refused frame changes nothing.
std::optional<vaultguard::Refusal> CheckFrame(const Frame& frame, const Shape& shape, std::uint32_t shard,
                                              std::size_t halo_rows, std::uint64_t cycle);

}  // namespace lvs::shard
