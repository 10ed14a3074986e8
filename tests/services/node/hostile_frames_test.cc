// Attacks by what frames say: lies, replays, forged ledger entries (TEST-7, SPEC-5.1, SPEC-6.2, SPEC-10).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "shard/value_engine.h"
#include "tests/services/node/honest_network.h"
#include "tests/services/node/hostile_peer.h"
#include "vaultguard/limits.h"

namespace lvs::services {
namespace {

using ::testing::HasSubstr;

// ---- Frames that lie ----

TEST(Test7, EachFalseFrameIsRefusedAndCountedByReason) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  const auto row = [](v1::Frame frame, float diff) {
    Attacker::AddRow(&frame, 0, diff);
    return frame;
  };
  const auto with = [&](const std::function<void(v1::Frame*)>& lie) {
    v1::Frame frame = row(attacker.GoodFrame(0), 0.5f);
    lie(&frame);
    return frame;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinite = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<std::string, v1::Frame>> lies = {
      {"not_finite", row(attacker.GoodFrame(0), nan)},
      {"not_finite", row(attacker.GoodFrame(0), infinite)},
      {"not_finite", row(attacker.GoodFrame(0), -infinite)},
      {"not_finite", row(attacker.GoodFrame(0), 1e30f)},
      {"column_lengths", with([](v1::Frame* f) { f->clear_drift_weight(); })},
      {"column_lengths", with([](v1::Frame* f) { f->clear_entropy(); })},
      {"column_lengths", with([](v1::Frame* f) { f->add_published_cycle(1); })},
      {"column_lengths", with([](v1::Frame* f) { f->add_bucket_digest(1); })},
      {"wrong_dimension", with([](v1::Frame* f) { f->add_diff(0); })},
      {"wrong_dimension", with([](v1::Frame* f) { f->add_total_uvu(0); })},
      {"wrong_dimension", with([](v1::Frame* f) { f->clear_total_uvu(); })},
      {"wrong_dimension", with([](v1::Frame* f) { f->add_entries(); })},
      {"unknown_shard", with([](v1::Frame* f) { f->set_shard_id(kShards); })},
      {"unknown_shard", with([](v1::Frame* f) { f->set_shard_id(0xffffffff); })},
      {"unknown_halo_row", with([](v1::Frame* f) { f->set_halo_row(0, 32); })},
      {"unknown_halo_row", with([](v1::Frame* f) { f->set_halo_row(0, 0xffffffff); })},
      {"future_cycle", with([](v1::Frame* f) { f->set_cycle_id(Now() + 1'000'000); })},
      {"future_cycle", with([](v1::Frame* f) { f->set_cycle_id(~0ull); })},
      {"future_cycle", with([](v1::Frame* f) { f->set_published_cycle(0, 0xffffffff); })},
      {"bad_entry", with([](v1::Frame* f) { f->set_news_from(7); })},
      {"too_large", with([](v1::Frame* f) {
         for (std::size_t n = 0; n < vaultguard::kMaxFrameRows; ++n) Attacker::AddRow(f, 0);
       })},
      {"too_large", with([](v1::Frame* f) {
         for (std::uint64_t n = 0; n <= vaultguard::kMaxFrameEntries; ++n) Attacker::AddEntry(f, {n, 1}, Now(), 1);
       })},
      {"stale", with([](v1::Frame* f) { f->set_published_cycle(0, 1); })},
  };
  std::map<std::string, std::uint64_t> expected;
  for (const auto& [reason, frame] : lies) {
    ASSERT_TRUE(attacker.Say(frame));
    const std::uint64_t said = ++expected[reason];
    EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), reason) >= said; })) << reason;
  }
  for (const auto& [reason, said] : expected) EXPECT_EQ(Refused(network.node(), reason), said) << reason;
  network.ExpectUnharmed();
}

