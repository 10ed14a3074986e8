#include "shard/news.h"

#include <algorithm>
#include <bit>

#include "shard/drift_core.h"
#include "shard/new_bits.h"
#include "shard/random.h"

namespace lvs::shard {

namespace {

// How many rows an offer searches for those that lack a batch of it, and how many it tests together.
constexpr std::size_t kOfferSearch = 64;
constexpr std::size_t kOfferRows = 8;
static_assert(kRowAlign % kOfferRows == 0);

// An unanswered pull counts its tries above this bit; the row lies below.
constexpr int kTriesShift = std::countr_zero(kMaxRows);

// All bits for an honest replica, and none for an adversary, which withholds what it knows.
std::uint64_t Tells(std::uint8_t flags) { return (flags & kAdversary) != 0 ? 0 : ~std::uint64_t{0}; }

}  // namespace

void News::Add(const SlotAmounts& gained_uvu) {
  for (std::size_t slot = 0; slot < gained_uvu.size(); ++slot) pending_.gained_uvu[slot] += gained_uvu[slot];
  pending_.bytes += sizes_.ledger_entry;
}

void News::Open(const Columns& col, const Crowd& crowd, int peers, std::uint64_t cycle, NewsCounts* counts) {
  if (pending_.bytes == 0) return;
  if (outstanding_ == ~std::uint64_t{0}) {
    const auto older = [](const Batch& a, const Batch& b) { return a.opened_cycle < b.opened_cycle; };
    SyncStragglers(col, static_cast<int>(std::min_element(batch_.begin(), batch_.end(), older) - batch_.begin()),
                   counts);
  }
  const int bit = std::countr_one(outstanding_);
  const std::uint64_t mask = std::uint64_t{1} << bit;
  for (std::size_t row = col.first_local; row < col.end; ++row)
    col.known[row] &= col.Alive(row) ? ~mask : kLacksNothing;
  Batch& batch = batch_[static_cast<std::size_t>(bit)];
  batch = pending_;
  batch.opened_cycle = cycle;
  outstanding_ |= mask;
  pending_ = {};
  // A batch was accepted through d replicas.
  if (crowd.replicas == 0) return;
  for (int n = 0; n < peers; ++n) {
    const std::uint64_t draw = Draw(seed_, Stream::kBatchSeed, static_cast<std::uint64_t>(bit * 256 + n), cycle);
    col.known[col.RandomLive(draw)] |= mask;
  }
}

void News::SyncStragglers(const Columns& col, int bit, NewsCounts* counts) {
  const std::uint64_t mask = std::uint64_t{1} << bit;
  for (std::size_t row = col.first_local; row < col.end; ++row) {
    if ((col.known[row] & mask) != 0) continue;
    col.known[row] |= mask;
    ++counts->redundancy_syncs;
    counts->ledger_bytes += BytesOf(mask);
  }
  outstanding_ &= ~mask;
}

void News::Spread(const Columns& col, const Crowd& crowd, std::uint64_t cycle, double loss, NewsCounts* counts) {
  // Pulls are sent, and so counted, whether or not there is news; only news needs the computation below.
  const double lost_pull = 1 - (1 - loss) * (1 - loss);
  const double awake = crowd.replicas - crowd.low_power + crowd.low_power / static_cast<double>(kLowPowerPeriod);
  counts->beacon_bytes +=
      static_cast<std::uint64_t>(static_cast<double>(sizes_.ledger_pull) * (awake / kPullPeriod) *
                                 (1 + lost_pull + lost_pull * lost_pull + lost_pull * lost_pull * lost_pull));
  if (outstanding_ == 0) return;

  const std::size_t first = col.first_local;
  const std::size_t locals = col.end - first;
  // Shards take turns on a thread and share this memory.
  thread_local std::vector<Pull> pulls;
  thread_local std::vector<std::uint64_t> before;
  // All pulls are simultaneous: news learned by one is passed on from the next cycle.
  before.assign(col.known + first, col.known + col.end);
  if (crowd.replicas > 0) Offer(col, crowd, cycle, loss, before.data(), counts);
  pulls.resize(std::max(pulls.size(), locals + 1));
  const std::size_t count = DrawPulls(col, cycle, lost_pull, pulls.data());
  std::uint64_t pushes = 0;
  for (std::size_t n = 0; n < count; ++n) {
    const auto [row, from] = pulls[n];
    // Each side sees in the other's mask what it lacks.
    const std::uint64_t pulled = before[from - first] & outstanding_ & Tells(col.flags[from]);
    const std::uint64_t pushed = before[row - first] & outstanding_ & Tells(col.flags[row]);
    col.known[row] |= pulled;
    col.known[from] |= pushed;
    pushes += (pushed & ~before[from - first]) != 0 ? 1 : 0;
  }
  counts->beacon_bytes += pushes * sizes_.ledger_pull;

  const NewBits learned = CountNewBits(before.data(), col.known + first, locals);
  for (std::uint64_t bits = outstanding_; bits != 0; bits &= bits - 1) {
    const int bit = std::countr_zero(bits);
    const Batch& batch = batch_[static_cast<std::size_t>(bit)];
    counts->ledger_bytes += learned.words[static_cast<std::size_t>(bit)] * batch.bytes;
    if ((learned.all >> bit & 1) != 0) {
      outstanding_ &= ~(std::uint64_t{1} << bit);
    } else if (cycle > batch.opened_cycle + kBatchCyclesMax) {
      SyncStragglers(col, bit, counts);
    }
  }
}

void News::Offer(const Columns& col, const Crowd& crowd, std::uint64_t cycle, double loss, std::uint64_t* knew,
                 NewsCounts* counts) const {
  const std::uint32_t offers = 1 + crowd.replicas / 128;
  for (std::uint32_t n = 0; n < offers; ++n) {
    const std::uint64_t draw = Draw(seed_, Stream::kBatchSeed, n, ~cycle);
    std::uint64_t offered = outstanding_;
    const std::size_t first = col.RandomLive(draw) / kOfferRows * kOfferRows;
    const std::size_t end = std::min(first + kOfferSearch, col.end);
    for (std::size_t group = first; group < end && offered != 0; group += kOfferRows) {
      std::uint64_t all_know = offered;
      for (std::size_t row = group; row < group + kOfferRows; ++row) all_know &= col.known[row];
      if (all_know == offered) continue;
      for (std::size_t row = group; row < group + kOfferRows; ++row) {
        const std::uint64_t lacks = offered & ~col.known[row];
        offered &= ~lacks;
        if (lacks == 0 || Unit(Mix(draw + row)) < loss) continue;
        knew[row - col.first_local] = col.known[row] |= lacks;
        counts->ledger_bytes += BytesOf(lacks);
      }
    }
  }
}

std::size_t News::DrawPulls(const Columns& col, std::uint64_t cycle, double lost_pull, Pull* pulls) {
  thread_local std::vector<std::uint32_t> lost;
  lost.resize(std::max(lost.size(), col.end - col.first_local + 1));
  std::size_t answered_count = 0;
  std::size_t lost_count = 0;
  const auto lost_below = static_cast<std::uint32_t>(lost_pull * 0xffffffffu);
  const std::uint64_t this_cycle = Draw(seed_, Stream::kPull, 0, cycle);
  // Branchless: both results are written, and only the counters decide. A branch on `answered` would be unpredictable.
  const auto pull = [&](std::uint32_t row, std::uint32_t tries) {
    const std::uint64_t draw = Mix(this_cycle + row * 0x9e3779b97f4a7c15ull);
    const bool answered = static_cast<std::uint32_t>(draw) >= lost_below;
    pulls[answered_count] = {row, col.RandomLive(draw)};
    answered_count += answered ? 1 : 0;
    lost[lost_count] = row | (tries + 1) << kTriesShift;
    lost_count += answered || tries + 1 == kPullPeriod ? 0 : 1;
  };
  for (const std::uint32_t again : unanswered_) {
    const std::uint32_t row = again & (kMaxRows - 1);
    if (col.Alive(row)) pull(row, again >> kTriesShift);
  }
  const auto first = static_cast<std::uint32_t>(col.first_local);
  for (std::uint32_t row = first + (0u - first - static_cast<std::uint32_t>(cycle)) % kPullPeriod; row < col.end;
       row += kPullPeriod) {
    const bool rests = (col.flags[row] & kLowPower) != 0 && (cycle + row) % (kPullPeriod * kLowPowerPeriod) != 0;
    if (col.Alive(row) && !rests) pull(row, 0);
  }
  unanswered_.assign(lost.begin(), lost.begin() + static_cast<std::ptrdiff_t>(lost_count));
  return answered_count;
}

std::uint64_t News::BytesOf(std::uint64_t batches) const {
  std::uint64_t bytes = 0;
  for (; batches != 0; batches &= batches - 1)
    bytes += batch_[static_cast<std::size_t>(std::countr_zero(batches))].bytes;
  return bytes;
}

void News::Forget() {
  outstanding_ = 0;
  pending_ = {};
}

std::int64_t News::OutstandingUvu(std::size_t slot) const {
  std::int64_t uvu = 0;
  for (std::uint64_t bits = outstanding_; bits != 0; bits &= bits - 1)
    uvu += batch_[static_cast<std::size_t>(std::countr_zero(bits))].gained_uvu[slot];
  return uvu;
}

std::uint64_t News::Lacked(const Columns& col, std::size_t first, std::size_t rows) const {
  std::uint64_t lacked = 0;
  for (std::size_t row = first; row < first + rows; ++row) lacked |= outstanding_ & ~col.known[row];
  return lacked;
}

std::int64_t News::Behind(const Columns& col, std::size_t first, std::size_t rows, std::uint64_t lacked,
                          std::size_t slot, double* behind_vu) const {
  // Amounts that wait for the next batch are known to no replica yet.
  const std::int64_t pending_uvu = pending_.gained_uvu[slot];
  std::fill_n(behind_vu, rows, Vu(pending_uvu));
  if (lacked == 0) return pending_uvu;
  // Batch by batch over all rows, so that no branch depends on a row.
  std::int64_t behind_uvu[kBehindRows];
  std::fill_n(behind_uvu, rows, pending_uvu);
  for (; lacked != 0; lacked &= lacked - 1) {
    const int bit = std::countr_zero(lacked);
    const std::int64_t gained_uvu = batch_[static_cast<std::size_t>(bit)].gained_uvu[slot];
    for (std::size_t n = 0; n < rows; ++n) {
      const auto lacks = static_cast<std::int64_t>(~col.known[first + n] >> bit & 1);
      behind_uvu[n] += -lacks & gained_uvu;
    }
  }
  std::int64_t most_uvu = pending_uvu;
  for (std::size_t n = 0; n < rows; ++n) {
    behind_vu[n] = Vu(behind_uvu[n]);
    most_uvu = std::max(most_uvu, behind_uvu[n]);
  }
  return most_uvu;
}

}  // namespace lvs::shard
