// Tests of the `lvs` binary as users run it: in a process of its own, with exit codes, signals and files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "services/cli/cli.h"
#include "services/emulator/emulator.h"
#include "tests/end_to_end/runs.h"

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

namespace lvs {
namespace {

namespace fs = std::filesystem;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class Binary : public ::testing::Test {
 protected:
  Binary() : folder_(fs::temp_directory_path() / ("lvs_binary_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~Binary() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  struct Ended {
    int exit_code = -1;
    std::string out, err;
    std::uint64_t peak_bytes = 0;
  };

  pid_t Start(const std::vector<std::string>& arguments) const {
    std::vector<std::string> all = {LVS_BINARY};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& a : all) argv.push_back(a.data());
    argv.push_back(nullptr);
    const std::string out = Path("stdout"), err = Path("stderr");
    const pid_t child = fork();
    if (child == 0) {
      if (std::freopen(out.c_str(), "w", stdout) == nullptr || std::freopen(err.c_str(), "w", stderr) == nullptr)
        _exit(126);
      execv(argv[0], argv.data());
      _exit(127);
    }
    return child;
  }

  Ended Wait(pid_t child) const {
    int status = 0;
    rusage usage{};
    EXPECT_EQ(wait4(child, &status, 0, &usage), child);
    EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
    return {WEXITSTATUS(status), ReadFile(Path("stdout")), ReadFile(Path("stderr")),
            static_cast<std::uint64_t>(usage.ru_maxrss) * 1024};
  }

  Ended Lvs(const std::vector<std::string>& arguments) const { return Wait(Start(arguments)); }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return Path(name);
  }
  nlohmann::json Summary(const std::string& run) const {
    return nlohmann::json::parse(ReadFile(folder_ / run / "summary.json"));
  }

  const fs::path folder_;
};

TEST_F(Binary, ARunThatPassesExitsWith0AndLeavesItsReport) {
  const Ended run = Lvs({"run", std::string(LVS_SCENARIO_DIR) + "/pair.yaml", "--out", Path("run")});
  EXPECT_EQ(run.exit_code, services::kExitPassed) << run.err;
  EXPECT_THAT(run.out, HasSubstr("PASSED"));
  EXPECT_THAT(run.out, HasSubstr("needs about "));
  const nlohmann::json summary = Summary("run");
  EXPECT_EQ(summary["passed"], true);
  EXPECT_EQ(summary["complete"], true);
  for (const char* key :
       {"seed", "build", "state_hash", "micro_nodes", "cycles", "wall_seconds", "replica_cycles_per_second",
        "micro_node_cycles_per_second", "resident_bytes_per_micro_node"}) {
    EXPECT_TRUE(summary.contains(key)) << key;
  }
  for (const char* key : {"accepted_uvu", "missing_uvu", "effective_error_relative"})
    EXPECT_TRUE(summary["ledger"].contains(key));
  for (const char* key : {"relative_spread", "honest_bias_relative"}) EXPECT_TRUE(summary["drift"].contains(key));
  EXPECT_TRUE(summary["bandwidth"].contains("bytes_per_node_minute"));
  EXPECT_TRUE(summary["vaultguard"].contains("refused"));
  EXPECT_TRUE(summary["vaultguard"].contains("recoveries"));
  ASSERT_GT(summary["thresholds"].size(), 3u);
  for (const auto& threshold : summary["thresholds"]) {
    for (const char* key : {"metric", "limit", "value", "passed", "requirement"})
      EXPECT_TRUE(threshold.contains(key)) << key;
  }
  const std::string rows = ReadFile(folder_ / "run/timeseries.csv");
  EXPECT_EQ(std::count(rows.begin(), rows.end(), '\n'), 302) << "a header and 301 rows";
  const std::string html = ReadFile(folder_ / "run/report.html");
  EXPECT_GT(html.size(), 50'000u);
  EXPECT_THAT(html, Not(HasSubstr("src=\"http"))) << "it opens offline";
  EXPECT_THAT(html, HasSubstr("uPlot"));
}

TEST_F(Binary, ABreachExitsWith99AndItsReplayIsTheSameRun) {
  const std::string file =
      Write("breach.yaml",
            "name: breach\nseed: 4\npopulation: {micro_nodes: 40}\nstate: {shards: 4}\ncycle: {count: 120}\n"
            "workload: {contributions_per_second: 20, amount: {min: 1VU, max: 2VU}}\n"
            "thresholds:\n  - {metric: drift.cycles_to_1ppm, max: 1}\n");
  const Ended run = Lvs({"run", file, "--out", Path("first"), "--seed", "77"});
  EXPECT_EQ(run.exit_code, services::kExitBreached) << run.err;
  EXPECT_THAT(run.out, HasSubstr("BREACHED"));
  EXPECT_THAT(run.out, HasSubstr("drift.cycles_to_1ppm"));
  EXPECT_EQ(Summary("first")["passed"], false);

  // The test copies the line "replay  lvs run ..." as a user would.
  const std::size_t at = run.out.find("replay");
  ASSERT_NE(at, std::string::npos) << run.out;
  std::string command = run.out.substr(run.out.find("lvs run", at));
  command = command.substr(0, command.find('\n'));
  const std::string shell =
      std::string(LVS_BINARY) + command.substr(3) + " --out " + Path("again") + " > /dev/null 2>&1";
  const int status = std::system(shell.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), services::kExitBreached) << shell;
  EXPECT_EQ(Summary("again")["state_hash"], Summary("first")["state_hash"]);
  EXPECT_EQ(Summary("again")["ledger"], Summary("first")["ledger"]);
  EXPECT_EQ(Summary("again")["seed"], 77);
}

TEST_F(Binary, TheInterruptedRunLeavesAPartialReport) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string out = signal == SIGINT ? "int" : "term";
    const pid_t child =
        Start({"run", std::string(LVS_SCENARIO_DIR) + "/phase1.yaml", "--realtime", "--out", Path(out)});
    // The first progress line shows that the run is under way.
    bool running = false;
    for (int n = 0; n < 1200 && !running; ++n) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      running = ReadFile(Path("stderr")).find("\"progress\"") != std::string::npos;
    }
    EXPECT_TRUE(running);
    ASSERT_EQ(kill(child, signal), 0);
    const Ended run = Wait(child);
    EXPECT_EQ(run.exit_code, services::kExitCouldNotRun);
    EXPECT_THAT(run.err, HasSubstr("interrupted"));
    EXPECT_THAT(run.err, HasSubstr("partial"));
    const nlohmann::json summary = Summary(out);
    EXPECT_EQ(summary["complete"], false);
    EXPECT_EQ(summary["passed"], false);
    EXPECT_GT(summary["cycles"], 0);
    EXPECT_LT(summary["cycles"], 400);
    EXPECT_TRUE(fs::exists(folder_ / out / "report.html"));
    EXPECT_TRUE(fs::exists(folder_ / out / "timeseries.csv"));
  }
}

