// Lines that a thread of its own writes to a file: a reader that is slow, or that does not read at all, never holds up
// the writer.
//
//   LineWriter writer(/*fd=*/2, /*bytes_max=*/1 << 20);
//   bool taken = writer.Offer("a line\n");
//   writer.Flush(std::chrono::milliseconds(500));   // before the process ends
//
// Any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <thread>

#include "services/base/mutex.h"

namespace lvs::services {

class LineWriter {
 public:
  // Starts the thread. `fd` stays the caller's; at most `bytes_max` bytes wait to be written to it.
  LineWriter(int fd, std::size_t bytes_max);
  // Waits for the write that is under way, and drops what waits behind it.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // Takes lines to write, whole and in order; false where there is no room for them.
  bool Offer(std::string_view lines);

  // Waits until all is written; false where it is not within `timeout`.
  bool Flush(std::chrono::milliseconds timeout);

 private:
  void Run();

  const int fd_;
  const std::size_t bytes_max_;
  Mutex mu_;
  CondVar changed_;
  std::string waiting_ ABSL_GUARDED_BY(mu_);
  std::size_t writing_ ABSL_GUARDED_BY(mu_) = 0;  // bytes that the thread has taken and not yet written
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace lvs::services
