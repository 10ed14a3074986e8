// SPEC-8.2: a sudden extreme drop of value triggers the recovery protocol, once; a slow decline does not.
#include "vaultguard/recovery.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace lvs::vaultguard {
namespace {

constexpr std::int64_t kVu = 1'000'000;
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

// A detector that has seen `cycles` cycles of a shard in which value and ledger agree.
CatastrophicDropDetector Settled(std::int64_t value_uvu, int cycles = 100, const RecoveryOptions& options = {}) {
  CatastrophicDropDetector detector(options);
  for (int i = 0; i < cycles; ++i) EXPECT_FALSE(detector.Observe(value_uvu, value_uvu).has_value());
  return detector;
}

// ---- Policy ----

TEST(Spec8_2_RecoveryPolicy, DecidesByWhatFell) {
  const RecoveryPolicy policy(RecoveryOptions{});
  const auto decide = [&](std::int64_t effective, std::int64_t effective_mark, std::int64_t ledger,
                          std::int64_t ledger_mark) {
    return policy.Decide({effective * kVu, effective_mark * kVu, ledger * kVu, ledger_mark * kVu});
  };
  EXPECT_EQ(decide(100, 100, 100, 100), RecoveryAction::kNone);
  EXPECT_EQ(decide(0, 0, 0, 0), RecoveryAction::kNone) << "a shard that never held anything";
  EXPECT_EQ(decide(40, 100, 100, 100), RecoveryAction::kRepinDrift);
  EXPECT_EQ(decide(100, 100, 0, 100), RecoveryAction::kResyncLedger) << "empty while it was not";
  EXPECT_EQ(decide(40, 100, 40, 100), RecoveryAction::kResyncLedger) << "nothing to pin to before the ledger is whole";
}

TEST(Spec8_2_RecoveryPolicy, TheLimitIsSharp) {
  const RecoveryPolicy policy(RecoveryOptions{});
  const auto decide = [&](std::int64_t effective) {
    return policy.Decide({.effective_uvu = effective,
                          .effective_mark_uvu = 10 * kVu,
                          .ledger_total_uvu = 10 * kVu,
                          .ledger_mark_uvu = 10 * kVu});
  };
  EXPECT_EQ(decide(5 * kVu), RecoveryAction::kNone) << "half is not more than half";
  EXPECT_EQ(decide(5 * kVu - 1), RecoveryAction::kRepinDrift);
  EXPECT_EQ(decide(-1), RecoveryAction::kRepinDrift);
}

TEST(Spec8_2_RecoveryPolicy, ALedgerThatShrinksByOneMicroVuIsDamaged) {
  const RecoveryPolicy policy(RecoveryOptions{});
  EXPECT_EQ(
      policy.Decide({.effective_uvu = 99, .effective_mark_uvu = 100, .ledger_total_uvu = 99, .ledger_mark_uvu = 100}),
      RecoveryAction::kResyncLedger);
}

TEST(Spec8_2_RecoveryPolicy, TinyShardsAreNotWorthARecovery) {
  const RecoveryPolicy policy(RecoveryOptions{});
  EXPECT_EQ(policy.Decide({.effective_uvu = 0, .effective_mark_uvu = kVu - 1}), RecoveryAction::kNone);
  EXPECT_EQ(policy.Decide({.effective_uvu = 0, .effective_mark_uvu = kVu}), RecoveryAction::kRepinDrift);
}

TEST(Spec8_2_RecoveryPolicy, ExtremeValuesDoNotOverflow) {
  const RecoveryPolicy policy(RecoveryOptions{});
  EXPECT_EQ(policy.Decide({kMax, kMax, kMax, kMax}), RecoveryAction::kNone);
  EXPECT_EQ(policy.Decide({kMax / 2, kMax, kMax, kMax}), RecoveryAction::kRepinDrift);
  EXPECT_EQ(policy.Decide({std::numeric_limits<std::int64_t>::min(), kMax, kMax, kMax}), RecoveryAction::kRepinDrift);
}

// ---- Detector ----

TEST(Spec8_2_CatastrophicDrop, ASuddenDropOrdersARecoveryOnce) {
  CatastrophicDropDetector detector = Settled(100 * kVu);
  const auto order = detector.Observe(40 * kVu, 100 * kVu);
  ASSERT_TRUE(order.has_value());
  EXPECT_EQ(order->action, RecoveryAction::kRepinDrift);
  EXPECT_EQ(order->evidence.effective_uvu, 40 * kVu);
  EXPECT_EQ(order->evidence.effective_mark_uvu, 100 * kVu);
  EXPECT_EQ(order->evidence.ledger_total_uvu, 100 * kVu);
  EXPECT_FALSE(order->retry);
  EXPECT_TRUE(detector.recovering());
  // The replicas need ten cycles to follow; a long quiet time comes after that.
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(detector.Observe(40 * kVu, 100 * kVu).has_value());
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(detector.Observe(100 * kVu, 100 * kVu).has_value());
  EXPECT_FALSE(detector.recovering());
  EXPECT_EQ(detector.orders(), 1u);
  EXPECT_EQ(detector.retries(), 0u);
  EXPECT_EQ(detector.mended(), 1u);
}

TEST(Spec8_2_CatastrophicDrop, ADropSpreadOverHalfAWindowIsStillSudden) {
  CatastrophicDropDetector detector = Settled(100 * kVu);
  int cycles = 0;
  std::int64_t value = 100 * kVu;
  while (detector.orders() == 0 && cycles < 100) {
    value -= 2 * kVu;
    detector.Observe(value, 100 * kVu);
    ++cycles;
  }
  EXPECT_EQ(cycles, 26) << "the first cycle below half of the mark";
}

TEST(Spec8_2_CatastrophicDrop, ASlowDeclineDoesNotTrip) {
  CatastrophicDropDetector detector = Settled(100 * kVu);
  // 1.3 % a cycle halves the value in 53 cycles: a little slower than the window. Down to nothing.
  double value = 100.0 * kVu;
  for (int i = 0; i < 2000; ++i) {
    value *= 0.987;
    EXPECT_FALSE(detector.Observe(std::llround(value), 100 * kVu).has_value()) << "cycle " << i;
  }
  EXPECT_EQ(detector.orders(), 0u);
  EXPECT_LT(value, 1.0);
}

TEST(Spec8_2_CatastrophicDrop, ALittleFasterTripsSoTheLimitIsWhereItIsSaidToBe) {
  CatastrophicDropDetector detector = Settled(100 * kVu);
  double value = 100.0 * kVu;
  for (int i = 0; i < 200 && detector.orders() == 0; ++i) {
    value *= 0.985;  // halves in 46 cycles
    detector.Observe(std::llround(value), 100 * kVu);
  }
  EXPECT_EQ(detector.orders(), 1u);
}

TEST(Spec8_2_CatastrophicDrop, GrowthAndOrdinaryFluctuationDoNotTrip) {
  CatastrophicDropDetector detector;
  std::uint64_t x = 1;
  std::int64_t ledger = 0;
  for (int i = 0; i < 100'000; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    ledger += static_cast<std::int64_t>(x >> 44);                                  // up to a VU a cycle
    const std::int64_t noise = ledger / 100 * static_cast<std::int64_t>(x >> 60);  // 0..15 %
    EXPECT_FALSE(detector.Observe(ledger - noise, ledger).has_value());
  }
}

TEST(Spec8_2_CatastrophicDrop, AnUnmendedDropIsOrderedAgainAfterTheCooldown) {
  CatastrophicDropDetector detector = Settled(100 * kVu);
  std::vector<int> ordered;
  for (int cycle = 0; cycle < 200; ++cycle) {
    const auto order = detector.Observe(10 * kVu, 100 * kVu);
    if (!order.has_value()) continue;
    EXPECT_EQ(order->retry, !ordered.empty());
    EXPECT_EQ(order->action, RecoveryAction::kRepinDrift);
    ordered.push_back(cycle);
  }
  EXPECT_EQ(ordered, (std::vector<int>{0, 50, 100, 150}));
  EXPECT_EQ(detector.orders(), 4u);
  EXPECT_EQ(detector.retries(), 3u);
  EXPECT_EQ(detector.mended(), 0u);
  EXPECT_FALSE(detector.Observe(60 * kVu, 100 * kVu).has_value());
  EXPECT_EQ(detector.mended(), 1u);
}

TEST(Spec8_2_CatastrophicDrop, ASecondCatastropheIsANewOrder) {
  CatastrophicDropDetector detector = Settled(100 * kVu);
  EXPECT_TRUE(detector.Observe(0, 100 * kVu).has_value());
  EXPECT_FALSE(detector.Observe(100 * kVu, 100 * kVu).has_value());
  const auto second = detector.Observe(0, 100 * kVu);
  ASSERT_TRUE(second.has_value());
  EXPECT_FALSE(second->retry);
  EXPECT_EQ(detector.orders(), 2u);
  EXPECT_EQ(detector.mended(), 1u);
}

TEST(Spec8_2_CatastrophicDrop, ALostLedgerIsFilledBeforeItIsPinnedTo) {
  CatastrophicDropDetector detector = Settled(100 * kVu);
  // The ledger is gone, and the value with it, since the value is ledger plus drift.
  const auto order = detector.Observe(0, 0);
  ASSERT_TRUE(order.has_value());
  EXPECT_EQ(order->action, RecoveryAction::kResyncLedger);
  EXPECT_EQ(order->evidence.ledger_mark_uvu, 100 * kVu);
  // The ledger comes back in parts; no order is given on the way, nor when it is whole.
  for (std::int64_t part = 10; part < 100; part += 10) {
    EXPECT_FALSE(detector.Observe(part * kVu, part * kVu).has_value());
    EXPECT_TRUE(detector.recovering()) << part;
  }
  EXPECT_FALSE(detector.Observe(100 * kVu, 100 * kVu).has_value());
  EXPECT_FALSE(detector.recovering());
  EXPECT_EQ(detector.orders(), 1u);
}

TEST(Spec8_2_CatastrophicDrop, AWholeLedgerWithALowValueIsPinnedAfterTheCooldown) {
  CatastrophicDropDetector detector = Settled(100 * kVu);
  ASSERT_EQ(detector.Observe(10 * kVu, 99 * kVu)->action, RecoveryAction::kResyncLedger);
  std::optional<RecoveryOrder> next;
  for (int i = 0; i < 50; ++i) next = detector.Observe(10 * kVu, 100 * kVu);
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->action, RecoveryAction::kRepinDrift);
}

