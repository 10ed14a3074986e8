// An actor a node on the C++ Actor Framework, a message a neighbour and cycle. Nodes keep no common clock: one goes on
// as soon as it has heard all of its peers, so that the scheduler never runs dry, and what comes early waits in a ring.
#include <array>
#include <atomic>
#include <caf/all.hpp>
#include <future>

#include "bench/baselines/work.h"

namespace baselines {
namespace {

// How many cycles a peer may be ahead: at most the length of the way back to it, about log8 of the nodes.
constexpr std::uint32_t kAhead = 16;

struct Shared {
  explicit Shared(const Work& w) : work(w), running(w.nodes), check(w.nodes), after(w.nodes) {}
  const Work& work;
  std::vector<caf::actor> nodes;
  std::atomic<std::uint32_t> running;
  std::promise<Clock::time_point> ended;
  std::vector<Point> check;
  std::vector<Point> after;
};

using GoAtom = caf::atom_constant<caf::atom("go")>;

class Node : public caf::event_based_actor {
 public:
  Node(caf::actor_config& config, Shared* shared, std::uint32_t self)
      : event_based_actor(config), shared_(*shared), self_(self), state_(shared->work.start[self]) {}

 protected:
  caf::behavior make_behavior() override {
    return {
        [this](std::uint32_t cycle, float x, float y) { Heard(cycle, x, y); },
        [this](GoAtom) {
          started_ = true;
          Publish();
          CatchUp();
        },
    };
  }

 private:
  struct Received {
    Point sum;
    std::uint8_t messages = 0;
    std::uint8_t arrived = 0;
  };

  void Heard(std::uint32_t cycle, float x, float y) {
    if (cycle - cycle_ >= kAhead) Fail("a peer is further ahead than the ring is long");
    Received& received = ring_[cycle % kAhead];
    if ((Arrived(self_, cycle, shared_.work.lost) >> (received.messages * 8) & 1) != 0) {
      received.sum.x += x;
      received.sum.y += y;
      ++received.arrived;
    }
    ++received.messages;
    CatchUp();
  }

  // The peers may all have spoken before the start was heard of.
  void CatchUp() {
    while (started_ && ring_[cycle_ % kAhead].messages == kPeers) Drift();
  }

  void Drift() {
    Received& received = ring_[cycle_ % kAhead];
    if (received.arrived > 0) {
      const auto number = static_cast<float>(received.arrived);
      state_.x += kWeight * (received.sum.x / number - state_.x);
      state_.y += kWeight * (received.sum.y / number - state_.y);
    }
    received = {};
    ++cycle_;
    if (cycle_ == kCheckCycle) shared_.check[self_] = state_;
    if (cycle_ < shared_.work.cycles) {
      Publish();
    } else {
      shared_.after[self_] = state_;
      if (shared_.running.fetch_sub(1) == 1) shared_.ended.set_value(Clock::now());
    }
  }

  void Publish() {
    const std::uint32_t* to = &shared_.work.listeners[std::size_t{self_} * kPeers];
    for (std::uint32_t i = 0; i < kPeers; ++i) caf::anon_send(shared_.nodes[to[i]], cycle_, state_.x, state_.y);
  }

  Shared& shared_;
  const std::uint32_t self_;
  bool started_ = false;
  std::uint32_t cycle_ = 0;
  Point state_;
  std::array<Received, kAhead> ring_{};
};

int Main(int argc, char** argv) {
  const Work work = WorkOf(argc, argv);
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", work.threads);
  caf::actor_system system{config};

  Result result;
  result.name = "caf_actor_per_node";
  result.version = "CAF " + std::to_string(CAF_VERSION / 10000) + "." + std::to_string(CAF_VERSION / 100 % 100) + "." +
                   std::to_string(CAF_VERSION % 100);
  Shared shared(work);
  const std::uint64_t resident_before = ResidentBytes();
  const auto setup = Clock::now();
  shared.nodes.reserve(work.nodes);
  for (std::uint32_t i = 0; i < work.nodes; ++i) shared.nodes.push_back(system.spawn<Node>(&shared, i));

  const auto started = Clock::now();
  for (const caf::actor& node : shared.nodes) caf::anon_send(node, GoAtom::value);
  const auto ended = shared.ended.get_future().get();
  result.setup_seconds = SecondsBetween(setup, started);
  result.seconds = SecondsBetween(started, ended);
  result.resident_bytes = ResidentBytes() - resident_before;
  result.spread_check = Spread(shared.check);
  result.spread_after = Spread(shared.after);
  Print(work, result);
  shared.nodes.clear();  // an actor that nobody can reach ends
  return 0;
}

}  // namespace
}  // namespace baselines

int main(int argc, char** argv) { return baselines::Main(argc, argv); }
