#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "actors/peer_link_actor.h"
#include "shard/frame.h"
#include "shard/ledger.h"
#include "tests/actors/fake_actors.h"

namespace lvs::actors {
namespace {

using shard::Frame;
using vaultguard::Refusal;

constexpr shard::Shape kShape{2, 2, 8};
constexpr std::size_t kHaloRows = 16;
constexpr std::uint64_t kCycle = 500;

Frame Good(std::uint32_t rows) {
  Frame frame;
  frame.shard = 3;
  frame.cycle = kCycle;
  frame.sender = {1, 2};
  frame.value_slots = 2;
  for (std::uint32_t r = 0; r < rows; ++r) {
    frame.halo_row.push_back(r);
    frame.published_cycle.push_back(kCycle - r);
    frame.drift_weight.push_back(255);
    frame.entropy.push_back(r);
    frame.diff.insert(frame.diff.end(), 4, 0.25f);
  }
  shard::LedgerEntry entry;
  entry.session = {7, 8};
  entry.opened_cycle = kCycle - 100;
  entry.amount_uvu[0] = 5'000'000;
  frame.entries.push_back(entry);
  frame.news_to = 1;
  return frame;
}

std::optional<Refusal> Check(const Frame& frame) { return CheckFrame(frame, kShape, 3, kHaloRows, kCycle + 1); }

TEST(Nonsense, EveryKindIsRefusedForItsReason) {
  const std::map<int, Refusal> frames = {
      {0, Refusal::kNotFinite},      {1, Refusal::kNotFinite},      {2, Refusal::kWrongDimension},
      {3, Refusal::kColumnLengths},  {4, Refusal::kUnknownShard},   {5, Refusal::kFutureCycle},
      {6, Refusal::kUnknownHaloRow}, {7, Refusal::kWrongDimension}, {9, Refusal::kTooLarge}};
  const std::map<int, Refusal> entries = {{10, Refusal::kRateExceeded}, {11, Refusal::kBadEntry}};
  for (const std::uint32_t rows : {0u, 1u, 16u}) {
    const Frame good = Good(rows);
    ASSERT_EQ(Check(good), std::nullopt);
    for (int kind = 0; kind < kNonsenseKinds; ++kind) {
      const Frame bad = Nonsense(good, kind);
      if (frames.contains(kind)) {
        ASSERT_TRUE(Check(bad).has_value()) << kind;
        EXPECT_EQ(*Check(bad), frames.at(kind)) << kind;
        continue;
      }
      EXPECT_EQ(Check(bad), std::nullopt) << kind;
      shard::Ledger ledger(kShape.value_slots, {});
      for (const shard::LedgerEntry& entry : good.entries) ASSERT_FALSE(ledger.Merge(entry, kCycle).refused);
      const std::uint64_t digest = ledger.digest();
      std::vector<Refusal> refused;
      for (const shard::LedgerEntry& entry : bad.entries) {
        if (const auto why = ledger.Merge(entry, kCycle).refused) refused.push_back(*why);
      }
      EXPECT_EQ(ledger.digest(), digest) << kind << " changed the ledger";
      if (kind == 8) {
        EXPECT_TRUE(refused.empty());
        EXPECT_EQ(bad.cycle, good.cycle) << "said before: not newer than what was said";
      } else {
        ASSERT_TRUE(entries.contains(kind)) << "kind " << kind << " is new here";
        EXPECT_EQ(refused, std::vector<Refusal>{entries.at(kind)}) << kind;
      }
    }
  }
}

TEST(Nonsense, IsRefusedForEveryShape) {
  for (const shard::Shape shape : {shard::Shape{1, 0, 8}, shard::Shape{8, 4, 8}}) {
    Frame good;
    good.shard = 3;
    good.cycle = kCycle;
    good.value_slots = shape.value_slots;
    for (int kind = 0; kind < 10; ++kind) {
      if (kind == 8) continue;
      EXPECT_TRUE(CheckFrame(Nonsense(good, kind), shape, 3, kHaloRows, kCycle).has_value()) << kind;
    }
  }
}

// ---- The virtual link ----

class VirtualLink : public ::testing::Test {
 protected:
  VirtualLink() : system_({1}), self_(*system_) {}

  struct Flushed {
    LinkReport report;
    std::vector<IncomingFrame> frames;
  };

  void Make(const LinkQuality& quality, std::uint64_t seed = 3, std::uint32_t shards = 1) {
    std::vector<ShardActor> remote;
    for (std::uint32_t s = 0; s < shards; ++s) remote.push_back(SpawnFakeShard(*system_, self_));
    link_ = SpawnVirtualLink(*system_, {1, 2, seed, 100, quality}, std::move(remote));
  }

