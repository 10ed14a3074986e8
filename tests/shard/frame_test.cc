// Frames: the wire form and back, their size without making them, and the refusal of nonsense (SPEC-10, TEST-7).
#include "shard/frame.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "shard/reuse.h"
#include "tests/shard/generator.h"

namespace lvs::shard {
namespace {

using vaultguard::Refusal;

// A number of any length in bytes, often zero.
std::uint64_t AnyLength(Generator* g) { return g->Chance(0.2) ? 0 : g->Next() >> g->Below(64); }

Frame RandomFrame(Generator* g) {
  Frame f;
  f.shard = static_cast<std::uint32_t>(AnyLength(g));
  f.cycle = AnyLength(g);
  f.sender = {AnyLength(g), AnyLength(g)};
  f.value_slots = static_cast<int>(g->Below(vaultguard::kMaxValueSlots + 1));
  const auto amounts = [&] {
    SlotAmounts a{};
    for (int s = 0; s < f.value_slots; ++s)
      a[static_cast<std::size_t>(s)] = static_cast<std::int64_t>(AnyLength(g) >> 1);
    return a;
  };
  f.total_uvu = amounts();
  f.ledger_digest = AnyLength(g);
  f.news_from = AnyLength(g);
  f.news_to = AnyLength(g);
  f.acknowledged = AnyLength(g);
  f.acknowledged_of = AnyLength(g);
  for (std::uint32_t n = g->Chance(0.3) ? 0 : g->Below(30); n > 0; --n) {
    f.entries.push_back({{AnyLength(g), AnyLength(g)}, AnyLength(g), amounts()});
  }
  const std::uint32_t rows = g->Chance(0.3) ? 0 : g->Below(g->Chance(0.1) ? 1000 : 30);
  for (std::uint32_t n = 0; n < rows; ++n) {
    f.halo_row.push_back(static_cast<std::uint32_t>(AnyLength(g)));
    f.published_cycle.push_back(static_cast<std::uint32_t>(AnyLength(g)));
    f.drift_weight.push_back(static_cast<std::uint8_t>(AnyLength(g)));
    f.entropy.push_back(static_cast<std::uint32_t>(AnyLength(g)));
    for (int c = 0; c < 3; ++c) f.diff.push_back(g->Chance(0.2) ? 0.0f : g->Around(100));
  }
  const auto number = [g] { return g->Chance(0.3) ? 0.0f : g->Chance(0.3) ? -0.0f : g->Around(1); };
  f.beacon = {static_cast<std::uint32_t>(AnyLength(g)), number(), number()};
  if (g->Chance(0.5)) {
    f.correction = g->Chance(0.5) ? Correction::kSyncAll : Correction::kSyncBuckets;
    f.correction_buckets = g->Chance(0.3) ? 0 : g->Below(65'536);
  }
  if (g->Chance(0.3)) {
    while (f.bucket_digest.size() < Ledger::kBuckets) f.bucket_digest.push_back(AnyLength(g));
  }
  return f;
}

std::string Encoded(const Frame& frame) {
  std::string bytes(EncodedSize(frame), '\0');
  auto* const begin = reinterpret_cast<std::uint8_t*>(bytes.data());
  EXPECT_EQ(Encode(frame, begin), begin + bytes.size());
  return bytes;
}

void ExpectEqual(const Frame& a, const Frame& b) {
  EXPECT_EQ(a.shard, b.shard);
  EXPECT_EQ(a.cycle, b.cycle);
  EXPECT_EQ(a.sender, b.sender);
  EXPECT_EQ(a.value_slots, b.value_slots);
  EXPECT_EQ(a.total_uvu, b.total_uvu);
  EXPECT_EQ(a.ledger_digest, b.ledger_digest);
  EXPECT_EQ(a.news_from, b.news_from);
  EXPECT_EQ(a.news_to, b.news_to);
  EXPECT_EQ(a.acknowledged, b.acknowledged);
  EXPECT_EQ(a.acknowledged_of, b.acknowledged_of);
  ASSERT_EQ(a.entries.size(), b.entries.size());
  for (std::size_t n = 0; n < a.entries.size(); ++n) {
    EXPECT_EQ(a.entries[n].session, b.entries[n].session);
    EXPECT_EQ(a.entries[n].opened_cycle, b.entries[n].opened_cycle);
    EXPECT_EQ(a.entries[n].amount_uvu, b.entries[n].amount_uvu);
  }
  EXPECT_EQ(a.halo_row, b.halo_row);
  EXPECT_EQ(a.published_cycle, b.published_cycle);
  EXPECT_EQ(a.drift_weight, b.drift_weight);
  EXPECT_EQ(a.diff, b.diff);
  EXPECT_EQ(a.entropy, b.entropy);
  EXPECT_EQ(a.beacon.replicas, b.beacon.replicas);
  EXPECT_EQ(a.beacon.load, b.beacon.load);
  EXPECT_EQ(a.beacon.low_power_share, b.beacon.low_power_share);
  EXPECT_EQ(a.correction, b.correction);
  EXPECT_EQ(a.correction_buckets, b.correction_buckets);
  EXPECT_EQ(a.bucket_digest, b.bucket_digest);
}

TEST(Frame, Spec6_2WireFormRoundTripsAndItsSizeIsKnown) {
  Frame back;
  for (std::uint64_t seed = 0; seed < 1500; ++seed) {
    SCOPED_TRACE(seed);
    Generator g(seed);
    const Frame frame = RandomFrame(&g);
    const std::string bytes = Encoded(frame);
    v1::Frame parsed;
    ASSERT_TRUE(parsed.ParseFromString(bytes));
    EXPECT_EQ(parsed.SerializeAsString(), bytes) << "not as protobuf writes it";
    // Over the one before, of which nothing stays.
    ASSERT_EQ(FromProto(parsed, &back), std::nullopt);
    ExpectEqual(back, frame);
    ASSERT_FALSE(HasFailure());
  }
}

TEST(Frame, EmptyFrameRoundTrips) {
  const Frame frame;
  v1::Frame proto;
  proto.mutable_beacon();
  EXPECT_EQ(Encoded(frame), proto.SerializeAsString());
  Frame back;
  ASSERT_EQ(FromProto(v1::Frame(), &back), std::nullopt);
  ExpectEqual(back, frame);
}

TEST(Frame, WhatATypeCannotHoldIsRefused) {
  v1::Frame proto;
  Frame frame;
  for (int s = 0; s < 9; ++s) proto.add_total_uvu(1);
  EXPECT_EQ(FromProto(proto, &frame), Refusal::kWrongDimension);
  proto.mutable_total_uvu()->Truncate(2);
  EXPECT_EQ(FromProto(proto, &frame), std::nullopt);
  for (const int amounts : {0, 1, 3, 100}) {
    proto.clear_entries();
    v1::LedgerEntry* entry = proto.add_entries();
    for (int s = 0; s < amounts; ++s) entry->add_amount_uvu(1);
    EXPECT_EQ(FromProto(proto, &frame), Refusal::kWrongDimension) << amounts;
  }
  // An amount beyond 63 bits is negative here, and the ledger refuses it.
  proto.clear_entries();
  v1::LedgerEntry* entry = proto.add_entries();
  entry->add_amount_uvu(~std::uint64_t{0});
  entry->add_amount_uvu(0);
  ASSERT_EQ(FromProto(proto, &frame), std::nullopt);
  Ledger ledger(2, {});
  EXPECT_EQ(ledger.Merge(frame.entries[0], 0).refused, Refusal::kBadEntry);
}

// A frame's memory is used again: what is larger than any frame may be must not enlarge it for good.
TEST(Frame, Spec6_2WhatIsLargerThanAnyFrameIsRefusedBeforeItIsCopied) {
  constexpr int kRows = vaultguard::kMaxFrameRows;
  Frame frame;
  const auto refused = [&frame](const auto& inflate) {
    v1::Frame proto;
    inflate(&proto);
    EXPECT_EQ(FromProto(proto, &frame), Refusal::kTooLarge);
    EXPECT_LT(HeldBytes(frame), 1000u);
  };
  refused([](v1::Frame* f) {
    for (std::size_t n = 0; n <= vaultguard::kMaxFrameEntries; ++n) f->add_entries();
  });
  refused([](v1::Frame* f) { f->mutable_halo_row()->Resize(kRows + 1, 0); });
  refused([](v1::Frame* f) { f->mutable_published_cycle()->Resize(kRows + 1, 0); });
  refused([](v1::Frame* f) { f->set_drift_weight(std::string(kRows + 1, ' ')); });
  refused([](v1::Frame* f) { f->mutable_entropy()->Resize(kRows + 1, 0); });
  refused([](v1::Frame* f) { f->mutable_diff()->Resize(kRows * vaultguard::kMaxDimensions + 1, 0); });
  refused([](v1::Frame* f) { f->mutable_bucket_digest()->Resize(Ledger::kBuckets + 1, 0); });
  v1::Frame largest;
  largest.mutable_halo_row()->Resize(kRows, 0);
  EXPECT_EQ(FromProto(largest, &frame), std::nullopt);
  EXPECT_EQ(frame.halo_row.size(), vaultguard::kMaxFrameRows);
}

// Anything may arrive: bytes at random never do harm.
TEST(Frame, Spec10RandomBytesAreParsedOrRefused) {
  Generator g(3);
  for (int n = 0; n < 3000; ++n) {
    std::string bytes = Encoded(RandomFrame(&g));
    for (std::uint32_t flips = 1 + g.Below(8); flips > 0 && !bytes.empty(); --flips) {
      bytes[g.Below(static_cast<std::uint32_t>(bytes.size()))] = static_cast<char>(g.Next());
    }
    v1::Frame proto;
    if (!proto.ParseFromString(bytes)) continue;
    Frame frame;
    if (!FromProto(proto, &frame)) (void)CheckFrame(frame, Shape{}, 1, 10, 100);
  }
}

constexpr Shape kShape{2, 1, 8};
constexpr std::uint32_t kShard = 3;
constexpr std::size_t kHaloRows = 10;
constexpr std::uint64_t kCycle = 1000;

Frame GoodFrame(std::size_t rows = 4) {
  Frame f;
  f.shard = kShard;
  f.cycle = kCycle;
  f.value_slots = kShape.value_slots;
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
    EXPECT_EQ(CheckFrame(frame, kShape, kShard, kHaloRows, kCycle), kind.why) << kind.what;
  }
}

TEST(Frame, Test7OneBadValueIsFoundWhereverItIs) {
  constexpr std::size_t kRows = 19;  // some vectors of any width, and a rest
  for (std::size_t row = 0; row < kRows; ++row) {
    Frame frame = GoodFrame(kRows);
    frame.halo_row[row] = ~0u;
    EXPECT_EQ(CheckFrame(frame, kShape, kShard, kHaloRows, kCycle), Refusal::kUnknownHaloRow) << row;
    frame = GoodFrame(kRows);
    frame.published_cycle[row] = ~0u;
    EXPECT_EQ(CheckFrame(frame, kShape, kShard, kHaloRows, kCycle), Refusal::kFutureCycle) << row;
    frame = GoodFrame(kRows);
    frame.diff[3 * row + row % 3] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(CheckFrame(frame, kShape, kShard, kHaloRows, kCycle), Refusal::kNotFinite) << row;
  }
}

TEST(Frame, CyclesAndRowsAboveThirtyTwoBitsAreNoLimit) {
  Frame frame = GoodFrame();
  frame.cycle = std::uint64_t{1} << 32;
  frame.published_cycle[1] = ~0u;
  frame.halo_row[1] = ~0u - 1;
  EXPECT_EQ(CheckFrame(frame, kShape, kShard, std::size_t{1} << 32, frame.cycle), std::nullopt);
}

TEST(Frame, WhatIsJustWithinTheLimitsIsTaken) {
  const auto ok = [](const Frame& f) { return !CheckFrame(f, kShape, kShard, kHaloRows, kCycle).has_value(); };
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
  EXPECT_TRUE(ok(frame));
  frame.cycle = 0;  // an old frame still brings entries
  frame.published_cycle.assign(4, 0);
  EXPECT_TRUE(ok(frame));
  frame.halo_row[0] = 0;
  EXPECT_EQ(CheckFrame(frame, kShape, kShard, 0, kCycle), Refusal::kUnknownHaloRow) << "where there is no halo";
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

// While a frame waits, an earlier one is acknowledged and the sender goes back to there: what it says from then on must
// not be thrown away as if something were missing before it.
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
  older.bucket_digest.assign(Ledger::kBuckets, 7);
  const Frame both = Coalesce(older, Waiting(0, 1, {}, 0));
  EXPECT_EQ(both.correction, Correction::kSyncAll);
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
