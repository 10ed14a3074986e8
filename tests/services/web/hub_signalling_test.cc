// Signalling between tabs, within a hub and between two, and what floods and forgers get from it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/base/log.h"
#include "services/web/build_gossip.h"
#include "tests/services/web/hub_side.h"

namespace lvs::services {
namespace {

using tab::MaskOfGroup;
using tab::Reason;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

tab::Need NeedOf(tab::ShardMask mask, std::uint32_t number = 1) {
  tab::Need need;
  need.number = number;
  need.mask = mask;
  return need;
}

tab::Offer OfferTo(const HubSide::Tab& to, const HubSide::Tab& from, std::uint32_t attempt) {
  return {to.session, HubSide::CardOf(from), attempt, false, "an offer"};
}

tab::Answer AnswerTo(const tab::TabId& to, const HubSide::Tab& from, std::uint32_t attempt,
                     Reason reason = Reason::kNone) {
  return {to, HubSide::CardOf(from), attempt, reason, reason == Reason::kNone ? "an answer" : ""};
}

class HubSignallingTest : public ::testing::Test {
 protected:
  HubSignallingTest() { ConfigureLog(v1::ERROR, 20); }

  Signalling::Counts Counts() { return side_.hub->Figures().signalling; }

  HubSide side_{TestHubOptions(1)};
};

// ---- Within a hub --------------------------------------------------------------------------------------------------

TEST_F(HubSignallingTest, Test4_1AnnouncedTabsAreWelcomedWithScarceGroupsAndFound) {
  side_.Start();
  HubSide::Tab* const first = side_.Greeted(7);
  side_.Announce(first, MaskOfGroup(0));
  const auto welcome = side_.Heard<tab::Welcome>(first);
  ASSERT_TRUE(welcome.has_value());
  EXPECT_EQ(welcome->reason, Reason::kNone);
  EXPECT_EQ(welcome->shards, 8u);
  EXPECT_NE(welcome->scarce_groups, 0u);
  HubSide::Tab* const second = side_.Listed(8, MaskOfGroup(0));
  side_.Tell(second, NeedOf(MaskOfGroup(0), 42));
  const auto sample = side_.Heard<tab::Sample>(second);
  ASSERT_TRUE(sample.has_value());
  EXPECT_EQ(sample->number, 42u);
  ASSERT_THAT(sample->cards, SizeIs(1));
  EXPECT_EQ(sample->cards[0].tab, first->session);
  EXPECT_EQ(sample->cards[0].mask, MaskOfGroup(0));
  side_.End(first);
  side_.Tell(second, NeedOf(MaskOfGroup(0)));
  EXPECT_THAT(side_.Heard<tab::Sample>(second)->cards, IsEmpty()) << "nothing is remembered of a tab that has gone";
  const HubFigures figures = side_.hub->Figures();
  EXPECT_EQ(figures.listed, 1u);
  EXPECT_EQ(figures.micro_nodes, 1u);
  EXPECT_EQ(figures.signalling.samples, 2u);
}

TEST_F(HubSignallingTest, AnnouncementsAreBoundedByWhatATabCanHold) {
  side_.options.shards = 64;
  side_.options.places = 16;
  side_.Start();
  HubSide::Tab* const liar = side_.Greeted(7);
  side_.Announce(liar, ~tab::ShardMask{0});
  EXPECT_EQ(side_.Heard<tab::Welcome>(liar)->reason, Reason::kClaim);
  side_.Tell(liar, NeedOf(MaskOfGroup(0)));
  EXPECT_EQ(side_.Heard<tab::Refused>(liar)->reason, Reason::kUnknown) << "it is not listed";
  EXPECT_EQ(side_.Refused(Reason::kClaim), 1u);
}

TEST_F(HubSignallingTest, Test4_1OffersAndAnswersPassInTheNameOfTheSocket) {
  side_.Start();
  HubSide::Tab* const a = side_.Listed(7, MaskOfGroup(0));
  HubSide::Tab* const b = side_.Listed(8, MaskOfGroup(1));
  HubSide::Tab* const c = side_.Listed(9, MaskOfGroup(1));
  side_.Tell(a, OfferTo(*b, *a, 3));
  const auto offer = side_.Heard<tab::Offer>(b);
  ASSERT_TRUE(offer.has_value());
  EXPECT_EQ(offer->from.tab, a->session);
  EXPECT_EQ(offer->attempt, 3u);
  EXPECT_EQ(offer->description, "an offer");
  EXPECT_EQ(Counts().forged, 0u);

  side_.Tell(c, AnswerTo(a->session, *b, 3));
  EXPECT_FALSE(side_.Heard<tab::Answer>(a).has_value()) << "c was not asked";
  EXPECT_EQ(side_.Heard<tab::Refused>(c)->reason, Reason::kUnasked);
  EXPECT_EQ(Counts().forged, 1u);

  side_.Tell(b, AnswerTo(a->session, *b, 3));
  const auto answer = side_.Heard<tab::Answer>(a);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->from.tab, b->session);
  EXPECT_EQ(answer->from.mask, MaskOfGroup(1));
  EXPECT_EQ(answer->description, "an answer");
  side_.Tell(b, AnswerTo(a->session, *b, 3));
  EXPECT_EQ(side_.Heard<tab::Refused>(b)->reason, Reason::kUnasked) << "an offer is answered once";