  Flushed Flush(LinkFlush flush, std::uint32_t shards = 1) {
    for (std::uint32_t s = shards; s > 0; --s) {
      auto frame = std::make_shared<Frame>(Good(2));
      frame->shard = s - 1;
      frame->cycle = flush.cycle;
      self_->send(link_, OutgoingFrame{std::move(frame)});
    }
    self_->send(link_, Payload<LinkFlush>(std::make_shared<LinkFlush>(flush)));
    Flushed flushed;
    bool reported = false;
    while (!reported || flushed.frames.size() < flushed.report.delivered) {
      self_->receive(
          [&](const LinkReport& report) {
            flushed.report = report;
            reported = true;
          },
          [&](const IncomingFrame& frame) { flushed.frames.push_back(frame); });
    }
    return flushed;
  }

  void TearDown() override {
    if (link_) self_->send_exit(link_, caf::exit_reason::user_shutdown);
  }

  System system_;
  caf::scoped_actor self_;
  PeerLinkActor link_;
};

TEST_F(VirtualLink, LatencyIsInWholeCyclesAndAtLeastOne) {
  for (const auto& [latency_ms, cycles] : {std::pair(0.0, 1u), {100.0, 1u}, {101.0, 2u}, {250.0, 3u}}) {
    Make({latency_ms, 0, 0, 0, 0});
    const Flushed flushed = Flush({10, false, 0, 0});
    ASSERT_EQ(flushed.frames.size(), 1u);
    EXPECT_EQ(flushed.frames[0].due_cycle, 10 + cycles) << latency_ms;
    EXPECT_EQ(flushed.frames[0].from, 1u);
    EXPECT_DOUBLE_EQ(flushed.report.latency_ms_max, latency_ms);
    EXPECT_EQ(flushed.report.to, 2u);
    EXPECT_EQ(flushed.report.bytes, EncodedSize(*flushed.frames[0].frame));
  }
}

TEST_F(VirtualLink, Spec6_3_LossDuplicatesAndReordering) {
  Make({80, 0, 0.3, 0.2, 0.1});
  std::uint64_t lost = 0, delivered = 0, late = 0;
  constexpr std::uint64_t kFrames = 4000;
  for (std::uint64_t cycle = 1; cycle <= kFrames; ++cycle) {
    const Flushed flushed = Flush({cycle, false, 0, 0});
    lost += flushed.report.lost;
    delivered += flushed.report.delivered;
    for (const IncomingFrame& frame : flushed.frames) late += frame.due_cycle > cycle + 1 ? 1 : 0;
  }
  // Five standard deviations of each binomial.
  EXPECT_NEAR(static_cast<double>(lost), 1200, 5 * 29);
  EXPECT_NEAR(static_cast<double>(delivered - (kFrames - lost)), 560, 5 * 22);
  EXPECT_NEAR(static_cast<double>(late), static_cast<double>(delivered) * 0.1, 5 * 18);
}

TEST_F(VirtualLink, SeveredMeansNothingAndExtraLossAdds) {
  Make({80, 0, 0.1, 0, 0});
  EXPECT_EQ(Flush({1, true, 0, 0}).report.lost, 1u);
  EXPECT_EQ(Flush({2, false, 0.9, 0}).report.lost, 1u);
  std::uint64_t lost = 0;
  for (std::uint64_t cycle = 3; cycle < 1003; ++cycle) lost += Flush({cycle, false, 0.4, 0}).report.lost;
  EXPECT_NEAR(static_cast<double>(lost), 500, 5 * 15.8);
}

TEST_F(VirtualLink, CorruptFollowsGoodFramesWithEveryKindInTurn) {
  Make({80, 0, 0, 0, 0});
  std::map<Refusal, int> reasons;
  for (std::uint64_t cycle = kCycle; cycle < kCycle + 2 * kNonsenseKinds; ++cycle) {
    const Flushed flushed = Flush({cycle, false, 0, 1.0});
    ASSERT_EQ(flushed.frames.size(), 2u);
    EXPECT_EQ(CheckFrame(*flushed.frames[0].frame, kShape, 0, kHaloRows, cycle + 1), std::nullopt)
        << "the good one comes first";
    if (const auto why = CheckFrame(*flushed.frames[1].frame, kShape, 0, kHaloRows, cycle + 1)) ++reasons[*why];
  }
  EXPECT_EQ(reasons[Refusal::kNotFinite], 4);
  EXPECT_EQ(reasons[Refusal::kTooLarge], 2);
  EXPECT_EQ(reasons[Refusal::kUnknownShard], 2);
}

TEST_F(VirtualLink, FateDependsOnSeedLinkShardAndCycleOnly) {
  constexpr std::uint32_t kShards = 4;
  const auto fates = [&](std::uint64_t seed) {
    Make({80, 70, 0.5, 0.3, 0.3}, seed, kShards);
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::vector<std::uint64_t>> due;
    for (std::uint64_t cycle = 1; cycle <= 50; ++cycle) {
      for (const IncomingFrame& frame : Flush({cycle, false, 0, 0}, kShards).frames) {
        due[{frame.frame->shard, cycle}].push_back(frame.due_cycle);
      }
    }
    return due;
  };
  const auto first = fates(3);
  EXPECT_EQ(first, fates(3));
  EXPECT_NE(first, fates(4));
}

}  // namespace
}  // namespace lvs::actors
