// How a process ends that cannot go on. Each case is a process of its own.
#include "services/base/fatal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "services/base/huge_pages.h"
#include "services/base/threads.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kOwnMemory = false;  // a sanitizer reserves address space, and reports what it cannot get, by itself
#else
constexpr bool kOwnMemory = true;
#endif

namespace lvs::services {
namespace {

using testing::ExitedWithCode;
using testing::HasSubstr;

constexpr std::size_t kMebi = std::size_t{1} << 20;

void LimitAddressSpace(std::size_t bytes) {
  const rlimit limit{bytes, bytes};
  if (setrlimit(RLIMIT_AS, &limit) != 0) std::_Exit(77);
}

// Makes every further thread fail: its stack is larger than the address space.
void LeaveNoRoomForThreads() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 4096 * kMebi);
  if (pthread_setattr_default_np(&attributes) != 0) std::_Exit(77);
  LimitAddressSpace(3000 * kMebi);
}

class FatalDeathTest : public testing::Test {
 protected:
  FatalDeathTest() { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(FatalDeathTest, AnExceptionOnAnyThreadIsAMessageAndAnExitCode) {
  EXPECT_EXIT(
      {
        HandleFatalErrors();
        std::thread([] { throw std::runtime_error("the tower fell"); }).join();
      },
      ExitedWithCode(kExitFatal), "^lvs: a fault of this program; please report it: the tower fell\n$");
  EXPECT_EXIT(
      {
        HandleFatalErrors();
        []() noexcept { std::filesystem::rename("/none/a", "/none/b"); }();
      },
      ExitedWithCode(kExitFatal), "^lvs: filesystem error: cannot rename: No such file or directory");
  EXPECT_EXIT(
      {
        HandleFatalErrors();
        std::abort();
      },
      ExitedWithCode(kExitFatal), "^lvs: a library stopped the process");
}

TEST_F(FatalDeathTest, NoMemoryIsAMessageAndAnExitCode) {
  if (!kOwnMemory) GTEST_SKIP() << "a sanitizer's memory is not the program's";
  EXPECT_EXIT(
      {
        HandleFatalErrors();
        LimitAddressSpace(300 * kMebi);
        std::vector<std::unique_ptr<char[]>> all;
        while (true) all.push_back(std::make_unique<char[]>(kMebi));
      },
      ExitedWithCode(kExitFatal), "^lvs: out of memory: the limit of the address space is 300 MiB");
  EXPECT_EXIT(
      {
        HandleFatalErrors();
        LimitAddressSpace(300 * kMebi);
        static_cast<void>(AllocateInHugePages(nullptr, 400 * kMebi));
      },
      ExitedWithCode(kExitFatal), "^lvs: out of memory");
}

TEST_F(FatalDeathTest, InALogTheMessageIsALineOfIt) {
  EXPECT_EXIT(
      {
        HandleFatalErrors();
        WriteFatalErrorsAsLog(true);
        std::thread([] { throw std::runtime_error("a \"quoted\"\nline"); }).join();
      },
      ExitedWithCode(kExitFatal),
      R"(^\{"ts":"20[0-9-]+T[0-9:]+\.[0-9][0-9][0-9]Z","level":"error","event":"node.failed",)"
      R"("why":"a fault of this program; please report it: a \\"quoted\\" line"\})");
}

TEST_F(FatalDeathTest, WithoutRoomForThreadsCheckThreadsSaysSo) {
  if (!kOwnMemory) GTEST_SKIP() << "a sanitizer's memory is not the program's";
  EXPECT_EXIT(
      {
        LeaveNoRoomForThreads();
        const absl::Status status = CheckThreads(3);
        std::fprintf(stderr, "%d %s", static_cast<int>(status.code()), std::string(status.message()).c_str());
        std::exit(0);
      },
      ExitedWithCode(0), "^8 no thread could be started .*ulimit -u.*; 3 are needed and 0 could be started");
}

TEST(Threads, ThatCanBeStartedAreNoError) { EXPECT_TRUE(CheckThreads(8).ok()); }

TEST(Fatal, ExceptionsAreExplained) {
  EXPECT_THAT(ExceptionText(std::bad_alloc()), HasSubstr("out of memory"));
  EXPECT_THAT(ExceptionText(std::system_error(EAGAIN, std::generic_category())), HasSubstr("no thread could be"));
  EXPECT_THAT(ExceptionText(std::runtime_error("odd")), HasSubstr("please report it: odd"));
  EXPECT_LE(ExceptionText(std::runtime_error(std::string(10'000, 'x'))).size(), 1024u);
}

}  // namespace
}  // namespace lvs::services