  side_.Tell(c, OfferTo(*b, *a, 4));
  EXPECT_EQ(side_.Heard<tab::Offer>(b)->from.tab, c->session) << "whatever name it writes";
  tab::Offer claims_more = OfferTo(*b, *c, 5);
  claims_more.from.mask = tab::AllShards(8);
  side_.Tell(c, claims_more);
  EXPECT_EQ(side_.Heard<tab::Offer>(b)->from.mask, MaskOfGroup(1)) << "and whatever shards";
  EXPECT_EQ(Counts().forged, 2u);
  EXPECT_EQ(Counts().offers, 3u);
  EXPECT_EQ(Counts().answers, 1u);
}

TEST_F(HubSignallingTest, RefusedOffersAreAnswered) {
  side_.Start();
  HubSide::Tab* const a = side_.Listed(7, MaskOfGroup(0));
  HubSide::Tab* const b = side_.Listed(8, MaskOfGroup(0));
  HubSide::Tab* const unlisted = side_.Greeted(9);
  side_.Tell(a, OfferTo(*unlisted, *a, 1));
  auto answer = side_.Heard<tab::Answer>(a);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->reason, Reason::kNobody);
  EXPECT_EQ(answer->from.tab, unlisted->session);
  EXPECT_EQ(answer->attempt, 1u);
  EXPECT_FALSE(side_.Heard<tab::Refused>(a).has_value()) << "no fault of the asker";
  side_.Tell(unlisted, OfferTo(*b, *unlisted, 2));
  EXPECT_EQ(side_.Heard<tab::Answer>(unlisted)->reason, Reason::kUnknown);
  EXPECT_EQ(side_.Heard<tab::Refused>(unlisted)->words, tab::Words(Reason::kUnknown));
  side_.Tell(a, OfferTo(*a, *a, 3));
  EXPECT_EQ(side_.Heard<tab::Answer>(a)->reason, Reason::kSelf);
  // An answer for somebody who has gone.
  side_.Tell(a, OfferTo(*b, *a, 4));
  side_.End(a);
  side_.Tell(b, AnswerTo(a->session, *b, 4));
  EXPECT_EQ(side_.Heard<tab::Refused>(b)->reason, Reason::kNobody);
  EXPECT_EQ(side_.Refused(Reason::kNobody), 2u);
}

TEST_F(HubSignallingTest, FieldsBeyondTheirBoundsAreRefusedWithWords) {
  side_.Start();
  HubSide::Tab* const a = side_.Listed(7, MaskOfGroup(0));
  HubSide::Tab* const b = side_.Listed(8, MaskOfGroup(0));
  tab::Offer offer = OfferTo(*b, *a, 1);
  offer.description.assign(tab::kDescriptionBytesMax + 1, 'x');
  side_.Tell(a, offer);
  EXPECT_FALSE(side_.Heard<tab::Offer>(b).has_value());
  const auto refused = side_.Heard<tab::Refused>(a);
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->reason, Reason::kTooLarge);
  EXPECT_EQ(refused->kind, static_cast<std::uint32_t>(v1::PeerMessage::kOffer));
  EXPECT_THAT(refused->words, HasSubstr("this offer is above its limit"));
  tab::Need need = NeedOf(MaskOfGroup(0));
  need.linked.resize(tab::kLinksKnownMax + 1);
  side_.Tell(a, need);
  EXPECT_EQ(side_.Heard<tab::Refused>(a)->kind, static_cast<std::uint32_t>(v1::PeerMessage::kNeed));
  side_.Tell(a, NeedOf(tab::MaskOfShard(9), 5));
  EXPECT_EQ(side_.Heard<tab::Refused>(a)->reason, Reason::kClaim) << "a shard that is none";
  EXPECT_EQ(side_.hub->Figures().refused_input.Of(vaultguard::Refusal::kTooLarge), 2u);
}

