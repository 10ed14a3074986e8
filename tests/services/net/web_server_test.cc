// The web server over real sockets: pages, upgrades, and everything that a visitor or an attacker may send instead.
#include "services/net/web_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "services/base/log.h"
#include "tests/services/net/web_pair.h"

namespace lvs::services {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class WebServerTest : public ::testing::Test {
 protected:
  WebServerTest() {
    ConfigureLog(v1::ERROR, 20);
    options_.sweep = milliseconds(10);
    options_.headers = {"accept-language"};
    options_.protocols = {"lvs.v1"};
  }
  ~WebServerTest() override {
    server_.reset();
    owner_->Forget();
  }

  void Start() {
    auto server = WebServer::Open({"127.0.0.1", 0}, options_, refusals_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->Start([this](const WebRequest& request) { return Answer(request); },
                   [this](const WebPeer& peer) -> absl::StatusOr<std::shared_ptr<PeerStream>> {
                     if (!refuse_.ok()) return refuse_;
                     peer_ = peer;
                     return owner_->NewStream(owner_);
                   });
  }
  WebAnswer Answer(const WebRequest& request) const {
    if (request.path == "/fails") throw std::runtime_error("on purpose");
    if (request.path == "/language") return {.content = MakeText(std::string(request.headers.at("accept-language")))};
    if (request.path == "/large") return {.content = large_};
    if (request.path == "/") return {.content = page_};
    return {.code = 404, .content = MakeText("there is no such page\n")};
  }
  std::uint64_t Refused(ConnectionRefusal refusal) const { return refusals_->Of(refusal); }
  // A visitor who has done nothing is served.
  void ExpectServes() {
    RawWeb visitor(server_->port());
    visitor.Send(kGet);
    EXPECT_THAT(visitor.Answer(), HasSubstr("200 OK"));
  }

  const std::string kGet = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
  const std::shared_ptr<const WebContent> page_ = MakeContent("text/html", "the page", "zipped");
  const std::shared_ptr<const WebContent> large_ = MakeContent("text/plain", std::string(32 << 20, 'x'));
  const std::shared_ptr<ConnectionRefusals> refusals_ = std::make_shared<ConnectionRefusals>();
  const std::shared_ptr<Recorder> owner_ = std::make_shared<Recorder>();
  absl::Status refuse_;
  WebPeer peer_;
  WebServerOptions options_;
  std::unique_ptr<WebServer> server_;
};

TEST_F(WebServerTest, AnswersOnOneConnectionUntilTheClientCloses) {
  Start();
  RawWeb client(server_->port());
  client.Send(kGet);
  const std::string first = client.Answer();
  EXPECT_THAT(first, HasSubstr("\r\n\r\nthe page"));
  const std::size_t etag = first.find("ETag: ") + 6;
  client.Send("GET /?q HTTP/1.1\r\nHost: here\r\nIf-None-Match: " + first.substr(etag, first.find('\r', etag) - etag) +
              "\r\n\r\n");
  EXPECT_THAT(client.Answer(), StartsWith("HTTP/1.1 304 Not Modified\r\n"));
  client.Send("HEAD / HTTP/1.1\r\nHost: here\r\nAccept-Encoding: gzip\r\n\r\n");
  EXPECT_THAT(client.Answer(false), HasSubstr("Content-Encoding: gzip"));
  client.Send("GET /language HTTP/1.1\r\nHost: here\r\nAccept-Language: de\r\n\r\n" + kGet);  // two at once
  EXPECT_THAT(client.Answer(), HasSubstr("\r\n\r\nde"));
  EXPECT_THAT(client.Answer(), HasSubstr("\r\n\r\nthe page"));
  client.Send("GET /none HTTP/1.1\r\nHost: here\r\n\r\n");
  EXPECT_THAT(client.Answer(), StartsWith("HTTP/1.1 404"));
  client.Send("GET /fails HTTP/1.1\r\nHost: here\r\n\r\n");
  EXPECT_THAT(client.Answer(), StartsWith("HTTP/1.1 500"));
  client.Send("GET /peer HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.Answer(), StartsWith("HTTP/1.1 426"));
  EXPECT_TRUE(client.Ends());
  { const RawWeb closed = std::move(client); }
  EXPECT_TRUE(Soon([&] { return server_->open().connections == 0; }));
}

TEST_F(WebServerTest, WhatIsNoRequestIsRefusedWithWords) {
  options_.header_bytes = 1024;
  Start();
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 4"},
      {"DELETE / HTTP/1.1\r\nHost: here\r\n\r\n", "HTTP/1.1 405"},
      {"GET / HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 413"},
      {"GET / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 413"},
      {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400"},
      {"GET http://there/ HTTP/1.1\r\nHost: here\r\n\r\n", "HTTP/1.1 400"},
      {"\x16\x03\x01 is TLS\r\n\r\n", "HTTP/1.1 400"},
      {"GET / HTTP/1.1\r\nHost: here\r\nX: " + std::string(2000, 'x') + "\r\n\r\n", "HTTP/1.1 431"},
      {"GET /" + std::string(5000, 'x'), "HTTP/1.1 431"}};
  for (const auto& [request, answer] : bad) {
    RawWeb client(server_->port());
    client.Send(request);
    EXPECT_THAT(client.Answer(), StartsWith(answer)) << request.substr(0, 80);
    EXPECT_TRUE(client.Ends());
  }
  EXPECT_EQ(Refused(ConnectionRefusal::kHeadersTooLong), 2u);
  EXPECT_EQ(Refused(ConnectionRefusal::kRequestInvalid), 7u);
  ExpectServes();
}

TEST_F(WebServerTest, SlowHandshakesAndHalfUpgradesEnd) {
  options_.handshake = milliseconds(300);
  options_.keep_alive = milliseconds(100);
  Start();
  RawWeb silent(server_->port());
  RawWeb slow(server_->port());
  slow.Send("GET /peer HTTP/1.1\r\nHost: here\r\nUpgrade: webso");
  RawWeb kept(server_->port());
  kept.Send(kGet);
  EXPECT_THAT(kept.Answer(), HasSubstr("200 OK"));
  EXPECT_TRUE(silent.Ends());
  EXPECT_TRUE(slow.Ends());
  EXPECT_TRUE(kept.Ends());
  EXPECT_TRUE(Soon([&] { return server_->open().connections == 0; }));
  EXPECT_EQ(Refused(ConnectionRefusal::kRequestLate), 2u) << "a connection that was kept open in vain is no refusal";
}

TEST_F(WebServerTest, AClientThatReadsNoAnswerEnds) {
  options_.answer = milliseconds(100);
  Start();
  RawWeb client(server_->port());
  client.Send("GET /large HTTP/1.1\r\nHost: here\r\n\r\n");
  EXPECT_TRUE(Soon([&] { return Refused(ConnectionRefusal::kUnread) == 1; }));
  ExpectServes();
}

TEST_F(WebServerTest, InAFloodTheOldestSilentConnectionMakesRoom) {
  options_.connections = 8;
  Start();
  std::vector<RawWeb> flood;
  for (int n = 0; n < 50; ++n) flood.emplace_back(server_->port());
  ExpectServes();
  EXPECT_GE(Refused(ConnectionRefusal::kConnectionsFull), 42u);
  EXPECT_LE(server_->open().connections, 8u);
}

TEST_F(WebServerTest, OneSourceHasItsShareOfConnectionsAndRequests) {
  options_.per_source = 3;
  options_.requests_of_source = {.per_second = 0.01, .burst = 4};
  Start();
  {
    std::vector<RawWeb> many;
    for (int n = 0; n < 20; ++n) many.emplace_back(server_->port());
    many[4].Send(kGet);
    EXPECT_THAT(many[4].Answer(), HasSubstr("429 Too Many Requests"));
    EXPECT_TRUE(many[19].Ends()) << "those above the next eight are closed unheard";
    EXPECT_TRUE(Soon([&] { return Refused(ConnectionRefusal::kSourceFull) == 10; }));
  }
  EXPECT_TRUE(Soon([&] { return server_->open().connections == 0; }));
  RawWeb client(server_->port());
  for (int n = 0; n < 4; ++n) {
    client.Send(kGet);
    EXPECT_THAT(client.Answer(), HasSubstr("200 OK"));
  }
  client.Send(kGet);
  EXPECT_THAT(client.Answer(), HasSubstr("Retry-After"));
  EXPECT_TRUE(client.Ends());
  RawWeb peer(server_->port());
  EXPECT_TRUE(peer.Upgrade());
  EXPECT_EQ(peer.CloseCode(), 4008);
  EXPECT_EQ(Refused(ConnectionRefusal::kRequestsTooFast), 2u);
}

TEST_F(WebServerTest, AnUpgradeBecomesAStream) {
  Start();
  RawWeb peer(server_->port());
  ASSERT_TRUE(peer.Upgrade("Origin: http://here\r\nSec-WebSocket-Protocol: x, lvs.v1\r\n")) << peer.last_answer;
  EXPECT_THAT(peer.last_answer, HasSubstr("Sec-WebSocket-Protocol: lvs.v1\r\n"));
  EXPECT_TRUE(Soon([&] { return owner_->streams().size() == 1; }));
  EXPECT_EQ(peer_.origin, "http://here");
  EXPECT_THAT(peer_.address, StartsWith("ipv4:127.0.0.1:"));
  EXPECT_TRUE(Soon([&] { return server_->open().web_sockets == 1; }));
  v1::PeerMessage ping;
  ping.mutable_ping()->set_sent_us(7);
  const std::string bytes = ping.SerializeAsString();
  peer.Send(WebFrame(WebOpcode::kBinary, bytes.substr(0, 3), false) + WebFrame(WebOpcode::kContinuation, "", false) +
            WebFrame(WebOpcode::kPing, "p") + WebFrame(WebOpcode::kContinuation, bytes.substr(3)));
  EXPECT_EQ(peer.Next(WebOpcode::kPong), "p");
  EXPECT_TRUE(Soon([&] { return owner_->taken().size() == 1; }));
  EXPECT_EQ(owner_->taken()[0].ping().sent_us(), 7u);
  owner_->streams()[0]->Say(ping);
  EXPECT_EQ(peer.Next(WebOpcode::kBinary), bytes);
  owner_->streams()[0]->Close(absl::UnavailableError("the node is draining"));
  EXPECT_EQ(peer.CloseCode(), 4014);
  EXPECT_EQ(peer.close_words, "the node is draining");
  EXPECT_TRUE(owner_->ends().empty()) << "the peer may still answer the close";
  peer.Send(WebFrame(WebOpcode::kClose, "\x0f\xae"));
  EXPECT_TRUE(peer.Ends());
  { const RawWeb closed = std::move(peer); }
  EXPECT_TRUE(Soon([&] { return owner_->ends().size() == 1; }));
  EXPECT_EQ(owner_->ends()[0].message(), "the node is draining");
  EXPECT_TRUE(Soon([&] { return server_->open().connections == 0; }));
}

TEST_F(WebServerTest, RefusedUpgradesAreToldInACloseFrame) {
  options_.web_sockets = 1;
  Start();
  RawWeb stranger(server_->port());
  ASSERT_TRUE(stranger.Upgrade("Origin: https://evil.example\r\n"));
  EXPECT_EQ(stranger.CloseCode(), 4007);
  EXPECT_THAT(stranger.close_words, HasSubstr("open the node's own page"));
  EXPECT_EQ(Refused(ConnectionRefusal::kOriginForbidden), 1u);
  refuse_ = absl::ResourceExhaustedError("no stream is free");
  RawWeb unwanted(server_->port());
  ASSERT_TRUE(unwanted.Upgrade());
  EXPECT_EQ(unwanted.CloseCode(), 4008);
  EXPECT_EQ(unwanted.close_words, "no stream is free");
  refuse_ = absl::OkStatus();
  RawWeb first(server_->port());
  ASSERT_TRUE(first.Upgrade());
  EXPECT_TRUE(Soon([&] { return server_->open().web_sockets == 1; }));
  RawWeb second(server_->port());
  ASSERT_TRUE(second.Upgrade());
  EXPECT_EQ(second.CloseCode(), 4008);
  EXPECT_EQ(Refused(ConnectionRefusal::kSocketsFull), 1u);
  ExpectServes();
}

TEST_F(WebServerTest, AboveTheGoodbyesARefusalIsAnHttpStatus) {
  options_.refusing = 0;
  Start();
  RawWeb stranger(server_->port());
  EXPECT_FALSE(stranger.Upgrade("Origin: https://evil.example\r\n"));
  EXPECT_THAT(stranger.last_answer, StartsWith("HTTP/1.1 403"));
  EXPECT_LT(stranger.last_answer.size(), 1500u) << "what a Beast client reads of an answer";
}

TEST_F(WebServerTest, BrokenUpgradesAreRefused) {
  Start();
  RawWeb keyless(server_->port());
  keyless.Send("GET /peer HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_THAT(keyless.Answer(), StartsWith("HTTP/1.1 4"));
  EXPECT_TRUE(keyless.Ends());
  RawWeb early(server_->port());
  EXPECT_FALSE(early.Upgrade("\r\n" + WebFrame(WebOpcode::kBinary, "early")));
  EXPECT_THAT(early.last_answer, StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(Refused(ConnectionRefusal::kRequestInvalid), 2u);
  EXPECT_TRUE(owner_->streams().empty());
}

TEST_F(WebServerTest, BytesOfAnyKindHarmNobody) {
  options_.socket.close = milliseconds(50);
  options_.socket.silence = milliseconds(200);
  options_.handshake = milliseconds(200);
  options_.requests_of_source = {.per_second = 1e6, .burst = 1e6};
  Start();
  std::mt19937_64 random(15);
  std::vector<RawWeb> clients;
  for (int n = 0; n < 120; ++n) {
    RawWeb client(server_->port());
    std::string bytes(random() % 600, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    if (n % 3 != 0) client.Upgrade();
    // Half of them begin like a frame, so that more of the decoder is met.
    if (n % 2 == 0) bytes = WebFrame(static_cast<WebOpcode>(random() % 16), bytes, random() % 2 == 0) + bytes;
    client.Send(bytes);
    clients.push_back(std::move(client));
  }
  EXPECT_TRUE(Soon([&] { return server_->open().connections == 0; }));
  EXPECT_TRUE(Soon([&] { return owner_->ends().size() == owner_->streams().size(); }));
  ExpectServes();
}

TEST_F(WebServerTest, StopEndsEveryStream) {
  Start();
  std::vector<RawWeb> peers;
  for (int n = 0; n < 5; ++n) ASSERT_TRUE(peers.emplace_back(server_->port()).Upgrade());
  EXPECT_TRUE(Soon([&] { return owner_->streams().size() == 5; }));
  RawWeb idle(server_->port());
  server_->Stop(milliseconds(20));
  EXPECT_EQ(owner_->ends().size(), 5u);
  EXPECT_TRUE(idle.Ends());
  server_->Stop(milliseconds(20));
}

TEST_F(WebServerTest, AnAddressOrAKeyThatCannotBeHadIsAnError) {
  Start();
  EXPECT_EQ(WebServer::Open({"127.0.0.1", server_->port()}, options_, refusals_).status().code(),
            absl::StatusCode::kUnavailable);
  options_.certificate_file = "/nowhere/cert.pem";
  EXPECT_EQ(WebServer::Open({"127.0.0.1", 0}, options_, refusals_).status().code(),
            absl::StatusCode::kFailedPrecondition);
  options_.key_file = "/nowhere/key.pem";
  EXPECT_EQ(WebServer::Open({"127.0.0.1", 0}, options_, refusals_).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace lvs::services
