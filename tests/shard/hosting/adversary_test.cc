// What each attack publishes. How the network stands it is in tests/shard/state_shard_test.cc and tests/end_to_end.
#include "shard/hosting/adversary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <vector>

namespace lvs::hosting {
namespace {

class AdversariesTest : public ::testing::Test {
 protected:
  AdversariesTest() {
    shard::StateShardConfig config;
    config.seed = 3;
    shard_ = std::make_unique<shard::StateShard>(config);
    shard_->Start(100, 1000 * vaultguard::kMicroPerVu);
    liar_ = shard_->first_row() + 7;
    shard_->SetFlag(liar_, shard::kAdversary, true);
  }

  // One cycle; what the liar says in it.
  std::vector<float> Cycle(std::uint64_t cycle) {
    shard::CycleCounts counts;
    shard_->Advance(cycle, 0, &counts);
    adversaries_.Publish(/*seed=*/5, cycle, shard_.get());
    const float* said = shard_->said(liar_);
    return {said, said + 4};
  }
  float State(int coordinate) const {
    const shard::Columns& columns = shard_->columns();
    return columns.state[static_cast<std::size_t>(coordinate) * columns.stride + liar_];
  }
  std::vector<float> States() const { return {State(0), State(1), State(2), State(3)}; }

  std::unique_ptr<shard::StateShard> shard_;
  Adversaries adversaries_;
  std::uint32_t liar_ = 0;
};

TEST_F(AdversariesTest, StubbornSaysTheSameFarAwayStateInEveryCycle) {
  adversaries_.Begin(liar_, Attack::kStubborn);
  const std::vector<float> first = Cycle(1);
  EXPECT_EQ(first, (std::vector<float>{500, 500, 1000, 1000}));
  for (std::uint64_t cycle = 2; cycle < 10; ++cycle) {
    EXPECT_EQ(Cycle(cycle), first);
    EXPECT_EQ(shard::Age(shard_->said_meta(liar_), cycle), 0u) << "as if it were new";
  }
}

TEST_F(AdversariesTest, DrainSaysThatAllValueIsGone) {
  adversaries_.Begin(liar_, Attack::kDrain);
  EXPECT_EQ(Cycle(1), (std::vector<float>{-1000, -1000, -1000, -1000}));
}

TEST_F(AdversariesTest, NoiseIsSometimesNoNumberAndRepeatsForASeed) {
  adversaries_.Begin(liar_, Attack::kNoise);
  int odd = 0;
  std::set<float> different;
  for (std::uint64_t cycle = 1; cycle < 100; ++cycle) {
    const std::vector<float> said = Cycle(cycle);
    for (const float number : said) {
      if (std::isfinite(number) && number > -1e29f) {
        different.insert(number);
      } else {
        ++odd;
      }
    }
    adversaries_.Publish(5, cycle, shard_.get());
    for (std::size_t c = 0; c < 4; ++c) {
      const float again = shard_->said(liar_)[c];
      EXPECT_TRUE(again == said[c] || (std::isnan(again) && std::isnan(said[c])));
    }
  }
  EXPECT_GT(odd, 30);
  EXPECT_GT(different.size(), 200u);
}

TEST_F(AdversariesTest, StealthStaysWithinItsBound) {
  adversaries_.Begin(liar_, Attack::kStealth);
  for (std::uint64_t cycle = 1; cycle < 10; ++cycle) {
    const std::vector<float> said = Cycle(cycle);
    EXPECT_GT(said[0], State(0));
    EXPECT_LT(said[0], State(0) + shard_->columns().bound_value[liar_]);
    EXPECT_LT(said[3], State(3) + shard_->columns().bound_free[liar_]);
  }
}

TEST_F(AdversariesTest, AlternateIsFarAboveAndFarBelowInTurn) {
  adversaries_.Begin(liar_, Attack::kAlternate);
  EXPECT_EQ(Cycle(1)[0], 500);
  EXPECT_EQ(Cycle(2)[0], -500);
  EXPECT_EQ(Cycle(3)[3], 1000);
}

TEST_F(AdversariesTest, ALittleIsEnoughKnowsTheHonestMeanAndSpread) {
  adversaries_.Begin(liar_, Attack::kALittleIsEnough);
  const std::vector<float> said = Cycle(1);
  shard::Measure honest;
  shard_->MeasureHonest(&honest);
  for (std::size_t c = 0; c < 4; ++c) {
    const shard::Moments& m = honest.moments[c];
    EXPECT_FLOAT_EQ(said[c], static_cast<float>(m.mean - 1.5 * std::sqrt(m.m2 / m.count)));
  }
}

TEST_F(AdversariesTest, Spec10_AnEntropyFloodSaturatesThenRepeats) {
  adversaries_.Begin(liar_, Attack::kEntropyFlood);
  std::set<std::uint32_t> words;
  for (std::uint64_t cycle = 1; cycle < 200; ++cycle) {
    const std::vector<float> said = Cycle(cycle);
    EXPECT_EQ(said, States());
    words.insert(shard_->said_entropy(liar_));
  }
  EXPECT_EQ(words, (std::set<std::uint32_t>{0x7f7f7f7f, 0x01020304}));
}

TEST_F(AdversariesTest, ReplaySaysTheFirstPublicationAgainWithItsAge) {
  adversaries_.Begin(liar_, Attack::kReplay);
  const std::vector<float> first = Cycle(1);
  for (std::uint64_t cycle = 2; cycle < 10; ++cycle) {
    EXPECT_EQ(Cycle(cycle), first);
    EXPECT_EQ(shard::Age(shard_->said_meta(liar_), cycle), cycle - 1);
  }
}

TEST_F(AdversariesTest, WhoForgesContributionsSaysItsHonestState) {
  adversaries_.Begin(liar_, Attack::kForgedLedger);
  const std::vector<float> said = Cycle(1);
  EXPECT_EQ(said, States());
}

// ---- Those who know the rule for free coordinates ----

TEST_F(AdversariesTest, TheEdgeOfTheRangeIsSaidWithHonestValues) {
  adversaries_.Begin(liar_, Attack::kRangeEdge);
  for (std::uint64_t cycle = 1; cycle < 10; ++cycle) {
    const std::vector<float> said = Cycle(cycle);
    EXPECT_EQ(said, (std::vector<float>{State(0), State(1), 200, 200}));
  }
}

TEST_F(AdversariesTest, JustInsideStays1_4RangesAheadOfTheHonestMean) {
  adversaries_.Begin(liar_, Attack::kJustInside);
  for (std::uint64_t cycle = 1; cycle < 10; ++cycle) {
    const std::vector<float> said = Cycle(cycle);
    shard::Measure honest;
    shard_->MeasureHonest(&honest);
    EXPECT_EQ(said[1], State(1));
    EXPECT_FLOAT_EQ(said[2], static_cast<float>(honest.moments[2].mean + 280));
    EXPECT_FLOAT_EQ(said[3], static_cast<float>(honest.moments[3].mean + 280));
  }
}

TEST_F(AdversariesTest, FastAheadIsAsFarAheadAsItsBoundLets) {
  adversaries_.Begin(liar_, Attack::kFastAhead);
  for (std::uint64_t cycle = 1; cycle < 10; ++cycle) {
    const std::vector<float> said = Cycle(cycle);
    EXPECT_EQ(said[0], State(0));
    EXPECT_FLOAT_EQ(said[2], State(2) + 1.4f * shard_->columns().bound_free[liar_]);
  }
}

TEST_F(AdversariesTest, SlowAheadIsAsFarAheadAsItsSlowBoundLets) {
  adversaries_.Begin(liar_, Attack::kSlowAhead);
  for (std::uint64_t cycle = 1; cycle < 10; ++cycle) {
    const std::vector<float> said = Cycle(cycle);
    EXPECT_EQ(said[0], State(0));
    EXPECT_FLOAT_EQ(said[2], State(2) + 1.4f * shard_->columns().bound_slow[liar_]);
  }
}

TEST_F(AdversariesTest, TwoCampsStandAtBothEndsOfTheRange) {
  const std::uint32_t other = liar_ + 1;
  adversaries_.Begin(liar_, Attack::kTwoCamps);
  adversaries_.Begin(other, Attack::kTwoCamps);
  for (std::uint64_t cycle = 1; cycle < 10; ++cycle) {
    const std::vector<float> said = Cycle(cycle);
    EXPECT_EQ(said[0], State(0));
    const float one = shard_->said(liar_)[2];
    const float two = shard_->said(other)[2];
    EXPECT_EQ(std::min(one, two), 0);
    EXPECT_EQ(std::max(one, two), 200);
    EXPECT_EQ(shard_->said(liar_)[3], one);
  }
}

TEST_F(AdversariesTest, FeignedReciprocityComesNearerAndStartsAgain) {
  adversaries_.Begin(liar_, Attack::kFeignedReciprocity);
  std::vector<double> distances;
  for (std::uint64_t cycle = 1; cycle <= 96; ++cycle) {
    const std::vector<float> said = Cycle(cycle);
    EXPECT_EQ(said[0], State(0));
    shard::Measure honest;
    shard_->MeasureHonest(&honest);
    distances.push_back(said[2] - honest.moments[2].mean);
  }
  int again = 0;
  for (std::size_t n = 1; n < distances.size(); ++n) {
    EXPECT_GT(distances[n], 0);
    if (distances[n] > distances[n - 1]) ++again;
  }
  EXPECT_EQ(again, 3) << "in cycles 32, 64 and 96";
  EXPECT_GT(distances[31], 80) << "half of the range, at which the honest mean is";
  EXPECT_LT(distances[30], 1);
}

TEST_F(AdversariesTest, AnAttackThatEndsLeavesAHonestReplica) {
  adversaries_.Begin(liar_, Attack::kStubborn);
  Cycle(1);
  adversaries_.End(liar_);
  adversaries_.End(liar_);
  shard_->SetFlag(liar_, shard::kAdversary, false);
  float farthest = 0;
  for (std::uint64_t cycle = 2; cycle < 40; ++cycle) farthest = Cycle(cycle)[2];
  EXPECT_LT(farthest, 300);
}

}  // namespace
}  // namespace lvs::hosting
