#include "services/net/listener.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "services/base/log.h"
#include "services/base/mutex.h"
#include "services/base/poll.h"
#include "tests/services/net/tcp_pair.h"

namespace lvs::services {
namespace {

using std::chrono::milliseconds;

class ListenerTest : public ::testing::Test {
 protected:
  ListenerTest() { ConfigureLog(v1::ERROR, 20); }
  ~ListenerTest() override {
    listener_.reset();
    for (const int fd : taken_) close(fd);
  }

  void Start(const HostPort& at, std::size_t connections) {
    auto listener = Listener::Open(at, refusals_);
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    connections_ = std::make_shared<Connections>(ConnectionLimits{.connections = connections}, refusals_);
    listener_->Start(connections_, [this](int fd) {
      const MutexLock lock(&mu_);
      taken_.push_back(fd);
    });
  }
  std::size_t taken() {
    const MutexLock lock(&mu_);
    return taken_.size();
  }
  bool Takes(std::size_t count) {
    return PollUntil([&] { return taken() >= count; }, milliseconds(5000), milliseconds(1));
  }

  const std::shared_ptr<ConnectionRefusals> refusals_ = std::make_shared<ConnectionRefusals>();
  std::shared_ptr<Connections> connections_;
  std::unique_ptr<Listener> listener_;
  Mutex mu_;
  std::vector<int> taken_ ABSL_GUARDED_BY(mu_);
};

TEST_F(ListenerTest, HandsConnectionsOverAndNotesTheirEnd) {
  Start({"127.0.0.1", 0}, 8);
  {
    const TcpClient client(listener_->port());
    EXPECT_TRUE(Takes(1));
    EXPECT_EQ(connections_->open(), 1u);
    EXPECT_TRUE(connections_->Begin(client.Text()).has_value());
    const MutexLock lock(&mu_);
    shutdown(taken_[0], SHUT_RDWR);
  }
  EXPECT_TRUE(PollUntil([&] { return connections_->open() == 0; }, milliseconds(5000), milliseconds(1)));
}

TEST_F(ListenerTest, ATakenAddressIsAnError) {
  Start({"127.0.0.1", 0}, 8);
  const auto second = Listener::Open({"127.0.0.1", listener_->port()}, refusals_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Listener::Open({"203.0.113.1", 0}, refusals_).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Listener::Open({"no.such.host.invalid", 0}, refusals_).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ListenerTest, AWildcardTakesBothFamilies) {
  Start({"0.0.0.0", 0}, 8);
  const TcpClient v4(listener_->port());
  EXPECT_TRUE(Takes(1));
  EXPECT_TRUE(connections_->Begin(v4.Text()).has_value()) << "by its IPv4 address, although IPv6 carries it";
}

// gRPC's own listener is deaf for good after the first connection that it has no file for.
TEST_F(ListenerTest, GoesOnOnceThereAreFilesAgain) {
  Start({"127.0.0.1", 0}, 64);
  std::vector<TcpClient> clients(8);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = dup(0);
  close(next);
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(next) + 3;  // one connection and a half
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  for (const TcpClient& client : clients) EXPECT_TRUE(client.Connect(listener_->port()));
  EXPECT_TRUE(PollUntil([&] { return refusals_->Of(ConnectionRefusal::kFilesExhausted) > 0; }, milliseconds(5000),
                        milliseconds(1)));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  const std::size_t had = taken();
  const TcpClient newcomer(listener_->port());
  EXPECT_TRUE(
      PollUntil([&] { return connections_->Begin(newcomer.Text()).has_value(); }, milliseconds(5000), milliseconds(1)));
  EXPECT_GT(taken(), had);
}

}  // namespace
}  // namespace lvs::services
