// The commands in-process, by exit code and by what a user reads. Scenarios here are tiny; what they compute is not
// looked at, except for the number of micro-nodes alive.
#include "services/cli/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "lvs/v1/report.pb.h"
#include "nlohmann/json.hpp"
#include "services/base/build.h"
#include "services/report/report.h"
#include "shard/simd_target.h"
#include "tests/services/cli/lvs_command.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class Cli : public ::testing::Test {
 protected:
  Cli() : folder_(fs::temp_directory_path() / ("lvs_cli_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~Cli() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return Path(name);
  }

  // A scenario of 20 micro-nodes and 20 cycles, with this threshold.
  std::string Tiny(const std::string& threshold, const std::string& cycle = "{count: 20}") const {
    return Write("tiny.yaml",
                 "name: tiny\nabout: Small.\nseed: 7\nstate: {shards: 4}\npopulation: {micro_nodes: 20}\ncycle: " +
                     cycle + "\nthresholds:\n  - " + threshold + "\n");
  }

  // A run directory with this summary.
  std::string RunDirectory(const std::string& name, const v1::Summary& summary) const {
    v1::RunReport report;
    *report.mutable_summary() = summary;
    EXPECT_TRUE(PrepareRunDirectory(folder_ / name).ok());
    EXPECT_TRUE(WriteRunDirectory(report, folder_ / name).ok());
    return Path(name);
  }

  const fs::path folder_;
};

constexpr const char* kHolds = "{metric: micro_nodes_alive, min: 1, requirement: [SPEC-11.5]}";
constexpr const char* kBreaks = "{metric: micro_nodes_alive, min: 1000}";

// ---- lvs run ----

TEST_F(Cli, RunPasses) {
  const Outcome run = Lvs({"run", Tiny(kHolds), "--out", Path("run"), "--threads", "1"});
  EXPECT_EQ(run.exit_code, kExitPassed) << run.err;
  EXPECT_THAT(run.out, HasSubstr("tiny: 20 micro-nodes in 1 region, 20 cycles of 100ms (2s), seed 7\nneeds about "));
  EXPECT_THAT(run.out, HasSubstr("report in " + Path("run")));
  EXPECT_THAT(run.out, HasSubstr("micro_nodes_alive  end   min 1  20     held     SPEC-11.5"));
  EXPECT_THAT(run.out, HasSubstr("PASSED: the threshold held"));
  EXPECT_THAT(run.out, Not(HasSubstr("replay")));
  const auto summary = ReadSummary(Path("run"));
  ASSERT_TRUE(summary.ok());
  EXPECT_TRUE(summary->passed());
  EXPECT_EQ(summary->scenario(), "tiny");
  EXPECT_EQ(summary->seed(), 7u);
  EXPECT_EQ(summary->rule(), "safe");
  EXPECT_EQ(summary->build(), BuildString());
  EXPECT_EQ(summary->replay(), "lvs run " + Path("tiny.yaml") + " --seed 7");
}

TEST_F(Cli, RunThatBreachesSaysHowToReplay) {
  const Outcome run = Lvs({"run", Tiny(kBreaks), "--out", Path("run"), "--seed", "8", "--cycles", "10"});
  EXPECT_EQ(run.exit_code, kExitBreached);
  EXPECT_THAT(run.out, HasSubstr("BREACHED"));
  EXPECT_THAT(run.out, HasSubstr("FAILED: 1 of 1 threshold breached; 10 cycles in "));
  EXPECT_THAT(run.out, HasSubstr("  seed              8\n"));
  EXPECT_THAT(run.out, HasSubstr("  build             " + BuildString() + "\n"));
  EXPECT_THAT(run.out, HasSubstr("  replay            lvs run " + Path("tiny.yaml") + " --seed 8 --cycles 10\n"));
}

