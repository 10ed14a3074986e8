// Streams of tabs and their places, with carriers and a clock that the test plays: no socket, no thread.
#include "services/web/hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/base/log.h"
#include "tests/services/web/hub_side.h"

namespace lvs::services {
namespace {

using tab::MaskOfGroup;
using tab::Reason;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using vaultguard::Refusal;

class HubTest : public ::testing::Test {
 protected:
  HubTest() { ConfigureLog(v1::ERROR, 20); }

  std::uint64_t RefusedInput(Refusal refusal) { return side_.hub->Figures().refused_input.Of(refusal); }
  // The only place is given, once the tab is old enough.
  HubSide::Tab* Placed(std::uint64_t session, tab::ShardMask mask) {
    HubSide::Tab* const tab = side_.Listed(session, mask);
    side_.Pass(5);
    EXPECT_TRUE(side_.Heard<tab::Place>(tab).value_or(tab::Place{}).given);
    return tab;
  }

  HubSide side_{TestHubOptions(1)};
};

// ---- Hello ---------------------------------------------------------------------------------------------------------

TEST_F(HubTest, Test3_1TheHelloOfATabIsAnsweredInItsProtocol) {
  side_.Start();
  HubSide::Tab* const tab = side_.Connect();
  EXPECT_THAT(tab->inbox, IsEmpty()) << "the tab speaks first";
  side_.Tell(tab, side_.HelloOf(7));
  const auto hello = side_.Heard<tab::Hello>(tab);
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->protocol_max, tab::kTabProtocol);
  EXPECT_EQ(hello->session(), (tab::TabId{1, 1}));
  EXPECT_EQ(hello->halo_rows, kPlaceHaloRows);
  EXPECT_FALSE(hello->tab.has_value());
  EXPECT_EQ(side_.hub->Figures().tabs, 1u);
  EXPECT_EQ(side_.hub->Figures().listed, 0u) << "it has not announced itself";
}

TEST_F(HubTest, HellosThatDoNotFitEndWithWordsForThePage) {
  side_.Start();
  const auto refused = [&](auto change) {
    HubSide::Tab* const tab = side_.Connect();
    v1::PeerMessage hello = side_.HelloOf(7);
    change(hello.mutable_hello());
    side_.Tell(tab, hello);
    const absl::Status why = HubSide::Ended(*tab);
    EXPECT_LE(why.message().size(), 123u) << "a close frame holds no more: " << why;
    return why;
  };
  const absl::Status old_page = refused([](v1::Hello* hello) {
    hello->set_protocol_min(1);
    hello->set_protocol_max(2);
  });
  EXPECT_EQ(old_page.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(old_page.message()), HasSubstr("reload it"));
  const absl::Status new_page = refused([](v1::Hello* hello) {
    hello->set_protocol_min(9);
    hello->set_protocol_max(9);
  });
  EXPECT_THAT(std::string(new_page.message()), HasSubstr("newer than the server"));
  EXPECT_THAT(std::string(refused([](v1::Hello* hello) { hello->set_shards(64); }).message()),
              HasSubstr("another network: 64 shards"));
  EXPECT_THAT(std::string(refused([](v1::Hello* hello) { hello->set_value_slots(1); }).message()),
              HasSubstr("another network"));
  EXPECT_THAT(std::string(refused([](v1::Hello* hello) { hello->set_period_us(5); }).message()),
              HasSubstr("a cycle takes 5 us"));
  EXPECT_EQ(side_.options.refusals->Of(ConnectionRefusal::kHelloMisfit), 5u);

  const absl::Status server = refused([](v1::Hello* hello) { hello->clear_tab(); });
  EXPECT_EQ(server.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(server.message()), HasSubstr("for browser tabs"));
  EXPECT_EQ(refused([](v1::Hello* hello) { hello->mutable_tab()->set_micro_nodes(100'000); }).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused([](v1::Hello* hello) { hello->set_build(std::string(300, 'x')); }).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused([](v1::Hello* hello) {
              hello->set_session_high(0);
              hello->set_session_low(0);
            }).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused([](v1::Hello* hello) {
              hello->set_session_high(1);
              hello->set_session_low(1);
            }).code(),
            absl::StatusCode::kAborted)
      << "the session of the server node itself";
  EXPECT_EQ(side_.options.refusals->Of(ConnectionRefusal::kHelloInvalid), 5u);
  EXPECT_EQ(side_.hub->Figures().tabs, 0u);
}

TEST_F(HubTest, TheFirstMessageMustBeTheHelloAndTheOnlyOne) {
  side_.Start();
  for (const tab::PeerMessage& early :
       {tab::PeerMessage(tab::EchoRequest{1}), tab::PeerMessage(tab::Announce{{{7, 7}, 0xf, 1, 0}}),
        tab::PeerMessage(tab::Need{})}) {
    HubSide::Tab* const tab = side_.Connect();
    side_.Tell(tab, early);
    EXPECT_EQ(HubSide::Ended(*tab).code(), absl::StatusCode::kInvalidArgument);
  }
  HubSide::Tab* const frames = side_.Connect();
  side_.TellFrames(frames, {side_.FrameOf(*frames, 0)});
  EXPECT_EQ(HubSide::Ended(*frames).code(), absl::StatusCode::kInvalidArgument);
  HubSide::Tab* const twice = side_.Greeted(7);
  side_.Tell(twice, side_.HelloOf(8));
  EXPECT_THAT(std::string(HubSide::Ended(*twice).message()), HasSubstr("second hello"));
  EXPECT_EQ(RefusedInput(Refusal::kReplayed), 5u);
  side_.End(twice);
  EXPECT_EQ(side_.EndedBy(TabEnd::kProtocol), 1u);
}

TEST_F(HubTest, SessionsBelongToTheSocketThatIsAlive) {
  side_.Start();
  HubSide::Tab* const first = side_.Listed(7, MaskOfGroup(0));
  HubSide::Tab* const second = side_.Connect();
  side_.Tell(second, side_.HelloOf(7));
  EXPECT_EQ(HubSide::Ended(*second).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(HubSide::Ended(*first).ok()) << "who knows a session cannot throw its tab out";
  // Its connection breaks unnoticed: nothing is heard of it, and it comes again.
  side_.Tick(side_.options.silence_s / 2 + 0.1);
  HubSide::Tab* const third = side_.Connect();
  side_.Tell(third, side_.HelloOf(7));
  EXPECT_EQ(HubSide::Ended(*third).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(HubSide::Ended(*third).message()), HasSubstr("try again in a few seconds"));
  EXPECT_EQ(HubSide::Ended(*first).code(), absl::StatusCode::kAlreadyExists);
  side_.End(first);
  EXPECT_EQ(side_.EndedBy(TabEnd::kReplaced), 1u);
  side_.Listed(7, MaskOfGroup(0));
}

TEST_F(HubTest, FullItSaysSo) {
  side_.options.tabs_max = 3;
  side_.Start();
  for (std::uint64_t n = 0; n < 3; ++n) side_.Listed(10 + n, MaskOfGroup(0));
  HubSide::Tab* const last = side_.Connect();
  side_.Tell(last, side_.HelloOf(20));
  EXPECT_EQ(HubSide::Ended(*last).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(HubSide::Ended(*last).message()), HasSubstr("try another"));
  side_.End(last);
  EXPECT_EQ(side_.EndedBy(TabEnd::kFull), 1u);
  side_.End(&side_.tabs[0]);
  side_.Listed(21, MaskOfGroup(0));
}

// ---- Strangers and silence -----------------------------------------------------------------------------------------

TEST_F(HubTest, WhoSaysNoHelloIsEnded) {
  side_.Start();
  HubSide::Tab* const stranger = side_.Connect();
  side_.Tick(side_.options.hello_s - 0.1);
  EXPECT_TRUE(HubSide::Ended(*stranger).ok());
  side_.Tick(0.2);
  EXPECT_EQ(HubSide::Ended(*stranger).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(side_.options.refusals->Of(ConnectionRefusal::kHelloMissing), 1u);
  side_.Tick(1);
  EXPECT_EQ(stranger->wire->aborts, 0);
  side_.Tick(2.1);
  EXPECT_EQ(stranger->wire->aborts, 1) << "it does not read why";
  side_.End(stranger);
  EXPECT_EQ(side_.EndedBy(TabEnd::kNoHello), 1u);
  EXPECT_EQ(side_.hub->stream_count(), 0u);
}

TEST_F(HubTest, TheOldestStrangerMakesRoomAndSocketsAreBounded) {
  side_.Start();
  HubSide::Tab* const tab = side_.Greeted(7);
  HubSide::Tab* const oldest = side_.Connect();
  for (std::size_t n = 1; n < kWebStrangersMax; ++n) side_.Connect();
  EXPECT_TRUE(HubSide::Ended(*oldest).ok());
  side_.Connect();
  EXPECT_EQ(HubSide::Ended(*oldest).code(), absl::StatusCode::kResourceExhausted);
  // Carriers that do not report their end.
  std::size_t connected = side_.tabs.size();
  while (side_.Connect() != nullptr) ASSERT_LT(++connected, 10'000u);
  EXPECT_EQ(side_.hub->stream_count(), side_.options.tabs_max + 2 * kWebStrangersMax);
  EXPECT_EQ(side_.options.refusals->Of(ConnectionRefusal::kStreamsFull), 1u);
  EXPECT_TRUE(HubSide::Ended(*tab).ok()) << "a tab makes no room for strangers";
  side_.End(oldest);
  EXPECT_NE(side_.Connect(), nullptr);
}

TEST_F(HubTest, QuietTabsAreAskedAndSilentOnesEnded) {
  side_.Start();
  HubSide::Tab* const honest = side_.Listed(7, MaskOfGroup(0));
  HubSide::Tab* const silent = side_.Listed(8, MaskOfGroup(0));
  int pings = 0;
  for (int n = 0; n < 160; ++n) {
    side_.Tick(0.1);
    const auto ping = side_.Heard<tab::EchoRequest>(honest);
    if (!ping) continue;
    ++pings;
    side_.Tell(honest, tab::EchoReply{ping->sent_us});
  }
  EXPECT_EQ(pings, 3) << "a third of the silence that ends it";
  EXPECT_TRUE(HubSide::Ended(*honest).ok());
  EXPECT_EQ(HubSide::Ended(*silent).code(), absl::StatusCode::kDeadlineExceeded);
  side_.End(silent);
  EXPECT_EQ(side_.EndedBy(TabEnd::kSilent), 1u);
  EXPECT_EQ(side_.hub->Figures().listed, 1u);
  side_.Tell(honest, tab::EchoRequest{99});
  EXPECT_EQ(side_.Heard<tab::EchoReply>(honest)->sent_us, 99u);
}

TEST_F(HubTest, EverySocketOfALargeTableIsLookedAt) {
  side_.options.tabs_max = 2000;
  side_.Start();
  for (std::uint64_t n = 0; n < 1000; ++n) side_.Greeted(100 + n);
  side_.now_s += side_.options.silence_s + 1;
  std::size_t ended = 0;
  for (int ticks = 0; ticks < 10; ++ticks) side_.Tick(0.1);
  for (const HubSide::Tab& tab : side_.tabs) ended += HubSide::Ended(tab).ok() ? 0 : 1;
  EXPECT_EQ(ended, 1000u);
}

TEST_F(HubTest, GoodbyeEndsTheStream) {
  side_.Start();
  HubSide::Tab* const tab = side_.Listed(7, MaskOfGroup(0));
  side_.Tell(tab, tab::Goodbye{"closed by the visitor"});
  EXPECT_THAT(std::string(HubSide::Ended(*tab).message()), HasSubstr("it left: closed by the visitor"));
  side_.End(tab);
  EXPECT_EQ(side_.EndedBy(TabEnd::kGoodbye), 1u);
  EXPECT_EQ(side_.hub->Figures().tabs, 0u);
}

// ---- Floods --------------------------------------------------------------------------------------------------------

TEST_F(HubTest, KindsThatNoTabSaysAreCountedAndEndATabThatSaysLittleElse) {
  side_.Start();
  HubSide::Tab* const tab = side_.Listed(7, MaskOfGroup(0));
  const std::vector<tab::PeerMessage> kinds = {tab::Welcome{},   tab::Sample{},       tab::Place{},
                                               tab::Refused{},   tab::Walk{},         tab::Ping{},
                                               tab::WalkReply{}, tab::AdoptRequest{}, tab::PeerExchange{}};
  for (const tab::PeerMessage& kind : kinds) side_.Tell(tab, kind);
  v1::PeerMessage news;
  news.mutable_hub_news()->set_all(true);
  side_.Tell(tab, news);
  side_.Tell(tab, v1::PeerMessage());
  EXPECT_EQ(RefusedInput(Refusal::kBadEntry), kinds.size() + 2);
  EXPECT_TRUE(HubSide::Ended(*tab).ok());
  for (int n = 0; n < 2000 && HubSide::Ended(*tab).ok(); ++n) {
    if (tab->wire->reads > 0) side_.Tell(tab, v1::PeerMessage());
    side_.Tick(0.05);
  }
  EXPECT_EQ(HubSide::Ended(*tab).code(), absl::StatusCode::kInvalidArgument);
  side_.End(tab);
  EXPECT_EQ(side_.EndedBy(TabEnd::kRefused), 1u);
}

TEST_F(HubTest, FloodsAreReadNoFasterThanHonestTabsSpeak) {
  side_.Start();
  HubSide::Tab* const tab = side_.Greeted(7);
  int said = 0;
  for (; tab->wire->reads > 0 && said < 10'000; ++said) side_.Tell(tab, tab::EchoRequest{1});
  EXPECT_LE(said, kTabReads.burst + 2);
  EXPECT_EQ(side_.hub->Figures().resting, 1u);
  side_.Tick(0.1);
  EXPECT_EQ(tab->wire->reads, 1) << "it has earned some reads by now";
  EXPECT_EQ(side_.hub->Figures().resting, 0u);
  // Long messages cost more.
  side_.Tick(10);
  v1::PeerMessage goodbye;
  goodbye.mutable_pong()->set_sent_us(1);
  goodbye.GetReflection()->MutableUnknownFields(&goodbye)->AddLengthDelimited(999, std::string(200'000, 'x'));
  int long_ones = 0;
  for (; tab->wire->reads > 0 && long_ones < 1000; ++long_ones) side_.Tell(tab, goodbye);
  EXPECT_LT(long_ones, 10);
}

// ---- Places --------------------------------------------------------------------------------------------------------

TEST_F(HubTest, PlacesAreGivenAndFramesGoBothWays) {
  side_.Start();
  HubSide::Tab* const tab = side_.Listed(7, MaskOfGroup(1));
  EXPECT_EQ(side_.hub->IncompleteShards(), tab::AllShards(8));
  side_.Pass(2);
  EXPECT_THAT(side_.changes, IsEmpty()) << "tabs that leave at once cost no place";
  side_.Pass(2);
  ASSERT_THAT(side_.changes, SizeIs(1));
  EXPECT_EQ(side_.changes[0].link, 4u);
  ASSERT_TRUE(side_.changes[0].up.has_value());
  EXPECT_EQ(side_.changes[0].up->mask, MaskOfGroup(1));
  EXPECT_EQ(side_.changes[0].up->cadence_cycles, kPlaceCadenceCycles);
  EXPECT_EQ(side_.changes[0].up->halo_rows, kPlaceHaloRows);
  const auto place = side_.Heard<tab::Place>(tab);
  ASSERT_TRUE(place.has_value());
  EXPECT_TRUE(place->given);
  EXPECT_EQ(place->cadence_cycles, kPlaceCadenceCycles);
  EXPECT_EQ(place->halo_rows, kPlaceHaloRows);
  EXPECT_EQ(side_.hub->IncompleteShards(), MaskOfGroup(0));
  EXPECT_THAT(side_.hub->Figures().shards_heard, ElementsAre(4, 4, 0));

  side_.TellFrames(tab, {side_.FrameOf(*tab, 5), side_.FrameOf(*tab, 0), side_.FrameOf(*tab, 99)});
  EXPECT_THAT(side_.delivered, ElementsAre(std::pair(4u, 5u)));
  EXPECT_EQ(RefusedInput(Refusal::kUnknownShard), 2u) << "a shard that it has not announced, and one that is none";
  EXPECT_EQ(side_.hub->Figures().frames_in, 1u);

  auto frame = std::make_shared<shard::Frame>();
  frame->shard = 5;
  frame->cycle = side_.cycle;
  frame->value_slots = side_.options.shape.value_slots;
  side_.hub->outlets()[0]->Offer(frame);
  side_.hub->outlets()[0]->Flush();
  side_.hub->outlets()[1]->Offer(frame);  // nobody is there
  side_.Listen();
  ASSERT_THAT(tab->frames, SizeIs(1));
  EXPECT_EQ(tab->frames[0].shard_id(), 5u);
  EXPECT_EQ(side_.hub->Figures().frames_out, 1u);
}

TEST_F(HubTest, WithoutAPlaceNoFrameIsTaken) {
  side_.Start();
  HubSide::Tab* const tab = side_.Listed(7, MaskOfGroup(0));
  side_.TellFrames(tab, {side_.FrameOf(*tab, 0)});
  EXPECT_THAT(side_.delivered, IsEmpty());
  EXPECT_EQ(RefusedInput(Refusal::kUnknownShard), 1u);
  EXPECT_TRUE(HubSide::Ended(*tab).ok()) << "its place may just have been taken back";
}

TEST_F(HubTest, PlacesRotateWhileOthersWait) {
  side_.Start();
  std::vector<HubSide::Tab*> tabs;
  for (std::uint64_t n = 0; n < 5; ++n) tabs.push_back(side_.Listed(10 + n, tab::AllShards(8)));
  for (HubSide::Tab* tab : tabs) tab->mask = tab::AllShards(8);
  std::vector<bool> served(tabs.size());
  for (int seconds = 0; seconds < 600; seconds += 5) {
    side_.Pass(5);
    for (std::size_t n = 0; n < tabs.size(); ++n) {
      if (const auto place = side_.Heard<tab::Place>(tabs[n]); place && place->given) served[n] = true;
    }
    EXPECT_EQ(side_.hub->Figures().places_taken, 2u);
  }
  EXPECT_THAT(served, ::testing::Each(true));
  // Ups and downs of a link take turns, and a tab that gave way is not heard any more.
  std::map<std::uint32_t, bool> up;
  for (const HubSide::Change& change : side_.changes) {
    EXPECT_NE(up[change.link], change.up.has_value()) << change.link;
    up[change.link] = change.up.has_value();
  }
}

TEST_F(HubTest, ADeadTabsPlaceGoesToAnother) {
  side_.options.shards = 4;
  side_.options.places = 1;
  side_.Start();
  HubSide::Tab* const first = Placed(7, MaskOfGroup(0));
  HubSide::Tab* const second = side_.Listed(8, MaskOfGroup(0));
  side_.Pass(5);
  EXPECT_FALSE(side_.Heard<tab::Place>(second).has_value());
  side_.End(first);
  ASSERT_THAT(side_.changes, SizeIs(2));
  EXPECT_FALSE(side_.changes[1].up.has_value());
  side_.Pass(1);
  EXPECT_TRUE(side_.Heard<tab::Place>(second).value_or(tab::Place{}).given);
  EXPECT_THAT(side_.changes, SizeIs(3));
}

TEST_F(HubTest, AChangeOfShardsTakesThePlaceDownAndUp) {
  side_.Start();
  HubSide::Tab* const tab = Placed(7, MaskOfGroup(0));
  side_.Announce(tab, MaskOfGroup(0));
  EXPECT_THAT(side_.changes, SizeIs(1)) << "nothing has changed";
  side_.Announce(tab, tab::AllShards(8));
  ASSERT_THAT(side_.changes, SizeIs(3));
  EXPECT_FALSE(side_.changes[1].up.has_value());
  EXPECT_EQ(side_.changes[2].up->mask, tab::AllShards(8));
  EXPECT_EQ(side_.changes[2].link, side_.changes[0].link);
  side_.TellFrames(tab, {side_.FrameOf(*tab, 7)});
  EXPECT_THAT(side_.delivered, SizeIs(1));
  EXPECT_EQ(side_.hub->IncompleteShards(), 0u);
  // A claim beyond what the tab can hold costs it place and listing.
  side_.Announce(tab, ~tab::ShardMask{0});
  EXPECT_EQ(side_.Heard<tab::Welcome>(tab)->reason, Reason::kClaim);
  const auto place = side_.Heard<tab::Place>(tab);
  ASSERT_TRUE(place.has_value());
  EXPECT_FALSE(place->given);
  ASSERT_THAT(side_.changes, SizeIs(4));
  EXPECT_FALSE(side_.changes[3].up.has_value());
  EXPECT_EQ(side_.hub->Figures().listed, 0u);
  side_.TellFrames(tab, {side_.FrameOf(*tab, 7)});
  EXPECT_THAT(side_.delivered, SizeIs(1));
}

TEST_F(HubTest, LowPowerTabsAreSpokenToLessOften) {
  side_.Start();
  HubSide::Tab* const tab = side_.Connect();
  tab->session = {7, 7};
  v1::PeerMessage hello = side_.HelloOf(7);
  hello.mutable_hello()->mutable_tab()->set_cadence_cycles(20);
  hello.mutable_hello()->set_halo_rows(2);
  side_.Tell(tab, hello);
  side_.Announce(tab, MaskOfGroup(0));
  side_.Pass(5);
  ASSERT_THAT(side_.changes, SizeIs(1));
  EXPECT_EQ(side_.changes[0].up->cadence_cycles, 20u);
  EXPECT_EQ(side_.changes[0].up->halo_rows, 2u);
}

TEST_F(HubTest, TabsThatSayMostlyNonsenseAreDropped) {
  side_.Start();
  HubSide::Tab* const tab = Placed(7, MaskOfGroup(0));
  const std::vector<v1::Frame> nonsense(100, side_.FrameOf(*tab, 99));
  for (int n = 0; n < 40 && HubSide::Ended(*tab).ok(); ++n) {
    side_.TellFrames(tab, nonsense);
    side_.Tick(1);
  }
  EXPECT_EQ(HubSide::Ended(*tab).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_GT(side_.hub->Figures().refused_input.Total(), shard::kRefusalsMax);
  EXPECT_THAT(side_.delivered, IsEmpty());
}

TEST_F(HubTest, FramesAboveTheRateAreRefused) {
  side_.Start();
  HubSide::Tab* const tab = Placed(7, MaskOfGroup(0));
  const auto allowed = static_cast<std::size_t>(shard::kFramesPerShardCycle * 8 * shard::kBurstCycles);
  side_.TellFrames(tab, std::vector<v1::Frame>(allowed + 100, side_.FrameOf(*tab, 0)));
  EXPECT_THAT(side_.delivered, SizeIs(allowed));
  EXPECT_EQ(RefusedInput(Refusal::kTooLarge), 100u);
  side_.Tick(10);
  side_.TellFrames(tab, std::vector<v1::Frame>(tab::kBatchFramesMax + 1));
  EXPECT_EQ(RefusedInput(Refusal::kTooLarge), 101u) << "more frames than a message may have: refused as a whole";
}

TEST_F(HubTest, AWrongClockIsSaidToTheVisitor) {
  side_.Start();
  HubSide::Tab* const tab = Placed(7, MaskOfGroup(0));
  v1::Frame frame = side_.FrameOf(*tab, 0);
  frame.set_cycle_id(side_.cycle + 1'000'000);
  side_.TellFrames(tab, std::vector<v1::Frame>(shard::kAheadFrames, frame));
  const auto refused = side_.Heard<tab::Refused>(tab);
  ASSERT_TRUE(refused.has_value());
  EXPECT_THAT(refused->words, HasSubstr("the clock of this device is ahead"));
  side_.TellFrames(tab, {frame});
  EXPECT_FALSE(side_.Heard<tab::Refused>(tab).has_value()) << "once a minute";
}

// ---- The end -------------------------------------------------------------------------------------------------------

TEST_F(HubTest, Spec9_4DrainedItSaysGoodbyeAndLetsNobodyIn) {
  side_.Start();
  HubSide::Tab* const tab = side_.Listed(7, MaskOfGroup(0));
  HubSide::Tab* const stranger = side_.Connect();
  side_.hub->Drain("upgrade");
  side_.Listen();
  EXPECT_TRUE(side_.hub->draining());
  EXPECT_EQ(side_.Heard<tab::Goodbye>(tab).value_or(tab::Goodbye{}).reason, "upgrade");
  side_.Tell(stranger, side_.HelloOf(8));
  EXPECT_EQ(HubSide::Ended(*stranger).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(HubSide::Ended(*side_.Connect()).code(), absl::StatusCode::kUnavailable);
  side_.Pass(5);
  EXPECT_THAT(side_.changes, IsEmpty()) << "no place is given any more";
}

TEST_F(HubTest, StoppedItEndsEveryStreamAndTellsTheActorsNothing) {
  side_.Start();
  HubSide::Tab* const tab = Placed(7, MaskOfGroup(0));
  HubSide::Tab* const stranger = side_.Connect();
  side_.hub->Stop();
  EXPECT_THAT(std::string(HubSide::Ended(*tab).message()), HasSubstr("this server ends"));
  EXPECT_FALSE(HubSide::Ended(*stranger).ok());
  side_.hub->Abort();
  EXPECT_EQ(tab->wire->aborts, 1);
  side_.hub->Disconnect();
  side_.changes.clear();
  side_.End(tab);
  EXPECT_THAT(side_.changes, IsEmpty());
}

TEST_F(HubTest, BeforeItsStartItLetsNobodyIn) {
  side_.hub = std::make_shared<Hub>(side_.options);
  EXPECT_EQ(HubSide::Ended(*side_.Connect()).code(), absl::StatusCode::kUnavailable);
  side_.hub->Unreadable();
  EXPECT_EQ(side_.options.refusals->Of(ConnectionRefusal::kUnreadable), 1u);
}

TEST_F(HubTest, OptionsThatCannotServeTabsAreRefusedWithWords) {
  EXPECT_TRUE(CheckHubOptions(side_.options).ok());
  HubOptions options = side_.options;
  options.shards = 256;
  EXPECT_THAT(std::string(CheckHubOptions(options).message()), HasSubstr("at most 64"));
  options.shards = 64;
  EXPECT_THAT(std::string(CheckHubOptions(options).message()), HasSubstr("16 places"));
  options = side_.options;
  options.tabs_max = 0;
  EXPECT_FALSE(CheckHubOptions(options).ok());
  options = side_.options;
  options.relay.all = -1;
  EXPECT_FALSE(CheckHubOptions(options).ok());
}

}  // namespace
}  // namespace lvs::services
