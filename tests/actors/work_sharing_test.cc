// Workers share one queue: every message is handled, none is forgotten by a worker that sleeps, and one without work
// looks for it as long as it may, and sleeps then.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "actors/caf.h"

namespace lvs::actors {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::microseconds kForever = 1h;

struct CounterState {
  static inline const char* name = "test.counter";
};

caf::behavior Count(caf::stateful_actor<CounterState>*, std::atomic<int>* counted) {
  return {[counted](int n) { *counted += n; }};
}

caf::behavior HoldUp(caf::event_based_actor* self, std::shared_future<void> until) {
  return {[self, until](int) {
    until.wait();
    self->quit();
  }};
}

// The states of this process's workers: R running, S sleeping.
std::string WorkerStates() {
  std::string states;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream stat(task.path() / "stat");
    std::string line;
    std::getline(stat, line);
    if (line.find("(caf.multiplexer)") != std::string::npos) states += line[line.rfind(')') + 2];
  }
  return states;
}

// Whether all workers come to this state, and stay in it for a while.
bool AllBecome(char state) {
  const auto all = [state] {
    const std::string states = WorkerStates();
    return !states.empty() && states.find_first_not_of(state) == std::string::npos;
  };
  for (int look = 0, seen = 0; look < 20'000; ++look) {
    seen = all() ? seen + 1 : 0;
    if (seen == 20) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

void WaitFor(const std::atomic<int>& counted, int n) {
  while (counted < n) std::this_thread::sleep_for(100us);
}

TEST(WorkSharing, EveryMessageOfManySendersIsHandledOnce) {
  for (const std::chrono::microseconds patience : {0us, 100us}) {
    std::atomic<int> counted = 0;
    {
      System system({.threads = 2, .patience = patience});
      // More of them have something to do, while the workers are held up, than the queue holds at first.
      std::promise<void> go;
      const std::shared_future<void> may_go = go.get_future().share();
      for (int n = 0; n < 2; ++n) caf::anon_send((*system).spawn(HoldUp, may_go), 0);
      std::vector<caf::actor> actors;
      for (int n = 0; n < 300; ++n) actors.push_back((*system).spawn(Count, &counted));
      std::vector<std::thread> senders;
      for (int s = 0; s < 3; ++s) {
        senders.emplace_back([&actors] {
          for (int n = 0; n < 30'000; ++n) caf::anon_send(actors[static_cast<std::size_t>(n) % actors.size()], 1);
        });
      }
      for (std::thread& sender : senders) sender.join();
      EXPECT_EQ(counted, 0);
      go.set_value();
      WaitFor(counted, 90'000);
      for (const caf::actor& actor : actors) caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    }
    EXPECT_EQ(counted, 90'000) << patience.count() << " us";
  }
}

TEST(WorkSharing, WorkersWithoutPatienceSleepAndAreWoken) {
  std::atomic<int> counted = 0;
  System system({.threads = 2});
  const caf::actor actor = (*system).spawn(Count, &counted);
  for (int n = 1; n <= 3; ++n) {
    EXPECT_TRUE(AllBecome('S')) << WorkerStates();
    caf::anon_send(actor, 1);
    WaitFor(counted, n);
  }
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
}

TEST(WorkSharing, WorkersWithPatienceLookForWork) {
  std::atomic<int> counted = 0;
  System system({.threads = 1, .patience = kForever});
  const caf::actor actor = (*system).spawn(Count, &counted);
  for (int n = 1; n <= 3; ++n) {
    EXPECT_TRUE(AllBecome('R')) << WorkerStates();
    caf::anon_send(actor, 1);
    WaitFor(counted, n);
  }
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  // It ends at once, whatever patience is left.
}

TEST(WorkSharing, PatienceEnds) {
  System system({.threads = 1, .patience = 100us});
  EXPECT_TRUE(AllBecome('S')) << WorkerStates();
}

// Where workers outnumber the cores, one that looks for work would take the core of one that has some.
TEST(WorkSharing, MoreWorkersThanCoresHaveNoPatience) {
  System system({.threads = System::OneACore() + 1, .patience = kForever});
  EXPECT_TRUE(AllBecome('S')) << WorkerStates();
}

}  // namespace
}  // namespace lvs::actors
