// A hostile peer against honest server nodes, over real connections (TEST-7, SPEC-10). After each attack the nodes
// serve and are healthy, have not lost one another, and hold exactly what honest clients were acknowledged plus what
// the contribution policy let the forgers claim.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "grpcpp/impl/codegen/proto_utils.h"
#include "lvs/v1/messages.pb.h"
#include "lvs/v1/peer.grpc.pb.h"
#include "services/base/cycle_clock.h"
#include "services/base/log.h"
#include "services/client/contribution.h"
#include "services/net/transport_layer.h"
#include "services/node/node.h"
#include "services/node/node_config.h"
#include "shard/value_engine.h"
#include "vaultguard/limits.h"

namespace lvs::services {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Steady = std::chrono::steady_clock;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
constexpr int kPatience = kSanitized ? 10 : 1;

constexpr std::int64_t kPeriodUs = 50'000;
constexpr std::uint32_t kShards = 4;
constexpr int kSlots = 2;
constexpr int kDimensions = 4;
constexpr std::uint64_t kVu = 1'000'000;

std::uint64_t Now() { return CycleNow(kPeriodUs); }

bool Within(std::chrono::milliseconds time, const std::function<bool()>& done) {
  const auto deadline = Steady::now() + time * kPatience;
  while (!done()) {
    if (Steady::now() >= deadline) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

std::uint64_t Refused(const Node& node, const std::string& reason) {
  const v1::NodeStatus status = node.Status();
  const auto at = status.refused().find(reason);
  return at == status.refused().end() ? 0 : at->second;
}

// ---- Honest nodes and their clients ----

v1::NodeConfig Config(const std::vector<std::string>& boot) {
  v1::NodeConfig config;
  config.set_region("test");
  config.set_listen("127.0.0.1:0");
  config.set_control_listen("127.0.0.1:0");
  config.set_health_listen("127.0.0.1:0");
  for (const std::string& address : boot) config.add_boot(address);
  config.mutable_state()->set_shards(kShards);
  config.mutable_population()->set_micro_nodes(100);
  config.set_period_us(kPeriodUs);
  FillNodeDefaults(&config);
  return config;
}

using Totals = std::array<std::uint64_t, kSlots>;

class HonestNetwork {
 public:
  explicit HonestNetwork(int nodes = 2) {
    ConfigureLog(v1::ERROR, 20);
    while (static_cast<int>(nodes_.size()) < nodes) Add();
    EXPECT_TRUE(Within(8s, [&] { return AllServe() && AllLinked(); })) << "the honest network did not start";
    linked_since_ = Steady::now();  // and all of them stay linked from here on
    resident_bytes_ = node().Status().resident_bytes();
    clients_ = std::thread([this] { Contribute(); });
  }
  ~HonestNetwork() { EndClients(); }

  Node& node(std::size_t n = 0) { return *nodes_[n]; }
  std::string address(std::size_t n = 0) const { return nodes_[n]->address(); }

  void Add() {
    std::vector<std::string> boot;
    if (!nodes_.empty()) boot.push_back(address());
    absl::StatusOr<std::unique_ptr<Node>> node = Node::Start(Config(boot));
    ASSERT_TRUE(node.ok()) << node.status();
    nodes_.push_back(*std::move(node));
    if (!clients_.joinable()) return;
    EXPECT_TRUE(Within(5s, [&] { return AllLinked(); }));
    linked_since_ = Steady::now();
  }

  bool AllServe() const {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& n) { return n->Status().state() == v1::SERVING; });
  }
  bool AllLinked() const {
    return std::all_of(nodes_.begin(), nodes_.end(),
                       [&](const auto& n) { return LinksTo(*n) + 1 == static_cast<int>(nodes_.size()); });
  }
  // Bytes that this process, with the attacker in it, has grown by.
  std::uint64_t Grown() {
    const std::uint64_t now = node().Status().resident_bytes();
    return now > resident_bytes_ ? now - resident_bytes_ : 0;
  }

  // What must hold after every attack. `forged` is what forgers have claimed within the policy, a slot.
  void ExpectUnharmed(const Totals& forged = {}, std::uint64_t grown_max_mb = 96) {
    EndClients();
    Totals expected = forged;
    {
      const std::lock_guard lock(mu_);
      EXPECT_GT(acknowledged_.size(), 0u) << "no honest client was served";
      for (const auto& [key, amount] : acknowledged_) expected[key.second % kSlots] += amount;
    }
    const auto equal = [&] {
      return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& n) {
        const v1::LedgerStatus ledger = n->Status().ledger();
        return ledger.total_uvu(0) == expected[0] && ledger.total_uvu(1) == expected[1] &&
               ledger.digest() == node().Status().ledger().digest();
      });
    };
    EXPECT_TRUE(Within(5s, equal)) << "expected " << expected[0] << " and " << expected[1] << " uVU";
    for (const auto& n : nodes_) {
      const v1::NodeStatus status = n->Status();
      SCOPED_TRACE(status.ShortDebugString());
      EXPECT_EQ(status.state(), v1::SERVING);
      // How busy the machine is that runs this test is no attack.
      for (const std::string& problem : status.problems()) EXPECT_THAT(problem, HasSubstr("of its cycles"));
    }
    EXPECT_TRUE(AllLinked());
    const double since_s = std::chrono::duration<double>(Steady::now() - linked_since_).count();
    for (const auto& n : nodes_) {
      const v1::PeerList peers = n->Peers();
      for (const v1::Peer& peer : peers.peers()) {
        if (!IsHonest(peer)) continue;
        EXPECT_GE(peer.connected_s(), since_s) << "honest nodes lost one another";
      }
    }
    if (!kSanitized) {
      EXPECT_LT(Grown(), grown_max_mb << 20);
    }
  }

  // Milliseconds until a contribution of 1 uVU of a new session is acknowledged by two nodes; counted as acknowledged.
  int RoundTripMs(std::uint32_t shard) {
    const auto began = Steady::now();
    const SessionId session = RandomSession();
    std::atomic<int> code{-1};
    v1::ContributeRequest request = Request(session, shard, 0, 1);
    request.set_durability(v1::NODES);
    request.set_nodes(2);
    node().Contribute(request, "probe", Steady::now() + 10s, [&](const v1::ContributeReply& reply) {
      const std::lock_guard lock(mu_);
      if (reply.held()) acknowledged_[{session, 0}] = 1;
      code = reply.code();
    });
    EXPECT_TRUE(Within(11s, [&] { return code >= 0; }));
    EXPECT_EQ(code, 0);
    return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - began).count());
  }

 private:
  static v1::ContributeRequest Request(const SessionId& session, std::uint32_t shard, std::uint32_t slot,
                                       std::uint64_t amount) {
    v1::ContributeRequest request;
    request.set_session_high(session.high);
    request.set_session_low(session.low);
    request.set_shard(shard);
    request.set_slot(slot);
    request.set_amount_uvu(amount);
    return request;
  }

  bool IsHonest(const v1::Peer& peer) const {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& n) {
      const v1::NodeStatus status = n->Status();
      return status.session_high() == peer.session_high() && status.session_low() == peer.session_low() &&
             status.address() == peer.address();
    });
  }
  int LinksTo(const Node& node) const {
    const v1::PeerList peers = node.Peers();
    return static_cast<int>(std::count_if(peers.peers().begin(), peers.peers().end(),
                                          [&](const v1::Peer& peer) { return IsHonest(peer); }));
  }

  // Eight sessions, each with one more mVU every 80 ms, at nodes in turn.
  void Contribute() {
    std::array<SessionId, 8> sessions;
    for (SessionId& session : sessions) session = RandomSession();
    std::array<std::uint64_t, 8> amount{};
    for (std::size_t n = 0; !end_; ++n, std::this_thread::sleep_for(10ms)) {
      const std::size_t s = n % sessions.size();
      amount[s] += 1000;
      ++waiting_;
      nodes_[n / sessions.size() % nodes_.size()]->Contribute(
          Request(sessions[s], static_cast<std::uint32_t>(s % kShards), s / kShards % kSlots, amount[s]), "client",
          Steady::now() + 2s, [this, key = std::pair(sessions[s], s / kShards), said = amount[s]](const auto& reply) {
            const std::lock_guard lock(mu_);
            if (reply.held()) acknowledged_[key] = std::max(acknowledged_[key], said);
            --waiting_;
          });
    }
  }
  void EndClients() {
    end_ = true;
    if (clients_.joinable()) clients_.join();
    EXPECT_TRUE(Within(3s, [&] { return waiting_ == 0; })) << "contributions are left without an answer";
  }

  std::vector<std::unique_ptr<Node>> nodes_;
  Steady::time_point linked_since_;
  std::uint64_t resident_bytes_ = 0;
  std::atomic<bool> end_{false};
  std::atomic<int> waiting_{0};
  std::mutex mu_;
  std::map<std::pair<SessionId, std::size_t>, std::uint64_t> acknowledged_;  // session and slot
  std::thread clients_;
};

