// The endpoint over real sockets on port 0, and its metrics by name and by value.
#include "services/node/operations.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "prometheus/text_serializer.h"
#include "services/node/node_servers.h"

namespace lvs::services {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

v1::NodeStatus Healthy() {
  v1::NodeStatus status;
  status.set_state(v1::SERVING);
  status.set_build("1.2.3");
  status.set_protocol_max(2);
  status.set_region("eu");
  status.set_address("10.1.2.3:7000");
  status.set_control_address("127.0.0.1:7001");
  status.set_session_high(0xfeedfacecafebeefull);
  status.set_session_low(0x1234567890abcdefull);
  status.set_uptime_s(12.5);
  status.set_cycle(1000);
  status.set_period_us(100'000);
  status.set_cycles_skipped(3);
  status.mutable_clock()->set_ahead_s(7.5);
  status.mutable_clock()->set_set_back(2);
  status.set_micro_nodes(500);
  status.set_replicas(2000);
  status.set_peers_connected(6);
  status.set_peers_known(20);
  status.mutable_ledger()->add_total_uvu(41);
  status.mutable_ledger()->add_total_uvu(42);
  v1::ConnectionStatus* connections = status.add_connections();
  connections->set_port("control");
  connections->set_open(5);
  connections->set_limit(1024);
  status.mutable_tls()->set_expires_unix_s(1'800'000'000);
  status.mutable_tls()->set_last_error("tls.key_file: is not the key");
  status.mutable_tls()->set_renewals(7);
  status.mutable_ledger()->set_accepted(9);
  status.mutable_ledger()->set_refused(2);
  status.mutable_drift()->set_relative_spread(0.25);
  status.mutable_drift()->add_mean(12.5);
  status.mutable_drift()->add_mean(99);
  status.mutable_traffic()->set_bytes_sent(77);
  status.mutable_cache()->set_last_error("disk full");
  status.mutable_cache()->set_restored(12);
  status.mutable_cache()->set_reopened(3);
  status.mutable_cache()->set_refused(2);
  status.mutable_cache()->set_unsaved(5);
  status.mutable_cache()->set_lost(1);
  (*status.mutable_refused())["stale \"cycle\"\n"] = 4;
  status.set_resident_bytes(1'000'000);
  status.set_cpu_seconds(1.5);
  return status;
}

v1::PeerList Peers() {
  v1::PeerList peers;
  for (const double rtt_ms : {30.0, 10.0, 20.0}) {
    v1::Peer* peer = peers.add_peers();
    peer->set_address("10.9.9.9:7000");
    peer->set_session_high(0xabadcafeabadcafeull);
    peer->set_region("us");
    peer->set_protocol(2);
    peer->set_rtt_ms(rtt_ms);
  }
  peers.add_known()->set_address("10.8.8.8:7000");
  return peers;
}

// ---- A client ----

// A connected socket; closed at the end.
class Socket {
 public:
  explicit Socket(const std::string& address) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }

  bool Send(const std::string& text) const {
    return send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

  // All until the other side hangs up; empty after the deadline.
  std::string ReadAll(double deadline_s) const {
    const auto start = Clock::now();
    std::string all;
    while (true) {
      pollfd waiting{fd_, POLLIN, 0};
      const double left_s = deadline_s - SecondsSince(start);
      if (left_s <= 0 || poll(&waiting, 1, static_cast<int>(left_s * 1000) + 1) <= 0) return "";
      char buffer[4096];
      const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) return all;
      all.append(buffer, static_cast<std::size_t>(n));
    }
  }

 private:
  int fd_;
};

struct Reply {
  int code = 0;  // 0: none came in time
  std::string head, body;
};

Reply Ask(const std::string& address, const std::string& method, const std::string& path, double deadline_s = 10,
          const std::string& body = "") {
  const Socket socket(address);
  std::string request = method + " " + path + " HTTP/1.1\r\nHost: x\r\n";
  if (!body.empty()) request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  EXPECT_TRUE(socket.Send(request + "\r\n" + body));
  const std::string all = socket.ReadAll(deadline_s);
  const std::size_t end = all.find("\r\n\r\n");
  if (!all.starts_with("HTTP/1.1 ") || end == std::string::npos) return {};
  return {std::stoi(all.substr(9, 3)), all.substr(0, end), all.substr(end + 4)};
}

class Operations : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = OperationsEndpoint::Start(
        "127.0.0.1:0",
        [this] {
          v1::NodeStatus status = Healthy();
          status.set_state(state);
          if (lacks) status.mutable_sync()->set_holds_all(false);
          if (alone) status.set_peers_connected(0);
          if (knows_nobody) status.set_peers_known(0);
          if (old) status.set_uptime_s(OperationsEndpoint::kAloneSeconds);
          if (state != v1::SERVING) status.add_problems("the ledger is still being fetched");
          return status;
        },
        [] { return Peers(); });
    ASSERT_TRUE(started.ok()) << std::string(started.status().message());
    endpoint = *std::move(started);
  }