TEST_F(HubSignallingTest, FloodsMeetTheBudgetAndAreToldWhenToTryAgain) {
  side_.Start();
  HubSide::Tab* const flood = side_.Listed(7, MaskOfGroup(0));
  HubSide::Tab* const honest = side_.Listed(8, MaskOfGroup(0));
  for (int n = 0; n < 100; ++n) side_.Tell(flood, NeedOf(MaskOfGroup(0), static_cast<std::uint32_t>(n)));
  const auto refused = side_.Heard<tab::Refused>(flood);
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->reason, Reason::kTooFast);
  EXPECT_EQ(refused->kind, static_cast<std::uint32_t>(v1::PeerMessage::kNeed));
  EXPECT_EQ(refused->number, 99u);
  EXPECT_EQ(refused->retry_ms, 2000u);
  EXPECT_EQ(Counts().samples, tab::kTabBudget.burst);
  side_.Tell(flood, OfferTo(*honest, *flood, 1));
  EXPECT_EQ(side_.Heard<tab::Answer>(flood)->reason, Reason::kTooFast);
  side_.Announce(flood, MaskOfGroup(1));
  EXPECT_FALSE(side_.Heard<tab::Welcome>(flood).has_value());
  EXPECT_EQ(side_.Heard<tab::Refused>(flood)->kind, static_cast<std::uint32_t>(v1::PeerMessage::kAnnounce));
  side_.Tell(honest, NeedOf(MaskOfGroup(0)));
  EXPECT_THAT(side_.Heard<tab::Sample>(honest)->cards, SizeIs(1)) << "the others are served, and it is still listed";
}

TEST_F(HubSignallingTest, AnInboxHoldsFewUnansweredOffers) {
  side_.Start();
  HubSide::Tab* const target = side_.Listed(7, MaskOfGroup(0));
  std::vector<HubSide::Tab*> tabs;
  for (std::uint64_t n = 0; n <= tab::kUnansweredMax; ++n) tabs.push_back(side_.Listed(100 + n, MaskOfGroup(0)));
  for (HubSide::Tab* tab : tabs) side_.Tell(tab, OfferTo(*target, *tab, 1));
  EXPECT_EQ(side_.Heard<tab::Answer>(tabs.back())->reason, Reason::kInboxFull);
  EXPECT_EQ(side_.Refused(Reason::kInboxFull), 1u);
  side_.Tick(tab::kAnswerSeconds);
  side_.Tell(tabs.back(), OfferTo(*target, *tabs.back(), 2));
  EXPECT_FALSE(side_.Heard<tab::Answer>(tabs.back()).has_value());
}

// ---- Relay ---------------------------------------------------------------------------------------------------------

class HubRelayTest : public HubSignallingTest {
 protected:
  void Link(HubSide::Tab* a, HubSide::Tab* b) {
    side_.Tell(a, OfferTo(*b, *a, 1));
    side_.Tell(b, AnswerTo(a->session, *b, 1));
    side_.Heard<tab::Answer>(a);
  }
  // Whether the message was passed on.
  bool Relays(HubSide::Tab* from, HubSide::Tab* to, std::size_t bytes) {
    side_.Tell(from, tab::Relay{to->session, from->session, std::string(bytes, 'x')});
    const auto heard = side_.Heard<tab::Relay>(to);
    if (heard) {
      EXPECT_EQ(heard->from, from->session);
      EXPECT_EQ(heard->message.size(), bytes);
    }
    return heard.has_value();
  }
};

