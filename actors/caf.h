// The seam to CAF 0.17.6: only this header, its letters and its scheduling policy include it. Names that 0.18 and 1.0
// changed (replies_to, reacts_to, unsafe message types) are used through the aliases below and nowhere else.
#pragma once

#include <algorithm>
#include <caf/all.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <thread>

#include "actors/letter.h"
#include "actors/work_sharing.h"

namespace lvs::actors {

// A message handler that answers nothing.
template <class... Message>
using Reacts = caf::reacts_to<Message...>;

template <class... Signature>
using TypedActor = caf::typed_actor<Signature...>;

struct SchedulerOptions {
  unsigned threads = 0;  // 0: one a core
  // A worker without work spins for this long before it sleeps. Only where each worker has a core of its own.
  std::chrono::microseconds patience{0};
};

// The first line of every actor. An exception that leaves a handler ends the process, as on any other thread: CAF would
// end this actor alone, and the others would wait for it for ever.
template <class Self>
void EndProcessOnException(Self* self) {
  self->set_exception_handler([](std::exception_ptr& thrown) noexcept -> caf::error {
    std::rethrow_exception(thrown);  // out of a noexcept function: std::terminate
  });
}

// CAF's actor system with policy, threads and throughput set explicitly: CAF's own default lets one busy actor starve
// the rest, its work stealing is quadratic in spawn bursts, and its work sharing never spins.
class System {
 public:
  static unsigned OneACore() { return std::max(1u, std::thread::hardware_concurrency()); }
  explicit System(const SchedulerOptions& options) : config_(options), system_(config_) {}
  caf::actor_system& operator*() { return system_; }

 private:
  struct Config : caf::actor_system_config {
    explicit Config(const SchedulerOptions& options) {
      load<caf::scheduler::coordinator<WorkSharing>>();
      const unsigned threads = options.threads > 0 ? options.threads : OneACore();
      const std::chrono::microseconds none{0};
      caf::put(content, WorkSharing::kPatienceKey, caf::timespan{threads <= OneACore() ? options.patience : none});
      set("scheduler.max-throughput", std::size_t{64});
      // CAF's default is four workers or more, even on fewer cores, where they would push each other's shards out of
      // the caches.
      set("scheduler.max-threads", std::size_t{threads});
    }
  };
  Config config_;
  caf::actor_system system_;
};

}  // namespace lvs::actors
