#include "services/base/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "services/base/files.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr milliseconds kLong{10'000};
constexpr milliseconds kPoll{5};

class Process : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "lvs-process-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_F(Process, ACommandGetsItsInputAndSaysBothOutputs) {
  EXPECT_EQ(*RunCommand({"cat"}, "a line\n"), "a line\n");
  EXPECT_EQ(*RunCommand({"cat"}), "");
  EXPECT_EQ(*RunCommand({"sh", "-c", "echo out; echo err >&2"}), "out\nerr\n");
  EXPECT_EQ(*RunCommand({"echo", "$HOME *"}), "$HOME *\n") << "no shell expands the words";
  const std::string large(1 << 20, 'x');
  EXPECT_EQ(*RunCommand({"cat"}, large), large);
  EXPECT_EQ(*RunCommand({"true"}, large), "") << "input that nobody reads is no error";
}

TEST_F(Process, ACommandThatFailsIsQuoted) {
  const absl::Status failed = RunCommand({"sh", "-c", "echo no room; exit 3"}).status();
  EXPECT_EQ(failed.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::string(failed.message()), "`sh -c echo no room; exit 3`: no room");
  const absl::Status missing = RunCommand({"lvs-no-such-command"}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("cannot run lvs-no-such-command: No such file"));
}

TEST_F(Process, ADaemonLogsAndIsFoundAndEnds) {
  const fs::path log = folder_ / "log";
  const std::string word = folder_.string();  // no other process has it
  const absl::StatusOr<pid_t> pid =
      SpawnDaemon({"sh", "-c", "echo started; cat; while :; do sleep 0.05; done", word}, log);
  ASSERT_TRUE(pid.ok()) << pid.status();
  ASSERT_TRUE(PollUntil([&] { return ProcessHasWords(*pid, {word}); }, kLong, kPoll));
  EXPECT_FALSE(ProcessHasWords(*pid, {word.substr(1)})) << "part of a word";
  EXPECT_TRUE(ProcessHasWords(*pid, {"sh", "-c"}));
  EXPECT_FALSE(ProcessHasWords(*pid, {"-c", "sh"}));
  EXPECT_EQ(FindProcess({word}), *pid);
  EXPECT_EQ(getsid(*pid), *pid) << "a session of its own";
  EXPECT_TRUE(PollUntil([&] { return ReadFileOrEmpty(log) == "started\n"; }, kLong, kPoll));
  EXPECT_FALSE(ProcessEnded(*pid));
  kill(*pid, SIGKILL);
  EXPECT_TRUE(PollUntil([&] { return ProcessEnded(*pid); }, kLong, kPoll));
  // A child that the shell had forked and that has not become `sleep` yet has the shell's words.
  EXPECT_TRUE(PollUntil([&] { return FindProcess({word}) == std::nullopt; }, kLong, kPoll));
}

TEST_F(Process, ADaemonThatCannotBeStartedIsAnError) {
  EXPECT_EQ(SpawnDaemon({"lvs-no-such-command"}, folder_ / "log").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(SpawnDaemon({"true"}, folder_ / "none" / "log").ok());
}

TEST_F(Process, PollingAsksOnceEvenWithoutTime) {
  int asked = 0;
  EXPECT_FALSE(PollUntil([&] { return ++asked < 0; }, milliseconds(0), kPoll));
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(PollUntil([&] { return ++asked == 4; }, kLong, milliseconds(1)));
  EXPECT_EQ(asked, 4);
}

}  // namespace
}  // namespace lvs::services
