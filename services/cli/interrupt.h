// Ctrl-C for commands that take a while.
//
//   InterruptGuard interrupts;
//   while (!interrupts.Requested()) ...
#pragma once

#include <atomic>
#include <csignal>

namespace lvs::services {

// While it lives, the first SIGINT or SIGTERM is noted and gives the signal its default action back, so that a second
// one kills. One at a time in a process.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // Set once a signal came. Any thread.
  static const std::atomic<bool>& Flag();
  static bool Requested() { return Flag().load(); }

 private:
  struct sigaction old_int_ {};
  struct sigaction old_term_ {};
};

}  // namespace lvs::services
