#include "services/net/transport_layer.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/recycled.h"
#include "grpcpp/grpcpp.h"
#include "lvs/v1/peer.grpc.pb.h"
#include "services/base/log.h"
#include "services/base/name_lookup.h"
#include "services/net/link_faults.h"
#include "services/net/peer_stream.h"
#include "services/peering/membership.h"
#include "shard/frame_codec.h"

namespace lvs::services {

namespace {

using actors::FrameSink;
using hosting::Payload;
using shard::Frame;
using vaultguard::Refusal;
using vaultguard::RefusalCounts;

// What waits for one link, a shard: a frame with as many entries as one may have, and some.
constexpr std::size_t kOutboxBytesPerShard = 64 * 1024;
// Frames a shard and cycle that a link may say, and how many cycles' worth it may save up.
constexpr double kFramesPerShardCycle = 3;
constexpr double kBurstCycles = 20;
// A message costs one, or one for each part of this size; a stream may have read what its frames need and some.
constexpr std::size_t kReadPartBytes = 64 * 1024;
constexpr double kReadsBesideFrames = 16;
// Frames in a row of cycles that have not been, after which a peer's clock is taken to differ.
constexpr std::uint32_t kAheadFrames = 100;
// Refusals after which a link is dropped, where they outnumber what was taken.
constexpr std::uint64_t kRefusalsMax = 1000;
// Streams that have not said hello yet, above the links.
constexpr std::size_t kMaxStrangers = 32;
constexpr double kPingSeconds = 1;
// Between the end of a stream in words and its end by force, where the peer does not read the words.
constexpr double kAbortSeconds = 2;
constexpr std::size_t kMaxDelayed = 65'536;

double Seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::uint64_t Micros() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

// A stream and what is kept about it here; all but `stream` under the transport's lock.
struct Link {
  explicit Link(std::shared_ptr<PeerStream> peer, double now_s)
      : stream(std::move(peer)), since_s(now_s), heard_s(now_s) {}