// ---- The attacker ----

// Speaks the protocol over one connection of its own; what it says is up to it.
class Attacker {
 public:
  struct Options {
    bool reads = true;
    std::chrono::milliseconds pause = 0ms;  // after each message that was read
    bool compresses = false;
  };
  explicit Attacker(const std::string& address) : Attacker(address, Options{}) {}
  Attacker(const std::string& address, Options options) : session_(RandomSession()) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(-1);
    if (!options.reads || options.pause > 0ms) {  // nothing is read ahead
      arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1);
      arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    }
    channel_ = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    if (options.compresses) context_.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    stream_.reset(grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, v1::PeerMessage>::Create(
        channel_.get(), grpc::internal::RpcMethod("/lvs.v1.Peering/Connect", grpc::internal::RpcMethod::BIDI_STREAMING),
        &context_));
    if (options.reads) reader_ = std::thread([this, options] { Read(options.pause); });
  }
  ~Attacker() {
    context_.TryCancel();
    if (reader_.joinable()) {
      reader_.join();
    } else {
      stream_->Finish();
    }
  }

  v1::PeerMessage GoodHello() const {
    v1::PeerMessage message;
    v1::Hello* hello = message.mutable_hello();
    hello->set_protocol_min(1);
    hello->set_protocol_max(2);
    hello->set_build("attacker");
    hello->set_session_high(session_.high);
    hello->set_session_low(session_.low);
    hello->set_region("test");
    hello->set_shards(kShards);
    hello->set_value_slots(kSlots);
    hello->set_free_coordinates(kDimensions - kSlots);
    hello->set_period_us(kPeriodUs);
    hello->set_halo_rows(32);
    return message;
  }

  // A frame that a node would take: nothing new in it.
  v1::Frame GoodFrame(std::uint32_t shard, std::uint64_t cycle = Now()) const {
    v1::Frame frame;
    frame.set_shard_id(shard);
    frame.set_cycle_id(cycle);
    frame.set_session_high(session_.high);
    frame.set_session_low(session_.low);
    for (int s = 0; s < kSlots; ++s) frame.add_total_uvu(0);
    frame.mutable_beacon()->set_replicas(1);
    return frame;
  }
  static void AddRow(v1::Frame* frame, std::uint32_t row, float diff = 0.5f) {
    frame->add_halo_row(row);
    frame->add_published_cycle(static_cast<std::uint32_t>(frame->cycle_id()));
    frame->mutable_drift_weight()->push_back('\xff');
    for (int d = 0; d < kDimensions; ++d) frame->add_diff(diff);
    frame->add_entropy(0x01020304u + row);
  }
  static void AddEntry(v1::Frame* frame, const SessionId& session, std::uint64_t opened_cycle, std::uint64_t amount_0,
                       std::uint64_t amount_1 = 0) {
    v1::LedgerEntry* entry = frame->add_entries();
    entry->set_session_high(session.high);
    entry->set_session_low(session.low);
    entry->set_opened_cycle(opened_cycle);
    entry->add_amount_uvu(amount_0);
    entry->add_amount_uvu(amount_1);
  }

  bool SayBytes(const std::string& bytes) {
    const grpc::Slice slice(bytes);
    return stream_->Write(grpc::ByteBuffer(&slice, 1));
  }
  bool Say(const v1::PeerMessage& message) { return SayBytes(message.SerializeAsString()); }
  bool Say(const v1::Frame& frame) {
    v1::PeerMessage message;
    message.mutable_frames()->add_frames(frame.SerializeAsString());
    return Say(message);
  }

  // Says a good hello and waits until it is welcomed.
  bool Join() { return Join(GoodHello()); }
  bool Join(const v1::PeerMessage& hello) {
    Say(hello);
    return Within(2s, [&] { return welcomed() || ended_; }) && welcomed();
  }

  bool welcomed() const {
    const std::lock_guard lock(mu_);
    return hello_.protocol_max() != 0;
  }
  v1::Hello hello() const {  // of the node
    const std::lock_guard lock(mu_);
    return hello_;
  }
  bool ended() const { return ended_; }
  // The status that the node ended the stream with; OK while it has not.
  grpc::Status Ended(std::chrono::milliseconds patience = 2s) {
    if (!Within(patience, [&] { return ended_.load(); })) return grpc::Status::OK;
    const std::lock_guard lock(mu_);
    return status_;
  }
  // Takes what was read since the last call.
  std::vector<v1::PeerMessage> Heard() {
    const std::lock_guard lock(mu_);
    return std::exchange(heard_, {});
  }
  const SessionId& session() const { return session_; }
  void TakeSession(const SessionId& session) { session_ = session; }
  void SetPause(std::chrono::milliseconds pause) { pause_ms_ = pause.count(); }

 private:
  void Read(std::chrono::milliseconds pause) {
    pause_ms_ = pause.count();
    v1::PeerMessage message;
    while (stream_->Read(&message)) {
      {
        const std::lock_guard lock(mu_);
        if (message.has_hello()) hello_ = message.hello();
        heard_.push_back(std::move(message));
      }
      message.Clear();
      for (std::int64_t waited = 0; waited < pause_ms_ && !ended_; waited += 5) std::this_thread::sleep_for(5ms);
    }
    const grpc::Status status = stream_->Finish();
    const std::lock_guard lock(mu_);
    status_ = status;
    ended_ = true;
  }

  SessionId session_;
  grpc::ClientContext context_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, v1::PeerMessage>> stream_;
  mutable std::mutex mu_;
  v1::Hello hello_;
  std::vector<v1::PeerMessage> heard_;
  grpc::Status status_;
  std::atomic<bool> ended_{false};
  std::atomic<std::int64_t> pause_ms_{0};
  std::thread reader_;
};

