// Tab nodes that speak to each other and to a server node's shard hosts, over links in memory.
#include "shard/tab/tab_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/shard/generator.h"
#include "tests/shard/tab/tab_net.h"

namespace lvs::tab {
namespace {

using vaultguard::Refusal;

constexpr std::int64_t kVu = vaultguard::kMicroPerVu;

shard::SlotAmounts Amounts(std::int64_t first_uvu, std::int64_t second_uvu = 0) { return {first_uvu, second_uvu}; }

// The largest distance between two replicas' free coordinates in a shard, over all tabs.
double Spread(TabNet* net, std::uint32_t s) {
  double worst = 0;
  for (std::size_t c = 2; c < 4; ++c) {
    double low = 1e9, high = -1e9;
    for (std::size_t n = 0; n < net->tabs(); ++n) {
      if (!net->there(n) || net->tab(n).shard(s) == nullptr) continue;
      const shard::Columns& columns = net->tab(n).shard(s)->host().state().columns();
      for (const TabShard::Replica& replica : net->tab(n).shard(s)->replicas()) {
        const double at = columns.state[c * columns.stride + replica.row];
        low = std::min(low, at);
        high = std::max(high, at);
      }
    }
    worst = std::max(worst, high - low);
  }
  return worst;
}

template <class E>
std::vector<E> EventsOf(TabNet* net, std::size_t n) {
  std::vector<E> found;
  for (const Event& event : net->events(n)) {
    if (const auto* const e = std::get_if<E>(&event)) found.push_back(*e);
  }
  return found;
}

TEST(TabNode, ConfigurationsAreChecked) {
  EXPECT_EQ(WhyInvalid(TestConfig(1)), "");
  TabNodeConfig config = TestConfig(1);
  config.shards = 6;
  EXPECT_NE(WhyInvalid(config), "");
  config = TestConfig(1);
  config.session = {};
  EXPECT_NE(WhyInvalid(config), "");
  config = TestConfig(1);
  config.cadence_cycles = 0;
  EXPECT_NE(WhyInvalid(config), "");
  config = TestConfig(1);
  config.tab_links = 65;
  EXPECT_NE(WhyInvalid(config), "");
}

TEST(TabNode, Arch2_2ATabAloneEntersAfterFourSecondsAndCountsItself) {
  TabNet net;
  net.Add({0});
  net.Run(kAloneCycles);
  EXPECT_EQ(net.tab(0).FiguresOf(0).replicas, 0u);
  EXPECT_EQ(net.tab(0).Contribute(1, 0, Amounts(kVu)), Refusal::kUnknownShard);
  net.Run(5);
  EXPECT_EQ(net.tab(0).FiguresOf(0).replicas, 2u);
  EXPECT_EQ(net.tab(0).mask(), MaskOfGroup(0));
  EXPECT_EQ(net.tab(0).Contribute(1, 0, Amounts(kVu)), std::nullopt);
  net.Run(2);
  const auto told = EventsOf<Contributed>(&net, 0);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].told.holders, 1u) << "only here";
  EXPECT_EQ(net.tab(0).FiguresOf(0).total_uvu[0], kVu);
  EXPECT_FALSE(net.tab(0).FiguresOf(0).compared);
}

TEST(TabNode, Test4_2TabsAgreeAndTotalsAreExactAlthoughMessagesAreLost) {
  TabNet net(3, /*loss=*/0.05);
  for (int n = 0; n < 6; ++n) net.Add({static_cast<std::uint32_t>(n % 2)}, 3);
  net.Add({0, 1});
  net.ConnectAll();
  net.Run(60);
  std::map<std::uint32_t, std::int64_t> total;
  for (std::size_t n = 0; n < net.tabs(); ++n) {
    for (std::uint32_t s = 0; s < kTestShards; ++s) {
      if (net.tab(n).shard(s) == nullptr) continue;
      EXPECT_EQ(net.tab(n).Contribute(n, s, Amounts(static_cast<std::int64_t>(n * 1'000'003 + s))), std::nullopt);
      total[s] += static_cast<std::int64_t>(n * 1'000'003 + s);
    }
    net.tab(n).Scatter();
  }
  net.Run(1);
  std::map<std::uint32_t, double> scattered;
  for (std::uint32_t s = 0; s < kTestShards; ++s) scattered[s] = Spread(&net, s);
  net.Run(700);
  for (std::uint32_t s = 0; s < kTestShards; ++s) {
    // Whoever was scattered has taken a step home by the end of that cycle.
    EXPECT_GT(scattered[s], 10);
    EXPECT_LE(Spread(&net, s), 1e-6 * 200) << s << ": of the range";
    for (std::size_t n = 0; n < net.tabs(); ++n) {
      if (net.tab(n).shard(s) == nullptr) continue;
      const ShardFigures figures = net.tab(n).FiguresOf(s);
      EXPECT_EQ(figures.total_uvu[0], total[s]) << "tab " << n << " shard " << s;
      EXPECT_LT(figures.worst_value_vu, 1e-6);
      EXPECT_EQ(figures.holders, 4u) << "three other tabs and itself";
      EXPECT_TRUE(figures.compared);
    }
  }
  EXPECT_LE(net.largest(), kChannelBytesMax);
}