  const std::shared_ptr<PeerStream> stream;
  const double since_s;
  double heard_s;
  double ping_s = 0;
  double rtt_ms = 0;
  double closed_s = -1;     // seen to be closed; -1: not yet
  double allowance = -1;    // frames that it may still say; -1: it has said none
  double allowance_s = 0;   // when that was reckoned
  double reads = 0;         // messages that may still be read; below 0 the stream rests
  std::uint32_t ahead = 0;  // frames in a row of cycles that have not been
  int slot = -1;            // the place that it has taken, once it is welcome
  bool goodbye = false;
};
using LinkPtr = std::shared_ptr<Link>;

// A place for a link: whoever holds its lock decides who speaks there and who is heard.
class Outlet final : public FrameSink {
 public:
  void Offer(const Payload<Frame>& frame) override {
    if (const auto bound = Bound()) bound->Offer(frame);
  }
  void Flush() override {
    if (const auto bound = Bound()) bound->Flush();
  }
  std::shared_ptr<PeerStream> Bound() const {
    const std::lock_guard lock(mu);
    return stream;
  }
  mutable std::mutex mu;
  std::shared_ptr<PeerStream> stream;
};

}  // namespace

// In the order of a stream's life: it begins (Connect, Dial), says hello (Greet), speaks (Take), ends (Gone).
class TransportLayer::Impl final : public v1::Peering::WithRawCallbackMethod_Connect<v1::Peering::Service>,
                                   public StreamOwner,
                                   public std::enable_shared_from_this<TransportLayer::Impl> {
 public:
  explicit Impl(TransportOptions options)
      : options_(std::move(options)), slots_(options_.links), faults_(options_.seed) {
    if (options_.refusals == nullptr) options_.refusals = std::make_shared<ConnectionRefusals>();
    for (std::uint32_t n = 0; n < options_.links; ++n) outlets_.push_back(std::make_shared<Outlet>());
  }

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

  // What is decided under the lock is done after it.
  void Tick(std::uint64_t cycle) {
    cycle_.store(cycle, std::memory_order_relaxed);
    const double now = Seconds();
    ReleaseLate(now);
    Upkeep upkeep;
    {
      const std::lock_guard lock(mu_);
      if (!started_ || stopped_) return;
      TickLinks(now, &upkeep);
      if (!draining_) TickMembership(now, &upkeep);
    }
    for (const auto& stream : upkeep.resume) stream->Resume();
    for (auto& [stream, message] : upkeep.say) stream->Say(std::move(message));
    for (const auto& [stream, why] : upkeep.close) stream->Close(why);
    for (const auto& stream : upkeep.abort) stream->Abort();
    for (const std::string& address : upkeep.dial) Dial(address);
  }

  void Drain(std::string_view reason) {
    v1::PeerMessage message;
    message.mutable_goodbye()->set_reason(std::string(reason.substr(0, 256)));
    std::vector<std::shared_ptr<PeerStream>> streams;
    {
      const std::lock_guard lock(mu_);
      draining_ = true;
      streams = Streams();
    }
    for (const auto& stream : streams) stream->Say(message);
  }

  void Stop() {
    std::vector<std::shared_ptr<PeerStream>> streams;
    {
      const std::lock_guard lock(mu_);
      if (stopped_) return;
      stopped_ = true;
      streams = Streams();
      idle_.notify_all();
    }
    for (const auto& stream : streams) stream->Close(absl::UnavailableError("the node ends"));
    if (resolver_.joinable()) resolver_.join();
    const auto all_gone = [this] { return links_.empty(); };
    std::unique_lock lock(mu_);
    // Who does not read that it ends is not waited for.
    if (!idle_.wait_for(lock, std::chrono::duration<double>(kAbortSeconds), all_gone)) {
      streams = Streams();
      lock.unlock();
      for (const auto& stream : streams) stream->Abort();
      lock.lock();
    }
    streams.clear();
    if (!idle_.wait_for(lock, std::chrono::seconds(5), all_gone)) {
      Log(v1::WARNING, "transport.stuck", {{"streams", links_.size()}});
    }
    lock.unlock();
    for (const auto& outlet : outlets_) {  // nothing reaches the actors any more
      const std::lock_guard inner(outlet->mu);
      outlet->stream = nullptr;
    }
  }

  // ---- A stream begins ---------------------------------------------------------------------------------------------

  // Called by gRPC for a stream that a peer opens.
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Connect(grpc::CallbackServerContext* context) override {
    std::shared_ptr<ServerStream> stream;
    std::shared_ptr<PeerStream> crowded_out;
    absl::Status refuse;
    {
      const std::lock_guard lock(mu_);
      if (!started_ || draining_ || stopped_) {
        refuse = absl::UnavailableError("this node is not taking peers; try another");
      } else if (links_.size() >= options_.links + kMaxStrangers) {
        crowded_out = OldestStranger();
      }
      stream = std::make_shared<ServerStream>(++last_id_, shared_from_this(), OutboxLimits(), context);
      Add(stream);
    }
    // Whoever means it says hello at once: the one that has been silent for longest goes.
    if (crowded_out != nullptr) {
      options_.refusals->Add(ConnectionRefusal::kHelloMissing);
      crowded_out->Close(absl::ResourceExhaustedError("too many streams; try another node"));
    }
    ServerStream* reactor = stream.get();
    stream->Begin(refuse);
    return reactor;
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
    std::shared_ptr<ClientStream> stream;
    {
      const std::lock_guard lock(mu_);
      if (stopped_) return;
      if (faults_.Severed(address)) {
        return membership_->DialFailed(address, absl::UnavailableError("severed"), Seconds());
      }
      stream =
          std::make_shared<ClientStream>(++last_id_, shared_from_this(), OutboxLimits(),
                                         grpc::CreateCustomChannel(address, options_.credentials, arguments), address);
      Add(stream);
    }
    stream->Begin(OwnHello());
  }

  // ---- It speaks ---------------------------------------------------------------------------------------------------

  bool Take(const std::shared_ptr<PeerStream>& stream, const v1::PeerMessage& message, std::size_t bytes) override {
    const LinkPtr link = Find(stream->id);
    if (link == nullptr) return false;
    if (!IsSevered(*stream)) TakeMessage(link, message);
    const std::lock_guard lock(mu_);
    link->reads -= 1 + static_cast<double>(bytes / kReadPartBytes);
    return link->reads < 0;
  }

  void Unreadable() override { options_.refusals->Add(ConnectionRefusal::kUnreadable); }

  // ---- It ends -----------------------------------------------------------------------------------------------------

  void Gone(const std::shared_ptr<PeerStream>& stream, const absl::Status& why) override {
    const LinkPtr link = Find(stream->id);
    if (link == nullptr) return;
    Unbind(link);
    const double now = Seconds();
    bool was_open = false;
    {
      const std::lock_guard lock(mu_);
      links_.erase(stream->id);
      total_ += stream->counts();
      was_open = link->slot >= 0;
      if (was_open) {
        const bool dropped = absl::IsResourceExhausted(why) || absl::IsAlreadyExists(why);
        const LinkEnd end = link->goodbye ? LinkEnd::kGoodbye : dropped ? LinkEnd::kDropped : LinkEnd::kBroken;
        membership_->Disconnected(stream->id, end, std::string(why.message()), now);
      } else if (!stream->dialled.empty()) {
        if (absl::IsAborted(why)) membership_->MarkSelf(stream->dialled);
        membership_->DialFailed(stream->dialled, why, now);
      }
      idle_.notify_all();
    }
    const v1::Hello hello = stream->hello();
    const std::string address = hello.advertise().empty() ? stream->dialled : hello.advertise();
    // Who cannot fit must be told apart from who cannot be reached: that is tried again and again.
    const bool misfit = absl::IsFailedPrecondition(why) || absl::IsInvalidArgument(why);
    Log(was_open ? v1::INFO
        : misfit ? v1::WARNING
                 : v1::DEBUG,
        was_open ? "peer.disconnected" : "peer.refused", {{"address", address}, {"why", std::string(why.message())}});
  }

  // ---- What operators see and do -----------------------------------------------------------------------------------

  absl::Status SetFaults(const v1::Faults& faults) {
    if (!options_.faults) {
      return absl::FailedPreconditionError("this node takes no faults; write `faults: true` into its configuration");
    }
    const std::lock_guard lock(mu_);
    return faults_.Set(faults);
  }

  v1::PeerList Peers() const {
    v1::PeerList list;
    const std::lock_guard lock(mu_);
    const double now = Seconds();
    for (const auto& [id, link] : links_) {
      if (link->slot < 0) continue;
      const PeerStream& stream = *link->stream;
      const v1::Hello hello = stream.hello();
      const PeerStream::Counts counts = stream.counts();
      v1::Peer* peer = list.add_peers();
      peer->set_address(hello.advertise());
      peer->set_region(hello.region());
      peer->set_build(hello.build());
      peer->set_protocol(stream.protocol());
      peer->set_session_high(hello.session_high());
      peer->set_session_low(hello.session_low());
      peer->set_dialled(!stream.dialled.empty());
      peer->set_connected_s(now - link->since_s);
      peer->set_heard_s(now - link->heard_s);
      peer->set_rtt_ms(link->rtt_ms);
      peer->set_frames_sent(counts.sent.frames_sent);
      peer->set_frames_received(counts.frames_received);
      peer->set_frames_coalesced(counts.sent.replaced);
      peer->set_bytes_sent(counts.sent.bytes_sent);
      peer->set_bytes_received(counts.bytes_received);
      peer->set_outbox_bytes(stream.outbox().bytes());
      peer->set_refused(counts.frames_refused);
    }
    if (membership_ == nullptr) return list;
    for (v1::KnownAddress& address : membership_->Known()) *list.add_known() = std::move(address);
    return list;
  }

  v1::TrafficStatus Traffic() const {
    const std::lock_guard lock(mu_);
    PeerStream::Counts all = total_;
    v1::TrafficStatus traffic;
    std::uint64_t waiting = 0;
    std::uint64_t limit = 0;
    for (const auto& [id, link] : links_) {
      all += link->stream->counts();
      if (link->slot < 0) continue;
      waiting += link->stream->outbox().bytes();
      limit += link->stream->outbox().bytes_limit();
    }
    traffic.set_bytes_sent(all.sent.bytes_sent);
    traffic.set_bytes_received(all.bytes_received);
    traffic.set_frames_sent(all.sent.frames_sent);
    traffic.set_frames_received(all.frames_received);
    traffic.set_frames_coalesced(all.sent.replaced);
    traffic.set_frames_shortened(all.sent.shortened);
    traffic.set_frames_dropped(all.sent.dropped);
    traffic.set_outbox_bytes(waiting);
    traffic.set_outbox_bytes_max(limit);
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
    return static_cast<std::uint32_t>(std::count_if(links_.begin(), links_.end(), [](const auto& at) {
      return at.second->slot >= 0 && at.second->ahead >= kAheadFrames;
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
  // A frame that a fault holds up.
  struct Late {
    std::weak_ptr<PeerStream> stream;
    Payload<Frame> frame;
  };
  // What a tick has decided.
  struct Upkeep {
    std::vector<std::shared_ptr<PeerStream>> resume;
    std::vector<std::pair<std::shared_ptr<PeerStream>, v1::PeerMessage>> say;
    std::vector<std::pair<std::shared_ptr<PeerStream>, absl::Status>> close;
    std::vector<std::shared_ptr<PeerStream>> abort;
    std::vector<std::string> dial;
  };

  // ---- Every cycle; under mu_ --------------------------------------------------------------------------------------

  void TickLinks(double now, Upkeep* upkeep) {
    const double reads = ReadsPerCycle() * std::clamp((now - ticked_s_) * 1e6 / options_.period_us, 0.0, kBurstCycles);
    ticked_s_ = now;
    for (const auto& [id, link] : links_) {
      const std::shared_ptr<PeerStream>& stream = link->stream;
      const bool rests = link->reads < 0;
      link->reads = std::min(link->reads + reads, kBurstCycles * ReadsPerCycle());
      if (rests && link->reads >= 0) upkeep->resume.push_back(stream);
      if (stream->closed()) {
        if (link->closed_s < 0) link->closed_s = now;
        if (now - link->closed_s > kAbortSeconds) upkeep->abort.push_back(stream);
      } else if (link->slot < 0 && now - link->since_s > options_.hello_s) {
        if (stream->dialled.empty()) options_.refusals->Add(ConnectionRefusal::kHelloMissing);
        upkeep->close.emplace_back(stream, absl::DeadlineExceededError("no hello came"));
      } else if (link->slot >= 0 && now - link->heard_s > options_.silence_s) {
        upkeep->close.emplace_back(stream, absl::UnavailableError("nothing was heard for too long"));
      } else if (link->slot >= 0 && now - link->ping_s >= kPingSeconds) {
        link->ping_s = now;
        v1::PeerMessage ping;
        ping.mutable_ping()->set_sent_us(Micros());
        upkeep->say.emplace_back(stream, std::move(ping));
      }
    }
  }

  void TickMembership(double now, Upkeep* upkeep) {
    Membership::Actions actions = membership_->Tick(now);
    upkeep->dial = std::move(actions.dial);
    for (const LinkId id : actions.exchange_with) {
      const auto at = links_.find(id);
      if (at == links_.end()) continue;
      v1::PeerMessage message;
      *message.mutable_peers() = membership_->Sample(id, now);
      upkeep->say.emplace_back(at->second->stream, std::move(message));
    }
    for (const Membership::Drop& drop : actions.drop) {
      const auto at = links_.find(drop.link);
      if (at != links_.end()) upkeep->close.emplace_back(at->second->stream, drop.why);
    }
  }

  // ---- Links -------------------------------------------------------------------------------------------------------

  Outbox::Limits OutboxLimits() const {
    return {.shards = options_.shards, .bytes = options_.shards * kOutboxBytesPerShard};
  }

  // Two protocol versions: the older one says each frame in a message of its own.
  double ReadsPerCycle() const { return kFramesPerShardCycle * options_.shards + kReadsBesideFrames; }

  // Under mu_.
  void Add(const std::shared_ptr<PeerStream>& stream) {
    const auto link = std::make_shared<Link>(stream, Seconds());
    link->reads = kBurstCycles * ReadsPerCycle();
    links_.emplace(stream->id, link);
  }

  LinkPtr Find(LinkId id) const {
    const std::lock_guard lock(mu_);
    const auto at = links_.find(id);
    return at == links_.end() ? nullptr : at->second;
  }

  // Under mu_.
  std::vector<std::shared_ptr<PeerStream>> Streams() const {
    std::vector<std::shared_ptr<PeerStream>> streams;
    for (const auto& [id, link] : links_) streams.push_back(link->stream);
    return streams;
  }

  // Of those that dialled and have said no hello; the ones that are going already do not count. Under mu_.
  std::shared_ptr<PeerStream> OldestStranger() const {
    for (const auto& [id, link] : links_) {
      if (link->slot < 0 && link->stream->dialled.empty() && !link->stream->closed()) return link->stream;
    }
    return nullptr;
  }

  // The place that the session had, or else the one that has been free for longest. Under mu_.
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

  void Bind(const LinkPtr& link) {
    const int slot = SlotOf(*link);
    Outlet& outlet = *outlets_[static_cast<std::size_t>(slot)];
    const std::lock_guard lock(outlet.mu);
    outlet.stream = link->stream;
    link_changed_(static_cast<std::uint32_t>(slot), true);
  }

  void Unbind(const LinkPtr& link) {
    const int slot = SlotOf(*link);
    if (slot < 0) return;
    {
      Outlet& outlet = *outlets_[static_cast<std::size_t>(slot)];
      const std::lock_guard lock(outlet.mu);
      if (outlet.stream != link->stream) return;
      outlet.stream = nullptr;
      link_changed_(static_cast<std::uint32_t>(slot), false);
    }
    const std::lock_guard lock(mu_);
    slots_[static_cast<std::size_t>(slot)].taken = false;
    slots_[static_cast<std::size_t>(slot)].left = ++left_;
  }

  int SlotOf(const Link& link) const {
    const std::lock_guard lock(mu_);
    return link.slot;
  }

  // ---- Hello -------------------------------------------------------------------------------------------------------

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

  void Greet(const LinkPtr& link, const v1::Hello& hello) {
    PeerStream& stream = *link->stream;
    if (const absl::Status status = Fitting(hello); !status.ok()) {
      if (absl::IsFailedPrecondition(status)) options_.refusals->Add(ConnectionRefusal::kHelloMisfit);
      if (absl::IsInvalidArgument(status)) options_.refusals->Add(ConnectionRefusal::kHelloInvalid);
      return stream.Close(status);
    }
    if (IsSevered(hello.advertise())) return stream.Close(absl::UnavailableError("severed"));
    stream.Welcome(hello, std::min(options_.protocol_max, hello.protocol_max()));
    if (const absl::Status status = Admit(link, hello); !status.ok()) return stream.Close(status);
    if (stream.dialled.empty()) stream.Say(OwnHello());
    Bind(link);
    Log(v1::INFO, "peer.connected",
        {{"address", hello.advertise()},
         {"region", hello.region()},
         {"build", hello.build()},
         {"protocol", static_cast<std::int64_t>(stream.protocol())},
         {"dialled", !stream.dialled.empty()}});
  }

  // Gives it a place, if it may have one.
  absl::Status Admit(const LinkPtr& link, const v1::Hello& hello) {
    const shard::SessionId session{hello.session_high(), hello.session_low()};
    const LinkId id = link->stream->id;
    const std::lock_guard lock(mu_);
    if (draining_ || stopped_) return absl::UnavailableError("this node is leaving; try another");
    const absl::Status status =
        membership_->Connected({id, hello.advertise(), link->stream->dialled, hello.region(), session}, Seconds());
    if (!status.ok()) return status;
    const int slot = FreeSlot(session);
    if (slot < 0) {
      membership_->Disconnected(id, LinkEnd::kDropped, "no link is free", Seconds());
      return absl::ResourceExhaustedError("no link is free; try another node");
    }
    slots_[static_cast<std::size_t>(slot)].taken = true;
    slots_[static_cast<std::size_t>(slot)].session = session;
    link->slot = slot;
    return absl::OkStatus();
  }

  // ---- Messages ----------------------------------------------------------------------------------------------------

  void TakeMessage(const LinkPtr& link, const v1::PeerMessage& message) {
    PeerStream& stream = *link->stream;
    bool open = false;
    {
      const std::lock_guard lock(mu_);
      link->heard_s = Seconds();
      open = link->slot >= 0;
      if (open == message.has_hello()) refused_.Add(Refusal::kReplayed);
    }
    if (open == message.has_hello()) {
      return stream.Close(absl::InvalidArgumentError(open ? "a second hello" : "the first message must be a hello"));
    }
    switch (message.kind_case()) {
      case v1::PeerMessage::kHello: return Greet(link, message.hello());
      case v1::PeerMessage::kFrames: return TakeFrames(link, message.frames());
      case v1::PeerMessage::kPeers: {
        const std::lock_guard lock(mu_);
        membership_->Heard(stream.id, message.peers(), Seconds());
        return;
      }
      case v1::PeerMessage::kPing: {
        v1::PeerMessage pong;
        *pong.mutable_pong() = message.ping();
        return stream.Say(std::move(pong));
      }
      case v1::PeerMessage::kPong: {
        const std::lock_guard lock(mu_);
        const std::uint64_t now = Micros();
        const std::uint64_t sent = message.pong().sent_us();
        if (sent <= now && now - sent < 60'000'000) link->rtt_ms = static_cast<double>(now - sent) / 1000;
        return;
      }
      case v1::PeerMessage::kGoodbye: {
        {
          const std::lock_guard lock(mu_);
          link->goodbye = true;
        }
        return stream.Close(
            absl::UnavailableError(absl::StrCat("it left: ", message.goodbye().reason().substr(0, kWordsMax))));
      }
      case v1::PeerMessage::KIND_NOT_SET: {
        {
          const std::lock_guard lock(mu_);
          refused_.Add(Refusal::kBadEntry);
        }
        return stream.Close(absl::InvalidArgumentError("a message of no kind that this version knows"));
      }
    }
  }

  void TakeFrames(const LinkPtr& link, const v1::FrameBatch& batch) {
    for (const std::string& said : batch.frames()) {
      const std::optional<Refusal> refused = TakeFrame(link, said);
      link->stream->CountFrame(!refused);
      {
        const std::lock_guard lock(mu_);
        if (refused) refused_.Add(*refused);
        link->ahead = refused == Refusal::kFutureCycle ? link->ahead + 1 : 0;
      }
      if (!refused) continue;
      const PeerStream::Counts counts = link->stream->counts();
      if (counts.frames_refused > kRefusalsMax && counts.frames_refused > counts.frames_received) {
        return link->stream->Close(
            absl::InvalidArgumentError("most of what was said on this stream had to be refused"));
      }
    }
  }

  std::optional<Refusal> TakeFrame(const LinkPtr& link, const std::string& said) {
    double delay_s = 0;
    {
      const std::lock_guard lock(mu_);
      if (!MaySayFrame(link.get())) return Refusal::kTooLarge;
      if (faults_.Loses()) {
        ++frames_lost_;
        return std::nullopt;
      }
      delay_s = faults_.delay_s();
    }
    auto frame = actors::Recycled<Frame>();
    if (const auto why = shard::Decode(said, frame.get())) return why;
    if (frame->shard >= options_.shards) return Refusal::kUnknownShard;
    const std::uint64_t cycle = cycle_.load(std::memory_order_relaxed);
    if (const auto why = shard::CheckFrame(*frame, options_.shape, frame->shard, options_.halo_rows, cycle)) return why;
    if (delay_s > 0) {
      const std::lock_guard lock(mu_);
      if (!faults_.Hold(Seconds() + delay_s, {link->stream, std::move(frame)})) return Refusal::kTooLarge;
      return std::nullopt;
    }
    Hand(link, std::move(frame));
    return std::nullopt;
  }

  // Takes one frame from what the link may still say. Under mu_.
  bool MaySayFrame(Link* link) const {
    const double cycles = kFramesPerShardCycle * options_.shards;
    const double burst = cycles * kBurstCycles;
    const double now = Seconds();
    const double earned = (now - link->allowance_s) * 1e6 / static_cast<double>(options_.period_us) * cycles;
    link->allowance = link->allowance < 0 ? burst : std::min(burst, link->allowance + earned);
    link->allowance_s = now;
    if (link->allowance < 1) return false;
    link->allowance -= 1;
    return true;
  }

  // To the actors, unless the link is somebody else's by now.
  void Hand(const LinkPtr& link, Payload<Frame> frame) {
    const int slot = SlotOf(*link);
    if (slot < 0) return;
    Outlet& outlet = *outlets_[static_cast<std::size_t>(slot)];
    const std::lock_guard lock(outlet.mu);
    if (outlet.stream == link->stream) deliver_(static_cast<std::uint32_t>(slot), std::move(frame));
  }

  // ---- Faults ------------------------------------------------------------------------------------------------------

  void ReleaseLate(double now) {
    std::vector<Late> due;
    {
      const std::lock_guard lock(mu_);
      due = faults_.Due(now);
    }
    for (Late& late : due) {
      const auto stream = late.stream.lock();
      const LinkPtr link = stream == nullptr ? nullptr : Find(stream->id);
      if (link != nullptr) Hand(link, std::move(late.frame));
    }
  }

  bool IsSevered(const std::string& address) const {
    const std::lock_guard lock(mu_);
    return faults_.Severed(address);
  }
  bool IsSevered(const PeerStream& stream) const {
    return options_.faults && (IsSevered(stream.hello().advertise()) || IsSevered(stream.dialled));
  }

  // ---- Names -------------------------------------------------------------------------------------------------------

  // Looks up the boot addresses that are names, again and again, on a thread of its own.
  void Resolve() {
    std::unique_lock lock(mu_);
    while (!stopped_) {
      lock.unlock();
      v1::PeerExchange found;
      for (std::string& address : LookUpNames(options_.boot)) found.add_peers()->set_address(std::move(address));
      lock.lock();
      if (stopped_) return;
      if (found.peers_size() > 0) membership_->Heard(Membership::kLocal, found, Seconds());
      idle_.wait_for(lock, std::chrono::seconds(slots_.empty() || links_.empty() ? 2 : 30),
                     [this] { return stopped_; });
    }
  }

  TransportOptions options_;
  std::string advertise_;  // since Start
  std::vector<std::shared_ptr<Outlet>> outlets_;
  std::atomic<std::uint64_t> cycle_{0};
  Deliver deliver_;
  LinkChanged link_changed_;

  mutable std::mutex mu_;
  std::condition_variable idle_;
  std::unique_ptr<Membership> membership_;  // since Start
  std::map<LinkId, LinkPtr> links_;         // of all streams, strangers included
  std::vector<Slot> slots_;
  std::uint64_t left_ = 0;
  LinkId last_id_ = 0;
  double ticked_s_ = 0;
  PeerStream::Counts total_;  // of streams that are gone
  RefusalCounts refused_;
  LinkFaults<Late> faults_;
  std::uint64_t frames_lost_ = 0;  // to those faults
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
grpc::Service* TransportLayer::service() { return impl_.get(); }
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

}  // namespace lvs::services
