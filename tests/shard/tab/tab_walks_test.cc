// Walks: offers that go from link to link.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shard/tab/tab_links.h"
#include "tests/shard/tab/tab_actions.h"

namespace lvs::tab {
namespace {

constexpr ShardMask kHeld = MaskOfGroup(0);

LinkRules OnlyWalks() {
  LinkRules rules = RulesFor(16);
  rules.replace_s = 0;
  rules.foreign = 0;
  return rules;
}

// A walk of tab 50 that has come over `path`, the last of which is linked with the tab under test.
Walk WalkOver(std::vector<TabId> path, ShardMask want = 1) {
  return {CardOf(path.front().low, kHeld), 4, want, false, false, std::move(path), "offer"};
}

TEST(TabWalks, WithoutAHubATabInNeedSendsWalks) {
  TabLinks links(OnlyWalks(), {Id(1), kHeld, 1}, 5);
  OpenLink(&links, CardOf(2, kHeld), 3, 0);
  OpenLink(&links, CardOf(3, MaskOfGroup(1)), 3, 0);
  links.TakeActions();
  links.Tick(1);
  const auto walks = Pick<ToTab<Walk>>(links.TakeActions());
  ASSERT_EQ(walks.size(), 3u);
  for (const auto& walk : walks) {
    EXPECT_EQ(walk.to, Id(2)) << "over a link to a holder";
    EXPECT_EQ(ShardCount(walk.message.want), 1u);
    EXPECT_EQ(walk.message.path, std::vector<TabId>{Id(1)});
  }
  EXPECT_EQ(links.places_taken(), 5u);
  // One is answered, and one refused; the third ends at its deadline.
  links.Replied(Id(2), {CardOf(9, kHeld), walks[0].message.attempt, Reason::kNone, {}, "answer"}, 1.5);
  links.Replied(Id(2), {CardOf(8, kHeld), walks[1].message.attempt, Reason::kFull, {}, {}}, 1.5);
  EXPECT_EQ(Pick<Connect>(links.TakeActions()).at(0).answered, "answer");
  links.Opened(Id(9), 3);
  for (std::uint64_t n : {2, 3, 9}) links.Heard(Id(n), 6);
  EXPECT_EQ(links.links().size(), 3u);
  EXPECT_EQ(links.places_taken(), 4u);
}

TEST(TabWalks, AWalkGoesOnAndItsReplyComesBack) {
  TabLinks links(OnlyWalks(), {Id(1), kHeld, 1}, 5);
  OpenLink(&links, CardOf(2, kHeld), 3, 0);
  OpenLink(&links, CardOf(3, kHeld), 3, 0);
  OpenLink(&links, CardOf(4, MaskOfGroup(1)), 3, 0);
  links.TakeActions();
  links.Walked(Id(2), WalkOver({Id(50), Id(2)}), 1);
  const auto on = Pick<ToTab<Walk>>(links.TakeActions());
  ASSERT_EQ(on.size(), 1u);
  EXPECT_EQ(on[0].to, Id(3)) << "to a holder, and not straight back";
  EXPECT_EQ(on[0].message.path, (std::vector<TabId>{Id(50), Id(2), Id(1)}));
  EXPECT_EQ(on[0].message.description, "offer");
  links.Replied(Id(3), {CardOf(9, kHeld), 4, Reason::kNone, {Id(50), Id(2)}, "answer"}, 2);
  const auto back = Pick<ToTab<WalkReply>>(links.TakeActions());
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].to, Id(2));
  EXPECT_EQ(back[0].message.path, std::vector<TabId>{Id(50)});
  EXPECT_EQ(back[0].message.description, "answer");
}

TEST(TabWalks, AfterFiveStepsAHolderWithAPlaceAnswers) {
  TabLinks links(OnlyWalks(), {Id(1), kHeld, 1}, 5);
  OpenLink(&links, CardOf(2, kHeld), 3, 0);
  OpenLink(&links, CardOf(3, kHeld), 3, 0);
  links.TakeActions();
  links.Walked(Id(2), WalkOver({Id(50), Id(60), Id(61), Id(62), Id(2)}), 1);
  const auto accepted = Pick<AcceptWalk>(links.TakeActions());
  ASSERT_EQ(accepted.size(), 1u);
  EXPECT_EQ(accepted[0].offered, "offer");
  EXPECT_EQ(accepted[0].reply.to, Id(2));
  EXPECT_EQ(accepted[0].reply.message.path, (std::vector<TabId>{Id(50), Id(60), Id(61), Id(62)}));
  links.Opened(Id(50), 2);
  EXPECT_EQ(links.links().size(), 3u);
  // Who does not hold the shard passes it on, up to eight steps, and then says that nobody was found.
  links.TakeActions();
  const ShardMask other = MaskOfGroup(2);
  links.Walked(Id(2), WalkOver({Id(51), Id(60), Id(61), Id(62), Id(2)}, other), 3);
  EXPECT_EQ(Pick<ToTab<Walk>>(links.TakeActions()).size(), 1u);
  links.Walked(Id(2), WalkOver({Id(51), Id(60), Id(61), Id(62), Id(63), Id(64), Id(65), Id(2)}, other), 3);
  EXPECT_EQ(Pick<ToTab<WalkReply>>(links.TakeActions()).at(0).message.reason, Reason::kNobody);
}

TEST(TabWalks, WhatNoHonestTabSendsIsRefusedAndCounted) {
  TabLinks links(OnlyWalks(), {Id(1), kHeld, 1}, 5);
  OpenLink(&links, CardOf(2, kHeld), 3, 0);
  OpenLink(&links, CardOf(3, kHeld), 3, 0);
  links.TakeActions();
  links.Walked(Id(9), WalkOver({Id(50), Id(9)}), 1);
  EXPECT_EQ(links.refused(Reason::kUnknown), 1u);
  links.Walked(Id(2), WalkOver({Id(50), Id(3)}), 1);  // the last hop is another tab's
  links.Walked(Id(2), WalkOver(std::vector<TabId>(kWalkStepsMax + 1, Id(2))), 1);
  Walk walk = WalkOver({Id(50), Id(2)});
  walk.path.front() = Id(51);  // not the origin
  links.Walked(Id(2), walk, 1);
  walk = WalkOver({Id(50), Id(2)});
  walk.description = std::string(kDescriptionBytesMax + 1, 'x');
  links.Walked(Id(2), walk, 1);
  EXPECT_EQ(links.refused(Reason::kTooLarge), 4u);
  walk = WalkOver({Id(50), Id(2)});
  walk.from.mask = AllShards(17);
  links.Walked(Id(2), walk, 1);
  EXPECT_EQ(links.refused(Reason::kClaim), 1u);
  links.Replied(Id(2), {CardOf(9, kHeld), 77, Reason::kNone, {}, {}}, 1);
  EXPECT_EQ(links.refused(Reason::kUnasked), 1u);
  EXPECT_TRUE(links.TakeActions().empty());
  for (int n = 0; n < 5000; ++n) links.Walked(Id(2), WalkOver({Id(50), Id(2)}), 1);
  EXPECT_EQ(links.TakeActions().size(), 60u);
  EXPECT_EQ(links.refused(Reason::kTooFast), 4940u);
  EXPECT_EQ(links.places_taken(), 2u);
}

}  // namespace
}  // namespace lvs::tab
