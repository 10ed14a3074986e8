// Whole tabs with a hub: how they find each other, live without it, and what hostile ends can do.
#include "shard/tab/tab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <string>
#include <vector>

#include "tests/shard/tab/hub_net.h"

namespace lvs::tab {
namespace {

using vaultguard::Refusal;

constexpr std::int64_t kVu = vaultguard::kMicroPerVu;

shard::SlotAmounts Amounts(std::int64_t uvu) { return {uvu, 0}; }

template <class E>
std::vector<E> Told(HubNet* net, std::size_t n) {
  std::vector<E> found;
  for (const TabEvent& event : net->events(n)) {
    if (const auto* const e = std::get_if<E>(&event)) found.push_back(*e);
  }
  return found;
}

// The largest distance between two replicas of a shard, over all tabs.
double Spread(HubNet* net, std::uint32_t s) {
  double worst = 0;
  for (std::size_t c = 2; c < 4; ++c) {
    double low = 1e9, high = -1e9;
    for (std::size_t n = 0; n < net->tabs(); ++n) {
      if (!net->there(n) || net->tab(n).node().shard(s) == nullptr) continue;
      const TabShard& held = *net->tab(n).node().shard(s);
      const shard::Columns& columns = held.host().state().columns();
      for (const TabShard::Replica& replica : held.replicas()) {
        const double at = columns.state[c * columns.stride + replica.row];
        low = std::min(low, at);
        high = std::max(high, at);
      }
    }
    worst = std::max(worst, high - low);
  }
  return worst;
}

std::size_t Ready(const Tab& tab) {
  const auto views = tab.Links();
  return static_cast<std::size_t>(std::count_if(views.begin(), views.end(), [](const LinkView& v) { return v.ready; }));
}

// Holders of the shard that have this total.
std::size_t Holding(HubNet* net, std::uint32_t s, std::int64_t uvu) {
  std::size_t holding = 0;
  for (std::size_t n = 0; n < net->tabs(); ++n) {
    if (!net->there(n) || net->tab(n).node().shard(s) == nullptr) continue;
    holding += net->tab(n).node().FiguresOf(s).total_uvu[0] == uvu ? 1 : 0;
  }
  return holding;
}

std::size_t Holders(HubNet* net, std::uint32_t s) {
  std::size_t holders = 0;
  for (std::size_t n = 0; n < net->tabs(); ++n) {
    holders += net->there(n) && net->tab(n).node().shard(s) != nullptr ? 1 : 0;
  }
  return holders;
}

TEST(Tab, Test3_1TabsFindEachOtherThroughTheHubAgreeAndCount) {
  HubNet net(3);
  net.StartHub(10);
  net.Lose(0.02);
  for (int n = 0; n < 8; ++n) {
    net.Add(net.Config(1 + static_cast<std::uint32_t>(n) % 3));
    net.Run(5);
  }
  net.Run(100);
  for (std::size_t n = 0; n < net.tabs(); ++n) {
    EXPECT_EQ(net.tab(n).hub_state(), HubState::kWelcome) << n;
    EXPECT_GE(Ready(net.tab(n)), 3u) << n;
    EXPECT_EQ(net.tab(n).links().need(), 0u) << n;
    EXPECT_TRUE(net.tab(n).ready()) << n;
    net.tab(n).Scatter();
  }
  const auto s = static_cast<std::uint32_t>(std::countr_zero(net.tab(0).node().mask()));
  EXPECT_EQ(net.tab(0).Contribute(6, kTestShards, Amounts(1)), Refusal::kUnknownShard);
  ASSERT_EQ(net.tab(0).Contribute(7, s, Amounts(5 * kVu)), std::nullopt);
  net.Run(30);
  EXPECT_EQ(Holding(&net, s, 5 * kVu), Holders(&net, s));
  EXPECT_EQ(net.server().host(s).state().ledger().total_uvu(0), 5 * kVu);
  const auto told = Told<Contributed>(&net, 0);
  ASSERT_FALSE(told.empty());
  EXPECT_GT(told.back().told.holders, 1u);
  EXPECT_EQ(told.back().told.refused, std::nullopt);
  net.Run(600);
  for (std::uint32_t shard = 0; shard < kTestShards; ++shard) EXPECT_LE(Spread(&net, shard), 1e-4 * 200) << shard;
}

TEST(Tab, WithoutAHubTabsGoOnFindNewLinksByWalksAndAnEmptyServerGetsEverythingBack) {
  HubNet net(5);
  net.StartHub(5);
  for (int n = 0; n < 10; ++n) net.Add(net.Config(2));
  net.Run(150);
  ASSERT_EQ(net.tab(2).Contribute(1, 2, Amounts(11)), std::nullopt);
  net.Run(30);
  net.KillHub();
  net.Run(50);
  EXPECT_EQ(net.tab(0).hub_state(), HubState::kLost);
  const std::uint64_t opened = net.tab(9).traffic().links_opened;
  for (std::size_t n = 3; n < 7; ++n) net.Kill(n);
  net.Run(600);
  std::uint64_t found = 0;
  for (const std::size_t n : {0, 1, 2, 7, 8, 9}) {
    EXPECT_EQ(net.tab(n).links().need() & ~net.tab(n).links().adopted(), 0u) << n;
    found += net.tab(n).traffic().links_opened;
  }
  EXPECT_GT(found, opened);
  ASSERT_EQ(net.tab(9).Contribute(2, 6, Amounts(31)), std::nullopt);
  net.Run(30);
  EXPECT_EQ(Holding(&net, 6, 31), Holders(&net, 6));
  net.StartHub(5);
  net.Run(200);  // tabs come back over 10 s, and dial once in so long at least
  EXPECT_EQ(net.server().host(2).state().ledger().total_uvu(0), 11);
  EXPECT_EQ(net.server().host(6).state().ledger().total_uvu(0), 31);
  for (const std::size_t n : {0, 1, 2, 7, 8, 9}) EXPECT_EQ(net.tab(n).hub_state(), HubState::kWelcome) << n;
}

TEST(Tab, PairsThatCannotConnectGoThroughTheHubUntilItRefuses) {
  HubNet net(7);
  net.StartHub();
  for (int n = 0; n < 6; ++n) net.Add(net.ConfigOf({0}));
  for (const std::size_t n : {0, 1, 2}) net.Forbid(n);
  net.Run(150);
  for (const std::size_t n : {0, 1, 2}) {
    EXPECT_GE(Ready(net.tab(n)), 3u);
    for (const LinkView& view : net.tab(n).Links()) EXPECT_TRUE(!view.ready || view.relayed) << view.link;
  }
  for (const LinkView& view : net.tab(5).Links()) EXPECT_EQ(view.relayed, view.tab.high <= 3) << view.link;
  ASSERT_EQ(net.tab(1).Contribute(1, 3, Amounts(9)), std::nullopt);
  net.Run(40);
  EXPECT_EQ(Holding(&net, 3, 9), 6u);
  EXPECT_GT(net.relayed(), 0u);
  net.RelayAtMost(0);
  net.Run(100);
  EXPECT_EQ(Ready(net.tab(0)), 0u);
  EXPECT_GT(net.tab(0).refused_by_hub(Reason::kTooFast), 0u);
  const std::uint64_t relayed = net.relayed();
  net.Run(300);
  EXPECT_LT(net.relayed() - relayed, 12u) << "whoever was refused does not go on asking";
  EXPECT_GE(Ready(net.tab(5)), 2u) << "direct ones go on";
}

TEST(Tab, ATabThatCannotConnectAtAllIsRelayedAtOnce) {
  HubNet net(2);
  net.StartHub();
  for (int n = 0; n < 3; ++n) net.Add(net.ConfigOf({0}));
  TabConfig config = net.ConfigOf({0});
  config.direct = false;
  const std::size_t lame = net.Add(std::move(config));
  net.Run(40);
  EXPECT_EQ(Ready(net.tab(lame)), 3u) << "before any deadline";
  net.KillHub();
  net.Run(30);
  EXPECT_EQ(Ready(net.tab(lame)), 0u);
  EXPECT_FALSE(Told<LinkEnded>(&net, lame).at(0).words.empty());
  net.Run(300);
  EXPECT_EQ(Ready(net.tab(0)), 2u);
}

TEST(Tab, TheFirstWelcomeMovesMicroNodesToGroupsThatNobodyHolds) {
  HubNet net(11);
  net.StartHub();
  for (int n = 0; n < 4; ++n) {
    net.Add(net.Config(1));
    net.Run(10);
  }
  for (std::uint32_t s = 0; s < kTestShards; ++s) EXPECT_EQ(Holders(&net, s), 2u) << s;
  for (std::size_t n = 0; n < 4; ++n) {
    EXPECT_EQ(net.tab(n).node().mask(), MaskOf(net.tab(n).sessions(), kTestShards)) << "the cache will find it again";
    EXPECT_EQ(net.directory().Find(net.tab(n).node().card().tab)->mask, net.tab(n).node().mask());
  }
  // A tab that has a ledger to keep stays where it is.
  const std::size_t restored = net.Add(net.ConfigOf({1}));
  for (int n = 0; n < 4; ++n) net.Add(net.ConfigOf({1}));
  net.Run(30);
  EXPECT_EQ(net.tab(restored).node().mask(), MaskOfGroup(1));
}

TEST(Tab, ARestoredTabHasItsLedgerBeforeItHasPeers) {
  HubNet net(4);
  const std::size_t n = net.Add(net.ConfigOf({1}));
  net.tab(n).Restore(5, {{{7, 7}, 1, Amounts(3 * kVu)}});
  net.tab(n).Restore(0, {{{7, 8}, 1, Amounts(kVu)}});  // not held
  net.Run(1);
  EXPECT_EQ(net.tab(n).node().FiguresOf(5).total_uvu[0], 3 * kVu);
  net.Run(60);
  EXPECT_EQ(net.tab(n).node().FiguresOf(5).replicas, 1u) << "alone it starts on what it has";
  net.StartHub(3);
  net.Run(200);
  EXPECT_EQ(net.server().host(5).state().ledger().total_uvu(0), 3 * kVu);
}

TEST(Tab, AHubWithoutPlacesIsLeftForAnotherOneAndTheVisitorIsTold) {
  HubNet net(6);
  net.StartHub(0, /*tabs_max=*/1);
  net.Add(net.Config());
  net.Run(30);
  TabConfig config = net.Config();
  config.hubs = 2;
  const std::size_t second = net.Add(std::move(config));
  net.Run(40);
  std::vector<HubState> states;
  std::vector<std::uint32_t> hubs;
  for (const HubChanged& changed : Told<HubChanged>(&net, second)) {
    states.push_back(changed.state);
    if (changed.state == HubState::kDialling) hubs.push_back(changed.hub);
    if (changed.state == HubState::kFull) {
      EXPECT_EQ(changed.words, Words(Reason::kTabsFull));
      EXPECT_GT(changed.again_s, 0);
    }
  }
  EXPECT_THAT(states, testing::Contains(HubState::kFull));
  ASSERT_GE(hubs.size(), 2u);
  EXPECT_NE(hubs[0], hubs[1]);
}

TEST(Tab, AHubOfAnotherVersionIsAMisfitAndItsBuildIsHeardOf) {
  HubNet net(6);
  net.hub_protocol = kTabProtocol + 1;
  net.StartHub();
  net.Add(net.Config());
  net.Run(30);
  const auto told = Told<HubChanged>(&net, 0);
  EXPECT_EQ(told.back().state, HubState::kMisfit);
  EXPECT_EQ(told.back().words, Words(LinkEnd::kProtocol));
  EXPECT_LE(net.tab(0).traffic().hub_dials, 2u) << "it is not dialled again soon";

  HubNet newer(6);
  newer.hub_build = "2.0";
  newer.StartHub();
  newer.Add(newer.Config());
  newer.Run(20);
  TabConfig off_hub = newer.Config();
  newer.Add(std::move(off_hub));
  newer.Run(60);
  const auto heard = Told<BuildsHeard>(&newer, 0);
  ASSERT_FALSE(heard.empty());
  EXPECT_EQ(heard[0].builds.at(0).build, "2.0");
  EXPECT_EQ(Told<HubChanged>(&newer, 0).back().build, "2.0");
}

TEST(Tab, BuildsAreToldFromTabToTab) {
  HubNet net(8);
  net.StartHub();
  TabConfig newer = net.ConfigOf({0});
  newer.node.build = "2.0";
  net.Add(std::move(newer));
  for (int n = 0; n < 3; ++n) net.Add(net.ConfigOf({0}));
  net.Run(80);
  for (std::size_t n = 1; n < 4; ++n) {
    const auto heard = Told<BuildsHeard>(&net, n);
    ASSERT_EQ(heard.size(), 1u) << "a build is told once";
    EXPECT_EQ(heard[0].builds.at(0).build, "2.0");
  }
  EXPECT_EQ(Told<BuildsHeard>(&net, 0).at(0).builds.at(0).build, "test");
}

TEST(Tab, AVisitorWhoCutsAllLinksComesHome) {
  HubNet net(9);
  net.StartHub(4);
  for (int n = 0; n < 5; ++n) net.Add(net.ConfigOf({0}));
  net.Run(100);
  ASSERT_TRUE(net.tab(2).Cut(5, net.now()));
  EXPECT_EQ(net.tab(2).hub_state(), HubState::kOff);
  net.tab(2).Scatter();
  net.Run(20);
  EXPECT_EQ(Ready(net.tab(2)), 0u);
  EXPECT_FALSE(net.tab(2).Cut(5, net.now())) << "nobody is there that could let it in";
  net.tab(0).Contribute(1, 0, Amounts(8));
  net.Run(130);
  EXPECT_GE(Ready(net.tab(2)), 3u);
  EXPECT_EQ(net.tab(2).node().FiguresOf(0).total_uvu[0], 8);
  net.Run(300);
  EXPECT_LE(Spread(&net, 0), 1e-4 * 200);
}

TEST(Tab, Spec9_3APageThatWasFrozenForAMinuteSendsNoBurstAndIsBackSoon) {
  HubNet net(10);
  net.StartHub(4);
  for (int n = 0; n < 5; ++n) net.Add(net.ConfigOf({0}));
  net.Run(100);
  net.Run(600, /*asleep=*/4, /*frozen=*/true);
  net.tab(0).Contribute(1, 0, Amounts(8));
  net.Run(1);
  std::uint64_t most = net.sent_each_cycle(4).back();
  net.Run(50);
  const auto& sent = net.sent_each_cycle(4);
  for (std::size_t n = sent.size() - 50; n < sent.size(); ++n) most = std::max(most, sent[n]);
  EXPECT_LE(most, 20u) << "what a tab says in a cycle";
  EXPECT_EQ(net.tab(4).node().FiguresOf(0).total_uvu[0], 8);
  EXPECT_EQ(net.tab(4).links().dropped(Reason::kNoRows), 0u) << "a tab that slept cannot tell who was silent";
  EXPECT_GE(Ready(net.tab(4)), 3u);
}

TEST(Tab, Spec9_3ATabWhoseTimerDoesNotFireLivesByWhatItHears) {
  HubNet net(10);
  net.StartHub(4);
  for (int n = 0; n < 5; ++n) net.Add(net.ConfigOf({0}));
  net.Run(100);
  net.tab(4).SetHidden(true);
  const std::uint64_t before = net.tab(4).node().counts().cycles;
  net.Run(600, /*asleep=*/4);
  EXPECT_GT(net.tab(4).node().counts().cycles, before + 40) << "about once a second";
  EXPECT_LT(net.tab(4).node().counts().cycles, before + 65);
  EXPECT_GE(Ready(net.tab(4)), 3u);
  for (std::size_t n = 0; n < 4; ++n) EXPECT_EQ(net.tab(n).links().dropped(Reason::kNoRows), 0u);
}

TEST(Tab, ASatisfiedTabIsSilentAtTheHub) {
  HubNet net(12);
  net.StartHub();
  for (int n = 0; n < 6; ++n) net.Add(net.ConfigOf({0, 1}));
  net.Run(300);
  // Places of the server go round; they cost frames, and these are not counted here.
  std::size_t n = 0;
  while (n < 6 && net.tab(n).served()) ++n;
  const std::uint64_t before = net.directory().taken();
  net.Run(300);
  EXPECT_LE(net.directory().taken() - before, 6u * 8) << "a fresh link a minute, and nothing else";
}

TEST(Tab, MicroNodesThatComeAndGoAreAnnounced) {
  HubNet net(13);
  net.StartHub();
  for (int n = 0; n < 3; ++n) net.Add(net.ConfigOf({0}));
  net.Run(60);
  net.tab(0).SetMicroNodes(12, net.now());
  net.Run(15);
  EXPECT_EQ(net.tab(0).node().mask(), AllShards(kTestShards));
  const TabId id = net.tab(0).node().card().tab;
  EXPECT_EQ(net.directory().Find(id)->mask, AllShards(kTestShards));
  EXPECT_EQ(net.directory().Find(id)->micro_nodes, 12u);
  EXPECT_EQ(net.tab(0).cadence(), 5u);
  net.tab(0).SetMicroNodes(0, net.now());
  net.Run(15);
  EXPECT_EQ(net.tab(0).sessions().size(), 1u) << "a tab without one would hold nothing";
  EXPECT_EQ(net.directory().Find(id)->mask, MaskOfGroup(0));
  EXPECT_EQ(net.tab(0).cadence(), 10u);
}

TEST(Tab, ATabThatLeavesSaysGoodbyeAndIsSilentFromThenOn) {
  HubNet net(14);
  net.StartHub();
  for (int n = 0; n < 4; ++n) net.Add(net.ConfigOf({0}));
  net.Run(80);
  const std::size_t before = Ready(net.tab(1));
  net.tab(0).Leave("closed", net.now());
  net.Run(3);
  EXPECT_EQ(Ready(net.tab(1)), before - 1);
  const auto ended = Told<LinkEnded>(&net, 1);
  ASSERT_FALSE(ended.empty());
  EXPECT_EQ(ended.back().words, "closed");
  net.Run(100);
  EXPECT_EQ(net.sent_each_cycle(0).back(), 0u);
  EXPECT_EQ(net.tab(0).hub_state(), HubState::kOff);
}

TEST(Tab, TheSameCallsGiveTheSameStates) {
  const auto run = [] {
    HubNet net(15);
    net.StartHub(4);
    net.Lose(0.05);
    for (int n = 0; n < 6; ++n) net.Add(net.Config(2));
    net.Run(100);
    net.tab(3).Scatter();
    net.tab(2).Contribute(1, 0, Amounts(4));
    net.Run(100);
    std::uint64_t hash = 0;
    for (std::size_t n = 0; n < 6; ++n) hash = shard::Mix(hash ^ net.tab(n).node().StateHash());
    return hash;
  };
  EXPECT_EQ(run(), run());
}

// ---- Hostile ends ----

TEST(Tab, ReportsOfConnectionsThatWereGivenUpHarmNobody) {
  HubNet net(16);
  net.StartHub();
  for (int n = 0; n < 3; ++n) net.Add(net.ConfigOf({0}));
  net.Run(60);
  Tab& tab = net.tab(0);
  const std::size_t before = Ready(tab);
  for (const std::uint32_t link : {0u, 77u, ~0u}) {
    tab.Described(link, "sdp", net.now());
    tab.LinkOpened(link, net.now());
    tab.LinkReceived(link, "x", net.now());
    tab.LinkBlocked(link, true);
    tab.LinkLost(link, net.now());
  }
  for (const std::uint32_t socket : {0u, 99u}) {
    tab.HubOpened(socket, net.now());
    tab.HubReceived(socket, "x", net.now());
    tab.HubBlocked(socket, true);
    tab.HubClosed(socket, 4008, "", net.now());
  }
  EXPECT_GE(tab.traffic().late_reports, 15u);
  net.Run(20);
  EXPECT_EQ(Ready(tab), before);
  EXPECT_EQ(tab.hub_state(), HubState::kWelcome);
}

TEST(Tab, JunkOnLinksAndAtTheHubIsCountedAndItsSenderDropped) {
  HubNet net(17);
  net.StartHub(4);
  for (int n = 0; n < 6; ++n) net.Add(net.ConfigOf({0}));
  net.Run(80);
  net.Spoil(5, [](std::string bytes) {
    for (char& byte : bytes) byte = static_cast<char>(byte ^ 0x55);
    return bytes;
  });
  net.tab(0).Contribute(1, 0, Amounts(8));
  net.Run(300);
  std::size_t dropped = 0;
  for (std::size_t n = 0; n < 5; ++n) {
    EXPECT_EQ(net.tab(n).node().FiguresOf(0).total_uvu[0], 8) << n;
    EXPECT_GE(Ready(net.tab(n)), 3u) << n;
    for (const LinkView& view : net.tab(n).Links()) dropped += view.tab.high == 6 && view.ready ? 1 : 0;
  }
  EXPECT_EQ(dropped, 0u) << "nobody keeps a link to it";
}

// A tab whose hub says whatever it likes.
class HostileHub : public testing::Test {
 protected:
  HostileHub() : tab_(Config(), now_) {
    tab_.Tick(now_);
    socket_ = std::get<DialHub>(tab_.TakeCommands().at(0)).socket;
    tab_.HubOpened(socket_, now_);
    Hello hello;
    hello.session_low = 4711;
    hello.shards = kTestShards;
    hello.value_slots = hello.free_coordinates = 2;
    hello.period_us = 100'000;
    Say(hello);
    Say(Welcome{.reason = Reason::kNone, .shards = kTestShards});
    tab_.TakeCommands();
  }
  static TabConfig Config() {
    TabConfig config;
    config.node = TestConfig(1);
    config.sessions = {SessionOf(0)};
    return config;
  }
  void Say(const PeerMessage& message) { tab_.HubReceived(socket_, Encode(message), now_); }
  Offer OfferOf(std::uint64_t n) const {
    return {.to = TestConfig(1).session,
            .from = {TestConfig(n).session, MaskOfGroup(0), 1, 0},
            .attempt = 1,
            .description = "sdp"};
  }
  template <class C>
  std::vector<C> Ordered() {
    std::vector<C> found;
    for (Command& command : tab_.TakeCommands()) {
      if (auto* const c = std::get_if<C>(&command)) found.push_back(std::move(*c));
    }
    return found;
  }

