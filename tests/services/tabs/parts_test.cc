// The parts of a tab load that need no sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "services/tabs/contribution_book.h"
#include "services/tabs/hostility.h"
#include "services/tabs/link_graph.h"
#include "services/tabs/tab_sums.h"

namespace lvs::services {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(TabSums, KindsAreReadFromTheFirstTag) {
  EXPECT_EQ(KindOfBytes(tab::Encode(tab::Hello{})), tab::KindOf(tab::Hello{}));
  EXPECT_EQ(KindOfBytes(tab::Encode(tab::Relay{})), tab::KindOf(tab::Relay{}));
  EXPECT_EQ(KindOfBytes(tab::Encode(tab::BuildNews{})), tab::KindOf(tab::BuildNews{})) << "a tag of two bytes";
  EXPECT_EQ(KindOfBytes(""), 0u);
  EXPECT_EQ(KindOfBytes("\xff\xff\xff"), 0u);
  std::set<std::string_view> names;
  for (std::uint32_t kind = 0; kind < tab::kKinds; ++kind) names.insert(NameOfKind(kind));
  EXPECT_EQ(names.size(), tab::kKinds);
}

TEST(TabSums, WhatHappenedSinceIsTheDifference) {
  TabSums sums;
  sums.to_hub.Add(tab::Encode(tab::Need{1, 1, 1, 0, {}}));
  sums.happened["hub full"] = 2;
  const TabSums before = sums;
  sums.to_hub.Add(tab::Encode(tab::Need{2, 1, 1, 0, {}}));
  sums.happened["hub lost"] = 1;
  sums.tab_seconds += 3;
  const TabSums since = sums.Since(before);
  EXPECT_EQ(since.to_hub.Of({tab::KindOf(tab::Need{})}), 1u);
  EXPECT_EQ(since.to_hub.all(), 1u);
  EXPECT_EQ(since.tab_seconds, 3);
  EXPECT_THAT(since.happened, ElementsAre(Pair("hub lost", 1)));
}

TabLook TabOf(std::uint64_t n, tab::ShardMask mask, std::vector<std::uint64_t> linked) {
  TabLook look{.tab = {0, n}, .mask = mask, .settled = true};
  for (const std::uint64_t far : linked) look.linked.push_back({0, far});
  return look;
}

TEST(LinkGraph, WhoIsOutsideTheLargestPartOfItsShardIsCutOff) {
  // Shard 0: 1-2-3, and 4 alone. Shard 1: 3-4 linked.
  std::vector<TabLook> tabs = {TabOf(1, 0b01, {2}), TabOf(2, 0b01, {1, 3}), TabOf(3, 0b11, {2, 4}),
                               TabOf(4, 0b10, {3})};
  GraphFigures figures = LookAtGraph(tabs, 4);
  EXPECT_EQ(figures.replicas, 5u);
  EXPECT_EQ(figures.cut_off, 0u);
  EXPECT_EQ(figures.empty_shards, 2u);
  EXPECT_EQ(figures.links_a_tab, 1.5);
  tabs.push_back(TabOf(5, 0b11, {}));
  figures = LookAtGraph(tabs, 4);
  EXPECT_EQ(figures.cut_off, 2u);
  EXPECT_EQ(figures.split_shards, 2u);
  EXPECT_EQ(figures.cut_off_with_servers, 2u) << "nobody else has a place";
  tabs[0].served = tabs[4].served = tabs[3].served = true;
  EXPECT_EQ(LookAtGraph(tabs, 4).cut_off_with_servers, 0u);
  tabs[4].settled = false;
  EXPECT_EQ(LookAtGraph(tabs, 4).cut_off, 0u) << "it has just come";
}

TEST(LinkGraph, ALinkThatOnlyOneEndKnowsIsNone) {
  const std::vector<TabLook> tabs = {TabOf(1, 1, {2, 3}), TabOf(2, 1, {1}), TabOf(3, 1, {})};
  EXPECT_EQ(LookAtGraph(tabs, 1).cut_off, 1u);
}

TEST(ContributionBook, AContributionIsEverywhereOnceEachWorkerSaysSo) {
  ContributionBook book(2);
  for (std::uint64_t n = 1; n <= 4; ++n) {
    EXPECT_EQ(book.Begin(), n);
    book.Made({n, 0, {0, n}, 10, 100 + n});
  }
  std::size_t seen = 0;
  std::vector<MadeContribution> fresh;
  book.Fetch(&seen, &fresh);
  EXPECT_EQ(fresh.size(), 4u);
  book.Fetch(&seen, &fresh);
  EXPECT_EQ(fresh.size(), 4u) << "each is fetched once";
  book.Everywhere(1, 105);
  EXPECT_EQ(book.Figures(110, 50, false).everywhere, 0u);
  book.Everywhere(1, 108);
  book.Refused(2, "rate_exceeded");
  book.HeldBy(3, 2);
  ContributionFigures figures = book.Figures(110, 50, false);
  EXPECT_EQ(figures.everywhere, 1u);
  EXPECT_EQ(figures.max_cycles, 7);
  EXPECT_EQ(figures.young, 2u);
  EXPECT_EQ(figures.taken, 3u);
  EXPECT_THAT(figures.refused, ElementsAre(Pair("rate_exceeded", 1)));
  EXPECT_EQ(book.Figures(200, 50, false).open, 2u);
  book.Found(1);
  figures = book.Figures(200, 50, true);
  EXPECT_EQ(figures.lost, 1u) << "two held the third";
  EXPECT_EQ(figures.lost_alone, 1u) << "nobody but its maker held the fourth";
}

tab::Offer SomeOffer() {
  return {.to = {1, 2}, .from = {{3, 4}, 0xf, 1, 0}, .attempt = 1, .urgent = false, .description = "sdp"};
}

std::vector<tab::Command> Spoiled(Hostile kind, const tab::PeerMessage& message) {
  Hostility hostility(kind, 1, 16);
  std::vector<tab::Command> commands = {tab::SendOnLink{1, tab::Encode(message)}, tab::MakeOffer{7}};
  hostility.Spoil(&commands);
  EXPECT_TRUE(std::holds_alternative<tab::MakeOffer>(commands.back())) << "what is no message stays";
  commands.pop_back();
  return commands;
}

TEST(Hostility, EachKindSpoilsWhatItShall) {
  EXPECT_TRUE(Spoiled(Hostile::kSilent, tab::FrameBatch{{"frame"}}).empty());
  EXPECT_EQ(Spoiled(Hostile::kSilent, tab::EchoReply{1}).size(), 1u) << "it answers pings";
  tab::PeerMessage message;
  const auto claims = Spoiled(Hostile::kClaimsAll, SomeOffer());
  ASSERT_EQ(tab::Decode(std::get<tab::SendOnLink>(claims.at(0)).bytes, &message), std::nullopt);
  EXPECT_EQ(std::get<tab::Offer>(message).from.mask, tab::AllShards(16));
  const auto forged = Spoiled(Hostile::kForged, SomeOffer());
  ASSERT_EQ(tab::Decode(std::get<tab::SendOnLink>(forged.at(0)).bytes, &message), std::nullopt);
  EXPECT_NE(std::get<tab::Offer>(message).from.tab, SomeOffer().from.tab);
  int junk = 0;
  Hostility hostility(Hostile::kJunk, 1, 16);
  for (int n = 0; n < 300; ++n) {
    std::vector<tab::Command> commands = {tab::SendToHub{1, tab::Encode(SomeOffer())}};
    hostility.Spoil(&commands);
    junk += std::get<tab::SendToHub>(commands.at(0)).bytes != tab::Encode(SomeOffer()) ? 1 : 0;
  }
  EXPECT_GT(junk, 60);
  EXPECT_LT(junk, 140);
  for (std::size_t kind = 0; kind < kHostileKinds; ++kind) {
    EXPECT_EQ(HostileOf(Name(static_cast<Hostile>(kind))), static_cast<Hostile>(kind));
  }
  EXPECT_EQ(HostileOf("polite"), std::nullopt);
}

}  // namespace
}  // namespace lvs::services
