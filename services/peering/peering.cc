#include "services/peering/peering.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/log.h"
#include "vaultguard/limits.h"

namespace lvs::services {
namespace {

using vaultguard::Refusal;
using vaultguard::RefusalCounts;

// The outbox's limit for one link, a shard: a frame with as many entries as a frame may have, and some room.
constexpr std::size_t kOutboxBytesPerShard = 64 * 1024;

PeeringOptions WithDefaults(PeeringOptions options) {
  options.is_hub = options.hub_links != nullptr;
  if (options.refusals == nullptr) options.refusals = std::make_shared<ConnectionRefusals>();
  if (!options.new_frame) options.new_frame = [] { return std::make_shared<shard::Frame>(); };
  return options;
}

}  // namespace

Peering::Peering(PeeringOptions options)
    : options_(WithDefaults(std::move(options))), table_(options_), faults_(options_.seed) {
  for (std::uint32_t n = 0; n < options_.links; ++n) outlets_.push_back(std::make_shared<Outlet>());
}

void Peering::Start(std::string advertise, Deliver deliver, LinkChanged link_changed, double now_s) {
  const MutexLock lock(&mu_);
  deliver_ = std::move(deliver);
  link_changed_ = std::move(link_changed);
  table_.Start(std::move(advertise), now_s);
  started_ = true;
}

// ---- A stream begins -----------------------------------------------------------------------------------------------

std::shared_ptr<PeerStream> Peering::NewStream(const std::string& dialled, double now_s) {
  const Outbox::Limits limits = {.shards = options_.shards, .bytes = options_.shards * kOutboxBytesPerShard};
  auto stream = std::make_shared<PeerStream>(table_.NextId(), dialled, shared_from_this(), limits);
  table_.Add(stream, now_s);
  return stream;
}

std::shared_ptr<PeerStream> Peering::Accept(double now_s) {
  std::shared_ptr<PeerStream> stream;
  std::shared_ptr<PeerStream> crowded_out;
  bool welcome = false;
  {
    const MutexLock lock(&mu_);
    if (table_.full()) {
      options_.refusals->Add(ConnectionRefusal::kStreamsFull);
      return nullptr;
    }
    welcome = started_ && !draining_ && !stopped_;
    if (welcome) crowded_out = table_.CrowdedOut();
    stream = NewStream("", now_s);
  }
  if (!welcome) stream->Close(absl::UnavailableError("this node is not taking peers; try another"));
  if (crowded_out != nullptr) {
    options_.refusals->Add(ConnectionRefusal::kHelloMissing);
    crowded_out->Close(absl::ResourceExhaustedError("too many streams; try another node"));
  }
  return stream;
}

std::shared_ptr<PeerStream> Peering::Dialled(const std::string& address, double now_s) {
  std::shared_ptr<PeerStream> stream;
  v1::PeerMessage hello;
  {
    const MutexLock lock(&mu_);
    if (!started_ || stopped_) return nullptr;
    stream = NewStream(address, now_s);
    hello = OwnHello(options_, table_.advertise());
  }
  stream->Say(std::move(hello));
  return stream;
}

// ---- Hello ---------------------------------------------------------------------------------------------------------

void Peering::Greet(const std::shared_ptr<PeerStream>& stream, const v1::Hello& hello, double now_s) {
  if (hello.has_tab()) {
    options_.refusals->Add(ConnectionRefusal::kHelloMisfit);
    return stream->Close(absl::FailedPreconditionError("a tab's hello: tabs connect to the node's web_listen"));
  }
  if (const absl::Status status = CheckHello(options_, hello); !status.ok()) {
    if (absl::IsFailedPrecondition(status)) options_.refusals->Add(ConnectionRefusal::kHelloMisfit);
    if (absl::IsInvalidArgument(status)) options_.refusals->Add(ConnectionRefusal::kHelloInvalid);
    return stream->Close(status);
  }
  if (IsSevered(hello.advertise())) return stream->Close(absl::UnavailableError("severed"));
  stream->Welcome(hello, AgreedProtocol(options_, hello));
  const absl::StatusOr<std::uint32_t> slot = Admit(stream, hello, now_s);
  if (!slot.ok()) return stream->Close(slot.status());
  outlets_[*slot]->Bind(stream, [&] {
    link_changed_(*slot, true);
    if (!LinksHubs(*stream)) return;
    options_.hub_links->HubUp(*slot, [weak = std::weak_ptr(stream)](v1::PeerMessage message) {
      if (const auto far_end = weak.lock()) far_end->Say(std::move(message));
    });
  });
  Log(v1::INFO, "peer.connected",
      {{"address", hello.advertise()},
       {"region", hello.region()},
       {"build", hello.build()},
       {"protocol", static_cast<std::int64_t>(stream->protocol())},
       {"dialled", !stream->dialled.empty()}});
}

absl::StatusOr<std::uint32_t> Peering::Admit(const std::shared_ptr<PeerStream>& stream, const v1::Hello& hello,
                                             double now_s) {
  const MutexLock lock(&mu_);
  if (draining_ || stopped_) return absl::UnavailableError("this node is leaving; try another");
  const absl::StatusOr<std::uint32_t> slot = table_.Admit(stream, hello, now_s);
  // The dialled side answers with a hello of its own, before anything else can be sent on this link.
  if (slot.ok() && stream->dialled.empty()) stream->Say(OwnHello(options_, table_.advertise()));
  return slot;
}

// ---- Messages ------------------------------------------------------------------------------------------------------

void Peering::Take(const std::shared_ptr<PeerStream>& stream, const v1::PeerMessage& message, std::size_t bytes,
                   double now_s) {
  if (!IsSevered(*stream)) TakeMessage(stream, message, now_s);
  const MutexLock lock(&mu_);
  PeerTable::Link* const link = table_.Find(stream->id);
  if (link == nullptr || link->intake.MayRead(bytes, now_s)) return;
  link->resting = true;
  stream->Pause();  // under the lock, so that a Tick cannot resume the stream before it rests
}

void Peering::TakeMessage(const std::shared_ptr<PeerStream>& stream, const v1::PeerMessage& message, double now_s) {
  bool open = false;
  {
    const MutexLock lock(&mu_);
    PeerTable::Link* const link = table_.Find(stream->id);
    if (link == nullptr) return;
    link->heard_s = now_s;
    open = link->slot.has_value();
    if (open == message.has_hello()) refused_.Add(Refusal::kReplayed);
    if (open && message.has_pong()) table_.Pong(message.pong(), now_s, link);
    if (open && message.has_goodbye()) link->goodbye = true;
    if (open && message.has_peers()) table_.membership().Heard(stream->id, message.peers(), now_s);
    if (open && message.kind_case() == v1::PeerMessage::KIND_NOT_SET) refused_.Add(Refusal::kBadEntry);
  }
  if (open == message.has_hello()) {
    return stream->Close(absl::InvalidArgumentError(open ? "a second hello" : "the first message must be a hello"));
  }
  switch (message.kind_case()) {
    case v1::PeerMessage::kHello: return Greet(stream, message.hello(), now_s);
    case v1::PeerMessage::kFrames: return TakeFrames(stream, message.frames(), now_s);
    case v1::PeerMessage::kPing: {
      v1::PeerMessage pong;
      *pong.mutable_pong() = message.ping();
      return stream->Say(std::move(pong));
    }
    case v1::PeerMessage::kGoodbye:
      return stream->Close(
          absl::UnavailableError(absl::StrCat("it left: ", message.goodbye().reason().substr(0, kWordsMax))));
    case v1::PeerMessage::KIND_NOT_SET:
      return stream->Close(absl::InvalidArgumentError("a message of no kind that this version knows"));
    case v1::PeerMessage::kPeers:
    case v1::PeerMessage::kPong: return;
    default: return TakeFromHub(stream, message, now_s);
  }
}

// Only hubs pass messages of tabs on to each other.
void Peering::TakeFromHub(const std::shared_ptr<PeerStream>& stream, const v1::PeerMessage& message, double now_s) {
  std::optional<std::uint32_t> slot;
  {
    const MutexLock lock(&mu_);
    const PeerTable::Link* const link = table_.Find(stream->id);
    if (link != nullptr) slot = link->slot;
  }
  if (!slot) return;
  if (!LinksHubs(*stream)) {
    return stream->Close(absl::InvalidArgumentError("a message of tabs, which this stream does not carry"));
  }
  outlets_[*slot]->IfBound(stream, [&] { options_.hub_links->TakeFromHub(*slot, message, now_s); });
}

bool Peering::LinksHubs(const PeerStream& stream) const {
  return options_.hub_links != nullptr && stream.hello().hub();
}

void Peering::TakeFrames(const std::shared_ptr<PeerStream>& stream, const v1::FrameBatch& batch, double now_s) {
  for (const std::string& said : batch.frames()) {
    const FrameTaken taken = TakeFrame(stream, said, now_s);
    {
      const MutexLock lock(&mu_);
      PeerTable::Link* const link = table_.Find(stream->id);
      if (link == nullptr) return;
      link->intake.Count(taken.refused, taken.behind);
      if (taken.leaving) link->leaving = *taken.leaving;
      if (!taken.refused) continue;
      refused_.Add(*taken.refused);
      if (!link->intake.MostlyRefused()) continue;
    }
    return stream->Close(absl::InvalidArgumentError("most of what was said on this stream had to be refused"));
  }
}

Peering::Passage Peering::PassFrame(LinkId id, double now_s) {
  Passage passage;
  const MutexLock lock(&mu_);
  PeerTable::Link* const link = table_.Find(id);
  if (link == nullptr) return passage;
  passage.slot = link->slot;
  if (!link->intake.MaySayFrame(now_s)) {
    passage.refused = Refusal::kTooLarge;
    return passage;
  }
  passage.lost = faults_.Loses();
  if (passage.lost) ++frames_lost_;
  passage.delay_s = faults_.delay_s();
  return passage;
}

Peering::FrameTaken Peering::TakeFrame(const std::shared_ptr<PeerStream>& stream, std::string_view said, double now_s) {
  const Passage passage = PassFrame(stream->id, now_s);
  if (passage.refused || passage.lost || !passage.slot) return {.refused = passage.refused};
  // Decoding takes most of a frame's time, so it runs without a lock.
  const std::shared_ptr<shard::Frame> frame = options_.new_frame();
  const std::uint64_t cycle = cycle_.load(std::memory_order_relaxed);
  if (const auto why = shard::ReadFrame(said, options_, cycle, frame.get())) return {.refused = why};
  const FrameTaken taken = {.behind = frame->cycle + vaultguard::kMaxCyclesAhead < cycle,
                            .leaving = frame->beacon.leaving};
  if (passage.delay_s > 0) {
    const MutexLock lock(&mu_);
    if (!faults_.Hold(now_s + passage.delay_s, {stream, *passage.slot, frame})) return {.refused = Refusal::kTooLarge};
    return taken;
  }
  Hand(stream, *passage.slot, frame);
  return taken;
}

// Delivers a frame to the actors, unless the link is another stream's by now.
void Peering::Hand(const std::shared_ptr<PeerStream>& stream, std::uint32_t slot, FramePtr frame) {
  outlets_[slot]->IfBound(stream, [&] { deliver_(slot, std::move(frame)); });
}

// ---- A stream ends -------------------------------------------------------------------------------------------------

void Peering::Unreadable() { options_.refusals->Add(ConnectionRefusal::kUnreadable); }

void Peering::Gone(const std::shared_ptr<PeerStream>& stream, const absl::Status& why, double now_s) {
  std::optional<std::uint32_t> slot;
  {
    const MutexLock lock(&mu_);
    const PeerTable::Link* const link = table_.Find(stream->id);
    if (link != nullptr) slot = link->slot;
  }
  // The link goes down before another stream may get it.
  if (slot) {
    outlets_[*slot]->Unbind(stream, [&] {
      link_changed_(*slot, false);
      if (LinksHubs(*stream)) options_.hub_links->HubDown(*slot);
    });
  }
  {
    const MutexLock lock(&mu_);
    table_.Remove(stream, why, now_s);
  }
  const std::string advertised = stream->hello().advertise();
  // A peer that cannot fit must be told apart from one that cannot be reached, which is tried again and again.
  const bool misfit = absl::IsFailedPrecondition(why) || absl::IsInvalidArgument(why);
  Log(slot     ? v1::INFO
      : misfit ? v1::WARNING
               : v1::DEBUG,
      slot ? "peer.disconnected" : "peer.refused",
      {{"address", advertised.empty() ? stream->dialled : advertised}, {"why", std::string(why.message())}});
}

// ---- Upkeep --------------------------------------------------------------------------------------------------------

std::vector<std::string> Peering::Tick(std::uint64_t cycle, double now_s) {
  cycle_.store(cycle, std::memory_order_relaxed);
  ReleaseLate(now_s);
  PeerTable::Upkeep upkeep;
  {
    const MutexLock lock(&mu_);
    if (!started_ || stopped_) return {};
    upkeep = table_.Tick(now_s, !draining_);
    std::erase_if(upkeep.dial, [&](const std::string& address) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      if (!faults_.Severed(address)) return false;
      table_.membership().DialFailed(address, absl::UnavailableError("severed"), now_s);
      return true;
    });
  }
  for (const auto& stream : upkeep.resume) stream->Resume();
  for (auto& [stream, message] : upkeep.say) stream->Say(std::move(message));
  for (const auto& [stream, why] : upkeep.close) stream->Close(why);
  for (const auto& stream : upkeep.abort) stream->Abort();
  return std::move(upkeep.dial);
}