  Now now_{1, 10};
  Tab tab_;
  std::uint32_t socket_ = 0;
};

TEST_F(HostileHub, AnotherTabAtTheEndOfAConnectionIsAForgery) {
  Say(OfferOf(2));
  const auto accept = Ordered<AcceptDescription>();
  ASSERT_EQ(accept.size(), 1u);
  tab_.Described(accept[0].link, "answer", now_);
  tab_.LinkOpened(accept[0].link, now_);
  TabNode other(TestConfig(3));
  other.AddMicroNode(SessionOf(0));
  other.LinkUp(0, now_.cycle);
  tab_.LinkReceived(accept[0].link, other.TakeOutgoing().at(0).bytes, now_);
  EXPECT_EQ(tab_.traffic().forged, 1u);
  EXPECT_TRUE(tab_.Links().empty());
  EXPECT_TRUE(tab_.links().links().empty());
  EXPECT_EQ(Ordered<CloseLink>().size(), 1u);
}

TEST_F(HostileHub, AFloodOfOffersOpensNoMoreConnectionsThanThereArePlaces) {
  for (std::uint64_t n = 2; n < 500; ++n) Say(OfferOf(n));
  EXPECT_LE(Ordered<AcceptDescription>().size(), RulesFor(kTestShards).links_max);
  EXPECT_LE(tab_.Links().size(), RulesFor(kTestShards).links_max);
  // None of them connects: all are closed by their deadline, and the relay is asked for none that says nothing.
  for (int n = 0; n < 150; ++n) {
    now_ = {now_.s + 0.1, now_.cycle + 1};
    tab_.Tick(now_);
  }
  EXPECT_TRUE(tab_.Links().empty());
  EXPECT_EQ(tab_.links().places_taken(), 0u);
}

TEST_F(HostileHub, MessagesOfStrangersAndUnaskedOnesChangeNothing) {
  Say(Answer{.to = TestConfig(1).session, .from = {TestConfig(2).session, 15, 1, 0}, .attempt = 1, .description = "x"});
  Say(Sample{.number = 9, .cards = {{TestConfig(2).session, 15, 1, 0}}});
  Say(Relay{.to = TestConfig(1).session, .from = TestConfig(2).session, .message = Encode(EchoRequest{1})});
  Say(Relay{.to = TestConfig(5).session, .from = TestConfig(1).session, .message = "junk"});
  Say(Refused{.reason = Reason::kTooFast, .kind = KindOf(Relay{}), .number = 77, .words = {}});
  Say(Refused{.reason = Reason::kNobody, .kind = KindOf(Offer{}), .number = 77, .words = {}});
  Say(Refused{.reason = Reason::kFull, .kind = 4000, .number = 77, .words = {}});
  EXPECT_EQ(tab_.traffic().stray_relays, 2u);
  EXPECT_TRUE(tab_.Links().empty());
  EXPECT_EQ(tab_.hub_state(), HubState::kWelcome);
  EXPECT_EQ(tab_.links().refused(Reason::kUnasked), 2u);
}

TEST_F(HostileHub, SillyDescriptionsEndTheirAttempt) {
  Say(OfferOf(2));
  const auto accept = Ordered<AcceptDescription>();
  tab_.Described(accept.at(0).link, std::string(kDescriptionBytesMax + 1, 'x'), now_);
  EXPECT_EQ(tab_.traffic().links_relayed, 1u) << "a pair that cannot describe its connection is relayed";
  tab_.Described(accept.at(0).link, "again", now_);
  tab_.LinkOpened(accept.at(0).link, now_);
  EXPECT_EQ(tab_.Links().size(), 1u);
}

TEST_F(HostileHub, ASilentHubIsAskedForASignOfLifeAndThenGivenUp) {
  const auto run = [&](double seconds) {
    for (double until_s = now_.s + seconds; now_.s < until_s;) {
      now_ = {now_.s + 0.5, now_.cycle + 5};
      tab_.Tick(now_);
    }
  };
  run(kHubQuietSeconds + 1);
  std::size_t asked = 0;
  for (const SendToHub& send : Ordered<SendToHub>()) {
    PeerMessage message;
    ASSERT_EQ(Decode(send.bytes, &message), std::nullopt);
    asked += std::holds_alternative<EchoRequest>(message) ? 1 : 0;
  }
  EXPECT_EQ(asked, 1u);
  run(kHubSilenceSeconds - kHubQuietSeconds + 1);
  const auto closed = Ordered<CloseHub>();
  ASSERT_EQ(closed.size(), 1u);
  EXPECT_EQ(closed[0].socket, socket_);
  run(kReturnSeconds + 1);
  EXPECT_EQ(Ordered<DialHub>().size(), 1u);
}

TEST_F(HostileHub, BuildsThatAreMadeUpFillNoMoreThanTheirList) {
  for (int n = 0; n < 100; ++n) Say(BuildNews{{{"made up " + std::to_string(n), 9, 1'000'000}}});
  std::size_t heard = 0;
  for (const TabEvent& event : tab_.TakeEvents()) heard += std::holds_alternative<BuildsHeard>(event) ? 1 : 0;
  EXPECT_EQ(heard, kBuildsMax);
}

// ---- When which hub is dialled ----

TEST(HubDial, TabsOfADeadHubComeBackOverTenSeconds) {
  Draws draws(1);
  std::size_t early = 0;
  for (int n = 0; n < 1000; ++n) {
    HubDial dial(1, 0);
    ASSERT_EQ(dial.Due(0), 0u);
    EXPECT_EQ(dial.Due(0), std::nullopt) << "one at a time";
    dial.Welcomed();
    dial.Ended(HubEnd::kLost, 100, &draws);
    EXPECT_GE(dial.due_s(), 100);
    EXPECT_LE(dial.due_s(), 100 + kReturnSeconds);
    early += dial.Due(105) ? 1 : 0;
  }
  EXPECT_GT(early, 450u);
  EXPECT_LT(early, 550u);
}

TEST(HubDial, OtherHubsAreTriedAtOnceAndThoseWithoutPlacesEverLessOften) {
  Draws draws(1);
  HubDial dial(3, 1);
  double now_s = 0;
  for (const std::uint32_t hub : {1u, 2u, 0u}) {
    ASSERT_EQ(dial.Due(now_s), hub);
    dial.Ended(HubEnd::kFull, now_s, &draws);
    if (hub != 0) {
      EXPECT_LE(dial.due_s(), now_s + kNextHubSeconds);
    }
    now_s = dial.due_s();
  }
  EXPECT_GT(now_s, kFullPauseSeconds / 2);
  double longest = 0;
  for (int n = 0; n < 30; ++n) {
    ASSERT_NE(dial.Due(now_s), std::nullopt);
    dial.Ended(HubEnd::kFull, now_s, &draws);
    longest = std::max(longest, dial.due_s() - now_s);
    now_s = dial.due_s();
  }
  EXPECT_GT(longest, kRefusedPauseSeconds / 2);
  EXPECT_LE(longest, kRefusedPauseSeconds);
}

TEST(HubDial, WithoutHubsNobodyIsDialled) {
  HubDial dial(0, 0);
  EXPECT_EQ(dial.Due(1e9), std::nullopt);
}

}  // namespace
}  // namespace lvs::tab