// The node's end of that attacker's link.
v1::Peer LinkOf(const Attacker& attacker, const Node& node) {
  const v1::PeerList peers = node.Peers();
  for (const v1::Peer& peer : peers.peers()) {
    if (peer.session_high() == attacker.session().high && peer.session_low() == attacker.session().low) return peer;
  }
  return {};
}

// A TCP connection without gRPC on top.
class RawConnection {
 public:
  explicit RawConnection(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  ~RawConnection() { close(fd_); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;
  bool connected() const { return connected_; }
  void Say(std::string_view bytes) { (void)!send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  // True once the other side has closed.
  bool Closed() {
    char buffer[4096];
    ssize_t n = 0;
    while ((n = recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT)) > 0) {
    }
    return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  }

 private:
  int fd_ = -1;
  bool connected_ = false;
};

std::string Noise(std::size_t bytes, std::uint64_t seed) {
  std::string noise;
  while (noise.size() < bytes) noise.push_back(static_cast<char>(shard::Mix(seed + noise.size())));
  return noise;
}

// ---- Not the protocol at all ----

TEST(Test7, NoiseOnThePortIsHungUpOn) {
  HonestNetwork network;
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  std::vector<std::unique_ptr<RawConnection>> connections;
  for (std::uint64_t n = 0; n < 30; ++n) {
    connections.push_back(std::make_unique<RawConnection>(network.address()));
    ASSERT_TRUE(connections.back()->connected());
    connections.back()->Say((n % 3 == 0   ? preface
                             : n % 3 == 1 ? "GET / HTTP/1.1\r\n\r\n"
                                          : "\x16\x03\x01\x02") +
                            Noise(20'000, n));
  }
  for (const auto& connection : connections) EXPECT_TRUE(Within(2s, [&] { return connection->Closed(); }));
  network.ExpectUnharmed();
}

TEST(Test7, BytesThatAreNoMessageEndTheStream) {
  HonestNetwork network;
  for (const bool joined : {false, true}) {
    Attacker attacker(network.address());
    EXPECT_TRUE(!joined || attacker.Join());
    attacker.SayBytes("\xff\xff\xff\xff\xff this is no message");
    EXPECT_EQ(attacker.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "unreadable") == 2; }));
  network.ExpectUnharmed();
}

TEST(Test7, MessageOfNoKindIsRefused) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  attacker.SayBytes("\xf8\x07\x01");  // field 127
  EXPECT_EQ(attacker.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Refused(network.node(), "bad_entry"), 1u);
  network.ExpectUnharmed();
}

TEST(Test7, FirstMessageMustBeTheHelloAndTheOnlyOne) {
  HonestNetwork network;
  Attacker frames_first(network.address());
  frames_first.Say(frames_first.GoodFrame(0));
  EXPECT_EQ(frames_first.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  Attacker ping_first(network.address());
  v1::PeerMessage ping;
  ping.mutable_ping()->set_sent_us(1);
  ping_first.Say(ping);
  EXPECT_EQ(ping_first.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  Attacker twice(network.address());
  ASSERT_TRUE(twice.Join());
  twice.Say(twice.GoodHello());
  EXPECT_EQ(twice.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Refused(network.node(), "replayed"), 3u);
  network.ExpectUnharmed();
}

TEST(Spec13, HelloThatDoesNotFitIsRefusedWithTheReason) {
  HonestNetwork network;
  const auto refusal = [&](const std::function<void(v1::Hello*)>& lie) {
    Attacker attacker(network.address());
    v1::PeerMessage message = attacker.GoodHello();
    lie(message.mutable_hello());
    EXPECT_FALSE(attacker.Join(message));
    return attacker.Ended();
  };
  constexpr auto kAbsurd = std::numeric_limits<std::uint32_t>::max();
  const std::vector<std::pair<std::string, std::function<void(v1::Hello*)>>> lies = {
      {"protocol versions", [](v1::Hello* hello) { hello->set_protocol_min(3), hello->set_protocol_max(2); }},
      {"protocol versions", [](v1::Hello* hello) { hello->set_protocol_min(3), hello->set_protocol_max(kAbsurd); }},
      {"protocol versions", [](v1::Hello* hello) { hello->set_protocol_min(0), hello->set_protocol_max(0); }},
      {"protocol versions", [](v1::Hello* hello) { hello->set_protocol_min(kAbsurd); }},
      {"the state there", [](v1::Hello* hello) { hello->set_shards(kAbsurd); }},
      {"the state there", [](v1::Hello* hello) { hello->set_value_slots(0); }},
      {"the state there", [](v1::Hello* hello) { hello->set_free_coordinates(kAbsurd); }},
      {"cycle period", [](v1::Hello* hello) { hello->set_period_us(0); }},
      {"cycle period", [](v1::Hello* hello) { hello->set_period_us(~0ull); }},
      {"no session", [](v1::Hello* hello) { hello->set_session_high(0), hello->set_session_low(0); }},
      {"more than 256", [](v1::Hello* hello) { hello->set_region(std::string(100'000, 'x')); }},
      {"more than 256", [](v1::Hello* hello) { hello->set_advertise(std::string(100'000, '1')); }},
  };
  for (const auto& [why, lie] : lies) EXPECT_THAT(refusal(lie).error_message(), HasSubstr(why));
  EXPECT_EQ(Refused(network.node(), "hello_misfit"), 9u);
  EXPECT_EQ(Refused(network.node(), "hello_invalid"), 3u);
  // From the oldest to one that is not invented yet: the newest that both know is spoken.
  Attacker from_the_future(network.address());
  v1::PeerMessage hello = from_the_future.GoodHello();
  hello.mutable_hello()->set_protocol_min(0);
  hello.mutable_hello()->set_protocol_max(kAbsurd);
  EXPECT_TRUE(from_the_future.Join(hello));
  network.ExpectUnharmed();
}

// ---- Size ----

TEST(Test7, MessageOverTheLimitEndsTheStream) {
  HonestNetwork network;
  for (const bool joined : {false, true}) {
    Attacker attacker(network.address());
    EXPECT_TRUE(!joined || attacker.Join());
    v1::PeerMessage message;
    message.mutable_goodbye()->set_reason(std::string(32 << 20, 'x'));
    attacker.Say(message);
    attacker.Ended();
    EXPECT_TRUE(attacker.ended());
  }
  network.ExpectUnharmed({}, 160);  // the attacker's own copies are in it
}

// Compressed, a message within the limit is any number of megabytes once it is unpacked.
TEST(Test7, CompressedMessageIsNotUnpacked) {
  HonestNetwork network;
  Attacker attacker(network.address(), {.compresses = true});
  v1::PeerMessage message;
  message.mutable_goodbye()->set_reason(std::string(48 << 20, 'x'));
  attacker.Say(message);
  attacker.Ended(3s);
  EXPECT_TRUE(attacker.ended());
  network.ExpectUnharmed({}, 160);  // the attacker's own copies are in it
  Attacker small(network.address(), {.compresses = true});
  EXPECT_FALSE(small.Join());
  EXPECT_EQ(small.Ended().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

// A megabyte that is many once it is unpacked: two bytes make a frame, or an entry.
TEST(Test7, MessageThatGrowsWhenItIsReadIsNotKept) {
  HonestNetwork network;
  std::string frames;
  while (frames.size() < kMessageBytesMax - 64) frames += std::string("\x0a\x00", 2);
  std::string entries;
  while (entries.size() < kMessageBytesMax - 64) entries += std::string("\x5a\x00", 2);
  const auto delimited = [](char tag, const std::string& inside) {
    std::string out(1, tag);
    for (std::size_t n = inside.size(); true; n >>= 7) {
      out.push_back(static_cast<char>(n >= 0x80 ? (n & 0x7f) | 0x80 : n));
      if (n < 0x80) break;
    }
    return out + inside;
  };
  std::vector<std::unique_ptr<Attacker>> attackers;
  for (int n = 0; n < 6; ++n) {
    attackers.push_back(std::make_unique<Attacker>(network.address()));
    ASSERT_TRUE(attackers.back()->Join());
    const std::uint64_t before = Refused(network.node(), "too_large") + Refused(network.node(), "wrong_dimension");
    attackers.back()->SayBytes(delimited('\x12', n % 2 == 0 ? frames : delimited('\x0a', entries)));
    EXPECT_TRUE(Within(2s, [&] {
      return Refused(network.node(), "too_large") + Refused(network.node(), "wrong_dimension") > before;
    }));
  }
  network.ExpectUnharmed({}, 200);
}

// ---- Frames that lie ----

TEST(Test7, EachFalseFrameIsRefusedAndCountedByReason) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  const auto row = [](v1::Frame frame, float diff) {
    Attacker::AddRow(&frame, 0, diff);
    return frame;
  };
  const auto with = [&](const std::function<void(v1::Frame*)>& lie) {
    v1::Frame frame = row(attacker.GoodFrame(0), 0.5f);
    lie(&frame);
    return frame;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinite = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<std::string, v1::Frame>> lies = {
      {"not_finite", row(attacker.GoodFrame(0), nan)},
      {"not_finite", row(attacker.GoodFrame(0), infinite)},
      {"not_finite", row(attacker.GoodFrame(0), -infinite)},
      {"not_finite", row(attacker.GoodFrame(0), 1e30f)},
      {"column_lengths", with([](v1::Frame* f) { f->clear_drift_weight(); })},
      {"column_lengths", with([](v1::Frame* f) { f->clear_entropy(); })},
      {"column_lengths", with([](v1::Frame* f) { f->add_published_cycle(1); })},
      {"column_lengths", with([](v1::Frame* f) { f->add_bucket_digest(1); })},
      {"wrong_dimension", with([](v1::Frame* f) { f->add_diff(0); })},
      {"wrong_dimension", with([](v1::Frame* f) { f->add_total_uvu(0); })},
      {"wrong_dimension", with([](v1::Frame* f) { f->clear_total_uvu(); })},
      {"wrong_dimension", with([](v1::Frame* f) { f->add_entries(); })},
      {"unknown_shard", with([](v1::Frame* f) { f->set_shard_id(kShards); })},
      {"unknown_shard", with([](v1::Frame* f) { f->set_shard_id(0xffffffff); })},
      {"unknown_halo_row", with([](v1::Frame* f) { f->set_halo_row(0, 32); })},
      {"unknown_halo_row", with([](v1::Frame* f) { f->set_halo_row(0, 0xffffffff); })},
      {"future_cycle", with([](v1::Frame* f) { f->set_cycle_id(Now() + 1'000'000); })},
      {"future_cycle", with([](v1::Frame* f) { f->set_cycle_id(~0ull); })},
      {"future_cycle", with([](v1::Frame* f) { f->set_published_cycle(0, 0xffffffff); })},
      {"bad_entry", with([](v1::Frame* f) { f->set_news_from(7); })},
      {"too_large", with([](v1::Frame* f) {
         for (std::size_t n = 0; n < vaultguard::kMaxFrameRows; ++n) Attacker::AddRow(f, 0);
       })},
      {"too_large", with([](v1::Frame* f) {
         for (std::uint64_t n = 0; n <= vaultguard::kMaxFrameEntries; ++n) Attacker::AddEntry(f, {n, 1}, Now(), 1);
       })},
      {"stale", with([](v1::Frame* f) { f->set_published_cycle(0, 1); })},
  };
  std::map<std::string, std::uint64_t> expected;
  for (const auto& [reason, frame] : lies) {
    ASSERT_TRUE(attacker.Say(frame));
    const std::uint64_t said = ++expected[reason];
    EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), reason) >= said; })) << reason;
  }
  for (const auto& [reason, said] : expected) EXPECT_EQ(Refused(network.node(), reason), said) << reason;
  network.ExpectUnharmed();
}

TEST(Spec6_2, FrameThatWasSaidBeforeIsRefused) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  const v1::Frame frame = attacker.GoodFrame(1);
  for (int n = 0; n < 20; ++n) attacker.Say(frame);
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "replayed") == 19; }));
  // An earlier life of the same sender.
  v1::Frame earlier = attacker.GoodFrame(1, Now() - 10);
  earlier.set_session_low(earlier.session_low() + 1);
  attacker.Say(earlier);
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "replayed") == 20; }));
  network.ExpectUnharmed();
}

