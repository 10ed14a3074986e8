#include "services/net/connections.h"

#include <gtest/gtest.h>

#include <cstring>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/services/net/tcp_pair.h"

namespace lvs::services {
namespace {

using Hold = Connections::Hold;
constexpr int kSoonMs = 2000;

TEST(ConnectionsText, IsAsGrpcWritesIt) {
  const auto text = [](int family, const char* address, std::uint32_t scope = 0) {
    sockaddr_storage storage{};
    if (family == AF_INET) {
      sockaddr_in v4{};
      v4.sin_family = AF_INET;
      v4.sin_port = htons(4242);
      EXPECT_EQ(inet_pton(AF_INET, address, &v4.sin_addr), 1);
      std::memcpy(&storage, &v4, sizeof v4);
    } else {
      sockaddr_in6 v6{};
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(4242);
      v6.sin6_scope_id = scope;
      EXPECT_EQ(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
      std::memcpy(&storage, &v6, sizeof v6);
    }
    return PeerText(storage);
  };
  EXPECT_EQ(text(AF_INET, "10.0.0.7"), "ipv4:10.0.0.7:4242");
  EXPECT_EQ(text(AF_INET6, "::1"), "ipv6:%5B::1%5D:4242");
  EXPECT_EQ(text(AF_INET6, "::ffff:10.0.0.7"), "ipv4:10.0.0.7:4242");
  EXPECT_EQ(text(AF_INET6, "fe80::1", 2), "ipv6:%5Bfe80::1%252%5D:4242");
  EXPECT_EQ(PeerText(sockaddr_storage{}), "");
}

class ConnectionsTest : public ::testing::Test {
 protected:
  // The far end of a connection that was added.
  struct Far {
    std::unique_ptr<TcpClient> client;
    int fd = -1;  // of this side
    std::optional<Connections::Watched> watched;
  };

  ~ConnectionsTest() override {
    for (const Far& far : far_) {
      if (far.fd >= 0) close(far.fd);
    }
  }

  void Limit(std::size_t connections, double calls_at_once = 4, double bytes_at_once = 320 << 10) {
    const ConnectionLimits limits{.connections = connections,
                                  .calls = {.per_second = 1, .burst = calls_at_once},
                                  .calls_open = 100,
                                  .calls_open_in_all = 150,
                                  .bytes = {.per_second = 0, .burst = bytes_at_once}};
    connections_ = std::make_shared<Connections>(limits, refusals_);
  }
  Far& Connect() {
    Far& far = far_.emplace_back();
    far.client = std::make_unique<TcpClient>(listener_.port());
    far.fd = listener_.Accept();
    far.watched = connections_->Add(far.fd, 0);
    return far;
  }
  std::optional<Hold> Begin(const Far& far) { return connections_->Begin(far.client->Text()); }

  const TcpListener listener_;
  const std::shared_ptr<ConnectionRefusals> refusals_ = std::make_shared<ConnectionRefusals>();
  std::shared_ptr<Connections> connections_;
  std::list<Far> far_;
};

TEST_F(ConnectionsTest, TheOneThatRestedLongestMakesRoom) {
  Limit(3);
  const Far& held = Connect();
  const Far& first = Connect();
  const Far& second = Connect();
  const std::optional<Hold> hold = Begin(held);
  ASSERT_TRUE(hold.has_value());
  connections_->CountCall(first.client->Text(), 0);  // so that the second has rested longer
  EXPECT_TRUE(Connect().watched.has_value());
  EXPECT_FALSE(second.client->IsOpen(kSoonMs));
  EXPECT_TRUE(first.client->IsOpen());
  EXPECT_TRUE(held.client->IsOpen());
  EXPECT_EQ(refusals_->Of(ConnectionRefusal::kConnectionsFull), 1u);
  EXPECT_FALSE(Begin(second).has_value()) << "a call of a connection that was reset";
}

TEST_F(ConnectionsTest, TheNewestIsRefusedWhereNoneRests) {
  Limit(2);
  std::vector<Hold> holds;
  for (int n = 0; n < 2; ++n) {
    std::optional<Hold> hold = Begin(Connect());
    ASSERT_TRUE(hold.has_value());
    holds.push_back(*std::move(hold));
  }
  EXPECT_FALSE(Connect().watched.has_value());
  EXPECT_FALSE(connections_->MakeRoom());
  EXPECT_EQ(connections_->open(), 2u);
  holds.clear();
  EXPECT_TRUE(Connect().watched.has_value()) << "they rest now";
}

TEST_F(ConnectionsTest, ThoseThatEndAreBoundedToo) {
  Limit(8);
  for (int n = 0; n < 50; ++n) Connect();
  EXPECT_LE(connections_->open(), 8u + 5u) << "none of those that were reset has been removed";
  for (const Far& far : far_) {
    if (far.watched && !far.client->IsOpen()) connections_->Remove(far.watched->id);
  }
  EXPECT_LE(connections_->open(), 8u);
  EXPECT_TRUE(Connect().watched.has_value());
}

TEST_F(ConnectionsTest, OneThatBeginsCallsTooFastIsReset) {
  Limit(4);
  const Far& flood = Connect();
  const Far& other = Connect();
  EXPECT_TRUE(flood.client->Send(std::string(10'000, 'x')));
  for (int n = 0; n < 4; ++n) connections_->CountCall(flood.client->Text(), 0);
  EXPECT_TRUE(flood.client->IsOpen());
  connections_->CountCall(flood.client->Text(), 0.5);
  EXPECT_FALSE(flood.client->IsOpen(kSoonMs));
  char byte = 0;
  EXPECT_LE(recv(flood.fd, &byte, 1, MSG_DONTWAIT), 0) << "what it sent is thrown away";
  EXPECT_FALSE(Begin(flood).has_value());
  connections_->CountCall(flood.client->Text(), 0.5);
  EXPECT_EQ(refusals_->Of(ConnectionRefusal::kCallsTooFast), 1u) << "counted once a connection";
  EXPECT_TRUE(other.client->IsOpen());
  for (int second = 0; second < 20; ++second) connections_->CountCall(other.client->Text(), second);
  EXPECT_TRUE(other.client->IsOpen()) << "as many calls, in time";
}

TEST_F(ConnectionsTest, OneThatSendsBytesWithoutCallsIsReset) {
  Limit(4, /*calls_at_once=*/1000);
  const auto send = [](const Far& far, std::size_t bytes) {
    EXPECT_TRUE(far.client->Send(std::string(bytes, 'x')));
    std::string read(bytes, '\0');  // as gRPC does
    EXPECT_EQ(recv(far.fd, read.data(), bytes, MSG_WAITALL), static_cast<ssize_t>(bytes));
  };
  constexpr std::size_t kPart = 64 << 10;
  const Far& flood = Connect();
  const Far& with_calls = Connect();
  const Far& held = Connect();
  const std::optional<Hold> hold = Begin(held);
  for (int n = 0; n < 6; ++n) {
    for (const Far* far : {&flood, &held, &with_calls}) send(*far, kPart);
    for (std::size_t call = 0; call < kPart / kBytesOfACall; ++call) {
      connections_->CountCall(with_calls.client->Text(), 0);
    }
    connections_->Review(0);
    EXPECT_EQ(flood.client->IsOpen(n < 5 ? 0 : kSoonMs), n < 5) << n;
  }
  EXPECT_TRUE(with_calls.client->IsOpen());
  EXPECT_TRUE(held.client->IsOpen()) << "its bytes may be messages";
  EXPECT_EQ(refusals_->Of(ConnectionRefusal::kBytesWithoutCalls), 1u);
  EXPECT_TRUE(connections_->TakeFlooded());
}

TEST_F(ConnectionsTest, CallsThatAreCountedLateMakeUpForTheirBytes) {
  Limit(4, /*calls_at_once=*/1000, /*bytes_at_once=*/20'000);
  const Far& slow = Connect();
  for (int n = 0; n < 10; ++n) {
    EXPECT_TRUE(slow.client->Send(std::string(10'240, 'x')));
    std::string read(10'240, '\0');
    EXPECT_EQ(recv(slow.fd, read.data(), read.size(), MSG_WAITALL), static_cast<ssize_t>(read.size()));
    connections_->Review(0);  // before the calls are counted
    for (std::size_t call = 0; call < 10'240 / kBytesOfACall; ++call) {
      connections_->CountCall(slow.client->Text(), 0);
    }
    connections_->Review(0);
  }
  EXPECT_TRUE(slow.client->IsOpen());
}

TEST_F(ConnectionsTest, OneWithTooManyCallsOpenIsReset) {
  Limit(4);
  const Far& flood = Connect();
  std::vector<Hold> holds;
  for (int n = 0; n < 100; ++n) {
    std::optional<Hold> hold = Begin(flood);
    ASSERT_TRUE(hold.has_value());
    holds.push_back(*std::move(hold));
  }
  holds.pop_back();
  std::optional<Hold> again = Begin(flood);
  ASSERT_TRUE(again.has_value()) << "one has ended";
  EXPECT_TRUE(flood.client->IsOpen());
  EXPECT_FALSE(Begin(flood).has_value());
  EXPECT_FALSE(flood.client->IsOpen(kSoonMs));
  EXPECT_EQ(refusals_->Of(ConnectionRefusal::kCallsOpen), 1u);
  EXPECT_TRUE(connections_->TakeFlooded());
}

TEST_F(ConnectionsTest, TheOneWithTheMostCallsMakesRoomForThoseOfOthers) {
  Limit(4);
  const Far& most = Connect();
  const Far& some = Connect();
  const Far& few = Connect();
  std::vector<Hold> holds;
  const auto begin = [&](const Far& far, int calls) {
    for (int n = 0; n < calls; ++n) {
      std::optional<Hold> hold = Begin(far);
      ASSERT_TRUE(hold.has_value());
      holds.push_back(*std::move(hold));
    }
  };
  begin(most, 90);
  begin(some, 50);
  begin(few, 10);  // as many as there may be
  EXPECT_TRUE(most.client->IsOpen());
  begin(few, 1);
  EXPECT_FALSE(most.client->IsOpen(kSoonMs));
  EXPECT_TRUE(some.client->IsOpen());
  EXPECT_EQ(refusals_->Of(ConnectionRefusal::kCallsOpen), 1u);
  begin(few, 89);  // the calls of the one that was reset do not count any more
  EXPECT_TRUE(some.client->IsOpen());
  EXPECT_FALSE(Begin(few).has_value()) << "it has 100";
  connections_->Remove(few.watched->id);
  connections_->Remove(most.watched->id);
  holds.clear();  // in whatever order
  begin(some, 100);
  EXPECT_TRUE(some.client->IsOpen());
}

TEST_F(ConnectionsTest, MemoryIsGivenBackAfterOneThatTookMuchHasEnded) {
  Limit(4);
  const Far& few = Connect();
  const Far& many = Connect();
  { const std::optional<Hold> hold = Begin(few); }
  {
    std::vector<std::optional<Hold>> holds;
    for (int n = 0; n < 80; ++n) holds.push_back(Begin(many));
  }
  connections_->Remove(few.watched->id);
  EXPECT_FALSE(connections_->TakeFlooded());
  connections_->Remove(many.watched->id);
  EXPECT_TRUE(connections_->TakeFlooded());
  const Far& bytes = Connect();
  EXPECT_TRUE(bytes.client->Send(std::string(50'000, 'x')));
  std::string read(50'000, '\0');
  EXPECT_EQ(recv(bytes.fd, read.data(), read.size(), MSG_WAITALL), static_cast<ssize_t>(read.size()));
  connections_->Review(0);
  connections_->Remove(bytes.watched->id);
  EXPECT_TRUE(connections_->TakeFlooded());
}

TEST_F(ConnectionsTest, WhatIsNotReadYetIsNotWeighed) {
  Limit(4, 4, /*bytes_at_once=*/50'000);
  const Far& far = Connect();
  EXPECT_TRUE(far.client->Send(std::string(100'000, 'x')));
  for (int n = 0; n < 10; ++n) connections_->Review(0);
  EXPECT_TRUE(far.client->IsOpen());
}

TEST_F(ConnectionsTest, TheEndOfAConnectionIsSeenThroughTheSecondDescriptor) {
  Limit(4);
  Far& far = Connect();
  const std::optional<Hold> hold = Begin(far);
  shutdown(far.fd, SHUT_RDWR);  // as gRPC does before it closes
  pollfd watched{far.watched->fd, 0, 0};
  EXPECT_EQ(poll(&watched, 1, kSoonMs), 1);
  connections_->Remove(far.watched->id);
  connections_->Remove(far.watched->id);
  EXPECT_EQ(connections_->open(), 0u);
  EXPECT_FALSE(Begin(far).has_value());
}

}  // namespace
}  // namespace lvs::services
