// Floods and silence: peers that say too much, nothing at all, or never read (TEST-7, SPEC-9.4).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "services/net/connections.h"
#include "tests/services/node/honest_network.h"
#include "tests/services/node/hostile_peer.h"

namespace lvs::services {
namespace {

// Connections that were reset for what they did: by their calls, or where the node is slow to count them, by their bytes.
std::uint64_t Resets(const Node& node) {
  return Refused(node, "calls_too_fast") + Refused(node, "calls_open") + Refused(node, "bytes_without_calls");
}

// ---- Floods and silence ----

// A node that a flood mutes is mute for minutes; one that is only busy with ending it answers within this.
constexpr int kSoonMs = 9'000;

TEST(Test7, StreamThatNeverReadsKeepsABoundedOutbox) {
  HonestNetwork network;
  Attacker attacker(network.address(), {.reads = false});
  attacker.Say(attacker.GoodHello());
  const auto link = [&] { return LinkOf(attacker, network.node()); };
  ASSERT_TRUE(Within(2s, [&] { return link().session_low() != 0; }));
  v1::PeerMessage ping;
  for (int n = 0; n < 1000; ++n) {  // it is not silent, and each ping wants an answer
    ping.mutable_ping()->set_sent_us(static_cast<std::uint64_t>(n));
    if (n % 100 == 0) attacker.Say(attacker.GoodFrame(0));
    attacker.Say(ping);
    if (n % 4 == 0) std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(Within(3s, [&] { return link().frames_coalesced() > 0; }));
  EXPECT_LT(network.node().Status().traffic().outbox_bytes_max(), kShards * 200'000u);
  network.ExpectUnharmed();
}

// It cannot be told that it is dropped, as it does not read; its place is free all the same.
TEST(Test7, StreamThatNeverReadsLosesItsPlaceOnceItIsDropped) {
  HonestNetwork network;
  Attacker attacker(network.address(), {.reads = false});
  attacker.Say(attacker.GoodHello());
  ASSERT_TRUE(Within(2s, [&] { return LinkOf(attacker, network.node()).session_low() != 0; }));
  v1::PeerMessage ping;  // answers fill its window
  for (int n = 0; n < 300; ++n) {
    ping.mutable_ping()->set_sent_us(static_cast<std::uint64_t>(n) + 1);
    attacker.Say(ping);
  }
  attacker.Say(attacker.GoodHello());  // a second one: it is dropped
  EXPECT_TRUE(Within(6s, [&] { return LinkOf(attacker, network.node()).session_low() == 0; }));
  EXPECT_EQ(network.node().Status().peers_connected(), 1u);
  network.ExpectUnharmed();
}

TEST(Test7, PingFloodSlowsOnlyWhoFloods) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  v1::PeerMessage ping;
  ping.mutable_ping()->set_sent_us(1);
  std::atomic<bool> end{false};
  std::atomic<std::uint64_t> said{0};
  std::thread flood([&] {
    while (!end && attacker.Say(ping)) ++said;
  });
  std::this_thread::sleep_for(1s);
  const auto received = [&] { return LinkOf(attacker, network.node()).bytes_received(); };
  EXPECT_LT(network.RoundTripMs(0), kSoonMs);
  // A dozen bytes a ping: no more than a few thousand are read a second.
  EXPECT_LT(received() / ping.ByteSizeLong(), 4000u * kPatience);
  EXPECT_GT(received(), 0u);
  end = true;
  network.ExpectUnharmed();
  flood.join();
}

// Of many pings in one message the last one counts; all of them were sent and read.
TEST(Test7, WhatIsWrittenOddlyCountsAsLongAsItIs) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  v1::PeerMessage ping;
  ping.mutable_ping()->set_sent_us(1);
  std::string bytes;
  for (int n = 0; n < 5000; ++n) bytes += ping.SerializeAsString();
  const std::uint64_t before = LinkOf(attacker, network.node()).bytes_received();
  ASSERT_TRUE(attacker.SayBytes(bytes));
  EXPECT_TRUE(Within(2s, [&] { return LinkOf(attacker, network.node()).bytes_received() >= before + bytes.size(); }));
  network.ExpectUnharmed();
}

// The limit on open files is no limit on who is heard: a listener that ran into it would be deaf from then on.
TEST(Test7, ConnectionsBeyondTheSoftLimitOfFilesDeafenNobody) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max < 2048) GTEST_SKIP() << "the hard limit of open files is too low here";
  limit.rlim_cur = 256;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  HonestNetwork network;
  std::vector<std::unique_ptr<RawConnection>> mute;
  for (int n = 0; n < 400; ++n) mute.push_back(std::make_unique<RawConnection>(network.address()));
  EXPECT_TRUE(mute.back()->connected());
  mute.clear();
  Attacker newcomer(network.address());
  EXPECT_TRUE(newcomer.Join());
  network.ExpectUnharmed();
}

