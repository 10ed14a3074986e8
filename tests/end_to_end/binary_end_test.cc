// How the `lvs` binary ends where something is missing: memory, threads, folders, readers. Each end is a message and an
// exit code, never a signal.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "services/base/files.h"
#include "services/base/process.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kLimitsApply = false;  // a sanitizer reserves terabytes of address space
#else
constexpr bool kLimitsApply = true;
#endif

namespace lvs {
namespace {

namespace fs = std::filesystem;
using services::PollUntil;
using services::ReadFileOrEmpty;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr milliseconds kEndsWithin{20'000};
constexpr milliseconds kEndPoll{5};

class BinaryEnd : public ::testing::Test {
 protected:
  BinaryEnd() {
    std::string pattern = (fs::temp_directory_path() / "lvs-end-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~BinaryEnd() override { fs::remove_all(folder_); }

  struct Said {
    int exit_code = -1;
    std::string text;  // standard error, and standard output where the script does not send it elsewhere
  };

  // Runs a script in which $LVS is the program, in the test's folder.
  Said Shell(const std::string& script) const {
    setenv("LVS", LVS_BINARY, 1);
    const std::string command = "cd '" + folder_.string() + "' && { " + script + "\n} 2>&1";
    FILE* const pipe = popen(command.c_str(), "r");
    Said said;
    std::array<char, 4096> chunk{};
    for (std::size_t got; (got = fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) said.text.append(chunk.data(), got);
    const int status = pclose(pipe);
    if (WIFEXITED(status)) said.exit_code = WEXITSTATUS(status);  // 128 and more: a signal
    return said;
  }

  // A scenario file of so many micro-nodes.
  std::string Scenario(std::uint32_t micro_nodes) const {
    const fs::path file = folder_ / "scenario.yaml";
    std::ofstream(file) << "name: end\nseed: 1\npopulation: {micro_nodes: " << micro_nodes << "}\ncycle: {count: 20}\n";
    return file.string();
  }

  // Starts a node with its log in a file, which may be a FIFO.
  pid_t StartNode(const fs::path& log) const {
    const fs::path config = folder_ / "node.yaml";
    std::ofstream(config) << "listen: 127.0.0.1:0\ncontrol_listen: 127.0.0.1:0\nhealth_listen: 127.0.0.1:0\n"
                          << "population: {micro_nodes: 20}\ndrain: {grace: 0s, deadline: 1s}\n";
    return services::SpawnDaemon({LVS_BINARY, "node", "--config", config.string()}, log).value_or(-1);
  }

  // The exit code of a child; -1 where a signal ended it, -2 where it does not end in time and had to be killed.
  static int ExitCodeOf(pid_t pid) {
    int status = 0;
    if (!PollUntil([&] { return waitpid(pid, &status, WNOHANG) == pid; }, kEndsWithin, kEndPoll)) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      return -2;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  fs::path folder_;
};

TEST_F(BinaryEnd, AFullStandardOutputExitsWith1) {
  for (const char* command :
       {"--version", "--help", "run --help", "limits", "scenario list", "scenario explain", "scenario explain pair",
        "node --validate", "run pair --cycles 20 --out a", "run pair --cycles 20 --out b --format json"}) {
    const Said said = Shell(std::string("\"$LVS\" ") + command + " >/dev/full");
    EXPECT_EQ(said.exit_code, 1) << command;
    EXPECT_THAT(said.text, HasSubstr("lvs: standard output could not be written")) << command;
  }
  EXPECT_TRUE(fs::exists(folder_ / "b/summary.json")) << "the report is there nevertheless";
  const Said version = Shell("\"$LVS\" --version >/dev/full");
  EXPECT_THAT(version.text, HasSubstr("No space left on device"));
}

TEST_F(BinaryEnd, AReaderThatGoesAwayExitsWith1) {
  const Said said = Shell("{ sleep 0.2; \"$LVS\" scenario explain; echo \"rc=$?\" >&2; } | true");
  EXPECT_THAT(said.text, HasSubstr("rc=1"));
}

TEST_F(BinaryEnd, AFileBeyondItsLimitExitsWith1) {
  const Said said = Shell("ulimit -f 8; \"$LVS\" run pair --cycles 20 --out run");
  EXPECT_EQ(said.exit_code, 1) << said.text;
  EXPECT_THAT(said.text, HasSubstr("File too large"));
}

TEST_F(BinaryEnd, ClosedDescriptorsAreNotTakenForFiles) {
  EXPECT_EQ(Shell("\"$LVS\" limits >&-").exit_code, 1);
  EXPECT_EQ(Shell("\"$LVS\" limits >/dev/null 2>&-").exit_code, 0);
  EXPECT_EQ(Shell("\"$LVS\" run pair --cycles 20 --out run <&- >&- 2>&-").exit_code, 1);
  EXPECT_TRUE(nlohmann::json::accept(ReadFileOrEmpty(folder_ / "run/summary.json"))) << "no text got into it";
}

TEST_F(BinaryEnd, AWorkingFolderThatIsGoneExitsWith1) {
  for (const char* command : {"testnet status", "testnet up", "testnet down", "status --cluster", "testnet load",
                              "testnet up --dir /tmp/lvs-x --binary x"}) {
    const Said said = Shell(std::string("mkdir gone; cd gone; rmdir ../gone; \"$LVS\" ") + command);
    EXPECT_EQ(said.exit_code, 1) << command << ": " << said.text;
    EXPECT_THAT(said.text, HasSubstr("the working folder is gone")) << command;
  }
  EXPECT_EQ(Shell("mkdir gone; cd gone; rmdir ../gone; \"$LVS\" run pair --cycles 5").exit_code, 1);
  EXPECT_EQ(Shell("mkdir gone; cd gone; rmdir ../gone; \"$LVS\" scenario list >/dev/null").exit_code, 0);
  const Said node = Shell("mkdir gone; cd gone; rmdir ../gone; \"$LVS\" node --cache-dir here --validate");
  EXPECT_EQ(node.exit_code, 2) << node.text;
}

TEST_F(BinaryEnd, WhatIsNoRecordAndNoSummaryExitsWithAMessage) {
  for (const char* command :
       {"compare /proc/self/mem /proc/self/mem", "testnet verify --record .", "testnet verify --record /proc/self/mem",
        "run /proc/self/mem", "run .", "node --config ."}) {
    const Said said = Shell(std::string("\"$LVS\" ") + command);
    EXPECT_EQ(said.exit_code, 1) << command << ": " << said.text;
    EXPECT_THAT(said.text, HasSubstr("lvs: ")) << command;
  }
}

TEST_F(BinaryEnd, ABudgetBeyondTheLimitOfMemoryIsSaidBeforeTheRun) {
  if (!kLimitsApply) GTEST_SKIP() << "a sanitizer's memory is not the program's";
  const Said said = Shell("ulimit -v 400000; \"$LVS\" run " + Scenario(1'000'000) + " --out run");
  EXPECT_EQ(said.exit_code, 1);
  EXPECT_THAT(said.text, HasSubstr("are left of the address space (ulimit -v): lower population.micro_nodes"));
}

TEST_F(BinaryEnd, ANodeThatDoesNotFitIntoMemorySaysSo) {
  if (!kLimitsApply) GTEST_SKIP() << "a sanitizer's memory is not the program's";
  const Said said = Shell(
      "ulimit -v 900000; \"$LVS\" node --listen 127.0.0.1:0 --control-listen 127.0.0.1:0 --health-listen 127.0.0.1:0 "
      "--micro-nodes 10000000");
  EXPECT_EQ(said.exit_code, 1);
  EXPECT_THAT(said.text, HasSubstr("population.micro_nodes: 10,000,000 micro-nodes need about "));
}

TEST_F(BinaryEnd, NoMemoryExitsWith1) {
  if (!kLimitsApply) GTEST_SKIP() << "a sanitizer's memory is not the program's";
  // The budget fits; what the process needs beside it does not.
  for (const char* kib : {"60000", "90000", "130000"}) {
    const Said said =
        Shell(std::string("ulimit -v ") + kib + "; \"$LVS\" run " + Scenario(50'000) + " --cycles 1 --out run");
    // Below some size not even the program's libraries are loaded.
    EXPECT_TRUE(said.exit_code == 0 || said.exit_code == 1 || said.exit_code == 127) << kib << ": " << said.text;
    EXPECT_THAT(said.text, HasSubstr(said.exit_code == 1 ? "lvs: " : "")) << kib;
  }
}

TEST_F(BinaryEnd, NoThreadsExitWith1) {
  if (!kLimitsApply) GTEST_SKIP() << "a sanitizer's memory is not the program's";
  // The stack of a thread is as large as `ulimit -s` says, and no two fit into the address space.
  const std::string few = "ulimit -s 1500000; ulimit -v 2000000; ";
  const Said run = Shell(few + "\"$LVS\" run " + Scenario(20) + " --out run --threads 3");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.text, HasSubstr("no thread could be started"));
  const Said node =
      Shell(few + "\"$LVS\" node --listen 127.0.0.1:0 --control-listen 127.0.0.1:0 --health-listen 127.0.0.1:0");
  EXPECT_EQ(node.exit_code, 1);
  EXPECT_THAT(node.text, HasSubstr("\"event\":\"node.failed\""));
  EXPECT_THAT(node.text, HasSubstr("no thread could be started"));
  const Said status = Shell(few + "timeout 30 \"$LVS\" status --node 127.0.0.1:1 --timeout 1s");
  EXPECT_EQ(status.exit_code, 1) << status.text;
  EXPECT_THAT(status.text, HasSubstr("no thread could be started"));
}

// ---- lvs node ------------------------------------------------------------------------------------------------------

TEST_F(BinaryEnd, ALogThatNobodyReadsDoesNotHoldUpANode) {
  const fs::path fifo = folder_ / "log";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const int reader = open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  const std::string filler(4096, '.');
  while (write(reader, filler.data(), filler.size()) > 0) {
  }
  const pid_t node = StartNode(fifo);
  ASSERT_GT(node, 0);
  // Signals are blocked before the first line is logged, and wait until the node looks for them.
  ASSERT_TRUE(PollUntil(
      [&] {
        const std::string status = ReadFileOrEmpty("/proc/" + std::to_string(node) + "/status");
        const std::size_t at = status.find("SigBlk:\t");
        return at != std::string::npos &&
               (std::strtoull(status.c_str() + at + 8, nullptr, 16) & (1ull << (SIGTERM - 1))) != 0;
      },
      kEndsWithin, kEndPoll));
  kill(node, SIGTERM);
  EXPECT_EQ(ExitCodeOf(node), 0);
  close(reader);
}

TEST_F(BinaryEnd, SignalsDrainANodeOrChangeNothing) {
  const auto logs = [this](const std::string& text) {
    return PollUntil([&] { return ReadFileOrEmpty(folder_ / "log").find(text) != std::string::npos; }, kEndsWithin,
                     kEndPoll);
  };
  const pid_t node = StartNode(folder_ / "log");
  ASSERT_TRUE(logs("node.serving"));
  const std::vector<std::pair<int, const char*>> idle{{SIGHUP, "SIGHUP"}, {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"}};
  for (const auto& [number, name] : idle) {
    kill(node, number);
    EXPECT_TRUE(logs(std::string("\"event\":\"node.signal\",\"signal\":\"") + name)) << name;
  }
  kill(node, SIGPIPE);
  kill(node, SIGQUIT);
  EXPECT_EQ(ExitCodeOf(node), 0);
  const std::string log = ReadFileOrEmpty(folder_ / "log");
  EXPECT_THAT(log, HasSubstr("\"event\":\"node.draining\",\"why\":\"SIGQUIT\""));
  EXPECT_THAT(log, HasSubstr("\"event\":\"node.handed_over\""));
}

}  // namespace
}  // namespace lvs