// A threshold over nothing is a breach that has a word of its own.
TEST_F(Cli, RunSaysWhereAThresholdHadNothingToJudge) {
  const std::string file =
      Write("one.yaml",
            "name: one\npopulation: {micro_nodes: 1}\nstate: {shards: 1}\ncycle: {count: 20}\nthresholds:\n"
            "  - {metric: drift.reduction_per_cycle, min: 2.2}\n  - {metric: drift.cycles_to_1ppm, max: 18}\n"
            "  - {metric: drift.relative_spread, max: 1e-6}\n  - {metric: micro_nodes_alive, min: 1}\n");
  const Outcome run = Lvs({"run", file, "--out", Path("run")});
  EXPECT_EQ(run.exit_code, kExitBreached);
  EXPECT_THAT(run.out, HasSubstr("max 1e-06  none   UNTESTED"));
  EXPECT_THAT(run.out,
              HasSubstr("UNTESTED drift.cycles_to_1ppm: no shard had two honest replicas that could disagree"));
  EXPECT_THAT(run.out, HasSubstr("FAILED: 3 of 4 thresholds breached, because there was nothing to judge; 20 cycles"));
}

// Clients that contribute, and nobody who may take it: amounts are beyond what a session may earn.
TEST_F(Cli, RunCountsOnlyContributionsThatWereAccepted) {
  const std::string file =
      Write("vacuous.yaml",
            "name: vacuous\npopulation: {micro_nodes: 20}\nstate: {shards: 2}\ncycle: {count: 60}\n"
            "workload: {contributions_per_second: 10, amount: {min: 8000000000VU, max: 9000000000VU}}\nthresholds:\n"
            "  - {metric: ledger.missing_uvu, max: 0}\n  - {metric: ledger.contributions, min: 1}\n");
  const Outcome run = Lvs({"run", file, "--out", Path("run"), "--format", "json"});
  EXPECT_EQ(run.exit_code, kExitBreached);
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["ledger"]["contributions"], 0) << "offered is not accepted";
  EXPECT_EQ(json["ledger"]["contributions_offered"], 30);
  EXPECT_EQ(json["ledger"]["contributions_pending"], 30);
  EXPECT_EQ(json["thresholds"][0]["untested"], "nothing was accepted that could be missing");
  EXPECT_EQ(json["thresholds"][1]["untested"], "");
  EXPECT_EQ(json["thresholds"][1]["passed"], false);
}

TEST_F(Cli, RunWithJsonWritesNothingElseToStandardOutput) {
  const Outcome run = Lvs({"run", Tiny(kBreaks), "--out", Path("run"), "--format", "json"});
  EXPECT_EQ(run.exit_code, kExitBreached);
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["passed"], false);
  EXPECT_EQ(json["thresholds"][0]["metric"], "micro_nodes_alive");
  std::istringstream lines(run.err);
  for (std::string line; std::getline(lines, line);) EXPECT_TRUE(nlohmann::json::accept(line)) << line;
  EXPECT_EQ(nlohmann::json::parse(run.err.substr(0, run.err.find('\n')))["event"], "start");
}

TEST_F(Cli, NamesThatAreNoUtf8AreNoError) {
  const Outcome run = Lvs({"run", Tiny(kHolds), "--out", Path("odd-\xff"), "--format", "json"});
  EXPECT_EQ(run.exit_code, kExitPassed) << run.err;
  EXPECT_TRUE(nlohmann::json::accept(run.out));
  EXPECT_TRUE(nlohmann::json::accept(run.err.substr(0, run.err.find('\n')))) << run.err;
}

TEST_F(Cli, RunRefusesWhatItCannotRun) {
  Outcome run = Lvs({"run", Path("none.yaml")});
  EXPECT_EQ(run.exit_code, kExitCouldNotRun);
  EXPECT_EQ(run.err, "lvs: " + Path("none.yaml") + ": no such file\n");

  run = Lvs({"run", Write("bad.yaml", "name: x\npopulation: {micro_nodes: 10}\ncycle: {count: 10, period: 100}\n")});
  EXPECT_EQ(run.exit_code, kExitUsage);
  EXPECT_EQ(run.err, "lvs: " + Path("bad.yaml") + ":3: cycle.period: 100 has no unit; write 100ms, 2s, 5m or 1h\n");

  run = Lvs({"run", Tiny(kHolds), "--simd", "abacus"});
  EXPECT_EQ(run.exit_code, kExitUsage);
  EXPECT_THAT(run.err, HasSubstr("abacus"));
  for (const std::string& target : shard::SimdTargets()) EXPECT_THAT(run.err, HasSubstr(target));
}

