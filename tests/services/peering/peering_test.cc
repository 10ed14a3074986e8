// A node's side of the protocol over carriers that the test plays, in a time that the test sets: no socket, no thread.
#include "services/peering/peering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/base/log.h"
#include "tests/services/peering/fake_carrier.h"

namespace lvs::services {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using vaultguard::Refusal;

v1::PeerMessage HelloMessage(std::uint64_t session, const std::string& advertise = "") {
  return OwnHello(TestTerms(session), advertise);
}

v1::PeerMessage Frames(const std::vector<v1::Frame>& frames) {
  v1::PeerMessage message;
  for (const v1::Frame& frame : frames) message.mutable_frames()->add_frames(frame.SerializeAsString());
  return message;
}

class PeeringTest : public ::testing::Test {
 protected:
  // The far end of one stream.
  struct Peer {
    std::shared_ptr<PeerStream> stream;
    std::shared_ptr<Wire> wire = std::make_shared<Wire>();
  };

  PeeringTest() {
    ConfigureLog(v1::ERROR, 20);
    options_.region = "eu";
    static_cast<NodeTerms&>(options_) = TestTerms(1);
    options_.links = 4;
    options_.faults = true;
    options_.refusals = std::make_shared<ConnectionRefusals>();
    options_.boot = {"10.0.0.9:7400"};
  }
  ~PeeringTest() override {
    if (peering_ == nullptr) return;
    peering_->Stop();
    for (const Peer& peer : peers_) End(peer);
  }

  void Start() {
    peering_ = std::make_shared<Peering>(options_);
    peering_->Start(
        "10.0.0.1:7400",
        [this](std::uint32_t link, const std::shared_ptr<const shard::Frame>& frame) {
          delivered_.emplace_back(link, frame->shard);
        },
        [this](std::uint32_t link, bool up) { changes_.emplace_back(link, up); }, now_s_);
    peering_->Tick(kCycle, now_s_);
  }
  Peer Connect() {
    Peer peer;
    peer.stream = peering_->Accept(now_s_);
    peer.stream->Begin(std::make_unique<FakeCarrier>(peer.wire));
    peers_.push_back(peer);
    return peer;
  }
  Peer Welcomed(std::uint64_t session, const std::string& advertise = "") {
    Peer peer = Connect();
    Tell(peer, HelloMessage(session, advertise));
    EXPECT_TRUE(Listen(peer).front().has_hello());
    return peer;
  }
  void Tell(const Peer& peer, const v1::PeerMessage& message) {
    Say(peer.stream.get(), peer.wire.get(), message, now_s_);
  }
  std::vector<v1::PeerMessage> Listen(const Peer& peer) { return Heard(peer.stream.get(), peer.wire.get()); }
  void End(const Peer& peer) {
    if (peer.wire->reads == kGone) return;
    peer.wire->reads = kGone;
    peer.stream->Ended(peer.stream->why(), now_s_);
  }
  absl::Status Ended(const Peer& peer) { return peer.wire->ended.value_or(absl::OkStatus()); }