TEST(Spec8_2_CatastrophicDrop, ARetryRemembersWhereTheValueFellFrom) {
  CatastrophicDropDetector detector = Settled(100 * kVu);
  for (int i = 0; i < 75; ++i) detector.Observe(0, 0);
  ASSERT_EQ(detector.retries(), 1u);
  detector.Observe(0, 100 * kVu);
  EXPECT_TRUE(detector.recovering()) << "the ledger is whole, the value is not";
  detector.Observe(100 * kVu, 100 * kVu);
  EXPECT_FALSE(detector.recovering());
}

TEST(Spec8_2_CatastrophicDrop, AnInflatedValueThatFallsBackToItsLedgerIsMendedAtOnce) {
  CatastrophicDropDetector detector = Settled(100 * kVu);
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(detector.Observe(500 * kVu, 100 * kVu).has_value());
  EXPECT_TRUE(detector.Observe(100 * kVu, 100 * kVu).has_value()) << "an extreme drop is an extreme drop";
  EXPECT_FALSE(detector.Observe(100 * kVu, 100 * kVu).has_value());
  EXPECT_FALSE(detector.recovering());
}

TEST(Spec8_2_CatastrophicDrop, ATinyShardThatLostItsLedgerIsMendedWhenTheLedgerIsBack) {
  CatastrophicDropDetector detector = Settled(100);
  ASSERT_EQ(detector.Observe(0, 0)->action, RecoveryAction::kResyncLedger);
  EXPECT_FALSE(detector.Observe(0, 100).has_value());
  EXPECT_FALSE(detector.recovering());
}