// The node ends this connection and no other one; `resets` of them were before it.
void ExpectReset(HonestNetwork& network, RawConnection* flood, std::uint64_t resets) {
  EXPECT_TRUE(Within(10s, [&] { return flood->Closed(); }));
  EXPECT_TRUE(Within(10s, [&] { return Resets(network.node()) == resets + 1; }));
}

// gRPC does not count streams that are reset, so each connection may only begin so many calls. One that begins more is
// reset, whatever method it names, and costs the node neither time nor memory that lasts.
TEST(Test7, StreamsThatAreResetAtOnceEndTheirConnectionOnly) {
  HonestNetwork network;
  const std::string peers = network.address();
  const std::string control = network.node().control_address();
  for (const auto& [address, path] :
       std::vector<std::pair<std::string, std::string>>{{peers, "/lvs.v1.Peering/Connect"},
                                                        {peers, "/no.such/Method"},
                                                        {control, "/lvs.v1.Control/GetStatus"},
                                                        {control, "/lvs.v1.Control/ContributeStream"},
                                                        {control, "/grpc.health.v1.Health/Watch"}}) {
    SCOPED_TRACE(path);
    const std::uint64_t before = Resets(network.node());
    RawConnection flood(address);
    OpenAndReset(&flood, path, 20'000);
    ExpectReset(network, &flood, before);
    EXPECT_LT(network.RoundTripMs(0), kSoonMs);
  }
  Attacker newcomer(network.address());
  EXPECT_TRUE(newcomer.Join());
  network.ExpectUnharmed();
}

// Under the sanitizers each stream costs the node ten times as much.
constexpr std::uint32_t kStreamsOfAFlood = kSanitized ? 700 : 20'000;

// Streams whose message never comes, from a client that acknowledges no settings and so no limit of streams. Each costs
// gRPC some 21 KB: 20,000 of them 400 MB.
TEST(Test7, StreamsWithoutTheirMessageEndTheirConnectionOnly) {
  HonestNetwork network;
  const std::string peers = network.address();
  const std::string control = network.node().control_address();
  for (const auto& [address, path] :
       std::vector<std::pair<std::string, std::string>>{{control, "/lvs.v1.Control/Contribute"},
                                                        {control, "/lvs.v1.Control/Watch"},
                                                        {control, "/lvs.v1.Control/ContributeStream"},
                                                        {control, "/grpc.health.v1.Health/Check"},
                                                        {control, "/grpc.health.v1.Health/Watch"},
                                                        {peers, "/lvs.v1.Peering/Connect"},
                                                        {peers, "/grpc.health.v1.Health/Check"}}) {
    SCOPED_TRACE(path);
    const std::uint64_t before = Resets(network.node());
    RawConnection flood(address);
    OpenAndReset(&flood, path, kStreamsOfAFlood, /*reset=*/false);
    ExpectReset(network, &flood, before);
  }
  EXPECT_LT(network.RoundTripMs(0), kSoonMs);
  network.ExpectUnharmed();
}

// The same behind a call that stands: the connection is not at rest.
TEST(Test7, StreamsBesideOneThatLastsEndTheirConnectionOnly) {
  HonestNetwork network;
  for (const auto& [address, path] : std::vector<std::pair<std::string, std::string>>{
           {network.node().control_address(), "/lvs.v1.Control/ContributeStream"},
           {network.address(), "/lvs.v1.Peering/Connect"}}) {
    SCOPED_TRACE(path);
    const std::uint64_t before = Resets(network.node());
    RawConnection flood(address);
    OpenAndReset(&flood, path, 1, /*reset=*/false);
    std::this_thread::sleep_for(100ms);
    for (std::uint32_t n = 1; n < kStreamsOfAFlood && !flood.Closed(); n += 100) {
      flood.Say(OpenStreams("/lvs.v1.Control/Contribute", n, 100, /*reset=*/false));
    }
    ExpectReset(network, &flood, before);
  }
  EXPECT_LT(network.RoundTripMs(0), kSoonMs);
  network.ExpectUnharmed();
}

// Each connection keeps within its own limit.
TEST(Test7, StreamsOfManyConnectionsAreBoundedTogether) {
  if (kSanitized) GTEST_SKIP() << "sixteen thousand calls take the sanitizers longer than peers wait";
  HonestNetwork network;
  const std::uint64_t before = Refused(network.node(), "calls_open");
  std::vector<std::unique_ptr<RawConnection>> flood;
  for (std::size_t n = 0; n < 2 * kControlCallsOpenInAll / 400; ++n) {
    flood.push_back(std::make_unique<RawConnection>(network.node().control_address()));
    OpenAndReset(flood.back().get(), "/lvs.v1.Control/Contribute", 400, /*reset=*/false);
  }
  EXPECT_TRUE(Within(10s, [&] { return Refused(network.node(), "calls_open") >= before + 18; }));
  const auto open = [&] {
    return std::count_if(flood.begin(), flood.end(), [](const auto& connection) { return !connection->Closed(); });
  };
  EXPECT_TRUE(Within(10s, [&] { return static_cast<std::size_t>(open()) * 400 <= kControlCallsOpenInAll; })) << open();
  EXPECT_LT(network.RoundTripMs(0), kSoonMs);
  flood.clear();
  network.ExpectUnharmed();
}

// A client gives its node's reply no room. The calls are over for the node, but not for gRPC.
TEST(Test7, RepliesThatAreNeverTakenEndTheirConnectionOnly) {
  HonestNetwork network;
  RawConnection flood(network.node().control_address());
  const std::string no_window("\0\x04\0\0\0\0", 6);
  flood.Say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HttpFrame(4, 0, 0, no_window));
  const std::string nothing(5, '\0');  // a message without a byte
  for (std::uint32_t n = 0; n < 2'000 && !flood.Closed(); ++n) {
    flood.Say(OpenStreams("/lvs.v1.Control/GetStatus", n, 1, /*reset=*/false) + HttpFrame(0, 1, 2 * n + 1, nothing));
    if (n % 10 == 0) std::this_thread::sleep_for(10ms);  // within the rate of calls
  }
  EXPECT_TRUE(Within(10s, [&] { return flood.Closed(); }));
  EXPECT_TRUE(Within(10s, [&] { return Refused(network.node(), "calls_open") == 1; }));
  network.ExpectUnharmed();
}

