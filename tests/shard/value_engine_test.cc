// SPEC-5.1 to 5.3: what a contribution is worth, what a session may earn, how trust and drift coefficients are scored.
#include "shard/value_engine.h"

#include <gtest/gtest.h>

#include <limits>

namespace lvs::shard {
namespace {

using vaultguard::kMaxEntryUvu;
using vaultguard::kMicroPerVu;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr ActionKind kKinds[] = {ActionKind::kContribution, ActionKind::kStorage, ActionKind::kRelay,
                                 ActionKind::kCompute};

TEST(ValueEngine, Spec5_1OnlyPositiveActivityCreatesValue) {
  EXPECT_EQ(ContributionValue(ActionKind::kContribution, 1000), kMicroPerVu);
  EXPECT_EQ(ContributionValue(ActionKind::kContribution, 1), kMicroPerVu / 1000);
  EXPECT_EQ(ContributionValue(ActionKind::kStorage, 1000), 10'000);
  EXPECT_EQ(ContributionValue(ActionKind::kRelay, 1000), 50'000);
  EXPECT_EQ(ContributionValue(ActionKind::kCompute, 1000), 500'000);
  for (const ActionKind kind : kKinds) {
    for (const std::int64_t quantity :
         {std::int64_t{0}, std::int64_t{-1}, std::int64_t{-1'000'000}, std::numeric_limits<std::int64_t>::min()}) {
      EXPECT_EQ(ContributionValue(kind, quantity), 0) << quantity;
    }
    EXPECT_GT(ContributionValue(kind, 1), 0);
  }
  EXPECT_EQ(ContributionValue(static_cast<ActionKind>(250), 1000), 0) << "an action that nobody knows";
}

TEST(ValueEngine, Spec5_1ValueIsMonotonicAndDoesNotOverflow) {
  for (const ActionKind kind : kKinds) {
    std::int64_t before = 0;
    for (std::int64_t quantity = 1; quantity > 0 && quantity < kMost / 3; quantity *= 3) {
      const std::int64_t value = ContributionValue(kind, quantity);
      EXPECT_GE(value, before);
      EXPECT_LE(value, kMaxEntryUvu);
      before = value;
    }
    const std::int64_t most = ContributionValue(kind, kMost);
    EXPECT_LE(most, kMaxEntryUvu);
    EXPECT_GT(most, kMaxEntryUvu - 1000);
  }
}

TEST(ValueEngine, Spec5_1AllowanceGrowsWithAgeAndSaturates) {
  const ContributionPolicy policy;
  EXPECT_EQ(policy.Allowed(0), 1000 * kMicroPerVu);
  EXPECT_EQ(policy.Allowed(1), 1010 * kMicroPerVu);
  EXPECT_EQ(policy.Allowed(36'000), 361'000 * kMicroPerVu);
  EXPECT_EQ(policy.Allowed(std::numeric_limits<std::uint64_t>::max()), kMaxEntryUvu);
  const auto edge = static_cast<std::uint64_t>((kMaxEntryUvu - policy.burst_uvu) / policy.earn_uvu_per_cycle);
  EXPECT_LE(policy.Allowed(edge), kMaxEntryUvu);
  EXPECT_GT(policy.Allowed(edge), kMaxEntryUvu - 10 * kMicroPerVu);
  EXPECT_EQ(policy.Allowed(edge + 1), kMaxEntryUvu);
  // A policy without a rate, and ones that ask for more than an entry can hold.
  EXPECT_EQ((ContributionPolicy{.burst_uvu = 5, .earn_uvu_per_cycle = 0}.Allowed(kMost)), 5);
  EXPECT_EQ((ContributionPolicy{.burst_uvu = kMost, .earn_uvu_per_cycle = 1}.Allowed(10)), kMaxEntryUvu);
  EXPECT_EQ((ContributionPolicy{.burst_uvu = kMost, .earn_uvu_per_cycle = 0}.Allowed(0)), kMaxEntryUvu);
  EXPECT_EQ((ContributionPolicy{.burst_uvu = 0, .earn_uvu_per_cycle = kMost}.Allowed(1)), kMaxEntryUvu);
}

TEST(ValueEngine, Spec5_2TrustFallsFastAndRecoversSlowly) {
  EXPECT_EQ(TrustAfter(255, false), 255);
  EXPECT_EQ(TrustAfter(250, false), 255);
  EXPECT_EQ(TrustAfter(251, false), 255);
  EXPECT_EQ(TrustAfter(100, false), 105);
  EXPECT_EQ(TrustAfter(0, false), 5);
  EXPECT_EQ(TrustAfter(255, true), 204);
  EXPECT_EQ(TrustAfter(0, true), 0);
  for (int trust = 1; trust <= 255; ++trust) {
    EXPECT_LT(TrustAfter(static_cast<std::uint8_t>(trust), true), trust);
    EXPECT_NEAR(TrustAfter(static_cast<std::uint8_t>(trust), true), 0.8 * trust, 1) << trust;
    EXPECT_NEAR(TrustAfter(static_cast<std::uint8_t>(trust), false), std::min(255, trust + 5), 0);
  }
  // Dropped after a dozen strikes; back from nothing in 51 cycles (+0.02 each).
  int strikes = 0;
  for (std::uint8_t trust = 255; trust > 20; trust = TrustAfter(trust, true)) ++strikes;
  EXPECT_EQ(strikes, 11);
  int cycles = 0;
  for (std::uint8_t trust = 0; trust < 255; trust = TrustAfter(trust, false)) ++cycles;
  EXPECT_EQ(cycles, 51);
}

TEST(ValueEngine, Spec5_3DriftCoefficientWeighsTrustAndDistance) {
  EXPECT_EQ(DriftCoefficient(1, 1, 0, 1), 1.0f);
  EXPECT_EQ(DriftCoefficient(0.5f, 0.5f, 1, 1), 0.25f);
  EXPECT_EQ(DriftCoefficient(1, 1, 4, 1), 0.25f);  // the part of a far diff that the bound leaves
  EXPECT_EQ(DriftCoefficient(0, 1, 4, 1), 0.0f);
  EXPECT_EQ(DriftCoefficient(1, 1, 1e30f, 0), 0.0f);
  // No diff pulls further than the bound: coefficient times distance.
  for (const float distance : {0.1f, 1.0f, 10.0f, 1e6f, 1e12f})
    EXPECT_LE(DriftCoefficient(1, 1, distance, 2) * distance, 2.0001f);
}

}  // namespace
}  // namespace lvs::shard
