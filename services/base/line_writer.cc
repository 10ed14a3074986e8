#include "services/base/line_writer.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace lvs::services {
namespace {

// A line that cannot be written is dropped: nobody could be told.
void WriteLines(int fd, std::string_view lines) {
  while (!lines.empty()) {
    const ssize_t written = ::write(fd, lines.data(), lines.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    lines.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

LineWriter::LineWriter(int fd, std::size_t bytes_max) : fd_(fd), bytes_max_(bytes_max), thread_([this] { Run(); }) {}

LineWriter::~LineWriter() {
  {
    const MutexLock lock(&mu_);
    stop_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

bool LineWriter::Offer(std::string_view lines) {
  const MutexLock lock(&mu_);
  if (waiting_.size() + writing_ + lines.size() > bytes_max_) return false;
  waiting_ += lines;
  changed_.NotifyAll();
  return true;
}

bool LineWriter::Flush(std::chrono::milliseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  const MutexLock lock(&mu_);
  while (waiting_.size() + writing_ > 0) {
    if (!changed_.WaitUntil(&mu_, until) && std::chrono::steady_clock::now() >= until) break;
  }
  return waiting_.size() + writing_ == 0;
}

void LineWriter::Run() {
  std::string lines;
  while (true) {
    {
      const MutexLock lock(&mu_);
      writing_ = 0;
      changed_.NotifyAll();
      while (waiting_.empty() && !stop_) changed_.Wait(&mu_);
      if (stop_) return;
      lines.clear();
      std::swap(lines, waiting_);
      writing_ = lines.size();
    }
    WriteLines(fd_, lines);
  }
}

}  // namespace lvs::services
