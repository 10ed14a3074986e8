// Peers that lie about who or where they are; and honest ones that the defences must not keep out, because they are new
// or slow (SPEC-4, SPEC-9.1, SPEC-10, ARCH-2.2).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>
#include <string>
#include <thread>

#include "tests/services/node/honest_network.h"
#include "tests/services/node/hostile_peer.h"

namespace lvs::services {
namespace {

// ---- Lies about who it is ----

TEST(Spec4, SessionOfAnotherPeerTakesNobodysPlace) {
  HonestNetwork network;
  // Links of two that dialled one another at once may still cross.
  ASSERT_TRUE(Within(3s, [&] { return network.node().Peers().peers(0).connected_s() > 1.2; }));
  for (const std::size_t victim : {0u, 1u}) {
    const v1::NodeStatus other = network.node(1 - victim).Status();
    Attacker attacker(network.address(victim));
    v1::PeerMessage hello = attacker.GoodHello();
    hello.mutable_hello()->set_session_high(other.session_high());
    hello.mutable_hello()->set_session_low(other.session_low());
    hello.mutable_hello()->set_advertise(other.address());
    EXPECT_FALSE(attacker.Join(hello)) << "node " << victim << " took the attacker for node " << 1 - victim;
    EXPECT_EQ(attacker.Ended().error_code(), grpc::StatusCode::ALREADY_EXISTS);
  }
  network.ExpectUnharmed();
}

TEST(Spec4, SessionOfTheNodeItselfIsRefused) {
  HonestNetwork network;
  const v1::NodeStatus status = network.node().Status();
  Attacker attacker(network.address());
  v1::PeerMessage hello = attacker.GoodHello();
  hello.mutable_hello()->set_session_high(status.session_high());
  hello.mutable_hello()->set_session_low(status.session_low());
  EXPECT_FALSE(attacker.Join(hello));
  EXPECT_FALSE(attacker.Ended().ok());
  network.ExpectUnharmed();
}

TEST(Arch2_2, AddressesThatAreMadeUpFillNothing) {
  HonestNetwork network;
  Attacker attacker(network.address());
  v1::PeerMessage hello = attacker.GoodHello();
  hello.mutable_hello()->set_advertise(network.address());  // the node's own
  ASSERT_TRUE(attacker.Join(hello));
  for (int n = 0; n < 20; ++n) {
    v1::PeerMessage exchange;
    for (int a = 0; a < 5'000; ++a) {
      exchange.mutable_peers()->add_peers()->set_address("127.1." + std::to_string(a / 250) + "." +
                                                         std::to_string(1 + a % 250) + ":" + std::to_string(1 + n));
    }
    exchange.mutable_peers()->add_peers()->set_address(network.address());
    attacker.Say(exchange);
  }
  EXPECT_TRUE(Within(2s, [&] { return network.node().Peers().known_size() > 2; })) << "nothing of it was read";
  const v1::PeerList peers = network.node().Peers();
  EXPECT_LE(peers.known_size(), 130);
  for (const v1::KnownAddress& known : peers.known()) EXPECT_NE(known.address(), network.address());
  network.ExpectUnharmed();
}

// ---- What the allowances must not keep out ----

// New sessions of peers are held back; a ledger that is larger than what is taken at once comes all the same.
TEST(Spec9_1Full, NewcomerFetchesALedgerOfAHundredThousandSessions) {
  HonestNetwork network(1);
  constexpr std::uint64_t kSessions = 100'000;
  std::atomic<std::uint64_t> held{0};
  std::atomic<std::uint64_t> answered{0};
  std::uint64_t asked = 0;
  const auto until = Steady::now() + 30s * kPatience;
  while (held < kSessions && Steady::now() < until) {
    for (int n = 0; n < 3000; ++n) {
      v1::ContributeRequest request;
      request.set_session_high(7);
      request.set_session_low(++asked);
      request.set_shard(1);
      request.set_amount_uvu(1);
      network.node().Contribute(request, std::to_string(asked % 64), Steady::now() + 5s, [&](const auto& reply) {
        held += reply.held() ? 1 : 0;
        ++answered;
      });
    }
    ASSERT_TRUE(Within(5s, [&] { return answered == asked; }));
  }
  ASSERT_GE(held, kSessions);
  network.Add();
  EXPECT_TRUE(Within(50s, [&] { return network.AllServe(); }));
  const auto sessions = [&](std::size_t n) { return network.node(n).Shards().shards(1).sessions(); };
  EXPECT_GE(sessions(1), kSessions) << "it serves before it has all of it";
  EXPECT_TRUE(Within(10s, [&] { return sessions(1) == sessions(0); })) << sessions(1) << " of " << sessions(0);
  EXPECT_GT(Refused(network.node(1), "sessions_too_fast"), 0u) << "more than what is taken at once";
  network.ExpectUnharmed({held, 0}, 256);
}

// ---- A peer that is only slow ----

// Reads a message in so many milliseconds; hears everything all the same, in order, only later.
void SlowPeerHearsEverything(std::chrono::milliseconds pause, std::chrono::milliseconds time) {
  HonestNetwork network;
  Attacker slow(network.address(), {.pause = pause});
  v1::PeerMessage hello = slow.GoodHello();
  ASSERT_TRUE(slow.Join(hello));
  std::map<SessionId, Totals> ledger;
  std::array<std::uint64_t, kShards> reached{};
  std::array<std::uint64_t, kShards> session{};
  Totals heard{};
  const auto listen = [&] {
    for (const v1::PeerMessage& message : slow.Heard()) {
      for (const std::string& bytes : message.frames().frames()) {
        v1::Frame frame;
        ASSERT_TRUE(frame.ParseFromString(bytes));
        const std::uint32_t s = frame.shard_id();
        session[s] = frame.session_low();
        EXPECT_LE(frame.news_from(), reached[s]) << "news was left out";
        reached[s] = std::max(reached[s], frame.news_to());
        for (const v1::LedgerEntry& entry : frame.entries()) {
          Totals& mine = ledger[{entry.session_high(), entry.session_low()}];
          for (int slot = 0; slot < kSlots; ++slot) {
            const std::uint64_t grown = std::max(mine[slot], entry.amount_uvu(slot));
            heard[slot] += grown - mine[slot];
            mine[slot] = grown;
          }
        }
      }
    }
  };
  const auto speak = [&] {  // acknowledges what it has merged
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      v1::Frame frame = slow.GoodFrame(shard);
      frame.set_acknowledged(reached[shard]);
      frame.set_acknowledged_session_low(session[shard]);
      slow.Say(frame);
    }
  };
  const auto link = [&] { return LinkOf(slow, network.node()); };
  for (const auto until = Steady::now() + time; Steady::now() < until; std::this_thread::sleep_for(50ms)) {
    listen();
    speak();
  }
  EXPECT_GT(link().frames_coalesced(), 10u);
  EXPECT_LT(link().outbox_bytes(), kShards * 200'000u);
  slow.SetPause(0ms);
  network.ExpectUnharmed();
  const v1::LedgerStatus status = network.node().Status().ledger();
  EXPECT_TRUE(Within(5s,
                     [&] {
                       listen();
                       speak();
                       return heard[0] == status.total_uvu(0) && heard[1] == status.total_uvu(1);
                     }))
      << heard[0] << " of " << status.total_uvu(0);
}

TEST(Spec10, SlowPeerHearsEverythingLater) { SlowPeerHearsEverything(300ms, 1500ms); }
TEST(Spec10Full, PeerThatReadsOneMessageASecondHearsEverythingLater) { SlowPeerHearsEverything(1s, 10s); }

}  // namespace
}  // namespace lvs::services