  static constexpr int kGone = -1000;
  PeeringOptions options_;
  double now_s_ = 100;
  std::vector<std::pair<std::uint32_t, bool>> changes_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> delivered_;  // link and shard
  std::vector<Peer> peers_;
  std::shared_ptr<Peering> peering_;
};

TEST_F(PeeringTest, Spec13_AHelloThatFitsIsAnsweredAndTheLinkIsUp) {
  Start();
  const Peer peer = Connect();
  EXPECT_THAT(Listen(peer), IsEmpty()) << "who dialled speaks first";
  Tell(peer, HelloMessage(2));
  const auto heard = Listen(peer);
  ASSERT_THAT(heard, SizeIs(1));
  EXPECT_EQ(heard[0].hello().advertise(), "10.0.0.1:7400");
  EXPECT_THAT(changes_, ElementsAre(std::pair(0u, true)));
  EXPECT_EQ(peering_->connected(), 1u);
  End(peer);
  EXPECT_THAT(changes_, ElementsAre(std::pair(0u, true), std::pair(0u, false)));
  EXPECT_EQ(peering_->connected(), 0u);
  EXPECT_EQ(peering_->stream_count(), 0u);
}

TEST_F(PeeringTest, WhoIsDialledIsGreetedFirstAndAnswers) {
  Start();
  Peer peer;
  peer.stream = peering_->Dialled("10.0.0.9:7400", now_s_);
  peer.stream->Begin(std::make_unique<FakeCarrier>(peer.wire));
  peers_.push_back(peer);
  EXPECT_THAT(Listen(peer), SizeIs(1));
  Tell(peer, HelloMessage(2, "10.0.0.9:7400"));
  EXPECT_THAT(Listen(peer), IsEmpty()) << "one hello each";
  EXPECT_THAT(changes_, ElementsAre(std::pair(0u, true)));
  EXPECT_TRUE(peering_->Peers(now_s_).peers(0).dialled());
}

// The hub of a node: notes what it is told.
class NotedHub final : public HubLinks {
 public:
  void HubUp(std::uint32_t link, std::function<void(v1::PeerMessage)> say) override {
    notes.push_back("up " + std::to_string(link));
    say_ = std::move(say);
  }
  void HubDown(std::uint32_t link) override { notes.push_back("down " + std::to_string(link)); }
  void TakeFromHub(std::uint32_t link, const v1::PeerMessage& message, double) override {
    notes.push_back("message " + std::to_string(link) + " " + std::to_string(message.kind_case()));
  }
  void Say(v1::PeerMessage message) { say_(std::move(message)); }

  std::vector<std::string> notes;

