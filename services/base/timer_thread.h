// A thread that calls functions at given times of the steady clock. (gRPC's alarms wait on the wall clock: one that is set
// back holds them up for as long as the step.)
//
//   TimerThread timers;
//   const TimerThread::Id id = timers.At(now + std::chrono::seconds(1), [] { ... });   // short, and must not wait
//   if (timers.Cancel(id)) ...                                                          // it will never be called
//
// The end of the object calls nothing that was not due. All functions are safe from any thread, also from a function that
// is called.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "services/base/mutex.h"

namespace lvs::services {

class TimerThread {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Id = std::pair<Time, std::uint64_t>;

  TimerThread() : thread_([this] { Run(); }) {}
  ~TimerThread() {
    {
      const MutexLock lock(&mu_);
      stop_ = true;
      changed_.NotifyAll();
    }
    thread_.join();
  }
  TimerThread(const TimerThread&) = delete;
  TimerThread& operator=(const TimerThread&) = delete;

  Id At(Time when, std::function<void()> then) ABSL_LOCKS_EXCLUDED(mu_) {
    const MutexLock lock(&mu_);
    const Id id{when, ++last_};
    timers_.emplace(id, std::move(then));
    changed_.NotifyAll();
    return id;
  }

  // False: it was called, or is being called.
  bool Cancel(const Id& id) ABSL_LOCKS_EXCLUDED(mu_) {
    std::function<void()> then;  // destroyed without the lock
    const MutexLock lock(&mu_);
    const auto at = timers_.find(id);
    if (at == timers_.end()) return false;
    then = std::move(at->second);
    timers_.erase(at);
    return true;
  }

 private:
  void Run() {
    while (const std::function<void()> then = Next()) then();
  }

  // Waits for the next function that is due; empty at the end.
  std::function<void()> Next() ABSL_LOCKS_EXCLUDED(mu_) {
    const MutexLock lock(&mu_);
    while (!stop_) {
      if (timers_.empty()) {
        changed_.Wait(&mu_);
      } else if (const Time when = timers_.begin()->first.first; when > std::chrono::steady_clock::now()) {
        changed_.WaitUntil(&mu_, when);
      } else {
        std::function<void()> then = std::move(timers_.begin()->second);
        timers_.erase(timers_.begin());
        return then;
      }
    }
    return nullptr;
  }

  Mutex mu_;
  CondVar changed_;
  std::map<Id, std::function<void()>> timers_ ABSL_GUARDED_BY(mu_);
  std::uint64_t last_ ABSL_GUARDED_BY(mu_) = 0;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace lvs::services
