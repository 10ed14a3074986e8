// std::mutex and std::condition_variable with clang's thread-safety annotations: clang -Wthread-safety refuses code that
// touches a guarded member without its lock. (absl::Mutex is annotated too, but Debian's library is built without the
// thread sanitizer's hooks, so that the sanitizer would report every member that it guards.)
//
//   class Queue {
//    public:
//     void Put(int item) {
//       const MutexLock lock(&mu_);
//       items_.push_back(item);
//       filled_.NotifyOne();
//     }
//     int Take() {
//       MutexLock lock(&mu_);
//       while (items_.empty()) filled_.Wait(&mu_);
//       ...
//     }
//
//    private:
//     Mutex mu_;
//     CondVar filled_;
//     std::vector<int> items_ ABSL_GUARDED_BY(mu_);
//   };
//
// A function that the caller must hold the lock for says ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_); one that takes it itself may
// say ABSL_LOCKS_EXCLUDED(mu_).
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"

namespace lvs::services {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mu_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mu_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mu_;
};

// Holds a mutex for the rest of its scope, or until Release.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) { mu_->Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() {
    if (mu_ != nullptr) mu_->Unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  // Unlocks early; at most once.
  void Release() ABSL_UNLOCK_FUNCTION() {
    mu_->Unlock();
    mu_ = nullptr;
  }

 private:
  Mutex* mu_;
};

// Waits may wake without a notification: call them in a loop over the condition.
class CondVar {
 public:
  void Wait(Mutex* mu) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    std::unique_lock lock(mu->mu_, std::adopt_lock);
    changed_.wait(lock);
    lock.release();
  }

  // False once the time has come.
  template <class Clock, class Duration>
  bool WaitUntil(Mutex* mu, std::chrono::time_point<Clock, Duration> when) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    std::unique_lock lock(mu->mu_, std::adopt_lock);
    const std::cv_status status = changed_.wait_until(lock, when);
    lock.release();
    return status == std::cv_status::no_timeout;
  }
  template <class Rep, class Period>
  bool WaitFor(Mutex* mu, std::chrono::duration<Rep, Period> time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return WaitUntil(mu, std::chrono::steady_clock::now() + time);
  }

  void NotifyOne() { changed_.notify_one(); }
  void NotifyAll() { changed_.notify_all(); }

 private:
  std::condition_variable changed_;
};

}  // namespace lvs::services
