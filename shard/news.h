// How news of the ledger spreads among the replicas of a shard (SPEC-6.3). The ledger's entries are held once. What is
// new in a cycle is a batch, and what a replica knows is a bitmask of recent batches (Columns::known): d random
// replicas get a batch first, every fourth cycle a replica and a random other one give each other what they lack
// (push-pull anti-entropy), and the shard's keeper goes on offering it. A batch that all know is settled, and its bit
// is free.
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
// A replica pulls ledger news from a random other one every so many cycles.
inline constexpr std::uint32_t kPullPeriod = 4;
inline constexpr int kBatchWindow = 64;
// What a row knows that nobody lives in: it never stands out among those that lack news.
inline constexpr std::uint64_t kLacksNothing = ~std::uint64_t{0};

// Who lives in the columns.
struct Crowd {
  std::uint32_t replicas = 0;
  std::uint32_t low_power = 0;  // of them
};

struct NewsCounts {
  std::uint64_t ledger_bytes = 0;
  std::uint64_t beacon_bytes = 0;
  std::uint64_t redundancy_syncs = 0;
};

class News {
 public:
  News(std::uint64_t seed, const MessageSizes& sizes) : seed_(seed), sizes_(sizes) {}

  // An entry brought the ledger so much more.
  void Add(const SlotAmounts& gained_uvu);
  // What was added since the last cycle becomes a batch that `peers` random replicas know.
  void Open(const Columns& columns, const Crowd& crowd, int peers, std::uint64_t cycle, NewsCounts* counts);
  // One cycle of offers and pulls, of which the network loses some.
  void Spread(const Columns& columns, const Crowd& crowd, std::uint64_t cycle, double loss, NewsCounts* counts);
  // The ledger is gone, and its news with it.
  void Forget();

  // Bits of batches that not everybody knows, and what they brought to a slot.
  std::uint64_t outstanding() const { return outstanding_; }
  std::int64_t OutstandingUvu(std::size_t slot) const;

  // Batches that somebody lacks of the rows [first, first + rows).
  std::uint64_t Lacked(const Columns& columns, std::size_t first, std::size_t rows) const;
  // What each of these rows lacks of the ledger in a slot, VU, where no batch but the `lacked` is lacked; of at most
  // kBehindRows. Returns the most, micro-VU.
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

  // An offer carries all batches to a random place, where each goes to the first one that lacks it: no news dies among
  // liars. Who takes one tells it in this cycle: `knew`, from the first local row on.
  void Offer(const Columns& columns, const Crowd& crowd, std::uint64_t cycle, double loss, std::uint64_t* knew,
             NewsCounts* counts) const;
  std::uint64_t BytesOf(std::uint64_t batches) const;
  // Who pulls from whom in this cycle. A pull that stays without an answer is tried again in the next one, at most
  // until a new one is due.
  std::size_t DrawPulls(const Columns& columns, std::uint64_t cycle, double lost_pull, Pull* pulls);
  // Gives the batch to every replica that lacks it, by a direct copy (redundancy sync), and frees its bit.
  void SyncStragglers(const Columns& columns, int bit, NewsCounts* counts);

  std::uint64_t seed_;
  MessageSizes sizes_;
  std::array<Batch, kBatchWindow> batch_{};
  std::uint64_t outstanding_ = 0;
  Batch pending_;                          // added since the last batch was opened
  std::vector<std::uint32_t> unanswered_;  // rows whose pull was lost, and how often in the high byte
};

}  // namespace lvs::shard
