// The cost of the actor framework: a message from one actor to another, and the round that makes up every cycle (a tick
// to each shard actor, a report from each to one monitor). The item is a message. Time is wall time, because the work
// runs on the scheduler's threads.
//
//   build/release/lvs_actor_bench
#include <benchmark/benchmark.h>

#include <cstdint>
#include <future>
#include <memory>
#include <vector>

#include "actors/interfaces.h"
#include "actors/recycled.h"

namespace lvs::actors {
namespace {

// A latch for one waiter, released when the count reaches zero.
class Latch {
 public:
  explicit Latch(std::int64_t count) : left_(count) {}
  void Down() {
    if (--left_ == 0) done_.set_value();
  }
  void Wait() { done_.get_future().wait(); }

 private:
  std::int64_t left_;  // used only by the one actor that counts
  std::promise<void> done_;
};

struct Player {
  static inline const char* name = "bench.player";
  caf::actor other;
};

// Answers each cycle by sending the next lower one to the other player, until cycle 0.
caf::behavior Play(caf::stateful_actor<Player>* self, const std::shared_ptr<std::promise<void>>* done) {
  return {
      [self](const Payload<Wiring>&) { self->state.other = caf::actor_cast<caf::actor>(self->current_sender()); },
      [self, done](const Payload<LinkFlush>& said) {
        if (said->cycle == 0) return (*done)->set_value();
        const auto next = Recycled<LinkFlush>();
        next->cycle = said->cycle - 1;
        PostFrom(self, self->state.other, Payload<LinkFlush>(next));
      },
  };
}

void ActorPingPong(benchmark::State& state) {
  constexpr std::uint64_t kMessages = 10'000;
  System system({.threads = static_cast<unsigned>(state.range(0))});
  auto done = std::make_shared<std::promise<void>>();
  const auto wiring = std::make_shared<const Wiring>();
  const caf::actor a = (*system).spawn(Play, &done);
  const caf::actor b = (*system).spawn(Play, &done);
  caf::send_as(a, b, Payload<Wiring>(wiring));
  caf::send_as(b, a, Payload<Wiring>(wiring));
  for (auto _ : state) {
    done = std::make_shared<std::promise<void>>();
    const auto first = Recycled<LinkFlush>();
    first->cycle = kMessages;
    Post(a, Payload<LinkFlush>(first));
    done->get_future().wait();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(kMessages) * state.iterations());
  caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(b, caf::exit_reason::user_shutdown);
}
BENCHMARK(ActorPingPong)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();

void ActorRound(benchmark::State& state) {
  const std::int64_t actors = state.range(0);
  System system({.threads = static_cast<unsigned>(state.range(1))});
  std::shared_ptr<Latch> latch;
  // The function takes an argument because CAF 0.17 binds a null reference for a function without one.
  const caf::actor monitor = (*system).spawn(
      [](caf::event_based_actor*, std::shared_ptr<Latch>* waiting) -> caf::behavior {
        return {[waiting](const Payload<ShardReport>&) { (*waiting)->Down(); }};
      },
      &latch);
  std::vector<caf::actor> shards;
  for (std::int64_t n = 0; n < actors; ++n) {
    shards.push_back((*system).spawn(
        [](caf::event_based_actor* self, const caf::actor& to) -> caf::behavior {
          return {[self, to](const Payload<ShardTick>& tick) {
            auto report = Recycled<ShardReport>();
            report->cycle = tick->cycle;
            PostFrom(self, to, Payload<ShardReport>(std::move(report)));
          }};
        },
        monitor));
  }
  std::uint64_t cycle = 0;
  for (auto _ : state) {
    latch = std::make_shared<Latch>(actors);
    ++cycle;
    for (const caf::actor& shard : shards) {
      const auto tick = Recycled<ShardTick>();
      tick->cycle = cycle;
      Post(shard, Payload<ShardTick>(tick));
    }
    latch->Wait();
  }
  state.SetItemsProcessed(2 * actors * state.iterations());
  for (const caf::actor& shard : shards) caf::anon_send_exit(shard, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(monitor, caf::exit_reason::user_shutdown);
}
BENCHMARK(ActorRound)->ArgNames({"actors", "threads"})->ArgsProduct({{16, 64, 256, 1024}, {1, 2}})->UseRealTime();

}  // namespace
}  // namespace lvs::actors
