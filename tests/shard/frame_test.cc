// Frames as columns: coalescing, and the refusal of nonsense (SPEC-10, TEST-7).
#include "shard/frame.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "shard/message_sizes.h"
#include "tests/shard/generator.h"

namespace lvs::shard {
namespace {

using vaultguard::Refusal;

constexpr Shape kFrameShape{2, 1, 8};
constexpr std::uint32_t kShard = 3;
constexpr std::size_t kHaloRows = 10;
constexpr std::uint64_t kCycle = 1000;

Frame GoodFrame(std::size_t rows = 4) {
  Frame f;
  f.shard = kShard;
  f.cycle = kCycle;
  f.value_slots = kFrameShape.value_slots;
  f.news_from = 5;
  f.news_to = 9;
  for (std::size_t n = 0; n < rows; ++n) {
    f.halo_row.push_back(static_cast<std::uint32_t>(n % kHaloRows));
    f.published_cycle.push_back(kCycle - n % kHaloRows);
    f.drift_weight.push_back(255);
    f.entropy.push_back(7);
    for (int c = 0; c < 3; ++c) f.diff.push_back(static_cast<float>(c));
  }
  return f;
}

TEST(Frame, Test7EachKindOfNonsenseIsRefusedWithItsReason) {
  struct Nonsense {
    const char* what;
    Refusal why;
    std::function<void(Frame*)> spoil;
  };
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Nonsense kinds[] = {
      {"another shard", Refusal::kUnknownShard, [](Frame* f) { f->shard = kShard + 1; }},
      {"fewer value slots", Refusal::kWrongDimension, [](Frame* f) { f->value_slots = 1; }},
      {"more value slots", Refusal::kWrongDimension, [](Frame* f) { f->value_slots = 3; }},
      {"the future", Refusal::kFutureCycle, [](Frame* f) { f->cycle = kCycle + vaultguard::kMaxCyclesAhead + 1; }},
      {"the end of time", Refusal::kFutureCycle, [](Frame* f) { f->cycle = ~std::uint64_t{0}; }},
      {"said before it was", Refusal::kFutureCycle, [](Frame* f) { f->published_cycle[3] = kCycle + 1; }},
      {"too many rows", Refusal::kTooLarge, [](Frame* f) { *f = GoodFrame(vaultguard::kMaxFrameRows + 1); }},
      {"too many entries", Refusal::kTooLarge, [](Frame* f) { f->entries.resize(vaultguard::kMaxFrameEntries + 1); }},
      {"cycles short", Refusal::kColumnLengths, [](Frame* f) { f->published_cycle.pop_back(); }},
      {"weights short", Refusal::kColumnLengths, [](Frame* f) { f->drift_weight.pop_back(); }},
      {"entropy short", Refusal::kColumnLengths, [](Frame* f) { f->entropy.pop_back(); }},
      {"entropy long", Refusal::kColumnLengths, [](Frame* f) { f->entropy.push_back(0); }},
      {"rows short", Refusal::kColumnLengths, [](Frame* f) { f->halo_row.pop_back(); }},
      {"diff short", Refusal::kWrongDimension, [](Frame* f) { f->diff.pop_back(); }},
      {"diff long", Refusal::kWrongDimension, [](Frame* f) { f->diff.push_back(0); }},
      {"another dimension", Refusal::kWrongDimension, [](Frame* f) { f->diff.resize(f->halo_row.size() * 4); }},
      {"digests short", Refusal::kColumnLengths, [](Frame* f) { f->bucket_digest.resize(15); }},
      {"digests long", Refusal::kColumnLengths, [](Frame* f) { f->bucket_digest.resize(17); }},
      {"half a range held", Refusal::kColumnLengths,
       [](Frame* f) {
         f->held = {1, 2, 3};
       }},
      {"ranges held backwards", Refusal::kBadEntry,
       [](Frame* f) {
         f->held = {3, 4, 1, 2};
       }},
      {"too many ranges held", Refusal::kTooLarge,
       [](Frame* f) { f->held.assign(2 * vaultguard::kMaxHeldRanges + 2, 1); }},
      {"news backwards", Refusal::kBadEntry, [](Frame* f) { f->news_to = f->news_from - 1; }},
      {"a row too far", Refusal::kUnknownHaloRow, [](Frame* f) { f->halo_row[2] = kHaloRows; }},
      {"NaN", Refusal::kNotFinite, [](Frame* f) { f->diff[0] = kNan; }},
      {"NaN at the end", Refusal::kNotFinite, [](Frame* f) { f->diff.back() = kNan; }},
      {"infinity", Refusal::kNotFinite, [](Frame* f) { f->diff[4] = -kInfinity; }},
      {"far away", Refusal::kNotFinite, [](Frame* f) { f->diff[4] = 1.0001e12f; }},
  };
  for (const Nonsense& kind : kinds) {
    Frame frame = GoodFrame();
    kind.spoil(&frame);
    EXPECT_EQ(CheckFrame(frame, kFrameShape, kShard, kHaloRows, kCycle), kind.why) << kind.what;
  }
}

TEST(Frame, Test7OneBadValueIsFoundWhereverItIs) {
  constexpr std::size_t kManyRows = 19;  // some vectors of any width, and a rest
  for (std::size_t row = 0; row < kManyRows; ++row) {
    Frame frame = GoodFrame(kManyRows);
    frame.halo_row[row] = ~0u;
    EXPECT_EQ(CheckFrame(frame, kFrameShape, kShard, kHaloRows, kCycle), Refusal::kUnknownHaloRow) << row;
    frame = GoodFrame(kManyRows);
    frame.published_cycle[row] = ~0u;
    EXPECT_EQ(CheckFrame(frame, kFrameShape, kShard, kHaloRows, kCycle), Refusal::kFutureCycle) << row;
    frame = GoodFrame(kManyRows);
    frame.diff[3 * row + row % 3] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(CheckFrame(frame, kFrameShape, kShard, kHaloRows, kCycle), Refusal::kNotFinite) << row;
  }
}

TEST(Frame, CyclesAndRowsAboveThirtyTwoBitsAreNoLimit) {
  Frame frame = GoodFrame();
  frame.cycle = std::uint64_t{1} << 32;
  frame.published_cycle[1] = ~0u;
  frame.halo_row[1] = ~0u - 1;
  EXPECT_EQ(CheckFrame(frame, kFrameShape, kShard, std::size_t{1} << 32, frame.cycle), std::nullopt);
}

TEST(Frame, WhatIsJustWithinTheLimitsIsTaken) {
  const auto ok = [](const Frame& f) { return !CheckFrame(f, kFrameShape, kShard, kHaloRows, kCycle).has_value(); };
  EXPECT_TRUE(ok(GoodFrame()));
  EXPECT_TRUE(ok(GoodFrame(0)));
  EXPECT_TRUE(ok(GoodFrame(vaultguard::kMaxFrameRows)));
  Frame frame = GoodFrame();
  frame.entries.resize(vaultguard::kMaxFrameEntries);
  frame.cycle = kCycle + vaultguard::kMaxCyclesAhead;
  frame.published_cycle[0] = kCycle + vaultguard::kMaxCyclesAhead;
  frame.news_to = frame.news_from;
  frame.halo_row[0] = kHaloRows - 1;
  frame.diff[0] = -1e12f;
  frame.bucket_digest.resize(Ledger::kBuckets);
  frame.held.assign(2 * vaultguard::kMaxHeldRanges, 1);
  EXPECT_TRUE(ok(frame));
  frame.cycle = 0;  // an old frame still brings entries
  frame.published_cycle.assign(4, 0);
  EXPECT_TRUE(ok(frame));
  frame.halo_row[0] = 0;
  EXPECT_EQ(CheckFrame(frame, kFrameShape, kShard, 0, kCycle), Refusal::kUnknownHaloRow) << "where there is no halo";
}

TEST(Frame, Spec12MessageSizesGrowWithTheShape) {
  const MessageSizes small({1, 0, 8});
  const MessageSizes large({8, 4, 8});
  EXPECT_EQ(large.state_diff - small.state_diff, 44u);  // eleven floats
  EXPECT_EQ(large.entropy_packet - small.entropy_packet, 44u);
  EXPECT_EQ(large.ledger_pull, small.ledger_pull);
  EXPECT_GT(small.state_diff, 4u);
  EXPECT_LT(large.state_diff, 100u);
  EXPECT_GT(small.ledger_entry, 16u);
  EXPECT_LT(small.ledger_entry, 64u);
}

Frame Waiting(std::uint64_t from, std::uint64_t to, std::vector<std::uint32_t> rows, float diff) {
  Frame frame;
  frame.sender = {1, 2};
  frame.cycle = to;
  frame.value_slots = 1;
  frame.news_from = from;
  frame.news_to = to;
  for (std::uint64_t n = from; n < to; ++n) frame.entries.push_back({{n + 1, 1}, 0, {1}});
  for (const std::uint32_t row : rows) {
    frame.halo_row.push_back(row);
    frame.published_cycle.push_back(static_cast<std::uint32_t>(to));
    frame.drift_weight.push_back(255);
    frame.entropy.push_back(row);
    frame.diff.insert(frame.diff.end(), {diff, diff});
  }
  return frame;
}

TEST(Coalesce, Spec10_NewsThatFollowsIsSaidInOneFrame) {
  const Frame both = Coalesce(Waiting(3, 5, {1, 2}, 10), Waiting(5, 9, {2, 4}, 20));
  EXPECT_EQ(both.cycle, 9u);
  EXPECT_EQ(both.news_from, 3u);
  EXPECT_EQ(both.news_to, 9u);
  ASSERT_EQ(both.entries.size(), 6u);
  for (std::uint64_t n = 0; n < 6; ++n) EXPECT_EQ(both.entries[n].session.high, n + 4) << "in order, each once";
}

TEST(Coalesce, Spec6_2_TheNewestDiffOfEachRowIsSaid) {
  const Frame both = Coalesce(Waiting(3, 5, {1, 2}, 10), Waiting(5, 9, {2, 4}, 20));
  EXPECT_EQ(both.halo_row, (std::vector<std::uint32_t>{2, 4, 1}));
  EXPECT_EQ(both.published_cycle, (std::vector<std::uint32_t>{9, 9, 5}));
  EXPECT_EQ(both.entropy, (std::vector<std::uint32_t>{2, 4, 1}));
  EXPECT_EQ(both.diff, (std::vector<float>{20, 20, 20, 20, 10, 10}));
  EXPECT_EQ(CheckFrame(both, {1, 1, 8}, 0, 8, 9), std::nullopt);
}

// A link so slow that every frame meets the one before: the oldest news goes first, and all of it in the end.
TEST(Coalesce, Spec12_OnASlowLinkNewsStillMovesOn) {
  constexpr std::uint64_t kStep = 400;
  Frame waiting = Waiting(0, kStep, {}, 0);
  for (std::uint64_t n = 1; n < 10; ++n) {
    waiting = Coalesce(waiting, Waiting(n * kStep, (n + 1) * kStep, {}, 0));
    EXPECT_EQ(waiting.news_from, 0u) << "what was not said is not skipped";
    EXPECT_EQ(waiting.entries.size(), waiting.news_to);
    EXPECT_LE(waiting.entries.size(), vaultguard::kMaxFrameEntries);
    EXPECT_EQ(waiting.cycle, (n + 1) * kStep) << "as fresh as the newest";
  }
  EXPECT_EQ(waiting.news_to, 2 * kStep);
}

// While a frame waits, an earlier one is acknowledged and the sender goes back to there: its later frames must not be
// dropped as if something were missing before them.
TEST(Coalesce, Spec12_NewsSaidAgainFromTheMiddleIsJoined) {
  const Frame both = Coalesce(Waiting(3, 9, {}, 10), Waiting(5, 12, {}, 20));
  EXPECT_EQ(both.news_from, 3u);
  EXPECT_EQ(both.news_to, 12u);
  ASSERT_EQ(both.entries.size(), 9u);
  for (std::uint64_t n = 0; n < 9; ++n) EXPECT_EQ(both.entries[n].session.high, n + 4) << "in order, each once";
  const Frame next = Coalesce(both, Waiting(12, 13, {}, 30));
  EXPECT_EQ(next.news_from, 3u);
  EXPECT_EQ(next.news_to, 13u);

  const Frame older_has_more = Coalesce(Waiting(3, 9, {}, 10), Waiting(5, 8, {}, 20));
  EXPECT_EQ(older_has_more.news_from, 3u);
  EXPECT_EQ(older_has_more.news_to, 9u);
  EXPECT_EQ(older_has_more.entries.size(), 6u);
}

TEST(Coalesce, Spec10_NewsSaidAgainFromTheBeginningReplacesAll) {
  const Frame again = Coalesce(Waiting(5, 9, {}, 0), Waiting(0, 3, {}, 0));
  EXPECT_EQ(again.news_from, 0u);
  EXPECT_EQ(again.news_to, 3u);
  EXPECT_EQ(again.entries.size(), 3u);
}

TEST(Coalesce, Spec14_ACallForEverythingIsNotLost) {
  Frame older = Waiting(0, 0, {}, 0);
  older.correction = Correction::kSyncAll;
  older.correction_buckets = Ledger::kAllBuckets;
  older.held = {3, 9};
  older.bucket_digest.assign(Ledger::kBuckets, 7);
  const Frame both = Coalesce(older, Waiting(0, 1, {}, 0));
  EXPECT_EQ(both.correction, Correction::kSyncAll);
  EXPECT_EQ(both.correction_buckets, Ledger::kAllBuckets);
  EXPECT_EQ(both.held, older.held);
  EXPECT_EQ(both.bucket_digest.size(), std::size_t{Ledger::kBuckets});
  EXPECT_EQ(both.entries.size(), 1u);
}

TEST(Coalesce, AnotherLifeOfTheSenderReplacesAll) {
  Frame newer = Waiting(0, 1, {1}, 5);
  newer.sender = {9, 9};
  const Frame both = Coalesce(Waiting(0, 8, {1, 2, 3}, 1), newer);
  EXPECT_EQ(both.halo_row.size(), 1u);
  EXPECT_EQ(both.entries.size(), 1u);
}

}  // namespace
}  // namespace lvs::shard
