#include "shard/tab/hub_directory.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/shard/tab/tab_actions.h"

namespace lvs::tab {
namespace {

Card HolderCard(std::uint64_t n, ShardMask mask = MaskOfGroup(0), std::uint32_t links = 0) {
  return {Id(n), mask, 1, links};
}

class HubDirectoryTest : public ::testing::Test {
 protected:
  Reason Join(std::uint64_t n, ShardMask mask = MaskOfGroup(0), std::uint32_t links = 0) {
    return hub_.Announced({HolderCard(n, mask, links)}, 0).reason;
  }
  Reason Ask(std::uint64_t n, ShardMask mask, double now_s = 0, std::vector<TabId> linked = {}) {
    return hub_.Asked(Id(n), {.number = 5, .mask = mask, .linked = std::move(linked)}, now_s, &sample_);
  }
  Reason PassOffer(std::uint64_t from, std::uint64_t to, double now_s = 0, std::uint32_t attempt = 1) {
    return hub_.MayPass(kThisHub, Id(from), Offer{Id(to), HolderCard(from), attempt, false, {}}, now_s, &home_);
  }
  Reason PassAnswer(std::uint64_t from, std::uint64_t to, double now_s = 0, std::uint32_t attempt = 1) {
    return hub_.MayPass(kThisHub, Id(from), Answer{Id(to), HolderCard(from), attempt, Reason::kNone, {}}, now_s,
                        &home_);
  }
  std::set<TabId> Sampled() const {
    std::set<TabId> tabs;
    for (const Card& card : sample_.cards) tabs.insert(card.tab);
    return tabs;
  }

