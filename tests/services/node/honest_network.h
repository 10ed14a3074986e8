// Honest server nodes in this process and their clients, for tests that attack them (TEST-7, SPEC-10).
//
//   HonestNetwork network;            // two nodes that serve and are linked; clients contribute from here on
//   ... attack network.address() ...
//   network.ExpectUnharmed();
//
// Unharmed: the nodes serve and are healthy, have not lost one another, and hold exactly what honest clients were
// acknowledged plus what the contribution policy let the forgers claim.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "services/base/cycle_clock.h"
#include "services/base/log.h"
#include "services/client/contribution.h"
#include "services/node/node.h"
#include "services/node/node_config.h"

namespace lvs::services {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
inline constexpr int kPatience = kSanitized ? 10 : 1;

inline constexpr std::int64_t kPeriodUs = 50'000;
inline constexpr std::uint32_t kShards = 4;
inline constexpr int kSlots = 2;
inline constexpr int kDimensions = 4;
inline constexpr std::uint64_t kVu = 1'000'000;

inline std::uint64_t Now() { return CycleNow(kPeriodUs); }

inline bool Within(std::chrono::milliseconds time, const std::function<bool()>& done) {
  const auto deadline = Steady::now() + time * kPatience;
  while (!done()) {
    if (Steady::now() >= deadline) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

inline std::uint64_t Refused(const Node& node, const std::string& reason) {
  const v1::NodeStatus status = node.Status();
  const auto at = status.refused().find(reason);
  return at == status.refused().end() ? 0 : at->second;
}

inline v1::NodeConfig Config(const std::vector<std::string>& boot) {
  v1::NodeConfig config;
  config.set_region("test");
  config.set_listen("127.0.0.1:0");
  config.set_control_listen("127.0.0.1:0");
  config.set_health_listen("127.0.0.1:0");
  for (const std::string& address : boot) config.add_boot(address);
  config.mutable_state()->set_shards(kShards);
  config.mutable_population()->set_micro_nodes(100);
  config.set_period_us(kPeriodUs);
  FillNodeDefaults(&config);
  return config;
}

using Totals = std::array<std::uint64_t, kSlots>;

class HonestNetwork {
 public:
  explicit HonestNetwork(int nodes = 2) {
    ConfigureLog(v1::ERROR, 20);
    while (static_cast<int>(nodes_.size()) < nodes) Add();
    EXPECT_TRUE(Within(8s, [&] { return AllServe() && AllLinked(); })) << "the honest network did not start";
    linked_since_ = Steady::now();  // and all of them stay linked from here on
    resident_bytes_ = node().Status().resident_bytes();
    clients_ = std::thread([this] { Contribute(); });
  }
  ~HonestNetwork() { EndClients(); }

  Node& node(std::size_t n = 0) { return *nodes_[n]; }
  std::string address(std::size_t n = 0) const { return nodes_[n]->address(); }

  void Add() {
    std::vector<std::string> boot;
    if (!nodes_.empty()) boot.push_back(address());
    absl::StatusOr<std::unique_ptr<Node>> node = Node::Start(Config(boot));
    ASSERT_TRUE(node.ok()) << node.status();
    nodes_.push_back(*std::move(node));
    if (!clients_.joinable()) return;
    EXPECT_TRUE(Within(5s, [&] { return AllLinked(); }));
    linked_since_ = Steady::now();
  }

  bool AllServe() const {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& n) { return n->Status().state() == v1::SERVING; });
  }
  bool AllLinked() const {
    return std::all_of(nodes_.begin(), nodes_.end(),
                       [&](const auto& n) { return LinksTo(*n) + 1 == static_cast<int>(nodes_.size()); });
  }
  // Bytes that this process, with the attacker in it, has grown by.
  std::uint64_t Grown() {
    const std::uint64_t now = node().Status().resident_bytes();
    return now > resident_bytes_ ? now - resident_bytes_ : 0;
  }

  // What must hold after every attack. `forged` is what forgers have claimed within the policy, a slot.
  void ExpectUnharmed(const Totals& forged = {}, std::uint64_t grown_max_mb = 96) {
    EndClients();
    Totals expected = forged;
    {
      const std::lock_guard lock(mu_);
      EXPECT_GT(acknowledged_.size(), 0u) << "no honest client was served";
      for (const auto& [key, amount] : acknowledged_) expected[key.second % kSlots] += amount;
    }
    const auto equal = [&] {
      return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& n) {
        const v1::LedgerStatus ledger = n->Status().ledger();
        return ledger.total_uvu(0) == expected[0] && ledger.total_uvu(1) == expected[1] &&
               ledger.digest() == node().Status().ledger().digest();
      });
    };
    EXPECT_TRUE(Within(5s, equal)) << "expected " << expected[0] << " and " << expected[1] << " uVU";
    for (const auto& n : nodes_) {
      const v1::NodeStatus status = n->Status();
      SCOPED_TRACE(status.ShortDebugString());
      EXPECT_EQ(status.state(), v1::SERVING);
      // How busy the machine is that runs this test is no attack.
      for (const std::string& problem : status.problems()) EXPECT_THAT(problem, ::testing::HasSubstr("of its cycles"));
    }
    EXPECT_TRUE(AllLinked());
    const double since_s = std::chrono::duration<double>(Steady::now() - linked_since_).count();
    for (const auto& n : nodes_) {
      const v1::PeerList peers = n->Peers();
      for (const v1::Peer& peer : peers.peers()) {
        if (!IsHonest(peer)) continue;
        EXPECT_GE(peer.connected_s(), since_s) << "honest nodes lost one another";
      }
    }
    if (!kSanitized) {
      EXPECT_TRUE(Within(8s, [&] { return Grown() < grown_max_mb << 20; }))
          << Grown() << " bytes more than at the start; of the heap, " << mallinfo2().uordblks << " are in use and "
          << mallinfo2().fordblks << " are free";
    }
  }

  // Milliseconds until a contribution of 1 uVU of a new session is acknowledged by two nodes; counted as acknowledged.
  int RoundTripMs(std::uint32_t shard) {
    const auto began = Steady::now();
    const SessionId session = RandomSession();
    std::atomic<int> code{-1};
    v1::ContributeRequest request = Request(session, shard, 0, 1);
    request.set_durability(v1::NODES);
    request.set_nodes(2);
    node().Contribute(request, "probe", Steady::now() + 10s, [&](const v1::ContributeReply& reply) {
      const std::lock_guard lock(mu_);
      if (reply.held()) acknowledged_[{session, 0}] = 1;
      code = reply.code();
    });
    EXPECT_TRUE(Within(11s, [&] { return code >= 0; }));
    EXPECT_EQ(code, 0);
    return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - began).count());
  }

 private:
  static v1::ContributeRequest Request(const SessionId& session, std::uint32_t shard, std::uint32_t slot,
                                       std::uint64_t amount) {
    v1::ContributeRequest request;
    request.set_session_high(session.high);
    request.set_session_low(session.low);
    request.set_shard(shard);
    request.set_slot(slot);
    request.set_amount_uvu(amount);
    return request;
  }

  bool IsHonest(const v1::Peer& peer) const {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& n) {
      const v1::NodeStatus status = n->Status();
      return status.session_high() == peer.session_high() && status.session_low() == peer.session_low() &&
             status.address() == peer.address();
    });
  }
  int LinksTo(const Node& node) const {
    const v1::PeerList peers = node.Peers();
    return static_cast<int>(std::count_if(peers.peers().begin(), peers.peers().end(),
                                          [&](const v1::Peer& peer) { return IsHonest(peer); }));
  }

  // Eight sessions, each with one more mVU every 80 ms, at nodes in turn.
  void Contribute() {
    std::array<SessionId, 8> sessions;
    for (SessionId& session : sessions) session = RandomSession();
    std::array<std::uint64_t, 8> amount{};
    for (std::size_t n = 0; !end_; ++n, std::this_thread::sleep_for(10ms)) {
      const std::size_t s = n % sessions.size();
      amount[s] += 1000;
      ++waiting_;
      nodes_[n / sessions.size() % nodes_.size()]->Contribute(
          Request(sessions[s], static_cast<std::uint32_t>(s % kShards), s / kShards % kSlots, amount[s]), "client",
          Steady::now() + 2s, [this, key = std::pair(sessions[s], s / kShards), said = amount[s]](const auto& reply) {
            const std::lock_guard lock(mu_);
            if (reply.held()) acknowledged_[key] = std::max(acknowledged_[key], said);
            --waiting_;
          });
    }
  }
  void EndClients() {
    end_ = true;
    if (clients_.joinable()) clients_.join();
    EXPECT_TRUE(Within(3s, [&] { return waiting_ == 0; })) << "contributions are left without an answer";
  }

  std::vector<std::unique_ptr<Node>> nodes_;
  Steady::time_point linked_since_;
  std::uint64_t resident_bytes_ = 0;
  std::atomic<bool> end_{false};
  std::atomic<int> waiting_{0};
  std::mutex mu_;
  std::map<std::pair<SessionId, std::size_t>, std::uint64_t> acknowledged_;  // session and slot
  std::thread clients_;
};

}  // namespace lvs::services
