// Tests with adversaries, corrupt frames and forged ledgers.
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "services/scenario/scenario.h"
#include "shard/value_engine.h"
#include "tests/end_to_end/runs.h"

namespace lvs {
namespace {

// Replaces the attack of every adversary event.
v1::Scenario With(v1::Scenario scenario, v1::Attack attack) {
  for (v1::Event& event : *scenario.mutable_events()) {
    if (event.has_adversaries()) event.mutable_adversaries()->set_attack(attack);
  }
  return scenario;
}

class Hostile : public ::testing::TestWithParam<std::tuple<std::string, v1::Attack>> {};

TEST_P(Hostile, Spec8_1_EveryHonestReplicaKeepsToItsLedger) {
  const auto& [name, attack] = GetParam();
  const v1::Scenario scenario = With(Shipped(name), attack);
  const v1::RunReport report = Emulated(scenario);
  EXPECT_LE(report.summary().ledger().effective_error_relative(), 1e-3);
  EXPECT_TRUE(NothingLost(report));
  if (attack != v1::FORGED_LEDGER) {
    EXPECT_EQ(report.summary().ledger().accepted_uvu(), UndisturbedAcceptedUvu(scenario));
  }
  // The attack took place: a share of the replicas is hostile in the middle of the run.
  const double share = scenario.events(0).adversaries().share();
  const double middle_s = static_cast<double>(services::RunLengthUs(scenario)) * 1e-6 / 2;
  EXPECT_NEAR(HostileShare(report, middle_s), share, 0.12);
}

INSTANTIATE_TEST_SUITE_P(Arch6_5, Hostile,
                         ::testing::Combine(::testing::Values("hostile-30", "hostile-45"),
                                            ::testing::Values(v1::STUBBORN, v1::DRAIN, v1::NOISE, v1::STEALTH,
                                                              v1::ALTERNATE, v1::A_LITTLE_IS_ENOUGH, v1::ENTROPY_FLOOD,
                                                              v1::REPLAY, v1::FORGED_LEDGER, v1::RANGE_EDGE,
                                                              v1::JUST_INSIDE, v1::FAST_AHEAD, v1::SLOW_AHEAD,
                                                              v1::TWO_CAMPS, v1::FEIGNED_RECIPROCITY)),
                         [](const auto& test) {
                           return TestName(std::get<0>(test.param) + "_" + v1::Attack_Name(std::get<1>(test.param)));
                         });

TEST(HostileList, HasEveryAttack) { EXPECT_EQ(v1::Attack_ARRAYSIZE, 16) << "a new attack: add it above"; }

TEST(HostileSigns, Spec8_3_AttacksAreSeenForWhatTheyAre) {
  const v1::Scenario scenario = Shipped("hostile-30");
  EXPECT_GT(Anomalies(Emulated(With(scenario, v1::DRAIN))), 0u);
  EXPECT_GT(Refused(Emulated(With(scenario, v1::NOISE)), "not_finite"), 1000u);
  EXPECT_GT(Refused(Emulated(With(scenario, v1::REPLAY)), "stale"), 1000u);
  const v1::RunReport flood = Emulated(With(scenario, v1::ENTROPY_FLOOD));
  EXPECT_GT(Refused(flood, "entropy_saturated"), 1000u);
  EXPECT_GT(Refused(flood, "entropy_repeated"), 1000u);
  v1::Scenario honest = scenario;
  honest.clear_events();
  const v1::RunReport quiet = Emulated(honest);
  EXPECT_EQ(Anomalies(quiet), 0u);
  EXPECT_EQ(Refused(quiet, "not_finite") + Refused(quiet, "entropy_saturated") + Refused(quiet, "entropy_repeated"),
            0u);
}

// The mean moves without any liar, too (sampling error): what the liar adds to that is what it moved.
TEST(Test10, StubbornOneMovesTheMeanByLessThanATenThousandth) {
  v1::Scenario scenario = Shipped("stubborn-one");
  const v1::RunReport lied = Emulated(scenario);
  scenario.clear_events();
  scenario.clear_thresholds();
  const v1::RunReport honest = Emulated(scenario);
  const double moved = honest.summary().drift().sampling_error_relative();
  EXPECT_GT(moved, 0) << "nothing is measured";
  EXPECT_NEAR(lied.summary().drift().honest_bias_relative(), moved, 1e-4);
  ASSERT_EQ(lied.samples_size(), honest.samples_size());
  for (int n = 1; n < lied.samples_size(); ++n) {
    EXPECT_NEAR(lied.samples(n).honest_bias_relative(), honest.samples(n).sampling_error_relative(), 1e-4)
        << lied.samples(n).seconds();
  }
}

TEST(Test7, CorruptFramesAreRefusedByReasonAndChangeNothing) {
  v1::Scenario scenario = Shipped("corrupt");
  const v1::RunReport report = Emulated(scenario);
  for (const char* reason : {"not_finite", "wrong_dimension", "column_lengths", "unknown_shard", "future_cycle",
                             "unknown_halo_row", "too_large", "replayed", "rate_exceeded", "bad_entry"}) {
    EXPECT_GT(Refused(report, reason), 10u) << reason;
  }
  scenario.clear_events();
  scenario.clear_thresholds();
  const v1::RunReport clean = Emulated(scenario);
  EXPECT_EQ(Refused(clean, "not_finite") + Refused(clean, "too_large") + Refused(clean, "bad_entry"), 0u);
  EXPECT_EQ(report.summary().ledger().accepted_uvu(), clean.summary().ledger().accepted_uvu());
  EXPECT_EQ(report.summary().state_hash(), clean.summary().state_hash())
      << "bit for bit the state without the nonsense";
  EXPECT_EQ(report.summary().drift().cycles_to_1ppm(), clean.summary().drift().cycles_to_1ppm());
}

TEST(Test7, CorruptFramesOnABadLinkLoseNothing) {
  v1::Scenario scenario = Shipped("corrupt");
  scenario.mutable_events(0)->mutable_corrupt()->set_share(1);
  scenario.mutable_cycle()->set_settle_us(10'000'000);  // a frame may need many tries
  for (v1::RegionLink& link : *scenario.mutable_links()->mutable_between()) {
    link.set_loss(0.3);
    link.set_duplicate(0.2);
    link.set_reorder(0.3);
    link.set_jitter_us(150'000);
  }
  const v1::RunReport report = Emulated(scenario);
  EXPECT_TRUE(NothingLost(report));
  EXPECT_EQ(report.summary().ledger().accepted_uvu(), UndisturbedAcceptedUvu(scenario));
  EXPECT_LE(report.summary().drift().relative_spread(), 1e-6);
}

TEST(Spec5_1, ForgersGetWhatThePolicyAllowsAndNoMore) {
  const v1::Scenario scenario = With(Shipped("hostile-30"), v1::FORGED_LEDGER);
  const v1::RunReport report = Emulated(scenario);
  EXPECT_GT(Refused(report, "rate_exceeded"), 100u);
  EXPECT_TRUE(NothingLost(report));
  const std::uint64_t honest = UndisturbedAcceptedUvu(scenario);
  const std::uint64_t accepted = report.summary().ledger().accepted_uvu();
  ASSERT_GT(accepted, honest);
  const shard::ContributionPolicy policy;
  const std::uint64_t sessions = 64 * scenario.state().shards();
  EXPECT_LE(accepted - honest, sessions * static_cast<std::uint64_t>(policy.Allowed(scenario.cycle().count())));
}

// ---- Attacks that begin and end ----

TEST(Adversaries, AreThereFromBeginningToEndOfTheirEvent) {
  const v1::RunReport report = Emulated(Network({"{at: 6s, for: 6s, adversaries: {share: 30%, attack: stubborn}}"}));
  EXPECT_EQ(HostileShare(report, 1), 0);
  EXPECT_NEAR(HostileShare(report, 9), 0.3, 0.02);
  EXPECT_EQ(HostileShare(report, 30), 0);
  EXPECT_TRUE(NothingLost(report));
}

TEST(Adversaries, WithoutAnEndAreThereInTheLastCycle) {
  const v1::RunReport report = Emulated(Network({"{at: 6s, adversaries: {share: 30%, attack: stubborn}}"}));
  EXPECT_NEAR(HostileShare(report, 30), 0.3, 0.02) << "the summary's last cycle measures liars as if they were honest";
  EXPECT_EQ(report.summary().recoveries_size(), 0) << "recovered from something that never ended";
}

TEST(Adversaries, OneEventsEndLeavesTheOthers) {
  // The first attack lasts to the end of the run, the second ends at 6 s. The picture of the first is at 16 s.
  const v1::RunReport report = Emulated(Network({"{at: 2s, adversaries: {share: 30%, attack: stubborn}}",
                                                 "{at: 4s, for: 2s, adversaries: {share: 10%, attack: noise}}"}));
  EXPECT_NEAR(HostileShare(report, 16), 0.3, 0.05);
}

TEST(Adversaries, AnAttackThatEndsWhileARegionIsOutIsOver) {
  const v1::RunReport report = Emulated(Network(
      {"{at: 2s, for: 6s, adversaries: {share: 30%, attack: stubborn}}", "{at: 5s, for: 6s, outage: {region: us}}"}));
  EXPECT_EQ(HostileShare(report, 30), 0) << "the region's micro-nodes joined again as liars";
}

TEST(Adversaries, AnAttackThatBeginsWhileARegionIsOutReachesItsMicroNodes) {
  const v1::RunReport report = Emulated(Network(
      {"{at: 6s, for: 20s, adversaries: {share: 90%, attack: stealth}}", "{at: 5s, for: 3s, outage: {region: us}}"}));
  EXPECT_NEAR(HostileShare(report, 16), 0.9, 0.05) << "the region's micro-nodes joined again as the only honest ones";
}

}  // namespace
}  // namespace lvs
