// Decisions about streams, with carriers that do nothing and a time that the test sets.
#include "services/peering/peer_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/services/peering/fake_carrier.h"

namespace lvs::services {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

PeeringOptions TestOptions() {
  PeeringOptions options;
  static_cast<NodeTerms&>(options) = TestTerms(1);
  options.links = 4;
  options.refusals = std::make_shared<ConnectionRefusals>();
  return options;
}

class NoOwner final : public StreamOwner {
  void Take(const std::shared_ptr<PeerStream>&, const v1::PeerMessage&, std::size_t, double) override {}
  void Unreadable() override {}
  void Gone(const std::shared_ptr<PeerStream>&, const absl::Status&, double) override {}
};

class PeerTableTest : public ::testing::Test {
 protected:
  PeerTableTest() { table_.Start("10.0.0.1:7400", 0); }

  std::shared_ptr<PeerStream> Add(double now_s, const std::string& dialled = "") {
    auto stream = std::make_shared<PeerStream>(table_.NextId(), dialled, owner_,
                                               Outbox::Limits{.shards = options_.shards, .bytes = 1 << 20});
    table_.Add(stream, now_s);
    return stream;
  }
  absl::StatusOr<std::uint32_t> Admit(const std::shared_ptr<PeerStream>& stream, std::uint64_t session, double now_s) {
    const v1::Hello hello = OwnHello(TestTerms(session), "").hello();
    stream->Welcome(hello, 2);
    return table_.Admit(stream, hello, now_s);
  }

