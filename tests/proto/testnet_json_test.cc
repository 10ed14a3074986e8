// TEST-4.2: the testnet's JSON forms of the entropy packet (SPEC-6.1) and the state diff (SPEC-6.2).
#include "proto/testnet_json.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace lvs::proto {
namespace {

v1::EntropyPacket Packet(std::vector<float> entropy, std::uint64_t timestamp_us) {
  v1::EntropyPacket packet;
  packet.mutable_entropy_vector()->Add(entropy.begin(), entropy.end());
  packet.set_timestamp_us(timestamp_us);
  return packet;
}

v1::StateDiff Diff(std::vector<float> diff_vector, float drift_weight) {
  v1::StateDiff diff;
  diff.mutable_diff_vector()->Add(diff_vector.begin(), diff_vector.end());
  diff.set_drift_weight(drift_weight);
  return diff;
}

// Refused with InvalidArgumentError, for the reason given.
void ExpectRefused(const std::string& text, const std::string& reason) {
  const auto message = ParseTestnetJson(text);
  ASSERT_FALSE(message.ok()) << text;
  EXPECT_EQ(message.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(message.status().message().find(reason), std::string::npos)
      << text << "\nwas refused with: " << message.status() << "\nnot with: " << reason;
}

TEST(Test4_2_TestnetForms, EntropyPacketIsWrittenToTheLetter) {
  EXPECT_EQ(ToTestnetJson(Packet({0.25f, -1.5f}, 1'700'000'000'000'000)).value(),
            R"({"type":"ep","entropy":[0.25,-1.5],"ts":1700000000000})");
}

TEST(Test4_2_TestnetForms, StateDiffIsWrittenToTheLetter) {
  EXPECT_EQ(ToTestnetJson(Diff({0.1f, -3}, 0.5f)).value(), R"({"type":"sdm","diff":[0.1,-3],"w":0.5})");
}

TEST(Test4_2_TestnetForms, EntropyPacketIsReadWithMillisecondsAsMicroseconds) {
  const auto message = ParseTestnetJson(R"( {"ts": 1700000000000, "entropy": [1, -2.5e-1], "type": "ep"} )");
  ASSERT_TRUE(message.ok()) << message.status();
  const auto& packet = std::get<v1::EntropyPacket>(*message);
  EXPECT_EQ(packet.timestamp_us(), 1'700'000'000'000'000u);
  ASSERT_EQ(packet.entropy_vector_size(), 2);
  EXPECT_EQ(packet.entropy_vector(0), 1.0f);
  EXPECT_EQ(packet.entropy_vector(1), -0.25f);
  EXPECT_EQ(packet.local_node_load(), 0.0f);
  EXPECT_FALSE(packet.has_noise_flags());
}

TEST(Test4_2_TestnetForms, StateDiffIsRead) {
  const auto message = ParseTestnetJson(R"({"type":"sdm","diff":[0.5,-0.125],"w":1})");
  ASSERT_TRUE(message.ok()) << message.status();
  const auto& diff = std::get<v1::StateDiff>(*message);
  ASSERT_EQ(diff.diff_vector_size(), 2);
  EXPECT_EQ(diff.diff_vector(0), 0.5f);
  EXPECT_EQ(diff.diff_vector(1), -0.125f);
  EXPECT_EQ(diff.drift_weight(), 1.0f);
  EXPECT_EQ(diff.shard_id(), 0u);
  EXPECT_EQ(diff.cycle_id(), 0u);
}

TEST(Spec6_1_EntropyPacket, CarriesEveryFieldThroughJson) {
  v1::EntropyPacket packet = Packet({1.25f}, 42'000);
  packet.set_local_node_load(0.75f);
  packet.set_noise_flags(v1::NOISE_FLAG_REPETITION | v1::NOISE_FLAG_PROPORTION);
  const std::string text = ToTestnetJson(packet).value();
  EXPECT_EQ(text, R"({"type":"ep","entropy":[1.25],"ts":42,"load":0.75,"flags":3})");
  const auto back = ParseTestnetJson(text);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(std::get<v1::EntropyPacket>(*back).SerializeAsString(), packet.SerializeAsString());
}

TEST(Spec6_2_StateDiff, CarriesEveryFieldThroughJson) {
  v1::StateDiff diff = Diff({1.25f, 0, 7}, 0.5f);
  diff.set_shard_id(4'294'967'295u);
  diff.set_cycle_id((std::uint64_t{1} << 53) - 1);
  const std::string text = ToTestnetJson(diff).value();
  EXPECT_EQ(text, R"({"type":"sdm","diff":[1.25,0,7],"w":0.5,"shard":4294967295,"cycle":9007199254740991})");
  const auto back = ParseTestnetJson(text);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(std::get<v1::StateDiff>(*back).SerializeAsString(), diff.SerializeAsString());
}

TEST(Test4_2_TestnetForms, FloatsRoundTripBitForBit) {
  // The last is 7.038531e-26, whose shortest text read as a double rounds to the wrong float.
  std::vector<std::uint32_t> patterns = {0x00000000u, 0x80000000u, 0x00000001u, 0x80000001u, 0x007fffffu, 0x00800000u,
                                         0x7f7fffffu, 0xff7fffffu, 0x3f800000u, 0x3dcccccdu, 0x15ae43fdu};
  std::uint32_t x = 12345;
  while (patterns.size() < 120'000) patterns.push_back(x = x * 1664525u + 1013904223u);
  int tested = 0;
  for (const std::uint32_t pattern : patterns) {
    const float value = std::bit_cast<float>(pattern);
    if (!std::isfinite(value)) continue;
    const auto text = ToTestnetJson(Diff({value}, 0));
    ASSERT_TRUE(text.ok()) << text.status();
    const auto back = ParseTestnetJson(*text);
    ASSERT_TRUE(back.ok()) << *text << back.status();
    ASSERT_EQ(std::bit_cast<std::uint32_t>(std::get<v1::StateDiff>(*back).diff_vector(0)), pattern) << *text;
    ++tested;
  }
  EXPECT_GT(tested, 100'000);
}

TEST(Test4_2_TestnetForms, TheLargestMessageFits) {
  v1::StateDiff diff = Diff(std::vector<float>(kTestnetMaxDimension, -1.17549435e-38f), 0.123456789f);
  diff.set_shard_id(4'294'967'295u);
  diff.set_cycle_id((std::uint64_t{1} << 53) - 1);
  const std::string text = ToTestnetJson(diff).value();
  EXPECT_LE(text.size(), kTestnetMaxBytes);
  EXPECT_TRUE(ParseTestnetJson(text).ok());
}

TEST(Spec10_BadInput, UnknownOrMissingTypeIsRefused) {
  ExpectRefused(R"({"type":"sync","diff":[1],"w":0.5})", "unknown type");
  ExpectRefused(R"({"type":"EP","entropy":[1],"ts":1})", "unknown type");
  ExpectRefused(R"({"type":7,"entropy":[1],"ts":1})", "unknown type");
  ExpectRefused(R"({"entropy":[1],"ts":1})", "missing key \"type\"");
}

TEST(Spec10_BadInput, MissingKeysAreNamed) {
  ExpectRefused(R"({"type":"ep","ts":1})", "missing key \"entropy\"");
  ExpectRefused(R"({"type":"ep","entropy":[1]})", "missing key \"ts\"");
  ExpectRefused(R"({"type":"sdm","w":0.5})", "missing key \"diff\"");
  ExpectRefused(R"({"type":"sdm","diff":[1]})", "missing key \"w\"");
}

TEST(Spec10_BadInput, UnknownKeysAreNamed) {
  ExpectRefused(R"({"type":"ep","entropy":[1],"ts":1,"w":1})", "unknown key \"w\"");
  ExpectRefused(R"({"type":"sdm","diff":[1],"w":1,"entropy":[1]})", "unknown key \"entropy\"");
  ExpectRefused(R"({"type":"sdm","diff":[1],"w":1,"account":"a"})", "unknown key \"account\"");
}

TEST(Spec10_BadInput, RepeatedKeysAreRefused) {
  ExpectRefused(R"({"type":"ep","entropy":[1],"ts":1,"ts":2})", "repeated key \"ts\"");
  ExpectRefused(R"({"type":"sdm","type":"ep","entropy":[1],"ts":1})", "repeated key \"type\"");
  ExpectRefused("{\"type\":\"ep\",\"entropy\":[1],\"ts\":1,\"t\\u0073\":1}", "repeated key \"ts\"");
}

TEST(Spec10_BadInput, WrongTypesAreNamed) {
  ExpectRefused(R"({"type":"ep","entropy":1,"ts":1})", "\"entropy\" must be an array");
  ExpectRefused(R"({"type":"ep","entropy":{"0":1},"ts":1})", "\"entropy\" must be an array");
  ExpectRefused(R"({"type":"ep","entropy":[1,"2"],"ts":1})", "\"entropy\" holds string");
  ExpectRefused(R"({"type":"ep","entropy":[null],"ts":1})", "\"entropy\" holds null");
  ExpectRefused(R"({"type":"ep","entropy":[[1]],"ts":1})", "\"entropy\" holds array");
  ExpectRefused(R"({"type":"ep","entropy":[true],"ts":1})", "\"entropy\" holds boolean");
  ExpectRefused(R"({"type":"ep","entropy":[1],"ts":"1"})", "\"ts\" must be an integer");
  ExpectRefused(R"({"type":"ep","entropy":[1],"ts":1.5})", "\"ts\" must be an integer");
  ExpectRefused(R"({"type":"ep","entropy":[1],"ts":-1})", "\"ts\" must be an integer");
  ExpectRefused(R"({"type":"ep","entropy":[1],"ts":9007199254740992})", "\"ts\" must be an integer");
  ExpectRefused(R"({"type":"ep","entropy":[1],"ts":99999999999999999999})", "\"ts\" must be an integer");
  ExpectRefused(R"({"type":"ep","entropy":[1],"ts":1,"flags":4294967296})", "\"flags\" must be an integer");
  ExpectRefused(R"({"type":"ep","entropy":[1],"ts":1,"load":1.01})", "\"load\" must be from 0 to 1");
  ExpectRefused(R"({"type":"sdm","diff":[1],"w":null})", "\"w\" holds null");
  ExpectRefused(R"({"type":"sdm","diff":[1],"w":-0.01})", "\"w\" must be from 0 to 1");
  ExpectRefused(R"({"type":"sdm","diff":[1],"w":1,"shard":4294967296})", "\"shard\" must be an integer");
  ExpectRefused(R"({"type":"sdm","diff":[1],"w":1,"cycle":9007199254740992})", "\"cycle\" must be an integer");
}

TEST(Spec10_BadInput, NumbersThatAreNoneAreRefused) {
  ExpectRefused(R"({"type":"sdm","diff":[NaN],"w":1})", "parse error");
  ExpectRefused(R"({"type":"sdm","diff":[Infinity],"w":1})", "parse error");
  ExpectRefused(R"({"type":"sdm","diff":[-1e400],"w":1})", "number overflow");
  ExpectRefused(R"({"type":"sdm","diff":[3.5e38],"w":1})", "too large for a float");
}

TEST(Spec10_BadInput, DimensionsAreLimited) {
  const auto with_dimension = [](int n) {
    std::string numbers;
    for (int i = 0; i < n; ++i) numbers += i == 0 ? "1" : ",1";
    return R"({"type":"sdm","w":1,"diff":[)" + numbers + "]}";
  };
  ExpectRefused(with_dimension(0), "\"diff\" has dimension 0");
  EXPECT_TRUE(ParseTestnetJson(with_dimension(12)).ok());
  ExpectRefused(with_dimension(13), "\"diff\" has dimension 13, at most 12");
}

TEST(Spec10_BadInput, TextThatIsNoMessageIsRefused) {
  ExpectRefused("", "parse error");
  ExpectRefused("[]", "a message is an object, not array");
  ExpectRefused("null", "a message is an object, not null");
  ExpectRefused(R"({"type":"ep","entropy":[1],"ts":1}x)", "parse error");
  ExpectRefused(R"({"type":"ep","entropy":[1],"ts":1}{})", "parse error");
  ExpectRefused(R"({"type":"ep","entropy":[1],"ts":1)", "parse error");
  ExpectRefused(R"({"type":"ep","entropy":[1,],"ts":1})", "parse error");
  ExpectRefused("{\"type\":\"\xff\"}", "parse error");
  ExpectRefused(std::string(2000, '[') + std::string(2000, ']'), "a message is an object");
}

TEST(Spec10_BadInput, LongTextIsRefusedBeforeItIsParsed) {
  const std::string message = R"({"type":"ep","entropy":[1],"ts":1})";
  const auto padded = [&](std::size_t bytes) { return message + std::string(bytes - message.size(), ' '); };
  EXPECT_TRUE(ParseTestnetJson(padded(4096)).ok());
  ExpectRefused(padded(4097), "message of 4097 bytes");
}

TEST(Spec10_BadInput, WhatTheFormCannotHoldIsNotWritten) {
  const auto refused = [](const auto& proto, const std::string& reason) {
    const auto text = ToTestnetJson(proto);
    ASSERT_FALSE(text.ok()) << *text;
    EXPECT_EQ(text.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(text.status().message().find(reason), std::string::npos) << text.status();
  };
  refused(Packet({}, 1), "\"entropy\" has dimension 0");
  refused(Packet(std::vector<float>(13, 1.0f), 1), "\"entropy\" has dimension 13");
  refused(Packet({std::numeric_limits<float>::quiet_NaN()}, 1), "NaN or infinity");
  refused(Packet({1}, std::numeric_limits<std::uint64_t>::max()), "\"ts\" must be an integer");
  refused(Diff({std::numeric_limits<float>::infinity()}, 1), "NaN or infinity");
  refused(Diff({1}, 1.5f), "\"w\" must be from 0 to 1");
  refused(Diff({1}, std::numeric_limits<float>::quiet_NaN()), "\"w\" must be from 0 to 1");
}

}  // namespace
}  // namespace lvs::proto