TEST(Test7, HeadersWithoutAnEndEndTheirConnectionOnly) {
  HonestNetwork network;
  for (const std::string& address : {network.address(), network.node().control_address()}) {
    const std::uint64_t before = Refused(network.node(), "bytes_without_calls");
    RawConnection flood(address);
    OpenAndReset(&flood, "/lvs.v1.Control/Contribute", 0);
    flood.Say(HttpFrame(1, 0, 1, ""));
    std::string fields;
    while (fields.size() < 8000) fields += std::string("\x40\x01k\x01v");
    bool stands = true;
    for (int n = 0; n < 1000 && stands; ++n) stands = flood.Say(HttpFrame(9, 0, 1, fields)) && !flood.Closed();
    EXPECT_TRUE(Within(10s, [&] { return flood.Closed(); }));
    EXPECT_TRUE(Within(10s, [&] { return Refused(network.node(), "bytes_without_calls") == before + 1; }));
  }
  EXPECT_LT(network.RoundTripMs(0), kSoonMs);
  network.ExpectUnharmed();
}

// Idle connections fill a port up to its limit; the oldest of them make room, and links stay.
TEST(Test7, IdleConnectionsBeyondTheLimitKeepNobodyOut) {
  HonestNetwork network;
  const auto peers = [&] { return network.node().Status().connections(0); };
  ASSERT_EQ(peers().port(), "peers");
  std::vector<std::unique_ptr<RawConnection>> mute;
  for (std::uint32_t n = 0; n < peers().limit() + 100; ++n) {
    mute.push_back(std::make_unique<RawConnection>(network.address()));
  }
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "connections_full") >= 100; }));
  EXPECT_TRUE(mute.front()->Closed());
  EXPECT_LE(peers().open(), peers().limit() * 9 / 8 + 4);
  Attacker newcomer(network.address());
  EXPECT_TRUE(newcomer.Join());
  network.ExpectUnharmed();
}

