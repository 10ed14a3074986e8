#include "services/peering/peer_stream.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/services/peering/fake_carrier.h"

namespace lvs::services {
namespace {

// Notes what it is told.
class Owner final : public StreamOwner {
 public:
  void Take(const std::shared_ptr<PeerStream>& stream, const v1::PeerMessage& message, std::size_t bytes,
            double now_s) override {
    taken.push_back(message);
    bytes_taken += bytes;
    if (pauses) stream->Pause();
    if (resumes_at_once) stream->Resume();
  }
  void Unreadable() override { ++unreadable; }
  void Gone(const std::shared_ptr<PeerStream>& stream, const absl::Status& why, double now_s) override {
    ++gone;
    gone_why = why;
    gone_s = now_s;
  }

  std::vector<v1::PeerMessage> taken;
  std::size_t bytes_taken = 0;
  bool pauses = false;
  bool resumes_at_once = false;
  int unreadable = 0;
  int gone = 0;
  absl::Status gone_why;
  double gone_s = 0;
};

class PeerStreamTest : public ::testing::Test {
 protected:
  // A stream that has begun holds itself until its end is reported.
  void TearDown() override {
    if (stream_ != nullptr) stream_->Ended(absl::CancelledError("the test is over"), 0);
  }

  void Begin() { stream_->Begin(std::make_unique<FakeCarrier>(wire_)); }

  std::shared_ptr<Wire> wire_ = std::make_shared<Wire>();
  std::shared_ptr<Owner> owner_ = std::make_shared<Owner>();
  std::shared_ptr<PeerStream> stream_ =
      std::make_shared<PeerStream>(1, "a:1", owner_, Outbox::Limits{.shards = 4, .bytes = 1 << 20});
};

TEST_F(PeerStreamTest, ReadsOneMessageAfterAnother) {
  Begin();
  EXPECT_EQ(wire_->reads, 1);
  Say(stream_.get(), wire_.get(), Ping(1), 0);
  Say(stream_.get(), wire_.get(), Ping(2), 0);
  EXPECT_EQ(owner_->taken.size(), 2u);
  EXPECT_EQ(stream_->counts().bytes_received, owner_->bytes_taken);
  EXPECT_EQ(wire_->reads, 1);
}

TEST_F(PeerStreamTest, BytesThatAreNoMessageAreReported) {
  Begin();
  EXPECT_FALSE(stream_->Received("\xff\xff\xff\xff\xff this is no message", 0));
  EXPECT_TRUE(owner_->taken.empty());
  EXPECT_EQ(stream_->counts().bytes_received, 0u);
}

TEST_F(PeerStreamTest, PausedItReadsNothingUntilItIsResumed) {
  Begin();
  owner_->pauses = true;
  Say(stream_.get(), wire_.get(), Ping(1), 0);
  EXPECT_EQ(wire_->reads, 0);
  stream_->Resume();
  stream_->Resume();
  EXPECT_EQ(wire_->reads, 1) << "one read at a time";
}

TEST_F(PeerStreamTest, ResumeThatComesBeforeTheMessageIsDoneIsNotLost) {
  Begin();
  owner_->pauses = owner_->resumes_at_once = true;
  Say(stream_.get(), wire_.get(), Ping(1), 0);
  EXPECT_EQ(wire_->reads, 1);
}

TEST_F(PeerStreamTest, WhatWasSaidBeforeTheCarrierIsThereWaits) {
  stream_->Say(Ping(1));
  Begin();
  ASSERT_EQ(wire_->written.size(), 1u);
  stream_->Say(Ping(2));
  EXPECT_EQ(wire_->written.size(), 1u) << "one write at a time";
  wire_->writing = false;
  stream_->Written();
  ASSERT_EQ(wire_->written.size(), 2u);
  EXPECT_EQ(wire_->written[1].ping().sent_us(), 2u);
}

TEST_F(PeerStreamTest, TheFirstReasonOfAnEndCounts) {
  Begin();
  stream_->Close(absl::UnavailableError("first"));
  stream_->Close(absl::InternalError("second"));
  ASSERT_TRUE(wire_->ended.has_value());
  EXPECT_EQ(wire_->ended->message(), "first");
  EXPECT_EQ(stream_->why().message(), "first");
  stream_->Say(Ping(1));
  EXPECT_TRUE(wire_->written.empty()) << "a closed stream says nothing";
  stream_->Abort();
  EXPECT_EQ(wire_->aborts, 1);
}

TEST_F(PeerStreamTest, ClosedBeforeItBeginsItEndsAtOnceAndNeverReads) {
  stream_->Close(absl::UnavailableError("not now"));
  stream_->Abort();
  Begin();
  ASSERT_TRUE(wire_->ended.has_value());
  EXPECT_EQ(wire_->ended->message(), "not now");
  EXPECT_EQ(wire_->reads, 0);
}

TEST_F(PeerStreamTest, KeepsItselfAliveUntilItsEndIsReported) {
  Begin();
  PeerStream* const stream = stream_.get();
  const std::weak_ptr<PeerStream> watch = stream_;
  stream_ = nullptr;
  EXPECT_FALSE(watch.expired());
  stream->Ended(absl::UnavailableError("over"), 12.5);
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(owner_->gone, 1);
  EXPECT_EQ(owner_->gone_why.message(), "over");
  EXPECT_EQ(owner_->gone_s, 12.5);
}

TEST_F(PeerStreamTest, HelloIsKeptWithoutWhatIsUnknownInIt) {
  v1::Hello hello = OwnHello(TestTerms(2), "b:1").hello();
  ASSERT_TRUE(hello.MergeFromString("\xfa\x7f\x03xyz"));  // field 2047
  EXPECT_NE(hello.ByteSizeLong(), OwnHello(TestTerms(2), "b:1").hello().ByteSizeLong());
  stream_->Welcome(hello, 2);
  EXPECT_EQ(stream_->hello().ByteSizeLong(), OwnHello(TestTerms(2), "b:1").hello().ByteSizeLong());
  EXPECT_EQ(stream_->protocol(), 2u);
}

}  // namespace
}  // namespace lvs::services