TEST_F(Cli, RunDirectoryIsCheckedFirst) {
  fs::create_directories(folder_ / "taken");
  Write("taken/thesis.txt", "years of work");
  Outcome run = Lvs({"run", Tiny(kHolds), "--out", Path("taken")});
  EXPECT_EQ(run.exit_code, kExitCouldNotRun);
  EXPECT_THAT(run.err, HasSubstr(Path("taken")));
  EXPECT_EQ(run.out, "") << "nothing ran";
  EXPECT_FALSE(fs::exists(folder_ / "taken" / "summary.json"));

  run = Lvs({"run", Tiny(kHolds), "--out", Path("tiny.yaml")});
  EXPECT_EQ(run.exit_code, kExitCouldNotRun);

  if (geteuid() != 0) {
    fs::create_directories(folder_ / "closed");
    chmod(Path("closed").c_str(), 0500);
    EXPECT_EQ(Lvs({"run", Tiny(kHolds), "--out", Path("closed/run")}).exit_code, kExitCouldNotRun);
  }
  // An earlier run may be replaced.
  EXPECT_EQ(Lvs({"run", Tiny(kHolds), "--out", Path("again")}).exit_code, kExitPassed);
  EXPECT_EQ(Lvs({"run", Tiny(kHolds), "--out", Path("again"), "--seed", "9"}).exit_code, kExitPassed);
  EXPECT_EQ(ReadSummary(Path("again"))->seed(), 9u);
}

TEST_F(Cli, RunDirectoryHasADefault) {
  const fs::path before = fs::current_path();
  const std::string tiny = Tiny(kHolds);
  fs::current_path(folder_);
  EXPECT_EQ(Lvs({"run", tiny}).exit_code, kExitPassed);
  EXPECT_EQ(Lvs({"run", tiny}).exit_code, kExitPassed);
  fs::current_path(before);
  int runs = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "runs")) {
    EXPECT_TRUE(entry.path().filename().string().starts_with("tiny-7-20")) << entry.path();
    ++runs;
  }
  EXPECT_EQ(runs, 2) << "two runs in one second do not share a directory";
}

TEST_F(Cli, ShorterRunNotesWhatItDrops) {
  const Outcome run =
      Lvs({"run", Tiny("{metric: micro_nodes_alive, at: 1.5s, min: 1000}"), "--out", Path("run"), "--cycles", "10"});
  EXPECT_EQ(run.exit_code, kExitPassed) << run.err;
  EXPECT_THAT(run.err,
              HasSubstr("note: dropped: the threshold on micro_nodes_alive at 1.5s, after the end of the run (1s)\n"));
  EXPECT_THAT(run.out, HasSubstr("DONE: the scenario sets no thresholds"));
}

