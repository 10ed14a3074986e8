// lvs node, as far as it does not serve.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>

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