 private:
  std::function<void(v1::PeerMessage)> say_;
};

v1::PeerMessage OfferMessage(std::uint32_t attempt) {
  v1::PeerMessage message;
  message.mutable_offer()->set_attempt(attempt);
  return message;
}

// TEST-3.2: hubs pass messages of tabs on to each other.
TEST_F(PeeringTest, Test3_2_HubsHearOfEachOtherAndNobodyElseSpeaksForTabs) {
  const auto hub = std::make_shared<NotedHub>();
  options_.hub_links = hub;
  Start();
  const Peer plain = Welcomed(2);
  EXPECT_THAT(hub->notes, IsEmpty()) << "a node that is no hub";
  Tell(plain, OfferMessage(1));
  EXPECT_EQ(Ended(plain).code(), absl::StatusCode::kInvalidArgument);

  const Peer other = Connect();
  v1::PeerMessage hello = HelloMessage(3);
  hello.mutable_hello()->set_hub(true);
  Tell(other, hello);
  const auto greeting = Listen(other);
  ASSERT_THAT(greeting, SizeIs(1));
  EXPECT_TRUE(greeting[0].hello().hub());
  Tell(other, OfferMessage(7));
  EXPECT_THAT(hub->notes, ElementsAre("up 1", "message 1 11"));
  for (const std::uint32_t attempt : {1, 2, 3}) hub->Say(OfferMessage(attempt));
  const auto heard = Listen(other);
  ASSERT_THAT(heard, SizeIs(3)) << "each is to be read, unlike messages of server nodes";
  EXPECT_EQ(heard[2].offer().attempt(), 3u);
  End(other);
  EXPECT_THAT(hub->notes, Contains("down 1"));
  hub->Say(OfferMessage(4));  // nobody is there any more
}

TEST_F(PeeringTest, ANodeThatIsNoHubIsToldNothingOfTabs) {
  Start();
  const Peer other = Connect();
  v1::PeerMessage hello = HelloMessage(3);
  hello.mutable_hello()->set_hub(true);
  Tell(other, hello);
  EXPECT_FALSE(Listen(other)[0].hello().hub());
  Tell(other, OfferMessage(7));
  EXPECT_EQ(Ended(other).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(PeeringTest, Test3_1_ATabIsSentToTheWebListener) {
  Start();
  const Peer tab = Connect();
  v1::PeerMessage hello = HelloMessage(3);
  hello.mutable_hello()->mutable_tab()->set_shard_mask(1);
  Tell(tab, hello);
  EXPECT_THAT(Ended(tab).message(), HasSubstr("web_listen"));
  EXPECT_EQ(options_.refusals->Of(ConnectionRefusal::kHelloMisfit), 1u);
}

TEST_F(PeeringTest, Spec13_AHelloThatDoesNotFitEndsTheStreamAndIsCounted) {
  Start();
  const Peer misfit = Connect();
  v1::PeerMessage hello = HelloMessage(2);
  hello.mutable_hello()->set_shards(99);
  Tell(misfit, hello);
  EXPECT_EQ(Ended(misfit).code(), absl::StatusCode::kFailedPrecondition);
  const Peer nobody = Connect();
  Tell(nobody, HelloMessage(0));
  EXPECT_EQ(Ended(nobody).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(options_.refusals->Of(ConnectionRefusal::kHelloMisfit), 1u);
  EXPECT_EQ(options_.refusals->Of(ConnectionRefusal::kHelloInvalid), 1u);
  EXPECT_THAT(changes_, IsEmpty());
}

TEST_F(PeeringTest, TheFirstMessageMustBeTheHelloAndTheOnlyOne) {
  Start();
  const Peer early = Connect();
  Tell(early, Ping(1));
  EXPECT_EQ(Ended(early).code(), absl::StatusCode::kInvalidArgument);
  const Peer twice = Welcomed(2);
  Tell(twice, HelloMessage(2));
  EXPECT_EQ(Ended(twice).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(peering_->refused().Of(Refusal::kReplayed), 2u);
}

TEST_F(PeeringTest, MessagesOfNoKindAreRefused) {
  Start();
  const Peer peer = Welcomed(2);
  Tell(peer, v1::PeerMessage());
  EXPECT_EQ(Ended(peer).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(peering_->refused().Of(Refusal::kBadEntry), 1u);
}

TEST_F(PeeringTest, PingsAreAnsweredWordForWord) {
  Start();
  const Peer peer = Welcomed(2);
  Tell(peer, Ping(12345));
  const auto heard = Listen(peer);
  ASSERT_THAT(heard, SizeIs(1));
  EXPECT_EQ(heard[0].pong().sent_us(), 12345u);
}

TEST_F(PeeringTest, FramesReachTheActorsAndLiesAreCountedByReason) {
  Start();
  const Peer peer = Welcomed(2);
  const NodeTerms from = TestTerms(2);
  Tell(peer, Frames({GoodFrame(from, 3, kCycle), GoodFrame(from, 99, kCycle), GoodFrame(from, 1, kCycle)}));
  EXPECT_THAT(delivered_, ElementsAre(std::pair(0u, 3u), std::pair(0u, 1u)));
  EXPECT_EQ(peering_->refused().Of(Refusal::kUnknownShard), 1u);
  const v1::PeerList peers = peering_->Peers(now_s_);
  ASSERT_EQ(peers.peers_size(), 1);
  EXPECT_EQ(peers.peers(0).frames_received(), 2u);
  EXPECT_EQ(peers.peers(0).refused(), 1u);
}

TEST_F(PeeringTest, LinkThatSaysMostlyNonsenseIsDropped) {
  Start();
  const Peer peer = Welcomed(2);
  const std::vector<v1::Frame> nonsense(100, GoodFrame(TestTerms(2), 99, kCycle));
  for (int n = 0; n < 20 && Ended(peer).ok(); ++n, now_s_ += 1) Tell(peer, Frames(nonsense));
  EXPECT_EQ(Ended(peer).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_GT(peering_->refused().Total(), shard::kRefusalsMax);
}

TEST_F(PeeringTest, LinkThatSaysTooMuchIsReadNoFaster) {
  Start();
  const Peer peer = Welcomed(2);
  int said = 0;
  for (; peer.wire->reads > 0 && said < 10'000; ++said) Tell(peer, Ping(1));
  EXPECT_EQ(peer.wire->reads, 0);
  EXPECT_LT(said, 1000);
  now_s_ += 0.5;
  peering_->Tick(kCycle, now_s_);
  EXPECT_EQ(peer.wire->reads, 1) << "it has earned some reads by now";
}

TEST_F(PeeringTest, Spec9_4_APeerThatLeavesIsTold) {
  Start();
  const Peer peer = Welcomed(2);
  v1::Frame frame = GoodFrame(TestTerms(2), 0, kCycle);
  Tell(peer, Frames({frame}));
  EXPECT_EQ(peering_->StandingAt(now_s_).staying, 1u);
  frame.mutable_beacon()->set_leaving(true);
  Tell(peer, Frames({frame}));
  EXPECT_EQ(peering_->StandingAt(now_s_).connected, 1u);
  EXPECT_EQ(peering_->StandingAt(now_s_).staying, 0u);
  EXPECT_TRUE(peering_->Peers(now_s_).peers(0).leaving());
  frame.set_shard_id(99);
  frame.mutable_beacon()->set_leaving(false);
  Tell(peer, Frames({frame}));
  EXPECT_EQ(peering_->StandingAt(now_s_).staying, 0u) << "a refused frame says nothing";
}

TEST_F(PeeringTest, FarClockOfAPeerIsNoticed) {
  Start();
  const Peer peer = Welcomed(2);
  for (int n = 0; n < 10; ++n) {
    Tell(peer, Frames(std::vector<v1::Frame>(10, GoodFrame(TestTerms(2), 0, kCycle + 1'000'000))));
  }
  EXPECT_EQ(peering_->StandingAt(now_s_).ahead, 1u);
  EXPECT_EQ(peering_->StandingAt(now_s_).in_step, 0u);
  EXPECT_EQ(peering_->refused().Of(Refusal::kFutureCycle), 100u);
  constexpr std::uint64_t kOldest = kCycle - vaultguard::kMaxCyclesAhead;
  for (int n = 0; n < 10; ++n) {
    now_s_ += 1;
    Tell(peer, Frames(std::vector<v1::Frame>(10, GoodFrame(TestTerms(2), 0, kOldest - 1))));
  }
  EXPECT_EQ(peering_->StandingAt(now_s_).ahead, 0u);
  EXPECT_EQ(peering_->StandingAt(now_s_).behind, 1u);
  EXPECT_EQ(peering_->StandingAt(now_s_).in_step, 0u);
  Tell(peer, Frames({GoodFrame(TestTerms(2), 0, kOldest)}));
  EXPECT_EQ(peering_->StandingAt(now_s_).behind, 0u);
  EXPECT_EQ(peering_->StandingAt(now_s_).in_step, 1u);
  EXPECT_EQ(peering_->StandingAt(now_s_).connected, 1u);
}

TEST_F(PeeringTest, WhatIsOfferedGoesToWhoHoldsTheLinkNow) {
  Start();
  const Peer first = Welcomed(2);
  auto frame = std::make_shared<shard::Frame>();
  frame->shard = 2;
  frame->cycle = kCycle;
  frame->value_slots = TestTerms(1).shape.value_slots;
  peering_->outlets()[0]->Offer(frame);
  peering_->outlets()[0]->Flush();
  peering_->outlets()[1]->Offer(frame);  // nobody is there
  peering_->outlets()[1]->Flush();
  const auto heard = Listen(first);
  ASSERT_THAT(heard, SizeIs(1));
  v1::Frame said;
  ASSERT_TRUE(said.ParseFromString(heard[0].frames().frames(0)));
  EXPECT_EQ(said.shard_id(), 2u);
  End(first);
  const Peer second = Welcomed(3);
  peering_->outlets()[1]->Offer(frame);
  peering_->outlets()[1]->Flush();
  EXPECT_THAT(Listen(second), SizeIs(1)) << "the link that was free for longest";
}

TEST_F(PeeringTest, Spec9_4_GoodbyeEndsTheStreamAndIsRemembered) {
  Start();
  const Peer peer = Welcomed(2, "10.0.0.2:7400");
  v1::PeerMessage goodbye;
  goodbye.mutable_goodbye()->set_reason(std::string(100'000, 'x'));
  Tell(peer, goodbye);
  EXPECT_THAT(std::string(Ended(peer).message()), HasSubstr("it left: xxx"));
  EXPECT_LT(Ended(peer).message().size(), 300u);
  End(peer);
  now_s_ += 1;
  EXPECT_THAT(peering_->Tick(kCycle, now_s_), Not(Contains("10.0.0.2:7400"))) << "who leaves is not dialled";
}

TEST_F(PeeringTest, TheOldestStrangerMakesRoom) {
  Start();
  const Peer oldest = Connect();
  while (peering_->stream_count() < options_.links + kStrangersMax) Connect();
  EXPECT_TRUE(Ended(oldest).ok());
  Connect();
  EXPECT_EQ(Ended(oldest).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(options_.refusals->Of(ConnectionRefusal::kHelloMissing), 1u);
}

TEST_F(PeeringTest, StreamsThatWereResetTakeABoundedPart) {
  Start();
  std::vector<std::shared_ptr<PeerStream>> reset;
  while (auto stream = peering_->Accept(now_s_)) {
    stream->Begin(std::make_unique<FakeCarrier>(std::make_shared<Wire>()));
    stream->Close(absl::UnavailableError("the peer hung up"));
    reset.push_back(std::move(stream));
    ASSERT_LE(reset.size(), kStreamsMax);
  }
  EXPECT_EQ(options_.refusals->Of(ConnectionRefusal::kStreamsFull), 1u);
  for (const auto& stream : reset) stream->Ended(stream->why(), now_s_);
  EXPECT_EQ(peering_->stream_count(), 0u);
  EXPECT_TRUE(Listen(Welcomed(2)).empty()) << "and once their carriers are gone, peers are taken again";
}

TEST_F(PeeringTest, DrainedItSaysGoodbyeAndLetsNobodyIn) {
  Start();
  const Peer peer = Welcomed(2);
  const Peer stranger = Connect();
  peering_->Drain("upgrade");
  EXPECT_TRUE(peering_->draining());
  ASSERT_THAT(Listen(peer), SizeIs(1));
  Tell(stranger, HelloMessage(3));
  EXPECT_EQ(Ended(stranger).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Ended(Connect()).code(), absl::StatusCode::kUnavailable);
  now_s_ += 5;
  EXPECT_THAT(peering_->Tick(kCycle, now_s_), IsEmpty()) << "nobody is dialled";
}

TEST_F(PeeringTest, StoppedItEndsEveryStreamAndDialsNobody) {
  Start();
  const Peer peer = Welcomed(2);
  const Peer stranger = Connect();
  peering_->Stop();
  EXPECT_EQ(Ended(peer).message(), "the node ends");
  EXPECT_EQ(Ended(stranger).message(), "the node ends");
  peering_->Abort();
  EXPECT_EQ(peer.wire->aborts, 1);
  EXPECT_EQ(peering_->Dialled("10.0.0.9:7400", now_s_), nullptr);
  peering_->Disconnect();
  changes_.clear();
  End(peer);
  EXPECT_THAT(changes_, IsEmpty()) << "the actors are not told any more";
}

TEST_F(PeeringTest, BeforeItsStartItLetsNobodyIn) {
  peering_ = std::make_shared<Peering>(options_);
  EXPECT_EQ(Ended(Connect()).code(), absl::StatusCode::kUnavailable);
}

TEST_F(PeeringTest, Spec10_FaultsOfATestNetwork) {
  Start();
  const Peer peer = Welcomed(2, "10.0.0.2:7400");
  const v1::PeerMessage frames = Frames({GoodFrame(TestTerms(2), 1, kCycle)});
  v1::Faults faults;
  faults.set_loss(1);
  ASSERT_TRUE(peering_->SetFaults(faults).ok());
  Tell(peer, frames);
  EXPECT_THAT(delivered_, IsEmpty());
  EXPECT_EQ(peering_->Traffic().frames_lost(), 1u);

  faults.set_loss(0);
  faults.set_delay_ms(200);
  ASSERT_TRUE(peering_->SetFaults(faults).ok());
  Tell(peer, frames);
  now_s_ += 0.1;
  peering_->Tick(kCycle, now_s_);
  EXPECT_THAT(delivered_, IsEmpty()) << "not yet";
  now_s_ += 0.11;
  peering_->Tick(kCycle, now_s_);
  EXPECT_THAT(delivered_, SizeIs(1));

  faults.set_delay_ms(0);
  faults.add_severed("10.0.0.2:7400");
  faults.add_severed("10.0.0.9:7400");
  ASSERT_TRUE(peering_->SetFaults(faults).ok());
  Tell(peer, frames);
  EXPECT_THAT(delivered_, SizeIs(1)) << "a severed peer is not heard";
  for (int n = 0; n < 100; ++n) {
    now_s_ += 0.1;
    EXPECT_THAT(peering_->Tick(kCycle, now_s_), IsEmpty()) << "nor dialled";
  }
  faults.set_loss(2);
  EXPECT_EQ(peering_->SetFaults(faults).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(PeeringTest, NodeThatIsNoTestNodeTakesNoFaults) {
  options_.faults = false;
  Start();
  EXPECT_EQ(peering_->SetFaults({}).code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace lvs::services