TEST_F(Cli, InterruptEndsWithAPartialReport) {
  const std::string tiny = Tiny(kHolds, "{count: 2000}");
  Outcome run;
  std::thread runner([&] { run = Lvs({"run", tiny, "--out", Path("run"), "--realtime"}); });
  // The handler is there from before the first cycle; the first progress line needs at most a second.
  struct sigaction current {};
  for (int i = 0; i < 500; ++i) {
    sigaction(SIGINT, nullptr, &current);
    if (current.sa_handler != SIG_DFL) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_NE(current.sa_handler, SIG_DFL);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  raise(SIGINT);
  sigaction(SIGINT, nullptr, &current);
  EXPECT_EQ(current.sa_handler, SIG_DFL) << "a second Ctrl-C kills";
  runner.join();
  EXPECT_EQ(run.exit_code, kExitCouldNotRun);
  EXPECT_THAT(run.out, HasSubstr("INTERRUPTED after "));
  EXPECT_THAT(run.err, HasSubstr("lvs: interrupted: the report in " + Path("run") + " is partial\n"));
  const auto summary = ReadSummary(Path("run"));
  ASSERT_TRUE(summary.ok());
  EXPECT_FALSE(summary->complete());
  EXPECT_FALSE(summary->passed());
  EXPECT_LT(summary->cycles(), 2000u);
}

// ---- Arguments ----

TEST_F(Cli, WrongArgumentsExitWith2AndPointToHelp) {
  const std::string tiny = Tiny(kHolds);
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"fly"},
                                             {"run"},
                                             {"run", tiny, "--threads", "0"},
                                             {"run", tiny, "--threads", "257"},
                                             {"run", tiny, "--cycles", "0"},
                                             {"run", tiny, "--seed", "-1"},
                                             {"run", tiny, "--seed", "x"},
                                             {"run", tiny, "--format", "xml"},
                                             {"run", tiny, "extra"},
                                             {"scenario"},
                                             {"scenario", "validate"},
                                             {"compare", "a"}}) {
    const Outcome outcome = Lvs(arguments);
    EXPECT_EQ(outcome.exit_code, kExitUsage) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("--help"));
  }
  EXPECT_THAT(Lvs({"run"}).err, HasSubstr("see `lvs run --help`"));
}

TEST_F(Cli, NumbersThatAreNoneExitWith2) {
  for (const char* rate : {"nan", "-nan", "inf", "-inf", "-1", "0", "1e7", "1e999", "-1e999", "x", "", "1/s", "0x10"}) {
    const Outcome load = Lvs({"testnet", "load", "--dir", Path("none"), "--rate", rate});
    EXPECT_EQ(load.exit_code, kExitUsage) << rate << ": " << load.err;
    EXPECT_THAT(load.err, HasSubstr("--rate")) << rate;
  }
  const std::vector<std::vector<std::string>> commands{
      {"run", "pair", "--seed"},
      {"run", "pair", "--threads"},
      {"run", "pair", "--cycles"},
      {"testnet", "load", "--sessions"},
      {"testnet", "load", "--shards"},
      {"testnet", "up", "--nodes"},
      {"testnet", "up", "--micro-nodes"},
      {"testnet", "up", "--base-port"},
      {"testnet", "kill"},
      {"watch", "--count"},
      {"contribute", "--slot", "0", "--amount", "1VU", "--shard"},
      {"contribute", "--shard", "0", "--amount", "1VU", "--slot"},
      {"node", "--validate", "--micro-nodes"},
  };
  for (std::vector<std::string> arguments : commands) {
    arguments.emplace_back();
    for (const char* number : {"nan", "inf", "-1", "1.5", "1e3", "010", "0x10", "", "99999999999999999999999"}) {
      arguments.back() = number;
      EXPECT_EQ(Lvs(arguments).exit_code, kExitUsage) << ::testing::PrintToString(arguments);
    }
  }
}

TEST_F(Cli, TimesThatOverflowExitWith2) {
  const std::vector<std::vector<std::string>> commands{{"testnet", "load", "--dir", Path("none"), "--for"},
                                                       {"testnet", "report", "--dir", Path("none"), "--for"},
                                                       {"testnet", "up", "--dir", Path("none"), "--delay"},
                                                       {"testnet", "up", "--dir", Path("none"), "--deadline"},
                                                       {"status", "--timeout"},
                                                       {"watch", "--interval"}};
  for (std::vector<std::string> arguments : commands) {
    arguments.emplace_back();
    for (const char* time : {"2500000h", "1e300h", "nans", "infs", "-1s", "5"}) {
      arguments.back() = time;
      const Outcome outcome = Lvs(arguments);
      EXPECT_EQ(outcome.exit_code, kExitUsage) << ::testing::PrintToString(arguments) << outcome.err;
    }
  }
}

