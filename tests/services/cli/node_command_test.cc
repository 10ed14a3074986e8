// lvs node, as far as it does not serve.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <string>

#include "services/base/log.h"
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

TEST(NodeCommand, LogLevelsAreNamed) {
  EXPECT_EQ(Lvs({"node", "--validate", "--log-level", "warning"}).exit_code, kExitPassed);
  const Outcome outcome = Lvs({"node", "--validate", "--log-level", "loud"});
  EXPECT_EQ(outcome.exit_code, kExitUsage);
  EXPECT_THAT(outcome.err, HasSubstr("--log-level"));
}

}  // namespace
}  // namespace lvs::services