TEST(TabNode, AContributionSaysHowManyHoldIt) {
  TabNet net;
  for (int n = 0; n < 4; ++n) net.Add({0});
  net.ConnectAll();
  net.Run(60);
  ASSERT_EQ(net.tab(2).Contribute(77, 1, Amounts(5 * kVu, 1)), std::nullopt);
  net.Run(20);
  const auto told = EventsOf<Contributed>(&net, 2);
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.back().told.id, 77u);
  EXPECT_EQ(told.back().told.holders, 4u);
  for (std::size_t n = 0; n < 4; ++n) EXPECT_EQ(net.tab(n).FiguresOf(1).total_uvu, Amounts(5 * kVu, 1));
}

TEST(TabNode, ARefusedContributionDoesNotCountAgainstTheNextOne) {
  TabNet net;
  net.Add({0});
  net.Run(60);
  ASSERT_EQ(net.tab(0).Contribute(1, 0, Amounts(5000 * kVu)), std::nullopt);
  net.Run(1);
  ASSERT_EQ(net.tab(0).Contribute(2, 0, Amounts(3 * kVu)), std::nullopt);
  net.Run(1);
  const auto told = EventsOf<Contributed>(&net, 0);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].told.refused, Refusal::kRateExceeded);
  EXPECT_EQ(told[1].told.refused, std::nullopt);
  EXPECT_EQ(net.tab(0).FiguresOf(0).total_uvu[0], 3 * kVu);
  EXPECT_EQ(net.tab(0).Contribute(3, 0, Amounts(-1)), Refusal::kBadEntry);
  for (std::size_t n = 0; n < kContributionsWaiting; ++n) {
    EXPECT_EQ(net.tab(0).Contribute(10 + n, 0, Amounts(1)), std::nullopt);
  }
  EXPECT_EQ(net.tab(0).Contribute(4, 0, Amounts(1)), Refusal::kTooLarge);
  EXPECT_EQ(net.tab(0).refused().Of(Refusal::kTooLarge), 1u);
}

TEST(TabNode, Spec9_4WhenATabDiesTheOthersGoOnAndANewcomerGetsEverything) {
  TabNet net(5);
  for (int n = 0; n < 4; ++n) net.Add({0});
  net.ConnectAll();
  net.Run(60);
  for (std::size_t n = 0; n < 4; ++n) {
    for (std::uint64_t k = 0; k < 20; ++k) net.tab(n).Contribute(k, 2, Amounts(1001));
  }
  net.Run(30);
  net.Kill(1);
  net.Run(100);
  const std::size_t fresh = net.Add({0});
  net.Connect(fresh, 0);
  net.Connect(fresh, 3);
  net.Run(60);
  for (const std::size_t n : {std::size_t{0}, std::size_t{2}, std::size_t{3}, fresh}) {
    EXPECT_EQ(net.tab(n).FiguresOf(2).total_uvu[0], 80 * 1001) << n;
    EXPECT_EQ(net.tab(n).FiguresOf(2).ledger_digest, net.tab(0).FiguresOf(2).ledger_digest);
  }
  EXPECT_TRUE(net.tab(fresh).FiguresOf(2).compared);
  EXPECT_EQ(net.tab(fresh).FiguresOf(2).replicas, 2u);
  net.Run(600);
  EXPECT_LE(Spread(&net, 2), 1e-6 * 200);
}

