// `lvs limits` says what the constants of the program are.
#include "services/cli/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "nlohmann/json.hpp"
#include "services/base/files.h"
#include "services/cluster/testnet_config.h"
#include "services/node/control_service.h"
#include "services/node/node_config.h"
#include "services/peering/membership.h"
#include "services/peering/peer_table.h"
#include "services/scenario/scenario.h"
#include "shard/hosting/ambassadors.h"
#include "shard/intake.h"
#include "shard/ledger_sync.h"
#include "tests/services/cli/lvs_command.h"
#include "vaultguard/limits.h"

namespace lvs::services {
namespace {

using nlohmann::json;
using testing::ContainsRegex;

std::map<std::string, json> ByName() {
  std::map<std::string, json> limits;
  const Outcome outcome = Lvs({"limits", "--format", "json"});
  EXPECT_EQ(outcome.exit_code, kExitPassed) << outcome.err;
  for (const json& limit : json::parse(outcome.out)) {
    EXPECT_TRUE(limits.emplace(limit["name"], limit).second) << limit["name"] << " is there twice";
  }
  return limits;
}

TEST(Limits, ValuesAreThoseOfTheProgram) {
  const auto limits = ByName();
  const auto value = [&](const std::string& name) { return limits.contains(name) ? limits.at(name)["value"] : json(); };
  EXPECT_EQ(value("node.listen"), NodeDefaults{}.listen);
  EXPECT_EQ(value("node.period_us"), NodeDefaults{}.period_us);
  EXPECT_EQ(value("node.shards"), NodeDefaults{}.shards);
  EXPECT_EQ(value("node.contributions_per_second_session"), NodeDefaults{}.contributions_per_second_session);
  EXPECT_EQ(value("node.period_us_min"), NodeLimitsOfConfig{}.period_us_min);
  EXPECT_EQ(value("node.links_max"), NodeLimitsOfConfig{}.links_max);
  EXPECT_EQ(value("control.stream_waiting_max"), kStreamWaitingMax);
  EXPECT_EQ(value("control.watchers_max"), kWatchersMax);
  EXPECT_EQ(value("scenario.opening_balance_uvu"), ScenarioDefaults{}.opening_balance_uvu);
  EXPECT_EQ(value("scenario.micro_nodes_max"), ScenarioLimits{}.micro_nodes_max);
  EXPECT_EQ(value("drift.alpha"), DriftDefaults{}.alpha);
  EXPECT_EQ(value("membership.links_max"), MembershipOptions{}.links_max);
  EXPECT_EQ(value("membership.active_target"), MembershipOptions{}.active_target);
  EXPECT_EQ(value("membership.guest_s"), MembershipOptions{}.guest_s);
  EXPECT_EQ(value("link.message_bytes_max"), kMessageBytesMax);
  EXPECT_EQ(value("link.strangers_max"), kStrangersMax);
  EXPECT_EQ(value("link.frames_per_shard_cycle"), shard::kFramesPerShardCycle);
  EXPECT_EQ(value("link.refused_frames_max"), shard::kRefusalsMax);
  EXPECT_EQ(value("link.halo_refresh_cycles"), hosting::kHaloRefreshCycles);
  EXPECT_EQ(value("link.sign_of_life_cycles"), shard::kSignOfLifeCycles);
  EXPECT_EQ(value("protocol.version_max"), kProtocolMax);
  EXPECT_EQ(value("protocol.heartbeat_cycles"), vaultguard::kHeartbeatCycles);
  EXPECT_EQ(value("protocol.new_sessions_at_once"), vaultguard::kNewSessionsAtOnce);
  EXPECT_EQ(value("protocol.frame_entries_max"), vaultguard::kMaxFrameEntries);
  EXPECT_EQ(value("protocol.entry_uvu_max"), vaultguard::kMaxEntryUvu);
  EXPECT_EQ(value("protocol.news_free_min").get<float>(), vaultguard::kMinNewsFree);
  EXPECT_EQ(value("tools.testnet_nodes_max"), kTestnetNodesMax);
  EXPECT_EQ(value("tools.text_file_bytes_max"), kTextFileBytesMax);
}

TEST(Limits, EachHasAMeaningAndAHome) {
  const auto limits = ByName();
  EXPECT_GT(limits.size(), 80u);
  for (const auto& [name, limit] : limits) {
    EXPECT_EQ(limit.size(), 6u) << name;
    EXPECT_TRUE(limit["value"].is_number() || limit["value"].is_string()) << name;
    EXPECT_FALSE(limit["meaning"].get<std::string>().empty()) << name;
    EXPECT_FALSE(limit["applies"].get<std::string>().empty()) << name;
    EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(LVS_SOURCE_DIR) / limit["home"].get<std::string>()))
        << name << ": " << limit["home"];
  }
}

TEST(Limits, TheTableHasARowForEach) {
  const Outcome outcome = Lvs({"limits"});
  EXPECT_EQ(outcome.exit_code, kExitPassed);
  EXPECT_THAT(outcome.out, ContainsRegex("protocol.heartbeat_cycles +60 +cycles +protocol"));
  EXPECT_THAT(outcome.out, ContainsRegex("protocol.news_vu_min +0.0001 +VU"));
  EXPECT_THAT(outcome.out, ContainsRegex("node.control_listen +127.0.0.1:7401"));
}

}  // namespace
}  // namespace lvs::services
