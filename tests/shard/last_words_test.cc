// A replica that left is heard until it is silent, and its row is free for another long before (SPEC-9.4).
#include "shard/last_words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "shard/state_shard.h"

namespace lvs::shard {
namespace {

class Departures : public testing::Test {
 protected:
  static StateShardConfig Config() {
    StateShardConfig config;
    config.seed = 5;
    config.halo_rows = 20;
    return config;
  }

  Departures() : shard_(Config()) {
    shard_.Start(500, 1000 * vaultguard::kMicroPerVu);
    Cycles(150);
  }

  void Cycles(std::uint64_t n) {
    for (; n > 0; --n) {
      CycleCounts counts;
      shard_.Advance(++cycle_, 0, &counts);
    }
  }
  void LeaveAndReturn(std::uint32_t row) {
    shard_.Leave(row);
    shard_.Join(row, cycle_);
  }

  const Columns& col() const { return shard_.columns(); }
  std::uint32_t Row(std::uint32_t n) const { return shard_.first_row() + n; }
  std::uint32_t LinkAt(std::uint32_t row, int s) const {
    return col().link[static_cast<std::size_t>(s) * col().stride + row];
  }
  // All words of a row's last publication.
  std::vector<float> Said(std::uint32_t row) const { return {col().Said(row), col().Said(row) + col().said_words}; }

  struct Slot {
    std::uint32_t row;
    int s;
  };
  // Slots that lead to these rows.
  std::vector<Slot> Hearers(std::uint32_t first, std::size_t end) const {
    std::vector<Slot> hearers;
    for (std::uint32_t row = shard_.first_row(); row < col().end; ++row) {
      for (int s = 0; s < 8 && (col().flags[row] & kAlive) != 0; ++s) {
        const std::uint32_t peer = NeighbourOf(LinkAt(row, s));
        if (peer >= first && peer < end) hearers.push_back({row, s});
      }
    }
    return hearers;
  }
  std::vector<Slot> HearersOfTheDeparted() const {
    return Hearers(static_cast<std::uint32_t>(col().first_departed()), kMaxRows);
  }