TEST(Spec6_2, FrameThatWasSaidBeforeIsRefused) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  const v1::Frame frame = attacker.GoodFrame(1);
  for (int n = 0; n < 20; ++n) attacker.Say(frame);
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "replayed") == 19; }));
  // An earlier life of the same sender.
  v1::Frame earlier = attacker.GoodFrame(1, Now() - 10);
  earlier.set_session_low(earlier.session_low() + 1);
  attacker.Say(earlier);
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "replayed") == 20; }));
  network.ExpectUnharmed();
}

// One peer must not be able to make a healthy node look sick.
TEST(Arch6_5, PeerWithAWrongClockIsNotTheNodesProblem) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  for (int n = 0; n < 150; ++n) attacker.Say(attacker.GoodFrame(0, Now() + 100'000));
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "future_cycle") == 150; }));
  network.ExpectUnharmed();
}

TEST(Test7, PeerThatSaysNothingButNonsenseIsDropped) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  v1::PeerMessage message;
  for (int n = 0; n < 100; ++n)
    message.mutable_frames()->add_frames(attacker.GoodFrame(kShards + 1).SerializeAsString());
  for (int n = 0; n < 40 && !attacker.ended(); ++n) attacker.Say(message);
  EXPECT_EQ(attacker.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  network.ExpectUnharmed();
}

// A frame may speak of any number of replicas; the nodes go on listening to themselves.
TEST(Spec10, CrowdThatIsClaimedMovesNoValue) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  for (int n = 0; n < 20; ++n) {
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      v1::Frame frame = attacker.GoodFrame(shard);
      for (std::uint32_t row = 0; row < 32; ++row) Attacker::AddRow(&frame, row, -1e11f);
      frame.mutable_beacon()->set_replicas(0xffffffff);
      frame.mutable_beacon()->set_load(std::numeric_limits<float>::quiet_NaN());
      attacker.Say(frame);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(kPeriodUs));
  }
  const v1::DriftStatus drift = network.node().Status().drift();
  EXPECT_LT(drift.worst_value_vu(), 1);
  for (const double mean : drift.mean()) EXPECT_LT(std::abs(mean), 1e6);
  network.ExpectUnharmed();
}

// ---- Forged ledger entries ----

TEST(Spec5_1, ForgedEntriesAreBoundByWhatASessionMayEarn) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  const shard::ContributionPolicy policy;
  // The most that a session may claim: as if it had lived for the longest time that one may.
  const auto most = static_cast<std::uint64_t>(policy.Allowed(vaultguard::kMaxSessionCycles));
  const auto burst = static_cast<std::uint64_t>(policy.Allowed(0));
  v1::Frame frame = attacker.GoodFrame(2);
  Attacker::AddEntry(&frame, {1, 1}, 0, most, most);  // what the policy lets forgers claim
  Attacker::AddEntry(&frame, {1, 2}, 0, most + 1);    // from here on, each is refused whole
  Attacker::AddEntry(&frame, {1, 3}, 0, 5, most + 1);
  Attacker::AddEntry(&frame, {1, 4}, Now(), burst + 1000 * kVu);
  attacker.Say(frame);
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "rate_exceeded") == 3; }));
  frame = attacker.GoodFrame(2);
  Attacker::AddEntry(&frame, {2, 1}, 0, ~0ull);  // -1
  Attacker::AddEntry(&frame, {2, 2}, 0, 1ull << 63);
  Attacker::AddEntry(&frame, {2, 3}, 0, (1ull << 56) + 1);
  Attacker::AddEntry(&frame, {2, 4}, ~0ull, 1);
  Attacker::AddEntry(&frame, {2, 5}, Now() + 100'000, 1);
  attacker.Say(frame);
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "bad_entry") == 5; }));
  network.ExpectUnharmed({most, most});
}

