// Attacks on the protocol itself: noise, messages out of order, hellos that cannot be, sizes (TEST-7, SPEC-13).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/peering/peer_stream.h"
#include "tests/services/node/honest_network.h"
#include "tests/services/node/hostile_peer.h"

namespace lvs::services {
namespace {

using ::testing::HasSubstr;

// ---- Not the protocol at all ----

TEST(Test7, NoiseOnThePortIsHungUpOn) {
  HonestNetwork network;
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  std::vector<std::unique_ptr<RawConnection>> connections;
  for (std::uint64_t n = 0; n < 30; ++n) {
    connections.push_back(std::make_unique<RawConnection>(network.address()));
    ASSERT_TRUE(connections.back()->connected());
    connections.back()->Say((n % 3 == 0   ? preface
                             : n % 3 == 1 ? "GET / HTTP/1.1\r\n\r\n"
                                          : "\x16\x03\x01\x02") +
                            Noise(20'000, n));
  }
  for (const auto& connection : connections) EXPECT_TRUE(Within(2s, [&] { return connection->Closed(); }));
  network.ExpectUnharmed();
}

TEST(Test7, BytesThatAreNoMessageEndTheStream) {
  HonestNetwork network;
  for (const bool joined : {false, true}) {
    Attacker attacker(network.address());
    EXPECT_TRUE(!joined || attacker.Join());
    attacker.SayBytes("\xff\xff\xff\xff\xff this is no message");
    EXPECT_EQ(attacker.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "unreadable") == 2; }));
  network.ExpectUnharmed();
}

TEST(Test7, MessageOfNoKindIsRefused) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  attacker.SayBytes("\xf8\x07\x01");  // field 127
  EXPECT_EQ(attacker.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Refused(network.node(), "bad_entry"), 1u);
  network.ExpectUnharmed();
}

TEST(Test7, FirstMessageMustBeTheHelloAndTheOnlyOne) {
  HonestNetwork network;
  Attacker frames_first(network.address());
  frames_first.Say(frames_first.GoodFrame(0));
  EXPECT_EQ(frames_first.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  Attacker ping_first(network.address());
  v1::PeerMessage ping;
  ping.mutable_ping()->set_sent_us(1);
  ping_first.Say(ping);
  EXPECT_EQ(ping_first.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  Attacker twice(network.address());
  ASSERT_TRUE(twice.Join());
  twice.Say(twice.GoodHello());
  EXPECT_EQ(twice.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Refused(network.node(), "replayed"), 3u);
  network.ExpectUnharmed();
}

TEST(Spec13, HelloThatDoesNotFitIsRefusedWithTheReason) {
  HonestNetwork network;
  const auto refusal = [&](const std::function<void(v1::Hello*)>& lie) {
    Attacker attacker(network.address());
    v1::PeerMessage message = attacker.GoodHello();
    lie(message.mutable_hello());
    EXPECT_FALSE(attacker.Join(message));
    return attacker.Ended();
  };
  constexpr auto kAbsurd = std::numeric_limits<std::uint32_t>::max();
  const std::vector<std::pair<std::string, std::function<void(v1::Hello*)>>> lies = {
      {"protocol versions", [](v1::Hello* hello) { hello->set_protocol_min(3), hello->set_protocol_max(2); }},
      {"protocol versions", [](v1::Hello* hello) { hello->set_protocol_min(3), hello->set_protocol_max(kAbsurd); }},
      {"protocol versions", [](v1::Hello* hello) { hello->set_protocol_min(0), hello->set_protocol_max(0); }},
      {"protocol versions", [](v1::Hello* hello) { hello->set_protocol_min(kAbsurd); }},
      {"the state there", [](v1::Hello* hello) { hello->set_shards(kAbsurd); }},
      {"the state there", [](v1::Hello* hello) { hello->set_value_slots(0); }},
      {"the state there", [](v1::Hello* hello) { hello->set_free_coordinates(kAbsurd); }},
      {"cycle period", [](v1::Hello* hello) { hello->set_period_us(0); }},
      {"cycle period", [](v1::Hello* hello) { hello->set_period_us(~0ull); }},
      {"no session", [](v1::Hello* hello) { hello->set_session_high(0), hello->set_session_low(0); }},
      {"more than 256", [](v1::Hello* hello) { hello->set_region(std::string(100'000, 'x')); }},
      {"more than 256", [](v1::Hello* hello) { hello->set_advertise(std::string(100'000, '1')); }},
  };
  for (const auto& [why, lie] : lies) EXPECT_THAT(refusal(lie).error_message(), HasSubstr(why));
  EXPECT_EQ(Refused(network.node(), "hello_misfit"), 9u);
  EXPECT_EQ(Refused(network.node(), "hello_invalid"), 3u);
  // From the oldest to one that is not invented yet: the newest that both know is spoken.
  Attacker from_the_future(network.address());
  v1::PeerMessage hello = from_the_future.GoodHello();
  hello.mutable_hello()->set_protocol_min(0);
  hello.mutable_hello()->set_protocol_max(kAbsurd);
  EXPECT_TRUE(from_the_future.Join(hello));
  network.ExpectUnharmed();
}

// ---- Size ----

TEST(Test7, MessageOverTheLimitEndsTheStream) {
  HonestNetwork network;
  for (const bool joined : {false, true}) {
    Attacker attacker(network.address());
    EXPECT_TRUE(!joined || attacker.Join());
    v1::PeerMessage message;
    message.mutable_goodbye()->set_reason(std::string(32 << 20, 'x'));
    attacker.Say(message);
    attacker.Ended();
    EXPECT_TRUE(attacker.ended());
  }
  network.ExpectUnharmed({}, 160);  // the attacker's own copies are in it
}

// Compressed, a message within the limit is any number of megabytes once it is unpacked.
TEST(Test7, CompressedMessageIsNotUnpacked) {
  HonestNetwork network;
  Attacker attacker(network.address(), {.compresses = true});
  v1::PeerMessage message;
  message.mutable_goodbye()->set_reason(std::string(48 << 20, 'x'));
  attacker.Say(message);
  attacker.Ended(3s);
  EXPECT_TRUE(attacker.ended());
  network.ExpectUnharmed({}, 160);  // the attacker's own copies are in it
  Attacker small(network.address(), {.compresses = true});
  EXPECT_FALSE(small.Join());
  EXPECT_EQ(small.Ended().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

// A megabyte that is many once it is unpacked: two bytes make a frame, or an entry.
TEST(Test7, MessageThatGrowsWhenItIsReadIsNotKept) {
  HonestNetwork network;
  std::string frames;
  while (frames.size() < kMessageBytesMax - 64) frames += std::string("\x0a\x00", 2);
  std::string entries;
  while (entries.size() < kMessageBytesMax - 64) entries += std::string("\x5a\x00", 2);
  const auto delimited = [](char tag, const std::string& inside) {
    std::string out(1, tag);
    for (std::size_t n = inside.size(); true; n >>= 7) {
      out.push_back(static_cast<char>(n >= 0x80 ? (n & 0x7f) | 0x80 : n));
      if (n < 0x80) break;
    }
    return out + inside;
  };
  std::vector<std::unique_ptr<Attacker>> attackers;
  for (int n = 0; n < 6; ++n) {
    attackers.push_back(std::make_unique<Attacker>(network.address()));
    ASSERT_TRUE(attackers.back()->Join());
    const std::uint64_t before = Refused(network.node(), "too_large") + Refused(network.node(), "wrong_dimension");
    attackers.back()->SayBytes(delimited('\x12', n % 2 == 0 ? frames : delimited('\x0a', entries)));
    EXPECT_TRUE(Within(2s, [&] {
      return Refused(network.node(), "too_large") + Refused(network.node(), "wrong_dimension") > before;
    }));
  }
  network.ExpectUnharmed({}, 200);
}

}  // namespace
}  // namespace lvs::services
