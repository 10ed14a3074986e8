// Server nodes within the test's process, over real streams on loopback, port 0.
#include "services/node/node.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "services/base/cycle_clock.h"
#include "services/base/host_port.h"
#include "services/base/log.h"
#include "services/base/mutex.h"
#include "services/client/control_client.h"
#include "services/net/transport_layer.h"
#include "services/node/control_service.h"
#include "services/node/journal.h"
#include "services/node/node_config.h"
#include "services/node/operations.h"
#include "vaultguard/limits.h"

namespace lvs::services {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

bool Eventually(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + seconds(60);
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return true;
}

v1::NodeConfig Config() {
  v1::NodeConfig config;
  config.set_listen("127.0.0.1:0");
  config.set_control_listen("127.0.0.1:0");
  config.set_health_listen("127.0.0.1:0");
  config.set_period_us(50'000);
  config.mutable_population()->set_micro_nodes(60);
  config.mutable_state()->set_shards(4);
  config.mutable_log()->set_level(v1::ERROR);
  FillNodeDefaults(&config);
  config.mutable_drain()->set_grace_us(0);
  return config;
}

std::unique_ptr<Node> Started(const v1::NodeConfig& config) {
  auto node = Node::Start(config);
  EXPECT_TRUE(node.ok()) << node.status();
  return node.ok() ? *std::move(node) : nullptr;
}

std::unique_ptr<Node> Serving(const v1::NodeConfig& config) {
  auto node = Started(config);
  EXPECT_TRUE(Eventually([&] { return node->Status().state() == v1::SERVING; }));
  return node;
}

v1::ContributeRequest Request(std::uint64_t session, std::uint64_t amount_uvu) {
  v1::ContributeRequest request;
  request.set_session_high(7);
  request.set_session_low(session);
  request.set_amount_uvu(amount_uvu);
  return request;
}

v1::ContributeReply Contributed(Node* node, const v1::ContributeRequest& request, milliseconds wait = seconds(30)) {
  std::promise<v1::ContributeReply> reply;
  node->Contribute(request, "client", std::chrono::steady_clock::now() + wait,
                   [&](const v1::ContributeReply& reached) { reply.set_value(reached); });
  return reply.get_future().get();
}

std::uint64_t Total(const Node& node) {
  std::uint64_t total = 0;
  const v1::NodeStatus status = node.Status();
  for (const std::uint64_t slot : status.ledger().total_uvu()) total += slot;
  return total;
}

// The lines that are logged.
class LogLines {
 public:
  LogLines() {
    SetLogSink([this](std::string_view line) {
      const MutexLock lock(&mu_);
      lines_.emplace_back(line);
    });
  }
  ~LogLines() { SetLogSink(nullptr); }

  // The newest line of an event; empty where there is none.
  std::string Last(const std::string& event) const {
    const MutexLock lock(&mu_);
    std::string last;
    for (const std::string& line : lines_) {
      if (line.find("\"event\":\"" + event + "\"") != std::string::npos) last = line;
    }
    return last;
  }

 private:
  mutable Mutex mu_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mu_);
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "lvs-node-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// For this process, a disk that takes no byte more.
class FullDisk {
 public:
  FullDisk() : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{0, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &none);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

int Code(absl::StatusCode code) { return static_cast<int>(code); }

TEST(NodeTest, Spec11_5_ANodeAloneServesAndHoldsValue) {
  const auto node = Serving(Config());
  EXPECT_EQ(Contributed(node.get(), Request(1, 3'000'000)).code(), 0);
  EXPECT_EQ(Contributed(node.get(), Request(1, 5'000'000)).code(), 0);
  EXPECT_EQ(Contributed(node.get(), Request(1, 4'000'000)).code(), 0) << "an older amount is held already";
  EXPECT_TRUE(Eventually([&] { return Total(*node) == 5'000'000; }));
  EXPECT_TRUE(node->Status().problems().empty());
}

TEST(NodeTest, Spec5_1_ContributionsAreRefusedWithWhatToDo) {
  const auto node = Serving(Config());
  const auto refused = [&](v1::ContributeRequest request, absl::StatusCode code, const char* text) {
    const v1::ContributeReply reply = Contributed(node.get(), request);
    EXPECT_EQ(reply.code(), Code(code)) << reply.message();
    EXPECT_THAT(reply.message(), HasSubstr(text));
    EXPECT_FALSE(reply.held());
    return reply;
  };
  v1::ContributeRequest request = Request(1, 1);
  request.set_shard(4);
  refused(request, absl::StatusCode::kInvalidArgument, "shard 4 does not exist; there are 4");
  request = Request(1, 1);
  request.set_slot(2);
  refused(request, absl::StatusCode::kInvalidArgument, "slot 2");
  refused(Request(1, 0), absl::StatusCode::kInvalidArgument, "cumulative");
  request = Request(0, 1);
  request.set_session_high(0);
  refused(request, absl::StatusCode::kInvalidArgument, "128 random bits");
  request = Request(1, 1);
  request.set_durability(v1::DISK);
  refused(request, absl::StatusCode::kFailedPrecondition, "cache_dir");
  request.set_durability(v1::NODES);
  refused(request, absl::StatusCode::kInvalidArgument, "between 1 and 17");
  const v1::ContributeReply reply =
      refused(Request(2, 2'000'000'000), absl::StatusCode::kResourceExhausted, "has earned all");
  EXPECT_GT(reply.retry_delay_ms(), 0u);
  EXPECT_EQ(Total(*node), 0u);
}

TEST(NodeTest, Arch4_RatesAreLimitedBySessionWithADelay) {
  v1::NodeConfig config = Config();
  config.mutable_limits()->set_contributions_per_second_session(5);
  const auto node = Serving(config);
  int refused = 0;
  for (std::uint64_t n = 1; n <= 10; ++n) {
    std::promise<v1::ContributeReply> reply;
    node->Contribute(Request(1, n), "client", std::chrono::steady_clock::now() + seconds(30),
                     [&](const v1::ContributeReply& reached) { reply.set_value(reached); });
    const v1::ContributeReply reached = reply.get_future().get();
    if (reached.code() == 0) continue;
    EXPECT_EQ(reached.code(), Code(absl::StatusCode::kResourceExhausted));
    EXPECT_GT(reached.retry_delay_ms(), 0u);
    ++refused;
  }
  EXPECT_GT(refused, 0);
  EXPECT_EQ(Contributed(node.get(), Request(2, 1)).code(), 0) << "another session is not held to it";
}

TEST(NodeTest, Spec14_TwoNodesAnswerForNodesAndSayHowFarItCame) {
  const auto a = Serving(Config());
  v1::NodeConfig config = Config();
  config.add_boot(a->address());
  const auto b = Serving(config);
  EXPECT_TRUE(Eventually([&] { return a->Peers().peers_size() == 1 && b->Peers().peers_size() == 1; }));
  v1::ContributeRequest request = Request(1, 1'000'000);
  request.set_durability(v1::NODES);
  request.set_nodes(2);
  v1::ContributeReply reply = Contributed(a.get(), request);
  EXPECT_EQ(reply.code(), 0) << reply.message();
  EXPECT_EQ(reply.nodes(), 2u);
  request.set_nodes(3);
  request.set_amount_uvu(2'000'000);
  reply = Contributed(b.get(), request, seconds(1));
  EXPECT_EQ(reply.code(), Code(absl::StatusCode::kDeadlineExceeded));
  EXPECT_TRUE(reply.held());
  EXPECT_EQ(reply.nodes(), 2u);
  EXPECT_TRUE(Eventually(
      [&] { return Total(*a) == 2'000'000 && a->Status().ledger().digest() == b->Status().ledger().digest(); }));
}

TEST(NodeTest, Spec3_2_StrangersAreRefusedWithTheReason) {
  const auto a = Serving(Config());
  const auto reason = [&](v1::NodeConfig config) {
    config.add_boot(a->address());
    const auto b = Started(config);
    std::string why;
    EXPECT_TRUE(Eventually([&] {
      const v1::PeerList peers = b->Peers();
      for (const v1::KnownAddress& known : peers.known()) why = known.last_error();
      return !why.empty();
    }));
    return why;
  };
  v1::NodeConfig config = Config();
  config.mutable_state()->set_shards(8);
  EXPECT_THAT(reason(config), HasSubstr("make `state` equal in both configurations"));
  config = Config();
  config.set_period_us(100'000);
  EXPECT_THAT(reason(config), HasSubstr("make `period` equal"));
  EXPECT_EQ(a->Peers().peers_size(), 0);
}

TEST(NodeTest, Arch2_2_ANodeDoesNotPeerWithItself) {
  // Its own address among the boot addresses, as every node of a StatefulSet has it.
  const auto a = Serving(Config());
  v1::NodeConfig config = Config();
  const auto port = ParseHostPort(a->address());
  ASSERT_TRUE(port.ok());
  config.add_boot(a->address());
  const auto b = Serving(config);
  EXPECT_TRUE(Eventually([&] { return b->Peers().peers_size() == 1; }));
  EXPECT_EQ(a->Peers().peers_size(), 1);
}

TEST(NodeTest, AnAddressInUseIsAClearError) {
  const auto a = Started(Config());
  v1::NodeConfig config = Config();
  config.set_listen(a->address());
  const auto second = Node::Start(config);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("is another process there?"));
  config = Config();
  config.set_control_listen(a->control_address());
  EXPECT_THAT(std::string(Node::Start(config).status().message()), HasSubstr("control_listen"));
}

TEST(NodeTest, FaultsNeedPermission) {
  const auto a = Started(Config());
  EXPECT_EQ(a->SetFaults({}).code(), absl::StatusCode::kFailedPrecondition);
  v1::NodeConfig config = Config();
  config.set_faults(true);
  const auto b = Started(config);
  v1::Faults faults;
  faults.set_loss(1.5);
  EXPECT_EQ(b->SetFaults(faults).code(), absl::StatusCode::kInvalidArgument);
  faults.set_loss(0.5);
  EXPECT_TRUE(b->SetFaults(faults).ok());
  EXPECT_EQ(a->Scatter().code(), absl::StatusCode::kFailedPrecondition);
}

// A scattered swarm finds back, and who looks at it sees every cycle of that.
TEST(NodeTest, Paper6_ScatteredReplicasFindBackBeforeOnesEyes) {
  v1::NodeConfig config = Config();
  config.mutable_population()->set_micro_nodes(1000);  // so many that their mean does not depend on the node's seed
  config.set_faults(true);
  const auto node = Serving(config);
  const auto spread = [&] { return node->Status().drift().relative_spread(); };
  EXPECT_TRUE(Eventually([&] { return spread() < 1e-6; }));
  EXPECT_TRUE(Eventually([&] { return node->Shards().measured_cycle() > 0; }));
  ASSERT_TRUE(node->Scatter().ok());
  std::set<std::uint64_t> measured;
  double most = 0;
  EXPECT_TRUE(Eventually([&] {
    measured.insert(node->Shards().measured_cycle());
    most = std::max(most, spread());
    return most > 0.01 && spread() < 1e-6;
  })) << most;
  EXPECT_LT(most, 2);
  EXPECT_EQ(node->Status().work().scattered(), 1u);
  EXPECT_GE(measured.size(), 3u);
  EXPECT_LT(*measured.rbegin() - *measured.begin(), 3 * measured.size()) << "not one in ten";
  const v1::ShardList shards = node->Shards();
  for (const v1::Shard& shard : shards.shards()) {
    ASSERT_EQ(shard.coordinates_size(), 4);
    EXPECT_GT(shard.coordinates(2).replicas(), 0u);
    EXPECT_NEAR(shard.coordinates(2).mean(), 100, 1);
  }
}

TEST(NodeTest, Spec9_4_DrainRefusesWorkAndEnds) {
  const auto node = Serving(Config());
  EXPECT_EQ(Contributed(node.get(), Request(1, 1)).code(), 0);
  EXPECT_FALSE(node->WaitFor(milliseconds(0)));
  node->Drain("test");
  EXPECT_TRUE(Eventually([&] { return node->WaitFor(milliseconds(10)); }));
  EXPECT_FALSE(node->HandedOver()) << "it was alone";
  EXPECT_EQ(Contributed(node.get(), Request(1, 2)).code(), Code(absl::StatusCode::kUnavailable));
  EXPECT_EQ(node->Status().state(), v1::DRAINING);
}

// A node alone with a cache: what it says when it has drained.
std::string HandedOver(const v1::NodeConfig& config, bool disk_fails) {
  const LogLines log;
  const auto node = Serving(config);
  const std::uint64_t session = disk_fails ? 2 : 1;
  EXPECT_EQ(Contributed(node.get(), Request(session, 1)).code(), 0);
  std::optional<FullDisk> full;
  if (disk_fails) full.emplace();
  EXPECT_EQ(Contributed(node.get(), Request(session, 2)).code(), 0) << "held in memory";
  node->Drain("test");
  EXPECT_TRUE(Eventually([&] { return node->WaitFor(milliseconds(10)); }));
  return log.Last("node.handed_over");
}

TEST(NodeTest, Spec9_4_OnlyWhatIsOnDiskIsHandedOverToTheCache) {
  const TemporaryFolder folder;
  v1::NodeConfig config = Config();
  config.set_cache_dir((folder.path() / "cache").string());
  config.mutable_drain()->set_deadline_us(500'000);
  EXPECT_THAT(HandedOver(config, /*disk_fails=*/false), HasSubstr("\"complete\":true"));
  EXPECT_THAT(HandedOver(config, /*disk_fails=*/true), HasSubstr("\"complete\":false"));
}

v1::ContributeRequest OnDisk(v1::ContributeRequest request) {
  request.set_durability(v1::DISK);
  return request;
}

// A file that is deleted while it is open takes writes without an error.
TEST(NodeTest, Arch2_1_WhatIsAcknowledgedOnDiskOutlivesACacheThatWasDeletedUnderTheNode) {
  const TemporaryFolder folder;
  v1::NodeConfig config = Config();
  config.set_cache_dir((folder.path() / "cache").string());
  {
    const auto node = Serving(config);
    EXPECT_TRUE(Contributed(node.get(), OnDisk(Request(1, 1'000'000))).disk());
    std::error_code error;  // the node may make it again meanwhile
    std::filesystem::remove_all(config.cache_dir(), error);
    EXPECT_TRUE(Contributed(node.get(), OnDisk(Request(2, 2'000'000))).disk());
    EXPECT_GE(node->Status().cache().lost(), 1u);
  }
  const auto node = Serving(config);
  EXPECT_TRUE(Eventually([&] { return Total(*node) == 3'000'000; })) << Total(*node);
}

// A clock that was a minute ahead when it was acknowledged, and is right now.
TEST(NodeTest, Spec5_1_WhatWasAcknowledgedOnDiskUnderAClockThatWasAheadIsRestored) {
  const TemporaryFolder folder;
  const LogLines log;
  v1::NodeConfig config = Config();
  config.set_cache_dir((folder.path() / "cache").string());
  const auto period_us = static_cast<std::uint64_t>(config.period_us());
  {
    Journal::Restored none;
    const auto journal = Journal::Open(config.cache_dir(), config.state().shards(), 2, &none);
    ASSERT_TRUE(journal.ok()) << journal.status();
    Journal::Record record;
    record.entry.session = {7, 1};
    record.entry.opened_cycle = CycleNow(period_us) + 60'000'000 / period_us;
    record.entry.amount_uvu[0] = 3'000'000;
    Journal::Record impossible = record;
    impossible.shard = 1;
    impossible.entry.amount_uvu[0] = vaultguard::kMaxEntryUvu;
    (*journal)->Append({record, impossible}, [](const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; });
  }
  for (const std::uint64_t reopened : {1, 0}) {
    const auto node = Serving(config);
    EXPECT_TRUE(Eventually([&] { return Total(*node) == 3'000'000; })) << Total(*node);
    const v1::NodeStatus status = node->Status();
    EXPECT_EQ(status.cache().restored(), 2u);
    EXPECT_EQ(status.cache().reopened(), reopened) << "the second start finds what the first one made of it";
    EXPECT_EQ(status.cache().refused(), 1u);
    EXPECT_EQ(status.refused().at("rate_exceeded"), 1u);
    ASSERT_EQ(status.problems_size(), 1);
    EXPECT_THAT(status.problems(0), HasSubstr("entries of the cache that the ledger refused: 1"));
    EXPECT_THAT(log.Last("cache.restored"), HasSubstr("\"refused\":1"));
  }
}

TEST(NodeTest, Arch2_1_AFullDiskAtTheStartIsAProblemAndNoEnd) {
  const TemporaryFolder folder;
  v1::NodeConfig config = Config();
  config.set_cache_dir((folder.path() / "cache").string());
  EXPECT_TRUE(Contributed(Serving(config).get(), OnDisk(Request(1, 1'000'000))).disk());
  std::optional<FullDisk> full;
  full.emplace();
  const auto node = Serving(config);
  ASSERT_NE(node, nullptr);
  ASSERT_EQ(node->Status().problems_size(), 1);
  EXPECT_THAT(node->Status().problems(0), HasSubstr("the cache could not be opened"));
  EXPECT_EQ(Contributed(node.get(), Request(2, 2'000'000)).code(), 0);
  EXPECT_FALSE(Contributed(node.get(), OnDisk(Request(2, 2'000'000)), milliseconds(200)).disk());
  full.reset();
  EXPECT_TRUE(Contributed(node.get(), OnDisk(Request(2, 2'000'000))).disk());
  EXPECT_TRUE(Eventually([&] { return Total(*node) == 3'000'000; })) << "what the cache held";
  EXPECT_TRUE(node->Status().problems().empty());
}

// ---- Its clock ----

// A clock that tests set. By the real one, but for an offset.
class SetClock {
 public:
  explicit SetClock(seconds offset = seconds(0))
      : offset_(std::make_shared<std::atomic<std::int64_t>>(offset.count())) {}
  void Set(seconds by) { *offset_ += by.count(); }
  std::chrono::system_clock::time_point operator()() const {
    return std::chrono::system_clock::now() + seconds(offset_->load());
  }

 private:
  std::shared_ptr<std::atomic<std::int64_t>> offset_;
};

std::unique_ptr<Node> ServingBy(const SetClock& clock, const v1::NodeConfig& config = Config()) {
  auto node = Node::Start(config, clock);
  EXPECT_TRUE(node.ok()) << node.status();
  if (!node.ok()) return nullptr;
  EXPECT_TRUE(Eventually([&] { return (*node)->Status().state() == v1::SERVING; }));
  return *std::move(node);
}

// That many cycles go by.
bool CyclesGoBy(const Node& node, std::uint64_t cycles) {
  const std::uint64_t before = node.Status().cycle();
  return Eventually([&] { return node.Status().cycle() >= before + cycles; });
}

// The step is longer than any wait of this test: it passes only where nothing waits for the clock to catch up.
TEST(NodeTest, AClockThatIsSetBackStopsNeitherCyclesNorAnswersNorTheDrain) {
  std::atomic<int> logged{0};
  SetLogSink([&](std::string_view line) { logged += line.find("\"clock.set\",\"by_s\":-") != line.npos; });
  SetClock clock;
  const auto node = ServingBy(clock);
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(Contributed(node.get(), Request(1, 1'000)).code(), 0);
  clock.Set(-seconds(3600));
  EXPECT_TRUE(Eventually([&] { return node->Status().clock().set_back() == 1; }));
  EXPECT_TRUE(CyclesGoBy(*node, 5));
  EXPECT_EQ(Contributed(node.get(), Request(1, 2'000)).code(), 0);
  EXPECT_EQ(Contributed(node.get(), Request(2, 3'000)).code(), 0);
  const v1::NodeStatus status = node->Status();
  EXPECT_GT(status.clock().ahead_s(), 3500);
  EXPECT_LT(status.clock().ahead_s(), 3600);
  ASSERT_FALSE(status.problems().empty());
  EXPECT_THAT(status.problems(0), HasSubstr("the clock was set back"));
  EXPECT_LT(status.cycles_skipped(), 100u);
  node->Drain("test");
  EXPECT_TRUE(node->WaitFor(seconds(60)));
  SetLogSink(nullptr);
  EXPECT_EQ(logged, 1);
}

TEST(NodeTest, AClockThatIsSetForwardIsFollowedAndNoCycleCountsAsSkipped) {
  SetClock clock;
  const auto node = ServingBy(clock);
  ASSERT_NE(node, nullptr);
  const std::uint64_t before = node->Status().cycle();
  clock.Set(seconds(3600));
  EXPECT_TRUE(Eventually([&] { return node->Status().cycle() >= before + 3600 * 20; }));
  EXPECT_EQ(Contributed(node.get(), Request(1, 1'000)).code(), 0);
  const v1::NodeStatus status = node->Status();
  EXPECT_EQ(status.clock().set_forward(), 1u);
  EXPECT_EQ(status.clock().ahead_s(), 0);
  EXPECT_LT(status.cycles_skipped(), 1'000u);
  ASSERT_FALSE(status.problems().empty());
  EXPECT_THAT(status.problems(0), HasSubstr("set forward by 3600.0 s"));
}

TEST(NodeTest, AClockBeforeTheCyclesBeginStopsNothing) {
  const SetClock clock(-seconds(10'000 * 86'400L));  // 27 years
  const auto node = ServingBy(clock);
  ASSERT_NE(node, nullptr);
  EXPECT_TRUE(CyclesGoBy(*node, 3));
  EXPECT_LT(node->Status().cycle(), 100'000u) << "counted from the start of the process";
  EXPECT_EQ(Contributed(node.get(), Request(1, 1'000)).code(), 0);
  ASSERT_FALSE(node->Status().problems().empty());
  EXPECT_THAT(node->Status().problems(0), HasSubstr("before 2026"));
  node->Drain("test");
  EXPECT_TRUE(node->WaitFor(seconds(60)));
}

// Connected, as far as the first node knows.
void Meet(const Node& first, const Node& second) {
  EXPECT_TRUE(
      Eventually([&] { return first.Status().peers_connected() == 1 && second.Status().peers_connected() == 1; }));
}

v1::NodeConfig PeerOf(const Node& node) {
  v1::NodeConfig config = Config();
  config.add_boot(node.address());
  return config;
}

// A clock that was ahead is put right: the node is as far ahead of its peers, which take none of its frames.
TEST(NodeTest, ANodeThatItsClockKeepsFromItsPeersIsNotReady) {
  SetClock clock(seconds(3600));
  const auto ahead = ServingBy(clock);
  ASSERT_NE(ahead, nullptr);
  EXPECT_TRUE(IsReady(ahead->Status(), 0));
  const auto right = Started(PeerOf(*ahead));
  ASSERT_NE(right, nullptr);
  Meet(*ahead, *right);
  clock.Set(-seconds(3600));
  EXPECT_TRUE(Eventually([&] { return ahead->Status().clock().cut_off(); }));
  const v1::NodeStatus status = ahead->Status();
  EXPECT_FALSE(IsReady(status, 0));
  ASSERT_FALSE(status.problems().empty());
  EXPECT_THAT(status.problems(0), HasSubstr("not ready"));
  EXPECT_FALSE(right->Status().clock().cut_off());
}

// Nodes of one machine share its clock. Among themselves nothing changes.
TEST(NodeTest, NodesWhoseClocksAreSetBackTogetherGoOnTogether) {
  SetClock clock;
  const auto first = ServingBy(clock);
  ASSERT_NE(first, nullptr);
  const auto second = ServingBy(clock, PeerOf(*first));
  ASSERT_NE(second, nullptr);
  Meet(*first, *second);
  clock.Set(-seconds(3600));
  for (const auto* node : {first.get(), second.get()}) {
    EXPECT_TRUE(Eventually([&] { return node->Status().clock().set_back() == 1; }));
  }
  v1::ContributeRequest request = Request(1, 1'000);
  request.set_durability(v1::NODES);
  request.set_nodes(2);
  EXPECT_EQ(Contributed(first.get(), request).code(), 0);
  for (const auto* node : {first.get(), second.get()}) {
    EXPECT_TRUE(IsReady(node->Status(), 0));
    EXPECT_FALSE(node->Status().clock().cut_off());
  }
}

// ---- Its drain ----

// The tests of a drain end long before this one, or it is what fails them.
v1::NodeConfig WithLongDeadline(v1::NodeConfig config) {
  config.mutable_drain()->set_deadline_us(60'000'000);
  return config;
}

// The other node goes on taking contributions. What the one that leaves holds is handed over all the same.
TEST(NodeTest, Spec9_4_ADrainUnderLoadHandsEverythingOver) {
  const auto leaver = Serving(WithLongDeadline(Config()));
  const auto stayer = Serving(PeerOf(*leaver));
  Meet(*leaver, *stayer);
  EXPECT_EQ(Contributed(leaver.get(), Request(1, 5'000)).code(), 0);
  std::atomic<std::uint64_t> taken{0};
  std::atomic<std::uint64_t> answered{0};
  std::uint64_t sent = 0;
  {
    std::jthread load([&](const std::stop_token& stop) {
      for (; !stop.stop_requested(); ++sent) {
        stayer->Contribute(Request(1'000 + sent, 1'000), "client", std::chrono::steady_clock::now() + seconds(30),
                           [&](const v1::ContributeReply& reply) {
                             taken += reply.code() == 0;
                             ++answered;
                           });
        std::this_thread::sleep_for(milliseconds(2));
      }
    });
    EXPECT_TRUE(Eventually([&] { return taken > 50; }));
    leaver->Drain("test");
    EXPECT_TRUE(leaver->WaitFor(seconds(30)));
    EXPECT_TRUE(leaver->HandedOver());
  }
  EXPECT_TRUE(Eventually([&] { return answered == sent; }));
  EXPECT_EQ(Total(*stayer), 5'000 + 1'000 * taken);
}

TEST(NodeTest, Spec9_4_NodesThatAllDrainHandNothingOverAndWaitForNobody) {
  const auto first = Serving(WithLongDeadline(Config()));
  const auto second = Serving(WithLongDeadline(PeerOf(*first)));
  const auto third = Serving(WithLongDeadline(PeerOf(*first)));
  const std::vector<Node*> nodes = {first.get(), second.get(), third.get()};
  for (Node* node : nodes) EXPECT_TRUE(Eventually([&] { return node->Status().peers_connected() == 2; }));
  EXPECT_EQ(Contributed(first.get(), Request(1, 5'000)).code(), 0);
  for (Node* node : nodes) EXPECT_TRUE(Eventually([&] { return Total(*node) == 5'000; }));
  for (Node* node : nodes) node->Drain("test");
  for (Node* node : nodes) {
    EXPECT_TRUE(node->WaitFor(seconds(30)));
    EXPECT_FALSE(node->HandedOver()) << "no node is left that holds it";
  }
}

TEST(NodeTest, Spec9_4_ANodeWhosePeersHaveLeftWaitsForNobody) {
  auto first = Serving(Config());
  const auto second = Serving(WithLongDeadline(PeerOf(*first)));
  Meet(*first, *second);
  EXPECT_EQ(Contributed(second.get(), Request(1, 5'000)).code(), 0);
  first->Drain("test");
  EXPECT_TRUE(first->WaitFor(seconds(30)));
  EXPECT_TRUE(first->HandedOver()) << "the second one stays";
  first.reset();
  second->Drain("test");
  EXPECT_TRUE(second->WaitFor(seconds(30)));
  EXPECT_FALSE(second->HandedOver());
}

TEST(NodeTest, Spec5_1_AStreamOfContributionsIsAnsweredOneByOne) {
  const auto node = Serving(Config());
  const auto client = ControlClient::Open({.address = node->control_address()});
  ASSERT_TRUE(client.ok());
  grpc::ClientContext context;
  const auto stream = client->stub().ContributeStream(&context);
  constexpr std::uint64_t kCount = 50;
  for (std::uint64_t n = 1; n <= kCount; ++n) {
    v1::ContributeRequest request = Request(n, n % 10 == 0 ? 0 : 1'000);
    request.set_id(n);
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  std::set<std::uint64_t> answered;
  int refused = 0;
  v1::ContributeReply reply;
  while (stream->Read(&reply)) {
    answered.insert(reply.id());
    refused += reply.code() != 0;
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answered.size(), kCount);
  EXPECT_EQ(refused, 5);
}

// What the node's beacons say about the share in low power, once they speak of replicas; -1 where they never do.
float LowPowerShareHeard(const Node& node) {
  const v1::NodeConfig config = Config();
  TransportOptions options;
  options.session = {1, 2};
  options.shards = config.state().shards();
  options.period_us = static_cast<std::uint64_t>(config.period_us());
  options.boot = {node.address()};
  options.credentials = grpc::InsecureChannelCredentials();
  std::atomic<float> share{-1};
  TransportLayer peer(options);
  peer.Start(
      "",
      [&](std::uint32_t, const hosting::Payload<shard::Frame>& frame) {
        if (frame->beacon.replicas > 0) share = frame->beacon.low_power_share;
      },
      [](std::uint32_t, bool) {});
  Eventually([&] {
    peer.Tick(CycleNow(options.period_us));
    return share >= 0;
  });
  peer.Stop();
  return share;
}

TEST(NodeTest, Spec9_3_MicroNodesSavePowerWhereTheConfigurationSaysSo) {
  v1::NodeConfig config = Config();
  EXPECT_EQ(LowPowerShareHeard(*Serving(config)), 0);
  config.mutable_population()->set_low_power(1);
  EXPECT_EQ(LowPowerShareHeard(*Serving(config)), 1);
}

// ---- Who may operate it ----

TEST(ControlService, ThisMachineIsLoopbackAndUnixSockets) {
  for (const char* here : {"ipv4:127.0.0.1:4242", "ipv4:127.9.9.9:1", "ipv6:%5B::1%5D:4242", "ipv6:[::1]:4242",
                           "ipv6:%5B::ffff:127.0.0.1%5D:4242", "unix:/run/lvs.sock", "unix:", "unix-abstract:lvs"}) {
    EXPECT_TRUE(IsOnThisMachine(here)) << here;
  }
  for (const char* elsewhere :
       {"", "ipv4:10.0.0.7:4242", "ipv4:128.0.0.1:4242", "ipv6:%5Bfe80::1%5D:4242", "ipv6:%5B2001:db8::127%5D:1",
        "ipv4:localhost.example:1", "127.0.0.1:4242", "ipv4:", "ipv4:127.0.0.1", "vsock:1:2"}) {
    EXPECT_FALSE(IsOnThisMachine(elsewhere)) << elsewhere;
  }
}

// An IPv4 address of this machine that is not loopback; empty where it has none.
std::string OtherAddress() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return "";
  std::string found;
  for (const ifaddrs* at = all; at != nullptr && found.empty(); at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET || (at->ifa_flags & IFF_LOOPBACK) != 0) continue;
    char text[INET_ADDRSTRLEN] = {};
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr, text, sizeof text);
    found = text;
  }
  freeifaddrs(all);
  return found;
}

TEST(ControlService, WhoeverMayContributeFromElsewhereMayNotEndTheNode) {
  const std::string elsewhere = OtherAddress();
  if (elsewhere.empty()) GTEST_SKIP() << "this machine has only loopback";
  v1::NodeConfig config = Config();
  config.set_control_listen("0.0.0.0:0");
  const auto node = Serving(config);
  const std::string port = node->control_address().substr(node->control_address().rfind(':'));
  const auto remote = ControlClient::Open({.address = elsewhere + port, .timeout = seconds(30)});
  ASSERT_TRUE(remote.ok());
  EXPECT_TRUE(remote->GetStatus().ok());
  EXPECT_TRUE(remote->Contribute(Request(1, 1000)).status.ok());
  EXPECT_EQ(remote->Drain().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(remote->Drain().message()), HasSubstr("run the command there"));
  EXPECT_EQ(node->Status().state(), v1::SERVING);
  const auto local = ControlClient::Open({.address = "127.0.0.1" + port, .timeout = seconds(30)});
  ASSERT_TRUE(local.ok());
  EXPECT_TRUE(local->Drain().ok());
  EXPECT_TRUE(node->WaitFor(seconds(30)));
}

}  // namespace
}  // namespace lvs::services
