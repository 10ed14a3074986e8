// The core without gRPC, actors and disk: what a client, a clock and reports make of it.
#include "services/node/node_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <memory>
#include <thread>

#include "services/base/cycle_clock.h"
#include "services/node/node_config.h"
#include "tests/services/node/test_time.h"

namespace lvs::services {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::NodeConfig Config() {
  v1::NodeConfig config;
  config.mutable_state()->set_shards(2);
  config.set_cache_dir("/some/where");
  FillNodeDefaults(&config);
  return config;
}

hosting::NodeReport Report(std::uint64_t cycle, std::vector<hosting::Answer> answers = {}) {
  auto shard = std::make_shared<hosting::ShardReport>();
  shard->cycle = cycle;
  shard->answers = std::move(answers);
  auto verdict = std::make_shared<hosting::Verdict>();
  verdict->shards.push_back(std::move(shard));
  hosting::NodeReport report;
  report.cycle = cycle;
  report.alive = 10;
  report.verdict = std::move(verdict);
  return report;
}

// Both clocks `time` after the beginning of cycle 99, at a period of 100 ms.
ClockReading After(std::chrono::milliseconds time) { return {kNow + time, CycleStart(99, 100'000) + time}; }

class NodeCoreTest : public ::testing::Test {
 protected:
  void Serve() {
    core_.Start(After(0ms));
    ASSERT_EQ(core_.Turn(After(100ms)).step, CyclePace::Step::kRun);
    core_.NextTick(100, kNow);
    EXPECT_TRUE(core_.Take(Report(100)).began_to_serve);
  }

  void Contribute(std::uint64_t id, v1::Durability durability = v1::MEMORY, NodeCore::Time deadline = kNow + 10s) {
    v1::ContributeRequest request;
    request.set_id(id);
    request.set_session_low(id);
    request.set_session_high(1);
    request.set_amount_uvu(5);
    request.set_durability(durability);
    core_.Contribute(request, "client", kNow, deadline,
                     [this](const v1::ContributeReply& reply) { replies_[reply.id()] = reply; });
  }

  absl::StatusCode CodeOf(std::uint64_t id) const { return static_cast<absl::StatusCode>(replies_.at(id).code()); }

  v1::NodeStatus Status() const {
    v1::NodeStatus status;
    vaultguard::RefusalCounts refused;
    ProblemFacts facts;
    core_.Fill(&status, &refused, &facts, kNow + 1s);
    return status;
  }

  NodeCore core_{Config()};
  std::map<std::uint64_t, v1::ContributeReply> replies_;
};

TEST_F(NodeCoreTest, Spec9_ServesOnceItsMicroNodesHaveStarted) {
  EXPECT_EQ(Status().state(), v1::STARTING);
  Contribute(1);
  EXPECT_EQ(CodeOf(1), absl::StatusCode::kUnavailable);
  core_.Start(After(0ms));
  EXPECT_FALSE(core_.serving());
  core_.NextTick(100, kNow);
  EXPECT_EQ(Status().state(), v1::SYNCING);
  hosting::NodeReport empty;
  EXPECT_FALSE(core_.Take(empty).began_to_serve);
  EXPECT_EQ(Status().state(), v1::SYNCING);
  EXPECT_TRUE(core_.Take(Report(101)).began_to_serve);
  EXPECT_FALSE(core_.Take(Report(102)).began_to_serve) << "once";
  EXPECT_EQ(Status().state(), v1::SERVING);
  EXPECT_TRUE(core_.serving());
  core_.Stop();
  EXPECT_FALSE(core_.serving());
}

TEST_F(NodeCoreTest, AContributionGoesToTheShardsAndItsAnswerBack) {
  Serve();
  Contribute(1);
  EXPECT_EQ(Status().ledger().waiting(), 1u);
  const hosting::NodeTick tick = core_.NextTick(101, kNow);
  ASSERT_EQ(tick.contributions.size(), 1u);
  const NodeCore::Outcome outcome =
      core_.Take(Report(101, {{.id = tick.contributions[0].id, .accepted = true, .final = true, .nodes = 1}}));
  EXPECT_THAT(replies_, IsEmpty()) << "the caller sends it";
  ASSERT_EQ(outcome.due.size(), 1u);
  outcome.due[0].Send();
  EXPECT_EQ(CodeOf(1), absl::StatusCode::kOk);
  EXPECT_EQ(Status().ledger().accepted(), 1u);
  EXPECT_EQ(Status().ledger().waiting(), 0u);
}

TEST_F(NodeCoreTest, DurabilityDiskWaitsForTheCache) {
  Serve();
  Contribute(1, v1::DISK);
  const std::uint64_t id = core_.NextTick(101, kNow).contributions.at(0).id;
  const NodeCore::Outcome outcome = core_.Take(Report(101, {{.id = id, .accepted = true, .final = true, .nodes = 1}}));
  EXPECT_THAT(outcome.due, IsEmpty());
  EXPECT_THAT(outcome.for_disk, ElementsAre(id));
  core_.OnDisk(outcome.for_disk);
  EXPECT_TRUE(replies_.at(1).disk());
}

TEST_F(NodeCoreTest, WhatCannotBeIsRefusedAtOnce) {
  Serve();
  v1::ContributeRequest request;
  request.set_id(9);
  core_.Contribute(request, "client", kNow, kNow + 1s,
                   [this](const v1::ContributeReply& reply) { replies_[reply.id()] = reply; });
  EXPECT_EQ(CodeOf(9), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Status().ledger().waiting(), 0u);
}

TEST_F(NodeCoreTest, TooManyOfASessionAreRefusedWithADelay) {
  Serve();
  for (int n = 0; n < 200; ++n) Contribute(1);
  EXPECT_EQ(CodeOf(1), absl::StatusCode::kResourceExhausted);
  EXPECT_GT(replies_.at(1).retry_delay_ms(), 0u);
  EXPECT_EQ(Status().ledger().refused(), 100u) << "100 a second, all of them at once";
}

TEST_F(NodeCoreTest, ADeadlineAnswersAndTheEndAnswersTheRest) {
  Serve();
  Contribute(1, v1::MEMORY, kNow + 1s);
  Contribute(2, v1::MEMORY, kNow + 2s);
  core_.Expire(kNow + 1s);
  EXPECT_EQ(CodeOf(1), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(replies_.contains(2));
  core_.RefuseRest();
  EXPECT_EQ(CodeOf(2), absl::StatusCode::kUnavailable);
  Contribute(3);
  EXPECT_EQ(CodeOf(3), absl::StatusCode::kUnavailable);
}

TEST_F(NodeCoreTest, Spec9_4_DrainTakesWorkForTheGraceAndEnds) {
  Serve();
  ASSERT_TRUE(core_.Drain("test", kNow));
  EXPECT_FALSE(core_.Drain("again", kNow));
  EXPECT_EQ(Status().state(), v1::DRAINING);
  Contribute(1);
  EXPECT_FALSE(replies_.contains(1)) << "taken in: the grace is not over";
  const NodeCore::Time after = kNow + 1s;
  NodeCore::DrainLook look = core_.LookAtDrain(true, false, after);
  EXPECT_EQ(look.action, NodeDrain::Action::kNone) << "a contribution waits";
  core_.RefuseRest();
  core_.NextTick(102, after);
  look = core_.LookAtDrain(false, false, after);
  EXPECT_EQ(look.action, NodeDrain::Action::kSayGoodbye);
  EXPECT_TRUE(look.handed_over) << "the ledger is empty";
  EXPECT_EQ(look.reason, "test");
  EXPECT_FALSE(core_.WaitForEnd(std::chrono::steady_clock::now()));
  EXPECT_EQ(core_.LookAtDrain(false, false, after + NodeDrain::kGoodbye).action, NodeDrain::Action::kEnd);
  EXPECT_TRUE(core_.WaitForEnd(std::chrono::steady_clock::now()));
  EXPECT_TRUE(core_.drained_whole());
}

TEST_F(NodeCoreTest, Spec9_4_ShardsHandOverOnceNoMoreWorkIsTaken) {
  Serve();
  EXPECT_FALSE(core_.NextTick(101, kNow).leaving);
  ASSERT_TRUE(core_.Drain("test", kNow));
  hosting::NodeTick tick = core_.NextTick(102, kNow + 999ms);
  EXPECT_TRUE(tick.leaving) << "peers are told at once";
  EXPECT_FALSE(tick.hand_over) << "contributions may come yet";
  tick = core_.NextTick(103, kNow + 1s);
  EXPECT_TRUE(tick.leaving);
  EXPECT_TRUE(tick.hand_over) << "whether the drain was looked at or not";
}

TEST_F(NodeCoreTest, ALateCycleIsNotRunTwiceAtATime) {
  using Step = CyclePace::Step;
  core_.Start(After(0ms));
  EXPECT_EQ(core_.Turn(After(99ms)).step, Step::kNothing);
  EXPECT_EQ(core_.Turn(After(100ms)).step, Step::kRun);
  EXPECT_EQ(core_.Turn(After(200ms)).step, Step::kBusy) << "cycle 100 is not reported yet";
  core_.Take(Report(100));
  const CyclePace::Turned turned = core_.Turn(After(300ms));
  EXPECT_EQ(turned.step, Step::kRun);
  EXPECT_EQ(turned.cycle, 102u);
  EXPECT_EQ(Status().cycles_skipped(), 1u);
}

TEST_F(NodeCoreTest, WhatBecameOfTheClockIsInTheStatus) {
  Serve();
  EXPECT_EQ(Status().clock().ByteSizeLong(), 0u) << "nothing";
  ClockReading clock = After(200ms);
  clock.wall -= 60s;
  EXPECT_EQ(core_.Turn(clock).set_by, -60s);
  const v1::ClockStatus said = Status().clock();
  EXPECT_NEAR(said.ahead_s(), 59.9, 1e-6);
  EXPECT_EQ(said.set_back(), 1u);
  EXPECT_EQ(said.set_forward(), 0u);
  EXPECT_NEAR(said.set_by_s(), -60, 1e-6);
  EXPECT_NEAR(said.set_ago_s(), 0.8, 1e-6);
}

// A contribution waits for other nodes for as long as its deadline lets it, in cycles that the node counts, whatever the
// wall clock shows.
TEST_F(NodeCoreTest, AClockThatIsSetBackEndsNoWaitForOtherNodes) {
  Serve();
  ClockReading clock = After(300ms);
  clock.wall -= 1h;
  ASSERT_EQ(core_.Turn(clock).cycle, 101u);
  Contribute(1, v1::MEMORY, kNow + 10s);
  const hosting::NodeTick tick = core_.NextTick(101, kNow);
  ASSERT_EQ(tick.contributions.size(), 1u);
  EXPECT_EQ(tick.contributions[0].expires_cycle, 101u + 2 + 100);
}

TEST_F(NodeCoreTest, ScattersOnceAskedForOnce) {
  core_.Scatter();
  EXPECT_TRUE(core_.NextTick(100, kNow).scatter);
  EXPECT_FALSE(core_.NextTick(101, kNow).scatter);
  EXPECT_EQ(Status().work().scattered(), 1u);
}

// ---- The sleep ----

// Sleeps until the next cycle of a core whose clock shows that it begins after this time.
bool SleepFor(NodeCore* core, std::chrono::milliseconds time) {
  const auto now = std::chrono::steady_clock::now();
  core->Start({now, CycleStart(100, 60'000'000)});
  return core->Sleep({now, CycleStart(101, 60'000'000) - time});
}

// A core with a period of a minute.
class NodeCoreSleep : public ::testing::Test {
 protected:
  static v1::NodeConfig Slow() {
    v1::NodeConfig config = Config();
    config.set_period_us(60'000'000);
    return config;
  }
  std::future<bool> Sleeps() {
    std::future<bool> slept = std::async(std::launch::async, [this] { return SleepFor(&core_, 60s); });
    std::this_thread::sleep_for(20ms);
    return slept;
  }
  void Serve() {
    core_.NextTick(100, kNow);
    ASSERT_TRUE(core_.Take(Report(100)).began_to_serve);
  }

  NodeCore core_{Slow()};
};

TEST_F(NodeCoreSleep, UntilTheCycleBegins) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(SleepFor(&core_, 50ms));
  EXPECT_GE(std::chrono::steady_clock::now() - start, 50ms);
}

TEST_F(NodeCoreSleep, StopEndsItForGood) {
  std::future<bool> slept = Sleeps();
  core_.Stop();
  EXPECT_EQ(slept.wait_for(20s), std::future_status::ready);
  EXPECT_FALSE(slept.get());
  EXPECT_FALSE(SleepFor(&core_, 60s));
}

TEST_F(NodeCoreSleep, AnEarlierDeadlineEndsIt) {
  Serve();
  std::future<bool> slept = Sleeps();
  v1::ContributeRequest request;
  request.set_session_low(1);
  request.set_amount_uvu(5);
  const auto now = std::chrono::steady_clock::now();
  core_.Contribute(request, "client", now, now + 10ms, [](const v1::ContributeReply&) {});
  EXPECT_EQ(slept.wait_for(20s), std::future_status::ready);
  EXPECT_TRUE(slept.get());
  core_.Stop();
}

// A drain goes on without cycles: it ends the sleep when its next step is due.
TEST_F(NodeCoreSleep, Spec9_4_ADrainThatBeginsEndsIt) {
  v1::NodeConfig config = Slow();
  config.mutable_drain()->set_grace_us(10'000);
  config.mutable_drain()->set_deadline_us(20'000);
  NodeCore core(config);
  std::future<bool> slept = std::async(std::launch::async, [&] { return SleepFor(&core, 60s); });
  std::this_thread::sleep_for(20ms);
  ASSERT_TRUE(core.Drain("test", std::chrono::steady_clock::now()));
  EXPECT_EQ(slept.wait_for(20s), std::future_status::ready);
  const auto look = [&] { return core.LookAtDrain(false, false, std::chrono::steady_clock::now()).action; };
  while (look() != NodeDrain::Action::kEnd) EXPECT_TRUE(SleepFor(&core, 60s));
  EXPECT_TRUE(core.WaitForEnd(std::chrono::steady_clock::now()));
}

}  // namespace
}  // namespace lvs::services