  const PeeringOptions options_ = TestOptions();
  const std::shared_ptr<NoOwner> owner_ = std::make_shared<NoOwner>();
  PeerTable table_{options_};
};

TEST_F(PeerTableTest, LinksAreTakenAndLeft) {
  std::vector<std::shared_ptr<PeerStream>> streams;
  for (std::uint64_t session = 2; session < 5; ++session) {
    streams.push_back(Add(0));
    EXPECT_EQ(*Admit(streams.back(), session, 0), session - 2);
  }
  EXPECT_EQ(table_.connected(), 3u);
  EXPECT_EQ(table_.Peers(1).peers_size(), 3);
  EXPECT_TRUE(table_.Remove(streams[1], absl::UnavailableError("gone"), 1));
  EXPECT_FALSE(table_.Remove(streams[1], absl::UnavailableError("gone"), 1)) << "twice is harmless";
  EXPECT_EQ(table_.connected(), 2u);
  const auto back = Add(2);
  EXPECT_EQ(*Admit(back, 3, 2), 1u) << "its former link";
}

TEST_F(PeerTableTest, NoMoreLinksThanThereAre) {
  for (std::uint64_t session = 2; session < 6; ++session) ASSERT_TRUE(Admit(Add(0), session, 0).ok());
  EXPECT_EQ(Admit(Add(0), 6, 0).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(PeerTableTest, Arch2_2_OneSessionHasOneLink) {
  ASSERT_TRUE(Admit(Add(0), 2, 0).ok());
  EXPECT_EQ(Admit(Add(5), 2, 5).status().code(), absl::StatusCode::kAlreadyExists);
}

// Two nodes that dial one another at once keep the stream that the smaller session dialled: here the one of this node.
TEST_F(PeerTableTest, OfTwoThatCrossTheOneOfTheSmallerSessionIsKept) {
  const auto theirs = Add(0);
  const auto ours = Add(0, "10.0.0.2:7400");
  ASSERT_TRUE(Admit(theirs, 2, 0.1).ok());
  ASSERT_TRUE(Admit(ours, 2, 0.2).ok());
  const PeerTable::Upkeep upkeep = table_.Tick(0.3, true);
  ASSERT_THAT(upkeep.close, SizeIs(1));
  EXPECT_EQ(upkeep.close[0].first, theirs);
  EXPECT_TRUE(absl::IsAlreadyExists(upkeep.close[0].second));
}

TEST_F(PeerTableTest, TheOldestStrangerMakesRoomForTheNewest) {
  const auto first = Add(0);
  const auto dialled = Add(0, "10.0.0.2:7400");
  while (table_.stream_count() < options_.links + kStrangersMax) {
    EXPECT_EQ(table_.CrowdedOut(), nullptr);
    Add(0);
  }
  EXPECT_EQ(table_.CrowdedOut(), first);
  first->Close(absl::ResourceExhaustedError("too many"));
  EXPECT_NE(table_.CrowdedOut(), first) << "it leaves already";
  EXPECT_NE(table_.CrowdedOut(), dialled) << "a stream of this node's is no stranger";
}

// Rapid reset: streams end faster than their carriers report it. The search for room must not pass the ended ones again
// for each new one, and their number is bounded.
TEST_F(PeerTableTest, EndedStreamsThatStayAreBoundedAndSoughtOnce) {
  std::vector<std::shared_ptr<PeerStream>> ended;
  while (!table_.full()) {
    if (const auto crowded_out = table_.CrowdedOut()) crowded_out->Close(absl::ResourceExhaustedError("too many"));
    ended.push_back(Add(0));
    ended.back()->Close(absl::UnavailableError("the peer hung up"));
  }
  EXPECT_EQ(table_.stream_count(), kStreamsMax);
  EXPECT_EQ(table_.CrowdedOut(), nullptr) << "all of them leave already";
  table_.Remove(ended.front(), absl::UnavailableError("the peer hung up"), 0);
  EXPECT_FALSE(table_.full());
  const auto open = Add(0);
  EXPECT_EQ(table_.CrowdedOut(), open);
}

TEST_F(PeerTableTest, StrangersAreEndedAfterTheHelloTime) {
  const auto stranger = Add(0);
  const auto dialled = Add(0, "10.0.0.2:7400");
  EXPECT_THAT(table_.Tick(options_.hello_s - 0.1, true).close, IsEmpty());
  EXPECT_THAT(table_.Tick(options_.hello_s + 0.1, true).close, SizeIs(2));
  EXPECT_EQ(options_.refusals->Of(ConnectionRefusal::kHelloMissing), 1u) << "only who dialled owes a hello";
}

TEST_F(PeerTableTest, Spec9_4_SilentLinksAreEndedAndOthersPinged) {
  const auto stream = Add(0);
  ASSERT_TRUE(Admit(stream, 2, 0).ok());
  int pings = 0;
  for (double now_s = 1; now_s < options_.silence_s; now_s += 0.5) {
    const PeerTable::Upkeep upkeep = table_.Tick(now_s, true);
    EXPECT_THAT(upkeep.close, IsEmpty());
    for (const auto& [to, message] : upkeep.say) pings += message.has_ping() ? 1 : 0;
  }
  EXPECT_EQ(pings, 5) << "one a second";
  EXPECT_THAT(table_.Tick(options_.silence_s + 0.1, true).close, SizeIs(1));
  table_.Find(stream->id)->heard_s = options_.silence_s;
  EXPECT_THAT(table_.Tick(options_.silence_s + 0.2, true).close, IsEmpty());
}

TEST_F(PeerTableTest, ClosedStreamsThatStayAreAborted) {
  const auto stream = Add(0);
  stream->Close(absl::UnavailableError("over"));
  EXPECT_THAT(table_.Tick(1, true).abort, IsEmpty());
  EXPECT_THAT(table_.Tick(2.9, true).abort, IsEmpty());
  EXPECT_THAT(table_.Tick(3.1, true).abort, ElementsAre(stream));
}

TEST_F(PeerTableTest, RestingStreamsAreResumedOnceTheirDebtIsPaid) {
  const auto stream = Add(0);
  ASSERT_TRUE(Admit(stream, 2, 0).ok());
  PeerTable::Link& link = *table_.Find(stream->id);
  while (link.intake.MayRead(1, 0)) {
  }
  link.resting = true;
  EXPECT_THAT(table_.Tick(0, true).resume, IsEmpty());
  EXPECT_THAT(table_.Tick(0.2, true).resume, ElementsAre(stream));
  EXPECT_THAT(table_.Tick(0.4, true).resume, IsEmpty()) << "once";
}

TEST_F(PeerTableTest, RoundTripsAreMeasuredAndLiesIgnored) {
  const auto stream = Add(0);
  ASSERT_TRUE(Admit(stream, 2, 0).ok());
  PeerTable::Link* const link = table_.Find(stream->id);
  v1::Ping pong;
  pong.set_sent_us(1'000'000);
  table_.Pong(pong, 1.025, link);
  EXPECT_NEAR(link->rtt_ms, 25, 0.01);
  pong.set_sent_us(~0ull);  // from the future
  table_.Pong(pong, 2, link);
  pong.set_sent_us(1);  // older than a minute
  table_.Pong(pong, 100, link);
  EXPECT_NEAR(link->rtt_ms, 25, 0.01);
}

TEST_F(PeerTableTest, WhatFailedToBeDialledIsKnownWithItsReason) {
  const auto stream = Add(0, "10.0.0.2:7400");
  v1::PeerExchange heard;
  heard.add_peers()->set_address("10.0.0.2:7400");
  table_.membership().Heard(Membership::kLocal, heard, 0);
  EXPECT_FALSE(table_.Remove(stream, absl::UnavailableError("nobody there"), 1));
  ASSERT_EQ(table_.Peers(1).known_size(), 1);
  EXPECT_EQ(table_.Peers(1).known(0).last_error(), "nobody there");
  EXPECT_FALSE(table_.Remove(Add(2, "10.0.0.2:7400"), absl::AbortedError("the hello is this node's own"), 2));
  EXPECT_EQ(table_.Peers(3).known_size(), 0) << "the address is this node's own";
}

TEST_F(PeerTableTest, LeavingItSeeksNobody) {
  v1::PeerExchange heard;
  heard.add_peers()->set_address("10.0.0.2:7400");
  table_.membership().Heard(Membership::kLocal, heard, 0);
  EXPECT_THAT(table_.Tick(1, false).dial, IsEmpty());
  EXPECT_THAT(table_.Tick(1, true).dial, ElementsAre("10.0.0.2:7400"));
}

TEST_F(PeerTableTest, TrafficCountsStreamsThatAreGone) {
  const auto stream = Add(0);
  ASSERT_TRUE(Admit(stream, 2, 0).ok());
  table_.Find(stream->id)->intake.Count(std::nullopt);
  stream->Begin(std::make_unique<FakeCarrier>(std::make_shared<Wire>()));
  ASSERT_TRUE(stream->Received(Ping(1).SerializeAsString(), 0));
  const std::uint64_t bytes = table_.Traffic().bytes_received();
  EXPECT_EQ(bytes, Ping(1).ByteSizeLong());
  EXPECT_GT(table_.Traffic().outbox_bytes_max(), 0u);
  table_.Remove(stream, absl::UnavailableError("gone"), 1);
  EXPECT_EQ(table_.Traffic().bytes_received(), bytes);
  EXPECT_EQ(table_.Traffic().frames_received(), 1u);
  EXPECT_EQ(table_.Traffic().outbox_bytes_max(), 0u);
  stream->Ended(absl::UnavailableError("gone"), 1);
}

}  // namespace
}  // namespace lvs::services
