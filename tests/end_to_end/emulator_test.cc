// Tests of what a caller of Emulate sees: progress, stopping, real time, the budget.
#include "services/emulator/emulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "tests/end_to_end/runs.h"

namespace lvs {
namespace {

TEST(Emulator, TellsItsProgress) {
  const v1::Scenario scenario = Network({"{at: 0s, for: 20s, churn: {rate: 2%/s}}"});
  std::vector<services::Progress> told;
  services::EmulationOptions options;
  options.progress_interval_s = 0.005;
  options.on_progress = [&](const services::Progress& progress) { told.push_back(progress); };
  const v1::RunReport report = Emulated(scenario, options);
  ASSERT_GE(told.size(), 2u);
  for (std::size_t n = 0; n < told.size(); ++n) {
    const services::Progress& p = told[n];
    EXPECT_EQ(p.cycles, 300u);
    EXPECT_NEAR(p.virtual_s, static_cast<double>(p.cycle) * 0.1, 1e-9);
    EXPECT_EQ(p.alive, 100u);
    EXPECT_GT(p.cycles_per_second, 0);
    EXPECT_GT(p.replica_cycles_per_second, p.cycles_per_second);
    EXPECT_EQ(p.active_faults, p.cycle < 200 ? "churn 2%/s" : "") << p.cycle;
    if (n > 0) {
      EXPECT_GT(p.cycle, told[n - 1].cycle);
      EXPECT_GE(p.wall_s, told[n - 1].wall_s);
      EXPECT_GE(p.refused, told[n - 1].refused);
    }
  }
  EXPECT_EQ(told.back().cycle, 300u) << "the last word is the end";
  EXPECT_LT(told.back().relative_spread, 1e-3);
  EXPECT_TRUE(report.summary().complete());
}

TEST(Emulator, ProgressDoesNotChangeTheRun) {
  services::EmulationOptions options;
  options.progress_interval_s = 0;
  int calls = 0;
  options.on_progress = [&](const services::Progress&) { ++calls; };
  EXPECT_EQ(Emulated(Network(), options).summary().state_hash(), Emulated(Network()).summary().state_hash());
  EXPECT_EQ(calls, 300);
}

TEST(Emulator, Arch7_AProfileSaysWhereTheTimeWentAndChangesNothing) {
  services::EmulationOptions options;
  options.profile = true;
  options.threads = 2;
  const v1::Summary profiled = Emulated(Network(), options).summary();
  const v1::Summary plain = Emulated(Network()).summary();
  EXPECT_EQ(profiled.state_hash(), plain.state_hash());
  EXPECT_TRUE(plain.profile().empty());

  std::vector<std::string> stages;
  double seconds = 0;
  double share = 0;
  for (const v1::StageTime& stage : profiled.profile()) {
    stages.push_back(stage.stage());
    EXPECT_GT(stage.seconds(), 0) << stage.stage();
    seconds += stage.seconds();
    share += stage.share();
  }
  EXPECT_THAT(stages, testing::ElementsAre("population", "frames in", "ledger news", "drift kernel", "overlay",
                                           "frames out", "measure", "outside of shards"));
  // The stages add up to the workers' time, so nothing is missing or counted twice.
  EXPECT_NEAR(seconds, 2 * profiled.wall_seconds(), 1e-6);
  EXPECT_NEAR(share, 1, 1e-6);
}

TEST(Emulator, StopsAfterTheCurrentCycle) {
  v1::Scenario scenario = Network();
  std::atomic<bool> stop = false;
  services::EmulationOptions options;
  options.stop = &stop;
  options.progress_interval_s = 0;
  options.on_progress = [&](const services::Progress& progress) { stop = progress.cycle == 100; };
  v1::Threshold* threshold = scenario.add_thresholds();
  threshold->set_metric("micro_nodes_alive");
  threshold->set_at("end");
  threshold->set_min(1);
  const v1::RunReport report = Emulated(scenario, options);
  EXPECT_FALSE(report.summary().complete());
  EXPECT_FALSE(report.summary().passed()) << "a part of a run proves nothing";
  EXPECT_EQ(report.summary().cycles(), 100u);
  EXPECT_NEAR(report.summary().virtual_seconds(), 10, 1e-9);
  EXPECT_EQ(report.samples_size(), 101);
  EXPECT_EQ(report.summary().micro_nodes_alive(), 100u);
  EXPECT_GT(report.summary().ledger().accepted_uvu(), 8'000'000'000u);
}

TEST(Emulator, StoppedBeforeItBeginsItStillReports) {
  std::atomic<bool> stop = true;
  services::EmulationOptions options;
  options.stop = &stop;
  const v1::RunReport report = Emulated(Network(), options);
  EXPECT_FALSE(report.summary().complete());
  EXPECT_EQ(report.summary().cycles(), 0u);
  EXPECT_EQ(report.samples_size(), 1);
}

TEST(Test4_3, RealtimeNeverRunsAhead) {
  v1::Scenario scenario = Network();
  scenario.mutable_cycle()->set_count(15);
  scenario.clear_thresholds();
  services::EmulationOptions options;
  options.realtime = true;
  options.progress_interval_s = 0;
  int calls = 0;
  options.on_progress = [&](const services::Progress& progress) {
    ++calls;
    // Each cycle runs at the beginning of its period.
    EXPECT_GE(progress.wall_s, progress.virtual_s - 0.1 - 1e-3) << progress.cycle;
  };
  const v1::RunReport report = Emulated(scenario, options);
  EXPECT_EQ(calls, 15);
  EXPECT_GE(report.summary().wall_seconds(), 1.4);
  EXPECT_EQ(report.summary().state_hash(), Emulated(scenario).summary().state_hash()) << "only the pace differs";
}

TEST(Emulator, TheBudgetCountsWhatWillRun) {
  const v1::Scenario scenario = Network();
  const services::ResourceBudget budget = services::EstimateBudget(scenario);
  EXPECT_EQ(budget.replicas, 400u);
  EXPECT_EQ(budget.shard_actors, 12u);
  EXPECT_EQ(budget.link_actors, 6u);
  EXPECT_EQ(budget.replica_cycles, 400u * 300);
  const v1::RunReport report = Emulated(scenario);
  EXPECT_NEAR(report.summary().replica_cycles_per_second() * report.summary().wall_seconds(),
              static_cast<double>(budget.replica_cycles), 1);
}

TEST(Emulator, TheBudgetCountsWhoJoinsAndWhoLeaves) {
  // 100 micro-nodes with four replicas each for ten seconds; then 400 more enter within ten; then all but 100 leave.
  const v1::Scenario scenario =
      Network({"{at: 10s, for: 10s, join: {micro_nodes: 400}}", "{at: 20s, for: 10s, leave: {keep: 100}}"});
  const services::ResourceBudget budget = services::EstimateBudget(scenario);
  EXPECT_EQ(budget.replicas, 2000u);
  EXPECT_EQ(budget.replica_cycles, 400u * 100 + 1200u * 100 + 1200u * 100);
  const v1::RunReport report = Emulated(scenario);
  const double ran = report.summary().replica_cycles_per_second() * report.summary().wall_seconds();
  EXPECT_NEAR(ran / static_cast<double>(budget.replica_cycles), 1, 0.05) << "the last cycle empties a leave";
}

TEST(Emulator, RefusesWhatTheMachineCannotHold) {
  v1::Scenario scenario = Network();
  scenario.mutable_population()->set_micro_nodes(4'000'000'000u);
  const auto report = services::Emulate(scenario, {});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(report.status().message().find("micro_nodes"), std::string::npos) << report.status().message();
}

TEST(Test4_4, PicturesAreOfTheSwarm) {
  const v1::RunReport report = Emulated(Network({"{at: 10s, for: 5s, outage: {region: us}}"}));
  ASSERT_GE(report.snapshots_size(), 4);
  EXPECT_EQ(report.snapshots(0).cycle(), 0u);
  EXPECT_EQ(report.snapshots(report.snapshots_size() - 1).cycle(), 300u);
  bool arrows = false;
  for (const v1::Snapshot& snapshot : report.snapshots()) {
    EXPECT_GT(snapshot.dots_size(), 20);
    EXPECT_LE(snapshot.dots_size(), 300);
    for (const v1::Dot& dot : snapshot.dots()) {
      EXPECT_LT(dot.region(), 3u);
      arrows = arrows || dot.dx() != 0;
      for (const std::uint32_t peer : dot.peer()) ASSERT_LT(peer, static_cast<std::uint32_t>(snapshot.dots_size()));
    }
  }
  EXPECT_TRUE(arrows);
  EXPECT_EQ(report.faults_size(), 1);
  EXPECT_EQ(report.regions_size(), 3);
}

}  // namespace
}  // namespace lvs