// As many new sessions as fast as they can be told. What gets in is bounded; whoever is honest gets through meanwhile.
TEST(Test7, FloodOfSessionsIsHeldBack) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  const std::uint64_t began = Now();
  std::uint64_t told = 0;
  const auto until = Steady::now() + 1500ms;
  while (Steady::now() < until && told < (1u << 20)) {
    v1::Frame frame = attacker.GoodFrame(3);
    for (std::size_t n = 0; n < vaultguard::kMaxFrameEntries; ++n) Attacker::AddEntry(&frame, {3, ++told}, began, 1);
    if (!attacker.Say(frame)) break;
  }
  EXPECT_GT(told, 100'000u);
  const auto taken = [&](std::size_t n) { return network.node(n).Shards().shards(3).sessions(); };
  ASSERT_TRUE(Within(3s, [&] { return taken(0) > 1000; }));
  EXPECT_LT(network.RoundTripMs(0), 2000 * kPatience);
  // Both allowances of each cycle since, and what the link had saved up.
  const std::uint64_t cycles = Now() - began + 12;
  EXPECT_LE(taken(0), vaultguard::kNewSessionsAtOnce + cycles * 2 * vaultguard::kNewSessionsPerCycle + 64);
  EXPECT_GT(Refused(network.node(), "sessions_too_fast"), 0u);
}

// Ten peers fill a shard's table of sessions, and then there are no more of theirs: clients still open new ones here,
// and sessions that are there go on.
TEST(Spec8_3Full, TenHostilePeersLeaveRoomForTheClientsOfTheNode) {
  HonestNetwork network(1);
  std::vector<std::unique_ptr<Attacker>> attackers;
  while (attackers.size() < 10) {
    attackers.push_back(std::make_unique<Attacker>(network.address()));
    ASSERT_TRUE(attackers.back()->Join());
  }
  // "held", or why not.
  const auto contribute = [&](const SessionId& session, std::uint64_t amount) {
    v1::ContributeRequest request;
    request.set_session_high(session.high);
    request.set_session_low(session.low);
    request.set_shard(3);
    request.set_amount_uvu(amount);
    std::string said = "no answer";
    std::atomic<bool> answered{false};
    network.node().Contribute(request, "late client", Steady::now() + 10s, [&](const v1::ContributeReply& reply) {
      said = reply.held() ? "held" : reply.message();
      answered = true;
    });
    EXPECT_TRUE(Within(11s, [&] { return answered.load(); }));
    return said;
  };
  const SessionId early = RandomSession();
  EXPECT_EQ(contribute(early, 1), "held");
  std::uint64_t told = 0;
  const auto attack = [&] {
    const std::uint64_t cycle = Now();
    for (const auto& attacker : attackers) {
      v1::Frame frame = attacker->GoodFrame(3, cycle);
      for (int n = 0; n < 250; ++n) Attacker::AddEntry(&frame, {3, ++told}, cycle, 1);
      attacker->Say(frame);
      attacker->Heard();
    }
    while (Now() == cycle) std::this_thread::sleep_for(1ms);
  };
  const auto until = Steady::now() + 240s * kPatience;
  while (Refused(network.node(), "sessions_reserved") == 0 && Steady::now() < until) attack();
  const auto sessions = [&] { return network.node().Shards().shards(3).sessions(); };
  ASSERT_GT(Refused(network.node(), "sessions_reserved"), 0u) << sessions() << " sessions";
  for (std::uint64_t n = 2; n < 100; ++n) {
    attack();
    EXPECT_EQ(contribute(RandomSession(), 1), "held");
    EXPECT_EQ(contribute(early, n), "held");
  }
  EXPECT_EQ(Refused(network.node(), "sessions_full"), 0u);
  EXPECT_LT(sessions(), vaultguard::kMaxSessionsPerShard);
  const v1::NodeStatus status = network.node().Status();
  EXPECT_EQ(status.state(), v1::SERVING);
  EXPECT_THAT(status.problems(), testing::Contains(HasSubstr("shard 3 has ")));
  EXPECT_LT(network.Grown(), std::uint64_t{512} << 20);
}

}  // namespace
}  // namespace lvs::services