TEST_F(Cli, OutputThatCannotBeWrittenExitsWith1) {
  // A stream that takes a few bytes, as a disk that gets full does.
  class Narrow : public std::streambuf {
   protected:
    int_type overflow(int_type c) override { return left_-- > 0 ? c : traits_type::eof(); }

   private:
    int left_ = 5;
  };
  for (const std::vector<const char*>& arguments : {std::vector<const char*>{"lvs", "--version"},
                                                    {"lvs", "--help"},
                                                    {"lvs", "limits"},
                                                    {"lvs", "limits", "--format", "json"},
                                                    {"lvs", "scenario", "list"},
                                                    {"lvs", "scenario", "explain"},
                                                    {"lvs", "scenario", "validate", LVS_SCENARIO_DIR "/pair.yaml"},
                                                    {"lvs", "node", "--validate"}}) {
    Narrow narrow;
    std::ostream out(&narrow);
    std::ostringstream err;
    EXPECT_EQ(Main(static_cast<int>(arguments.size()), arguments.data(), out, err), kExitCouldNotRun)
        << ::testing::PrintToString(arguments);
    EXPECT_THAT(err.str(), HasSubstr("lvs: standard output could not be written")) << arguments[1];
  }
}

TEST_F(Cli, EveryHelpShowsAnExample) {
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{{},
                                                                                       {"run"},
                                                                                       {"scenario"},
                                                                                       {"scenario", "list"},
                                                                                       {"scenario", "validate"},
                                                                                       {"scenario", "explain"},
                                                                                       {"compare"}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--help");
    const Outcome help = Lvs(arguments);
    EXPECT_EQ(help.exit_code, kExitPassed);
    EXPECT_THAT(help.out, HasSubstr("Example"));
    EXPECT_EQ(help.err, "");
  }
  EXPECT_EQ(Lvs({"--version"}).out, "lvs " + BuildString() + "\n");
}

// ---- lvs scenario ----

TEST_F(Cli, ScenarioList) {
  const Outcome list = Lvs({"scenario", "list"});
  EXPECT_EQ(list.exit_code, kExitPassed) << list.err;
  for (const char* name :
       {"pair", "phase1", "phase2", "phase2-closed", "phase3", "stubborn-one", "hostile-30", "hostile-45",
        "partition-heal", "churn-storm", "lossy", "last-node", "corrupt", "convergence", "cold-start-apart",
        "eight-of-one", "slow-links", "returning-crowd", "clever-liars"}) {
    EXPECT_THAT(list.out, HasSubstr(std::string("\n") + name + " "));
  }
  EXPECT_GE(nlohmann::json::parse(Lvs({"scenario", "list", "--format", "json"}).out).size(), 14u);
}

TEST_F(Cli, ScenarioValidateChecksEveryFile) {
  const std::string good = Tiny(kHolds);
  const std::string bad = Write("bad.yaml", "name: x\nnodes: 3\n");
  const Outcome both = Lvs({"scenario", "validate", bad, good});
  EXPECT_EQ(both.exit_code, kExitUsage);
  EXPECT_EQ(both.out, good + ": ok: tiny, 20 micro-nodes, 0 events, 1 threshold\n");
  EXPECT_THAT(both.err, HasSubstr("lvs: " + bad + ":2: nodes: unknown key; "));
  EXPECT_EQ(Lvs({"scenario", "validate", good}).exit_code, kExitPassed);
  EXPECT_EQ(Lvs({"scenario", "validate", Path("none.yaml"), good}).exit_code, kExitCouldNotRun);
  EXPECT_EQ(Lvs({"scenario", "validate", bad, Path("none.yaml")}).exit_code, kExitUsage);
}

