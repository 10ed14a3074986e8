// The test vectors of docs/protocol.md (SPEC-14) that concern what two server nodes say: cycles, hellos, frames.
#include "tests/vectors/vectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "lvs/v1/peer.pb.h"
#include "services/base/cycle_clock.h"
#include "services/peering/hello.h"
#include "services/peering/membership.h"
#include "shard/frame_codec.h"
#include "shard/intake.h"

namespace lvs::services {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using vectors::Cases;
using vectors::Number;
using vectors::Word;

TEST(Vectors, Spec14_Cycles) {
  const json file = vectors::Read("clock");
  for (const json& c : Cases(file, "cycles")) {
    const vectors::Named named(c);
    const std::chrono::system_clock::time_point at{std::chrono::microseconds(c.at("unix_us").get<std::int64_t>())};
    const std::uint64_t cycle = Number(c.at("cycle"));
    const std::uint64_t period_us = Number(c.at("period_us"));
    EXPECT_EQ(CycleAt(at, period_us), cycle);
    EXPECT_TRUE(cycle == 0 || CycleStart(cycle, period_us) <= at);
    EXPECT_LT(at, CycleStart(cycle + 1, period_us));
  }
}

NodeTerms TermsIn(const json& c) {
  NodeTerms terms;
  terms.shards = Word(c.at("shards"));
  terms.shape.value_slots = c.at("value_slots").get<int>();
  terms.shape.free_coordinates = c.at("free_coordinates").get<int>();
  return terms;
}

void ExpectHello(const v1::Hello& hello, const json& c) {
  EXPECT_EQ(hello.protocol_min(), Word(c.at("protocol_min")));
  EXPECT_EQ(hello.protocol_max(), Word(c.at("protocol_max")));
  EXPECT_EQ(hello.build(), c.at("build").get<std::string>());
  EXPECT_EQ(hello.session_high(), Number(c.at("session_high")));
  EXPECT_EQ(hello.session_low(), Number(c.at("session_low")));
  EXPECT_EQ(hello.region(), c.at("region").get<std::string>());
  EXPECT_EQ(hello.advertise(), c.at("advertise").get<std::string>());
  EXPECT_EQ(hello.shards(), Word(c.at("shards")));
  EXPECT_EQ(hello.value_slots(), Word(c.at("value_slots")));
  EXPECT_EQ(hello.free_coordinates(), Word(c.at("free_coordinates")));
  EXPECT_EQ(hello.period_us(), Number(c.at("period_us")));
  EXPECT_EQ(hello.halo_rows(), Word(c.at("halo_rows")));
}

TEST(Vectors, Spec14_Hellos) {
  const json file = vectors::Read("hello");
  const json& own = file.at("own");
  NodeTerms terms = TermsIn(own);
  terms.session = {Number(own.at("session_high")), Number(own.at("session_low"))};
  terms.period_us = Number(own.at("period_us"));
  ASSERT_EQ(kProtocolMin, Word(own.at("protocol_min")));
  ASSERT_EQ(terms.protocol_max, Word(own.at("protocol_max")));
  for (const json& c : Cases(file, "hellos")) {
    const vectors::Named named(c);
    v1::PeerMessage message;
    ASSERT_TRUE(message.ParseFromString(vectors::Bytes(c.at("hex"))));
    ASSERT_TRUE(message.has_hello());
    if (c.contains("hello")) {
      ExpectHello(message.hello(), c.at("hello"));
      EXPECT_EQ(vectors::Hex(message.SerializeAsString()), c.at("hex").get<std::string>());
    }
    const absl::Status status = CheckHello(terms, message.hello());
    EXPECT_EQ(absl::StatusCodeToString(status.code()), c.at("status").get<std::string>()) << status;
    if (status.ok()) {
      EXPECT_EQ(AgreedProtocol(terms, message.hello()), Word(c.at("protocol")));
    } else {
      EXPECT_THAT(std::string(status.message()), HasSubstr(c.at("says").get<std::string>()));
    }
  }
}

TEST(Vectors, Spec14_TwoStreams) {
  const json file = vectors::Read("hello");
  const auto session = [](const json& pair) { return shard::SessionId{Number(pair.at(0)), Number(pair.at(1))}; };
  for (const json& c : Cases(file, "two_streams")) {
    const vectors::Named named(c);
    Membership membership({.seed = 1, .session = session(c.at("own")), .self = "10.0.0.1:7400"});
    const std::string peer = "10.0.0.2:7400";
    const bool own_first = c.at("first_dialled_by") == "own";
    const auto stream = [&](LinkId id, bool own) {
      return PeerLink{id, peer, own ? peer : "", "eu", session(c.at("peer"))};
    };
    ASSERT_TRUE(membership.Connected(stream(1, own_first), 100).ok());
    const absl::Status second =
        membership.Connected(stream(2, !own_first), 100 + c.at("seconds_between").get<double>());
    EXPECT_EQ(second.ok() ? "second" : "first", c.at("stays").get<std::string>()) << second;
    EXPECT_TRUE(second.ok() || absl::IsAlreadyExists(second)) << second;
  }
}

shard::Frame FrameIn(const json& c) {
  shard::Frame frame;
  frame.shard = Word(c.at("shard_id"));
  frame.cycle = Number(c.at("cycle_id"));
  frame.sender = {Number(c.at("session_high")), Number(c.at("session_low"))};
  const auto amounts = [](const json& column) {
    shard::SlotAmounts out{};
    for (std::size_t n = 0; n < column.size(); ++n) out.at(n) = static_cast<std::int64_t>(Number(column.at(n)));
    return out;
  };
  frame.total_uvu = amounts(c.at("total_uvu"));
  frame.value_slots = static_cast<int>(c.at("total_uvu").size());
  frame.ledger_digest = Number(c.at("ledger_digest"));
  frame.news_from = Number(c.at("news_from"));
  frame.news_to = Number(c.at("news_to"));
  frame.acknowledged = Number(c.at("acknowledged"));
  frame.acknowledged_of = Number(c.at("acknowledged_session_low"));
  for (const json& entry : c.at("entries")) {
    frame.entries.push_back({{Number(entry.at("session_high")), Number(entry.at("session_low"))},
                             Number(entry.at("opened_cycle")),
                             amounts(entry.at("amount_uvu"))});
  }
  for (const json& row : c.at("halo_row")) frame.halo_row.push_back(Word(row));
  for (const json& cycle : c.at("published_cycle")) frame.published_cycle.push_back(Word(cycle));
  for (const json& weight : c.at("drift_weight")) frame.drift_weight.push_back(weight.get<std::uint8_t>());
  for (const json& bits : c.at("diff")) frame.diff.push_back(vectors::Float(bits));
  for (const json& word : c.at("entropy")) frame.entropy.push_back(Word(word));
  const json& beacon = c.at("beacon");
  frame.beacon = {Word(beacon.at("replicas")), vectors::Float(beacon.at("load")),
                  vectors::Float(beacon.at("low_power_share")), Word(beacon.at("leaving")) != 0};
  frame.correction = static_cast<shard::Correction>(Word(c.at("correction").at("kind")));
  frame.correction_buckets = Word(c.at("correction").at("bucket_mask"));
  for (const json& digest : c.at("bucket_digest")) frame.bucket_digest.push_back(Number(digest));
  for (const json& change : c.at("held_range")) frame.held.push_back(Number(change));
  frame.news_all = Number(c.at("news_all"));
  return frame;
}

std::string EncodedHex(const shard::Frame& frame) {
  std::string bytes(shard::EncodedSize(frame), '\0');
  shard::Encode(frame, reinterpret_cast<std::uint8_t*>(bytes.data()));
  return vectors::Hex(bytes);
}

TEST(Vectors, Spec14_Frames) {
  const json file = vectors::Read("frames");
  NodeTerms terms = TermsIn(file.at("terms"));
  terms.halo_rows = Word(file.at("terms").at("halo_rows"));
  const std::uint64_t cycle = Number(file.at("cycle"));
  for (const json& c : Cases(file, "taken")) {
    const vectors::Named named(c);
    shard::Frame frame;
    const auto refused = shard::ReadFrame(vectors::Bytes(c.at("hex")), terms, cycle, &frame);
    EXPECT_FALSE(refused.has_value()) << Name(*refused);
    // Equal frames have equal bytes.
    const std::string expected = EncodedHex(FrameIn(c.at("frame")));
    EXPECT_EQ(EncodedHex(frame), expected);
    if (c.at("canonical").get<bool>()) {
      EXPECT_EQ(expected, c.at("hex").get<std::string>());
    }
  }
  for (const json& c : Cases(file, "refused")) {
    const vectors::Named named(c);
    shard::Frame frame;
    const auto refused = shard::ReadFrame(vectors::Bytes(c.at("hex")), terms, cycle, &frame);
    ASSERT_TRUE(refused.has_value());
    EXPECT_EQ(std::string(Name(*refused)), c.at("reason").get<std::string>());
  }
}

}  // namespace
}  // namespace lvs::services
