// The processes of a testnet, with a stand-in for the node: a shell script that sleeps. The commands run against fake
// control services, since the stand-in answers nothing.
#include "services/cluster/testnet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "nlohmann/json.hpp"
#include "tests/services/cli/lvs_command.h"
#include "tests/services/client/fake_control.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

bool Alive(pid_t pid) {
  waitpid(pid, nullptr, WNOHANG);
  return kill(pid, 0) == 0;
}

template <typename Condition>
bool Eventually(const Condition& condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

class TestnetTest : public ::testing::Test {
 protected:
  TestnetTest() : folder_(fs::temp_directory_path() / ("lvs_testnet_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~TestnetTest() override {
    if (auto net = Testnet::Open(Directory()); net.ok()) {
      EXPECT_TRUE(net->StopAll(milliseconds(0)).ok());
    }
    fs::remove_all(folder_);
  }

  fs::path Directory() const { return folder_ / "net"; }

  // A binary that is called as a node is, and is this script.
  fs::path Binary(const std::string& script) const {
    const fs::path file = folder_ / "stand-in";
    const fs::path fresh = folder_ / "stand-in.new";
    std::ofstream(fresh) << "#!/bin/sh\n" << script << "\n";
    chmod(fresh.c_str(), 0755);
    fs::rename(fresh, file);  // a shell that runs the old one may still read it
    return file;
  }
  fs::path Sleeper() const { return Binary("echo \"started as $*\"; while :; do sleep 0.05; done"); }
  fs::path Stubborn() const { return Binary("trap '' TERM; echo trapped; while :; do sleep 0.05; done"); }

  const fs::path folder_;
};

// ---- Folders ----

TEST_F(TestnetTest, WritesAConfigurationForEachNode) {
  TestnetPlan plan;
  plan.nodes = 3;
  plan.regions = {"eu", "us"};
  plan.micro_nodes = 1000;
  plan.period_us = 50'000;
  plan.cache = true;
  plan.faults.set_loss(0.05);
  plan.faults.set_delay_ms(80);
  const auto net = Testnet::Create(Directory(), plan);
  ASSERT_TRUE(net.ok()) << net.status();
  ASSERT_EQ(net->nodes().size(), 3u);
  std::set<std::string> addresses;
  for (const TestnetNode& node : net->nodes()) {
    EXPECT_EQ(node.config.advertise(), node.config.listen());
    addresses.insert({node.config.listen(), node.config.control_listen(), node.config.health_listen()});
    EXPECT_EQ(node.config.population().micro_nodes(), 1000u);
    EXPECT_EQ(node.config.period_us(), 50'000);
    EXPECT_EQ(node.config.cache_dir(), (node.folder / "cache").string());
    EXPECT_TRUE(node.config.faults());
  }
  EXPECT_EQ(addresses.size(), 9u) << "all ports differ";
  const auto& nodes = net->nodes();
  EXPECT_EQ(nodes[0].config.region(), "eu");
  EXPECT_EQ(nodes[1].config.region(), "us");
  EXPECT_EQ(nodes[2].config.region(), "eu");
  EXPECT_THAT(nodes[0].config.boot(), ::testing::ElementsAre(nodes[1].config.listen()));
  EXPECT_THAT(nodes[1].config.boot(), ::testing::ElementsAre(nodes[0].config.listen()));
  EXPECT_THAT(nodes[2].config.boot(), ::testing::ElementsAre(nodes[0].config.listen(), nodes[1].config.listen()));
  EXPECT_EQ(net->SavedFaults(2).loss(), 0.05);
  EXPECT_EQ(net->SavedFaults(2).delay_ms(), 80u);

  const auto read = ReadTestnet(Directory());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->at(2).config.SerializeAsString(), nodes[2].config.SerializeAsString());
}

TEST_F(TestnetTest, TakesNoPortThatIsInUse) {
  const FakeControl taken;
  const std::string port = taken.address().substr(taken.address().rfind(':') + 1);
  const auto net = Testnet::Create(Directory(), {.nodes = 1, .base_port = static_cast<std::uint16_t>(std::stoi(port))});
  EXPECT_EQ(net.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(net.status().message()), HasSubstr("port " + port + " is taken"));
}

TEST_F(TestnetTest, OneCommandAtATime) {
  const auto net = Testnet::Create(Directory(), {.nodes = 1});
  ASSERT_TRUE(net.ok());
  EXPECT_EQ(Testnet::Open(Directory()).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(ReadTestnet(Directory()).ok()) << "reading needs no lock";
}

TEST_F(TestnetTest, ReplacesWhatAnEarlierOneLeftAndNothingElse) {
  ASSERT_TRUE(Testnet::Create(Directory(), {.nodes = 3}).ok());
  std::ofstream(Directory() / "thesis.txt") << "years of work";
  fs::create_directories(Directory() / "node-photos");
  ASSERT_TRUE(Testnet::Create(Directory(), {.nodes = 2}).ok());
  EXPECT_EQ(ReadTestnet(Directory())->size(), 2u);
  EXPECT_TRUE(fs::exists(Directory() / "thesis.txt"));
  EXPECT_TRUE(fs::exists(Directory() / "node-photos"));
}

// ---- Processes ----

TEST_F(TestnetTest, StartsAndStopsProcesses) {
  auto net = Testnet::Create(Directory(), {.nodes = 2});
  ASSERT_TRUE(net.ok());
  EXPECT_FALSE(net->Pid(0));
  ASSERT_TRUE(net->Start(0, Sleeper()).ok());
  const auto pid = net->Pid(0);
  ASSERT_TRUE(pid);
  EXPECT_EQ(getsid(*pid), *pid) << "a session of its own: Ctrl-C here is not for it";
  EXPECT_FALSE(net->Pid(1));
  EXPECT_EQ(net->Start(0, Sleeper()).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Eventually([&] { return !net->LogTail(0, 1).empty(); }));
  EXPECT_EQ(net->LogTail(0, 1), "started as node --config " + net->nodes()[0].ConfigFile().string() + "\n");

  ASSERT_TRUE(net->Stop(0, SIGTERM, milliseconds(5'000)).ok());
  EXPECT_FALSE(Alive(*pid));
  EXPECT_FALSE(fs::exists(net->nodes()[0].folder / "pid"));
  EXPECT_EQ(net->Stop(0, SIGTERM, milliseconds(100)).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(net->Start(0, Sleeper()).ok()) << "it comes back";
  EXPECT_NE(net->Pid(0), pid);
}

TEST_F(TestnetTest, StubbornProcessesNeedSigkill) {
  auto net = Testnet::Create(Directory(), {.nodes = 2});
  ASSERT_TRUE(net.ok());
  for (std::size_t i = 0; i < 2; ++i) {
    ASSERT_TRUE(net->Start(i, Stubborn()).ok());
    ASSERT_TRUE(Eventually([&] { return net->LogTail(i, 1) == "trapped\n"; }));
  }
  EXPECT_EQ(net->Stop(0, SIGTERM, milliseconds(200)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(net->Pid(0));
  EXPECT_TRUE(net->Stop(0, SIGKILL, milliseconds(5'000)).ok());
  const auto killed = net->StopAll(milliseconds(200));
  ASSERT_TRUE(killed.ok());
  EXPECT_EQ(*killed, 1u);
  EXPECT_FALSE(net->Pid(1));
}

// As a node that was killed while a thread of it writes: no command line any more, and the cache's lock in its hand.
TEST(TestnetProcess, HasNotEndedBeforeItsLastThread) {
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    std::thread([] {
      while (true) pause();
    }).detach();
    syscall(SYS_exit, 0);  // this thread alone
  }
  const std::string process = "/proc/" + std::to_string(pid);
  ASSERT_TRUE(Eventually([&] {
    std::ifstream in(process + "/cmdline");
    return in.get() == std::ifstream::traits_type::eof();
  }));
  EXPECT_FALSE(ProcessEnded(pid));
  kill(pid, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return ProcessEnded(pid); }));
  EXPECT_FALSE(Alive(pid));
}

TEST_F(TestnetTest, ARecycledPidIsNobodysNode) {
  auto net = Testnet::Create(Directory(), {.nodes = 1});
  ASSERT_TRUE(net.ok());
  // Another process has the pid that the file names: here, this test.
  std::ofstream(net->nodes()[0].folder / "pid") << getpid() << "\n";
  EXPECT_FALSE(net->Pid(0));
  EXPECT_EQ(net->Stop(0, SIGKILL, milliseconds(100)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(net->StopAll(milliseconds(100)).ok());  // and we live to tell
  // One that only names the configuration is none either.
  const pid_t reader = fork();
  if (reader == 0) {
    execl("/usr/bin/tail", "tail", "-f", net->nodes()[0].ConfigFile().c_str(), nullptr);
    _exit(1);
  }
  std::ofstream(net->nodes()[0].folder / "pid") << reader << "\n";
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_FALSE(net->Pid(0));
  ASSERT_TRUE(net->Start(0, Sleeper()).ok());
  ASSERT_TRUE(net->StopAll(milliseconds(5'000)).ok());
  EXPECT_TRUE(Alive(reader));
  kill(reader, SIGKILL);
  waitpid(reader, nullptr, 0);
}

TEST_F(TestnetTest, FindsAProcessWhosePidWasNeverWritten) {
  auto net = Testnet::Create(Directory(), {.nodes = 1});
  ASSERT_TRUE(net.ok());
  ASSERT_TRUE(net->Start(0, Sleeper()).ok());
  const auto pid = net->Pid(0);
  fs::remove(net->nodes()[0].folder / "pid");
  EXPECT_EQ(net->Pid(0), pid);
  ASSERT_TRUE(net->StopAll(milliseconds(5'000)).ok());
  EXPECT_FALSE(Alive(*pid));
}

// ---- Partitions ----

TEST(TestnetPartition, Groups) {
  EXPECT_THAT(*ParsePartition("0,1/2", 3), ::testing::ElementsAre(0, 0, 1));
  EXPECT_THAT(*ParsePartition("2/0/1", 3), ::testing::ElementsAre(1, 2, 0));
  for (const char* wrong :
       {"", "0,1,2", "0,1", "0/1", "0,1/2,3", "0,1/1,2", "0,1//2", "0;1/2", "0,1/2/", "0,1/x", "0,1,/2"}) {
    EXPECT_EQ(ParsePartition(wrong, 3).status().code(), absl::StatusCode::kInvalidArgument) << wrong;
  }
}

// ---- The commands ----

// A testnet whose processes sleep, and whose control addresses fake services answer.
class TestnetCommand : public TestnetTest {
 protected:
  void Make(std::size_t nodes) {
    auto net = Testnet::Create(Directory(), {.nodes = nodes});
    ASSERT_TRUE(net.ok()) << net.status();
    for (std::size_t i = 0; i < nodes; ++i) {
      ASSERT_TRUE(net->Start(i, Sleeper()).ok());
      Serve(net->nodes()[i].config.control_listen());
      peer_addresses_.push_back(net->nodes()[i].config.advertise());
    }
  }

  void Serve(const std::string& address) {
    controls_.push_back(std::make_unique<FakeControl>(address));
    controls_.back()->status.set_peers_connected(2);
    v1::Shard& shard = *controls_.back()->shards.add_shards();
    shard.add_total_uvu(0);
    shard.add_total_uvu(0);
  }

  // Two replicas that agree, of micro-nodes that have lived for a cycle.
  static void AddReplicas(FakeControl* control) {
    v1::Shard* shard = control->shards.mutable_shards(0);
    shard->set_replicas(2);
    for (int c = 0; c < 4; ++c) shard->add_coordinates()->set_replicas(2);
    control->status.mutable_work()->set_micro_node_cycles(10);
    control->status.set_period_us(100'000);
  }

  Outcome Do(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "testnet");
    arguments.insert(arguments.end(), {"--dir", Directory().string()});
    return Lvs(arguments);
  }

  std::vector<std::unique_ptr<FakeControl>> controls_;
  std::vector<std::string> peer_addresses_;
};

TEST_F(TestnetTest, FoldersThatCannotBeSearchedAreAMessage) {
  ASSERT_TRUE(Testnet::Create(Directory(), {.nodes = 1}).ok());
  const fs::path node = Directory() / "node-0";
  fs::permissions(folder_, fs::perms(0755));
  fs::permissions(node, fs::perms::none);
  const bool root = geteuid() == 0;
  ASSERT_EQ(seteuid(root ? 65534 : geteuid()), 0);  // root may search every folder
  std::vector<Outcome> outcomes;
  for (const char* command : {"status", "down", "load", "heal"}) {
    outcomes.push_back(Lvs({"testnet", command, "--dir", Directory().string()}));
  }
  outcomes.push_back(Lvs({"status", "--cluster", "--dir", Directory().string()}));
  ASSERT_EQ(seteuid(root ? 0 : geteuid()), 0);
  fs::permissions(node, fs::perms::owner_all);
  for (const Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome.exit_code, kExitCouldNotRun);
    EXPECT_THAT(outcome.err,
                HasSubstr("cannot look into " + node.string() + ": Permission denied; run this as the user"));
  }
}

TEST_F(TestnetTest, HintsNameADirectoryThatIsNotTheDefault) {
  EXPECT_EQ(TestnetHint("./runs/testnet", "down"), "lvs testnet down");
  EXPECT_EQ(TestnetHint(fs::current_path() / "runs" / "testnet", "down"), "lvs testnet down");
  EXPECT_EQ(TestnetHint("/a b", "start 1"), "lvs testnet start 1 --dir '/a b'");
}

TEST_F(TestnetCommand, StatusTellsWhoDoesNotRun) {
  Make(2);
  Outcome status = Do({"status"});
  EXPECT_EQ(status.exit_code, kExitPassed) << status.out << status.err;
  EXPECT_EQ(Do({"kill", "1"}).exit_code, kExitPassed);
  controls_[1]->Stop();
  status = Do({"status"});
  EXPECT_EQ(status.exit_code, kExitUnhealthy);
  EXPECT_THAT(status.out, HasSubstr("node 1 does not run; `lvs testnet start 1 --dir " + Directory().string() +
                                    "` brings it back"));
  EXPECT_THAT(status.out, Not(HasSubstr("node 0 does not run")));
  EXPECT_EQ(Lvs({"status", "--cluster", "--dir", Directory().string()}).exit_code, kExitUnhealthy);
  EXPECT_EQ(Do({"kill", "1"}).exit_code, kExitCouldNotRun);
  EXPECT_EQ(Do({"kill", "2"}).exit_code, kExitUsage);
}

TEST_F(TestnetCommand, PartitionSeversBothWaysAndHealMends) {
  Make(3);
  EXPECT_EQ(Do({"partition", "0,1"}).exit_code, kExitUsage);
  Outcome outcome = Do({"partition", "0,1/2"});
  ASSERT_EQ(outcome.exit_code, kExitPassed) << outcome.err;
  EXPECT_THAT(controls_[0]->Faults().severed(), ::testing::ElementsAre(peer_addresses_[2]));
  EXPECT_THAT(controls_[1]->Faults().severed(), ::testing::ElementsAre(peer_addresses_[2]));
  EXPECT_THAT(controls_[2]->Faults().severed(), ::testing::ElementsAre(peer_addresses_[0], peer_addresses_[1]));
  EXPECT_EQ(Testnet::Open(Directory())->SavedFaults(0).severed_size(), 1);
  // Each half looks well by itself.
  const std::string heal = "lvs testnet heal --dir " + Directory().string();
  EXPECT_THAT(outcome.out, HasSubstr("`" + heal + "` mends it"));
  for (const Outcome& status : {Do({"status"}), Lvs({"status", "--cluster", "--dir", Directory().string()})}) {
    EXPECT_EQ(status.exit_code, kExitUnhealthy);
    EXPECT_THAT(status.out, HasSubstr("problem: the testnet is partitioned into 0,1/2; `" + heal + "` mends it"));
  }
  ASSERT_EQ(Do({"heal"}).exit_code, kExitPassed);
  for (const auto& control : controls_) EXPECT_EQ(control->Faults().severed_size(), 0);
  EXPECT_EQ(Do({"status"}).exit_code, kExitPassed);
}

TEST_F(TestnetCommand, ReportIsARunDirectory) {
  Make(2);
  for (const auto& control : controls_) control->status.set_micro_nodes(10);
  for (const auto& control : controls_) AddReplicas(control.get());
  const std::string run = (folder_ / "run").string();
  const Outcome report = Do({"report", "--for", "500ms", "--out", run});
  EXPECT_EQ(report.exit_code, kExitPassed) << report.out << report.err;
  EXPECT_THAT(report.out, ::testing::ContainsRegex("nodes.not_serving +end +max 0 +0 +held"));
  EXPECT_THAT(report.out, HasSubstr("PASSED: all 3 thresholds held"));
  for (const char* file : {"summary.json", "timeseries.csv", "report.html"}) {
    EXPECT_TRUE(fs::exists(fs::path(run) / file)) << file;
  }
  const Outcome compared = Lvs({"compare", run, run});
  EXPECT_EQ(compared.exit_code, kExitPassed) << compared.err;
  EXPECT_THAT(compared.out, HasSubstr("(testnet"));
  EXPECT_THAT(compared.out, Not(HasSubstr("state hashes")));

  const Outcome json = Do({"report", "--for", "300ms", "--out", run, "--format", "json"});
  const nlohmann::json summary = nlohmann::json::parse(json.out);
  EXPECT_EQ(summary["scenario"], "testnet");
  EXPECT_EQ(summary["nodes"].size(), 2u);
  EXPECT_EQ(summary["nodes"][0]["state"], "SERVING");
}

TEST_F(TestnetCommand, ReportFailsWhereANodeRunsAndDoesNotServe) {
  Make(2);
  controls_[1]->status.set_state(v1::SYNCING);
  for (const auto& control : controls_) AddReplicas(control.get());
  const Outcome report = Do({"report", "--for", "200ms", "--within", "300ms", "--out", (folder_ / "run").string()});
  EXPECT_EQ(report.exit_code, kExitBreached) << report.out;
  EXPECT_THAT(report.out, ::testing::ContainsRegex("nodes.not_serving +end +max 0 +1 +BREACHED"));
}

TEST_F(TestnetCommand, ReportNeedsANodeAndADirectoryOfItsOwn) {
  Make(1);
  std::ofstream(folder_ / "thesis.txt") << "years of work";
  Outcome report = Do({"report", "--out", folder_.string()});
  EXPECT_EQ(report.exit_code, kExitCouldNotRun);
  EXPECT_THAT(report.err, HasSubstr("is not empty and is not an earlier run"));
  ASSERT_EQ(Do({"kill", "0", "--hard"}).exit_code, kExitPassed);
  report = Do({"report"});
  EXPECT_EQ(report.exit_code, kExitCouldNotRun);
  EXPECT_THAT(report.err, HasSubstr("no node of the testnet runs; `lvs testnet start 0 --dir "));
}

TEST_F(TestnetCommand, LoadWithAReportCoversBoth) {
  Make(1);
  AddReplicas(controls_[0].get());
  const std::string run = (folder_ / "run").string();
  const Outcome load = Do({"load", "--rate", "100", "--for", "1500ms", "--report", run});
  EXPECT_EQ(load.exit_code, kExitPassed) << load.out << load.err;
  EXPECT_THAT(load.out, ::testing::ContainsRegex("acknowledged +150\n"));
  EXPECT_THAT(load.out, ::testing::ContainsRegex("load.not_acknowledged +end +max 0 +0 +held"));
  std::ifstream file(fs::path(run) / "summary.json");
  const nlohmann::json summary = nlohmann::json::parse(file);
  ASSERT_EQ(summary["loads"].size(), 1u);
  EXPECT_EQ(summary["loads"][0]["acknowledged"], 150);
  EXPECT_GT(summary["loads"][0]["p99_ms"], 0);
}

TEST_F(TestnetCommand, ScatterAsksEveryNodeThatRuns) {
  Make(2);
  ASSERT_EQ(Do({"kill", "1", "--hard"}).exit_code, kExitPassed);
  const Outcome scatter = Do({"scatter"});
  EXPECT_EQ(scatter.exit_code, kExitPassed) << scatter.err;
  EXPECT_THAT(scatter.out, HasSubstr("scattered the replicas of 1 node"));
  EXPECT_EQ(controls_[0]->Scattered(), 1);
  EXPECT_EQ(controls_[1]->Scattered(), 0);
}

TEST_F(TestnetCommand, StartBringsBackTheFaults) {
  Make(2);
  ASSERT_EQ(Do({"partition", "0/1"}).exit_code, kExitPassed);
  ASSERT_EQ(Do({"kill", "1", "--hard"}).exit_code, kExitPassed);
  controls_[1]->SetFaults(nullptr, std::make_unique<v1::Faults>().get(), std::make_unique<v1::Faults>().get());
  const Outcome start = Do({"start", "1", "--binary", Sleeper().string()});
  ASSERT_EQ(start.exit_code, kExitPassed) << start.err;
  EXPECT_THAT(controls_[1]->Faults().severed(), ::testing::ElementsAre(peer_addresses_[0]));
  EXPECT_EQ(Do({"start", "1", "--binary", Sleeper().string()}).exit_code, kExitCouldNotRun) << "it runs already";
}

TEST_F(TestnetCommand, DownEndsAllAndUpRefusesBefore) {
  Make(2);
  const Outcome up = Do({"up", "--nodes", "2", "--binary", Sleeper().string()});
  EXPECT_EQ(up.exit_code, kExitCouldNotRun);
  EXPECT_THAT(up.err, HasSubstr("a testnet runs in "));
  EXPECT_THAT(up.err, HasSubstr("`lvs testnet down --dir " + Directory().string() + "`"));
  const Outcome down = Do({"down"});
  EXPECT_EQ(down.exit_code, kExitPassed) << down.err;
  EXPECT_THAT(down.out, HasSubstr("the testnet is down; logs are in "));
  const auto net = Testnet::Open(Directory());
  for (std::size_t i = 0; i < 2; ++i) EXPECT_FALSE(net->Pid(i));
}

TEST_F(TestnetCommand, LoadIsRecordedAndVerified) {
  Make(2);
  const std::string record = (folder_ / "load.json").string();
  const std::vector<std::string> load{"load", "--rate", "200", "--for", "500ms", "--record", record};
  const Outcome loaded = Do(load);
  ASSERT_EQ(loaded.exit_code, kExitPassed) << loaded.err;
  EXPECT_THAT(loaded.out, ::testing::ContainsRegex("offered +100 "));
  EXPECT_THAT(loaded.out, ::testing::ContainsRegex("acknowledged +100\n"));
  EXPECT_THAT(loaded.out, HasSubstr("p99.9"));
  // The fakes do not talk to each other: each lacks what the other one has.
  const Outcome lost = Do({"verify", "--record", record, "--within", "0s"});
  EXPECT_EQ(lost.exit_code, kExitBreached);
  EXPECT_THAT(lost.out, HasSubstr("LOST"));
  EXPECT_THAT(lost.out, HasSubstr("BROKEN: 4 totals out of bounds"));
}

TEST_F(TestnetCommand, VerifyHoldsAndFindsWhatNobodySent) {
  Make(1);
  const std::string record = (folder_ / "load.json").string();
  ASSERT_EQ(Do({"load", "--rate", "200", "--for", "200ms", "--record", record}).exit_code, kExitPassed);
  Outcome verify = Do({"verify", "--record", record, "--within", "0s"});
  EXPECT_EQ(verify.exit_code, kExitPassed) << verify.out;
  EXPECT_THAT(verify.out, HasSubstr("HELD"));
  controls_[0]->Corrupt(1);
  verify = Do({"verify", "--record", record, "--within", "0s"});
  EXPECT_EQ(verify.exit_code, kExitBreached);
  EXPECT_THAT(verify.out, HasSubstr("TOO MUCH"));
  EXPECT_THAT(verify.out, HasSubstr("UNEXPLAINED: 1 total above what these records sent"));
  EXPECT_THAT(verify.out, Not(HasSubstr("BROKEN"))) << "nothing is lost, and another load may have sent it";
  controls_[0]->Corrupt(-1);
  verify = Do({"verify", "--record", record, "--within", "0s", "--format", "json"});
  EXPECT_EQ(verify.exit_code, kExitBreached);
  EXPECT_EQ(nlohmann::json::parse(verify.out)["totals"][0]["verdict"], "LOST");
  controls_[0]->Stop();
  verify = Do({"verify", "--record", record, "--within", "0s"});
  EXPECT_EQ(verify.exit_code, kExitUnhealthy);
}

TEST_F(TestnetTest, UpSaysWhyANodeEndedAndLeavesNothingRunning) {
  const fs::path binary = Binary("echo 'cannot bind: no luck today'; exit 3");
  const Outcome up = Lvs({"testnet", "up", "--nodes", "2", "--dir", Directory().string(), "--binary", binary.string()});
  EXPECT_EQ(up.exit_code, kExitCouldNotRun);
  EXPECT_THAT(up.err, HasSubstr("lvs: node 0 ended\n"));
  EXPECT_THAT(up.err, HasSubstr("node-0/log:\ncannot bind: no luck today\n"));
  EXPECT_THAT(up.err, HasSubstr("ended what was started"));
}

TEST_F(TestnetTest, UpGivesUpAtTheDeadlineAndLeavesNothingRunning) {
  const Outcome up = Lvs({"testnet", "up", "--nodes", "2", "--dir", Directory().string(), "--binary",
                          Sleeper().string(), "--deadline", "300ms"});
  EXPECT_EQ(up.exit_code, kExitCouldNotRun);
  EXPECT_THAT(up.err, HasSubstr("node 0 does not answer"));
  EXPECT_THAT(up.err, HasSubstr("after 300ms"));
  const auto net = Testnet::Open(Directory());
  for (std::size_t i = 0; i < 2; ++i) EXPECT_FALSE(net->Pid(i));
}

TEST_F(TestnetTest, UpEndsWhatItStartedOnCtrlC) {
  const std::string binary = Sleeper().string();
  Outcome up;
  std::thread runner([&] {
    up = Lvs({"testnet", "up", "--nodes", "2", "--dir", Directory().string(), "--binary", binary});
  });
  ASSERT_TRUE(Eventually([&] {
    const auto nodes = ReadTestnet(Directory());
    return nodes.ok() && nodes->size() == 2 && ProcessOf(nodes->at(0)) && ProcessOf(nodes->at(1));
  }));
  raise(SIGINT);
  runner.join();
  EXPECT_EQ(up.exit_code, kExitCouldNotRun);
  EXPECT_THAT(up.err, HasSubstr("lvs: interrupted\nlvs: ended what was started\n"));
  const auto net = Testnet::Open(Directory());
  for (std::size_t i = 0; i < 2; ++i) EXPECT_FALSE(net->Pid(i));
}

TEST_F(TestnetTest, WrongArguments) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{{"up", "--nodes", "0"},
                                                                                         {"up", "--loss", "5"},
                                                                                         {"up", "--loss", "200%"},
                                                                                         {"up", "--delay", "80"},
                                                                                         {"up", "--period", "x"},
                                                                                         {"up", "--regions", "eu,,us"},
                                                                                         {"up", "--base-port", "70000"},
                                                                                         {"kill"},
                                                                                         {"kill", "x"},
                                                                                         {"partition"},
                                                                                         {"load", "--rate", "0"},
                                                                                         {"up", "--network", "moon"},
                                                                                         {"report", "--for", "10"},
                                                                                         {"verify"},
                                                                                         {}}) {
    std::vector<std::string> all{"testnet"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    if (!arguments.empty()) all.insert(all.end(), {"--dir", Directory().string()});
    const Outcome outcome = Lvs(all);
    EXPECT_EQ(outcome.exit_code, kExitUsage) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  for (const char* command : {"status", "down", "heal", "load"}) {
    const Outcome outcome = Lvs({"testnet", command, "--dir", (folder_ / "none").string()});
    EXPECT_EQ(outcome.exit_code, kExitCouldNotRun) << command;
    EXPECT_THAT(outcome.err, HasSubstr("no testnet in "));
  }
}

TEST(TestnetHelp, EveryHelpShowsAnExample) {
  for (const char* command :
       {"up", "status", "kill", "start", "partition", "heal", "scatter", "load", "report", "verify", "down"}) {
    const Outcome help = Lvs({"testnet", command, "--help"});
    EXPECT_EQ(help.exit_code, kExitPassed);
    EXPECT_THAT(help.out, HasSubstr("Example"));
    EXPECT_THAT(help.out, HasSubstr("--format table|json"));
  }
}

}  // namespace
}  // namespace lvs::services
