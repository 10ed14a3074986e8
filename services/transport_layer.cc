#include "services/transport_layer.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"
#include "services/grpc_status.h"
#include "services/log.h"
#include "services/membership.h"
#include "shard/random.h"

namespace lvs::services {

namespace {

using actors::FrameSink;
using actors::Payload;
using shard::Frame;
using vaultguard::Refusal;
using vaultguard::RefusalCounts;

// A batch of frames ends when it has reached this size; a message is at most one frame longer.
constexpr std::size_t kBatchBytes = 64 * 1024;
// Messages of other kinds that wait on one stream; a peer that does not read gets no more.
constexpr std::size_t kMaxWaiting = 16;
// Frames a shard and cycle that a link may say, and how many cycles' worth it may save up.
constexpr double kFramesPerShardCycle = 3;
constexpr double kBurstCycles = 20;
// A message costs one, or one for each part of this size; a stream may have read what its frames need and some.
constexpr std::size_t kReadPartBytes = 64 * 1024;
constexpr double kReadsBesideFrames = 16;
// Frames in a row of cycles that have not been, after which a peer's clock is taken to differ.
constexpr std::uint32_t kAheadFrames = 100;
// Characters of what a peer says in words, in the log and in the status.
constexpr std::size_t kWordsMax = 256;
// Refusals after which a link is dropped, where they outnumber what was taken.
constexpr std::uint64_t kRefusalsMax = 1000;
// Streams that have not said hello yet, above the links.
constexpr std::size_t kMaxStrangers = 32;
constexpr double kPingSeconds = 1;
constexpr std::size_t kMaxDelayed = 65'536;

// 2026-01-01T00:00:00Z, where cycles begin.
constexpr std::chrono::system_clock::time_point kEpoch{std::chrono::seconds{1'767'225'600}};

double Seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::uint64_t Micros() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

// What a peer says is kept short.
absl::Status FromGrpc(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message().substr(0, kWordsMax)};
}

// Bytes that a frame takes while it waits: near what it will take on the wire.
std::size_t Weight(const Frame& frame) { return shard::EncodedSize(frame); }

// Without the rows that the receiver has no place for.
Frame Trimmed(const Frame& frame, std::uint32_t halo_rows) {
  Frame out = frame;
  const std::size_t dims = frame.halo_row.empty() ? 0 : frame.diff.size() / frame.halo_row.size();
  out.halo_row.clear();
  out.published_cycle.clear();
  out.drift_weight.clear();
  out.entropy.clear();
  out.diff.clear();
  for (std::size_t n = 0; n < frame.halo_row.size(); ++n) {
    if (frame.halo_row[n] >= halo_rows) continue;
    out.halo_row.push_back(frame.halo_row[n]);
    out.published_cycle.push_back(frame.published_cycle[n]);
    out.drift_weight.push_back(frame.drift_weight[n]);
    out.entropy.push_back(frame.entropy[n]);
    out.diff.insert(out.diff.end(), frame.diff.begin() + static_cast<std::ptrdiff_t>(n * dims),
                    frame.diff.begin() + static_cast<std::ptrdiff_t>((n + 1) * dims));
  }
  return out;
}

struct LinkCounters {
  std::uint64_t frames_sent = 0;
  std::uint64_t frames_received = 0;
  std::uint64_t frames_coalesced = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t refused = 0;
  LinkCounters& operator+=(const LinkCounters& other) {
    frames_sent += other.frames_sent;
    frames_received += other.frames_received;
    frames_coalesced += other.frames_coalesced;
    bytes_sent += other.bytes_sent;
    bytes_received += other.bytes_received;
    refused += other.refused;
    return *this;
  }
};

// What both ends of a stream have in common. Its lock is the innermost: nothing of the transport is called under it.
class Stream {
 public:
  explicit Stream(LinkId number) : id(number), since_s(Seconds()), heard_s(since_s) {}
  virtual ~Stream() = default;

  void Offer(const Payload<Frame>& frame) {
    const std::lock_guard lock(mu_);
    if (closed_) return;
    Payload<Frame>& waiting = outbox_[frame->shard];
    if (waiting == nullptr) {
      waiting = frame;
    } else {
      outbox_bytes_ -= Weight(*waiting);
      waiting = std::make_shared<const Frame>(shard::Coalesce(*waiting, *frame));
      ++counters_.frames_coalesced;
    }
    outbox_bytes_ += Weight(*waiting);
    outbox_bytes_max_ = std::max(outbox_bytes_max_, outbox_bytes_);
  }

  void Flush() {
    const std::lock_guard lock(mu_);
    Write();
  }

  void Say(v1::PeerMessage message) {
    const std::lock_guard lock(mu_);
    if (closed_ || waiting_.size() >= kMaxWaiting) return;
    waiting_.push_back(std::move(message));
    Write();
  }

  // After a message: reads the next one, or rests until Resume where the peer has said more than its share.
  void ReadOn(bool rest) {
    const std::lock_guard lock(mu_);
    resting_ = rest;
    if (!closed_ && !rest) StartReading();
  }
  void Resume() {
    const std::lock_guard lock(mu_);
    if (!closed_ && std::exchange(resting_, false)) StartReading();
  }

  // The first reason counts.
  void Close(const absl::Status& why) {
    const std::lock_guard lock(mu_);
    if (closed_) return;
    closed_ = true;
    why_ = why;
    outbox_.clear();
    outbox_bytes_ = 0;
    End(why);
  }

  bool closed() const {
    const std::lock_guard lock(mu_);
    return closed_;
  }
  absl::Status why() const {
    const std::lock_guard lock(mu_);
    return why_;
  }
  // What the other side said in its hello. Set once, before the stream is bound to a link.
  void Welcome(const v1::Hello& hello, std::uint32_t protocol) {
    const std::lock_guard lock(mu_);
    hello_ = hello;
    hello_.DiscardUnknownFields();  // they could be of any size
    protocol_ = protocol;
  }
  v1::Hello hello() const {
    const std::lock_guard lock(mu_);
    return hello_;
  }
  std::uint32_t protocol() const {
    const std::lock_guard lock(mu_);
    return protocol_;
  }
  LinkCounters counters() const {
    const std::lock_guard lock(mu_);
    return counters_;
  }
  std::pair<std::uint64_t, std::uint64_t> outbox_bytes() const {
    const std::lock_guard lock(mu_);
    return {outbox_bytes_, outbox_bytes_max_};
  }
  void CountRead(std::size_t bytes) {
    const std::lock_guard lock(mu_);
    counters_.bytes_received += bytes;
  }
  void CountFrame(bool taken) {
    const std::lock_guard lock(mu_);
    ++(taken ? counters_.frames_received : counters_.refused);
  }

  const LinkId id;
  const double since_s;
  // Under the transport's lock.
  double heard_s;
  double ping_s = 0;
  double rtt_ms = 0;
  double allowance = -1;  // frames that the link may still say
  double allowance_s = 0;
  double reads = 0;         // messages that may still be read; below 0 the stream rests
  std::uint32_t ahead = 0;  // frames in a row of cycles that have not been
  int slot = -1;
  bool goodbye = false;
  std::string dialled;  // the address, where this side dialled

 protected:
  virtual void StartReading() = 0;                                // under mu_
  virtual void StartWriting(const v1::PeerMessage* message) = 0;  // under mu_
  virtual void End(const absl::Status& why) = 0;                  // under mu_, once

  void Written(bool ok) {
    const std::lock_guard lock(mu_);
    writing_ = false;
    if (ok) Write();
  }

  mutable std::mutex mu_;
  bool closed_ = false;
  bool resting_ = false;
  absl::Status why_;

 private:
  void Write() {
    if (writing_ || closed_) return;
    out_.Clear();
    if (!waiting_.empty()) {
      out_ = std::move(waiting_.front());
      waiting_.pop_front();
    } else if (!outbox_.empty()) {
      Batch();
    } else {
      return;
    }
    writing_ = true;
    counters_.bytes_sent += out_.ByteSizeLong();
    StartWriting(&out_);
  }

  void Batch() {
    v1::FrameBatch* batch = out_.mutable_frames();
    std::size_t bytes = 0;
    while (!outbox_.empty() && bytes < kBatchBytes && (protocol_ >= 2 || batch->frames_size() == 0)) {
      // Round the shards: after a batch that did not take them all, the next begins behind it.
      auto next = outbox_.upper_bound(last_shard_);
      if (next == outbox_.end()) next = outbox_.begin();
      const Payload<Frame> frame = std::move(next->second);
      last_shard_ = next->first;
      outbox_.erase(next);
      const bool fits = std::all_of(frame->halo_row.begin(), frame->halo_row.end(),
                                    [this](std::uint32_t row) { return row < hello_.halo_rows(); });
      *batch->add_frames() = shard::ToProto(fits ? *frame : Trimmed(*frame, hello_.halo_rows()));
      bytes += Weight(*frame);
      outbox_bytes_ -= Weight(*frame);
      ++counters_.frames_sent;
    }
  }

  v1::Hello hello_;
  std::uint32_t protocol_ = 1;
  std::map<std::uint32_t, Payload<Frame>> outbox_;  // by shard
  std::uint32_t last_shard_ = 0;
  std::uint64_t outbox_bytes_ = 0;
  std::uint64_t outbox_bytes_max_ = 0;
  std::deque<v1::PeerMessage> waiting_;
  v1::PeerMessage out_;
  bool writing_ = false;
  LinkCounters counters_;
};

// What a stream tells the transport, on gRPC's threads.
class StreamOwner {
 public:
  virtual ~StreamOwner() = default;
  // True where the stream has said more than its share and rests.
  virtual bool Take(const std::shared_ptr<Stream>& stream, const v1::PeerMessage& message) = 0;
  virtual void Gone(const std::shared_ptr<Stream>& stream, const absl::Status& why) = 0;
};

class ServerStream final : public Stream, public grpc::ServerBidiReactor<v1::PeerMessage, v1::PeerMessage> {
 public:
  ServerStream(LinkId number, std::shared_ptr<StreamOwner> owner) : Stream(number), owner_(std::move(owner)) {}

  // Reads on, or ends at once with a refusal.
  void Begin(std::shared_ptr<ServerStream> self, const absl::Status& refuse) {
    self_ = std::move(self);
    if (!refuse.ok()) return Close(refuse);
    const std::lock_guard lock(mu_);
    StartRead(&in_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Close(absl::UnavailableError("the peer hung up"));
    const bool rest = owner_->Take(self_, in_);
    in_.Clear();  // two bytes of a message can take hundreds in memory: they are not kept until the next one
    ReadOn(rest);
  }
  void OnWriteDone(bool ok) override {
    Written(ok);
    if (!ok) Close(absl::UnavailableError("the stream broke"));
  }
  void OnCancel() override { Close(absl::UnavailableError("the stream broke")); }
  void OnDone() override {
    const std::shared_ptr<ServerStream> self = std::move(self_);
    owner_->Gone(self, why());
  }

 protected:
  void StartReading() override { StartRead(&in_); }
  void StartWriting(const v1::PeerMessage* message) override { StartWrite(message); }
  void End(const absl::Status& why) override { Finish(ToGrpc(why)); }

 private:
  std::shared_ptr<StreamOwner> owner_;
  std::shared_ptr<ServerStream> self_;
  v1::PeerMessage in_;
};

class ClientStream final : public Stream, public grpc::ClientBidiReactor<v1::PeerMessage, v1::PeerMessage> {
 public:
  ClientStream(LinkId number, std::shared_ptr<StreamOwner> owner, std::shared_ptr<grpc::Channel> channel)
      : Stream(number), owner_(std::move(owner)), stub_(v1::Peering::NewStub(std::move(channel))) {}

  void Begin(std::shared_ptr<ClientStream> self, v1::PeerMessage hello) {
    self_ = std::move(self);
    stub_->async()->Connect(&context_, this);
    AddHold();  // writes begin on the actors' threads too
    StartRead(&in_);
    Say(std::move(hello));
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Close(absl::UnavailableError("the stream broke"));
    const bool rest = owner_->Take(self_, in_);
    in_.Clear();  // two bytes of a message can take hundreds in memory: they are not kept until the next one
    ReadOn(rest);
  }
  void OnWriteDone(bool ok) override {
    Written(ok);
    if (!ok) Close(absl::UnavailableError("the stream broke"));
  }
  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<ClientStream> self = std::move(self_);
    // What the other side says is worth more than that the stream broke.
    const bool cancelled = status.error_code() == grpc::StatusCode::CANCELLED;
    owner_->Gone(self, cancelled ? why() : FromGrpc(status));
  }

 protected:
  void StartReading() override { StartRead(&in_); }
  void StartWriting(const v1::PeerMessage* message) override { StartWrite(message); }
  void End(const absl::Status& why) override {
    // A stream that the other side has ended keeps the status that it ended with.
    if (why.message() != "the stream broke") context_.TryCancel();
    RemoveHold();
  }

 private:
  std::shared_ptr<StreamOwner> owner_;
  std::unique_ptr<v1::Peering::Stub> stub_;
  grpc::ClientContext context_;
  std::shared_ptr<ClientStream> self_;
  v1::PeerMessage in_;
};

}  // namespace

class TransportLayer::Impl final : public v1::Peering::CallbackService,
                                   public StreamOwner,
                                   public std::enable_shared_from_this<TransportLayer::Impl> {
 public:
  explicit Impl(TransportOptions options) : options_(std::move(options)), slots_(options_.links) {
    for (std::uint32_t n = 0; n < options_.links; ++n) outlets_.push_back(std::make_shared<Outlet>());
  }

  // A link's place: whoever holds its lock decides who speaks there and who is heard.
  class Outlet final : public FrameSink {
   public:
    void Offer(const Payload<Frame>& frame) override {
      if (const auto bound = Bound()) bound->Offer(frame);
    }
    void Flush() override {
      if (const auto bound = Bound()) bound->Flush();
    }
    std::shared_ptr<Stream> Bound() const {
      const std::lock_guard lock(mu);
      return stream;
    }
    mutable std::mutex mu;
    std::shared_ptr<Stream> stream;
  };

  const std::vector<std::shared_ptr<Outlet>>& outlets() const { return outlets_; }

  void Start(std::string advertise, Deliver deliver, LinkChanged link_changed) {
    {
      const std::lock_guard lock(mu_);
      advertise_ = std::move(advertise);
      MembershipOptions membership;
      membership.seed = options_.seed;
      membership.session = options_.session;
      membership.self = advertise_;
      membership.links_max = options_.links;
      membership.backoff_max_s = 2;
      membership_ = std::make_unique<Membership>(membership);
      deliver_ = std::move(deliver);
      link_changed_ = std::move(link_changed);
      started_ = true;
      for (const std::string& address : options_.boot) {
        if (const absl::Status status = membership_->AddBoot(address, Seconds()); !status.ok()) {
          Log(v1::WARNING, "boot.refused", {{"address", address}, {"why", std::string(status.message())}});
        }
      }
    }
    resolver_ = std::thread([this] { Resolve(); });
  }

  void Tick(std::uint64_t cycle) {
    cycle_.store(cycle, std::memory_order_relaxed);
    const double now = Seconds();
    Release(now);
    std::vector<std::pair<std::shared_ptr<Stream>, absl::Status>> close;
    std::vector<std::pair<std::shared_ptr<Stream>, v1::PeerMessage>> say;
    std::vector<std::string> dial;
    std::vector<std::shared_ptr<Stream>> rested;
    {
      const std::lock_guard lock(mu_);
      if (!started_ || stopped_) return;
      const double reads =
          ReadsPerCycle() * std::clamp((now - ticked_s_) * 1e6 / options_.period_us, 0.0, kBurstCycles);
      ticked_s_ = now;
      for (const auto& [id, stream] : streams_) {
        const bool rests = stream->reads < 0;
        stream->reads = std::min(stream->reads + reads, kBurstCycles * ReadsPerCycle());
        if (rests && stream->reads >= 0) rested.push_back(stream);
        if (stream->slot < 0 && now - stream->since_s > options_.hello_s) {
          close.emplace_back(stream, absl::DeadlineExceededError("no hello came"));
        } else if (stream->slot >= 0 && now - stream->heard_s > options_.silence_s) {
          close.emplace_back(stream, absl::UnavailableError("nothing was heard for too long"));
        } else if (stream->slot >= 0 && now - stream->ping_s >= kPingSeconds) {
          stream->ping_s = now;
          v1::PeerMessage ping;
          ping.mutable_ping()->set_sent_us(Micros());
          say.emplace_back(stream, std::move(ping));
        }
      }
      if (!draining_) {
        Membership::Actions actions = membership_->Tick(now);
        dial = std::move(actions.dial);
        for (const LinkId id : actions.exchange_with) {
          const auto at = streams_.find(id);
          if (at == streams_.end()) continue;
          v1::PeerMessage message;
          *message.mutable_peers() = membership_->Sample(id, now);
          say.emplace_back(at->second, std::move(message));
        }
        for (const Membership::Drop& drop : actions.drop) {
          const auto at = streams_.find(drop.link);
          if (at != streams_.end()) close.emplace_back(at->second, drop.why);
        }
      }
    }
    for (const auto& stream : rested) stream->Resume();
    for (auto& [stream, message] : say) stream->Say(std::move(message));
    for (const auto& [stream, why] : close) stream->Close(why);
    for (const std::string& address : dial) Dial(address);
  }

  // Called by gRPC for a stream that a peer opens.
  grpc::ServerBidiReactor<v1::PeerMessage, v1::PeerMessage>* Connect(grpc::CallbackServerContext*) override {
    std::shared_ptr<ServerStream> stream;
    std::shared_ptr<Stream> crowded_out;
    absl::Status refuse;
    {
      const std::lock_guard lock(mu_);
      if (!started_ || draining_ || stopped_) {
        refuse = absl::UnavailableError("this node is not taking peers; try another");
      } else if (streams_.size() >= options_.links + kMaxStrangers) {
        crowded_out = OldestStranger();
      }
      stream = std::make_shared<ServerStream>(++last_id_, shared_from_this());
      stream->reads = kBurstCycles * ReadsPerCycle();
      streams_.emplace(stream->id, stream);
    }
    // Whoever means it says hello at once: the one that has been silent for longest goes.
    if (crowded_out != nullptr) crowded_out->Close(absl::ResourceExhaustedError("too many streams; try another node"));
    ServerStream* reactor = stream.get();
    stream->Begin(stream, refuse);
    return reactor;
  }

  bool Take(const std::shared_ptr<Stream>& stream, const v1::PeerMessage& message) override {
    const std::size_t bytes = message.ByteSizeLong();
    stream->CountRead(bytes);
    if (!Severed(*stream)) TakeMessage(stream, message);
    const std::lock_guard lock(mu_);
    stream->reads -= 1 + static_cast<double>(bytes / kReadPartBytes);
    return stream->reads < 0;
  }

  void TakeMessage(const std::shared_ptr<Stream>& stream, const v1::PeerMessage& message) {
    {
      const std::lock_guard lock(mu_);
      stream->heard_s = Seconds();
    }
    const bool open = Open(*stream);
    if (open == message.has_hello()) {
      Count(Refusal::kReplayed);
      return stream->Close(absl::InvalidArgumentError(open ? "a second hello" : "the first message must be a hello"));
    }
    switch (message.kind_case()) {
      case v1::PeerMessage::kHello: return Greet(stream, message.hello());
      case v1::PeerMessage::kFrames: return TakeFrames(stream, message.frames());
      case v1::PeerMessage::kPeers: {
        const std::lock_guard lock(mu_);
        membership_->Heard(stream->id, message.peers(), Seconds());
        return;
      }
      case v1::PeerMessage::kPing: {
        v1::PeerMessage pong;
        *pong.mutable_pong() = message.ping();
        return stream->Say(std::move(pong));
      }
      case v1::PeerMessage::kPong: {
        const std::lock_guard lock(mu_);
        const std::uint64_t now = Micros();
        const std::uint64_t sent = message.pong().sent_us();
        if (sent <= now && now - sent < 60'000'000) stream->rtt_ms = static_cast<double>(now - sent) / 1000;
        return;
      }
      case v1::PeerMessage::kGoodbye: {
        {
          const std::lock_guard lock(mu_);
          stream->goodbye = true;
        }
        return stream->Close(
            absl::UnavailableError(absl::StrCat("it left: ", message.goodbye().reason().substr(0, kWordsMax))));
      }
      case v1::PeerMessage::KIND_NOT_SET:
        Count(Refusal::kBadEntry);
        return stream->Close(absl::InvalidArgumentError("a message of no kind that this version knows"));
    }
  }

  void Gone(const std::shared_ptr<Stream>& stream, const absl::Status& why) override {
    Unbind(stream);
    const double now = Seconds();
    const v1::Hello hello = stream->hello();
    bool was_open = false;
    {
      const std::lock_guard lock(mu_);
      streams_.erase(stream->id);
      total_ += stream->counters();
      was_open = stream->slot >= 0;
      if (was_open) {
        const bool dropped = absl::IsResourceExhausted(why) || absl::IsAlreadyExists(why);
        const LinkEnd end = stream->goodbye ? LinkEnd::kGoodbye : dropped ? LinkEnd::kDropped : LinkEnd::kBroken;
        membership_->Disconnected(stream->id, end, std::string(why.message()), now);
      } else if (!stream->dialled.empty()) {
        if (absl::IsAborted(why)) membership_->MarkSelf(stream->dialled);
        membership_->DialFailed(stream->dialled, why, now);
      }
      idle_.notify_all();
    }
    const std::string address = hello.advertise().empty() ? stream->dialled : hello.advertise();
    // Who cannot fit must be told apart from who cannot be reached: that is tried again and again.
    const bool misfit = absl::IsFailedPrecondition(why) || absl::IsInvalidArgument(why);
    Log(was_open ? v1::INFO
        : misfit ? v1::WARNING
                 : v1::DEBUG,
        was_open ? "peer.disconnected" : "peer.refused", {{"address", address}, {"why", std::string(why.message())}});
  }

  void Drain(std::string_view reason) {
    v1::PeerMessage message;
    message.mutable_goodbye()->set_reason(std::string(reason.substr(0, 256)));
    std::vector<std::shared_ptr<Stream>> streams;
    {
      const std::lock_guard lock(mu_);
      draining_ = true;
      for (const auto& [id, stream] : streams_) streams.push_back(stream);
    }
    for (const auto& stream : streams) stream->Say(message);
  }

  void Stop() {
    std::vector<std::shared_ptr<Stream>> streams;
    {
      const std::lock_guard lock(mu_);
      if (stopped_) return;
      stopped_ = true;
      for (const auto& [id, stream] : streams_) streams.push_back(stream);
      idle_.notify_all();
    }
    for (const auto& stream : streams) stream->Close(absl::UnavailableError("the node ends"));
    streams.clear();
    if (resolver_.joinable()) resolver_.join();
    std::unique_lock lock(mu_);
    if (!idle_.wait_for(lock, std::chrono::seconds(5), [this] { return streams_.empty(); })) {
      Log(v1::WARNING, "transport.stuck", {{"streams", streams_.size()}});
    }
    lock.unlock();
    for (const auto& outlet : outlets_) {  // nothing reaches the actors any more
      const std::lock_guard inner(outlet->mu);
      outlet->stream = nullptr;
    }
  }

  absl::Status SetFaults(const v1::Faults& faults) {
    if (!options_.faults) {
      return absl::FailedPreconditionError("this node takes no faults; write `faults: true` into its configuration");
    }
    if (!(faults.loss() >= 0 && faults.loss() <= 1) || faults.delay_ms() > 60'000) {
      return absl::InvalidArgumentError("loss is a share from 0 to 1, and delay at most 60 s");
    }
    const std::lock_guard lock(mu_);
    faults_ = faults;
    return absl::OkStatus();
  }

  v1::PeerList Peers() const {
    v1::PeerList list;
    const std::lock_guard lock(mu_);
    const double now = Seconds();
    for (const auto& [id, stream] : streams_) {
      if (stream->slot < 0) continue;
      const v1::Hello hello = stream->hello();
      const LinkCounters counters = stream->counters();
      v1::Peer* peer = list.add_peers();
      peer->set_address(hello.advertise());
      peer->set_region(hello.region());
      peer->set_build(hello.build());
      peer->set_protocol(stream->protocol());
      peer->set_session_high(hello.session_high());
      peer->set_session_low(hello.session_low());
      peer->set_dialled(!stream->dialled.empty());
      peer->set_connected_s(now - stream->since_s);
      peer->set_heard_s(now - stream->heard_s);
      peer->set_rtt_ms(stream->rtt_ms);
      peer->set_frames_sent(counters.frames_sent);
      peer->set_frames_received(counters.frames_received);
      peer->set_frames_coalesced(counters.frames_coalesced);
      peer->set_bytes_sent(counters.bytes_sent);
      peer->set_bytes_received(counters.bytes_received);
      peer->set_outbox_bytes(stream->outbox_bytes().first);
      peer->set_refused(counters.refused);
    }
    if (membership_ == nullptr) return list;
    for (v1::KnownAddress& address : membership_->Known()) *list.add_known() = std::move(address);
    return list;
  }

  v1::TrafficStatus Traffic() const {
    const std::lock_guard lock(mu_);
    LinkCounters all = total_;
    v1::TrafficStatus traffic;
    std::uint64_t waiting = 0;
    std::uint64_t most = 0;
    for (const auto& [id, stream] : streams_) {
      all += stream->counters();
      const auto [bytes, bytes_max] = stream->outbox_bytes();
      waiting += bytes;
      most = std::max(most, bytes_max);
    }
    traffic.set_bytes_sent(all.bytes_sent);
    traffic.set_bytes_received(all.bytes_received);
    traffic.set_frames_sent(all.frames_sent);
    traffic.set_frames_received(all.frames_received);
    traffic.set_frames_coalesced(all.frames_coalesced);
    traffic.set_outbox_bytes(waiting);
    traffic.set_outbox_bytes_max(most);
    traffic.set_frames_lost(frames_lost_);
    return traffic;
  }

  RefusalCounts refused() const {
    const std::lock_guard lock(mu_);
    return refused_;
  }
  std::uint32_t connected() const {
    const std::lock_guard lock(mu_);
    return static_cast<std::uint32_t>(
        std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.taken; }));
  }
  std::uint32_t ahead() const {
    const std::lock_guard lock(mu_);
    return static_cast<std::uint32_t>(std::count_if(streams_.begin(), streams_.end(), [](const auto& stream) {
      return stream.second->slot >= 0 && stream.second->ahead >= kAheadFrames;
    }));
  }
  bool draining() const {
    const std::lock_guard lock(mu_);
    return draining_;
  }

