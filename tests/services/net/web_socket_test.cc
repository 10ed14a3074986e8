// Peer streams over WebSockets, with real sockets at both ends: conversations, ends and their reasons, bounds.
#include "services/net/web_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "services/base/log.h"
#include "services/net/grpc_stream.h"
#include "services/net/web_client.h"
#include "services/net/web_server.h"
#include "services/peering/peering.h"
#include "tests/services/net/web_pair.h"
#include "tests/services/peering/fake_carrier.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class WebSocketTest : public ::testing::Test {
 protected:
  WebSocketTest() {
    ConfigureLog(v1::ERROR, 20);
    for (milliseconds* sweep : {&server_options_.sweep, &options_.sweep}) *sweep = milliseconds(10);
    server_options_.per_source = 5000;
    server_options_.requests_of_source = {.per_second = 1e6, .burst = 1e6};
  }
  ~WebSocketTest() override {
    dialler_.reset();
    server_.reset();
    here_->Forget();
    there_->Forget();
  }

  void Start() {
    accept_ = [this](const WebPeer&) { return there_->NewStream(there_); };
    StartWith();
  }
  void StartWith() {
    auto server = WebServer::Open({"127.0.0.1", 0}, server_options_, refusals_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->Start([](const WebRequest&) { return WebAnswer(); }, accept_);
    auto dialler = WebDialler::Open(options_, refusals_);
    ASSERT_TRUE(dialler.ok()) << dialler.status();
    dialler_ = *std::move(dialler);
  }
  std::string Url(const std::string& path = "/peer", const std::string& scheme = "ws://127.0.0.1:") const {
    return scheme + std::to_string(server_->port()) + path;
  }
  std::shared_ptr<PeerStream> Dial(const std::string& url) {
    auto stream = here_->NewStream(here_);
    dialler_->Dial(url, stream);
    return stream;
  }
  // The status that a dial ends with.
  absl::Status DialFails(const std::string& url) {
    const std::size_t before = here_->ends().size();
    Dial(url);
    EXPECT_TRUE(Soon([&] { return here_->ends().size() > before; }));
    return here_->ends().back();
  }
  RawWeb RawPeer() {
    const std::size_t before = there_->streams().size();
    RawWeb peer(server_->port());
    EXPECT_TRUE(peer.Upgrade());
    EXPECT_TRUE(Soon([&] { return there_->streams().size() > before; }));
    return peer;
  }
  std::uint64_t Refused(ConnectionRefusal refusal) const { return refusals_->Of(refusal); }
  // Heap of both ends of a WebSocket and their streams; 0: a process may not have so many files here.
  std::size_t BytesOfAnIdleSocket(std::size_t count, const std::string& url) {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 8192);
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < 2 * count + 100) return 0;
    Dial(url);
    EXPECT_TRUE(Soon([&] { return server_->open().web_sockets == 1 && server_->open().connections == 1; }));
    const std::size_t before = mallinfo2().uordblks;
    for (std::size_t n = 1; n < count; ++n) Dial(url);
    EXPECT_TRUE(Soon([&] { return there_->streams().size() == count && server_->open().web_sockets == count; }));
    EXPECT_TRUE(here_->ends().empty());
    const std::size_t both = (mallinfo2().uordblks - before) / (count - 1);
    std::printf("%zu idle WebSockets, both ends and their streams: %zu bytes of heap each\n", count, both);
    RecordProperty("bytes_both_ends", static_cast<int>(both));
    return both;
  }

  const std::shared_ptr<ConnectionRefusals> refusals_ = std::make_shared<ConnectionRefusals>();
  const std::shared_ptr<Recorder> here_ = std::make_shared<Recorder>();
  const std::shared_ptr<Recorder> there_ = std::make_shared<Recorder>();
  WebServer::Accept accept_;
  WebServerOptions server_options_;
  WebDiallerOptions options_;
  std::unique_ptr<WebServer> server_;
  std::unique_ptr<WebDialler> dialler_;
};

