// An actor a node on SimGrid, a mailbox a node, a message a neighbour and cycle. Time is simulated: a message takes 20
// ms on a network model that is constant, the cheapest one that SimGrid has. The whole simulation runs on one thread.
#include <simgrid/s4u.hpp>

#include "bench/baselines/work.h"
#include "simgrid/version.h"  // after s4u.hpp, which it needs

namespace baselines {
namespace {

namespace s4u = simgrid::s4u;

struct Shared {
  explicit Shared(const Work& w) : work(w), running(w.nodes), check(w.nodes), after(w.nodes) {}
  const Work& work;
  std::vector<s4u::Mailbox*> mailboxes;
  std::uint32_t running;
  Clock::time_point started;
  Clock::time_point ended;
  std::uint64_t resident_bytes = 0;
  std::vector<Point> check;
  std::vector<Point> after;
};

// All nodes publish at the same simulated time and a message always takes as long, so a mailbox never mixes two cycles.
// What is sent is a pointer to the state as published; of two cycles one stays unchanged while it is on its way.
void Node(Shared* shared, std::uint32_t self) {
  const Work& work = shared->work;
  const std::uint32_t* to = &work.listeners[std::size_t{self} * kPeers];
  Point said[2];
  std::vector<s4u::CommPtr> sent(kPeers);
  said[0] = work.start[self];
  for (std::uint32_t cycle = 0; cycle < work.cycles; ++cycle) {
    Point& state = said[cycle % 2];
    // Not detached: SimGrid keeps all detached messages in one list, and looks through it for each that has arrived.
    for (std::uint32_t i = 0; i < kPeers; ++i) sent[i] = shared->mailboxes[to[i]]->put_async(&state, sizeof state);
    Point sum;
    float number = 0;
    std::uint64_t arrived = Arrived(self, cycle, work.lost);
    for (std::uint32_t i = 0; i < kPeers; ++i, arrived >>= 8) {
      const Point* heard = shared->mailboxes[self]->get<Point>();
      if ((arrived & 1) == 0) continue;
      sum.x += heard->x;
      sum.y += heard->y;
      ++number;
    }
    s4u::Comm::wait_all(sent);
    Point& next = said[(cycle + 1) % 2];
    next = state;
    if (number > 0) {
      next.x += kWeight * (sum.x / number - state.x);
      next.y += kWeight * (sum.y / number - state.y);
    }
    if (cycle + 1 == kCheckCycle) shared->check[self] = next;
  }
  shared->after[self] = said[work.cycles % 2];
  if (--shared->running == 0) {
    shared->ended = Clock::now();
    shared->resident_bytes = ResidentBytes();
  }
  s4u::this_actor::sleep_for(1);  // alive until all have ended and the memory is measured
}

int Main(int argc, char** argv) {
  int engine_argc = 1;
  s4u::Engine engine(&engine_argc, argv);
  const Work work = WorkOf(argc, argv);
  if (work.threads != 1) Fail("SimGrid runs this on one thread: its parallel contexts are slower for work this small");
  s4u::Engine::set_config("contexts/factory:raw");
  s4u::Engine::set_config("contexts/stack-size:16");
  s4u::Engine::set_config("contexts/guard-size:0");
  s4u::Engine::set_config("network/model:Constant");
  s4u::Engine::set_config("network/latency-factor:0.02");

  Shared shared(work);
  const std::uint64_t resident_before = ResidentBytes();
  const auto setup = Clock::now();
  s4u::NetZone* zone = s4u::create_full_zone("network");
  s4u::Host* host = zone->create_host("machine", 1e9)->seal();
  zone->seal();
  for (std::uint32_t i = 0; i < work.nodes; ++i) {
    shared.mailboxes.push_back(s4u::Mailbox::by_name(std::to_string(i)));
    s4u::Actor::create("node", host, [&shared, i] { Node(&shared, i); });
  }
  const auto started = Clock::now();
  engine.run();

  Result result;
  result.name = "simgrid_actors";
  result.version = "SimGrid " + std::to_string(SIMGRID_VERSION_MAJOR) + "." + std::to_string(SIMGRID_VERSION_MINOR);
  result.setup_seconds = SecondsBetween(setup, started);
  result.seconds = SecondsBetween(started, shared.ended);
  result.resident_bytes = shared.resident_bytes - resident_before;
  result.spread_check = Spread(shared.check);
  result.spread_after = Spread(shared.after);
  Print(work, result);
  return 0;
}

}  // namespace
}  // namespace baselines

int main(int argc, char** argv) { return baselines::Main(argc, argv); }