// One peer must not be able to make a healthy node look sick.
TEST(Arch6_5, PeerWithAWrongClockIsNotTheNodesProblem) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  for (int n = 0; n < 150; ++n) attacker.Say(attacker.GoodFrame(0, Now() + 100'000));
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "future_cycle") == 150; }));
  network.ExpectUnharmed();
}

TEST(Test7, PeerThatSaysNothingButNonsenseIsDropped) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  v1::PeerMessage message;
  for (int n = 0; n < 100; ++n)
    message.mutable_frames()->add_frames(attacker.GoodFrame(kShards + 1).SerializeAsString());
  for (int n = 0; n < 40 && !attacker.ended(); ++n) attacker.Say(message);
  EXPECT_EQ(attacker.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  network.ExpectUnharmed();
}

// A frame may speak of any number of replicas; the nodes go on listening to themselves.
TEST(Spec10, CrowdThatIsClaimedMovesNoValue) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  for (int n = 0; n < 20; ++n) {
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      v1::Frame frame = attacker.GoodFrame(shard);
      for (std::uint32_t row = 0; row < 32; ++row) Attacker::AddRow(&frame, row, -1e11f);
      frame.mutable_beacon()->set_replicas(0xffffffff);
      frame.mutable_beacon()->set_load(std::numeric_limits<float>::quiet_NaN());
      attacker.Say(frame);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(kPeriodUs));
  }
  const v1::DriftStatus drift = network.node().Status().drift();
  EXPECT_LT(drift.worst_value_vu(), 1);
  for (const double mean : drift.mean()) EXPECT_LT(std::abs(mean), 1e6);
  network.ExpectUnharmed();
}

