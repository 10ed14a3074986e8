// The load generator against fake nodes whose delays and failures are known.
#include "services/client/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "services/client/load_record.h"
#include "tests/services/client/fake_control.h"

namespace lvs::services {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

std::vector<ControlClient> ClientsOf(const std::vector<FakeControl*>& nodes) {
  std::vector<ControlClient> clients;
  for (const FakeControl* node : nodes) clients.push_back(*ControlClient::Open({.address = node->address()}));
  return clients;
}

std::uint64_t Total(const LoadReport& report, std::uint64_t Expectation::*amount) {
  std::uint64_t total = 0;
  for (const auto& [key, expectation] : report.expectations) total += expectation.*amount;
  return total;
}

std::uint64_t LedgerTotal(const ControlClient& client) {
  const auto status = client.GetStatus();
  std::uint64_t total = 0;
  for (const std::uint64_t slot : status->ledger().total_uvu()) total += slot;
  return total;
}

v1::ContributeReply Held() {
  v1::ContributeReply reply;
  reply.set_held(true);
  return reply;
}

v1::ContributeReply Refusal(absl::StatusCode code) {
  v1::ContributeReply reply;
  reply.set_code(static_cast<int>(code));
  return reply;
}

TEST(Load, OffersAtItsRateAndEverythingIsAcknowledged) {
  FakeControl a, b;
  const auto clients = ClientsOf({&a, &b});
  const LoadReport report =
      RunLoad(clients, {.rate = 500, .run = milliseconds(1'000), .shards = 4, .slots = 2, .sessions = 10});
  EXPECT_EQ(report.offered, 500u);
  EXPECT_EQ(report.acknowledged, 500u);
  EXPECT_EQ(report.Failed(), 0u);
  EXPECT_EQ(report.not_sent, 0u);
  EXPECT_TRUE(report.repeated.empty());
  EXPECT_EQ(report.latency.Count(), 500u);
  EXPECT_GT(report.seconds, 0.9);
  EXPECT_LT(report.seconds, 2);
  EXPECT_EQ(a.Contributions(), 250u) << "sessions are spread over the nodes";
  EXPECT_EQ(b.Contributions(), 250u);
  // Each contribution added one step, and the ledgers have them all.
  EXPECT_EQ(Total(report, &Expectation::acknowledged_uvu), 500u * 10'000);
  EXPECT_EQ(Total(report, &Expectation::sent_uvu), 500u * 10'000);
  EXPECT_EQ(LedgerTotal(clients[0]) + LedgerTotal(clients[1]), 500u * 10'000);
  std::set<std::pair<std::uint32_t, std::uint32_t>> cells;
  for (const auto& [key, expectation] : report.expectations) cells.emplace(key.shard, key.slot);
  EXPECT_EQ(cells.size(), 8u) << "4 shards of 2 slots";
}

TEST(Load, LatencyIsThatOfTheNode) {
  FakeControl node;
  node.delay = milliseconds(100);
  const LoadReport report = RunLoad(ClientsOf({&node}), {.rate = 100, .run = milliseconds(500), .sessions = 10});
  EXPECT_EQ(report.acknowledged, 50u);
  EXPECT_GE(report.latency.Quantile(0.01), 99'000);
  EXPECT_LT(report.latency.Quantile(0.5), 200'000);
}

TEST(Load, Test10_LatencyCountsFromWhenItWasDueAndNotFromWhenItWasSent) {
  // The first contribution stops the node for 400 ms. A closed loop would see one slow answer; here all that were due
  // meanwhile waited too.
  FakeControl node;
  node.on_contribute = [](const v1::ContributeRequest&, std::uint64_t nth) {
    if (nth == 1) std::this_thread::sleep_for(milliseconds(400));
    return Held();
  };
  const LoadReport report = RunLoad(ClientsOf({&node}), {.rate = 200, .run = milliseconds(800), .sessions = 16});
  EXPECT_EQ(report.acknowledged, 160u);
  EXPECT_GE(report.latency.MaxUs(), 390'000);
  // Half of them were due in the 400 ms, and waited 200 ms in the middle.
  EXPECT_GE(report.latency.Quantile(0.75), 100'000);
}

TEST(Load, EveryThirdFailsAndIsRepeatedAtTheOtherNodeWithTheSameAmount) {
  FakeControl good, bad;
  std::mutex mutex;
  std::vector<v1::ContributeRequest> refused, at_good;
  bad.on_contribute = [&](const v1::ContributeRequest& request, std::uint64_t nth) {
    if (nth % 3 != 0) return Held();
    const std::lock_guard lock(mutex);
    refused.push_back(request);
    return Refusal(absl::StatusCode::kUnavailable);
  };
  good.on_contribute = [&](const v1::ContributeRequest& request, std::uint64_t) {
    const std::lock_guard lock(mutex);
    at_good.push_back(request);
    return Held();
  };
  const auto clients = ClientsOf({&good, &bad});
  const LoadReport report = RunLoad(clients, {.rate = 400, .run = milliseconds(500), .sessions = 40});
  EXPECT_EQ(report.offered, 200u);
  EXPECT_EQ(report.acknowledged, 200u);
  EXPECT_EQ(report.Failed(), 0u);
  ASSERT_FALSE(refused.empty());
  EXPECT_EQ(report.repeated.at("UNAVAILABLE"), refused.size());
  for (const v1::ContributeRequest& request : refused) {
    const auto again = std::find_if(at_good.begin(), at_good.end(), [&](const v1::ContributeRequest& other) {
      return other.session_low() == request.session_low() && other.session_high() == request.session_high() &&
             other.amount_uvu() == request.amount_uvu();
    });
    EXPECT_NE(again, at_good.end()) << request.ShortDebugString();
  }
  EXPECT_EQ(Total(report, &Expectation::acknowledged_uvu), 200u * 10'000);
}

TEST(Load, BusyNodesAreAskedAgainAndNotLeft) {
  FakeControl busy, other;
  busy.on_contribute = [](const v1::ContributeRequest&, std::uint64_t nth) {
    if (nth > 10) return Held();
    v1::ContributeReply reply = Refusal(absl::StatusCode::kResourceExhausted);
    reply.set_retry_delay_ms(150);
    return reply;
  };
  const LoadReport report =
      RunLoad(ClientsOf({&busy, &other}), {.rate = 100, .run = milliseconds(400), .sessions = 10});
  EXPECT_EQ(report.acknowledged, 40u);
  EXPECT_EQ(report.repeated.at("RESOURCE_EXHAUSTED"), 10u);
  EXPECT_EQ(other.Contributions(), 20u) << "sessions stay at a node that only asks for patience";
  EXPECT_GE(report.latency.MaxUs(), 150'000) << "no sooner than the node said";
}

TEST(Load, ANodeThatDiesIsReplacedByTheOther) {
  auto dying = std::make_unique<FakeControl>();
  FakeControl other;
  const auto clients = ClientsOf({dying.get(), &other});
  std::thread killer([&] {
    std::this_thread::sleep_for(milliseconds(300));
    dying->Stop();
  });
  const LoadReport report = RunLoad(clients, {.rate = 200, .run = milliseconds(1'000), .sessions = 20});
  killer.join();
  EXPECT_EQ(report.acknowledged, 200u);
  EXPECT_EQ(report.Failed(), 0u);
  EXPECT_GE(report.repeated.at("UNAVAILABLE"), 1u);
  EXPECT_GT(other.Contributions(), 150u);
}

TEST(Load, WhatNobodyTakesIsGivenUpAndNamed) {
  FakeControl node;
  node.on_contribute = [](const v1::ContributeRequest&, std::uint64_t nth) {
    return Refusal(nth % 2 == 0 ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kUnavailable);
  };
  const LoadReport report = RunLoad(
      ClientsOf({&node}), {.rate = 100, .run = milliseconds(200), .sessions = 4, .give_up_after = milliseconds(500)});
  EXPECT_EQ(report.offered, 20u);
  EXPECT_EQ(report.acknowledged, 0u);
  EXPECT_EQ(report.Failed(), 20u);
  EXPECT_GE(report.failed.at("INVALID_ARGUMENT"), 1u);
  EXPECT_EQ(Total(report, &Expectation::acknowledged_uvu), 0u);
  EXPECT_EQ(Total(report, &Expectation::sent_uvu), 20u * 10'000);
}

TEST(Load, ANodeThatIsSilentCostsAnAttemptAndNoMore) {
  FakeControl silent, other;
  silent.delay = milliseconds(60'000);
  const LoadReport report =
      RunLoad(ClientsOf({&silent, &other}),
              {.rate = 100, .run = milliseconds(200), .sessions = 4, .attempt_timeout = milliseconds(100)});
  EXPECT_EQ(report.acknowledged, 20u);
  EXPECT_EQ(report.repeated.at("DEADLINE_EXCEEDED"), 10u);
}

TEST(Load, WhatIsUnderWayIsBounded) {
  FakeControl node;
  node.delay = milliseconds(500);
  const LoadReport report =
      RunLoad(ClientsOf({&node}), {.rate = 500, .run = milliseconds(200), .sessions = 16, .in_flight_max = 30});
  EXPECT_EQ(report.offered, 100u);
  EXPECT_EQ(report.acknowledged, 30u);
  EXPECT_EQ(report.not_sent, 70u);
  EXPECT_EQ(node.Contributions(), 30u);
  EXPECT_EQ(Total(report, &Expectation::sent_uvu), 30u * 10'000) << "what was not sent is not expected";
}

TEST(Load, StopsEarly) {
  FakeControl node;
  std::atomic<bool> stop{false};
  std::thread stopper([&] {
    std::this_thread::sleep_for(milliseconds(300));
    stop = true;
  });
  const LoadReport report =
      RunLoad(ClientsOf({&node}), {.rate = 100, .run = milliseconds(60'000), .sessions = 16, .stop = &stop});
  stopper.join();
  EXPECT_LT(report.seconds, 5);
  EXPECT_LT(report.offered, 100u);
  EXPECT_EQ(report.offered, report.acknowledged + report.Failed() + report.not_sent);
}

TEST(Load, EnoughSessionsByDefault) {
  EXPECT_EQ(DefaultSessions(1), 16u);
  EXPECT_EQ(DefaultSessions(320), 16u);
  EXPECT_EQ(DefaultSessions(10'000), 500u);
}

// ---- Records ----

class LoadRecordTest : public ::testing::Test {
 protected:
  ~LoadRecordTest() override { std::filesystem::remove(file_); }
  const std::filesystem::path file_ =
      std::filesystem::temp_directory_path() / ("lvs_load_" + std::to_string(getpid()) + ".json");
};

TEST_F(LoadRecordTest, ReadsWhatItWrote) {
  LoadRecord record;
  record.before_least_uvu = {5, 6};
  record.before_most_uvu = {7, 8};
  record.expectations[{{1, 2}, 3, 1}] = {10, 20};
  record.expectations[{{0xffffffffffffffff, 2}, 3, 0}] = {30, 30};
  ASSERT_TRUE(WriteRecord(record, file_).ok());
  const auto read = ReadRecord(file_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->before_least_uvu, record.before_least_uvu);
  EXPECT_EQ(read->before_most_uvu, record.before_most_uvu);
  ASSERT_EQ(read->expectations.size(), 2u);
  EXPECT_EQ(read->expectations.at({{1, 2}, 3, 1}).acknowledged_uvu, 10u);
  EXPECT_EQ(read->expectations.at({{1, 2}, 3, 1}).sent_uvu, 20u);

  const auto bounds = BoundsOf({*read, *read});
  ASSERT_TRUE(bounds.ok());
  EXPECT_EQ(bounds->at(0).least_uvu, 5u + 2 * 30);
  EXPECT_EQ(bounds->at(0).most_uvu, 7u + 2 * 30);
  EXPECT_EQ(bounds->at(1).least_uvu, 6u + 2 * 10);
  EXPECT_EQ(bounds->at(1).most_uvu, 8u + 2 * 20);
}

TEST_F(LoadRecordTest, RefusesWhatIsNone) {
  EXPECT_EQ(ReadRecord(file_).status().code(), absl::StatusCode::kNotFound);
  for (const char* text : {"", "[]", "{\"before_least_uvu\": [1]}",
                           "{\"before_least_uvu\": [1], \"before_most_uvu\": [1], \"expectations\": [{\"session\": "
                           "\"xyz\", \"shard\": 0, \"slot\": 0, \"acknowledged_uvu\": 1, \"sent_uvu\": 1}]}",
                           "{\"before_least_uvu\": [1], \"before_most_uvu\": [1], \"expectations\": [{\"session\": "
                           "\"00000000000000010000000000000001\", \"shard\": 0, \"slot\": 1, \"acknowledged_uvu\": 1, "
                           "\"sent_uvu\": 1}]}"}) {
    std::ofstream(file_) << text;
    EXPECT_EQ(ReadRecord(file_).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST_F(LoadRecordTest, BeforeIsTheLeastAndTheMostOfAllNodes) {
  FakeControl a, b;
  a.status.mutable_ledger()->set_total_uvu(0, 10);
  b.status.mutable_ledger()->set_total_uvu(0, 7);
  b.status.mutable_ledger()->set_total_uvu(1, 3);
  const auto record = RecordBefore(ClientsOf({&a, &b}));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->before_least_uvu, (std::vector<std::uint64_t>{7, 0}));
  EXPECT_EQ(record->before_most_uvu, (std::vector<std::uint64_t>{10, 3}));
  b.status.mutable_ledger()->add_total_uvu(0);
  EXPECT_EQ(RecordBefore(ClientsOf({&a, &b})).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace lvs::services