 private:
  struct Slot {
    bool taken = false;
    shard::SessionId session;  // who was there last
    std::uint64_t left = 0;    // order in which they were left
  };
  struct Delayed {
    double due_s;
    std::weak_ptr<Stream> stream;
    Payload<Frame> frame;
  };

  v1::PeerMessage OwnHello() const {
    v1::PeerMessage message;
    v1::Hello* hello = message.mutable_hello();
    hello->set_protocol_min(kProtocolMin);
    hello->set_protocol_max(options_.protocol_max);
    hello->set_build(options_.build);
    hello->set_session_high(options_.session.high);
    hello->set_session_low(options_.session.low);
    hello->set_region(options_.region);
    hello->set_advertise(advertise_);
    hello->set_shards(options_.shards);
    hello->set_value_slots(static_cast<std::uint32_t>(options_.shape.value_slots));
    hello->set_free_coordinates(static_cast<std::uint32_t>(options_.shape.free_coordinates));
    hello->set_period_us(options_.period_us);
    hello->set_halo_rows(options_.halo_rows);
    return message;
  }

  void Dial(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
    // Each dial is a connection of its own: what broke is not waited for.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    if (SeveredAddress(address)) {
      const std::lock_guard lock(mu_);
      membership_->DialFailed(address, absl::UnavailableError("severed"), Seconds());
      return;
    }
    std::shared_ptr<ClientStream> stream;
    {
      const std::lock_guard lock(mu_);
      if (stopped_) return;
      stream = std::make_shared<ClientStream>(++last_id_, shared_from_this(),
                                              grpc::CreateCustomChannel(address, options_.credentials, arguments));
      stream->dialled = address;
      stream->reads = kBurstCycles * ReadsPerCycle();
      streams_.emplace(stream->id, stream);
    }
    stream->Begin(stream, OwnHello());
  }

  // Two protocol versions: the older one says each frame in a message of its own.
  double ReadsPerCycle() const { return kFramesPerShardCycle * options_.shards + kReadsBesideFrames; }

  // Of those that dialled and have said no hello; the ones that are going already do not count. Under mu_.
  std::shared_ptr<Stream> OldestStranger() const {
    for (const auto& [id, stream] : streams_) {
      if (stream->slot < 0 && stream->dialled.empty() && !stream->closed()) return stream;
    }
    return nullptr;
  }

  bool Open(const Stream& stream) const {
    const std::lock_guard lock(mu_);
    return stream.slot >= 0;
  }

  absl::Status Fitting(const v1::Hello& hello) const {
    if (hello.session_high() == options_.session.high && hello.session_low() == options_.session.low) {
      return absl::AbortedError("this node itself");
    }
    if (hello.session_high() == 0 && hello.session_low() == 0) return absl::InvalidArgumentError("no session");
    if (hello.protocol_min() > options_.protocol_max || hello.protocol_max() < kProtocolMin ||
        hello.protocol_min() > hello.protocol_max()) {
      return absl::FailedPreconditionError(
          absl::StrCat("protocol versions ", hello.protocol_min(), "..", hello.protocol_max(), " are spoken there and ",
                       kProtocolMin, "..", options_.protocol_max, " here: upgrade the older of the two nodes"));
    }
    if (hello.shards() != options_.shards ||
        hello.value_slots() != static_cast<std::uint32_t>(options_.shape.value_slots) ||
        hello.free_coordinates() != static_cast<std::uint32_t>(options_.shape.free_coordinates)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the state there has ", hello.shards(), " shards of ", hello.value_slots(), " + ", hello.free_coordinates(),
          " dimensions and here ", options_.shards, " of ", options_.shape.value_slots, " + ",
          options_.shape.free_coordinates, ": make `state` equal in both configurations"));
    }
    if (hello.period_us() != options_.period_us) {
      return absl::FailedPreconditionError(absl::StrCat("the cycle period is ", hello.period_us(), " us there and ",
                                                        options_.period_us, " us here: make `period` equal"));
    }
    if (hello.region().size() > 256 || hello.build().size() > 256 || hello.advertise().size() > 256) {
      return absl::InvalidArgumentError("a name of more than 256 characters");
    }
    return absl::OkStatus();
  }

  void Greet(const std::shared_ptr<Stream>& stream, const v1::Hello& hello) {
    absl::Status status = Fitting(hello);
    if (status.ok() && SeveredAddress(hello.advertise())) status = absl::UnavailableError("severed");
    if (!status.ok()) return stream->Close(status);
    stream->Welcome(hello, std::min(options_.protocol_max, hello.protocol_max()));
    const shard::SessionId session{hello.session_high(), hello.session_low()};
    int slot = -1;
    {
      const std::lock_guard lock(mu_);
      if (draining_ || stopped_) status = absl::UnavailableError("this node is leaving; try another");
      if (status.ok()) {
        status = membership_->Connected({stream->id, hello.advertise(), stream->dialled, hello.region(), session},
                                        Seconds());
      }
      if (status.ok()) {
        slot = FreeSlot(session);
        if (slot < 0) {
          membership_->Disconnected(stream->id, LinkEnd::kDropped, "no link is free", Seconds());
          status = absl::ResourceExhaustedError("no link is free; try another node");
        } else {
          slots_[static_cast<std::size_t>(slot)].taken = true;
          slots_[static_cast<std::size_t>(slot)].session = session;
          stream->slot = slot;
        }
      }
    }
    if (!status.ok()) return stream->Close(status);
    if (stream->dialled.empty()) stream->Say(OwnHello());
    {
      Outlet& outlet = *outlets_[static_cast<std::size_t>(slot)];
      const std::lock_guard lock(outlet.mu);
      outlet.stream = stream;
      link_changed_(static_cast<std::uint32_t>(slot), true);
    }
    Log(v1::INFO, "peer.connected",
        {{"address", hello.advertise()},
         {"region", hello.region()},
         {"build", hello.build()},
         {"protocol", static_cast<std::int64_t>(stream->protocol())},
         {"dialled", !stream->dialled.empty()}});
  }

  // The place that the session had, or else the one that has been free for longest.
  int FreeSlot(const shard::SessionId& session) const {
    int best = -1;
    for (int n = 0; n < static_cast<int>(slots_.size()); ++n) {
      const Slot& slot = slots_[static_cast<std::size_t>(n)];
      if (slot.taken) continue;
      if (slot.session == session) return n;
      if (best < 0 || slot.left < slots_[static_cast<std::size_t>(best)].left) best = n;
    }
    return best;
  }

  void Unbind(const std::shared_ptr<Stream>& stream) {
    int slot = -1;
    {
      const std::lock_guard lock(mu_);
      slot = stream->slot;
    }
    if (slot < 0) return;
    {
      Outlet& outlet = *outlets_[static_cast<std::size_t>(slot)];
      const std::lock_guard lock(outlet.mu);
      if (outlet.stream != stream) return;
      outlet.stream = nullptr;
      link_changed_(static_cast<std::uint32_t>(slot), false);
    }
    const std::lock_guard lock(mu_);
    slots_[static_cast<std::size_t>(slot)].taken = false;
    slots_[static_cast<std::size_t>(slot)].left = ++left_;
  }

  void TakeFrames(const std::shared_ptr<Stream>& stream, const v1::FrameBatch& batch) {
    for (const v1::Frame& said : batch.frames()) {
      const std::optional<Refusal> refused = TakeFrame(stream, said);
      stream->CountFrame(!refused);
      Count(stream.get(), refused);
      if (!refused) continue;
      const LinkCounters counters = stream->counters();
      if (counters.refused > kRefusalsMax && counters.refused > counters.frames_received) {
        return stream->Close(absl::InvalidArgumentError("most of what was said on this stream had to be refused"));
      }
    }
  }

  std::optional<Refusal> TakeFrame(const std::shared_ptr<Stream>& stream, const v1::Frame& said) {
    double delay_s = 0;
    {
      const std::lock_guard lock(mu_);
      const double cycles = kFramesPerShardCycle * options_.shards;
      const double burst = cycles * kBurstCycles;
      const double now = Seconds();
      const double earned = (now - stream->allowance_s) * 1e6 / static_cast<double>(options_.period_us) * cycles;
      stream->allowance = stream->allowance < 0 ? burst : std::min(burst, stream->allowance + earned);
      stream->allowance_s = now;
      if (stream->allowance < 1) return Refusal::kTooLarge;
      stream->allowance -= 1;
      if (faults_.loss() > 0 && shard::Unit(shard::Mix(options_.seed + ++fault_draws_)) < faults_.loss()) {
        ++frames_lost_;
        return std::nullopt;
      }
      delay_s = faults_.delay_ms() * 1e-3;
    }
    absl::StatusOr<Frame> frame = shard::FromProto(said);
    if (!frame.ok()) return Refusal::kWrongDimension;
    if (frame->shard >= options_.shards) return Refusal::kUnknownShard;
    const std::uint64_t cycle = cycle_.load(std::memory_order_relaxed);
    if (const auto why = shard::CheckFrame(*frame, options_.shape, frame->shard, options_.halo_rows, cycle)) return why;
    auto payload = std::make_shared<const Frame>(*std::move(frame));
    if (delay_s > 0) {
      const std::lock_guard lock(mu_);
      if (delayed_.size() >= kMaxDelayed) return Refusal::kTooLarge;
      delayed_.push_back({Seconds() + delay_s, stream, std::move(payload)});
      return std::nullopt;
    }
    Hand(stream, std::move(payload));
    return std::nullopt;
  }

  // To the actors, unless the link is somebody else's by now.
  void Hand(const std::shared_ptr<Stream>& stream, Payload<Frame> frame) {
    int slot = -1;
    {
      const std::lock_guard lock(mu_);
      slot = stream->slot;
    }
    if (slot < 0) return;
    Outlet& outlet = *outlets_[static_cast<std::size_t>(slot)];
    const std::lock_guard lock(outlet.mu);
    if (outlet.stream == stream) deliver_(static_cast<std::uint32_t>(slot), std::move(frame));
  }

  void Release(double now) {
    std::vector<Delayed> due;
    {
      const std::lock_guard lock(mu_);
      std::erase_if(delayed_, [&](Delayed& delayed) {
        if (delayed.due_s > now) return false;
        due.push_back(std::move(delayed));
        return true;
      });
    }
    for (Delayed& delayed : due) {
      if (const auto stream = delayed.stream.lock()) Hand(stream, std::move(delayed.frame));
    }
  }

  bool SeveredAddress(const std::string& address) const {
    if (address.empty()) return false;
    const std::lock_guard lock(mu_);
    return std::find(faults_.severed().begin(), faults_.severed().end(), address) != faults_.severed().end();
  }
  bool Severed(const Stream& stream) const {
    if (!options_.faults) return false;
    const v1::Hello hello = stream.hello();
    return SeveredAddress(hello.advertise()) || SeveredAddress(stream.dialled);
  }

  void Count(Refusal refusal) {
    const std::lock_guard lock(mu_);
    refused_.Add(refusal);
  }
  void Count(Stream* stream, std::optional<Refusal> refusal) {
    const std::lock_guard lock(mu_);
    if (refusal) refused_.Add(*refusal);
    stream->ahead = refusal == Refusal::kFutureCycle ? stream->ahead + 1 : 0;
  }

  // Looks up the boot addresses that are names: each may stand for many nodes.
  void Resolve() {
    std::unique_lock lock(mu_);
    while (!stopped_) {
      lock.unlock();
      v1::PeerExchange found;
      for (const std::string& address : options_.boot) ResolveOne(address, &found);
      lock.lock();
      if (stopped_) return;
      if (found.peers_size() > 0) membership_->Heard(Membership::kLocal, found, Seconds());
      idle_.wait_for(lock, std::chrono::seconds(slots_.empty() || streams_.empty() ? 2 : 30),
                     [this] { return stopped_; });
    }
  }

  static void ResolveOne(const std::string& address, v1::PeerExchange* found) {
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos || address.front() == '[') return;
    const std::string host = address.substr(0, colon);
    in_addr literal{};
    if (inet_pton(AF_INET, host.c_str(), &literal) == 1) return;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* results = nullptr;
    if (getaddrinfo(host.c_str(), nullptr, &hints, &results) != 0) return;
    for (const addrinfo* at = results; at != nullptr && found->peers_size() < 32; at = at->ai_next) {
      char text[INET6_ADDRSTRLEN] = {};
      if (at->ai_family == AF_INET) {
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(at->ai_addr)->sin_addr, text, sizeof text);
        found->add_peers()->set_address(absl::StrCat(text, address.substr(colon)));
      } else if (at->ai_family == AF_INET6) {
        inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(at->ai_addr)->sin6_addr, text, sizeof text);
        found->add_peers()->set_address(absl::StrCat("[", text, "]", address.substr(colon)));
      }
    }
    freeaddrinfo(results);
  }

  const TransportOptions options_;
  std::string advertise_;  // since Start
  std::vector<std::shared_ptr<Outlet>> outlets_;
  std::atomic<std::uint64_t> cycle_{0};
  Deliver deliver_;
  LinkChanged link_changed_;

  mutable std::mutex mu_;
  std::condition_variable idle_;
  std::unique_ptr<Membership> membership_;  // since Start
  std::map<LinkId, std::shared_ptr<Stream>> streams_;
  std::vector<Slot> slots_;
  std::uint64_t left_ = 0;
  LinkId last_id_ = 0;
  double ticked_s_ = 0;
  LinkCounters total_;  // of streams that are gone
  RefusalCounts refused_;
  v1::Faults faults_;
  std::uint64_t fault_draws_ = 0;
  std::uint64_t frames_lost_ = 0;  // by the faults
  std::vector<Delayed> delayed_;
  bool started_ = false;
  bool draining_ = false;
  bool stopped_ = false;
  std::thread resolver_;
};

