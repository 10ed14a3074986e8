#include "shard/hosting/monitor.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lvs::hosting {
namespace {

constexpr std::int64_t kVu = vaultguard::kMicroPerVu;

// A quiet cycle of a shard with 100 replicas and 1000 VU.
ShardReport Quiet(std::uint32_t shard, std::uint64_t cycle) {
  ShardReport report;
  report.shard = shard;
  report.cycle = cycle;
  report.measure.replicas = 100;
  report.counts.step.heard = 800;
  report.total_uvu[0] = 1000 * kVu;
  report.effective_uvu = 1000 * kVu;
  return report;
}

// One cycle; the verdict on it.
Verdict Cycle(Monitor* monitor, const std::vector<ShardReport>& reports) {
  Verdict verdict;
  for (std::size_t n = 0; n < reports.size(); ++n) {
    EXPECT_EQ(monitor->Take(std::make_shared<const ShardReport>(reports[n])), n + 1 == reports.size());
  }
  monitor->Judge(&verdict);
  return verdict;
}

std::map<std::string, int> Kinds(const Verdict& verdict) {
  std::map<std::string, int> kinds;
  for (const Anomaly& anomaly : verdict.anomalies) ++kinds[anomaly.kind];
  return kinds;
}

TEST(Monitor, JudgesInTheOrderOfTheShardsWhateverTheOrderOfReports) {
  Monitor monitor(3);
  for (std::uint64_t cycle = 1; cycle < 4; ++cycle) {
    std::vector<ShardReport> reports = {Quiet(2, cycle), Quiet(0, cycle), Quiet(1, cycle)};
    for (ShardReport& report : reports) report.drains_on_links = 1;
    const Verdict verdict = Cycle(&monitor, reports);
    EXPECT_EQ(verdict.cycle, cycle);
    ASSERT_EQ(verdict.shards.size(), 3u);
    ASSERT_EQ(verdict.anomalies.size(), 3u);
    for (std::uint32_t s = 0; s < 3; ++s) {
      EXPECT_EQ(verdict.shards[s]->shard, s);
      EXPECT_EQ(verdict.anomalies[s].shard, s);
    }
    EXPECT_TRUE(verdict.orders.empty());
  }
}

TEST(Monitor, Spec8_3_ADrainIsRaisedForTheShardThatItHappensIn) {
  Monitor monitor(2);
  int raised = 0;
  for (std::uint64_t cycle = 1; cycle <= 40; ++cycle) {
    ShardReport drained = Quiet(1, cycle);
    drained.counts.step.strikes_down = 80;
    const Verdict verdict = Cycle(&monitor, {Quiet(0, cycle), drained});
    for (const Anomaly& anomaly : verdict.anomalies) {
      EXPECT_EQ(anomaly.shard, 1u);
      raised += anomaly.kind == "drain_frequency" || anomaly.kind == "drain_pattern";
    }
  }
  EXPECT_GE(raised, 2) << "both the frequency and the pattern";
}

TEST(Monitor, Spec8_3_WhatLinksRaiseIsToldOneByOne) {
  Monitor monitor(1);
  ShardReport report = Quiet(0, 1);
  report.drains_on_links = 2;
  report.entropy_on_links = 3;
  EXPECT_EQ(Kinds(Cycle(&monitor, {report})),
            (std::map<std::string, int>{{"drain_on_link", 2}, {"entropy_on_link", 3}}));
}

TEST(Monitor, Spec8_2_ASuddenDropOrdersTheRecoveryOfItsShard) {
  Monitor monitor(2);
  for (std::uint64_t cycle = 1; cycle <= 10; ++cycle) {
    EXPECT_TRUE(Cycle(&monitor, {Quiet(0, cycle), Quiet(1, cycle)}).orders.empty());
  }
  ShardReport fallen = Quiet(1, 11);
  fallen.effective_uvu = 100 * kVu;
  Verdict verdict = Cycle(&monitor, {Quiet(0, 11), fallen});
  ASSERT_EQ(verdict.orders.size(), 1u);
  EXPECT_EQ(verdict.orders[0].first, 1u);
  EXPECT_EQ(verdict.orders[0].second, vaultguard::RecoveryAction::kRepinDrift);

  ShardReport emptied = Quiet(0, 12);
  emptied.total_uvu[0] = emptied.effective_uvu = 0;
  verdict = Cycle(&monitor, {emptied, Quiet(1, 12)});
  ASSERT_EQ(verdict.orders.size(), 1u);
  EXPECT_EQ(verdict.orders[0].first, 0u);
  EXPECT_EQ(verdict.orders[0].second, vaultguard::RecoveryAction::kResyncLedger);
}

// The ledger leaves with the last replica: that is no catastrophe, and the shard starts with a clean record.
TEST(Monitor, AShardThatNobodyHoldsIsNotWatched) {
  Monitor monitor(1);
  for (std::uint64_t cycle = 1; cycle <= 10; ++cycle) Cycle(&monitor, {Quiet(0, cycle)});
  ShardReport empty;
  empty.cycle = 11;
  EXPECT_TRUE(Cycle(&monitor, {empty}).orders.empty());
  ShardReport small = Quiet(0, 12);
  small.total_uvu[0] = small.effective_uvu = 2 * kVu;
  EXPECT_TRUE(Cycle(&monitor, {small}).orders.empty());
}

}  // namespace
}  // namespace lvs::hosting
