// Waits for what has no notification: another process, a file, an answer over a network.
//
//   bool ended = PollUntil([] { return ProcessEnded(4711); }, std::chrono::seconds(10), std::chrono::milliseconds(5));
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace lvs::services {

// Asks `holds` at once and then every `interval`; true as soon as it holds, false once the deadline has passed.
template <typename Condition>
bool PollUntil(const Condition& holds, std::chrono::milliseconds deadline, std::chrono::milliseconds interval) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!holds()) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= end) return false;
    std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(interval, end - now));
  }
  return true;
}

}  // namespace lvs::services
