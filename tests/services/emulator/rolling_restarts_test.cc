// Who is restarted when, whatever the server nodes hold.
#include "services/emulator/rolling_restarts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lvs::services {
namespace {

using ::testing::ElementsAre;

v1::Scenario WithRestart(std::int64_t at_s, std::int64_t for_s) {
  v1::Scenario scenario;
  scenario.mutable_cycle()->set_period_us(100'000);
  scenario.mutable_cycle()->set_count(1000);
  v1::Event* event = scenario.add_events();
  event->set_at_us(at_s * 1'000'000);
  event->set_for_us(for_s * 1'000'000);
  event->mutable_restart()->set_down_us(300'000);
  return scenario;
}

std::vector<bool> Alive(RollingRestarts* restarts, std::uint64_t cycle, const std::vector<bool>& holds_all) {
  std::vector<hosting::NodeTick> ticks(holds_all.size());
  restarts->Ask(cycle, holds_all, &ticks);
  std::vector<bool> alive;
  for (const hosting::NodeTick& tick : ticks) alive.push_back(tick.alive);
  return alive;
}

TEST(RollingRestarts, Arch2_1_TheNextOneGoesOnceAllHoldAll) {
  RollingRestarts restarts(WithRestart(1, 0), 2);
  EXPECT_TRUE(restarts.any());
  EXPECT_THAT(Alive(&restarts, 9, {true, true}), ElementsAre(true, true));
  EXPECT_THAT(Alive(&restarts, 10, {false, true}), ElementsAre(true, true)) << "one lacks something";
  for (std::uint64_t cycle = 11; cycle < 14; ++cycle) {
    EXPECT_THAT(Alive(&restarts, cycle, {cycle == 11, true}), ElementsAre(false, true)) << cycle;
  }
  for (std::uint64_t cycle = 14; cycle < 60; ++cycle) {
    EXPECT_THAT(Alive(&restarts, cycle, {false, true}), ElementsAre(true, true)) << "it fetches";
  }
  EXPECT_EQ(restarts.restarted(), 0u);
  EXPECT_THAT(Alive(&restarts, 60, {true, true}), ElementsAre(true, false));
  EXPECT_EQ(restarts.restarted(), 1u);
  Alive(&restarts, 61, {true, false});
  Alive(&restarts, 62, {true, false});
  EXPECT_THAT(Alive(&restarts, 63, {true, false}), ElementsAre(true, true));
  EXPECT_THAT(Alive(&restarts, 64, {true, true}), ElementsAre(true, true)) << "that was the last one";
  EXPECT_EQ(restarts.restarted(), 2u);
}

TEST(RollingRestarts, AfterTheEventNobodyGoesAndWhoIsAwayComesBack) {
  RollingRestarts restarts(WithRestart(1, 1), 2);
  EXPECT_THAT(Alive(&restarts, 19, {true, true}), ElementsAre(false, true));
  EXPECT_THAT(Alive(&restarts, 21, {false, true}), ElementsAre(false, true));
  EXPECT_THAT(Alive(&restarts, 22, {false, true}), ElementsAre(true, true));
  EXPECT_THAT(Alive(&restarts, 23, {true, true}), ElementsAre(true, true));
  EXPECT_EQ(restarts.restarted(), 1u);
  EXPECT_FALSE(RollingRestarts(v1::Scenario(), 2).any());
}

}  // namespace
}  // namespace lvs::services
