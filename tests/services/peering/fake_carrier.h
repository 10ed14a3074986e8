// A carrier whose other end is the test: what the stream asks of it is noted, and nothing happens by itself.
//
//   auto wire = std::make_shared<Wire>();
//   stream->Begin(std::make_unique<FakeCarrier>(wire));
//   Say(*stream, *wire, message, now_s);                       // the peer says something
//   for (const v1::PeerMessage& said : Heard(stream.get(), wire.get())) ...   // what the peer has heard since
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lvs/v1/messages.pb.h"
#include "lvs/v1/peer.pb.h"
#include "services/peering/carrier.h"
#include "services/peering/hello.h"
#include "services/peering/peer_stream.h"

namespace lvs::services {

struct Wire {
  int reads = 0;   // messages that the stream has asked for
  int aborts = 0;  //
  bool writing = false;
  std::vector<v1::PeerMessage> written;
  std::optional<absl::Status> ended;
};

class FakeCarrier final : public Carrier {
 public:
  explicit FakeCarrier(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}

  void Read() override { ++wire_->reads; }
  void Write(MessageBytes message) override {
    EXPECT_FALSE(wire_->writing) << "a second write before the first is done";
    wire_->writing = true;
    v1::PeerMessage& said = wire_->written.emplace_back();
    EXPECT_TRUE(said.ParseFromArray(message.data.get(), static_cast<int>(message.size)));
  }
  void End(const absl::Status& why) override {
    EXPECT_FALSE(wire_->ended.has_value()) << "ended twice";
    wire_->ended = why;
  }
  void Abort() override { ++wire_->aborts; }

 private:
  const std::shared_ptr<Wire> wire_;
};

// The peer says this, where the stream reads.
inline void Say(PeerStream* stream, Wire* wire, const v1::PeerMessage& message, double now_s) {
  ASSERT_GT(wire->reads, 0) << "the stream does not read";
  --wire->reads;
  EXPECT_TRUE(stream->Received(message.SerializeAsString(), now_s));
}

// Lets the peer read all that waits; what it has read since the last call.
inline std::vector<v1::PeerMessage> Heard(PeerStream* stream, Wire* wire) {
  while (std::exchange(wire->writing, false)) stream->Written();
  return std::exchange(wire->written, {});
}

inline NodeTerms TestTerms(std::uint64_t session) {
  NodeTerms terms;
  terms.region = "eu";
  terms.build = "test";
  terms.session = {session, session};
  terms.shards = 4;
  terms.period_us = 100'000;
  return terms;
}

inline v1::PeerMessage Ping(std::uint64_t sent_us) {
  v1::PeerMessage message;
  message.mutable_ping()->set_sent_us(sent_us);
  return message;
}

// The cycle of this side.
inline constexpr std::uint64_t kCycle = 1000;

// A frame that is taken: nothing new in it.
inline v1::Frame GoodFrame(const NodeTerms& from, std::uint32_t shard, std::uint64_t cycle) {
  v1::Frame frame;
  frame.set_shard_id(shard);
  frame.set_cycle_id(cycle);
  frame.set_session_high(from.session.high);
  frame.set_session_low(from.session.low);
  for (int slot = 0; slot < from.shape.value_slots; ++slot) frame.add_total_uvu(0);
  frame.mutable_beacon()->set_replicas(1);
  return frame;
}

}  // namespace lvs::services
