#include "shard/intake.h"

#include <gtest/gtest.h>

#include <optional>

#include "lvs/v1/messages.pb.h"

namespace lvs::shard {
namespace {

using vaultguard::Refusal;

constexpr std::uint64_t kCycle = 1000;
constexpr IntakeTerms kTerms = {.shards = 4, .shape = {2, 2, 8}, .halo_rows = 32};

v1::Frame GoodFrame(std::uint32_t shard) {
  v1::Frame frame;
  frame.set_shard_id(shard);
  frame.set_cycle_id(kCycle);
  frame.set_session_low(1);
  for (int slot = 0; slot < kTerms.shape.value_slots; ++slot) frame.add_total_uvu(0);
  return frame;
}

TEST(ReadFrame, TakesAGoodFrameAndRefusesByReason) {
  const IntakeTerms terms = kTerms;
  const v1::Frame good = GoodFrame(3);
  Frame frame;
  EXPECT_EQ(ReadFrame(good.SerializeAsString(), terms, kCycle, &frame), std::nullopt);
  EXPECT_EQ(frame.shard, 3u);
  EXPECT_EQ(frame.cycle, kCycle);
  v1::Frame lie = good;
  lie.set_shard_id(4);
  EXPECT_EQ(ReadFrame(lie.SerializeAsString(), terms, kCycle, &frame), Refusal::kUnknownShard);
  lie = good;
  lie.set_cycle_id(kCycle + 1'000'000);
  EXPECT_EQ(ReadFrame(lie.SerializeAsString(), terms, kCycle, &frame), Refusal::kFutureCycle);
  lie = good;
  lie.add_total_uvu(0);
  EXPECT_EQ(ReadFrame(lie.SerializeAsString(), terms, kCycle, &frame), Refusal::kWrongDimension);
  EXPECT_EQ(ReadFrame("\xff\xff\xff this is no frame", terms, kCycle, &frame), Refusal::kMalformed);
}

TEST(Intake, Spec8_3_FramesBeyondTheAllowanceAreRefusedAndItIsEarnedAgain) {
  const IntakeTerms terms = kTerms;
  Intake intake(terms, 50);
  const int burst = static_cast<int>(kFramesPerShardCycle * kBurstCycles) * static_cast<int>(terms.shards);
  for (int n = 0; n < burst; ++n) ASSERT_TRUE(intake.MaySayFrame(50)) << n;
  EXPECT_FALSE(intake.MaySayFrame(50));
  // One cycle later: a cycle's worth, and no more.
  for (int n = 0; n < static_cast<int>(kFramesPerShardCycle) * 4; ++n) EXPECT_TRUE(intake.MaySayFrame(50.1001)) << n;
  EXPECT_FALSE(intake.MaySayFrame(50.1001));
}

TEST(Intake, ReadsArePaidForBySizeAndTheDebtIsPaidBack) {
  const IntakeTerms terms = kTerms;
  Intake intake(terms, 0);
  const double per_cycle = kFramesPerShardCycle * terms.shards + kReadsBesideFrames;
  int read = 0;
  while (intake.MayRead(10, 0)) ++read;
  EXPECT_EQ(read, static_cast<int>(per_cycle * kBurstCycles));
  EXPECT_TRUE(intake.MayReadOn(0.1)) << "within a cycle";
  Intake large(terms, 0);
  read = 0;
  while (large.MayRead(3 * kReadPartBytes, 0)) ++read;
  EXPECT_EQ(read, static_cast<int>(per_cycle * kBurstCycles) / 4);
}

TEST(Intake, LinkWithMoreRefusedThanTakenIsToBeDropped) {
  Intake intake(kTerms, 0);
  for (std::uint64_t n = 0; n < kRefusalsMax + 10; ++n) intake.Count(std::nullopt);
  for (std::uint64_t n = 0; n < kRefusalsMax + 10; ++n) intake.Count(Refusal::kStale);
  EXPECT_FALSE(intake.MostlyRefused()) << "as much taken as refused";
  intake.Count(Refusal::kStale);
  EXPECT_TRUE(intake.MostlyRefused());
  EXPECT_EQ(intake.taken(), kRefusalsMax + 10);
  EXPECT_EQ(intake.refused(), kRefusalsMax + 11);
  Intake few(kTerms, 0);
  for (std::uint64_t n = 0; n < kRefusalsMax; ++n) few.Count(Refusal::kStale);
  EXPECT_FALSE(few.MostlyRefused());
}

TEST(Intake, AheadAfterAHundredFramesOfTheFutureInARow) {
  Intake intake(kTerms, 0);
  for (std::uint32_t n = 1; n < kAheadFrames; ++n) intake.Count(Refusal::kFutureCycle);
  EXPECT_FALSE(intake.ahead());
  intake.Count(Refusal::kFutureCycle);
  EXPECT_TRUE(intake.ahead());
  intake.Count(std::nullopt);
  EXPECT_FALSE(intake.ahead());
}

TEST(Intake, BehindAfterAHundredFramesOfThePastInARow) {
  Intake intake(kTerms, 0);
  for (std::uint32_t n = 1; n < kAheadFrames; ++n) intake.Count(std::nullopt, true);
  EXPECT_FALSE(intake.behind());
  intake.Count(std::nullopt, true);
  EXPECT_TRUE(intake.behind());
  EXPECT_FALSE(intake.ahead());
  intake.Count(std::nullopt, false);
  EXPECT_FALSE(intake.behind());
}

TEST(Intake, InStepByTheNewestFrameWhoseCycleIsKnown) {
  Intake intake(kTerms, 0);
  EXPECT_FALSE(intake.in_step()) << "nothing was heard";
  intake.Count(std::nullopt);
  EXPECT_TRUE(intake.in_step());
  intake.Count(Refusal::kMalformed);
  EXPECT_TRUE(intake.in_step());
  intake.Count(Refusal::kFutureCycle);
  EXPECT_FALSE(intake.in_step());
  intake.Count(std::nullopt);
  EXPECT_TRUE(intake.in_step());
  intake.Count(std::nullopt, true);
  EXPECT_FALSE(intake.in_step());
}

}  // namespace
}  // namespace lvs::shard