TEST_F(Binary, JsonIsTheSummaryAndNothingElse) {
  const Ended run = Lvs({"run", "pair", "--cycles", "50", "--format", "json", "--out", Path("run")});
  const nlohmann::json summary = nlohmann::json::parse(run.out);
  EXPECT_EQ(summary, Summary("run"));
  EXPECT_EQ(summary["cycles"], 50);
}

TEST_F(Binary, WrongArgumentsExitWith2) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"fly"},
                                                    {"run"},
                                                    {"run", "pair", "--speed", "9"},
                                                    {"run", "pair", "--seed", "x"},
                                                    {"run", "pair", "--threads", "0"},
                                                    {"run", "pair", "--format", "xml"},
                                                    {"run", "pair", "--simd", "abacus"}}) {
    const Ended run = Lvs(arguments);
    EXPECT_EQ(run.exit_code, services::kExitUsage) << ::testing::PrintToString(arguments);
    EXPECT_FALSE(run.err.empty());
    EXPECT_EQ(run.out, "");
  }
  EXPECT_EQ(Lvs({"--help"}).exit_code, 0);
}

TEST_F(Binary, BadScenariosExitWith2AndNameFileLineAndMend) {
  const std::string head =
      "name: bad\npopulation: {micro_nodes: 100, regions: {eu: 50%, us: 50%}}\ncycle: {count: 100}\n";
  struct Bad {
    std::string line;  // line 4 of the file
    std::string says;
  };
  for (const Bad& bad : {Bad{"colour: red", "colour"},
                         {"cycel: {count: 10}", "cycle"},
                         {"links: {within: {latency: 20}}", "100ms"},
                         {"workload: {contributions_per_second: 1, amount: {min: 1, max: 2VU}}", "VU"},
                         {"state: {shards: 0}", "shards"},
                         {"links: {within: {loss: 120%}}", "120%"},
                         {"events: [{at: 1s, for: 1s, partition: {groups: [[eu], [mars]]}}]", "mars"},
                         {"events: [{at: 1s, for: 1s, partition: {groups: []}}]", "partition"},
                         {"events: [{at: 1s, for: 1s, outage: {region: mars}}]", "mars"},
                         {"events: [{at: 1s, adversaries: {share: 10%, attack: bribe}}]", "bribe"},
                         {"events: [{at: 1h, for: 1s, churn: {rate: 1%/s}}]", "end"},
                         {"thresholds: [{metric: drift.happiness, max: 1}]", "drift.happiness"},
                         {"thresholds: [{metric: recovery.seconds, after: churn, max: 5s}]", "churn"},
                         {"thresholds: [{metric: bandwidth.bytes_per_node_minute, max: 50}]", "KB"},
                         {"state: [1, 2", ""}}) {
    const std::string file = Write("bad.yaml", head + bad.line + "\n");
    for (const std::string command : {"run", "validate"}) {
      const Ended run =
          command == "run" ? Lvs({"run", file, "--out", Path("never")}) : Lvs({"scenario", "validate", file});
      EXPECT_EQ(run.exit_code, services::kExitUsage) << bad.line;
      EXPECT_THAT(run.err, ContainsRegex("bad\\.yaml:[45]: ")) << bad.line;
      EXPECT_THAT(run.err, HasSubstr(bad.says)) << bad.line;
      EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << "one message: " << run.err;
    }
    EXPECT_FALSE(fs::exists(folder_ / "never"));
  }
}

