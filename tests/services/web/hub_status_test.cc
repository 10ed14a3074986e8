#include "services/web/hub_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lvs::services {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::NodeStatus StatusOf(double uptime_s, std::uint64_t shards_held) {
  v1::NodeStatus status;
  status.set_uptime_s(uptime_s);
  status.mutable_web()->set_shards_held(shards_held);
  status.mutable_sync()->set_holds_all(true);
  return status;
}

// After the death of all servers the ledgers are with tabs: an empty hub does not vouch for what it has not compared.
TEST(HubStatus, Test3_1_ShardsThatTabsHoldAreIncompleteUntilCompared) {
  const std::vector<bool> compared = {true, false, false, false};
  v1::NodeStatus status = StatusOf(60, 0b0111);
  AddShardsOfTabs(compared, &status);
  EXPECT_THAT(status.sync().incomplete_shards(), ElementsAre(1, 2)) << "nobody holds shard 3";
  EXPECT_EQ(status.sync().shards_missing(), 2u);
  EXPECT_FALSE(status.sync().holds_all());

  status = StatusOf(kTabsReturnSeconds - 1, 0);
  AddShardsOfTabs(compared, &status);
  EXPECT_THAT(status.sync().incomplete_shards(), ElementsAre(1, 2, 3)) << "tabs may still come";

  status = StatusOf(60, 0b0001);
  AddShardsOfTabs(compared, &status);
  EXPECT_THAT(status.sync().incomplete_shards(), IsEmpty());
  EXPECT_TRUE(status.sync().holds_all());

  status = StatusOf(kTabsClaimSeconds, 0b1111);
  AddShardsOfTabs(compared, &status);
  EXPECT_TRUE(status.sync().holds_all()) << "claims of tabs that say nothing";

  status = StatusOf(60, 0);
  status.mutable_sync()->add_incomplete_shards(3);  // a peer has more
  AddShardsOfTabs(compared, &status);
  EXPECT_THAT(status.sync().incomplete_shards(), ElementsAre(3));
}

TEST(HubStatus, EveryCountHasAName) {
  HubFigures figures;
  figures.ended.fill(1);
  figures.refused.fill(1);
  figures.shards_heard = {1, 2, 3};
  figures.signalling.relay_over_all = 5;
  tab::BuildNews builds;
  builds.builds.push_back({"abc", 3, 7});
  v1::WebStatus status;
  FillWebStatus(figures, builds, &status);
  EXPECT_EQ(status.ended().size(), figures.ended.size());
  EXPECT_EQ(status.refused().size(), figures.refused.size());
  EXPECT_FALSE(status.ended().contains(""));
  EXPECT_FALSE(status.refused().contains(""));
  EXPECT_THAT(status.shards_heard(), ElementsAre(1, 2, 3));
  EXPECT_EQ(status.over_budget().at("relay_all"), 5u);
  EXPECT_EQ(status.builds(0).nodes(), 7u);
}

}  // namespace
}  // namespace lvs::services
