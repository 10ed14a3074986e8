// News among rows without the rest of a shard: its spread, its cost, which is what rows learn, and rows that withhold
// it.
#include "shard/news.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "tests/shard/generator.h"

namespace lvs::shard {
namespace {

constexpr std::size_t kFirst = 16;

class NewsRows {
 public:
  explicit NewsRows(std::uint32_t replicas)
      : flags_(kFirst + replicas, kAlive), known_(kFirst + replicas, 0), crowd_{replicas, 0} {
    col_.first_local = kFirst;
    col_.end = flags_.size();
    col_.flags = flags_.data();
    col_.known = known_.data();
  }
  const Columns& col() const { return col_; }
  const Crowd& crowd() const { return crowd_; }
  void SetFlag(std::size_t row, std::uint8_t flag) {
    flags_[row] |= flag;
    if (flag == kLowPower) ++crowd_.low_power;
  }
  void Leave(std::size_t row) {
    flags_[row] = 0;
    known_[row] = kLacksNothing;
    --crowd_.replicas;
  }
  std::vector<std::uint64_t>& known() { return known_; }

 private:
  std::vector<std::uint8_t> flags_;
  std::vector<std::uint64_t> known_;
  Columns col_;
  Crowd crowd_;
};

const MessageSizes kSizes{Shape{}};

TEST(News, Spec12ItCostsWhatTheRowsLearn) {
  Generator g(1);
  NewsRows rows(1600);
  for (std::size_t row = kFirst; row < rows.col().end; ++row) {
    if (g.Chance(0.2)) rows.SetFlag(row, kAdversary);
    if (g.Chance(0.1)) rows.SetFlag(row, kLowPower);
    if (g.Chance(0.05) && (rows.col().flags[row] & kLowPower) == 0) rows.Leave(row);
  }
  News news(7, kSizes);
  std::uint64_t learned_in_all = 0, syncs = 0;
  for (std::uint64_t cycle = 1; cycle <= 400; ++cycle) {
    // Heavy loss for a while, so that some batches have to be copied.
    const double loss = cycle < 250 ? 0.3 : 0.97;
    NewsCounts counts;
    news.Add({1, 1});
    news.Open(rows.col(), rows.crowd(), 8, cycle, &counts);
    if (counts.redundancy_syncs > 0) {  // a bit was freed and used again
      syncs += counts.redundancy_syncs;
      EXPECT_EQ(counts.ledger_bytes, counts.redundancy_syncs * kSizes.ledger_entry);
      counts = {};
    }
    const std::vector<std::uint64_t> before = rows.known();
    news.Spread(rows.col(), rows.crowd(), cycle, loss, &counts);
    std::uint64_t learned = 0;
    for (std::size_t row = kFirst; row < rows.col().end; ++row) {
      EXPECT_EQ(before[row] & ~rows.known()[row], 0u) << "forgot";
      learned += static_cast<std::uint64_t>(std::popcount(rows.known()[row] & ~before[row]));
    }
    ASSERT_EQ(counts.ledger_bytes, learned * kSizes.ledger_entry) << "cycle " << cycle;
    EXPECT_GT(counts.beacon_bytes, 0u);
    learned_in_all += learned;
    syncs += counts.redundancy_syncs;
  }
  EXPECT_GT(learned_in_all, 200'000u);
  EXPECT_GT(syncs, 0u);
}

// Four thousand rows know within 24 cycles: each pulls every fourth cycle, and both sides of a pull pass on what they
// know.
TEST(News, Spec6_3ReachesAllInAFewRounds) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    NewsRows rows(4096);
    News news(seed, kSizes);
    news.Add({1, 0});
    std::uint64_t cycle = 1;
    for (NewsCounts counts; cycle < 100 && (cycle == 1 || news.outstanding() != 0); ++cycle) {
      news.Open(rows.col(), rows.crowd(), 8, cycle, &counts);
      EXPECT_EQ(news.OutstandingUvu(0), 1);
      news.Spread(rows.col(), rows.crowd(), cycle, 0.0, &counts);
      EXPECT_EQ(counts.redundancy_syncs, 0u);
    }
    EXPECT_LE(cycle, 24u) << "seed " << seed;
    EXPECT_EQ(news.OutstandingUvu(0), 0);
  }
}

// A server node whose last replica left goes on without rows, and its news is settled at once.
TEST(News, Paper8SettlesWhereNobodyIs) {
  NewsRows rows(0);
  News news(1, kSizes);
  NewsCounts counts;
  news.Add({1, 0});
  news.Open(rows.col(), rows.crowd(), 8, 1, &counts);
  EXPECT_NE(news.outstanding(), 0u);
  news.Spread(rows.col(), rows.crowd(), 1, 0.5, &counts);
  EXPECT_EQ(news.outstanding(), 0u);
  EXPECT_EQ(counts.ledger_bytes, 0u);
}

// One row lacks what all others know. The row learns from the keeper's offers in either case, and from the rows that it
// meets where these are honest.
TEST(News, Arch6_5AdversariesWithholdWhatTheyKnow) {
  constexpr int kRuns = 400;
  const auto learned = [](bool adversaries) {
    int runs = 0;
    for (std::uint64_t seed = 1; seed <= kRuns; ++seed) {
      NewsRows rows(4096);
      constexpr std::size_t one = kFirst + 1234;
      constexpr std::uint64_t cycle = kPullPeriod - one % kPullPeriod;
      News news(seed, kSizes);
      NewsCounts counts;
      news.Add({1, 0});
      news.Open(rows.col(), rows.crowd(), 1, cycle, &counts);
      for (std::size_t row = kFirst; row < rows.col().end; ++row) {
        if (adversaries && row != one) rows.SetFlag(row, kAdversary);
        rows.known()[row] = row == one ? 0 : news.outstanding();
      }
      news.Spread(rows.col(), rows.crowd(), cycle, 0.0, &counts);
      runs += rows.known()[one] != 0 ? 1 : 0;
    }
    return runs;
  };
  EXPECT_EQ(learned(false), kRuns);
  EXPECT_NEAR(learned(true), 0.4 * kRuns, 0.1 * kRuns);  // 33 offers look at 64 of 4096 rows each
}

}  // namespace
}  // namespace lvs::shard