TransportLayer::TransportLayer(TransportOptions options) : impl_(std::make_shared<Impl>(std::move(options))) {}
TransportLayer::~TransportLayer() { Stop(); }

std::vector<std::shared_ptr<actors::FrameSink>> TransportLayer::sinks() {
  return {impl_->outlets().begin(), impl_->outlets().end()};
}
v1::Peering::CallbackService* TransportLayer::service() { return impl_.get(); }
void TransportLayer::Start(std::string advertise, Deliver deliver, LinkChanged link_changed) {
  impl_->Start(std::move(advertise), std::move(deliver), std::move(link_changed));
}
void TransportLayer::Tick(std::uint64_t cycle) { impl_->Tick(cycle); }
void TransportLayer::Drain(std::string_view reason) { impl_->Drain(reason); }
void TransportLayer::Stop() { impl_->Stop(); }
absl::Status TransportLayer::SetFaults(const v1::Faults& faults) { return impl_->SetFaults(faults); }
v1::PeerList TransportLayer::Peers() const { return impl_->Peers(); }
v1::TrafficStatus TransportLayer::Traffic() const { return impl_->Traffic(); }
RefusalCounts TransportLayer::refused() const { return impl_->refused(); }
std::uint32_t TransportLayer::connected() const { return impl_->connected(); }
std::uint32_t TransportLayer::ahead() const { return impl_->ahead(); }
bool TransportLayer::draining() const { return impl_->draining(); }

std::uint64_t CycleNow(std::uint64_t period_us) {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now() - kEpoch);
  return since.count() <= 0 ? 0 : static_cast<std::uint64_t>(since.count()) / period_us;
}

std::chrono::system_clock::time_point CycleStart(std::uint64_t cycle, std::uint64_t period_us) {
  return kEpoch + std::chrono::duration_cast<std::chrono::system_clock::duration>(
                      std::chrono::microseconds(static_cast<std::int64_t>(cycle * period_us)));
}

}  // namespace lvs::services