TEST_F(Cli, ScenarioExplain) {
  const Outcome format = Lvs({"scenario", "explain"});
  EXPECT_EQ(format.exit_code, kExitPassed);
  EXPECT_THAT(format.out, HasSubstr("a-little-is-enough"));
  EXPECT_THAT(format.out, HasSubstr("recovery.seconds"));
  EXPECT_THAT(format.out, HasSubstr("shards_per_node:"));
  const Outcome file = Lvs({"scenario", "explain", "phase2-closed"});
  EXPECT_EQ(file.exit_code, kExitPassed);
  EXPECT_THAT(file.out, HasSubstr("20s to 30s: partition eu | us asia"));
  EXPECT_THAT(file.out, HasSubstr("recovery.seconds max 5s after every partition (PAPER-8)"));
  EXPECT_EQ(Lvs({"scenario", "explain", Path("none.yaml")}).exit_code, kExitCouldNotRun);
}

// ---- lvs compare ----

v1::Summary SomeSummary() {
  v1::Summary summary;
  summary.set_passed(true);
  summary.set_complete(true);
  summary.set_scenario("phase2");
  summary.set_seed(7);
  summary.set_build("abc");
  summary.set_cycles(600);
  summary.set_state_hash("00000000000000aa");
  summary.set_wall_seconds(2);
  summary.mutable_drift()->set_cycles_to_1ppm(16);
  summary.mutable_drift()->set_value_spread_at_start_vu(58);
  return summary;
}

TEST_F(Cli, CompareSaysWhatDiffers) {
  const v1::Summary a = SomeSummary();
  v1::Summary b = a;
  b.set_wall_seconds(3);
  b.mutable_drift()->set_cycles_to_1ppm(-1);
  const std::string dir_a = RunDirectory("a", a);
  const std::string dir_b = RunDirectory("b", b);
  Outcome compare = Lvs({"compare", dir_a, dir_b});
  EXPECT_EQ(compare.exit_code, kExitPassed) << compare.err;
  EXPECT_THAT(compare.out, ::testing::ContainsRegex("wall_seconds +2s +3s +1.5x\n"));
  EXPECT_THAT(compare.out, ::testing::ContainsRegex("drift.cycles_to_1ppm +16 +never +-\n"));
  EXPECT_THAT(compare.out, ::testing::ContainsRegex("\ncycles +600 +600 +=\n"));
  EXPECT_THAT(compare.out, HasSubstr("state hashes are equal"));

  b.set_state_hash("00000000000000bb");
  RunDirectory("b", b);
  EXPECT_THAT(Lvs({"compare", dir_a, dir_b}).out, HasSubstr("NOT DETERMINISTIC"));
  b.set_build("def");
  RunDirectory("b", b);
  compare = Lvs({"compare", dir_a, dir_b + "/summary.json"});
  EXPECT_THAT(compare.out, HasSubstr("note: builds differ: A abc, B def\n"));
  EXPECT_THAT(compare.out, Not(HasSubstr("NOT DETERMINISTIC")));
  b.set_seed(8);
  b.set_scenario("phase1");
  RunDirectory("b", b);
  compare = Lvs({"compare", dir_a, dir_b});
  EXPECT_THAT(compare.out, HasSubstr("note: scenarios differ: A phase2, B phase1\n"));
  EXPECT_THAT(compare.out, HasSubstr("note: seeds differ: A 7, B 8\n"));
  EXPECT_THAT(compare.out, HasSubstr("state hashes differ, as they must"));
  EXPECT_EQ(nlohmann::json::parse(Lvs({"compare", dir_a, dir_b, "--format", "json"}).out)["same_state"], false);
}

TEST_F(Cli, CompareNeedsTwoSummaries) {
  EXPECT_EQ(Lvs({"compare", Path("none"), Path("none")}).exit_code, kExitCouldNotRun);
  const std::string a = RunDirectory("a", SomeSummary());
  EXPECT_EQ(Lvs({"compare", a, Write("b.json", "[1]")}).exit_code, kExitUsage);
}

}  // namespace
}  // namespace lvs::services