// The mark equals a plain maximum over the window, on a walk with jumps and plateaus.
TEST(Spec8_2_CatastrophicDrop, TheMarkIsTheHighestOfTheWindow) {
  for (const std::uint32_t window : {1u, 2u, 7u, 50u}) {
    const RecoveryOptions options{.drop_share = 0.3, .min_mark_uvu = 1, .window_cycles = window};
    std::uint64_t x = window;
    std::vector<std::int64_t> values;
    CatastrophicDropDetector detector(options);
    int orders = 0;
    for (int cycle = 0; cycle < 20'000; ++cycle) {
      x = x * 6364136223846793005u + 1442695040888963407u;
      const bool plateau = !values.empty() && (x >> 62) == 0;
      values.push_back(plateau ? values.back() : 600 + static_cast<std::int64_t>((x >> 40) % 401));
      const std::size_t first = values.size() > window ? values.size() - window : 0;
      const std::int64_t mark = *std::max_element(values.begin() + static_cast<std::ptrdiff_t>(first), values.end());
      const bool dropped = values.back() * 10 < mark * 7;
      // With an empty ledger any order is mended in the next cycle, which starts the window anew; so does the
      // reference.
      const auto order = detector.Observe(values.back(), 0);
      ASSERT_EQ(order.has_value(), dropped) << "window " << window << ", cycle " << cycle;
      if (!order.has_value()) continue;
      ++orders;
      EXPECT_EQ(order->evidence.effective_mark_uvu, mark);
      ASSERT_FALSE(detector.Observe(values.back(), 0).has_value());
      values = {values.back()};
    }
    EXPECT_TRUE(window == 1 || orders > 100) << "the walk must reach what it tests: " << orders;
  }
}

TEST(Spec8_2_CatastrophicDrop, OptionsThatCannotBeAreNamed) {
  EXPECT_EQ(WhyInvalid(RecoveryOptions{}), "");
  for (const RecoveryOptions& bad : {RecoveryOptions{.drop_share = 0}, RecoveryOptions{.drop_share = 1},
                                     RecoveryOptions{.drop_share = std::nan("")}, RecoveryOptions{.min_mark_uvu = 0},
                                     RecoveryOptions{.window_cycles = 0}, RecoveryOptions{.cooldown_cycles = 0}}) {
    EXPECT_NE(WhyInvalid(bad), "");
    EXPECT_DEATH(CatastrophicDropDetector{bad}, "");
  }
}

}  // namespace
}  // namespace lvs::vaultguard
