#include "shard/tab/tab_links.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/shard/tab/tab_actions.h"

namespace lvs::tab {
namespace {

constexpr ShardMask kOwn = MaskOfGroup(0);

// Tab 1 of a network of 16 shards, with shards 0 to 3.
class TabLinksTest : public ::testing::Test {
 protected:
  std::vector<Action> Tick(double now_s) {
    links_.Tick(now_s);
    return links_.TakeActions();
  }
  void Open(std::uint64_t n, ShardMask mask = kOwn, std::uint32_t cover = 3, double now_s = 0) {
    OpenLink(&links_, CardOf(n, mask), cover, now_s);
    ASSERT_EQ(links_.links().back().tab, Id(n));
  }
  // Answers the last question for cover.
  std::vector<Action> Sample(const std::vector<Action>& asked, std::vector<Card> cards, double now_s) {
    const auto needs = Pick<Need>(asked);
    if (needs.empty()) ADD_FAILURE() << "no question";
    if (!needs.empty()) links_.Sampled({needs.back().number, std::move(cards)}, now_s);
    return links_.TakeActions();
  }
  static LinkRules Rules() {
    LinkRules rules = RulesFor(16);
    rules.replace_s = 0;
    rules.foreign = 0;
    return rules;
  }

  TabLinks links_{Rules(), {Id(1), kOwn, 1}, 5};
};

TEST_F(TabLinksTest, AsksTheHubAndOffersUntilEveryShardIsCovered) {
  links_.HubUp(0);
  const auto asked = Tick(0);
  EXPECT_EQ(Pick<Announce>(asked).size(), 1u);
  ASSERT_EQ(Pick<Need>(asked).size(), 1u);
  EXPECT_EQ(Pick<Need>(asked)[0].mask, kOwn);
  std::vector<Card> cards;
  for (std::uint64_t n = 2; n < 12; ++n) cards.push_back(CardOf(n, kOwn));
  const auto offers = Pick<Offer>(Sample(asked, cards, 0.1));
  ASSERT_EQ(offers.size(), 4u) << "three cover every shard, and four links is the least";
  EXPECT_TRUE(offers[0].urgent) << "nobody was linked yet";
  EXPECT_FALSE(offers[1].urgent);
  EXPECT_EQ(links_.need(), 0u) << "what is under way counts";
  // One refuses, the others open.
  links_.Answered({Id(1), CardOf(offers[0].to.low, kOwn), offers[0].attempt, Reason::kFull, {}}, 0.2);
  for (std::size_t n = 1; n < 4; ++n) {
    links_.Answered({Id(1), CardOf(offers[n].to.low, kOwn), offers[n].attempt, Reason::kNone, "sdp"}, 0.2);
    links_.Opened(offers[n].to, 2);
  }
  const auto connects = Pick<Connect>(links_.TakeActions());
  ASSERT_EQ(connects.size(), 3u);
  EXPECT_EQ(connects[0].answered, "sdp");
  EXPECT_EQ(links_.links().size(), 3u);
  Open(40);
  Tick(2);
  EXPECT_TRUE(Pick<Need>(Tick(10)).empty()) << "a tab whose shards are covered says nothing to the hub";
}

TEST_F(TabLinksTest, TheCandidateThatCoversMostComesFirst) {
  TabLinks links(Rules(), {Id(1), MaskOfGroup(0) | MaskOfGroup(1), 2}, 5);
  links.HubUp(0);
  links.Tick(0);
  const auto asked = Pick<Need>(links.TakeActions());
  links.Sampled(
      {asked.at(0).number, {CardOf(2, 1), CardOf(3, MaskOfGroup(0) | MaskOfGroup(1)), CardOf(4, MaskOfGroup(1))}}, 0);
  const auto offers = Pick<Offer>(links.TakeActions());
  ASSERT_EQ(offers.size(), 3u);
  EXPECT_EQ(offers[0].to, Id(3));
  EXPECT_EQ(offers[1].to, Id(4));
  EXPECT_EQ(offers[2].to, Id(2));
}

TEST_F(TabLinksTest, PausesGrowWhileNobodyIsFound) {
  links_.HubUp(0);
  std::vector<int> asked;
  for (int second = 0; second < 260; ++second) {
    for (const Need& need : Pick<Need>(Tick(second))) {
      asked.push_back(second);
      links_.Sampled({need.number, {}}, second);
    }
  }
  EXPECT_EQ(asked, (std::vector<int>{0, 10, 30, 70, 130, 190, 250}));
  links_.HubDown();
  for (int second = 260; second < 400; ++second) EXPECT_TRUE(Tick(second).empty()) << "alone without a hub: silence";
}

TEST_F(TabLinksTest, AnAttemptEndsAtItsDeadline) {
  links_.HubUp(0);
  const auto offers = Pick<Offer>(Sample(Tick(0), {CardOf(2, kOwn)}, 0));
  ASSERT_EQ(offers.size(), 1u);
  EXPECT_TRUE(Pick<Drop>(Tick(4.9)).empty());
  const auto drops = Pick<Drop>(Tick(5));
  ASSERT_EQ(drops.size(), 1u);
  EXPECT_EQ(drops[0].reason, Reason::kTimeout);
  EXPECT_EQ(drops[0].attempt, offers[0].attempt);
  EXPECT_EQ(links_.places_taken(), 0u);
  links_.Answered({Id(1), CardOf(2, kOwn), offers[0].attempt, Reason::kNone, {}}, 6);
  EXPECT_EQ(links_.refused(Reason::kUnasked), 1u);
  links_.Opened(Id(2), 6);
  EXPECT_EQ(Pick<Drop>(links_.TakeActions()).size(), 1u) << "a connection that comes too late is closed";
  EXPECT_TRUE(links_.links().empty());
}

TEST_F(TabLinksTest, AFullTabMakesRoomForWhoIsInNeedOnly) {
  for (std::uint64_t n = 2; n < 10; ++n) Open(n, kOwn, n == 5 ? 7 : 2);
  links_.TakeActions();
  links_.Offered({Id(1), CardOf(20, kOwn), 1, false, {}}, 0);
  EXPECT_EQ(Pick<Answer>(links_.TakeActions()).at(0).reason, Reason::kFull);
  links_.Offered({Id(1), CardOf(20, kOwn), 2, true, "sdp"}, 0);
  const auto actions = links_.TakeActions();
  EXPECT_EQ(Pick<Drop>(actions).at(0).tab, Id(5)) << "the one whose far end misses it least";
  EXPECT_EQ(Pick<Drop>(actions).at(0).reason, Reason::kRedundant);
  EXPECT_EQ(Pick<AcceptOffer>(actions).at(0).offered, "sdp");
  links_.Offered({Id(1), CardOf(21, kOwn), 1, true, {}}, 0);
  EXPECT_EQ(Pick<Answer>(links_.TakeActions()).at(0).reason, Reason::kFull) << "every other far end needs its link";
}

TEST_F(TabLinksTest, OfTwoCrossingOffersTheOneOfTheSmallerSessionStands) {
  links_.HubUp(0);
  ASSERT_EQ(Pick<Offer>(Sample(Tick(0), {CardOf(2, kOwn)}, 0)).size(), 1u);
  links_.Offered({Id(1), CardOf(2, kOwn), 9, false, {}}, 0);
  EXPECT_EQ(Pick<Answer>(links_.TakeActions()).at(0).reason, Reason::kCrossing);
  TabLinks other(Rules(), {Id(2), kOwn, 1}, 5);
  other.HubUp(0);
  other.Tick(0);
  other.Sampled({Pick<Need>(other.TakeActions()).at(0).number, {CardOf(1, kOwn)}}, 0);
  other.TakeActions();
  other.Offered({Id(2), CardOf(1, kOwn), 9, false, {}}, 0);
  const auto actions = other.TakeActions();
  EXPECT_EQ(Pick<Drop>(actions).at(0).reason, Reason::kCrossing);
  EXPECT_EQ(Pick<AcceptOffer>(actions).size(), 1u);
  EXPECT_EQ(other.places_taken(), 1u);
}

TEST_F(TabLinksTest, SilenceClosesALink) {
  Open(2);
  Tick(15);
  EXPECT_EQ(links_.links().size(), 1u);
  links_.Heard(Id(2), 15);
  Tick(30);
  EXPECT_EQ(links_.links().size(), 1u);
  const auto drops = Pick<Drop>(Tick(30.1));
  ASSERT_EQ(drops.size(), 1u);
  EXPECT_EQ(drops[0].reason, Reason::kSilent);
  EXPECT_FALSE(Words(drops[0].reason).empty());
}

TEST_F(TabLinksTest, WhoClaimsShardsAndSendsNoRowsIsDroppedAndNotAskedAgain) {
  links_.Ready();
  links_.HubUp(0);
  Open(2);
  Open(3);
  Open(4, MaskOfGroup(1));  // no common shard, so no rows
  for (int second = 1; second <= 40; ++second) {
    for (std::uint64_t n : {2, 4}) links_.Heard(Id(n), second);
    links_.HeardRows(Id(3), second);
    Tick(second);
  }
  ASSERT_EQ(links_.links().size(), 2u);
  EXPECT_EQ(links_.dropped(Reason::kNoRows), 1u);
  links_.Offered({Id(1), CardOf(2, kOwn), 1, true, {}}, 41);
  EXPECT_EQ(Pick<Answer>(links_.TakeActions()).at(0).reason, Reason::kBanned);
}

TEST_F(TabLinksTest, LooksForForeignLinksOnceItsShardsAreCovered) {
  LinkRules rules = Rules();
  rules.foreign = 2;
  TabLinks links(rules, {Id(1), kOwn, 1}, 5);
  links.HubUp(0);
  for (std::uint64_t n = 2; n < 6; ++n) OpenLink(&links, CardOf(n, kOwn), 3, 0);
  links.TakeActions();
  links.Tick(1);
  const auto needs = Pick<Need>(links.TakeActions());
  ASSERT_EQ(needs.size(), 1u);
  EXPECT_EQ(needs[0].mask, AllShards(16) & ~kOwn);
  links.Sampled({needs[0].number, {CardOf(10, MaskOfGroup(2)), CardOf(11, MaskOfGroup(1))}}, 1);
  EXPECT_EQ(Pick<Offer>(links.TakeActions()).size(), 1u) << "one at a time";
  links.Tick(5.5);
  EXPECT_TRUE(Pick<Need>(links.TakeActions()).empty());
  links.Tick(6.5);
  EXPECT_EQ(Pick<Need>(links.TakeActions()).size(), 1u);
}

TEST_F(TabLinksTest, AShardWithFewHoldersIsOfferedForAdoption) {
  links_.Ready();
  Open(2, kOwn, 1);
  Open(3, MaskOfGroup(1), 5);
  std::size_t requests = 0;
  for (int second = 1; second <= 100; ++second) {
    for (std::uint64_t n : {2, 3}) links_.HeardRows(Id(n), second);
    for (const auto& request : Pick<ToTab<AdoptRequest>>(Tick(second))) {
      EXPECT_EQ(request.to, Id(3));
      EXPECT_LT(request.message.shard, 4u);
      ++requests;
    }
  }
  EXPECT_NEAR(static_cast<double>(requests), 0.3 * 4 * 100, 40) << "0.3 a second and shard";
  // Where the other holder sees enough holders, nothing is asked.
  Ping ping{CardOf(2, kOwn), false, {}};
  for (int n = 0; n < 2; ++n) ping.cover.Add(kOwn);
  links_.Pinged(Id(2), ping, 101);
  EXPECT_TRUE(Pick<ToTab<AdoptRequest>>(Tick(101)).empty());
}

TEST_F(TabLinksTest, AdoptsOnlyWhatTheAskerHoldsAndWithinItsLimits) {
  TabLinks links(RulesFor(64), {Id(1), MaskOfGroup(0), 1}, 5);
  OpenLink(&links, CardOf(2, AllShards(64) & ~MaskOfGroup(15)), 1, 0);
  links.TakeActions();
  links.AskedToAdopt(Id(2), {4}, 0);
  EXPECT_EQ(Pick<Adopt>(links.TakeActions()).at(0).shard, 4u);
  EXPECT_EQ(links.adopted(), MaskOfShard(4));
  links.AskedToAdopt(Id(2), {4}, 0);
  links.AskedToAdopt(Id(2), {63}, 0);   // not the asker's
  links.AskedToAdopt(Id(2), {200}, 0);  // no shard
  links.AskedToAdopt(Id(9), {5}, 0);    // not linked
  EXPECT_TRUE(Pick<Adopt>(links.TakeActions()).empty());
  EXPECT_EQ(links.refused(Reason::kClaim), 2u);
  EXPECT_EQ(links.refused(Reason::kUnknown), 1u);
  for (std::uint32_t s = 0; s < 60; ++s) links.AskedToAdopt(Id(2), {s}, 0);
  EXPECT_EQ(ShardCount(links.adopted()), 12u) << "a dozen at once";
  EXPECT_GT(links.refused(Reason::kTooFast), 0u);
  for (int second = 0; second < 200; ++second)
    links.AskedToAdopt(Id(2), {static_cast<std::uint32_t>(second % 60)}, second);
  EXPECT_EQ(ShardCount(links.adopted()), kAdoptedMax);
  EXPECT_TRUE(ClaimFits(links.mask(), 1, 64));
  // With a hub the limit is lower.
  TabLinks with_hub(RulesFor(64), {Id(1), MaskOfGroup(0), 1}, 5);
  with_hub.HubUp(0);
  OpenLink(&with_hub, CardOf(2, AllShards(64)), 1, 0);
  for (int second = 0; second < 200; ++second)
    with_hub.AskedToAdopt(Id(2), {static_cast<std::uint32_t>(second % 64)}, second);
  EXPECT_EQ(ShardCount(with_hub.adopted()), 8u);
}

TEST_F(TabLinksTest, ARandomLinkGivesWayToAFreshOne) {
  LinkRules rules = Rules();
  rules.replace_s = 60;
  TabLinks links(rules, {Id(1), kOwn, 1}, 5);
  links.HubUp(0);
  for (std::uint64_t n = 2; n < 10; ++n) OpenLink(&links, CardOf(n, kOwn), 3, 0);
  links.TakeActions();
  std::uint32_t attempt = 0;
  double now_s = 1;
  for (; now_s < 95 && attempt == 0; ++now_s) {
    for (std::uint64_t n = 2; n < 10; ++n) links.HeardRows(Id(n), now_s);
    links.Tick(now_s);
    for (const Need& need : Pick<Need>(links.TakeActions())) {
      links.Sampled({need.number, {CardOf(30, kOwn)}}, now_s);
      for (const Offer& offer : Pick<Offer>(links.TakeActions())) attempt = offer.attempt;
    }
  }
  ASSERT_NE(attempt, 0u);
  links.Answered({Id(1), CardOf(30, kOwn), attempt, Reason::kNone, {}}, now_s);
  links.Opened(Id(30), now_s);
  EXPECT_EQ(links.links().size(), 8u);
  EXPECT_EQ(links.links().back().tab, Id(30));
  EXPECT_EQ(links.dropped(Reason::kReplaced), 1u);
}

TEST_F(TabLinksTest, FloodsAndFalseClaimsAreRefusedAndCounted) {
  TabLinks links(RulesFor(64), {Id(1), MaskOfGroup(0), 1}, 5);
  links.Offered({Id(1), {Id(2), AllShards(29), 1, 0}, 1, false, {}}, 0);
  EXPECT_EQ(links.refused(Reason::kClaim), 1u);
  links.Offered({Id(1), CardOf(2, 1), 1, false, std::string(kDescriptionBytesMax + 1, 'x')}, 0);
  EXPECT_EQ(links.refused(Reason::kTooLarge), 1u);
  links.Offered({Id(1), CardOf(1, 1), 1, false, {}}, 0);
  EXPECT_EQ(links.refused(Reason::kSelf), 1u);
  links.Offered({Id(7), CardOf(2, 1), 1, false, {}}, 0);
  EXPECT_EQ(links.refused(Reason::kUnknown), 1u);
  links.TakeActions();
  for (std::uint64_t n = 0; n < 5000; ++n) links.Offered({Id(1), CardOf(100 + n, 1), 1, true, {}}, 0);
  EXPECT_EQ(links.places_taken(), 12u);
  EXPECT_LT(links.TakeActions().size(), 50u) << "most are not even answered";
  EXPECT_GT(links.refused(Reason::kTooFast), 4900u);
  // Samples that nobody asked for.
  links.Sampled({0, {CardOf(50, 1)}}, 0);
  links.Sampled({77, {CardOf(50, 1)}}, 0);
  EXPECT_EQ(links.refused(Reason::kUnasked), 2u);
  // A link that later claims too much ends.
  TabLinks linked(RulesFor(64), {Id(1), MaskOfGroup(0), 1}, 5);
  OpenLink(&linked, CardOf(2, 1), 1, 0);
  linked.Pinged(Id(2), {{Id(2), AllShards(64), 1, 0}, false, {}}, 1);
  EXPECT_TRUE(linked.links().empty());
  EXPECT_EQ(linked.dropped(Reason::kClaim), 1u);
}

TEST_F(TabLinksTest, SaysGoodbyeOnAllLinks) {
  Open(2);
  Open(3);
  links_.TakeActions();
  links_.Leave();
  const auto drops = Pick<Drop>(links_.TakeActions());
  ASSERT_EQ(drops.size(), 2u);
  EXPECT_EQ(drops[0].reason, Reason::kGoodbye);
  EXPECT_EQ(links_.places_taken(), 0u);
}

TEST_F(TabLinksTest, ATabThatSleptDoesTheWorkOfOneTick) {
  links_.HubUp(0);
  Open(2);
  Tick(1);
  const auto late = Tick(3601);
  EXPECT_EQ(Pick<Need>(late).size(), 1u);
  EXPECT_EQ(Pick<ToTab<Ping>>(late).size(), 0u) << "its link fell silent long ago";
  EXPECT_LE(late.size(), 5u) << "the link and three walks have ended";
}

}  // namespace
}  // namespace lvs::tab