// ---- Forged ledger entries ----

TEST(Spec5_1, ForgedEntriesAreBoundByWhatASessionMayEarn) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  const shard::ContributionPolicy policy;
  // The most that a session may claim: as if it had lived for the longest time that one may.
  const auto most = static_cast<std::uint64_t>(policy.Allowed(vaultguard::kMaxSessionCycles));
  const auto burst = static_cast<std::uint64_t>(policy.Allowed(0));
  v1::Frame frame = attacker.GoodFrame(2);
  Attacker::AddEntry(&frame, {1, 1}, 0, most, most);  // what the policy lets forgers claim
  Attacker::AddEntry(&frame, {1, 2}, 0, most + 1);    // from here on, each is refused whole
  Attacker::AddEntry(&frame, {1, 3}, 0, 5, most + 1);
  Attacker::AddEntry(&frame, {1, 4}, Now(), burst + 1000 * kVu);
  attacker.Say(frame);
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "rate_exceeded") == 3; }));
  frame = attacker.GoodFrame(2);
  Attacker::AddEntry(&frame, {2, 1}, 0, ~0ull);  // -1
  Attacker::AddEntry(&frame, {2, 2}, 0, 1ull << 63);
  Attacker::AddEntry(&frame, {2, 3}, 0, (1ull << 56) + 1);
  Attacker::AddEntry(&frame, {2, 4}, ~0ull, 1);
  Attacker::AddEntry(&frame, {2, 5}, Now() + 100'000, 1);
  attacker.Say(frame);
  EXPECT_TRUE(Within(2s, [&] { return Refused(network.node(), "bad_entry") == 5; }));
  network.ExpectUnharmed({most, most});
}