// A newcomer is welcomed although strangers that say nothing hold every place that strangers have.
TEST(Test7, StreamsWithoutAHelloKeepNobodyOut) {
  HonestNetwork network;
  std::vector<std::unique_ptr<Attacker>> silent;
  for (int n = 0; n < 200; ++n) silent.push_back(std::make_unique<Attacker>(network.address()));
  std::vector<std::unique_ptr<RawConnection>> mute;
  for (int n = 0; n < 200; ++n) mute.push_back(std::make_unique<RawConnection>(network.address()));
  Within(500ms,
         [&] { return std::count_if(silent.begin(), silent.end(), [](const auto& s) { return s->ended(); }) >= 152; });
  Attacker newcomer(network.address());
  EXPECT_TRUE(newcomer.Join());
  EXPECT_GE(std::count_if(silent.begin(), silent.end(), [](const auto& s) { return s->ended(); }), 100);
  EXPECT_GE(Refused(network.node(), "hello_missing"), 100u);
  network.ExpectUnharmed();
}

TEST(Test7Full, ConnectionsThatSayNothingAreClosed) {
  HonestNetwork network;
  std::vector<std::unique_ptr<RawConnection>> mute;
  for (int n = 0; n < 200; ++n) mute.push_back(std::make_unique<RawConnection>(network.address()));
  std::vector<std::unique_ptr<Attacker>> silent;
  for (int n = 0; n < 40; ++n) silent.push_back(std::make_unique<Attacker>(network.address()));
  EXPECT_TRUE(Within(15s, [&] {
    return std::all_of(mute.begin(), mute.end(), [](const auto& m) { return m->Closed(); }) &&
           std::all_of(silent.begin(), silent.end(), [](const auto& s) { return s->ended(); });
  }));
  network.ExpectUnharmed();
}

TEST(Spec9_4, GoodbyeAndBackInALoop) {
  HonestNetwork network;
  for (int n = 0; n < 60; ++n) {
    Attacker attacker(network.address());
    ASSERT_TRUE(attacker.Join()) << n;
    for (std::uint32_t shard = 0; shard < kShards; ++shard) attacker.Say(attacker.GoodFrame(shard));
    v1::PeerMessage goodbye;
    goodbye.mutable_goodbye()->set_reason(std::string(100'000, 'x'));
    attacker.Say(goodbye);
    const grpc::Status status = attacker.Ended();
    ASSERT_TRUE(attacker.ended());
    EXPECT_LT(status.error_message().size(), 1000u);
  }
  EXPECT_TRUE(Within(2s, [&] { return network.node().Status().peers_connected() == 1; }));
  const v1::PeerList peers = network.node().Peers();
  for (const v1::KnownAddress& known : peers.known()) EXPECT_LT(known.last_error().size(), 1000u);
  network.ExpectUnharmed();
}

}  // namespace
}  // namespace lvs::services
