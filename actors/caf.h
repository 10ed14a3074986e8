// The seam to CAF 0.17.6: the only header that includes it. What 0.18 and 1.0 renamed (replies_to, reacts_to, atoms as
// configuration values, unsafe message types) is used through the names below and nowhere else.
#pragma once

#include <algorithm>
#include <caf/all.hpp>
#include <chrono>
#include <cstdint>
#include <thread>

namespace lvs::actors {

// A message handler that answers nothing.
template <class... Message>
using Reacts = caf::reacts_to<Message...>;

template <class... Signature>
using TypedActor = caf::typed_actor<Signature...>;

struct SchedulerOptions {
  unsigned threads = 0;  // 0: one a core
};

// Policy, threads and throughput are set in so many words: CAF's own default lets one busy actor starve the rest, and
// its work stealing is quadratic in spawn bursts.
class System {
 public:
  static unsigned OneACore() { return std::max(1u, std::thread::hardware_concurrency()); }
  explicit System(const SchedulerOptions& options) : config_(options), system_(config_) {}
  caf::actor_system& operator*() { return system_; }

 private:
  struct Config : caf::actor_system_config {
    explicit Config(const SchedulerOptions& options) {
      set("scheduler.policy", caf::atom("sharing"));
      set("scheduler.max-throughput", std::size_t{64});
      // CAF's default is four workers or more, also where there are fewer cores: they would push each other's shards
      // out of the caches.
      set("scheduler.max-threads", std::size_t{options.threads > 0 ? options.threads : OneACore()});
    }
  };
  Config config_;
  caf::actor_system system_;
};

}  // namespace lvs::actors