void Peering::Learn(const v1::PeerExchange& found, double now_s) {
  const MutexLock lock(&mu_);
  if (started_ && !stopped_) table_.membership().Heard(Membership::kLocal, found, now_s);
}

void Peering::ReleaseLate(double now_s) {
  std::vector<Late> due;
  {
    const MutexLock lock(&mu_);
    due = faults_.Due(now_s);
  }
  for (Late& late : due) {
    if (const auto stream = late.stream.lock()) Hand(stream, late.slot, std::move(late.frame));
  }
}

// ---- Leaving -------------------------------------------------------------------------------------------------------

std::vector<std::shared_ptr<PeerStream>> Peering::Streams() const {
  const MutexLock lock(&mu_);
  return table_.streams();
}

void Peering::Drain(std::string_view reason) {
  v1::PeerMessage message;
  message.mutable_goodbye()->set_reason(std::string(reason.substr(0, kWordsMax)));
  {
    const MutexLock lock(&mu_);
    draining_ = true;
  }
  for (const auto& stream : Streams()) stream->Say(message);
}

void Peering::Stop() {
  {
    const MutexLock lock(&mu_);
    stopped_ = true;
  }
  for (const auto& stream : Streams()) stream->Close(absl::UnavailableError("the node ends"));
}

void Peering::Abort() {
  for (const auto& stream : Streams()) stream->Abort();
}

