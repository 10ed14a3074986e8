#include "services/base/fatal.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <new>
#include <string_view>
#include <system_error>

namespace lvs::services {
namespace {

std::atomic<bool> write_as_log{false};
std::atomic<bool> ending{false};

// Text of a bounded length. Nothing here allocates: memory may be what is missing.
class BoundedText {
 public:
  void Add(std::string_view text) {
    text = text.substr(0, bytes_.size() - size_);
    std::copy(text.begin(), text.end(), bytes_.begin() + size_);
    size_ += text.size();
  }
  void AddNumber(std::int64_t number, std::ptrdiff_t digits_min = 1) {
    std::array<char, 24> digits{};
    const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    for (std::ptrdiff_t n = end - digits.data(); n < digits_min; ++n) Add("0");
    Add({digits.data(), static_cast<std::size_t>(end - digits.data())});
  }
  // As the inside of a JSON string. Bytes that JSON would have to escape by number become spaces.
  void AddEscaped(std::string_view text) {
    for (const char c : text) {
      if (c == '"' || c == '\\') Add("\\");
      const char plain = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
      Add({&plain, 1});
    }
  }
  std::string_view view() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, 1024> bytes_{};
  std::size_t size_ = 0;
};

void AddTimestamp(BoundedText* to) {
  using std::chrono::floor;
  const auto now = floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto day = floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(now - day);
  to->AddNumber(int{date.year()}, 4);
  to->Add("-");
  to->AddNumber(unsigned{date.month()}, 2);
  to->Add("-");
  to->AddNumber(unsigned{date.day()}, 2);
  to->Add("T");
  to->AddNumber(time.hours().count(), 2);
  to->Add(":");
  to->AddNumber(time.minutes().count(), 2);
  to->Add(":");
  to->AddNumber(time.seconds().count(), 2);
  to->Add(".");
  to->AddNumber(time.subseconds().count(), 3);
  to->Add("Z");
}

void AddMemory(BoundedText* to) {
  constexpr rlim_t kMebi = 1 << 20;
  to->Add("out of memory");
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    to->Add(": the limit of the address space is ");
    to->AddNumber(static_cast<std::int64_t>(limit.rlim_cur / kMebi));
    to->Add(" MiB (ulimit -v)");
  }
  to->Add("; give the process more, or less to hold");
}

void AddException(const std::exception& error, BoundedText* to) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return AddMemory(to);
  const auto* const file = dynamic_cast<const std::filesystem::filesystem_error*>(&error);
  const auto* const system = dynamic_cast<const std::system_error*>(&error);
  if (file == nullptr && system != nullptr && system->code() == std::errc::resource_unavailable_try_again) {
    to->Add("no thread could be started (");
    to->Add(error.what());
    to->Add("); raise the limit of processes (ulimit -u), the pids limit of the container, or the memory");
    return;
  }
  if (file == nullptr) to->Add("a fault of this program; please report it: ");
  to->Add(error.what());
}

// Without waiting: a reader of stderr that does not read must not keep a process that has failed.
void WriteUnlessBlocked(std::string_view text) {
  pollfd out{STDERR_FILENO, POLLOUT, 0};
  if (poll(&out, 1, 0) != 1) return;
  static_cast<void>(!write(STDERR_FILENO, text.data(), text.size()));
}

[[noreturn]] void EndProcess(std::string_view why) {
  // One thread speaks; others that fail meanwhile wait for the end.
  while (ending.exchange(true)) pause();
  BoundedText line;
  if (write_as_log.load()) {
    line.Add("{\"ts\":\"");
    AddTimestamp(&line);
    line.Add("\",\"level\":\"error\",\"event\":\"node.failed\",\"why\":\"");
    line.AddEscaped(why.substr(0, 400));
    line.Add("\"}\n");
  } else {
    line.Add("lvs: ");
    line.Add(why.substr(0, 1000));
    line.Add("\n");
  }
  WriteUnlessBlocked(line.view());
  _exit(kExitFatal);
}

void OnNoMemory() {
  BoundedText why;
  AddMemory(&why);
  EndProcess(why.view());
}

[[noreturn]] void OnTerminate() {
  BoundedText why;
  if (const std::exception_ptr current = std::current_exception()) {
    try {
      std::rethrow_exception(current);
    } catch (const std::exception& error) {
      AddException(error, &why);
    } catch (...) {
      why.Add("a fault of this program; please report it: an exception of an unknown type");
    }
  } else {
    // As where a constructor fails that has started threads: the exception is already on its way.
    why.Add("the process could not go on; it may lack threads (ulimit -u), files (ulimit -n) or memory");
  }
  EndProcess(why.view());
}

void OnAbort(int) {
  EndProcess("a library stopped the process, as it does where memory or files (ulimit -n) have run out");
}

}  // namespace

void HandleFatalErrors() {
  std::set_new_handler(OnNoMemory);
  std::set_terminate(OnTerminate);
  struct sigaction action {};
  action.sa_handler = OnAbort;
  sigaction(SIGABRT, &action, nullptr);
}

void WriteFatalErrorsAsLog(bool as_log) { write_as_log.store(as_log); }

std::string ExceptionText(const std::exception& error) {
  BoundedText text;
  AddException(error, &text);
  return std::string(text.view());
}

}  // namespace lvs::services
