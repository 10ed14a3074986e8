#include "services/base/log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "grpc/support/log.h"
#include "services/base/line_writer.h"
#include "services/base/mutex.h"

namespace lvs::services {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;
// Events whose lines are counted separately. Events are constant words, so only a bug comes near this many.
constexpr std::size_t kEventsMax = 1024;

using Json = nlohmann::ordered_json;

const char* LevelWord(v1::LogLevel level) {
  switch (level) {
    case v1::ERROR: return "error";
    case v1::WARNING: return "warning";
    case v1::DEBUG: return "debug";
    default: return "info";
  }
}

std::int64_t SystemNowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string Timestamp(std::int64_t now_us) {
  const std::time_t seconds = static_cast<std::time_t>(now_us / kSecondUs);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 40> day{};
  std::strftime(day.data(), day.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  return absl::StrFormat("%s.%03dZ", day.data(), now_us % kSecondUs / 1000);
}

// One write a line, so that lines of several processes on one terminal do not mix either. A line that cannot be written
// is dropped: a log must not stop a node.
void WriteToStderr(std::string_view line) {
  std::string bytes(line);
  bytes += '\n';
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t written = write(STDERR_FILENO, bytes.data() + at, bytes.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    at += static_cast<std::size_t>(written);
  }
}

class Logger {
 public:
  // Never destroyed: threads may log while the process ends.
  static Logger& Instance() {
    static Logger* const logger = new Logger;
    return *logger;
  }

  bool Takes(v1::LogLevel level) const { return level >= level_.load(std::memory_order_relaxed); }

  void Write(v1::LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
    const MutexLock lock(&mutex_);
    const std::int64_t now_us = clock_ ? clock_() : SystemNowUs();
    std::uint64_t suppressed = 0;
    if (!Admit(event, now_us, &suppressed)) return;
    Json line;
    line["ts"] = Timestamp(now_us);
    line["level"] = LevelWord(level);
    line["event"] = event;
    for (const LogField& field : fields) {
      std::visit([&](const auto& value) { line[std::string(field.key)] = value; }, field.value);
    }
    if (suppressed > 0) line["suppressed"] = suppressed;
    const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (sink_) {
      sink_(text);
    } else if (writer_) {
      Offer(text + "\n", now_us);
    } else {
      WriteToStderr(text);
    }
  }

  void StartWriter(int fd) {
    const MutexLock lock(&mutex_);
    writer_ = std::make_unique<LineWriter>(fd, kLogWaitingBytesMax);
    dropped_ = told_ = 0;
  }

  void EndWriter(std::chrono::milliseconds timeout) {
    LineWriter* writer = nullptr;
    {
      const MutexLock lock(&mutex_);
      writer = writer_.get();
    }
    if (writer == nullptr) return;
    writer->Flush(timeout);
    // A writer that still waits for a reader stays, so that whoever logs until the process ends does not wait as well.
    const MutexLock lock(&mutex_);
    if (writer_->Flush(std::chrono::milliseconds(0))) writer_.reset();
  }

  std::uint64_t dropped() const { return dropped_; }

  void Configure(v1::LogLevel level, std::uint32_t lines_per_second) {
    const MutexLock lock(&mutex_);
    level_ = level;
    lines_per_second_ = lines_per_second;
    windows_.clear();
  }

  void SetSink(std::function<void(std::string_view)> sink) {
    const MutexLock lock(&mutex_);
    sink_ = std::move(sink);
  }

  void SetClock(std::function<std::int64_t()> clock) {
    const MutexLock lock(&mutex_);
    clock_ = std::move(clock);
  }

 private:
  struct Window {
    std::int64_t begin_us = 0;
    std::uint32_t lines = 0;
    std::uint64_t suppressed = 0;
  };

  // Gives a line to the writer. The first line behind dropped ones says how many there were.
  void Offer(const std::string& line, std::int64_t now_us) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::string lines;
    if (dropped_ > told_) {
      lines = Json{{"ts", Timestamp(now_us)},
                   {"level", LevelWord(v1::WARNING)},
                   {"event", "log.dropped"},
                   {"lines", dropped_ - told_}}
                  .dump() +
              "\n";
    }
    if (writer_->Offer(lines + line)) {
      told_ = dropped_;
    } else {
      ++dropped_;
    }
  }

  // Counts the lines of an event in windows of a second. `suppressed` becomes the number of lines that were left out
  // since the last line of this event. A window and not a token bucket: a second with too many lines shows its first
  // ones, which say how a burst began.
  bool Admit(std::string_view event, std::int64_t now_us, std::uint64_t* suppressed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (lines_per_second_ == 0) return true;
    auto at = windows_.find(event);
    if (at == windows_.end()) {
      if (windows_.size() >= kEventsMax) windows_.clear();
      at = windows_.emplace(std::string(event), Window{now_us, 0, 0}).first;
    }
    Window& window = at->second;
    // A clock that was set back begins a new window too.
    if (now_us - window.begin_us >= kSecondUs || now_us < window.begin_us) {
      window.begin_us = now_us;
      window.lines = 0;
    }
    if (window.lines >= lines_per_second_) {
      ++window.suppressed;
      return false;
    }
    ++window.lines;
    *suppressed = std::exchange(window.suppressed, 0);
    return true;
  }

  std::atomic<v1::LogLevel> level_ = kDefaultLogLevel;
  Mutex mutex_;
  std::uint32_t lines_per_second_ ABSL_GUARDED_BY(mutex_) = kDefaultLogLinesPerSecond;
  std::map<std::string, Window, std::less<>> windows_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<LineWriter> writer_ ABSL_GUARDED_BY(mutex_);  // null: lines are written where they are logged
  std::atomic<std::uint64_t> dropped_ = 0;
  std::uint64_t told_ ABSL_GUARDED_BY(mutex_) = 0;  // of dropped_, those that a line has told of
  std::function<void(std::string_view)> sink_ ABSL_GUARDED_BY(mutex_);
  std::function<std::int64_t()> clock_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

void Log(v1::LogLevel level, std::string_view event, std::initializer_list<LogField> fields) noexcept {
  Logger& logger = Logger::Instance();
  if (!logger.Takes(level)) return;
  try {
    logger.Write(level, event, fields);
  } catch (...) {  // no memory is left, or the sink of a test threw
  }
}

bool LogsLevel(v1::LogLevel level) noexcept { return Logger::Instance().Takes(level); }

void ConfigureLog(v1::LogLevel level, std::uint32_t lines_per_second) {
  Logger::Instance().Configure(level, lines_per_second);
}

void StartLogWriter(int fd) { Logger::Instance().StartWriter(fd); }

void EndLogWriter(std::chrono::milliseconds timeout) { Logger::Instance().EndWriter(timeout); }

std::uint64_t LogLinesDropped() { return Logger::Instance().dropped(); }

void RouteGrpcLog() {
  gpr_set_log_function([](gpr_log_func_args* line) {
    std::string_view text = line->message;
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    std::string_view file = line->file;
    file.remove_prefix(file.rfind('/') + 1);  // npos + 1 is 0
    // gRPC writes this about every server that is dialled by address; names are not compared (credentials.h).
    const bool noise = text.starts_with("No match found for server name");
    const bool bug = text.starts_with("assertion failed");
    const bool error = line->severity == GPR_LOG_SEVERITY_ERROR && !noise;
    Log(bug     ? v1::ERROR
        : error ? v1::WARNING
                : v1::DEBUG,
        bug ? "grpc.bug" : "grpc", {{"message", text}, {"source", file}, {"line", line->line}});
  });
}

void SetLogSink(std::function<void(std::string_view line)> sink) { Logger::Instance().SetSink(std::move(sink)); }

void SetLogClock(std::function<std::int64_t()> now_us) { Logger::Instance().SetClock(std::move(now_us)); }

}  // namespace lvs::services