TEST_F(HubRelayTest, TabsThatMetAreRelayedWithinTheBudgetOfEach) {
  side_.options.relay = {.all = 1e6, .tab = 1000};
  side_.Start();
  HubSide::Tab* const a = side_.Listed(7, MaskOfGroup(0));
  HubSide::Tab* const b = side_.Listed(8, MaskOfGroup(0));
  Link(a, b);
  std::uint64_t relayed = 0;
  for (; relayed < 50 && Relays(a, b, 500); ++relayed) {
  }
  EXPECT_EQ(relayed, 8u) << "four seconds' worth";
  auto refused = side_.Heard<tab::Refused>(a);
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->reason, Reason::kTooFast);
  EXPECT_THAT(refused->words, HasSubstr("1000 bytes a second for each tab"));
  EXPECT_GE(refused->retry_ms, 100u);
  EXPECT_FALSE(Relays(a, b, 500));
  EXPECT_FALSE(side_.Heard<tab::Refused>(a).has_value()) << "said once a second";
  EXPECT_TRUE(Relays(b, a, 500)) << "the other end has a budget of its own";
  EXPECT_EQ(Counts().relays, 9u);
  EXPECT_EQ(Counts().relayed_bytes, 4500u);
  EXPECT_EQ(Counts().relay_over_tab, 2u);
  side_.Tick(2);
  EXPECT_TRUE(Relays(a, b, 16'000)) << "the largest message passes, and is paid for afterwards";
  side_.Tick(2);
  EXPECT_FALSE(Relays(a, b, 1));
}

TEST_F(HubRelayTest, AllTogetherHaveABudgetAndZeroMeansNone) {
  side_.options.relay = {.all = 1000, .tab = 1e6};
  side_.Start();
  HubSide::Tab* const a = side_.Listed(7, MaskOfGroup(0));
  HubSide::Tab* const b = side_.Listed(8, MaskOfGroup(0));
  Link(a, b);
  EXPECT_TRUE(Relays(a, b, 10'000));
  EXPECT_FALSE(Relays(b, a, 10));
  EXPECT_THAT(side_.Heard<tab::Refused>(b)->words, HasSubstr("1000 bytes a second for all tabs"));
  EXPECT_EQ(Counts().relay_over_all, 1u);

  HubSide none(TestHubOptions(2));
  none.options.relay = {.all = 0, .tab = 0};
  none.Start();
  HubSide::Tab* const c = none.Listed(7, MaskOfGroup(0));
  HubSide::Tab* const d = none.Listed(8, MaskOfGroup(0));
  none.Tell(c, tab::Relay{d->session, c->session, "x"});
  EXPECT_FALSE(none.Heard<tab::Relay>(d).has_value());
  const auto refused = none.Heard<tab::Refused>(c);
  EXPECT_THAT(refused->words, HasSubstr("relays no messages"));
  EXPECT_EQ(refused->retry_ms, 0u);
}

TEST_F(HubRelayTest, StrangersCannotFloodATab) {
  side_.Start();
  HubSide::Tab* const target = side_.Listed(7, MaskOfGroup(0));
  HubSide::Tab* const hostile = side_.Listed(8, MaskOfGroup(0));
  HubSide::Tab* const friendly = side_.Listed(9, MaskOfGroup(0));
  Link(friendly, target);
  std::uint64_t relayed = 0;
  for (; relayed < 50 && Relays(hostile, target, 10); ++relayed) {
  }
  EXPECT_EQ(relayed, kRelayStrangers.burst);
  EXPECT_EQ(side_.Heard<tab::Refused>(hostile)->reason, Reason::kInboxFull);
  for (int n = 0; n < 30; ++n) EXPECT_TRUE(Relays(friendly, target, 10));
  // Two tabs that met by a walk: once the target relays back, they are partners.
  EXPECT_TRUE(Relays(target, hostile, 10));
  for (int n = 0; n < 30; ++n) EXPECT_TRUE(Relays(hostile, target, 10));
}

TEST_F(HubRelayTest, RelaysNeedASenderAndAReceiver) {
  side_.Start();
  HubSide::Tab* const a = side_.Listed(7, MaskOfGroup(0));
  HubSide::Tab* const unlisted = side_.Greeted(8);
  EXPECT_FALSE(Relays(a, unlisted, 10));
  EXPECT_EQ(side_.Heard<tab::Refused>(a)->reason, Reason::kNobody);
  EXPECT_FALSE(Relays(unlisted, a, 10));
  EXPECT_EQ(side_.Heard<tab::Refused>(unlisted)->reason, Reason::kUnknown);
  side_.Tick(2);
  EXPECT_FALSE(Relays(a, a, 10));
  EXPECT_EQ(side_.Heard<tab::Refused>(a)->reason, Reason::kSelf);
  HubSide::Tab* const b = side_.Listed(9, MaskOfGroup(0));
  side_.Tell(b, tab::Relay{a->session, {66, 66}, "x"});
  EXPECT_EQ(side_.Heard<tab::Relay>(a)->from, b->session) << "a forged sender is overwritten";
  EXPECT_EQ(Counts().forged, 1u);
  side_.Tell(b, tab::Relay{a->session, b->session, std::string(tab::kChannelBytesMax + 1, 'x')});
  EXPECT_EQ(side_.Heard<tab::Refused>(b)->reason, Reason::kTooLarge);
}

// ---- Between hubs --------------------------------------------------------------------------------------------------

// Two hubs, or more, whose messages to each other the test carries.
class HubNetworkTest : public ::testing::Test {
 protected:
  struct Node {
    explicit Node(std::uint64_t session) : side(TestHubOptions(session)) {}
    HubSide side;
    std::map<tab::HubId, std::vector<v1::PeerMessage>> outgoing;
  };

  HubNetworkTest() { ConfigureLog(v1::ERROR, 20); }

  HubSide& At(std::size_t n) { return nodes_[n].side; }
  // Hub n is number n + 1 at the others.
  void StartHubs(std::size_t count) {
    for (std::size_t n = 0; n < count; ++n) nodes_.emplace_back(n + 1).side.Start();
    for (std::size_t a = 0; a < count; ++a) {
      for (std::size_t b = 0; b < a; ++b) Up(a, b);
    }
    Run();
  }
  void Up(std::size_t a, std::size_t b) {
    for (const auto& [from, to] : {std::pair(a, b), std::pair(b, a)}) {
      Node* const node = &nodes_[from];
      const auto id = static_cast<tab::HubId>(to + 1);
      node->side.hub->HubUp(
          id, [node, id](v1::PeerMessage message) { node->outgoing[id].push_back(std::move(message)); },
          node->side.now_s, "test", tab::kTabProtocol);
    }
  }
  void Down(std::size_t a, std::size_t b) {
    At(a).hub->HubDown(static_cast<tab::HubId>(b + 1));
    At(b).hub->HubDown(static_cast<tab::HubId>(a + 1));
    nodes_[a].outgoing.erase(static_cast<tab::HubId>(b + 1));
    nodes_[b].outgoing.erase(static_cast<tab::HubId>(a + 1));
  }
  // Carries messages until no hub has anything to say.
  void Carry() {
    for (bool carried = true; std::exchange(carried, false);) {
      for (std::size_t from = 0; from < nodes_.size(); ++from) {
        for (auto& [to, messages] : nodes_[from].outgoing) {
          for (const v1::PeerMessage& message : std::exchange(messages, {})) {
            carried = true;
            if (message.has_hub_news()) {
              EXPECT_LE(message.hub_news().cards_size() + message.hub_news().left_size(),
                        static_cast<int>(kHubNewsMax));
            }
            At(to - 1).hub->TakeFromHub(static_cast<tab::HubId>(from + 1), message, At(to - 1).now_s);
            At(to - 1).Listen();
          }
        }
      }
    }
  }
  void Run(int ticks = 1) {
    for (int n = 0; n < ticks; ++n) {
      for (Node& node : nodes_) node.side.Tick();
      Carry();
    }
  }
  std::vector<tab::Card> SampleOf(std::size_t n, HubSide::Tab* tab, tab::ShardMask mask) {
    At(n).Tell(tab, NeedOf(mask));
    return At(n).Heard<tab::Sample>(tab).value_or(tab::Sample{}).cards;
  }
  Signalling::Counts Counts(std::size_t n) { return At(n).hub->Figures().signalling; }

  std::deque<Node> nodes_;
};

TEST_F(HubNetworkTest, Test3_2TabsOfTwoHubsFindEachOtherAndLink) {
  StartHubs(2);
  HubSide::Tab* const eu = At(0).Listed(7, MaskOfGroup(0));
  HubSide::Tab* const us = At(1).Listed(8, MaskOfGroup(0));
  Run();
  EXPECT_EQ(At(0).hub->Figures().remote, 1u);
  const auto cards = SampleOf(0, eu, MaskOfGroup(0));
  ASSERT_THAT(cards, SizeIs(1));
  EXPECT_EQ(cards[0].tab, us->session);

  At(0).Tell(eu, OfferTo(*us, *eu, 5));
  Carry();
  const auto offer = At(1).Heard<tab::Offer>(us);
  ASSERT_TRUE(offer.has_value());
  EXPECT_EQ(offer->from.tab, eu->session);
  EXPECT_EQ(offer->description, "an offer");
  At(1).Tell(us, AnswerTo(eu->session, *us, 5));
  Carry();
  const auto answer = At(0).Heard<tab::Answer>(eu);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->from.tab, us->session);
  EXPECT_EQ(answer->reason, Reason::kNone);
  // They cannot connect, so both hubs relay.
  for (int n = 0; n < 30; ++n) {
    At(0).Tell(eu, tab::Relay{us->session, eu->session, "to us"});
    Carry();
    EXPECT_EQ(At(1).Heard<tab::Relay>(us).value_or(tab::Relay{}).message, "to us");
    At(1).Tell(us, tab::Relay{eu->session, us->session, "to eu"});
    Carry();
    EXPECT_EQ(At(0).Heard<tab::Relay>(eu).value_or(tab::Relay{}).message, "to eu");
  }
  EXPECT_EQ(Counts(0).relays, 60u);
  EXPECT_EQ(Counts(1).relays, 60u);

  At(1).Announce(us, MaskOfGroup(1));
  Run();
  EXPECT_THAT(SampleOf(0, eu, MaskOfGroup(0)), IsEmpty());
  EXPECT_THAT(SampleOf(0, eu, MaskOfGroup(1)), SizeIs(1)) << "a change of shards is told";
  At(1).End(us);
  Run();
  EXPECT_EQ(At(0).hub->Figures().remote, 0u) << "and that it left";
}

TEST_F(HubNetworkTest, ATabThatOffersAtOnceIsIntroducedFirst) {
  StartHubs(2);
  HubSide::Tab* const us = At(1).Listed(8, MaskOfGroup(0));
  Run();
  HubSide::Tab* const eu = At(0).Listed(7, MaskOfGroup(0));
  At(0).Tell(eu, OfferTo(*us, *eu, 5));
  Carry();
  EXPECT_TRUE(At(1).Heard<tab::Offer>(us).has_value());
}

TEST_F(HubNetworkTest, ANewHubIsToldEverythingOverSeveralTicks) {
  for (const std::uint64_t n : {1, 2}) nodes_.emplace_back(n).side.options.tabs_max = 2000;
  for (Node& node : nodes_) node.side.Start();
  for (std::uint64_t n = 0; n < 600; ++n) At(0).Listed(100 + n, MaskOfGroup(0));
  Up(0, 1);
  Run();
  EXPECT_EQ(At(1).hub->Figures().remote, kHubNewsMax);
  Run(2);
  EXPECT_EQ(At(1).hub->Figures().remote, 600u);
  Run();
  EXPECT_THAT(nodes_[0].outgoing[2], IsEmpty()) << "nothing is told twice";
  const std::uint64_t told = Counts(1).from_hubs;
  Run(10);
  EXPECT_EQ(Counts(1).from_hubs, told);
}

TEST_F(HubNetworkTest, AHubThatIsLostIsForgottenAndToldAnew) {
  StartHubs(2);
  HubSide::Tab* const eu = At(0).Listed(7, MaskOfGroup(0));
  HubSide::Tab* const us = At(1).Listed(8, MaskOfGroup(0));
  Run();
  Down(0, 1);
  EXPECT_EQ(At(0).hub->Figures().remote, 0u);
  EXPECT_EQ(At(0).hub->Figures().hubs, 0u);
  At(0).Tell(eu, OfferTo(*us, *eu, 5));
  EXPECT_EQ(At(0).Heard<tab::Answer>(eu)->reason, Reason::kNobody);
  v1::PeerMessage late;
  WriteCard(HubSide::CardOf(*us), late.mutable_hub_news()->add_cards());
  At(0).hub->TakeFromHub(2, late, At(0).now_s);
  EXPECT_EQ(At(0).hub->Figures().remote, 0u) << "who is down is not heard";
  Up(0, 1);
  Run();
  EXPECT_THAT(SampleOf(0, eu, MaskOfGroup(0)), SizeIs(1));
}

TEST_F(HubNetworkTest, LostNewsMendsItself) {
  StartHubs(2);
  HubSide::Tab* const eu = At(0).Listed(7, MaskOfGroup(0));
  HubSide::Tab* const us = At(1).Listed(8, MaskOfGroup(0));
  Run();
  // The news that `us` has left is lost.
  At(1).End(us);
  At(1).Tick();
  nodes_[1].outgoing.clear();
  At(0).Tell(eu, OfferTo(*us, *eu, 1));
  Carry();
  EXPECT_EQ(At(0).Heard<tab::Answer>(eu)->reason, Reason::kNobody);
  EXPECT_EQ(At(0).hub->Figures().remote, 0u);
  // The news that another came is lost, and it offers.
  HubSide::Tab* const newcomer = At(0).Listed(9, MaskOfGroup(0));
  At(0).Tick();
  nodes_[0].outgoing.clear();
  HubSide::Tab* const target = At(1).Listed(10, MaskOfGroup(0));
  Run();
  At(0).Tell(newcomer, OfferTo(*target, *newcomer, 1));
  Carry();
  EXPECT_EQ(At(0).Heard<tab::Answer>(newcomer)->reason, Reason::kUnknown);
  Run();
  At(0).Tell(newcomer, OfferTo(*target, *newcomer, 2));
  Carry();
  EXPECT_TRUE(At(1).Heard<tab::Offer>(target).has_value());
}

TEST_F(HubNetworkTest, ATabThatMovesIsBelievedWhereItsSocketIs) {
  StartHubs(3);
  HubSide::Tab* const before = At(0).Listed(7, MaskOfGroup(0));
  HubSide::Tab* const asker = At(2).Listed(8, MaskOfGroup(1));
  Run();
  // Its connection to hub 0 breaks unnoticed, and it goes to hub 1.
  At(1).Listed(7, MaskOfGroup(0));
  Run();
  At(2).Tell(asker, OfferTo(*before, *asker, 1));
  Carry();
  EXPECT_TRUE(At(1).Heard<tab::Offer>(&At(1).tabs.front()).has_value()) << "of two hubs, the one that told last";
  At(0).End(before);
  Run();
  EXPECT_EQ(At(2).hub->Figures().remote, 1u) << "and the old hub has no say any more";
  EXPECT_EQ(At(1).hub->Figures().listed, 1u);
}

TEST_F(HubNetworkTest, HubsAreHeldToTheirBoundsToo) {
  StartHubs(2);
  HubSide::Tab* const eu = At(0).Listed(7, MaskOfGroup(0));
  v1::PeerMessage news;
  for (std::size_t n = 0; n <= kHubNewsMax; ++n) {
    WriteCard({{500, n}, MaskOfGroup(0), 1, 0}, news.mutable_hub_news()->add_cards());
  }
  At(0).hub->TakeFromHub(2, news, At(0).now_s);
  EXPECT_EQ(At(0).hub->Figures().remote, 0u);
  EXPECT_EQ(At(0).Refused(Reason::kTooLarge), 1u);
  v1::PeerMessage liar;
  WriteCard({{500, 1}, MaskOfGroup(5), 1, 0}, liar.mutable_hub_news()->add_cards());
  WriteCard({eu->session, MaskOfGroup(1), 1, 0}, liar.mutable_hub_news()->add_cards());
  At(0).hub->TakeFromHub(2, liar, At(0).now_s);
  EXPECT_EQ(At(0).hub->Figures().remote, 0u);
  EXPECT_EQ(At(0).Refused(Reason::kClaim), 1u);
  EXPECT_EQ(At(0).Refused(Reason::kIdTaken), 1u) << "a tab with a socket here is of this hub";
  // Kinds that hubs do not send, and a sender that is not the hub's.
  At(0).hub->TakeFromHub(2, WriteTabMessage(NeedOf(1)), At(0).now_s);
  EXPECT_EQ(Counts(0).hub_unexpected, 1u);
  At(0).hub->TakeFromHub(2, WriteTabMessage(OfferTo(*eu, *eu, 1)), At(0).now_s);
  EXPECT_FALSE(At(0).Heard<tab::Offer>(eu).has_value());
  At(0).hub->TakeFromHub(2, WriteTabMessage(tab::Relay{eu->session, {3, 3}, "x"}), At(0).now_s);
  At(0).Listen();
  EXPECT_FALSE(At(0).Heard<tab::Relay>(eu).has_value());
  // A flood.
  const auto most = static_cast<int>(kHubMessagesTaken.burst);
  for (int n = 0; n < 2 * most; ++n) At(0).hub->TakeFromHub(2, WriteTabMessage(NeedOf(1)), At(0).now_s);
  EXPECT_GE(Counts(0).hub_over, static_cast<std::uint64_t>(most));
  Carry();
}

TEST_F(HubNetworkTest, WhatGoesToOneHubIsBounded) {
  for (const std::uint64_t n : {1, 2}) nodes_.emplace_back(n).side.options.tabs_max = 1000;
  for (Node& node : nodes_) node.side.Start();
  Up(0, 1);
  std::vector<HubSide::Tab*> targets, tabs;
  for (std::uint64_t n = 0; n < 60; ++n) targets.push_back(At(1).Listed(1000 + n, MaskOfGroup(0)));
  for (std::uint64_t n = 0; n < 30; ++n) tabs.push_back(At(0).Listed(100 + n, MaskOfGroup(0)));
  Run(2);
  std::size_t passed = 0, refused = 0;
  for (HubSide::Tab* tab : tabs) {
    for (std::uint32_t n = 0; n < 25; ++n) {
      At(0).Tell(tab, OfferTo(*targets[(passed + refused) % targets.size()], *tab, n));
      const auto answer = At(0).Heard<tab::Answer>(tab);
      ++(answer ? refused : passed);
      if (answer) {
        EXPECT_EQ(answer->reason, Reason::kInboxFull);
      }
    }
  }
  EXPECT_EQ(passed, kHubMessages.burst);
  EXPECT_EQ(Counts(0).hub_over, refused);
}

// ---- Builds --------------------------------------------------------------------------------------------------------

TEST_F(HubNetworkTest, Arch2_1BuildsAreHeardOfByTabsOfOtherHubs) {
  StartHubs(2);
  HubSide::Tab* const old_tab = At(0).Listed(7, MaskOfGroup(0));
  EXPECT_FALSE(At(0).Heard<tab::BuildNews>(old_tab).has_value()) << "all are of one build";
  HubSide::Tab* const newer = At(1).Connect();
  newer->session = {8, 8};
  v1::PeerMessage hello = At(1).HelloOf(8);
  hello.mutable_hello()->set_build("0.9.0");
  hello.mutable_hello()->set_protocol_max(4);
  At(1).Tell(newer, hello);
  for (int n = 0; n < 130; ++n) {
    for (Node& node : nodes_) node.side.Pass(1);
    Carry();
  }
  const auto news = At(0).Heard<tab::BuildNews>(old_tab);
  ASSERT_TRUE(news.has_value());
  ASSERT_THAT(news->builds, SizeIs(2));
  EXPECT_EQ(news->builds[0].build, "test");
  EXPECT_EQ(news->builds[1].build, "0.9.0");
  EXPECT_EQ(news->builds[1].protocol, 4u);
  EXPECT_EQ(news->builds[1].nodes, 0u) << "nobody said so here";
  EXPECT_EQ(At(1).hub->Builds().builds[1].nodes, 1u);
  // A tab tells of builds once a minute.
  At(0).Tell(old_tab, tab::BuildNews{{{"0.9.1", 4, 1}}});
  At(0).Tell(old_tab, tab::BuildNews{{{"0.9.2", 4, 1}}});
  EXPECT_THAT(At(0).hub->Builds().builds, SizeIs(3));
}

TEST(BuildGossip, TheListIsBoundedAndPublishedOnceAMinute) {
  BuildGossip gossip("own", 3);
  EXPECT_TRUE(gossip.Publish(0));
  gossip.Came("newer", 4);
  gossip.Came("newer", 4);
  EXPECT_FALSE(gossip.Publish(kGossipSeconds - 1));
  EXPECT_TRUE(gossip.Publish(kGossipSeconds));
  ASSERT_EQ(gossip.published().builds.size(), 2u);
  EXPECT_EQ(gossip.published().builds[0].build, "newer");
  EXPECT_EQ(gossip.published().builds[0].nodes, 2u);
  gossip.Went("newer");
  EXPECT_FALSE(gossip.Publish(3 * kGossipSeconds)) << "counts alone are no news";
  EXPECT_EQ(gossip.publication(), 2u);
  for (int n = 0; n < 100; ++n) gossip.Heard({{{"hearsay" + std::to_string(n), 9, 1000}}});
  gossip.Came("has spaces", 1);
  gossip.Came(std::string(tab::kBuildBytesMax + 1, 'x'), 1);
  gossip.Came("", 1);
  const tab::BuildNews news = gossip.News();
  EXPECT_EQ(news.builds.size(), tab::kBuildsMax);
  EXPECT_EQ(news.builds[0].build, "newer") << "those that nodes said of themselves come first";
  EXPECT_EQ(news.builds[1].build, "own");
  EXPECT_EQ(news.builds[2].nodes, 0u);
}

}  // namespace
}  // namespace lvs::services