// As many new sessions as fast as they can be told. What gets in is bounded; whoever is honest gets through meanwhile.
TEST(Test7, FloodOfSessionsIsHeldBack) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  const std::uint64_t began = Now();
  std::uint64_t told = 0;
  const auto until = Steady::now() + 1500ms;
  while (Steady::now() < until && told < (1u << 20)) {
    v1::Frame frame = attacker.GoodFrame(3);
    for (std::size_t n = 0; n < vaultguard::kMaxFrameEntries; ++n) Attacker::AddEntry(&frame, {3, ++told}, began, 1);
    if (!attacker.Say(frame)) break;
  }
  EXPECT_GT(told, 100'000u);
  const auto taken = [&](std::size_t n) { return network.node(n).Shards().shards(3).sessions(); };
  ASSERT_TRUE(Within(3s, [&] { return taken(0) > 1000; }));
  EXPECT_LT(network.RoundTripMs(0), 2000 * kPatience);
  // Both allowances of each cycle since, and what the link had saved up.
  const std::uint64_t cycles = Now() - began + 12;
  EXPECT_LE(taken(0), vaultguard::kNewSessionsAtOnce + cycles * 2 * vaultguard::kNewSessionsPerCycle + 64);
  EXPECT_GT(Refused(network.node(), "sessions_too_fast"), 0u);
}

// Ten peers fill a shard's table of sessions, and then there are no more of theirs: clients still open new ones here,
// and sessions that are there go on.
TEST(Spec8_3Full, TenHostilePeersLeaveRoomForTheClientsOfTheNode) {
  HonestNetwork network(1);
  std::vector<std::unique_ptr<Attacker>> attackers;
  while (attackers.size() < 10) {
    attackers.push_back(std::make_unique<Attacker>(network.address()));
    ASSERT_TRUE(attackers.back()->Join());
  }
  // "held", or why not.
  const auto contribute = [&](const SessionId& session, std::uint64_t amount) {
    v1::ContributeRequest request;
    request.set_session_high(session.high);
    request.set_session_low(session.low);
    request.set_shard(3);
    request.set_amount_uvu(amount);
    std::string said = "no answer";
    std::atomic<bool> answered{false};
    network.node().Contribute(request, "late client", Steady::now() + 10s, [&](const v1::ContributeReply& reply) {
      said = reply.held() ? "held" : reply.message();
      answered = true;
    });
    EXPECT_TRUE(Within(11s, [&] { return answered.load(); }));
    return said;
  };
  const SessionId early = RandomSession();
  EXPECT_EQ(contribute(early, 1), "held");
  std::uint64_t told = 0;
  const auto attack = [&] {
    const std::uint64_t cycle = Now();
    for (const auto& attacker : attackers) {
      v1::Frame frame = attacker->GoodFrame(3, cycle);
      for (int n = 0; n < 250; ++n) Attacker::AddEntry(&frame, {3, ++told}, cycle, 1);
      attacker->Say(frame);
      attacker->Heard();
    }
    while (Now() == cycle) std::this_thread::sleep_for(1ms);
  };
  const auto until = Steady::now() + 240s * kPatience;
  while (Refused(network.node(), "sessions_reserved") == 0 && Steady::now() < until) attack();
  const auto sessions = [&] { return network.node().Shards().shards(3).sessions(); };
  ASSERT_GT(Refused(network.node(), "sessions_reserved"), 0u) << sessions() << " sessions";
  for (std::uint64_t n = 2; n < 100; ++n) {
    attack();
    EXPECT_EQ(contribute(RandomSession(), 1), "held");
    EXPECT_EQ(contribute(early, n), "held");
  }
  EXPECT_EQ(Refused(network.node(), "sessions_full"), 0u);
  EXPECT_LT(sessions(), vaultguard::kMaxSessionsPerShard);
  const v1::NodeStatus status = network.node().Status();
  EXPECT_EQ(status.state(), v1::SERVING);
  EXPECT_THAT(status.problems(), testing::Contains(HasSubstr("shard 3 has ")));
  EXPECT_LT(network.Grown(), std::uint64_t{512} << 20);
}

// ---- Floods and silence ----

