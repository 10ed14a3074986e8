// lvs node, as far as it does not serve.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>

#include "services/base/log.h"
#include "services/node/journal.h"
#include "services/node/node.h"
#include "services/node/node_config.h"
#include "tests/services/cli/lvs_command.h"

namespace lvs::services {
namespace {

using testing::HasSubstr;

TEST(NodeCommand, WhatKeepsItFromStartingIsALineOfTheLog) {
  v1::NodeConfig config;
  config.set_listen("127.0.0.1:0");
  config.set_control_listen("127.0.0.1:0");
  config.set_health_listen("127.0.0.1:0");
  config.mutable_population()->set_micro_nodes(10);
  FillNodeDefaults(&config);
  ConfigureLog(v1::ERROR, 20);
  const auto other = Node::Start(config);
  ASSERT_TRUE(other.ok()) << other.status();
  std::mutex mutex;
  std::string log;
  SetLogSink([&](std::string_view line) {
    const std::lock_guard lock(mutex);
    log += std::string(line) + "\n";
  });
  const Outcome outcome = Lvs({"node", "--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0", "--control-listen",
                               (*other)->control_address(), "--log-level", "error"});
  SetLogSink(nullptr);
  EXPECT_EQ(outcome.exit_code, kExitCouldNotRun);
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(log, HasSubstr("\"level\":\"error\",\"event\":\"node.failed\",\"why\":\"control_listen: "));
  EXPECT_THAT(log, testing::Not(HasSubstr("\"level\":\"info\""))) << "--log-level";
}

// A node that serves until SIGTERM, within this process. The signal goes to its thread, which blocks and takes it.
class RunningNode {
 public:
  RunningNode() {
    SetLogSink([this](std::string_view line) {
      if (line.find("\"node.serving\"") != line.npos) serves_ = true;
      const std::size_t at = line.find("\"control\":\"");
      if (at == line.npos) return;
      const std::lock_guard lock(mutex_);
      control_ = std::string(line.substr(at + 11, line.find('"', at + 11) - at - 11));
    });
    thread_ = std::thread([this] {
      outcome_ = Lvs({"node", "--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0", "--control-listen",
                      "127.0.0.1:0", "--micro-nodes", "20"});
    });
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!serves_ && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_TRUE(serves_);
  }
  ~RunningNode() { SetLogSink(nullptr); }

  std::string control() {
    const std::lock_guard lock(mutex_);
    return control_;
  }
  int ExitCodeOfDrain() {
    pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
    return outcome_.exit_code;
  }

 private:
  std::atomic<bool> serves_{false};
  std::mutex mutex_;
  std::string control_;
  Outcome outcome_;
  std::thread thread_;
};

TEST(NodeCommand, Spec9_4_ItsExitCodeSaysWhetherAllWasHandedOver) {
  {
    RunningNode empty;
    EXPECT_EQ(empty.ExitCodeOfDrain(), kExitPassed) << "it held nothing";
  }
  RunningNode alone;
  const Outcome contributed =
      Lvs({"contribute", "--node", alone.control(), "--shard", "1", "--slot", "0", "--amount", "1VU"});
  EXPECT_EQ(contributed.exit_code, kExitPassed) << contributed.err;
  EXPECT_EQ(alone.ExitCodeOfDrain(), kExitNotHandedOver) << "nobody is there to take it over";
}

TEST(NodeCommand, ACacheOfAnotherShapeIsFoundByValidate) {
  std::string pattern = (std::filesystem::temp_directory_path() / "lvs-shape-XXXXXX").string();
  const std::string folder = mkdtemp(pattern.data());
  const std::string config = folder + "/node.yaml";
  const auto validate = [&](const std::string& state) {
    std::ofstream(config) << "cache_dir: " << folder << "/cache\nstate: " << state << "\n";
    return Lvs({"node", "--config", config, "--validate"});
  };
  EXPECT_EQ(validate("{shards: 16, value_slots: 2}").exit_code, kExitPassed) << "there is no cache yet";
  Journal::Restored restored;
  const auto journal = Journal::Open(folder + "/cache", 16, 2, &restored);
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_EQ(validate("{shards: 16, value_slots: 2}").exit_code, kExitPassed) << "even while a node has it open";
  const Outcome other = validate("{shards: 8, value_slots: 2}");
  EXPECT_EQ(other.exit_code, kExitUsage);
  EXPECT_THAT(other.err, HasSubstr("cache holds a cache of 16 shards of 2 value slots, and this node has 8"));
  std::filesystem::remove_all(folder);
}

TEST(NodeCommand, LogLevelsAreNamed) {
  EXPECT_EQ(Lvs({"node", "--validate", "--log-level", "warning"}).exit_code, kExitPassed);
  const Outcome outcome = Lvs({"node", "--validate", "--log-level", "loud"});
  EXPECT_EQ(outcome.exit_code, kExitUsage);
  EXPECT_THAT(outcome.err, HasSubstr("--log-level"));
}

}  // namespace
}  // namespace lvs::services
