// The clients, and the truth that they stand for.
#include "services/scenario/workload.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "shard/ledger.h"
#include "shard/random.h"

namespace lvs::services {
namespace {

using hosting::Contribution;

constexpr std::int64_t kVu = vaultguard::kMicroPerVu;
constexpr std::uint64_t kRetry = 25;  // cycles without an answer

v1::Scenario Scenario(double per_second = 20, std::uint32_t shards = 4, std::uint32_t sessions = 50) {
  v1::Scenario scenario;
  scenario.set_seed(9);
  scenario.mutable_cycle()->set_period_us(100'000);
  scenario.mutable_state()->set_shards(shards);
  scenario.mutable_state()->set_value_slots(2);
  scenario.mutable_state()->set_opening_balance_uvu(1000 * kVu);
  scenario.mutable_workload()->set_contributions_per_second(per_second);
  scenario.mutable_workload()->set_sessions(sessions);
  scenario.mutable_workload()->set_acknowledge_nodes(2);
  scenario.mutable_workload()->mutable_amount()->set_min_uvu(kVu / 10);
  scenario.mutable_workload()->mutable_amount()->set_max_uvu(10 * kVu);
  return scenario;
}

std::vector<Contribution> Flat(const std::vector<std::vector<Contribution>>& by_node) {
  std::vector<Contribution> all;
  for (const auto& node : by_node) all.insert(all.end(), node.begin(), node.end());
  return all;
}

std::int64_t Total(const Workload& workload) {
  std::int64_t total = 0;
  for (const auto& slots : workload.accepted_uvu()) {
    for (const std::int64_t amount : slots) total += amount;
  }
  return total;
}

std::int64_t Sum(const shard::LedgerEntry& entry) {
  std::int64_t sum = 0;
  for (const std::int64_t amount : entry.amount_uvu) sum += amount;
  return sum;
}

TEST(Workload, KeepsItsRateAndItsRange) {
  Workload workload(Scenario(25), 3, {});
  EXPECT_EQ(Total(workload), 4 * 2 * 1000 * kVu) << "the opening balance is accepted from the start";
  std::size_t sent = 0;
  std::set<std::uint64_t> ids;
  std::set<std::uint32_t> shards;
  for (std::uint64_t cycle = 1; cycle <= 20; ++cycle) {
    for (const Contribution& c : Flat(workload.Cycle(cycle, true, {true, true, true}, 0))) {
      ++sent;
      ids.insert(c.id);
      shards.insert(c.shard);
      EXPECT_EQ(c.needed_nodes, 2u);
      EXPECT_LT(c.shard, 4u);
      workload.Take({c.id, true}, cycle);
    }
  }
  EXPECT_EQ(sent, 50u);
  EXPECT_EQ(ids.size(), 50u);
  EXPECT_EQ(shards.size(), 4u);
  EXPECT_EQ(workload.offered(), 50u);
  EXPECT_EQ(workload.acknowledged(), 50u);
  EXPECT_EQ(workload.pending(), 0u);
  const std::int64_t gained = Total(workload) - 4 * 2 * 1000 * kVu;
  EXPECT_GT(gained, 50 * kVu / 10);
  EXPECT_LT(gained, 50 * 10 * kVu);
}

TEST(Workload, OneRegionAsksForOneServerNode) {
  Workload workload(Scenario(), 1, {});
  for (const Contribution& c : Flat(workload.Cycle(1, true, {true}, 0))) EXPECT_EQ(c.needed_nodes, 1u);
}

// An acknowledgement by two means two: where one is left, clients wait.
TEST(Workload, Paper8_WhereTooFewAreLeftNoFewerAreAskedFor) {
  Workload workload(Scenario(), 3, {});
  const std::vector<Contribution> sent = Flat(workload.Cycle(1, true, {false, true, false}, 0));
  ASSERT_FALSE(sent.empty());
  for (const Contribution& c : sent) EXPECT_EQ(c.needed_nodes, 2u);
  EXPECT_EQ(workload.pending(), sent.size());
}

TEST(Workload, AmountsAreCumulativeAndCountOnce) {
  Workload workload(Scenario(10, 1, 1), 1, {});  // one client, one shard: one session
  const std::int64_t opening = Total(workload);
  const auto first = Flat(workload.Cycle(1, true, {true}, 0));
  const auto second = Flat(workload.Cycle(2, true, {true}, 0));
  ASSERT_EQ(first.size(), 1u);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(first[0].entry.session, second[0].entry.session);
  EXPECT_EQ(first[0].entry.opened_cycle, second[0].entry.opened_cycle);
  EXPECT_GT(Sum(second[0].entry), Sum(first[0].entry));
  // The second answer comes first: it says all that the first would.
  workload.Take({second[0].id, true}, 3);
  EXPECT_EQ(Total(workload), opening + Sum(second[0].entry));
  workload.Take({first[0].id, true}, 4);
  workload.Take({second[0].id, true}, 4);
  EXPECT_EQ(Total(workload), opening + Sum(second[0].entry));
  EXPECT_EQ(workload.pending(), 0u);
}

TEST(Workload, Spec6_3_WithoutAnAnswerItTriesElsewhere) {
  Workload workload(Scenario(10), 3, {});
  const std::vector<Contribution> first = Flat(workload.Cycle(1, true, {true, false, false}, 0));
  ASSERT_EQ(first.size(), 1u);
  for (std::uint64_t cycle = 2; cycle < 1 + kRetry; ++cycle) {
    EXPECT_TRUE(Flat(workload.Cycle(cycle, false, {false, true, false}, 0)).empty()) << cycle;
  }
  const auto again = workload.Cycle(1 + kRetry, false, {false, true, false}, 0);
  ASSERT_EQ(again[1].size(), 1u) << "only the one that is up is asked";
  EXPECT_EQ(again[1][0].id, first[0].id);
  EXPECT_EQ(again[1][0].entry.amount_uvu, first[0].entry.amount_uvu) << "the same amount again, not more";
  EXPECT_EQ(again[1][0].entry.session, first[0].entry.session);
  EXPECT_EQ(workload.offered(), 1u);
  EXPECT_EQ(workload.acknowledged(), 0u);

  // Both answers arrive: it counts once.
  const std::int64_t before = Total(workload);
  workload.Take({first[0].id, true}, 30);
  workload.Take({first[0].id, true}, 31);
  EXPECT_EQ(Total(workload), before + Sum(first[0].entry));
  EXPECT_TRUE(Flat(workload.Cycle(100, false, {true, true, true}, 0)).empty());
}

TEST(Workload, AnHonestClientThatIsTurnedAwayTriesAgain) {
  Workload workload(Scenario(10), 2, {});
  const std::vector<Contribution> first = Flat(workload.Cycle(1, true, {true, true}, 0));
  ASSERT_EQ(first.size(), 1u);
  const std::int64_t before = Total(workload);
  workload.Take({first[0].id, false}, 2);
  EXPECT_EQ(Total(workload), before);
  EXPECT_EQ(workload.pending(), 1u);
  EXPECT_EQ(Flat(workload.Cycle(1 + kRetry, false, {true, true}, 0)).size(), 1u);
}

TEST(Workload, WhenItSettlesNothingNewIsContributed) {
  Workload workload(Scenario(100), 2, {});
  for (std::uint64_t cycle = 1; cycle < 20; ++cycle) {
    EXPECT_TRUE(Flat(workload.Cycle(cycle, false, {true, true}, 5)).empty());
  }
  EXPECT_EQ(workload.offered(), 0u);
}

TEST(Workload, Spec5_1_ForgersClaimWithinThePolicyAndBeyond) {
  const shard::ContributionPolicy policy{100 * kVu, kVu};
  Workload workload(Scenario(0, 2), 1, policy);
  const std::int64_t opening = Total(workload);
  shard::Ledger ledgers[2] = {{2, policy}, {2, policy}};
  std::set<shard::SessionId> sessions;
  std::size_t beyond = 0;
  for (std::uint64_t cycle = 1; cycle <= 300; ++cycle) {
    for (const Contribution& c : Flat(workload.Cycle(cycle, true, {true}, 8))) {
      const shard::Ledger::Outcome outcome = ledgers[c.shard].Merge(c.entry, cycle);
      const bool fits = Sum(c.entry) <= policy.Allowed(cycle - c.entry.opened_cycle);
      EXPECT_EQ(!outcome.refused, fits);
      beyond += fits ? 0 : 1;
      sessions.insert(c.entry.session);
      workload.Take({c.id, !outcome.refused}, cycle);
    }
  }
  EXPECT_GT(beyond, 50u);
  EXPECT_EQ(workload.pending(), 0u) << "a forger that is turned away does not come back with it";
  const std::int64_t claimed = Total(workload) - opening;
  EXPECT_GT(claimed, 8 * 100 * kVu) << "what the policy allows is theirs";
  EXPECT_LE(claimed, static_cast<std::int64_t>(sessions.size()) * policy.Allowed(300));
  EXPECT_EQ(claimed, ledgers[0].total_uvu(0) + ledgers[1].total_uvu(0));
}

// Answers are lost, come twice, come from a server node that died afterwards: what is accepted is what the ledgers
// hold.
TEST(Workload, Paper4_4_AcceptedTotalsAreExact) {
  constexpr std::uint32_t kNodes = 3;
  const v1::Scenario scenario = Scenario(200);
  Workload workload(scenario, kNodes, {});
  std::vector<std::vector<shard::Ledger>> held(kNodes, std::vector<shard::Ledger>(4, shard::Ledger(2, {})));
  std::uint64_t draws = 0;
  const auto chance = [&](double p) { return shard::Unit(shard::Mix(++draws)) < p; };
  for (std::uint64_t cycle = 1; cycle <= 600; ++cycle) {
    const bool open = cycle <= 200;
    const auto by_node = workload.Cycle(cycle, open, {true, cycle % 7 != 0, cycle < 100 || cycle > 150}, 0);
    for (std::uint32_t n = 0; n < kNodes; ++n) {
      for (const Contribution& c : by_node[n]) {
        if (open && chance(0.3)) continue;  // never arrives
        ASSERT_FALSE(held[n][c.shard].Merge(c.entry, cycle).refused);
        if (open && chance(0.3)) continue;  // the answer is lost
        workload.Take({c.id, true}, cycle);
        if (chance(0.3)) workload.Take({c.id, true}, cycle);
      }
    }
  }
  EXPECT_EQ(workload.offered(), 4000u);
  EXPECT_EQ(workload.acknowledged(), 4000u);
  EXPECT_EQ(workload.pending(), 0u);
  for (std::uint32_t s = 0; s < 4; ++s) {
    shard::Ledger all(2, {});
    for (std::uint32_t n = 0; n < kNodes; ++n) {
      std::vector<shard::LedgerEntry> entries;
      held[n][s].Changes(0, 1 << 20, &entries);
      for (const shard::LedgerEntry& entry : entries) all.Merge(entry, 600);
    }
    for (int slot = 0; slot < 2; ++slot) {
      EXPECT_EQ(workload.accepted_uvu()[s][static_cast<std::size_t>(slot)], 1000 * kVu + all.total_uvu(slot));
    }
  }
}

TEST(Workload, TheSeedDecides) {
  const auto amounts = [](std::uint64_t seed) {
    v1::Scenario scenario = Scenario(100);
    scenario.set_seed(seed);
    Workload workload(scenario, 2, {});
    std::vector<std::int64_t> list;
    for (const Contribution& c : Flat(workload.Cycle(1, true, {true, true}, 0))) list.push_back(Sum(c.entry));
    return list;
  };
  EXPECT_EQ(amounts(1), amounts(1));
  EXPECT_NE(amounts(1), amounts(2));
}

}  // namespace
}  // namespace lvs::services