TEST(Test7, StreamThatNeverReadsKeepsABoundedOutbox) {
  HonestNetwork network;
  Attacker attacker(network.address(), {.reads = false});
  attacker.Say(attacker.GoodHello());
  const auto link = [&] { return LinkOf(attacker, network.node()); };
  ASSERT_TRUE(Within(2s, [&] { return link().session_low() != 0; }));
  v1::PeerMessage ping;
  for (int n = 0; n < 1000; ++n) {  // it is not silent, and each ping wants an answer
    ping.mutable_ping()->set_sent_us(static_cast<std::uint64_t>(n));
    if (n % 100 == 0) attacker.Say(attacker.GoodFrame(0));
    attacker.Say(ping);
    if (n % 4 == 0) std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(Within(3s, [&] { return link().frames_coalesced() > 0; }));
  EXPECT_LT(network.node().Status().traffic().outbox_bytes_max(), kShards * 200'000u);
  network.ExpectUnharmed();
}

// It cannot be told that it is dropped, as it does not read; its place is free all the same.
TEST(Test7, StreamThatNeverReadsLosesItsPlaceOnceItIsDropped) {
  HonestNetwork network;
  Attacker attacker(network.address(), {.reads = false});
  attacker.Say(attacker.GoodHello());
  ASSERT_TRUE(Within(2s, [&] { return LinkOf(attacker, network.node()).session_low() != 0; }));
  v1::PeerMessage ping;  // answers fill its window
  for (int n = 0; n < 300; ++n) {
    ping.mutable_ping()->set_sent_us(static_cast<std::uint64_t>(n) + 1);
    attacker.Say(ping);
  }
  attacker.Say(attacker.GoodHello());  // a second one: it is dropped
  EXPECT_TRUE(Within(6s, [&] { return LinkOf(attacker, network.node()).session_low() == 0; }));
  EXPECT_EQ(network.node().Status().peers_connected(), 1u);
  network.ExpectUnharmed();
}

TEST(Test7, PingFloodSlowsOnlyWhoFloods) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  v1::PeerMessage ping;
  ping.mutable_ping()->set_sent_us(1);
  std::atomic<bool> end{false};
  std::atomic<std::uint64_t> said{0};
  std::thread flood([&] {
    while (!end && attacker.Say(ping)) ++said;
  });
  std::this_thread::sleep_for(1s);
  const auto received = [&] { return LinkOf(attacker, network.node()).bytes_received(); };
  EXPECT_LT(network.RoundTripMs(0), 1000 * kPatience);
  // A dozen bytes a ping: no more than a few thousand are read a second.
  EXPECT_LT(received() / ping.ByteSizeLong(), 4000u * kPatience);
  EXPECT_GT(received(), 0u);
  end = true;
  network.ExpectUnharmed();
  flood.join();
}

// Of many pings in one message the last one counts; all of them were sent and read.
TEST(Test7, WhatIsWrittenOddlyCountsAsLongAsItIs) {
  HonestNetwork network;
  Attacker attacker(network.address());
  ASSERT_TRUE(attacker.Join());
  v1::PeerMessage ping;
  ping.mutable_ping()->set_sent_us(1);
  std::string bytes;
  for (int n = 0; n < 5000; ++n) bytes += ping.SerializeAsString();
  const std::uint64_t before = LinkOf(attacker, network.node()).bytes_received();
  ASSERT_TRUE(attacker.SayBytes(bytes));
  EXPECT_TRUE(Within(2s, [&] { return LinkOf(attacker, network.node()).bytes_received() >= before + bytes.size(); }));
  network.ExpectUnharmed();
}

// The limit on open files is no limit on who is heard: a listener that ran into it would be deaf from then on.
TEST(Test7, ConnectionsBeyondTheSoftLimitOfFilesDeafenNobody) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max < 2048) GTEST_SKIP() << "the hard limit of open files is too low here";
  limit.rlim_cur = 256;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  HonestNetwork network;
  std::vector<std::unique_ptr<RawConnection>> mute;
  for (int n = 0; n < 400; ++n) mute.push_back(std::make_unique<RawConnection>(network.address()));
  EXPECT_TRUE(mute.back()->connected());
  mute.clear();
  Attacker newcomer(network.address());
  EXPECT_TRUE(newcomer.Join());
  network.ExpectUnharmed();
}

// A newcomer is welcomed although strangers that say nothing hold every place that strangers have.
TEST(Test7, StreamsWithoutAHelloKeepNobodyOut) {
  HonestNetwork network;
  std::vector<std::unique_ptr<Attacker>> silent;
  for (int n = 0; n < 200; ++n) silent.push_back(std::make_unique<Attacker>(network.address()));
  std::vector<std::unique_ptr<RawConnection>> mute;
  for (int n = 0; n < 200; ++n) mute.push_back(std::make_unique<RawConnection>(network.address()));
  Within(500ms,
         [&] { return std::count_if(silent.begin(), silent.end(), [](const auto& s) { return s->ended(); }) >= 152; });
  Attacker newcomer(network.address());
  EXPECT_TRUE(newcomer.Join());
  EXPECT_GE(std::count_if(silent.begin(), silent.end(), [](const auto& s) { return s->ended(); }), 100);
  EXPECT_GE(Refused(network.node(), "hello_missing"), 100u);
  network.ExpectUnharmed();
}

TEST(Test7Full, ConnectionsThatSayNothingAreClosed) {
  HonestNetwork network;
  std::vector<std::unique_ptr<RawConnection>> mute;
  for (int n = 0; n < 200; ++n) mute.push_back(std::make_unique<RawConnection>(network.address()));
  std::vector<std::unique_ptr<Attacker>> silent;
  for (int n = 0; n < 40; ++n) silent.push_back(std::make_unique<Attacker>(network.address()));
  EXPECT_TRUE(Within(15s, [&] {
    return std::all_of(mute.begin(), mute.end(), [](const auto& m) { return m->Closed(); }) &&
           std::all_of(silent.begin(), silent.end(), [](const auto& s) { return s->ended(); });
  }));
  network.ExpectUnharmed();
}