// Frames of a DataChannel are small: a large ledger arrives in many parts.
TEST(TabNode, ALargeLedgerIsFetchedInMessagesOfSixteenKilobytes) {
  TabNet net;
  net.Add({0});
  std::vector<shard::LedgerEntry> cache;
  for (std::uint64_t n = 1; n <= 2000; ++n) cache.push_back({{n, shard::Mix(n)}, 1, Amounts(std::int64_t{1} << 29, 7)});
  net.tab(0).Restore(3, cache);
  net.Run(60);
  ASSERT_EQ(net.tab(0).FiguresOf(3).sessions, 2000u);
  net.Add({0});
  net.Connect(0, 1);
  net.Run(150);
  EXPECT_EQ(net.tab(1).FiguresOf(3).sessions, 2000u);
  EXPECT_EQ(net.tab(1).FiguresOf(3).ledger_digest, net.tab(0).FiguresOf(3).ledger_digest);
  EXPECT_GT(net.largest(), 6'000u);
  EXPECT_LE(net.largest(), kChannelBytesMax);
}

TEST(TabNode, Arch2_2ATabAndAServerExchangeFramesAndTheTabIsNoHolderThere) {
  TabNet net(7);
  net.Start(20);
  net.Add({0, 1});
  net.Add({0});
  net.Run(3);
  net.Place(0);
  net.Place(1);
  net.Run(60);
  EXPECT_EQ(net.tab(0).FiguresOf(5).replicas, 2u);
  net.server().Contribute(5, 9 * kVu, /*needed=*/2);
  ASSERT_EQ(net.tab(1).Contribute(1, 2, Amounts(11)), std::nullopt);
  bool answered = false;
  for (int cycle = 0; cycle < 40; ++cycle) {
    net.Run(1);
    for (const hosting::Answer& answer : net.server().report(5).answers) {
      answered = answered || answer.final || answer.nodes > 1;
    }
  }
  EXPECT_FALSE(answered) << "nodes:2 must not count a tab";
  EXPECT_EQ(net.tab(0).FiguresOf(5).total_uvu[0], 9 * kVu);
  EXPECT_EQ(net.tab(0).FiguresOf(2).total_uvu[0], 11) << "through the server";
  EXPECT_EQ(net.server().host(2).state().ledger().total_uvu(0), 11);
  EXPECT_GE(EventsOf<Contributed>(&net, 1).back().told.holders, 2u) << "at a tab the server counts";
  // Both drift together.
  net.tab(0).Scatter();
  net.Run(500);
  const ShardFigures figures = net.tab(0).FiguresOf(5);
  EXPECT_LT(figures.spread, 1e-3);
  EXPECT_LT(figures.worst_value_vu, 1e-6);
}

TEST(TabNode, ValueSurvivesTheDeathOfTheServerAndANewOneGetsItBack) {
  TabNet net(9);
  net.Start(10);
  net.Add({0, 1});
  net.Add({0, 1});
  net.Connect(0, 1);
  net.Run(2);
  net.Place(0);
  net.Run(60);
  net.server().Contribute(6, 3 * kVu + 1, 1);
  net.Run(20);
  net.KillServer();
  net.Run(50);
  ASSERT_EQ(net.tab(1).Contribute(1, 6, Amounts(41)), std::nullopt);
  net.Run(50);
  net.Start(10);
  net.Place(0);
  net.Place(1);
  net.Run(60);
  EXPECT_EQ(net.server().host(6).state().ledger().total_uvu(0), 3 * kVu + 42);
  EXPECT_TRUE(net.server().report(6).compared);
  EXPECT_GT(net.server().host(6).state().replicas(), 0u);
}

TEST(TabNode, WithoutAPlaceNoFramesGoToAServer) {
  TabNet net;
  net.Start(5);
  net.Add({0});
  net.Place(0);
  net.Run(10);
  const std::uint64_t with_place = net.tab(0).counts().frames_sent;
  EXPECT_GT(with_place, 0u);
  net.tab(0).Receive(TabNet::kServerLink, Encode(Place{false, Reason::kReplaced}), net.cycle());
  net.Run(100);
  EXPECT_EQ(net.tab(0).counts().frames_sent, with_place);
  EXPECT_GT(net.tab(0).refused().Of(Refusal::kUnknownShard), 0u) << "nor are any taken";
}

TEST(TabNode, Spec9_3ATabThatSleptSendsNoBurstAndAgreesAgain) {
  TabNet net(11);
  for (int n = 0; n < 4; ++n) net.Add({0});
  net.ConnectAll();
  net.Run(100);
  const std::uint64_t before = net.tab(3).counts().messages_sent;
  net.Run(600, /*asleep=*/3);
  EXPECT_EQ(net.tab(3).counts().messages_sent, before);
  ASSERT_EQ(net.tab(0).Contribute(1, 0, Amounts(12)), std::nullopt);
  net.Run(1);
  EXPECT_LE(net.tab(3).counts().messages_sent, before + 3) << "one message a link";
  EXPECT_EQ(net.tab(3).counts().skipped, 600u);
  EXPECT_FALSE(net.tab(3).Tick(net.cycle())) << "the cycle is over";
  EXPECT_EQ(net.tab(3).counts().late, 1u);
  net.Run(50);
  EXPECT_EQ(net.tab(3).FiguresOf(0).total_uvu[0], 12);
  net.Run(300);
  EXPECT_LE(Spread(&net, 0), 1e-6 * 200);
}

// A throttled timer fires once a second: with a cadence of five cycles it must not miss every turn.
TEST(TabNode, ATabWhoseTimerIsThrottledSpeaksInEachOfItsCycles) {
  TabNet net(2);
  net.Add({0});
  net.Add({0});
  net.Connect(0, 1);
  net.Run(60);
  const std::uint64_t before = net.tab(1).counts().frames_sent;
  for (int n = 0; n < 20; ++n) {
    net.tab(1).Contribute(static_cast<std::uint64_t>(n), 0, Amounts(1));
    net.Run(9, /*asleep=*/1);
    net.Run(1);
  }
  EXPECT_GE(net.tab(1).counts().frames_sent, before + 19);
  net.Run(10);
  EXPECT_EQ(net.tab(0).FiguresOf(0).total_uvu[0], 20);
}

TEST(TabNode, AllShardsOfALinkGoOutTogetherOnceACadence) {
  TabNet net;
  net.Add({0, 1});
  net.Add({0, 1});
  net.Connect(0, 1);
  net.Run(200);
  const TabCounts before = net.tab(0).counts();
  for (std::uint32_t s = 0; s < kTestShards; ++s) net.tab(0).Contribute(s, s, Amounts(1));
  net.Run(5);
  EXPECT_EQ(net.tab(0).counts().messages_sent, before.messages_sent + 1);
  EXPECT_EQ(net.tab(0).counts().frames_sent, before.frames_sent + kTestShards);
}

TEST(TabNode, AdoptedShardsAreFetchedAndBounded) {
  TabNet net;
  net.Add({0});
  net.Add({1});
  net.Connect(0, 1);
  net.Run(60);
  ASSERT_EQ(net.tab(1).Contribute(1, 6, Amounts(5)), std::nullopt);
  EXPECT_FALSE(net.tab(0).Adopt(1)) << "held";
  EXPECT_FALSE(net.tab(0).Adopt(kTestShards));
  EXPECT_TRUE(net.tab(0).Adopt(6));
  EXPECT_EQ(net.tab(0).adopted(), MaskOfShard(6));
  net.Run(60);
  EXPECT_EQ(net.tab(0).FiguresOf(6).total_uvu[0], 5);
  EXPECT_EQ(net.tab(0).FiguresOf(6).replicas, 1u);
  EXPECT_TRUE(net.tab(0).FiguresOf(6).adopted);
  EXPECT_EQ(net.tab(1).FiguresOf(6).holders, 2u);
  // A micro-node of that group takes the replica over.
  net.tab(0).AddMicroNode(SessionOf(1));
  EXPECT_EQ(net.tab(0).adopted(), 0u);
  net.Run(20);
  EXPECT_EQ(net.tab(0).FiguresOf(6).replicas, 1u);
  EXPECT_EQ(net.tab(0).FiguresOf(7).replicas, 1u);
  EXPECT_TRUE(net.tab(0).RemoveMicroNode());
  EXPECT_EQ(net.tab(0).mask(), MaskOfGroup(0));
  TabNodeConfig config = TestConfig(9);
  config.adopted_max = 2;
  TabNode few(config);
  EXPECT_TRUE(few.Adopt(0) && few.Adopt(1));
  EXPECT_FALSE(few.Adopt(2));
}

TEST(TabNode, Spec13HellosThatDoNotFitCloseTheLinkWithWords) {
  struct Case {
    LinkEnd end;
    std::uint32_t link;
    void (*change)(Hello*);
  };
  const Case cases[] = {
      {LinkEnd::kSelf, 0, [](Hello* h) { h->session_high = 1, h->session_low = TestConfig(1).session.low; }},
      {LinkEnd::kNoSession, 0, [](Hello* h) { h->session_high = h->session_low = 0; }},
      {LinkEnd::kProtocol, 0, [](Hello* h) { h->protocol_min = h->protocol_max = 2; }},
      {LinkEnd::kShape, 0, [](Hello* h) { h->shards = 16; }},
      {LinkEnd::kShape, 0, [](Hello* h) { h->free_coordinates = 3; }},
      {LinkEnd::kPeriod, 0, [](Hello* h) { h->period_us = 1; }},
      {LinkEnd::kClaim, 0, [](Hello* h) { h->tab->mask = ~ShardMask{0}; }},
      {LinkEnd::kKind, 0, [](Hello* h) { h->tab.reset(); }},
      {LinkEnd::kKind, TabNet::kServerLink, [](Hello*) {}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(Name(c.end));
    TabNode node(TestConfig(1));
    Hello hello;
    hello.session_low = 5;
    hello.shards = kTestShards;
    hello.value_slots = hello.free_coordinates = 2;
    hello.period_us = 100'000;
    hello.tab = TabHello{.mask = 15};
    c.change(&hello);
    node.LinkUp(c.link, 1);
    node.TakeOutgoing();
    node.Receive(c.link, Encode(hello), 1);
    const auto events = node.TakeEvents();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(std::get<LinkClosed>(events[0]).end, c.end);
    EXPECT_EQ(node.ended(c.end), 1u);
    const auto outgoing = node.TakeOutgoing();
    ASSERT_EQ(outgoing.size(), 1u);
    PeerMessage said;
    ASSERT_EQ(Decode(outgoing[0].bytes, &said), std::nullopt);
    EXPECT_EQ(std::get<Goodbye>(said).reason, Words(c.end)) << "the far end is told why";
  }
  TabNode node(TestConfig(1));
  node.LinkUp(0, 1);
  node.Tick(1 + kHelloCycles + 1);
  EXPECT_EQ(node.ended(LinkEnd::kNoHello), 1u);
  node.LinkUp(TestConfig(1).tab_links, 60);
  node.Receive(TestConfig(1).tab_links, Encode(EchoRequest{1}), 60);
  EXPECT_EQ(node.ended(LinkEnd::kNoHello), 2u) << "a WebSocket loses nothing";
}

TEST(TabNode, AHelloThatADataChannelLosesIsSaidAgain) {
  TabNode one(TestConfig(1)), other(TestConfig(2));
  one.AddMicroNode(SessionOf(0));
  other.AddMicroNode(SessionOf(0));
  one.LinkUp(0, 1);
  other.LinkUp(0, 1);
  std::string hello = one.TakeOutgoing().at(0).bytes;
  other.TakeOutgoing();  // lost
  other.Receive(0, Encode(EchoRequest{1}), 1);
  EXPECT_EQ(other.ended(LinkEnd::kNoHello), 0u) << "the hello may be late";
  EXPECT_EQ(other.counts().unexpected, 1u);
  other.Receive(0, hello, 2);
  EXPECT_TRUE(other.FiguresOfLink(0).ready);
  for (std::uint64_t cycle = 2; cycle < 1 + kHelloAgainCycles; ++cycle) one.Tick(cycle);
  EXPECT_TRUE(one.TakeOutgoing().empty());
  one.Tick(1 + kHelloAgainCycles);
  hello = one.TakeOutgoing().at(0).bytes;
  other.TakeOutgoing();
  other.Receive(0, hello, 1 + kHelloAgainCycles);
  const auto answer = other.TakeOutgoing();
  ASSERT_EQ(answer.size(), 1u) << "whoever says it again has not heard this one";
  one.Receive(0, answer[0].bytes, 1 + kHelloAgainCycles);
  EXPECT_TRUE(one.FiguresOfLink(0).ready);
  other.Receive(0, Encode(EchoRequest{1}), 12);
  other.TakeOutgoing();
  other.Receive(0, hello, 40);
  EXPECT_TRUE(other.TakeOutgoing().empty()) << "the far end has said more since";
  EXPECT_EQ(other.refused().Of(Refusal::kBadEntry), 1u);
}

TEST(TabNode, AMicroNodeThatMovesTakesItsReplicasAlong) {
  TabNode node(TestConfig(1));
  node.AddMicroNode(SessionOf(0));
  node.AddMicroNode(SessionOf(0, 1));
  EXPECT_TRUE(node.MoveMicroNode(0, SessionOf(1)));
  EXPECT_EQ(node.mask(), MaskOfGroup(0) | MaskOfGroup(1));
  EXPECT_TRUE(node.MoveMicroNode(1, SessionOf(1, 1)));
  EXPECT_EQ(node.mask(), MaskOfGroup(1));
  EXPECT_FALSE(node.MoveMicroNode(2, SessionOf(0)));
  for (std::uint64_t cycle = 1; cycle < kAloneCycles + 5; ++cycle) node.Tick(cycle);
  EXPECT_EQ(node.FiguresOf(4).replicas, 2u);
  EXPECT_EQ(node.shard(0), nullptr);
}

TEST(TabNode, MessagesForLinksAndPageArePassedOnAndThoseOfTheWrongKindCounted) {
  TabNet net;
  net.Add({0});
  net.Add({0});
  net.Connect(0, 1);
  net.Run(3);
  net.events(0).clear();
  net.tab(0).Receive(0, Encode(AdoptRequest{3}), net.cycle());
  net.tab(0).Receive(0, Encode(BuildNews{{{"0.3", 3, 9}}}), net.cycle());
  net.tab(0).Receive(0, Encode(Offer{}), net.cycle());
  net.tab(0).Receive(0, Encode(Hello{}), net.cycle());
  net.tab(0).Receive(7, Encode(Goodbye{}), net.cycle());
  net.tab(0).Receive(99, Encode(Goodbye{}), net.cycle());
  net.Run(1);
  const auto heard = EventsOf<Heard>(&net, 0);
  ASSERT_EQ(heard.size(), 2u);
  EXPECT_EQ(std::get<AdoptRequest>(heard[0].message).shard, 3u);
  EXPECT_EQ(net.tab(0).counts().unexpected, 4u);
  net.tab(0).Receive(0, Encode(EchoRequest{5}), net.cycle());
  const auto outgoing = net.tab(0).TakeOutgoing();
  ASSERT_FALSE(outgoing.empty());
  EXPECT_EQ(outgoing.back().bytes, Encode(EchoReply{5}));
  net.tab(0).Receive(0, Encode(Goodbye{"closed"}), net.cycle());
  net.Run(1);
  EXPECT_EQ(EventsOf<LinkClosed>(&net, 0).at(0).words, "closed");
}

// SPEC-10, TEST-7: whatever one end of a link says, the others are not harmed and the cost is bounded.
TEST(TabNode, Spec10JunkAndFloodsAreCountedAndTheLinkIsClosed) {
  TabNet net(13);
  for (int n = 0; n < 3; ++n) net.Add({0});
  net.ConnectAll();
  net.Run(60);
  TabNode& victim = net.tab(0);
  shard::Generator g(1);
  for (int n = 0; n < 3000 && victim.ended(LinkEnd::kRefused) == 0; ++n) {
    std::string junk(g.Below(300), '\0');
    for (char& c : junk) c = static_cast<char>(g.Next());
    victim.Receive(0, junk, net.cycle());
  }
  EXPECT_EQ(victim.ended(LinkEnd::kRefused), 1u);
  EXPECT_GT(victim.refused().Total(), 1000u);
  net.Run(10);
  ASSERT_EQ(net.tab(2).Contribute(1, 0, Amounts(5)), std::nullopt);
  net.Run(20);
  EXPECT_EQ(victim.FiguresOf(0).total_uvu[0], 5) << "over the other link";
}

TEST(TabNode, Spec10FramesBeyondTheAllowanceAreRefused) {
  TabNet net(17);
  net.Add({0});
  net.Add({0});
  net.Connect(0, 1);
  net.Run(60);
  std::vector<shard::Frame> frames(600);
  std::vector<const shard::Frame*> batch;
  for (shard::Frame& frame : frames) {
    frame.shard = 0;
    frame.cycle = net.cycle();
    frame.sender = {9, 9};
    frame.value_slots = 2;
    frame.entries.resize(20);
    batch.push_back(&frame);
    if (batch.size() == 20) {
      net.tab(0).Receive(0, EncodeFrames(batch), net.cycle());
      batch.clear();
    }
  }
  const LinkFigures figures = net.tab(0).FiguresOfLink(0);
  EXPECT_GT(figures.frames_refused, 0u);
  frames.resize(1);
  frames[0].entries.clear();
  // A shard that the far end does not hold, rows that were not offered, and a cycle of the future.
  const auto refused = [&](Refusal why, auto change) {
    shard::Frame frame = frames[0];
    change(&frame);
    const shard::Frame* one = &frame;
    const std::uint64_t before = net.tab(0).refused().Of(why);
    net.Run(5);
    frame.cycle += net.cycle();
    net.tab(0).Receive(0, EncodeFrames({&one, 1}), net.cycle());
    EXPECT_EQ(net.tab(0).refused().Of(why), before + 1) << vaultguard::Name(why);
  };
  frames[0].cycle = 0;
  refused(Refusal::kUnknownShard, [](shard::Frame* f) { f->shard = 7; });
  refused(Refusal::kUnknownShard, [](shard::Frame* f) { f->shard = 70; });
  refused(Refusal::kFutureCycle, [](shard::Frame* f) { f->cycle = 1000; });
  refused(Refusal::kUnknownHaloRow, [](shard::Frame* f) {
    shard::RowWriter rows(f, 1, 4);
    const float diff[4] = {};
    rows.Add(kTabRows, 1, 255, 0, diff);
  });
  refused(Refusal::kWrongDimension, [](shard::Frame* f) { f->value_slots = 3; });
}

TEST(TabNode, WhatNobodyTakesIsBounded) {
  TabNode node(TestConfig(1));
  node.AddMicroNode(SessionOf(0));
  node.LinkUp(0, 1);
  Offer offer;
  offer.description = std::string(8000, 'x');
  for (int n = 0; n < 1000; ++n) node.Say(0, offer);
  for (std::size_t n = 0; n < kEventsMax / 2 + 50; ++n) {
    if (!node.AddMicroNode(SessionOf(1))) break;
    node.RemoveMicroNode();
  }
  std::size_t bytes = 0;
  for (const Outgoing& out : node.TakeOutgoing()) bytes += out.bytes.size();
  EXPECT_LE(bytes, kOutgoingBytesMax);
  EXPECT_LE(node.TakeEvents().size(), kEventsMax);
  EXPECT_GT(node.counts().crowded_out, 500u);
  for (std::uint32_t n = 1; n < kHostedMicroNodesMax; ++n) ASSERT_TRUE(node.AddMicroNode(SessionOf(0, n % 3)));
  EXPECT_FALSE(node.AddMicroNode(SessionOf(0)));
}

TEST(TabNode, ThePageSeesItsMicroNodesAndThoseThatAreHeard) {
  TabNet net(19);
  for (int n = 0; n < 3; ++n) net.Add({0});
  net.ConnectAll();
  net.Run(150);
  std::vector<Point> points;
  net.tab(0).Draw(1000, &points);
  std::set<std::int32_t> links;
  int own = 0;
  for (const Point& point : points) {
    own += point.link == -1;
    links.insert(point.link);
    EXPECT_LT(point.shard, 4u);
    EXPECT_GE(point.at[0], 0);
    EXPECT_LE(point.at[0], 200);
    EXPECT_GE(point.entropy, 0);
  }
  EXPECT_EQ(own, 8) << "two micro-nodes in four shards";
  EXPECT_EQ(links, (std::set<std::int32_t>{-1, 0, 1}));
  EXPECT_EQ(points.size(), 8u + 2 * 2 * 4);
  points.clear();
  net.tab(0).Draw(5, &points);
  EXPECT_EQ(points.size(), 5u);
}

TEST(TabNode, TheSameSeedGivesTheSameBytes) {
  const auto run = [](std::uint64_t seed) {
    TabNet net(seed, 0.1);
    for (int n = 0; n < 4; ++n) net.Add({static_cast<std::uint32_t>(n % 2), 1});
    net.ConnectAll();
    std::uint64_t hash = 0;
    for (int n = 0; n < 100; ++n) {
      if (n == 60) net.tab(1).Contribute(1, 5, Amounts(7));
      net.Run(1);
      for (std::size_t k = 0; k < net.tabs(); ++k) hash = shard::Mix(hash ^ net.tab(k).StateHash());
    }
    return std::pair(hash, net.tab(0).counts().bytes_sent);
  };
  EXPECT_EQ(run(23), run(23));
  EXPECT_NE(run(23).first, run(24).first);
}

}  // namespace
}  // namespace lvs::tab
