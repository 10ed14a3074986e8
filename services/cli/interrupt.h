// Ctrl-C for commands that take a while.
//
//   InterruptGuard interrupts;
//   while (!interrupts.Requested()) ...
#pragma once

#include <atomic>
#include <csignal>

namespace lvs::services {

// The guard records the first SIGINT or SIGTERM during its lifetime. The handler then restores the signal's default
// action, so that the same signal kills the process the second time. A process has at most one guard at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // The flag turns true at the first signal. Any thread.
  static const std::atomic<bool>& Flag();
  static bool Requested() { return Flag().load(); }

 private:
  struct sigaction old_int_ {};
  struct sigaction old_term_ {};
};

}  // namespace lvs::services
