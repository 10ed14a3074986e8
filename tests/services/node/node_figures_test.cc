#include "services/node/node_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "tests/services/node/test_time.h"

namespace lvs::services {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

constexpr shard::Shape kFigureShape{.value_slots = 2, .free_coordinates = 1};

hosting::ShardReport Shard(std::uint32_t shard, std::uint64_t cycle) {
  hosting::ShardReport report;
  report.shard = shard;
  report.cycle = cycle;
  return report;
}

hosting::NodeReport Report(std::uint64_t cycle, std::vector<hosting::ShardReport> shards,
                           std::vector<hosting::Anomaly> anomalies = {}) {
  auto verdict = std::make_shared<hosting::Verdict>();
  verdict->cycle = cycle;
  for (hosting::ShardReport& shard : shards) {
    verdict->shards.push_back(std::make_shared<const hosting::ShardReport>(std::move(shard)));
  }
  verdict->anomalies = std::move(anomalies);
  hosting::NodeReport report;
  report.cycle = cycle;
  report.verdict = std::move(verdict);
  return report;
}

v1::NodeStatus Filled(const NodeFigures& figures) {
  v1::NodeStatus status;
  figures.Fill(&status);
  return status;
}

TEST(NodeFigures, TheNewestReportStandsAndEventsAddUp) {
  NodeFigures figures(2, kFigureShape);
  hosting::NodeReport report = Report(7, {}, {{.shard = 0, .kind = "drain"}, {.shard = 1, .kind = "entropy"}});
  report.alive = 100;
  report.replicas = 400;
  report.online = 5;
  report.offline = 2;
  report.repaired = 1;
  figures.Take(report);
  report = Report(8, {}, {{.shard = 0, .kind = "drain"}});
  report.alive = 90;
  report.replicas = 360;
  report.online = 1;
  figures.Take(report);
  const v1::NodeStatus status = Filled(figures);
  EXPECT_EQ(status.cycle(), 8u);
  EXPECT_EQ(status.micro_nodes(), 90u);
  EXPECT_EQ(status.replicas(), 360u);
  EXPECT_EQ(status.anomalies(), 3u);
  EXPECT_EQ(status.anomalies_by_kind().at("drain"), 2u);
  EXPECT_EQ(status.anomalies_by_kind().at("entropy"), 1u);
  EXPECT_EQ(status.work().micro_node_cycles(), 190u);
  EXPECT_EQ(status.work().joined(), 6u);
  EXPECT_EQ(status.work().left(), 2u);
  EXPECT_EQ(status.work().repaired(), 1u);
}

TEST(NodeFigures, AReportWithoutAVerdictKeepsWhatTheShardsSaid) {
  NodeFigures figures(1, kFigureShape);
  hosting::ShardReport shard = Shard(0, 1);
  shard.sessions = 5;
  figures.Take(Report(1, {shard}));
  hosting::NodeReport out;
  out.cycle = 2;
  figures.Take(out);
  EXPECT_EQ(Filled(figures).cycle(), 2u);
  EXPECT_EQ(Filled(figures).ledger().sessions(), 5u);
}

TEST(NodeFigures, TheLedgerIsTheSumOfTheShards) {
  NodeFigures figures(2, kFigureShape);
  hosting::ShardReport a = Shard(0, 1);
  a.total_uvu = {10, 20};
  a.sessions = 3;
  a.ledger_digest = 77;
  a.measured = true;
  a.measure.behind_uvu = {4, 9};
  hosting::ShardReport b = Shard(1, 1);
  b.total_uvu = {1, 2};
  b.sessions = 4;
  b.ledger_digest = 78;
  b.measured = true;
  b.measure.behind_uvu = {6, 0};
  figures.Take(Report(1, {a, b}));
  const v1::NodeStatus status = Filled(figures);
  EXPECT_THAT(status.ledger().total_uvu(), ElementsAre(11, 22));
  EXPECT_EQ(status.ledger().sessions(), 7u);
  EXPECT_EQ(status.ledger().behind_uvu(), 9u) << "the worst of any shard and slot";
  // The digest says which shard holds what: two shards that trade places are another ledger.
  std::swap(a.ledger_digest, b.ledger_digest);
  NodeFigures traded(2, kFigureShape);
  traded.Take(Report(1, {a, b}));
  EXPECT_NE(Filled(traded).ledger().digest(), status.ledger().digest());
}

TEST(NodeFigures, AMeasureStaysUntilTheNextOne) {
  NodeFigures figures(1, kFigureShape);
  hosting::ShardReport measured = Shard(0, 10);
  measured.measured = true;
  measured.measure.worst_value_vu = 1.5;
  measured.measure.moments[2] = {.count = 4, .mean = 100, .m2 = 4 * 9.0};
  figures.Take(Report(10, {measured}));
  figures.Take(Report(11, {Shard(0, 11)}));
  const v1::NodeStatus status = Filled(figures);
  EXPECT_EQ(status.drift().worst_value_vu(), 1.5);
  ASSERT_EQ(status.drift().mean_size(), 1);
  EXPECT_EQ(status.drift().mean(0), 100);
  const double start = shard::StateShardConfig{}.coordinate_range / std::sqrt(12.0);
  EXPECT_NEAR(status.drift().relative_spread(), 3 / start, 1e-12);
  EXPECT_EQ(figures.Shards(kNow).measured_cycle(), 10u);
}

TEST(NodeFigures, ShardsAreListedWhole) {
  NodeFigures figures(2, kFigureShape);
  hosting::ShardReport shard = Shard(1, 10);
  shard.total_uvu = {5, 6};
  shard.sessions = 2;
  shard.ledger_digest = 9;
  shard.synced = true;
  shard.holds_all = true;
  shard.measured = true;
  shard.measure.replicas = 40;
  shard.measure.behind_uvu = {1, 3};
  shard.measure.moments[0] = {.count = 40, .mean = 2, .m2 = 8};
  figures.Take(Report(10, {shard}));
  const v1::ShardList list = figures.Shards(kNow);
  ASSERT_EQ(list.shards_size(), 2);
  EXPECT_FALSE(list.shards(0).synced());
  EXPECT_EQ(list.shards(0).coordinates_size(), 3) << "a shard that said nothing has its shape";
  const v1::Shard& listed = list.shards(1);
  EXPECT_EQ(listed.shard(), 1u);
  EXPECT_EQ(listed.replicas(), 40u);
  EXPECT_THAT(listed.total_uvu(), ElementsAre(5, 6));
  EXPECT_THAT(listed.behind_slot_uvu(), ElementsAre(1, 3));
  EXPECT_EQ(listed.behind_uvu(), 3u);
  EXPECT_EQ(listed.sessions(), 2u);
  EXPECT_EQ(listed.digest(), 9u);
  EXPECT_TRUE(listed.synced());
  EXPECT_TRUE(listed.holds_all());
  EXPECT_FALSE(list.shards(0).holds_all());
  EXPECT_EQ(listed.coordinates(0).replicas(), 40u);
  EXPECT_EQ(listed.coordinates(0).mean(), 2);
  EXPECT_EQ(listed.coordinates(0).squares(), 8);
}

TEST(NodeFigures, EveryCycleIsMeasuredWhileSomebodyLooks) {
  NodeFigures figures(1, kFigureShape);
  EXPECT_TRUE(figures.MeasureNow(20, kNow));
  EXPECT_FALSE(figures.MeasureNow(21, kNow));
  figures.Shards(kNow);
  EXPECT_TRUE(figures.MeasureNow(21, kNow));
  EXPECT_TRUE(figures.MeasureNow(22, kNow + 999ms));
  EXPECT_FALSE(figures.MeasureNow(23, kNow + 1s));
}

TEST(NodeFigures, HandedOverNeedsEveryShardThatHoldsAnything) {
  NodeFigures figures(3, kFigureShape);
  EXPECT_TRUE(figures.HandedOver()) << "nothing is held";
  hosting::ShardReport full = Shard(0, 1);
  full.sessions = 1;
  hosting::ShardReport other = Shard(1, 1);
  other.sessions = 1;
  other.handed_over = true;
  figures.Take(Report(1, {full, other}));
  EXPECT_FALSE(figures.HandedOver());
  full.handed_over = true;
  figures.Take(Report(2, {full}));
  EXPECT_TRUE(figures.HandedOver());
  EXPECT_THAT(figures.Sessions(), ElementsAre(1, 1, 0));
}

TEST(NodeFigures, Arch2_1_ANodeHoldsAllOnceEveryShardDoes) {
  NodeFigures figures(2, kFigureShape);
  hosting::ShardReport first = Shard(0, 1);
  hosting::ShardReport second = Shard(1, 1);
  first.holds_all = first.compared = second.holds_all = true;
  figures.Take(Report(1, {first}));
  EXPECT_FALSE(Filled(figures).sync().holds_all());
  EXPECT_EQ(Filled(figures).sync().shards_missing(), 1u);
  figures.Take(Report(2, {second}));
  EXPECT_TRUE(Filled(figures).sync().holds_all());
  EXPECT_EQ(Filled(figures).sync().shards_missing(), 0u);
  EXPECT_EQ(Filled(figures).sync().shards_compared(), 1u) << "nobody was there";
  EXPECT_FALSE(figures.Compared());
  second.compared = true;
  figures.Take(Report(3, {second}));
  EXPECT_TRUE(figures.Compared());
}

TEST(NodeFigures, WorkAndRefusalsAddUpOverShardsAndCycles) {
  NodeFigures figures(2, kFigureShape);
  hosting::ShardReport shard = Shard(0, 1);
  shard.counts.step.updated = 10;
  shard.counts.step.trust = 255;
  shard.counts.step.clamped[static_cast<std::size_t>(vaultguard::Clamp::kBand)] = 3;
  shard.counts.step.refused.Add(vaultguard::Refusal::kStale, 2);
  shard.counts.sent.ledger = 100;
  hosting::ShardReport other = shard;
  other.shard = 1;
  figures.Take(Report(1, {shard, other}));
  figures.Take(Report(2, {shard}));
  figures.Scattered();
  const v1::NodeStatus status = Filled(figures);
  EXPECT_EQ(status.work().replica_cycles(), 30u);
  EXPECT_EQ(status.work().trust(), 3);
  EXPECT_EQ(status.work().ledger_bytes(), 300u);
  EXPECT_EQ(status.work().clamped().at("band"), 9u);
  EXPECT_FALSE(status.work().clamped().contains("shift")) << "no entry for what did not happen";
  EXPECT_EQ(status.work().scattered(), 1u);
  EXPECT_EQ(figures.refused().Of(vaultguard::Refusal::kStale), 6u);
}

}  // namespace
}  // namespace lvs::services
