#include "services/base/threads.h"

#include <atomic>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/fatal.h"

namespace lvs::services {

absl::Status CheckThreads(unsigned count) {
  std::atomic<bool> done{false};
  absl::Status status;
  std::vector<std::thread> threads;
  threads.reserve(count);
  try {
    while (threads.size() < count) threads.emplace_back([&done] { done.wait(false); });
  } catch (const std::system_error& error) {
    status = absl::ResourceExhaustedError(
        absl::StrCat(ExceptionText(error), "; ", count, " are needed and ", threads.size(), " could be started"));
  }
  done = true;
  done.notify_all();
  for (std::thread& thread : threads) thread.join();
  return status;
}

}  // namespace lvs::services