TEST_F(WebSocketTest, MessagesGoBothWaysAndTheEndIsToldWithItsReason) {
  Start();
  const auto stream = Dial(Url());
  for (std::uint64_t n = 1; n <= 50; ++n) {
    stream->Say(Ping(n));
    EXPECT_TRUE(Soon([&] { return there_->taken().size() == n; }));
    there_->streams()[0]->Say(Ping(1000 + n));
    EXPECT_TRUE(Soon([&] { return here_->taken().size() == n; }));
  }
  EXPECT_EQ(there_->taken().back().ping().sent_us(), 50u);
  EXPECT_EQ(here_->taken().back().ping().sent_us(), 1050u);
  there_->streams()[0]->Close(absl::UnavailableError("the node is draining"));
  EXPECT_TRUE(Soon([&] { return here_->ends().size() == 1 && there_->ends().size() == 1; }));
  EXPECT_EQ(here_->ends()[0], absl::UnavailableError("the node is draining"));
  EXPECT_EQ(there_->ends()[0], absl::UnavailableError("the node is draining"));
  EXPECT_TRUE(Soon([&] { return dialler_->open() == 0 && server_->open().connections == 0; }));
}

TEST_F(WebSocketTest, WhoDialledEndsItToo) {
  Start();
  const auto stream = Dial(Url());
  stream->Say(Ping(1));
  EXPECT_TRUE(Soon([&] { return there_->taken().size() == 1; }));
  stream->Close(absl::FailedPreconditionError("another protocol"));
  stream->Close(absl::InternalError("a second reason"));
  EXPECT_TRUE(Soon([&] { return here_->ends().size() == 1 && there_->ends().size() == 1; }));
  EXPECT_EQ(there_->ends()[0], absl::FailedPreconditionError("another protocol"));
  EXPECT_EQ(here_->ends()[0], absl::FailedPreconditionError("another protocol"));
}

TEST_F(WebSocketTest, AWholeConversationOfTwoNodes) {
  std::atomic<int> delivered{0};
  const auto node = [&](std::uint64_t session) {
    PeeringOptions options;
    static_cast<NodeTerms&>(options) = TestTerms(session);
    options.links = 4;
    options.refusals = refusals_;
    auto peering = std::make_shared<Peering>(options);
    peering->Start(
        "", [&](std::uint32_t, const Peering::FramePtr&) { ++delivered; }, [](std::uint32_t, bool) {}, SteadySeconds());
    peering->Tick(kCycle, SteadySeconds());
    return peering;
  };
  const auto hub = node(1);
  const auto tab = node(2);
  accept_ = [&](const WebPeer&) { return hub->Accept(SteadySeconds()); };
  StartWith();
  dialler_->Dial(Url(), tab->Dialled("127.0.0.1:" + std::to_string(server_->port()), SteadySeconds()));
  EXPECT_TRUE(Soon([&] { return hub->connected() == 1 && tab->connected() == 1; }));
  auto frame = std::make_shared<shard::Frame>();
  frame->shard = 2;
  frame->cycle = kCycle;
  frame->value_slots = TestTerms(1).shape.value_slots;
  frame->beacon.replicas = 1;
  frame->sender = TestTerms(2).session;
  tab->outlets()[0]->Offer(frame);
  tab->outlets()[0]->Flush();
  EXPECT_TRUE(Soon([&] { return delivered == 1; })) << hub->Traffic().ShortDebugString();
  tab->Drain("the tab is closed");
  EXPECT_TRUE(Soon([&] {
    hub->Tick(kCycle + 1, SteadySeconds());
    return hub->connected() == 0 || hub->StandingAt(SteadySeconds()).staying == 0;
  }));
  tab->Stop();
  hub->Stop();
  dialler_->Stop(milliseconds(2000));
  server_->Stop(milliseconds(2000));
  EXPECT_EQ(hub->stream_count(), 0u);
  EXPECT_EQ(tab->stream_count(), 0u);
}

TEST_F(WebSocketTest, ADialThatFailsSaysWhatToDo) {
  server_options_.refusing = 0;
  Start();
  EXPECT_EQ(DialFails("http://127.0.0.1/").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DialFails(Url("/elsewhere")).code(), absl::StatusCode::kUnavailable) << "an answer of 200";
  EXPECT_THAT(DialFails("ws://127.0.0.1:1/peer").message(), HasSubstr("nobody can be reached at 127.0.0.1:1"));
  EXPECT_EQ(DialFails(Url("/peer", "wss://127.0.0.1:")).code(), absl::StatusCode::kUnauthenticated);
  options_.patience = milliseconds(200);
  Start();
  const TcpListener mute;  // accepts, and says nothing
  EXPECT_EQ(DialFails("ws://127.0.0.1:" + std::to_string(mute.port()) + "/peer").code(),
            absl::StatusCode::kDeadlineExceeded);
  const auto given_up = Dial("ws://127.0.0.1:" + std::to_string(mute.port()) + "/peer");
  given_up->Close(absl::AbortedError("no longer wanted"));
  EXPECT_TRUE(Soon([&] { return here_->ends().back() == absl::AbortedError("no longer wanted"); }));
  EXPECT_TRUE(Soon([&] { return dialler_->open() == 0; }));
}

