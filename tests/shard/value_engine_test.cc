// SPEC-5.1 to 5.3: the value of a contribution, the earnings of a session, and the scores of trust and drift
// coefficients.
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
  // One policy without a rate, and some that ask for more than an entry can hold.
  EXPECT_EQ((ContributionPolicy{.burst_uvu = 5, .earn_uvu_per_cycle = 0}.Allowed(kMost)), 5);
  EXPECT_EQ((ContributionPolicy{.burst_uvu = kMost, .earn_uvu_per_cycle = 1}.Allowed(10)), kMaxEntryUvu);
  EXPECT_EQ((ContributionPolicy{.burst_uvu = kMost, .earn_uvu_per_cycle = 0}.Allowed(0)), kMaxEntryUvu);
  EXPECT_EQ((ContributionPolicy{.burst_uvu = 0, .earn_uvu_per_cycle = kMost}.Allowed(1)), kMaxEntryUvu);
}

TEST(ValueEngine, Spec5_1CyclesForIsTheFirstAgeThatAllowsIt) {
  const ContributionPolicy policy;
  for (const std::int64_t amount :
       {std::int64_t{1}, policy.burst_uvu, policy.burst_uvu + 1, policy.burst_uvu + policy.earn_uvu_per_cycle,
        policy.burst_uvu + policy.earn_uvu_per_cycle + 1, vaultguard::kMaxEntryUvu}) {
    const std::uint64_t cycles = policy.CyclesFor(amount);
    EXPECT_GE(policy.Allowed(cycles), amount);
    if (cycles > 0) {
      EXPECT_LT(policy.Allowed(cycles - 1), amount);
    }
  }
  const ContributionPolicy nothing{.burst_uvu = 5, .earn_uvu_per_cycle = 0};
  EXPECT_EQ(nothing.CyclesFor(5), 0u);
  EXPECT_EQ(nothing.CyclesFor(6), ~std::uint64_t{0});
  EXPECT_EQ(policy.CyclesFor(vaultguard::kMaxEntryUvu + 1), ~std::uint64_t{0});
}

}  // namespace
}  // namespace lvs::shard
