#include "shard/tab/server_places.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tests/shard/tab/tab_actions.h"

namespace lvs::tab {
namespace {

TEST(ServerPlaces, TabsThatHaveStayedForAMomentGetAFreePlace) {
  ServerPlaces places({.shards = 16, .places = 4}, 1);
  places.Came(Id(1), MaskOfGroup(0), 10);
  EXPECT_TRUE(places.Tick(12).empty());
  const auto changes = places.Tick(13);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].tab, Id(1));
  EXPECT_EQ(changes[0].reason, Reason::kNone);
  EXPECT_TRUE(places.Has(Id(1)));
  EXPECT_TRUE(places.Tick(14).empty());
  places.Left(Id(1));
  EXPECT_EQ(places.taken(), 0u);
  EXPECT_EQ(places.Heard(1), 0u);
}

TEST(ServerPlaces, APlaceGoesToWhoHoldsShardsThatAreHeardFromFewerThanTwo) {
  ServerPlaces places({.shards = 16, .places = 4}, 1);
  // A crowd that all hold one group, and one tab of each other group.
  for (std::uint64_t n = 0; n < 20; ++n) places.Came(Id(n + 10), MaskOfGroup(0), 0);
  for (std::uint32_t group = 1; group < 4; ++group) places.Came(Id(group), MaskOfGroup(group), 0);
  for (int second = 5; second < 10; ++second) places.Tick(second);
  EXPECT_EQ(places.taken(), 4u);
  EXPECT_EQ(places.Heard(1), AllShards(16)) << "every shard is heard, although the crowd is large";
}

TEST(ServerPlaces, ARedundantLinkGivesWayForAShardThatIsNotHeard) {
  ServerPlaces places({.shards = 16, .places = 4}, 1);
  for (std::uint64_t n = 0; n < 4; ++n) places.Came(Id(n + 10), MaskOfGroup(n % 2), 0);
  places.Tick(5);
  ASSERT_EQ(places.taken(), 4u);
  places.Came(Id(1), MaskOfGroup(3), 5);
  EXPECT_TRUE(places.Tick(7).empty());
  const auto changes = places.Tick(8);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].reason, Reason::kRedundant);
  EXPECT_EQ(changes[1].tab, Id(1));
  EXPECT_EQ(places.Heard(1), MaskOfGroup(0) | MaskOfGroup(1) | MaskOfGroup(3));
}

TEST(ServerPlaces, WithoutARedundantLinkTheOldestGivesWayAfterAWhile) {
  ServerPlaces places({.shards = 8, .places = 1}, 1);
  places.Came(Id(1), MaskOfGroup(0), 0);
  places.Tick(3);
  places.Came(Id(2), MaskOfGroup(1), 3);
  EXPECT_TRUE(places.Tick(12).empty());
  ASSERT_EQ(places.Tick(13).size(), 2u);
  EXPECT_TRUE(places.Has(Id(2)));
}

TEST(ServerPlaces, TabsTakeTurnsWhileOthersWait) {
  ServerPlaces places({.shards = 16, .places = 4}, 3);
  for (std::uint64_t n = 0; n < 12; ++n) places.Came(Id(n + 1), AllShards(16), 0);
  std::set<TabId> served;
  for (double now_s = 3; now_s < 3 + 8 * kPlaceSeconds; now_s += 1) {
    for (const PlaceChange& change : places.Tick(now_s)) {
      if (change.reason == Reason::kNone) served.insert(change.tab);
    }
    ASSERT_EQ(places.taken(), 4u);
  }
  EXPECT_EQ(served.size(), 12u);
  // With a place for everybody nobody gives way.
  ServerPlaces roomy({.shards = 16, .places = 12}, 3);
  for (std::uint64_t n = 0; n < 12; ++n) roomy.Came(Id(n + 1), AllShards(16), 0);
  EXPECT_EQ(roomy.Tick(4).size(), 12u);
  EXPECT_TRUE(roomy.Tick(1000).empty());
}

}  // namespace
}  // namespace lvs::tab
