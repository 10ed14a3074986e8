#include "shard/tab/placement.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "shard/placement.h"
#include "shard/random.h"
#include "shard/tab/draws.h"

namespace lvs::tab {
namespace {

TEST(TabPlacement, AMicroNodeHoldsTheGroupOfHighestWeight) {
  Draws draws(1);
  for (int n = 0; n < 200; ++n) {
    const std::uint64_t session = draws.Next();
    std::vector<std::uint32_t> heaviest;
    shard::PlaceMicroNode(session, /*shards=*/16, /*held=*/1, &heaviest);
    EXPECT_EQ(GroupOf(session, 64), heaviest[0]);
    EXPECT_EQ(MaskOf(std::vector{session}, 64), ShardMask{15} << (4 * heaviest[0]));
  }
}

TEST(TabPlacement, GroupsAreHeldByAboutAsManyEach) {
  std::vector<int> holders(16, 0);
  for (std::uint64_t session = 0; session < 16'000; ++session) ++holders[GroupOf(session, 64)];
  for (const int n : holders) EXPECT_NEAR(n, 1000, 150);
}

TEST(TabPlacement, AClaimIsBoundedByTheMicroNodes) {
  EXPECT_TRUE(ClaimFits(AllShards(28), 1, 64)) << "4 and 24 adopted ones";
  EXPECT_FALSE(ClaimFits(AllShards(29), 1, 64));
  EXPECT_TRUE(ClaimFits(AllShards(64), 10, 64));
  EXPECT_FALSE(ClaimFits(AllShards(61), 9, 64));
  EXPECT_EQ(ClaimMax(1'000'000), ClaimMax(kMicroNodesCounted)) << "more micro-nodes claim no more";
  EXPECT_FALSE(ClaimFits(0, 1, 64)) << "no shard";
  EXPECT_FALSE(ClaimFits(MaskOfShard(16), 1, 16)) << "a shard that does not exist";
  EXPECT_FALSE(ClaimFits(1, 0, 16)) << "no micro-node";
}

TEST(TabPlacement, AJoinerIsGivenTheGroupsOfFewestHolders) {
  const std::vector<std::uint32_t> holders = {9, 2, 6, 0, 1, 7};
  for (std::uint64_t draw = 0; draw < 50; ++draw) {
    const std::uint64_t mixed = shard::Mix(draw);
    EXPECT_EQ(ScarceGroups(holders, 1, mixed), 0b1000u);
    EXPECT_EQ(ScarceGroups(holders, 2, mixed), 0b11000u);
    EXPECT_EQ(ScarceGroups(holders, 10, mixed), 0b11010u) << "groups with enough holders are left to chance";
  }
  EXPECT_EQ(ScarceGroups({}, 3, 5), 0u);
}

TEST(TabPlacement, OfEqualGroupsARandomOneIsGiven) {
  std::vector<int> given(4, 0);
  for (std::uint64_t draw = 1; draw <= 4000; ++draw) {
    ++given[static_cast<std::size_t>(
        std::countr_zero(ScarceGroups(std::vector<std::uint32_t>(4, 1), 1, shard::Mix(draw))))];
  }
  for (const int n : given) EXPECT_NEAR(n, 1000, 150);
}

TEST(TabPlacement, ASessionIsDrawnIntoItsGroup) {
  for (std::uint32_t group = 0; group < 16; ++group) {
    const std::uint64_t session = SessionInGroup(group, 64, shard::Mix(group + 77));
    EXPECT_EQ(GroupOf(session, 64), group);
    EXPECT_NE(session, SessionInGroup(group, 64, shard::Mix(group + 78)));
  }
}

}  // namespace
}  // namespace lvs::tab