void Peering::Disconnect() {
  for (const auto& outlet : outlets_) outlet->Clear();
}

// ---- What operators see and do -------------------------------------------------------------------------------------

absl::Status Peering::SetFaults(const v1::Faults& faults) {
  if (!options_.faults) {
    return absl::FailedPreconditionError("this node takes no faults; write `faults: true` into its configuration");
  }
  const MutexLock lock(&mu_);
  return faults_.Set(faults);
}

bool Peering::IsSevered(const std::string& address) const {
  const MutexLock lock(&mu_);
  return faults_.Severed(address);
}

bool Peering::IsSevered(const PeerStream& stream) const {
  return options_.faults && (IsSevered(stream.hello().advertise()) || IsSevered(stream.dialled));
}

v1::PeerList Peering::Peers(double now_s) const {
  const MutexLock lock(&mu_);
  return table_.Peers(now_s);
}

v1::TrafficStatus Peering::Traffic() const {
  const MutexLock lock(&mu_);
  v1::TrafficStatus traffic = table_.Traffic();
  traffic.set_frames_lost(frames_lost_);
  return traffic;
}

RefusalCounts Peering::refused() const {
  const MutexLock lock(&mu_);
  return refused_;
}
std::uint32_t Peering::connected() const {
  const MutexLock lock(&mu_);
  return table_.connected();
}
PeerTable::Standing Peering::StandingAt(double now_s) const {
  const MutexLock lock(&mu_);
  return table_.StandingAt(now_s);
}
bool Peering::draining() const {
  const MutexLock lock(&mu_);
  return draining_;
}
std::size_t Peering::stream_count() const {
  const MutexLock lock(&mu_);
  return table_.stream_count();
}

}  // namespace lvs::services