  Reply Get(const std::string& path) const { return Ask(endpoint->address(), "GET", path); }

  std::atomic<v1::NodeState> state = v1::SERVING;
  std::atomic<bool> lacks = false;  // has not fetched all that peers hold
  std::atomic<bool> alone = false;
  std::atomic<bool> knows_nobody = false;
  std::atomic<bool> old = false;
  std::unique_ptr<OperationsEndpoint> endpoint;
};

TEST_F(Operations, ProbesFollowTheState) {
  EXPECT_EQ(Get("/livez").code, 200);
  EXPECT_EQ(Get("/readyz").code, 200);
  for (const v1::NodeState other : {v1::STARTING, v1::SYNCING, v1::DRAINING}) {
    state = other;
    EXPECT_EQ(Get("/livez").code, 200);
    const Reply reply = Get("/readyz");
    EXPECT_EQ(reply.code, 503);
    EXPECT_THAT(reply.body, HasSubstr("the ledger is still being fetched"));
  }
  state = v1::SYNCING;
  EXPECT_THAT(Get("/readyz").body, HasSubstr("syncing\n"));
}

TEST_F(Operations, Arch2_1_ANodeThatHasPeersIsReadyOnceItHoldsAll) {
  lacks = true;
  EXPECT_EQ(Get("/readyz").code, 503);
  EXPECT_EQ(Get("/livez").code, 200);
  EXPECT_THAT(Get("/metrics").body, HasSubstr("\nlvs_ledger_holds_all 0\n"));
  alone = true;
  EXPECT_EQ(Get("/readyz").code, 503) << "peers may still be found";
  old = true;
  EXPECT_EQ(Get("/readyz").code, 200) << "none was found";
  old = false;
  knows_nobody = true;
  EXPECT_EQ(Get("/readyz").code, 200) << "there is nobody to fetch from";
}

TEST_F(Operations, OnlyThreePathsAndOnlyReading) {
  for (const char* path : {"/", "/metrics/", "/metrics/x", "/livezz", "/../etc/passwd", "/%2e%2e/etc/passwd"}) {
    EXPECT_EQ(Get(path).code, 404) << path;
  }
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH"}) {
    const Reply reply = Ask(endpoint->address(), method, "/metrics", 10, "x=1");
    EXPECT_EQ(reply.code, 405) << method;
    EXPECT_THAT(reply.head, HasSubstr("Allow: GET, HEAD"));
  }
  const Reply head = Ask(endpoint->address(), "HEAD", "/livez");
  EXPECT_EQ(head.code, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(Get("/livez?verbose").code, 200);
}

TEST_F(Operations, MetricsAreServedAsText) {
  const Reply reply = Get("/metrics");
  EXPECT_EQ(reply.code, 200);
  EXPECT_THAT(reply.head, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(reply.head, HasSubstr("Content-Length: " + std::to_string(reply.body.size())));
  EXPECT_THAT(reply.body, HasSubstr("\nlvs_micro_nodes 500\n"));
}

TEST_F(Operations, ATakenPortIsAClearError) {
  const auto second = OperationsEndpoint::Start(endpoint->address(), Healthy, Peers);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("cannot listen on " + endpoint->address() + ": "));
}