TEST_F(Binary, WhatCannotBeReadOrWrittenExitsWith1) {
  const Ended missing = Lvs({"run", Path("nowhere.yaml"), "--out", Path("never")});
  EXPECT_EQ(missing.exit_code, services::kExitCouldNotRun);
  EXPECT_THAT(missing.err, HasSubstr("nowhere.yaml"));

  const Ended folder = Lvs({"run", folder_.string(), "--out", Path("never")});
  EXPECT_EQ(folder.exit_code, services::kExitCouldNotRun) << folder.err;
  EXPECT_FALSE(folder.err.empty());

  const std::string sealed = Write("sealed.yaml", ReadFile(std::string(LVS_SCENARIO_DIR) + "/pair.yaml"));
  fs::permissions(sealed, fs::perms::none);
  if (getuid() != 0) {  // root can read every file
    const Ended unreadable = Lvs({"run", sealed, "--out", Path("never")});
    EXPECT_EQ(unreadable.exit_code, services::kExitCouldNotRun);
    EXPECT_THAT(unreadable.err, HasSubstr("sealed.yaml"));
  }
  EXPECT_FALSE(fs::exists(folder_ / "never"));

  const std::string file = Write("file", "not a folder");
  for (const std::string& out : {file, file + "/below", std::string("/proc/lvs")}) {
    const Ended unwritable = Lvs({"run", "pair", "--out", out});
    EXPECT_EQ(unwritable.exit_code, services::kExitCouldNotRun) << out;
    EXPECT_THAT(unwritable.err, HasSubstr(out));
    EXPECT_THAT(unwritable.out, Not(HasSubstr("PASSED"))) << "it says so before the run";
  }
  // A folder with other files must not be overwritten.
  fs::create_directories(folder_ / "precious");
  Write("precious/thesis.txt", "years of work");
  EXPECT_EQ(Lvs({"run", "pair", "--out", Path("precious")}).exit_code, services::kExitCouldNotRun);
  EXPECT_EQ(ReadFile(folder_ / "precious/thesis.txt"), "years of work");
  EXPECT_FALSE(fs::exists(folder_ / "precious/summary.json"));
}

TEST_F(Binary, ListsValidatesAndExplainsWhatIsShipped) {
  const Ended list = Lvs({"scenario", "list"});
  EXPECT_EQ(list.exit_code, 0);
  for (const std::string& name : ShippedNames()) {
    EXPECT_THAT(list.out, HasSubstr(name));
    EXPECT_EQ(Lvs({"scenario", "validate", name}).exit_code, 0) << name;
    EXPECT_EQ(Lvs({"scenario", "explain", name}).exit_code, 0) << name;
  }
}

TEST_F(Binary, ComparesTwoRuns) {
  for (const char* run : {"a", "b"}) ASSERT_EQ(Lvs({"run", "pair", "--out", Path(run)}).exit_code, 0);
  const Ended same = Lvs({"compare", Path("a"), Path("b")});
  EXPECT_EQ(same.exit_code, 0);
  EXPECT_THAT(same.out, HasSubstr("equal"));
  EXPECT_EQ(Lvs({"compare", Path("a"), Path("nowhere")}).exit_code, services::kExitCouldNotRun);
}

TEST_F(Binary, Spec3_1_TheBudgetIsNearWhatTheProcessTakes) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's memory is not the program's";
  const std::string file =
      Write("budget.yaml",
            "name: budget\nseed: 4\npopulation: {micro_nodes: 20000, regions: {eu: 60%, us: 40%}}\n"
            "state: {shards: 16}\ncycle: {count: 60}\nlinks: {within: {latency: 20ms, loss: 1%}}\n"
            "workload: {contributions_per_second: 20, amount: {min: 1VU, max: 2VU}}\n");
  const Ended run = Lvs({"run", file, "--out", Path("run")});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto estimate = static_cast<double>(services::EstimateBudget(Parse(ReadFile(file))).resident_bytes);
  EXPECT_LT(estimate, 3 * static_cast<double>(run.peak_bytes));
  EXPECT_GT(estimate, static_cast<double>(run.peak_bytes) / 3);
  // Each of the twenty thousand micro-nodes takes a small part of the ten megabytes that it may take.
  EXPECT_LT(Summary("run")["resident_bytes_per_micro_node"], 10'000);
  EXPECT_GT(Summary("run")["resident_bytes_per_micro_node"], 100);
}

class BinaryFull : public Binary {};

TEST_F(BinaryFull, Arch7_ScaleUnderAKilobyte) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's memory and time are not the program's";
  const Ended run = Lvs({"run", "scale", "--out", Path("run")});
  EXPECT_EQ(run.exit_code, 0) << run.out;
  const nlohmann::json summary = Summary("run");
  EXPECT_LT(summary["resident_bytes_per_micro_node"], 1000);
}

}  // namespace
}  // namespace lvs
