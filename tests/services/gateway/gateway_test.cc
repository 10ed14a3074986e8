// The gateway over loopback: what a page asks for before it connects, and a tab on its WebSocket (TEST-3.1, TEST-8).
#include "services/gateway/gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include "services/base/mutex.h"
#include "services/gateway/turn_credentials.h"
#include "services/net/web_client.h"
#include "services/node/node_config.h"
#include "services/web/tab_hello.h"
#include "shard/tab/placement.h"
#include "tests/services/net/web_pair.h"

namespace lvs::services {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// By hand: printf %s "1767229200:lvs" | openssl dgst -sha1 -hmac secret -binary | base64
TEST(TurnCredentials, AreWhatCoturnChecks) {
  const TurnCredential credential = MakeTurnCredential("secret", 1'767'229'200);
  EXPECT_EQ(credential.username, "1767229200:lvs");
  EXPECT_EQ(credential.password, "eDHOLmvK0GRXafoCVhNJmr+6ybI=");
}

class GatewayTest : public ::testing::Test {
 protected:
  void Open(const std::string& web = "") {
    const auto loaded = ParseNodeConfig("web_listen: 127.0.0.1:0\nregion: eu\n" + web, "node.yaml");
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    GatewayOptions options;
    options.config = loaded->config;
    options.terms.shards = 16;
    options.terms.period_us = 100'000;
    options.terms.session = {1, 1};
    options.terms.build = "test";
    options.terms.region = "eu";
    options.wall = [] { return kCycleEpoch + std::chrono::milliseconds(12'345); };
    options.refusals = std::make_shared<ConnectionRefusals>();
    auto gateway = Gateway::Open(options);
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
    gateway_->Start([](std::uint32_t, const Hub::FramePtr&) {},
                    [this](std::uint32_t link, const TabLink* up) {
                      const MutexLock lock(&mu_);
                      changes_.emplace_back(link, up == nullptr ? 0 : up->mask);
                    });
  }

  std::string Get(const std::string& path) {
    const std::string address = gateway_->address();
    RawWeb client(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    client.Send("GET " + path + " HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    return client.Answer();
  }
  std::vector<std::pair<std::uint32_t, tab::ShardMask>> changes() {
    const MutexLock lock(&mu_);
    return changes_;
  }

  std::unique_ptr<Gateway> gateway_;
  Mutex mu_;
  std::vector<std::pair<std::uint32_t, tab::ShardMask>> changes_;
};

TEST_F(GatewayTest, Test8_APageIsToldTheNetworkAndTheTime) {
  const auto secret = std::filesystem::path(::testing::TempDir()) / "gateway_test.secret";
  std::ofstream(secret) << "secret\n";
  Open("web:\n  hubs: [wss://us.example/peer]\n  turn: {urls: [\"turn:turn.example:3478\"], secret_file: " +
       secret.string() + "}\n");
  const std::string answer = Get("/config.json");
  EXPECT_THAT(answer, HasSubstr("200 OK"));
  EXPECT_THAT(answer, HasSubstr("no-store"));
  EXPECT_THAT(answer, HasSubstr("Access-Control-Allow-Origin: *"));
  const nlohmann::json config = nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n")));
  EXPECT_EQ(config.at("cycle"), 123);
  EXPECT_EQ(config.at("cycle_us"), 45'000);
  EXPECT_EQ(config.at("period_us"), 100'000);
  EXPECT_EQ(config.at("shards"), 16);
  EXPECT_EQ(config.at("region"), "eu");
  EXPECT_EQ(config.at("hubs").at(0), "wss://us.example/peer");
  EXPECT_EQ(config.at("turn").at("username"), "1767229212:lvs") << "the secret's first line, and an hour from now";
  EXPECT_THAT(Get("/"), ContainsRegex("connect-src 'self'[^;]* wss://us.example;"));
}

TEST_F(GatewayTest, Test8_PagesAndWhatIsNotThere) {
  Open();
  EXPECT_THAT(Get("/"), HasSubstr("text/html"));
  const std::string missing = Get("/nothing-here");
  EXPECT_THAT(missing, HasSubstr("404 Not Found"));
  EXPECT_THAT(missing, HasSubstr("text/html"));
  EXPECT_THAT(Get("/../../etc/passwd"), Not(HasSubstr("root:")));
}

TEST_F(GatewayTest, Test3_1_ATabOnTheWebSocketGetsAPlace) {
  Open();
  auto dialler = *WebDialler::Open({});
  const auto owner = std::make_shared<Recorder>();
  const std::shared_ptr<PeerStream> stream = owner->NewStream(owner);
  dialler->Dial("ws://" + gateway_->address() + "/peer", stream);
  v1::PeerMessage hello;
  NodeTerms terms;
  terms.shards = 16;
  terms.period_us = 100'000;
  terms.session = {7, 7};
  hello = OwnHello(TabTerms(terms), "");
  hello.mutable_hello()->mutable_tab()->set_shard_mask(0xf);
  hello.mutable_hello()->mutable_tab()->set_micro_nodes(1);
  hello.mutable_hello()->mutable_tab()->set_cadence_cycles(5);
  stream->Say(hello);
  v1::PeerMessage announce;
  v1::TabCard* const card = announce.mutable_announce()->mutable_card();
  card->mutable_tab()->set_high(7);
  card->mutable_tab()->set_low(7);
  card->set_shard_mask(0xf);
  card->set_micro_nodes(1);
  ASSERT_TRUE(Soon([&] { return !owner->taken().empty(); })) << "the hub's hello";
  EXPECT_TRUE(owner->taken()[0].hello().hub() || owner->taken()[0].has_hello());
  stream->Say(announce);
  ASSERT_TRUE(Soon([&] {
    gateway_->Tick(1000);
    return !changes().empty();
  }));
  EXPECT_EQ(changes()[0], std::pair(16u, tab::ShardMask{0xf})) << "the first link after those of peers";
  v1::NodeStatus status;
  gateway_->FillStatus(&status);
  EXPECT_EQ(status.web().tabs(), 1u);
  EXPECT_EQ(status.web().placed(), 1u);
  EXPECT_EQ(status.web().shards_held(), 0xfu);
  EXPECT_EQ(status.connections(0).port(), "web");
  EXPECT_GE(status.connections(0).open(), 1u);
  gateway_->Stop();
  EXPECT_EQ(changes().back(), std::pair(16u, tab::ShardMask{0})) << "the link goes down before the node ends";
  dialler->Stop(std::chrono::seconds(1));
  owner->Forget();
}

}  // namespace
}  // namespace lvs::services
