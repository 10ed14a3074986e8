// A hostile peer over real connections: speaks the protocol, or only bytes, and what it says is up to the test.
//
//   Attacker attacker(network.address());
//   ASSERT_TRUE(attacker.Join());
//   attacker.Say(attacker.GoodFrame(0));
//   EXPECT_EQ(attacker.Ended().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
#pragma once

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "grpcpp/impl/codegen/proto_utils.h"
#include "lvs/v1/messages.pb.h"
#include "lvs/v1/peer.grpc.pb.h"
#include "services/base/host_port.h"
#include "shard/random.h"
#include "tests/services/node/honest_network.h"

namespace lvs::services {

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
inline v1::Peer LinkOf(const Attacker& attacker, const Node& node) {
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
    const HostPort at = ParseHostPort(address).value();
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(at.port);
    inet_pton(AF_INET, at.host.c_str(), &to.sin_addr);
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  ~RawConnection() { close(fd_); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;
  bool connected() const { return connected_; }
  // False: the other side has ended the connection.
  bool Say(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
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

// A frame of HTTP/2.
inline std::string HttpFrame(char type, char flags, std::uint32_t stream, const std::string& payload) {
  const auto byte = [](std::size_t number, int shift) { return static_cast<char>(number >> shift & 0xff); };
  std::string bytes = {byte(payload.size(), 16), byte(payload.size(), 8), byte(payload.size(), 0), type, flags};
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(byte(stream, shift));
  return bytes + payload;
}

// Frames that open `count` streams with this path, from the stream `first` on (0 is the connection's first), and with
// `reset` reset each one at once. No message follows. All but the first take 15 bytes: they refer to its headers.
inline std::string OpenStreams(const std::string& path, std::uint32_t first, std::uint32_t count, bool reset) {
  std::string header = std::string("\x83\x86\x44") + static_cast<char>(path.size()) + path + "\x41\x01" + "a" +
                       "\x40\x02te\x08trailers" + "\x5f\x10" + "application/grpc";
  const std::string cancel("\0\0\0\x08", 4);
  std::string bytes;
  for (std::uint32_t n = first; n < first + count; ++n) {
    bytes += HttpFrame(1, 4, 2 * n + 1, header);
    if (reset) bytes += HttpFrame(3, 0, 2 * n + 1, cancel);
    header = "\x83\x86\xc1\xc0\xbf\xbe";
  }
  return bytes;
}

// HTTP/2 rapid reset (CVE-2023-44487): opens streams with this path and, with `reset`, resets each one at once. No
// settings are acknowledged. Ends early where the other side ends the connection.
inline void OpenAndReset(RawConnection* connection, const std::string& path, std::uint32_t streams, bool reset = true) {
  std::string bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HttpFrame(4, 0, 0, "");
  if (streams == 0) connection->Say(bytes);
  for (std::uint32_t n = 0; n < streams; n += 100) {
    bytes += OpenStreams(path, n, std::min<std::uint32_t>(100, streams - n), reset);
    if (!connection->Say(bytes) || connection->Closed()) return;
    bytes.clear();
  }
}

inline std::string Noise(std::size_t bytes, std::uint64_t seed) {
  std::string noise;
  while (noise.size() < bytes) noise.push_back(static_cast<char>(shard::Mix(seed + noise.size())));
  return noise;
}

}  // namespace lvs::services
