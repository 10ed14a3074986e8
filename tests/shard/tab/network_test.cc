// Whole networks of tabs, by the graph of their links. Figures of the same kind, for more sizes: lvs_tab_table.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/shard/tab/tab_model.h"

namespace lvs::tab {
namespace {

struct Outcome {
  double cut_off = 0;      // the mean of the looks
  std::uint32_t stay = 0;  // replicas that were cut off at two looks in turn, 30 s apart, before or after the death
  double dead = 0;         // cut off 5 minutes after the servers died
  std::uint32_t lost = 0;
  double hub = 0;  // messages a tab and minute
  double peer = 0;
};

// Sessions of 300 s and arrivals for 330 s, then looks over 3 minutes, then the death of all servers and hubs.
Outcome Live(const ModelConfig& config) {
  TabModel model(config);
  model.Run(330, true);
  model.TakeTraffic();
  Outcome outcome;
  constexpr int kLooks = 6;
  for (int n = 0; n < kLooks; ++n) {
    model.Run(30, true);
    const Look look = model.Look();
    outcome.cut_off += look.cut_off / kLooks;
    outcome.stay += look.stay_cut_off;
  }
  const Traffic traffic = model.TakeTraffic();
  outcome.hub = static_cast<double>(traffic.hub) / traffic.tab_minutes;
  outcome.peer = static_cast<double>(traffic.peer) / traffic.tab_minutes;
  model.KillServers();
  Look look;
  for (int n = 0; n < 10; ++n) {
    model.Run(30, false);
    look = model.Look();
    outcome.stay += look.stay_cut_off;
  }
  outcome.dead = look.cut_off;
  outcome.lost = look.lost;
  ::testing::Test::RecordProperty("hub_messages_a_tab_and_minute", std::to_string(outcome.hub));
  ::testing::Test::RecordProperty("peer_messages_a_tab_and_minute", std::to_string(outcome.peer));
  return outcome;
}

TEST(TabNetwork, SixteenShardsAreNeverCutOff) {
  const Outcome outcome = Live({.tabs = 100, .shards = 16, .seed = 1});
  EXPECT_EQ(outcome.cut_off, 0);
  EXPECT_EQ(outcome.dead, 0);
  EXPECT_EQ(outcome.lost, 0u);
}

TEST(TabNetwork, NobodyStaysCutOffWithSixtyFourShards) {
  const Outcome outcome = Live({.tabs = 100, .shards = 64, .seed = 1});
  EXPECT_LE(outcome.cut_off, 0.0005);
  EXPECT_EQ(outcome.stay, 0u);
  EXPECT_EQ(outcome.lost, 0u);
}

TEST(TabNetwork, TheSameSeedGivesTheSameNetwork) {
  const ModelConfig config = {.tabs = 30, .shards = 16, .seed = 4};
  const Outcome a = Live(config), b = Live(config);
  EXPECT_EQ(a.hub, b.hub);
  EXPECT_EQ(a.peer, b.peer);
}

TEST(TabNetwork, AnEmptyServerHearsEveryShardSoonAfterTheDeathOfAll) {
  TabModel model({.tabs = 60, .shards = 64, .seed = 2});
  model.Run(330, true);
  model.KillServers();
  model.Run(120, false);
  ShardMask held = 0;
  for (const TabLinks* tab : model.Tabs()) held |= tab->mask();
  model.StartOneServer();
  model.Run(20, false);
  EXPECT_EQ(held & ~model.HeardByServer(0), 0u);
}

TEST(TabNetwork, HonestTabsAreNotTakenForSilentOnes) {
  TabModel model({.tabs = 60, .shards = 16, .seed = 3, .hostile = 0.1});
  model.Run(300, true);
  EXPECT_GT(model.no_rows(), 0u);
  EXPECT_EQ(model.no_rows_honest(), 0u);
  EXPECT_EQ(model.Look().cut_off, 0);
}

// A tab that adopts a shard of a link's far end has sent no row of it yet: it must not be taken for a silent one.
TEST(TabNetwork, TabsOfOneMicroNodeOutliveTheServersWithoutBanningEachOther) {
  TabModel model({.tabs = 100, .shards = 64, .seed = 1, .micro_nodes = 1});
  model.Run(330, true);
  model.KillServers();
  for (int n = 0; n < 10; ++n) {
    model.Run(30, false);
    EXPECT_EQ(model.Look().stay_cut_off, 0u) << 30 * n << " s";
  }
  EXPECT_EQ(model.no_rows_honest(), 0u);
}

TEST(TabNetwork, FullAThousandTabsWithSixteenShards) {
  const Outcome outcome = Live({.tabs = 1000, .shards = 16, .seed = 1});
  EXPECT_EQ(outcome.cut_off, 0);
  EXPECT_EQ(outcome.dead, 0);
}

TEST(TabNetwork, FullAThousandTabsWithSixtyFourShards) {
  const Outcome outcome = Live({.tabs = 1000, .shards = 64, .seed = 1});
  EXPECT_LE(outcome.cut_off, 0.0005);
  EXPECT_EQ(outcome.stay, 0u);
}

// 500 tabs join 100 in 10 seconds; nobody who was there for 10 seconds is cut off.
void FlashCrowd(std::uint32_t shards, double cut_off_max) {
  TabModel model({.tabs = 100, .shards = shards, .seed = 1});
  model.Run(330, true);
  model.TakeTraffic();
  for (int second = 1; second <= 70; ++second) {
    if (second <= 10) model.Join(50);
    model.Run(1, false);
    if (second % 10 != 0) continue;
    const Look look = model.Look();
    EXPECT_LE(look.cut_off, cut_off_max) << second << " s";
    EXPECT_EQ(look.stay_cut_off, 0u) << second << " s";
  }
  EXPECT_LT(model.TakeTraffic().hub_peak, 3000u);
}

TEST(TabNetwork, FullAFlashCrowdWithSixteenShards) { FlashCrowd(16, 0); }
TEST(TabNetwork, FullAFlashCrowdWithSixtyFourShards) { FlashCrowd(64, 0.001); }

}  // namespace
}  // namespace lvs::tab