  StateShard shard_;
  std::uint64_t cycle_ = 0;
};

TEST_F(Departures, Spec9_4LastWordsAreHeardFromElsewhereWhenAnotherLivesInTheRow) {
  const std::uint32_t row = Row(77);
  const std::vector<float> said = Said(row);
  const std::vector<Slot> hearers = Hearers(row, row + 1);
  ASSERT_GE(hearers.size(), 4u);
  std::vector<std::uint8_t> trust;
  for (const Slot& at : hearers) trust.push_back(TrustOf(LinkAt(at.row, at.s)));
  shard_.Leave(row);
  EXPECT_EQ(Said(row), said) << "it lies in its row at first";
  shard_.Join(row, cycle_);
  // The newcomer took over slots of its own, perhaps one of these.
  std::size_t still = 0;
  for (std::size_t n = 0; n < hearers.size(); ++n) {
    const std::uint32_t link = LinkAt(hearers[n].row, hearers[n].s);
    if (NeighbourOf(link) == row) continue;
    ++still;
    EXPECT_GE(NeighbourOf(link), col().first_departed());
    EXPECT_EQ(Said(NeighbourOf(link)), said);
    EXPECT_EQ(TrustOf(link), trust[n]);
  }
  EXPECT_GE(still, hearers.size() - 1);
  EXPECT_FALSE(col().Heard(row, cycle_)) << "the newcomer has not spoken";
  Cycles(1);
  EXPECT_TRUE(col().Heard(row, cycle_));
  EXPECT_NE(Said(row), said);
}

TEST_F(Departures, Spec9_4RowsAreFreeAfterTheirRest) {
  std::vector<std::uint32_t> gone;
  for (std::uint32_t n = 0; n < 50; ++n) gone.push_back(Row(n * 10));
  for (const std::uint32_t row : gone) shard_.Leave(row);
  Cycles(kRestCycles);
  for (const std::uint32_t row : gone) {
    EXPECT_TRUE(Hearers(row, row + 1).empty());
    EXPECT_EQ(col().flags[row], 0);
    EXPECT_FALSE(col().Heard(row, cycle_)) << "nobody who asks around hears it twice";
  }
  EXPECT_GT(HearersOfTheDeparted().size(), 200u);
  for (const Slot& at : HearersOfTheDeparted()) EXPECT_TRUE(col().Heard(NeighbourOf(LinkAt(at.row, at.s)), cycle_));
  // Silent rows have lost their last hearers, and their places.
  Cycles(vaultguard::kSilenceCycles + kRestCycles + 8);
  EXPECT_TRUE(HearersOfTheDeparted().empty());
  EXPECT_EQ(col().departed_end, col().first_departed() + 1) << "only silence itself is left";
}

// With more local rows, the last words behind them lie further away, and are found.
TEST_F(Departures, Spec9_4LastWordsMoveAlongWhenTheShardGrows) {
  for (std::uint32_t n = 0; n < 30; ++n) LeaveAndReturn(Row(n * 3));
  const std::size_t before = col().first_departed();
  const std::vector<Slot> hearers = HearersOfTheDeparted();
  std::vector<std::vector<float>> said;
  for (const Slot& at : hearers) said.push_back(Said(NeighbourOf(LinkAt(at.row, at.s))));
  ASSERT_GT(hearers.size(), 100u);
  shard_.Join(static_cast<std::uint32_t>(col().end) + 3000, cycle_);
  EXPECT_GT(col().first_departed(), before + 2500);
  std::size_t same = 0;
  for (std::size_t n = 0; n < hearers.size(); ++n) {
    const std::uint32_t peer = NeighbourOf(LinkAt(hearers[n].row, hearers[n].s));
    if (peer == static_cast<std::uint32_t>(col().end) - kRowAlign) continue;
    same += peer >= col().first_departed() && Said(peer) == said[n] ? 1 : 0;
  }
  EXPECT_GE(same + 8, hearers.size()) << "the joiner took over at most eight slots";
  for (std::size_t n = 0; n < 30; ++n)
    EXPECT_TRUE(Hearers(Row(static_cast<std::uint32_t>(n) * 3), kMaxRows).size() > 0);
}

// Churn without end: room for the replicas that left within the silence limit, and no more.
TEST_F(Departures, Spec9_4ChurnNeedsRoomForTheRecentOnly) {
  constexpr std::uint32_t kACycle = 4;
  std::vector<std::uint32_t> free;
  std::uint32_t next = 0;
  std::size_t largest = 0;
  for (int n = 0; n < 1200; ++n) {
    if (free.size() >= kACycle * kRestCycles) {  // as a swarm does: after the rest
      for (std::uint32_t k = 0; k < kACycle; ++k) shard_.Join(free[k], cycle_);
      free.erase(free.begin(), free.begin() + kACycle);
    }
    for (std::uint32_t k = 0; k < kACycle; ++k, next = (next + 7) % 500) {
      shard_.Leave(Row(next));
      free.push_back(Row(next));
    }
    Cycles(1);
    largest = std::max(largest, col().departed_end - col().first_departed());
  }
  EXPECT_GT(largest, kACycle * 60);
  EXPECT_LE(largest, 1 + kACycle * (vaultguard::kSilenceCycles + 2 * kRestCycles));
  EXPECT_EQ(shard_.replicas(), 500 - kACycle * kRestCycles);
  // No replica is mistaken for the earlier one of its row: publications behind the local rows belong to no live
  // replica, and every slot leads to a valid row.
  for (const Slot& at : Hearers(0, kMaxRows)) EXPECT_LT(NeighbourOf(LinkAt(at.row, at.s)), col().departed_end);
}

}  // namespace
}  // namespace lvs::shard
