// Views of the network as a node runs them: one lock a node, taken by its clock, by gRPC's threads and by whoever asks
// for the status. Every node's clock is a thread here, and what it says to another node happens under that one's lock.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "services/peering/membership.h"

namespace lvs::services {
namespace {

using namespace std::chrono_literals;

class Crowd {
 public:
  static constexpr std::size_t kNodes = 7;  // each has links to all others: as many as it looks for

  Crowd() {
    for (std::size_t n = 0; n < kNodes; ++n) {
      MembershipOptions options;
      options.seed = n + 1;
      options.session = {1, n + 1};
      options.self = Address(n);
      nodes_.push_back(std::make_unique<Node>(options));
      if (n == 0) continue;
      EXPECT_TRUE(nodes_[n]->membership.AddBoot(Address(0), Now()).ok());
    }
  }

  // A hundred times as fast as a clock.
  double Now() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count() * 100; }

  void Tick(std::size_t n) {
    Membership::Actions actions;
    std::vector<std::pair<LinkId, v1::PeerExchange>> say;
    {
      const std::lock_guard lock(nodes_[n]->mu);
      actions = nodes_[n]->membership.Tick(Now());
      for (const LinkId id : actions.exchange_with) say.emplace_back(id, nodes_[n]->membership.Sample(id, Now()));
    }
    for (const auto& [id, exchange] : say) {
      Node& other = *nodes_[Other(n, id)];
      const std::lock_guard lock(other.mu);
      other.membership.Heard(id, exchange, Now());
    }
    for (const Membership::Drop& drop : actions.drop) Break(Other(n, drop.link), drop.link, LinkEnd::kDropped);
    for (const std::string& address : actions.dial) Dial(n, static_cast<std::size_t>(address[5] - '0'));
  }

  void Break(std::size_t n, LinkId id, LinkEnd end) {
    const std::lock_guard lock(nodes_[n]->mu);
    nodes_[n]->membership.Disconnected(id, end, "gone", Now());
  }

  std::vector<LinkId> Links(std::size_t n) const {
    const std::lock_guard lock(nodes_[n]->mu);
    return nodes_[n]->membership.Links();
  }
  std::size_t Known(std::size_t n) const {
    const std::lock_guard lock(nodes_[n]->mu);
    return nodes_[n]->membership.Known().size();
  }

  // The node at the far end.
  static std::size_t Other(std::size_t n, LinkId id) { return id / 10 % 10 == n ? id % 10 : id / 10 % 10; }

 private:
  struct Node {
    explicit Node(const MembershipOptions& options) : membership(options) {}
    mutable std::mutex mu;
    Membership membership;
  };

  static std::string Address(std::size_t n) { return "10.0." + std::to_string(n) + ".1:7400"; }

  // Welcomed by the other first, as with hellos.
  void Dial(std::size_t n, std::size_t to) {
    const LinkId id = ++last_ * 100 + n * 10 + to;
    absl::Status status;
    {
      const std::lock_guard lock(nodes_[to]->mu);
      status = nodes_[to]->membership.Connected({id, Address(n), "", "eu", {1, n + 1}}, Now());
    }
    {
      const std::lock_guard lock(nodes_[n]->mu);
      if (!status.ok()) return nodes_[n]->membership.DialFailed(Address(to), status, Now());
      status = nodes_[n]->membership.Connected({id, Address(to), Address(to), "eu", {1, to + 1}}, Now());
    }
    if (!status.ok()) Break(to, id, LinkEnd::kDropped);
  }

  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<Node>> nodes_;
  std::atomic<LinkId> last_{0};
};

TEST(MembershipThreads, ClocksPeersAndOperatorsAtOnce) {
  Crowd crowd;
  std::atomic<bool> end{false};
  std::vector<std::thread> threads;
  for (std::size_t n = 0; n < Crowd::kNodes; ++n) {
    threads.emplace_back([&, n] {
      while (!end) {
        crowd.Tick(n);
        std::this_thread::sleep_for(1ms);
      }
    });
  }
  // The network breaks links, and somebody asks for the status.
  std::atomic<bool> whole{false};
  threads.emplace_back([&] {
    for (int broken = 0; broken < 200 && !end; ++broken) {
      const std::size_t n = static_cast<std::size_t>(broken) % Crowd::kNodes;
      EXPECT_LE(crowd.Known(n), Crowd::kNodes);
      const std::vector<LinkId> links = crowd.Links(n);
      if (!links.empty()) {
        crowd.Break(n, links.front(), LinkEnd::kBroken);
        crowd.Break(Crowd::Other(n, links.front()), links.front(), LinkEnd::kBroken);
      }
      std::this_thread::sleep_for(1ms);
    }
    whole = true;
  });
  const auto all_linked = [&] {
    for (std::size_t n = 0; n < Crowd::kNodes; ++n) {
      if (crowd.Links(n).size() != Crowd::kNodes - 1) return false;
    }
    return true;
  };
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while ((!whole || !all_linked()) && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(5ms);
  const bool linked = all_linked();
  end = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(linked) << "the views did not mend";
}

}  // namespace
}  // namespace lvs::services
