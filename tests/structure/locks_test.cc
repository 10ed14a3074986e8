// Every lock of services/ and actors/ is a services::Mutex, whose annotations clang checks (thread_safety_test.py), and
// every such lock guards something: a member, or a function, names it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "tests/structure/source_text.h"

namespace lvs {
namespace {

constexpr std::string_view kFoldersWithLocks[] = {"services", "actors"};
constexpr std::string_view kMutexHeader = "services/base/mutex.h";

// Locks of other libraries that a text uses.
std::vector<std::string> ForeignLocksIn(const std::string& text) {
  static const std::regex kForeign(
      R"((?:std::(?:(?:recursive_|shared_|timed_|recursive_timed_|shared_timed_)?mutex|lock_guard|unique_lock|)"
      R"(scoped_lock|shared_lock|condition_variable\w*|counting_semaphore|binary_semaphore)|absl::\w*Mutex\w*|)"
      R"(pthread_mutex\w*)\b)");
  const std::string code = CodeOf(text);
  return {std::sregex_token_iterator(code.begin(), code.end(), kForeign), std::sregex_token_iterator()};
}

// Locks that a text declares and that nothing in it is guarded by.
std::vector<std::string> IdleLocksIn(const std::string& text) {
  static const std::regex kDeclared(R"(\b(?:services::)?Mutex\s+(\w+)\s*;)");
  const std::string code = CodeOf(text);
  std::vector<std::string> idle;
  for (std::sregex_iterator at(code.begin(), code.end(), kDeclared), end; at != end; ++at) {
    const std::string name = (*at)[1].str();
    const std::regex uses(R"((?:GUARDED_BY|LOCKS_REQUIRED)\((?:\w+(?:\.|->))*)" + name + R"(\))");
    if (!std::regex_search(code, uses)) idle.push_back(name);
  }
  return idle;
}

TEST(Arch_LocksSelfTest, FindsForeignLocks) {
  EXPECT_THAT(ForeignLocksIn("std::mutex mu_;\nconst std::lock_guard lock(mu_);\nabsl::Mutex other_;\n"
                             "std::condition_variable_any changed_;\nstd::shared_mutex shared_;\n"),
              testing::ElementsAre("std::mutex", "std::lock_guard", "absl::Mutex", "std::condition_variable_any",
                                   "std::shared_mutex"));
  EXPECT_THAT(
      ForeignLocksIn("// std::mutex\nMutex mu_;\nconst MutexLock lock(&mu_);\nconst char* s = \"std::mutex\";\n"),
      testing::IsEmpty());
}

TEST(Arch_LocksSelfTest, FindsLocksThatGuardNothing) {
  EXPECT_THAT(IdleLocksIn("mutable Mutex mu_;\nint n_;\n"), testing::ElementsAre("mu_"));
  EXPECT_THAT(IdleLocksIn("mutable services::Mutex mu_;\nint n_ ABSL_GUARDED_BY(mu_);\n"), testing::IsEmpty());
  EXPECT_THAT(IdleLocksIn("struct S {\n  Mutex mu;\n  void F() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);\n};\n"),
              testing::IsEmpty());
}

TEST(Arch_Locks, EveryLockIsAnnotatedAndGuardsSomething) {
  int files = 0;
  for (const std::string_view folder : kFoldersWithLocks) {
    for (const std::string& file : SourcesIn(kRoot, folder)) {
      if (file == kMutexHeader) continue;
      ++files;
      const std::string text = TextOf(kRoot / file);
      EXPECT_THAT(ForeignLocksIn(text), testing::IsEmpty()) << file << ": use Mutex of " << kMutexHeader;
      EXPECT_THAT(IdleLocksIn(text), testing::IsEmpty()) << file << ": say ABSL_GUARDED_BY what it guards";
    }
  }
  EXPECT_GT(files, 100);
}

}  // namespace
}  // namespace lvs
