#include "shard/hosting/virtual_link.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "shard/frame.h"
#include "shard/frame_codec.h"
#include "shard/hosting/nonsense.h"
#include "tests/shard/hosting/good_frame.h"

namespace lvs::hosting {
namespace {

using shard::Frame;
using vaultguard::Refusal;

class VirtualLinkTest : public ::testing::Test {
 protected:
  struct Flushed {
    LinkReport report;
    std::vector<IncomingFrame> frames;
  };

  void Make(const LinkQuality& quality, std::uint64_t seed = 3) {
    link_ = std::make_unique<VirtualLink>(VirtualLinkConfig{1, 2, seed, 100, quality});
  }

  // One cycle in which each shard says a frame. The last shard is the first to finish.
  Flushed Flush(LinkFlush flush, std::uint32_t shards = 1) {
    for (std::uint32_t s = shards; s > 0; --s) {
      auto frame = std::make_shared<Frame>(Good(2));
      frame->shard = s - 1;
      frame->cycle = flush.cycle;
      link_->Take(std::move(frame));
    }
    Flushed flushed;
    flushed.report = link_->Flush(flush);
    EXPECT_EQ(link_->delivered().size(), flushed.report.delivered);
    for (VirtualLink::Delivery& delivery : link_->delivered()) {
      EXPECT_EQ(delivery.shard, delivery.frame.frame->shard);
      flushed.frames.push_back(std::move(delivery.frame));
    }
    return flushed;
  }

  std::unique_ptr<VirtualLink> link_;
};

TEST_F(VirtualLinkTest, LatencyIsInWholeCyclesAndAtLeastOne) {
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

TEST_F(VirtualLinkTest, Spec6_3_LossDuplicatesAndReordering) {
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

TEST_F(VirtualLinkTest, SeveredMeansNothingAndExtraLossAdds) {
  Make({80, 0, 0.1, 0, 0});
  EXPECT_EQ(Flush({1, true, 0, 0}).report.lost, 1u);
  EXPECT_EQ(Flush({2, false, 0.9, 0}).report.lost, 1u);
  std::uint64_t lost = 0;
  for (std::uint64_t cycle = 3; cycle < 1003; ++cycle) lost += Flush({cycle, false, 0.4, 0}).report.lost;
  EXPECT_NEAR(static_cast<double>(lost), 500, 5 * 15.8);
}

TEST_F(VirtualLinkTest, CorruptFollowsGoodFramesWithEveryKindInTurn) {
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

TEST_F(VirtualLinkTest, FateDependsOnSeedLinkShardAndCycleOnly) {
  constexpr std::uint32_t kShards = 4;
  const auto fates = [&](std::uint64_t seed) {
    Make({80, 70, 0.5, 0.3, 0.3}, seed);
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
}  // namespace lvs::hosting