  HubDirectory hub_{{.shards = 16, .links_max = 8, .tabs_max = 100, .remote_max = 5}, 1};
  Sample sample_;
  HubId home_ = 99;
};

TEST_F(HubDirectoryTest, ASampleHasHoldersOfEveryShardThatWasAskedFor) {
  for (std::uint64_t n = 1; n <= 60; ++n) EXPECT_EQ(Join(n, MaskOfGroup(n % 4)), Reason::kNone);
  EXPECT_EQ(Ask(1, MaskOfGroup(2) | MaskOfGroup(3)), Reason::kNone);
  EXPECT_EQ(sample_.number, 5u);
  EXPECT_EQ(sample_.cards.size(), kSampleMax);
  EXPECT_EQ(Sampled().size(), kSampleMax) << "nobody twice";
  ShardMask covered = 0;
  for (const Card& card : sample_.cards) covered |= card.mask;
  EXPECT_EQ(covered, MaskOfGroup(2) | MaskOfGroup(3));
}

TEST_F(HubDirectoryTest, ASampleNamesNeitherTheAskerNorWhoIsLinked) {
  for (std::uint64_t n = 1; n <= 5; ++n) Join(n);
  Ask(1, MaskOfGroup(0), 0, {Id(2), Id(3)});
  EXPECT_EQ(Sampled(), (std::set<TabId>{Id(4), Id(5)}));
}

TEST_F(HubDirectoryTest, FullTabsAreNamedOnlyWhereNoneHasAPlace) {
  Join(1);
  Join(2, MaskOfGroup(0), 8);
  hub_.Asked(Id(1), {.mask = MaskOfGroup(0), .linked = {}}, 0, &sample_);
  EXPECT_EQ(Sampled(), std::set<TabId>{Id(2)});
  Join(3, MaskOfGroup(0), 7);
  hub_.Asked(Id(1), {.mask = MaskOfShard(0), .wanted = 1, .linked = {}}, 0, &sample_);
  EXPECT_EQ(Sampled(), std::set<TabId>{Id(3)});
}

TEST_F(HubDirectoryTest, EverythingIsForgottenWithTheSocket) {
  Join(1);
  Join(2, MaskOfGroup(0) | MaskOfGroup(1));
  EXPECT_EQ(hub_.holders(0), 2u);
  EXPECT_EQ(Join(2, MaskOfGroup(1)), Reason::kNone) << "a change of the mask";
  EXPECT_EQ(hub_.holders(0), 1u);
  EXPECT_EQ(hub_.holders(5), 1u);
  hub_.Forget(Id(1));
  hub_.Forget(Id(2));
  hub_.Forget(Id(2));
  EXPECT_EQ(hub_.tabs(), 0u);
  for (std::uint32_t s = 0; s < 16; ++s) EXPECT_EQ(hub_.holders(s), 0u);
  EXPECT_EQ(Ask(1, 1), Reason::kUnknown);
}

TEST_F(HubDirectoryTest, OffersAndTheirAnswersArePassedOnOnce) {
  Join(1);
  Join(2);
  EXPECT_EQ(PassAnswer(2, 1), Reason::kUnasked);
  EXPECT_EQ(PassOffer(1, 2), Reason::kNone);
  EXPECT_EQ(home_, kThisHub);
  EXPECT_EQ(PassAnswer(2, 1, 0, /*attempt=*/7), Reason::kUnasked);
  EXPECT_EQ(PassAnswer(2, 1), Reason::kNone);
  EXPECT_EQ(PassAnswer(2, 1), Reason::kUnasked);
  EXPECT_EQ(PassOffer(1, 2), Reason::kNone);
  EXPECT_EQ(PassAnswer(2, 1, kAnswerSeconds), Reason::kUnasked) << "too late";
  EXPECT_EQ(hub_.refused(Reason::kUnasked), 4u);
  EXPECT_EQ(PassOffer(1, 9), Reason::kNobody);
  EXPECT_EQ(PassOffer(1, 1), Reason::kSelf);
}

TEST_F(HubDirectoryTest, ClaimsBeyondTheBoundAreRefused) {
  HubDirectory hub({.shards = 64, .links_max = 12}, 1);
  EXPECT_EQ(hub.Announced({HolderCard(1, AllShards(64))}, 0).reason, Reason::kClaim);
  EXPECT_EQ(hub.Announced({HolderCard(1, AllShards(28))}, 0).reason, Reason::kNone);
  EXPECT_EQ(hub.Announced({HolderCard(1, AllShards(29))}, 0).reason, Reason::kClaim);
  EXPECT_EQ(hub.Find(Id(1))->mask, AllShards(28)) << "what was refused changes nothing";
  EXPECT_EQ(hub.refused(Reason::kClaim), 2u);
  EXPECT_EQ(Join(1, MaskOfShard(16)), Reason::kClaim);
  Join(1);
  Join(2);
  // An offer may not claim other shards than the announcement.
  EXPECT_EQ(hub_.MayPass(kThisHub, Id(1), Offer{Id(2), HolderCard(1, AllShards(16)), 1, false, {}}, 0, &home_),
            Reason::kClaim);
  EXPECT_EQ(hub_.MayPass(kThisHub, Id(1), Offer{Id(2), HolderCard(3), 1, false, {}}, 0, &home_), Reason::kUnknown);
  EXPECT_EQ(Ask(1, MaskOfShard(16)), Reason::kClaim);
  EXPECT_EQ(Ask(1, 0), Reason::kClaim);
}

TEST_F(HubDirectoryTest, AFloodIsRefusedAndCounted) {
  Join(1);
  Join(2);
  int taken = 0;
  for (int n = 0; n < 1000; ++n) taken += Ask(1, 1) == Reason::kNone ? 1 : 0;
  EXPECT_EQ(taken, 30);
  EXPECT_EQ(hub_.refused(Reason::kTooFast), 970u);
  for (int n = 0; n < 1000; ++n) taken += Ask(1, 1, 60) == Reason::kNone ? 1 : 0;
  EXPECT_EQ(taken, 60) << "30 a minute after";
  EXPECT_EQ(Ask(2, 1), Reason::kNone) << "another tab is not affected";
  EXPECT_EQ(PassOffer(1, 2, 60), Reason::kTooFast);
  int announced = 0;
  for (int n = 0; n < 1000; ++n) announced += Join(2) == Reason::kNone ? 1 : 0;
  EXPECT_LT(announced, 31);
}

TEST_F(HubDirectoryTest, ManySendersCannotFloodOneReceiver) {
  for (std::uint64_t n = 1; n <= 90; ++n) Join(n);
  std::size_t passed = 0;
  for (std::uint64_t n = 2; n <= 90; ++n) passed += PassOffer(n, 1) == Reason::kNone ? 1 : 0;
  EXPECT_EQ(passed, kUnansweredMax);
  EXPECT_EQ(hub_.refused(Reason::kInboxFull), 89 - kUnansweredMax);
}

TEST_F(HubDirectoryTest, FieldsAndTheDirectoryAreBounded) {
  Join(1);
  Join(2);
  Offer offer{Id(2), HolderCard(1), 1, false, std::string(kDescriptionBytesMax, 'x')};
  EXPECT_EQ(hub_.MayPass(kThisHub, Id(1), offer, 0, &home_), Reason::kNone);
  offer.description += 'x';
  EXPECT_EQ(hub_.MayPass(kThisHub, Id(1), offer, 0, &home_), Reason::kTooLarge);
  EXPECT_EQ(Ask(1, 1, 0, std::vector<TabId>(kLinksKnownMax + 1)), Reason::kTooLarge);
  EXPECT_EQ(hub_.Asked(Id(1), {.mask = 1, .wanted = kSampleMax + 1, .linked = {}}, 0, &sample_), Reason::kTooLarge);
  for (std::uint64_t n = 3; n <= 100; ++n) EXPECT_EQ(Join(n), Reason::kNone);
  EXPECT_EQ(Join(101), Reason::kTabsFull);
  for (std::uint64_t n = 0; n < 5; ++n) EXPECT_EQ(hub_.Learn(3, HolderCard(200 + n), 0), Reason::kNone);
  EXPECT_EQ(hub_.Learn(3, HolderCard(210), 0), Reason::kTabsFull);
}

TEST_F(HubDirectoryTest, TabsOfOtherHubsAreSampledAndReached) {
  Join(1);
  EXPECT_EQ(hub_.Learn(2, HolderCard(7), 0), Reason::kNone);
  EXPECT_EQ(hub_.Learn(3, HolderCard(7), 0), Reason::kIdTaken);
  EXPECT_EQ(Join(7), Reason::kIdTaken);
  Ask(1, MaskOfGroup(0));
  EXPECT_EQ(Sampled(), std::set<TabId>{Id(7)});
  EXPECT_EQ(PassOffer(1, 7), Reason::kNone);
  EXPECT_EQ(home_, 2u);
  // The answer comes back from that hub, and from no other.
  const Answer answer{Id(1), HolderCard(7), 1, Reason::kNone, {}};
  EXPECT_EQ(hub_.MayPass(3, Id(7), answer, 0, &home_), Reason::kUnknown);
  EXPECT_EQ(hub_.MayPass(kThisHub, Id(7), answer, 0, &home_), Reason::kUnknown);
  EXPECT_EQ(hub_.MayPass(2, Id(7), answer, 0, &home_), Reason::kNone);
  EXPECT_EQ(home_, kThisHub);
  // Nothing is passed from one remote hub to another.
  hub_.Learn(3, HolderCard(8), 0);
  EXPECT_EQ(hub_.MayPass(2, Id(7), Offer{Id(8), HolderCard(7), 1, false, {}}, 0, &home_), Reason::kNobody);
  hub_.ForgetHub(2);
  EXPECT_EQ(hub_.remote(), 1u);
  EXPECT_EQ(PassOffer(1, 7), Reason::kNobody);
}

TEST_F(HubDirectoryTest, AdvisesTheGroupsOfFewestHolders) {
  for (std::uint64_t n = 1; n <= 9; ++n) Join(n, AllShards(16) & ~MaskOfGroup(2));
  EXPECT_EQ(hub_.Advise(3), 0b100u);
  EXPECT_EQ(hub_.Advise(0), 0u);
  EXPECT_EQ(hub_.Announced({HolderCard(10)}, 0).scarce_groups, 0b100u);
  EXPECT_EQ(hub_.Announced({HolderCard(10)}, 0).scarce_groups, 0u) << "it has chosen";
  for (std::uint64_t n = 11; n <= 16; ++n) Join(n, MaskOfGroup(2));
  EXPECT_EQ(hub_.Advise(3), 0u) << "enough of each";
}

}  // namespace
}  // namespace lvs::tab