TEST_F(WebSocketTest, ARefusalIsTheStatusOfTheDial) {
  server_options_.web_sockets = 1;
  options_.origin = "https://page.example";
  Start();
  EXPECT_EQ(DialFails(Url()).code(), absl::StatusCode::kPermissionDenied) << "by a close frame";
  server_options_.refusing = 0;
  Start();
  EXPECT_THAT(DialFails(Url()).message(), HasSubstr("add it to the node's web origins")) << "by an HTTP status";
  server_options_.origins = {"*"};
  Start();
  Dial(Url());
  EXPECT_TRUE(Soon([&] { return server_->open().web_sockets == 1; }));
  EXPECT_THAT(DialFails(Url()).message(), HasSubstr("is full; try another node"));
}

TEST_F(WebSocketTest, TextLongMessagesAndNonsenseAreRefused) {
  server_options_.socket.close = milliseconds(100);
  Start();
  RawWeb text = RawPeer();
  text.Send(WebFrame(WebOpcode::kText, "{}"));
  EXPECT_EQ(text.CloseCode(), 1003);
  EXPECT_THAT(text.close_words, HasSubstr("binary"));
  RawWeb longest = RawPeer();
  v1::PeerMessage large;
  large.mutable_goodbye()->set_reason(std::string(kMessageBytesMax - 8, 'x'));
  ASSERT_EQ(large.SerializeAsString().size(), static_cast<std::size_t>(kMessageBytesMax));
  longest.Send(WebFrame(WebOpcode::kBinary, large.SerializeAsString()));
  EXPECT_TRUE(Soon([&] { return there_->taken().size() == 1; }));
  EXPECT_EQ(there_->taken()[0].goodbye().reason().size(), kMessageBytesMax - 8u);
  longest.Send(WebFrame(WebOpcode::kBinary, large.SerializeAsString() + "x"));
  EXPECT_EQ(longest.CloseCode(), 1009);
  RawWeb pieces = RawPeer();
  const std::string piece(100'000, 'x');
  pieces.Send(WebFrame(WebOpcode::kBinary, piece, false) + WebFrame(WebOpcode::kContinuation, piece, false) +
              WebFrame(WebOpcode::kContinuation, piece, false));
  EXPECT_EQ(pieces.CloseCode(), 1009);
  RawWeb nonsense = RawPeer();
  nonsense.Send(WebFrame(WebOpcode::kBinary, "\xff\xff\xff"));
  EXPECT_EQ(nonsense.CloseCode(), 4003);
  RawWeb unmasked = RawPeer();
  unmasked.Send("\x82\x01x");
  EXPECT_EQ(unmasked.CloseCode(), 1002);
  RawWeb rude = RawPeer();
  { const RawWeb gone = std::move(rude); }
  EXPECT_TRUE(Soon([&] { return there_->unreadable() == 5; }));
  text.Send(WebFrame(WebOpcode::kClose, "\x03\xeb"));
  nonsense.Send(WebFrame(WebOpcode::kClose, "\x0f\xa3"));
  for (RawWeb* peer : {&text, &longest, &pieces, &nonsense, &unmasked}) EXPECT_TRUE(peer->Ends());
  EXPECT_TRUE(Soon([&] { return server_->open().connections == 0; }));
  EXPECT_THAT(there_->ends(), SizeIs(6));
}

TEST_F(WebSocketTest, FloodsThatCarryNoMessageEnd) {
  server_options_.socket.controls = {.per_second = 1, .burst = 10};
  server_options_.socket.bytes_beside = {.per_second = 1, .burst = 20'000};
  Start();
  RawWeb pinger = RawPeer();
  for (int n = 0; n < 20; ++n) pinger.Send(WebFrame(WebOpcode::kPing, "p"));
  EXPECT_EQ(pinger.CloseCode(), 4008);
  EXPECT_EQ(Refused(ConnectionRefusal::kPingsTooFast), 1u);
  RawWeb fragments = RawPeer();
  std::string flood = WebFrame(WebOpcode::kBinary, "", false);
  for (int n = 0; n < 4000; ++n) flood += WebFrame(WebOpcode::kContinuation, "", false);
  fragments.Send(flood);
  EXPECT_EQ(fragments.CloseCode(), 4008);
  EXPECT_EQ(Refused(ConnectionRefusal::kBytesWithoutMessages), 1u);
}

TEST_F(WebSocketTest, MessagesThatNeverEndAreBoundedInTimeAndTogether) {
  server_options_.socket.message = milliseconds(100);
  Start();
  RawWeb slow = RawPeer();
  slow.Send(WebFrame(WebOpcode::kBinary, "abc", false));
  EXPECT_EQ(slow.CloseCode(), 4004);
  EXPECT_EQ(Refused(ConnectionRefusal::kMessageLate), 1u);
  server_options_.socket.message = milliseconds(30'000);
  server_options_.socket.partial_bytes = 500'000;
  Start();
  std::vector<RawWeb> many;
  for (int n = 0; n < 8; ++n) many.push_back(RawPeer());
  for (const RawWeb& peer : many) peer.SendSome(WebFrame(WebOpcode::kBinary, std::string(100'000, 'x'), false));
  EXPECT_TRUE(Soon([&] { return Refused(ConnectionRefusal::kMessagesPartial) > 0; }));
}

TEST_F(WebSocketTest, AnIdleLinkLivesAndADeadOneIsNoticed) {
  server_options_.socket.silence = milliseconds(300);
  server_options_.socket.close = milliseconds(20);
  Start();
  Dial(Url());
  EXPECT_TRUE(Soon([&] { return there_->streams().size() == 1; }));
  RawWeb dead = RawPeer();
  EXPECT_TRUE(dead.Next(WebOpcode::kPing).has_value()) << "it is asked first";
  EXPECT_EQ(dead.CloseCode(), 4004);
  EXPECT_TRUE(dead.Ends());
  EXPECT_EQ(Refused(ConnectionRefusal::kSilent), 1u);
  EXPECT_TRUE(Soon([&] { return there_->ends().size() == 1; }));
  RawWeb later = RawPeer();
  EXPECT_EQ(later.CloseCode(), 4004);
  EXPECT_TRUE(here_->ends().empty()) << "the link of a dialler that only answers pings is as good as new";
}

TEST_F(WebSocketTest, APausedStreamIsNotTakenForASilentOne) {
  server_options_.socket.silence = milliseconds(400);
  Start();
  RawWeb peer = RawPeer();
  there_->streams()[0]->Pause();
  peer.Send(WebFrame(WebOpcode::kBinary, Ping(1).SerializeAsString()));  // the read that was outstanding
  EXPECT_TRUE(Soon([&] { return there_->taken().size() == 1; }));
  peer.Send(WebFrame(WebOpcode::kBinary, Ping(2).SerializeAsString()));
  RawWeb dead = RawPeer();
  EXPECT_EQ(dead.CloseCode(), 4004) << "so the time has passed";
  EXPECT_THAT(there_->taken(), SizeIs(1)) << "nothing is read while the stream is paused";
  there_->streams()[0]->Resume();
  EXPECT_TRUE(Soon([&] { return there_->taken().size() == 2; }));
}

TEST_F(WebSocketTest, APeerThatDoesNotReadEnds) {
  server_options_.socket.write = milliseconds(100);
  server_options_.socket.close = milliseconds(50);
  Start();
  RawWeb deaf = RawPeer();
  v1::PeerMessage large;
  large.mutable_goodbye()->set_reason(std::string(200'000, 'x'));
  EXPECT_TRUE(Soon([&] {
    there_->streams()[0]->Say(large);
    return Refused(ConnectionRefusal::kUnread) == 1;
  }));
  EXPECT_TRUE(Soon([&] { return there_->ends().size() == 1; }));
  EXPECT_EQ(there_->ends()[0].code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(WebSocketTest, AbortEndsAtOnceWhateverIsOutstanding) {
  Start();
  RawWeb first = RawPeer();
  RawWeb second = RawPeer();
  there_->streams()[0]->Abort();
  there_->streams()[1]->Close(absl::UnavailableError("bye"));
  EXPECT_EQ(second.CloseCode(), 4014) << "and the close is never answered";
  there_->streams()[1]->Abort();
  EXPECT_TRUE(Soon([&] { return there_->ends().size() == 2; }));
  EXPECT_TRUE(first.Ends());
  there_->streams()[0]->Abort();  // after the end: nothing
}

// The number of bytes is printed; the bound is a safe one.
TEST_F(WebSocketTest, AThousandIdleSocketsCostLittle) {
  Start();
  const std::size_t both = BytesOfAnIdleSocket(1000, Url());
  EXPECT_LT(both, 32u << 10);
}

class WebTlsTest : public WebSocketTest {
 protected:
  void SetUp() override {
    if (std::system("openssl version >/dev/null 2>&1") != 0) GTEST_SKIP() << "there is no openssl command here";
    std::string name = (fs::temp_directory_path() / "lvs-web-XXXXXX").string();
    dir_ = mkdtemp(name.data());
    Make("one");
    Make("two");
    Use("one");
    server_options_.certificate_file = (dir_ / "used.pem").string();
    server_options_.key_file = (dir_ / "used.key").string();
    server_options_.certificate_refresh = milliseconds(20);
    options_.ca_file = (dir_ / "one.pem").string();
  }
  ~WebTlsTest() override {
    dialler_.reset();
    server_.reset();
    if (!dir_.empty()) fs::remove_all(dir_);
  }
  void Make(const std::string& name) const {
    const std::string command = "cd " + dir_.string() +
                                " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
                                "-nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout " +
                                name + ".key -out " + name + ".pem >>log 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  void Use(const std::string& name) const {
    for (const char* kind : {".pem", ".key"}) {
      fs::copy_file(dir_ / (name + kind), dir_ / (std::string("used") + kind), fs::copy_options::overwrite_existing);
    }
  }

  fs::path dir_;
};

TEST_F(WebTlsTest, AWebSocketOverTlsAndWhoIsRefused) {
  Start();
  const auto stream = Dial(Url("/peer", "wss://localhost:"));
  stream->Say(Ping(1));
  EXPECT_TRUE(Soon([&] { return there_->taken().size() == 1; }));
  there_->streams()[0]->Say(Ping(2));
  EXPECT_TRUE(Soon([&] { return here_->taken().size() == 1; }));
  EXPECT_EQ(DialFails(Url("/peer", "wss://127.0.0.1:")).code(), absl::StatusCode::kUnauthenticated) << "another name";
  EXPECT_EQ(DialFails(Url()).code(), absl::StatusCode::kUnavailable) << "without TLS";
  EXPECT_TRUE(Soon([&] { return Refused(ConnectionRefusal::kTlsFailed) == 2; }));
  stream->Close(absl::UnavailableError("bye"));
  EXPECT_TRUE(Soon([&] { return there_->ends().size() == 1; }));
  EXPECT_EQ(there_->ends()[0], absl::UnavailableError("bye"));
}

TEST_F(WebTlsTest, AnIdleSocketCostsMore) {
  Start();
  EXPECT_LT(BytesOfAnIdleSocket(100, Url("/peer", "wss://localhost:")), 512u << 10);
}

TEST_F(WebTlsTest, ARenewalIsTakenAndABadOneIsNot) {
  Start();
  fs::copy_file(dir_ / "two.pem", dir_ / "used.pem", fs::copy_options::overwrite_existing);  // half a renewal
  std::this_thread::sleep_for(milliseconds(60));
  Dial(Url("/peer", "wss://localhost:"));
  EXPECT_TRUE(Soon([&] { return there_->streams().size() == 1; })) << "the former pair goes on";
  Use("two");
  const auto refused = [&] {
    Dial(Url("/peer", "wss://localhost:"));
    return !here_->ends().empty();
  };
  EXPECT_TRUE(PollUntil(refused, milliseconds(10'000), milliseconds(20)));
  EXPECT_EQ(here_->ends()[0].code(), absl::StatusCode::kUnauthenticated) << "the new one is not trusted";
}

}  // namespace
}  // namespace lvs::services