TEST(OperationsAddress, MustBeHostAndPort) {
  for (const char* bad : {"", "9100", ":9100", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000",
                          "127.0.0.1:0s", "127.0.0.1:0,0.0.0.0:0", "127.0.0.1:0r", "+:1", "::1:0", "nohost:0"}) {
    const auto started = OperationsEndpoint::Start(bad, Healthy, Peers);
    EXPECT_EQ(started.status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  const auto elsewhere = OperationsEndpoint::Start("203.0.113.1:0", Healthy, Peers);
  EXPECT_EQ(elsewhere.status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(Operations, ClientsThatSayNothingDoNotStopAProbe) {
  std::vector<Socket> silent;
  for (int i = 0; i < 200; ++i) silent.emplace_back(endpoint->address());
  const auto start = Clock::now();
  EXPECT_EQ(Ask(endpoint->address(), "GET", "/livez", 10).code, 200);
  EXPECT_LT(SecondsSince(start), 5);
}

// As many as a small machine lets one client open; each sends a byte now and then.
TEST_F(Operations, AThousandSlowClientsDoNotStopAProbe) {
  if (RaiseFileLimit() < 1100) GTEST_SKIP() << "the hard limit of open files is too low here";
  std::vector<Socket> slow;
  for (int i = 0; i < 1000; ++i) {
    slow.emplace_back(endpoint->address());
    slow.back().Send("GET /livez HTTP/1.1\r\nX: ");
  }
  for (int round = 0; round < 5; ++round) {
    for (const Socket& socket : slow) (void)socket.Send("x");
    const auto start = Clock::now();
    EXPECT_EQ(Get("/livez").code, 200);
    EXPECT_LT(SecondsSince(start), 5);
  }
}

TEST_F(Operations, AProbeIsAnsweredAmongClientsThatKeepComing) {
  std::atomic<bool> end{false};
  std::thread flood([&] {
    std::vector<Socket> slow;
    while (!end) {
      if (slow.size() == 500) slow.clear();
      slow.emplace_back(endpoint->address());
    }
  });
  for (int n = 0; n < 20; ++n) EXPECT_EQ(Get("/metrics").code, 200);
  end = true;
  flood.join();
}

TEST_F(Operations, AClientThatDoesNotReadIsHungUpOn) {
  const Socket socket(endpoint->address());
  socket.Send("GET /metrics HTTP/1.1\r\n\r\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(Get("/livez").code, 200);
  EXPECT_THAT(socket.ReadAll(10), HasSubstr("200 OK"));
}

TEST_F(Operations, BytesThatAreNoRequestGetAnError) {
  for (const char* bytes : {"\r\n\r\n", "x\r\n\r\n", "GET /livez\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n"}) {
    const Socket socket(endpoint->address());
    socket.Send(bytes);
    EXPECT_THAT(socket.ReadAll(10), HasSubstr("HTTP/1.1 400 ")) << bytes;
  }
}

TEST_F(Operations, AClientThatTricklesIsHungUpOn) {
  const Socket socket(endpoint->address());
  const auto start = Clock::now();
  bool sent = socket.Send("GET /livez HTTP/1.1\r\nX: ");
  while (sent && SecondsSince(start) < 10) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    sent = socket.Send("x");
  }
  EXPECT_FALSE(sent);
  EXPECT_LT(SecondsSince(start), 5);
}

TEST_F(Operations, ARequestThatIsTooLongIsRefused) {
  const Socket socket(endpoint->address());
  socket.Send("GET /livez HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");
  EXPECT_THAT(socket.ReadAll(10), Not(HasSubstr("200 OK")));
  EXPECT_EQ(Get("/livez").code, 200);
}

TEST(OperationsLiveness, EndsWhenNoCycleGoesBy) {
  v1::NodeStatus status = Healthy();
  CycleWatch watch;
  EXPECT_EQ(watch.StalledFor(status, 100), 0);
  EXPECT_EQ(watch.StalledFor(status, 109), 9);
  status.set_cycle(1001);
  EXPECT_EQ(watch.StalledFor(status, 110), 0);
  EXPECT_GT(watch.StalledFor(status, 121), CycleWatch::StallLimit(status));
  status.set_state(v1::STARTING);
  EXPECT_EQ(watch.StalledFor(status, 200), 0);
  EXPECT_EQ(CycleWatch::StallLimit(status), 10);
  status.set_period_us(1'000'000);
  EXPECT_EQ(CycleWatch::StallLimit(status), 50);
}

// A node that runs no cycles answers nobody, whatever its state.
TEST(OperationsReadiness, NeedsCycles) {
  v1::NodeStatus status = Healthy();
  EXPECT_TRUE(IsReady(status, 0));
  EXPECT_TRUE(IsReady(status, CycleWatch::StallLimit(status)));
  EXPECT_FALSE(IsReady(status, CycleWatch::StallLimit(status) + 1));
  status.set_state(v1::SYNCING);
  EXPECT_FALSE(IsReady(status, 0));
}

TEST(OperationsReadiness, NeedsPeersAtItsCyclesWhereItsClockWasSetBack) {
  v1::NodeStatus status = Healthy();
  status.mutable_clock()->set_cut_off(true);
  EXPECT_FALSE(IsReady(status, 0));
}

// ---- What is exported ----

TEST(Test6_Metrics, ValuesComeThrough) {
  const std::string text = prometheus::TextSerializer().Serialize(NodeMetrics(Healthy(), Peers()));
  for (const char* line : {"lvs_build_info{build=\"1.2.3\",protocol=\"2\"} 1",
                           "lvs_node_state{state=\"serving\"} 1",
                           "lvs_node_state{state=\"draining\"} 0",
                           "lvs_cycles_total 1000",
                           "lvs_cycles_skipped_total 3",
                           "lvs_cycles_ahead_seconds 7.5",
                           "lvs_clock_set_total{direction=\"back\"} 2",
                           "lvs_clock_set_total{direction=\"forward\"} 0",
                           "lvs_peers{state=\"connected\"} 6",
                           "lvs_peers{state=\"known\"} 20",
                           "lvs_ledger_value_uvu{slot=\"1\"} 42",
                           "lvs_contributions_total{result=\"accepted\"} 9",
                           "lvs_contributions_total{result=\"refused\"} 2",
                           "lvs_drift_relative_spread 0.25",
                           "lvs_drift_mean{coordinate=\"1\"} 99",
                           "lvs_link_bytes_total{direction=\"sent\"} 77",
                           "lvs_cache_failing 1",
                           "lvs_cache_restored_total{result=\"unchanged\"} 7",
                           "lvs_cache_restored_total{result=\"reopened\"} 3",
                           "lvs_cache_restored_total{result=\"refused\"} 2",
                           "lvs_cache_unsaved 5",
                           "lvs_cache_lost_total 1",
                           "lvs_refused_total{reason=\"stale \\\"cycle\\\"\\n\"} 4",
                           "process_resident_memory_bytes 1000000",
                           "lvs_tls_expiry_timestamp_seconds 1800000000",
                           "lvs_tls_renewal_failing 1",
                           "lvs_tls_renewals_total 7",
                           "lvs_connections{port=\"control\"} 5",
                           "lvs_connections_limit{port=\"control\"} 1024",
                           "lvs_peer_rtt_seconds{peer_region=\"us\",statistic=\"median\"} 0.02",
                           "lvs_peer_rtt_seconds{peer_region=\"us\",statistic=\"max\"} 0.03"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + line + "\n"));
  }
}

TEST(Test6_Metrics, NothingSaysWhichNodeSessionOrAddress) {
  const std::string text = prometheus::TextSerializer().Serialize(NodeMetrics(Healthy(), Peers()));
  for (const char* secret : {"10.1.2.3", "10.9.9.9", "10.8.8.8", "7000", "127.0.0.1", "feedface", "1311768467294899695",
                             "18369614222190001903", "abadcafe", "12379726079470783230"}) {
    EXPECT_THAT(text, Not(HasSubstr(secret)));
  }
  const std::set<std::string> allowed = {"build",  "protocol",    "state",     "slot", "result", "direction",
                                         "reason", "peer_region", "statistic", "part", "port",   "coordinate"};
  for (const auto& family : NodeMetrics(Healthy(), Peers())) {
    for (const auto& metric : family.metric) {
      for (const auto& label : metric.label)
        EXPECT_TRUE(allowed.contains(label.name)) << family.name << " " << label.name;
    }
  }
}

TEST(Test6_Metrics, AreNamedByConventionAndAlwaysThere) {
  const auto full = NodeMetrics(Healthy(), Peers());
  const auto empty = NodeMetrics({}, {});
  ASSERT_EQ(full.size(), empty.size());
  std::set<std::string> names;
  for (std::size_t i = 0; i < full.size(); ++i) {
    EXPECT_EQ(full[i].name, empty[i].name);
    EXPECT_TRUE(names.insert(full[i].name).second) << full[i].name;
    EXPECT_TRUE(std::regex_match(full[i].name, std::regex("(lvs|process)_[a-z_]+"))) << full[i].name;
    EXPECT_EQ(full[i].type == prometheus::MetricType::Counter, full[i].name.ends_with("_total")) << full[i].name;
    EXPECT_TRUE(full[i].help.ends_with('.')) << full[i].name;
  }
}

TEST(Test6_Metrics, HostileRegionsAndReasonsAreBounded) {
  v1::NodeStatus status = Healthy();
  v1::PeerList peers;
  for (int i = 0; i < 10'000; ++i) {
    v1::Peer* peer = peers.add_peers();
    peer->set_region("r" + std::to_string(i));
    peer->set_rtt_ms(1);
    (*status.mutable_refused())["reason " + std::to_string(i)] = 1;
  }
  for (const auto& family : NodeMetrics(status, peers)) EXPECT_LE(family.metric.size(), 64u) << family.name;
}

// promtool reads the exposition and lints names, types and help.
TEST_F(Operations, PromtoolAcceptsTheMetrics) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "promtool is not installed (Debian package prometheus)";
  }
  FILE* promtool = popen("promtool check metrics 2>&1 >/dev/null", "w");
  ASSERT_NE(promtool, nullptr);
  const std::string text = Get("/metrics").body;
  EXPECT_EQ(fwrite(text.data(), 1, text.size(), promtool), text.size());
  EXPECT_EQ(pclose(promtool), 0);
}

}  // namespace
}  // namespace lvs::services