TEST(Spec9_4, GoodbyeAndBackInALoop) {
  HonestNetwork network;
  for (int n = 0; n < 60; ++n) {
    Attacker attacker(network.address());
    ASSERT_TRUE(attacker.Join()) << n;
    for (std::uint32_t shard = 0; shard < kShards; ++shard) attacker.Say(attacker.GoodFrame(shard));
    v1::PeerMessage goodbye;
    goodbye.mutable_goodbye()->set_reason(std::string(100'000, 'x'));
    attacker.Say(goodbye);
    const grpc::Status status = attacker.Ended();
    ASSERT_TRUE(attacker.ended());
    EXPECT_LT(status.error_message().size(), 1000u);
  }
  EXPECT_TRUE(Within(2s, [&] { return network.node().Status().peers_connected() == 1; }));
  const v1::PeerList peers = network.node().Peers();
  for (const v1::KnownAddress& known : peers.known()) EXPECT_LT(known.last_error().size(), 1000u);
  network.ExpectUnharmed();
}

// ---- Lies about who it is ----

TEST(Spec4, SessionOfAnotherPeerTakesNobodysPlace) {
  HonestNetwork network;
  // Links of two that dialled one another at once may still cross.
  ASSERT_TRUE(Within(3s, [&] { return network.node().Peers().peers(0).connected_s() > 1.2; }));
  for (const std::size_t victim : {0u, 1u}) {
    const v1::NodeStatus other = network.node(1 - victim).Status();
    Attacker attacker(network.address(victim));
    v1::PeerMessage hello = attacker.GoodHello();
    hello.mutable_hello()->set_session_high(other.session_high());
    hello.mutable_hello()->set_session_low(other.session_low());
    hello.mutable_hello()->set_advertise(other.address());
    EXPECT_FALSE(attacker.Join(hello)) << "node " << victim << " took the attacker for node " << 1 - victim;
    EXPECT_EQ(attacker.Ended().error_code(), grpc::StatusCode::ALREADY_EXISTS);
  }
  network.ExpectUnharmed();
}

TEST(Spec4, SessionOfTheNodeItselfIsRefused) {
  HonestNetwork network;
  const v1::NodeStatus status = network.node().Status();
  Attacker attacker(network.address());
  v1::PeerMessage hello = attacker.GoodHello();
  hello.mutable_hello()->set_session_high(status.session_high());
  hello.mutable_hello()->set_session_low(status.session_low());
  EXPECT_FALSE(attacker.Join(hello));
  EXPECT_FALSE(attacker.Ended().ok());
  network.ExpectUnharmed();
}

TEST(Arch2_2, AddressesThatAreMadeUpFillNothing) {
  HonestNetwork network;
  Attacker attacker(network.address());
  v1::PeerMessage hello = attacker.GoodHello();
  hello.mutable_hello()->set_advertise(network.address());  // the node's own
  ASSERT_TRUE(attacker.Join(hello));
  for (int n = 0; n < 20; ++n) {
    v1::PeerMessage exchange;
    for (int a = 0; a < 5'000; ++a) {
      exchange.mutable_peers()->add_peers()->set_address("127.1." + std::to_string(a / 250) + "." +
                                                         std::to_string(1 + a % 250) + ":" + std::to_string(1 + n));
    }
    exchange.mutable_peers()->add_peers()->set_address(network.address());
    attacker.Say(exchange);
  }
  EXPECT_TRUE(Within(2s, [&] { return network.node().Peers().known_size() > 2; })) << "nothing of it was read";
  const v1::PeerList peers = network.node().Peers();
  EXPECT_LE(peers.known_size(), 130);
  for (const v1::KnownAddress& known : peers.known()) EXPECT_NE(known.address(), network.address());
  network.ExpectUnharmed();
}

// ---- What the allowances must not keep out ----

// New sessions of peers are held back; a ledger that is larger than what is taken at once comes all the same.
TEST(Spec9_1Full, NewcomerFetchesALedgerOfAHundredThousandSessions) {
  HonestNetwork network(1);
  constexpr std::uint64_t kSessions = 100'000;
  std::atomic<std::uint64_t> held{0};
  std::atomic<std::uint64_t> answered{0};
  std::uint64_t asked = 0;
  const auto until = Steady::now() + 30s * kPatience;
  while (held < kSessions && Steady::now() < until) {
    for (int n = 0; n < 3000; ++n) {
      v1::ContributeRequest request;
      request.set_session_high(7);
      request.set_session_low(++asked);
      request.set_shard(1);
      request.set_amount_uvu(1);
      network.node().Contribute(request, std::to_string(asked % 64), Steady::now() + 5s, [&](const auto& reply) {
        held += reply.held() ? 1 : 0;
        ++answered;
      });
    }
    ASSERT_TRUE(Within(5s, [&] { return answered == asked; }));
  }
  ASSERT_GE(held, kSessions);
  network.Add();
  EXPECT_TRUE(Within(10s, [&] { return network.AllServe(); })) << "it serves before it has all of it";
  const auto sessions = [&](std::size_t n) { return network.node(n).Shards().shards(1).sessions(); };
  EXPECT_TRUE(Within(40s, [&] { return sessions(1) == sessions(0); })) << sessions(1) << " of " << sessions(0);
  EXPECT_GT(Refused(network.node(1), "sessions_too_fast"), 0u) << "more than what is taken at once";
  network.ExpectUnharmed({held, 0}, 256);
}

// ---- A peer that is only slow ----

// Reads a message in so many milliseconds; hears everything all the same, in order, only later.
void SlowPeerHearsEverything(std::chrono::milliseconds pause, std::chrono::milliseconds time) {
  HonestNetwork network;
  Attacker slow(network.address(), {.pause = pause});
  v1::PeerMessage hello = slow.GoodHello();
  ASSERT_TRUE(slow.Join(hello));
  std::map<SessionId, Totals> ledger;
  std::array<std::uint64_t, kShards> reached{};
  std::array<std::uint64_t, kShards> session{};
  Totals heard{};
  const auto listen = [&] {
    for (const v1::PeerMessage& message : slow.Heard()) {
      for (const std::string& bytes : message.frames().frames()) {
        v1::Frame frame;
        ASSERT_TRUE(frame.ParseFromString(bytes));
        const std::uint32_t s = frame.shard_id();
        session[s] = frame.session_low();
        EXPECT_LE(frame.news_from(), reached[s]) << "news was left out";
        reached[s] = std::max(reached[s], frame.news_to());
        for (const v1::LedgerEntry& entry : frame.entries()) {
          Totals& mine = ledger[{entry.session_high(), entry.session_low()}];
          for (int slot = 0; slot < kSlots; ++slot) {
            const std::uint64_t grown = std::max(mine[slot], entry.amount_uvu(slot));
            heard[slot] += grown - mine[slot];
            mine[slot] = grown;
          }
        }
      }
    }
  };
  const auto speak = [&] {  // acknowledges what it has merged
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      v1::Frame frame = slow.GoodFrame(shard);
      frame.set_acknowledged(reached[shard]);
      frame.set_acknowledged_session_low(session[shard]);
      slow.Say(frame);
    }
  };
  const auto link = [&] { return LinkOf(slow, network.node()); };
  for (const auto until = Steady::now() + time; Steady::now() < until; std::this_thread::sleep_for(50ms)) {
    listen();
    speak();
  }
  EXPECT_GT(link().frames_coalesced(), 10u);
  EXPECT_LT(link().outbox_bytes(), kShards * 200'000u);
  slow.SetPause(0ms);
  network.ExpectUnharmed();
  const v1::LedgerStatus status = network.node().Status().ledger();
  EXPECT_TRUE(Within(5s,
                     [&] {
                       listen();
                       speak();
                       return heard[0] == status.total_uvu(0) && heard[1] == status.total_uvu(1);
                     }))
      << heard[0] << " of " << status.total_uvu(0);
}

TEST(Spec10, SlowPeerHearsEverythingLater) { SlowPeerHearsEverything(300ms, 1500ms); }
TEST(Spec10Full, PeerThatReadsOneMessageASecondHearsEverythingLater) { SlowPeerHearsEverything(1s, 10s); }

}  // namespace
}  // namespace lvs::services
