// News of the ledger spreads among the replicas of a shard (SPEC-6.3). The ledger's entries are held once. All news of
// a cycle is one batch, and a replica's knowledge is a bitmask of recent batches (Columns::known). First, d random
// replicas get a batch. Every fourth cycle a replica and a random other one exchange what they lack (push-pull
// anti-entropy), and the shard's keeper goes on offering the batch. A batch that all know is settled, and its bit is
// free.
//
//   News news(config.seed, sizes);
//   news.Add(gained_uvu);                          // the ledger grew
//   news.Open(columns, crowd, peers, cycle, &counts);
//   news.Spread(columns, crowd, cycle, loss, &counts);
//
// Belongs to one StateShard, which owns the memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "shard/columns.h"
#include "shard/ledger.h"
#include "shard/message_sizes.h"

namespace lvs::shard {

// Batches that are still spreading after this many cycles are copied to the stragglers.
inline constexpr std::uint64_t kBatchCyclesMax = 150;
// A replica pulls ledger news from a random other one once in so many cycles.
inline constexpr std::uint32_t kPullPeriod = 4;
inline constexpr int kBatchWindow = 64;
// The mask of an unoccupied row, which must never look as if it lacked news.
inline constexpr std::uint64_t kLacksNothing = ~std::uint64_t{0};

// The population of the columns.
struct Crowd {
  std::uint32_t replicas = 0;
  std::uint32_t low_power = 0;  // how many of them
};

struct NewsCounts {
  std::uint64_t ledger_bytes = 0;
  std::uint64_t beacon_bytes = 0;
  std::uint64_t redundancy_syncs = 0;
};

class News {
 public:
  News(std::uint64_t seed, const MessageSizes& sizes) : seed_(seed), sizes_(sizes) {}

  // Records that an entry raised the ledger by this much.
  void Add(const SlotAmounts& gained_uvu);
  // Makes a batch of all that was added since the last cycle; `peers` random replicas know it.
  void Open(const Columns& columns, const Crowd& crowd, int peers, std::uint64_t cycle, NewsCounts* counts);
  // Runs one cycle of offers and pulls; the network loses a share `loss` of them.
  void Spread(const Columns& columns, const Crowd& crowd, std::uint64_t cycle, double loss, NewsCounts* counts);
  // Drops all news, when the ledger is gone.
  void Forget();

  // Bits of the batches that some replica lacks, and the sum that they brought to a slot.
  std::uint64_t outstanding() const { return outstanding_; }
  std::int64_t OutstandingUvu(std::size_t slot) const;

  // Returns the batches that some row of [first, first + rows) lacks.
  std::uint64_t Lacked(const Columns& columns, std::size_t first, std::size_t rows) const;
  // Computes how much of the ledger each of these rows (at most kBehindRows) lacks in a slot, in VU. `lacked` must
  // contain every batch that one of them lacks. Returns the maximum, micro-VU.
  static constexpr std::size_t kBehindRows = 512;
  std::int64_t Behind(const Columns& columns, std::size_t first, std::size_t rows, std::uint64_t lacked,
                      std::size_t slot, double* behind_vu) const;

 private:
  struct Batch {
    SlotAmounts gained_uvu{};
    std::uint64_t bytes = 0;
    std::uint64_t opened_cycle = 0;
  };
  struct Pull {
    std::uint32_t row;
    std::uint32_t from;
  };

  // Carries all batches to random places, where each batch goes to the first row that lacks it, so that no news dies
  // among liars. A row that takes a batch passes it on in this cycle already: `knew`, from the first local row on.
  void Offer(const Columns& columns, const Crowd& crowd, std::uint64_t cycle, double loss, std::uint64_t* knew,
             NewsCounts* counts) const;
  std::uint64_t BytesOf(std::uint64_t batches) const;
  // Draws who pulls from whom in this cycle. An unanswered pull is tried again in the next cycle, at most until a new
  // one is due.
  std::size_t DrawPulls(const Columns& columns, std::uint64_t cycle, double lost_pull, Pull* pulls);
  // Gives the batch to every replica that lacks it, by a direct copy (redundancy sync), and frees its bit.
  void SyncStragglers(const Columns& columns, int bit, NewsCounts* counts);

  std::uint64_t seed_;
  MessageSizes sizes_;
  std::array<Batch, kBatchWindow> batch_{};
  std::uint64_t outstanding_ = 0;
  Batch pending_;                          // added since the last batch was opened
  std::vector<std::uint32_t> unanswered_;  // rows whose pull was lost; the high byte counts how often
};

}  // namespace lvs::shard
