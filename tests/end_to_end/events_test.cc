// Events do what docs/scenarios.md says, one after the other and at once.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/end_to_end/runs.h"

namespace lvs {
namespace {

std::uint64_t ReplicaCycles(const v1::RunReport& report) {
  return static_cast<std::uint64_t>(report.summary().replica_cycles_per_second() * report.summary().wall_seconds() +
                                    0.5);
}

TEST(Events, ASecondLeaveCountsThoseThatAreLeft) {
  const v1::RunReport report =
      Emulated(Network({"{at: 1s, for: 1s, leave: {keep: 50}}", "{at: 3s, for: 1s, leave: {keep: 10}}"}));
  EXPECT_EQ(SampleAt(report, 2.5).alive(), 50u);
  EXPECT_EQ(SampleAt(report, 10).alive(), 10u);
  EXPECT_TRUE(NothingLost(report));
}

TEST(Events, Arch4_LeaveAndJoinReachARegionThatIsOut) {
  const v1::RunReport report =
      Emulated(Network({"{at: 1s, for: 3s, outage: {region: us}}", "{at: 2s, for: 1s, leave: {keep: 20}}",
                        "{at: 3s, for: 500ms, join: {micro_nodes: 1000}}"}));
  EXPECT_LT(SampleAt(report, 3.9).alive(), 700u) << "the region's part waits";
  EXPECT_EQ(report.summary().micro_nodes_alive(), 1020u);
  EXPECT_TRUE(NothingLost(report));
}

TEST(Events, Spec9_3_ALowPowerEventInsideAnotherEndsOnlyItself) {
  const std::string outer = "{at: 0s, low_power: {share: 100%}}";
  const std::uint64_t alone = ReplicaCycles(Emulated(Network({outer})));
  const std::uint64_t nested = ReplicaCycles(Emulated(Network({outer, "{at: 1s, for: 1s, low_power: {share: 100%}}"})));
  EXPECT_LT(alone, 400u * 300 / 3) << "a replica in low power drifts every fourth cycle";
  EXPECT_EQ(nested, alone);
}

TEST(Events, ACountOfLiarsOutlivesChurn) {
  const v1::RunReport report = Emulated(
      Network({"{at: 5s, adversaries: {count: 40, attack: drain}}", "{at: 5s, for: 15s, churn: {rate: 20%/s}}"}));
  // The picture shows a sample of shard 0, which every micro-node holds.
  EXPECT_NEAR(HostileShare(report, 30), 0.4, 0.12);
  EXPECT_GE(report.summary().swarm().left(), 250u) << "nearly all were replaced, several times";
}

// The server node of a region answers again long before its micro-nodes are back.
TEST(Events, Test10_ARegionHasRecoveredOnceItsMicroNodesAreBack) {
  const v1::RunReport report = Emulated(Parse(R"(name: outage
population: {micro_nodes: 20, regions: {a: 50%, b: 50%}}
state: {shards: 1, value_slots: 1}
cycle: {count: 100}
events: [{at: 2s, for: 1s, outage: {region: a}}]
)"));
  double entered_s = 0;
  for (const v1::Sample& sample : report.samples()) {
    if (sample.seconds() > 3 && sample.alive() == 20 && entered_s == 0) entered_s = sample.seconds();
  }
  ASSERT_GT(entered_s, 3.1) << "first they fetch the ledger";
  EXPECT_GE(RecoverySeconds(report, "outage"), entered_s - 3 - 1e-9);
}

}  // namespace
}  // namespace lvs
