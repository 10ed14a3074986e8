// Streams of tabs, and what they say.
#include "services/web/hub.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/log.h"
#include "services/web/tab_hello.h"
#include "services/web/tab_wire.h"
#include "shard/tab/tab_links.h"
#include "vaultguard/limits.h"

namespace lvs::services {
namespace {

using tab::Reason;
using vaultguard::Refusal;

// The outbox's limit for one tab, a shard: a frame with as many entries as a tab takes, and some room.
constexpr std::size_t kTabOutboxBytesPerShard = 32 * 1024;
// A tab tells of builds, and is told that its clock is wrong, this often.
constexpr double kHearsaySeconds = 60;

HubOptions WithDefaults(HubOptions options) {
  if (options.refusals == nullptr) options.refusals = std::make_shared<ConnectionRefusals>();
  if (!options.new_frame) options.new_frame = [] { return std::make_shared<shard::Frame>(); };
  return options;
}

NodeTerms TermsOf(const HubOptions& options) {
  NodeTerms terms = TabTerms(options);
  terms.halo_rows = kPlaceHaloRows;
  return terms;
}

Signalling::Options SignallingOf(const HubOptions& options) {
  return {.rules = {.shards = options.shards,
                    .links_max = tab::RulesFor(options.shards).links_max,
                    .tabs_max = options.tabs_max,
                    .remote_max = options.remote_max},
          .relay = options.relay,
          .seed = options.seed};
}

std::string KindName(const v1::PeerMessage& message) {
  const auto* const field = v1::PeerMessage::descriptor()->FindFieldByNumber(message.kind_case());
  return field == nullptr ? "message" : field->name();
}

}  // namespace

absl::Status CheckHubOptions(const HubOptions& options) {
  if (options.shards == 0 || options.shards % tab::kGroupShards != 0 || options.shards > tab::kShardsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("browser tabs need a number of shards that is a multiple of 4, and at "
                     "most 64; this network has ",
                     options.shards));
  }
  if (options.places < options.shards / tab::kGroupShards) {
    return absl::InvalidArgumentError(
        absl::StrCat("a node that serves browser tabs needs ", options.shards / tab::kGroupShards,
                     " places for them at least, one for four shards; there are ", options.places));
  }
  if (options.tabs_max == 0) return absl::InvalidArgumentError("a hub for no tab at all: make tabs_max larger than 0");
  if (!(options.relay.all >= 0) || !(options.relay.tab >= 0)) {
    return absl::InvalidArgumentError("the budget of the relay is a number of bytes a second, 0 for none");
  }
  return absl::OkStatus();
}

Hub::Hub(HubOptions options)
    : options_(WithDefaults(std::move(options))),
      terms_(TermsOf(options_)),
      table_({.intake = terms_,
              .tabs_max = options_.tabs_max,
              .hello_s = options_.hello_s,
              .silence_s = options_.silence_s}),
      signalling_(SignallingOf(options_)),
      server_places_({.shards = options_.shards, .places = options_.places}, options_.seed),
      slots_(options_.places),
      gossip_(options_.build, terms_.protocol_max) {
  for (std::uint32_t n = 0; n < options_.places; ++n) outlets_.push_back(std::make_shared<Outlet>());
}

void Hub::Start(Deliver deliver, LinkChanged link_changed, double now_s) {
  const MutexLock lock(&mu_);
  deliver_ = std::move(deliver);
  link_changed_ = std::move(link_changed);
  places_due_s_ = now_s;
  started_ = true;
}

// ---- A stream begins -----------------------------------------------------------------------------------------------

std::shared_ptr<PeerStream> Hub::Accept(double now_s) {
  const MutexLock lock(&mu_);
  if (table_.full()) {
    options_.refusals->Add(ConnectionRefusal::kStreamsFull);
    return nullptr;
  }
  if (Socket* const crowded_out = table_.CrowdedOut()) {
    options_.refusals->Add(ConnectionRefusal::kHelloMissing);
    Close(crowded_out, TabEnd::kNoHello, absl::ResourceExhaustedError("too many new connections; try again"));
  }
  const Outbox::Limits limits = {.shards = options_.shards, .bytes = options_.shards * kTabOutboxBytesPerShard};
  const auto stream = std::make_shared<PeerStream>(table_.NextId(), "", shared_from_this(), limits);
  Socket* const socket = table_.Add(stream, now_s);
  if (!started_ || draining_ || stopped_) {
    Close(socket, TabEnd::kNodeEnds, absl::UnavailableError("this server takes no tabs now; try another"));
  }
  return stream;
}

void Hub::Greet(Socket* socket, const v1::Hello& hello, double now_s) {
  if (draining_ || stopped_) {
    return Close(socket, TabEnd::kNodeEnds, absl::UnavailableError("this server is leaving; try another"));
  }
  if (const absl::Status status = CheckTabHello(terms_, hello); !status.ok()) {
    options_.refusals->Add(absl::IsFailedPrecondition(status) ? ConnectionRefusal::kHelloMisfit
                                                              : ConnectionRefusal::kHelloInvalid);
    return Close(socket, TabEnd::kHello, status);
  }
  if (table_.tabs_full()) {
    return Close(socket, TabEnd::kFull,
                 absl::ResourceExhaustedError("this server has as many tabs as it serves; try another, or later"));
  }
  if (Socket* const older = table_.FindSession({hello.session_high(), hello.session_low()})) {
    // Other tabs know the session, so whoever says it must not throw out one that is alive. A tab whose connection broke
    // unnoticed comes again soon after.
    if (!older->end && now_s - older->heard_s > table_.quiet_s()) {
      Close(older, TabEnd::kReplaced, absl::AlreadyExistsError("its session came again on another connection"));
    }
    return Close(socket, TabEnd::kTwice,
                 absl::AlreadyExistsError("this session has a connection already; try again in a few seconds"));
  }
  v1::Hello taken = hello;
  taken.set_halo_rows(std::min(hello.halo_rows(), kPlaceHaloRows));
  socket->stream->Welcome(taken, AgreedProtocol(terms_, hello));
  table_.Admit(socket, taken);
  gossip_.Came(hello.build(), hello.protocol_max());
  ++figures_.tabs_came;
  socket->stream->Say(OwnHello(terms_, ""));
  Log(v1::DEBUG, "tab.connected", {{"build", hello.build()}});
}

void Hub::Close(Socket* socket, TabEnd end, const absl::Status& why) {
  if (socket->end) return;
  socket->end = end;
  socket->stream->Close(why);
}

// ---- Messages ------------------------------------------------------------------------------------------------------

void Hub::Take(const StreamPtr& stream, const v1::PeerMessage& message, std::size_t bytes, double now_s) {
  if (message.has_frames()) {
    TakeFrames(stream, message.frames(), now_s);
  } else if (message.has_announce()) {
    TakeAnnounce(stream, message, now_s);
  } else {
    TakeMessage(stream, message, now_s);
  }
  const MutexLock lock(&mu_);
  Socket* const socket = table_.Find(stream->id);
  if (socket == nullptr) return;
  if (socket->MostlyRefused()) {
    Close(socket, TabEnd::kRefused,
          absl::InvalidArgumentError("most of what was said on this connection had to be refused"));
  }
  if (socket->MayRead(bytes, now_s)) return;
  table_.Rest(socket);
  stream->Pause();
}

// The socket of a message that may be taken; null where it is gone, or was closed because of this message or before.
Socket* Hub::Hear(const StreamPtr& stream, bool hello, double now_s) {
  Socket* const socket = table_.Find(stream->id);
  if (socket == nullptr || socket->end) return nullptr;
  socket->heard_s = now_s;
  if (socket->greeted() != hello) return socket;
  Refuse(socket, Refusal::kReplayed);
  Close(socket, hello ? TabEnd::kProtocol : TabEnd::kNoHello,
        absl::InvalidArgumentError(hello ? "a second hello" : "the first message must be a hello"));
  return nullptr;
}

void Hub::Refuse(Socket* socket, Refusal why, std::uint64_t n) {
  figures_.refused_input.Add(why, n);
  socket->refused += n;
}

void Hub::TakeMessage(const StreamPtr& stream, const v1::PeerMessage& message, double now_s) {
  const MutexLock lock(&mu_);
  Socket* const socket = Hear(stream, message.has_hello(), now_s);
  if (socket == nullptr) return;
  switch (message.kind_case()) {
    case v1::PeerMessage::kHello: return Greet(socket, message.hello(), now_s);
    case v1::PeerMessage::kPing: {
      v1::PeerMessage pong;
      *pong.mutable_pong() = message.ping();
      return stream->Say(std::move(pong));
    }
    case v1::PeerMessage::kPong: return;
    case v1::PeerMessage::kGoodbye:
      return Close(socket, TabEnd::kGoodbye,
                   absl::UnavailableError(absl::StrCat("it left: ", message.goodbye().reason().substr(0, kWordsMax))));
    case v1::PeerMessage::kNeed:
    case v1::PeerMessage::kOffer:
    case v1::PeerMessage::kAnswer:
    case v1::PeerMessage::kRelay: TakeSignal(socket, message, now_s); return;
    case v1::PeerMessage::kBuilds: return TakeBuilds(socket, message, now_s);
    // Messages of a hub, of links between tabs, of server nodes, and of later versions.
    default: return Refuse(socket, Refusal::kBadEntry);
  }
}

// Empty: the message is beyond a bound.
std::optional<Reason> Hub::TakeSignal(Socket* socket, const v1::PeerMessage& message, double now_s) {
  tab::PeerMessage read;
  if (const auto why = ReadTabMessage(message, &read)) {
    Refuse(socket, *why);
    const auto kind = static_cast<std::uint32_t>(message.kind_case());
    socket->stream->Say(WriteTabMessage(tab::Refused{
        Reason::kTooLarge, kind, 0, 0, absl::StrCat("a field of this ", KindName(message), " is above its limit")}));
    return std::nullopt;
  }
  const Reason reason = signalling_.Take(socket->session, std::move(read), now_s);
  ++(reason == Reason::kNone ? socket->taken : socket->refused);
  Post();
  return reason;
}

void Hub::TakeAnnounce(const StreamPtr& stream, const v1::PeerMessage& message, double now_s) {
  const MutexLock places(&places_mu_);
  std::vector<PlaceStep> steps;
  {
    const MutexLock lock(&mu_);
    Socket* const socket = Hear(stream, /*hello=*/false, now_s);
    if (socket == nullptr) return;
    const std::optional<Reason> reason = TakeSignal(socket, message, now_s);
    if (!reason || *reason == Reason::kTooFast) return;
    const tab::ShardMask before = socket->mask;
    socket->mask = *reason == Reason::kNone ? message.announce().card().shard_mask() : 0;
    if (socket->mask == 0) {
      server_places_.Left(socket->session);
      TakePlace(socket, *reason, &steps);
    } else {
      server_places_.Came(socket->session, socket->mask, now_s);
    }
    if (socket->place && socket->mask != before) {
      steps.push_back({stream, *socket->place, std::nullopt});
      steps.push_back({stream, *socket->place, LinkOf(*socket)});
    }
  }
  Carry(steps);
}

void Hub::TakeBuilds(Socket* socket, const v1::PeerMessage& message, double now_s) {
  tab::PeerMessage read;
  if (const auto why = ReadTabMessage(message, &read)) return Refuse(socket, *why);
  if (socket->builds_heard_s >= 0 && now_s - socket->builds_heard_s < kHearsaySeconds) {
    return Refuse(socket, Refusal::kRateExceeded);
  }
  socket->builds_heard_s = now_s;
  ++socket->taken;
  gossip_.Heard(std::get<tab::BuildNews>(read));
}

// ---- Frames --------------------------------------------------------------------------------------------------------

void Hub::TakeFrames(const StreamPtr& stream, const v1::FrameBatch& batch, double now_s) {
  const Passage passage = PassFrames(stream, batch.frames_size(), now_s);
  if (passage.frames == 0) return;
  // Decoding takes most of a frame's time, so it runs without a lock.
  std::vector<FrameTaken> taken;
  for (int n = 0; n < passage.frames; ++n) taken.push_back(TakeFrame(stream, passage, batch.frames(n)));
  const MutexLock lock(&mu_);
  Socket* const socket = table_.Find(stream->id);
  if (socket == nullptr) return;
  for (const FrameTaken& frame : taken) {
    socket->intake.Count(frame.refused, frame.behind);
    if (frame.refused) figures_.refused_input.Add(*frame.refused);
  }
  SayClock(socket, now_s);
}

Hub::Passage Hub::PassFrames(const StreamPtr& stream, int frames, double now_s) {
  Passage passage;
  const MutexLock lock(&mu_);
  Socket* const socket = Hear(stream, /*hello=*/false, now_s);
  if (socket == nullptr) return passage;
  if (static_cast<std::size_t>(frames) > tab::kBatchFramesMax) {
    Refuse(socket, Refusal::kTooLarge);
  } else if (!socket->place) {
    // A place may have been taken back while they were on their way.
    Refuse(socket, Refusal::kUnknownShard);
  } else {
    passage.place = *socket->place;
    passage.mask = socket->mask;
    while (passage.frames < frames && socket->intake.MaySayFrame(now_s)) ++passage.frames;
    if (passage.frames < frames) {
      Refuse(socket, Refusal::kTooLarge, static_cast<std::uint64_t>(frames - passage.frames));
    }
  }
  return passage;
}

Hub::FrameTaken Hub::TakeFrame(const StreamPtr& stream, const Passage& passage, std::string_view said) {
  const std::shared_ptr<shard::Frame> frame = options_.new_frame();
  const std::uint64_t cycle = cycle_.load(std::memory_order_relaxed);
  if (const auto why = shard::ReadFrame(said, terms_, cycle, frame.get())) return {.refused = why};
  if ((passage.mask & tab::MaskOfShard(frame->shard)) == 0) return {.refused = Refusal::kUnknownShard};
  const bool behind = frame->cycle + vaultguard::kMaxCyclesAhead < cycle;
  // Not where the place is another tab's by now.
  outlets_[passage.place]->IfBound(stream, [&] { deliver_(options_.first_link + passage.place, frame); });
  return {.behind = behind};
}

// A device whose clock is wrong takes part in nothing, and its visitor cannot see why.
void Hub::SayClock(Socket* socket, double now_s) {
  if (socket->end || !(socket->intake.ahead() || socket->intake.behind())) return;
  if (socket->clock_told_s >= 0 && now_s - socket->clock_told_s < kHearsaySeconds) return;
  socket->clock_told_s = now_s;
  socket->stream->Say(WriteTabMessage(
      tab::Refused{Reason::kFailed, v1::PeerMessage::kFramesFieldNumber, 0, 0,
                   absl::StrCat("the clock of this device is ", socket->intake.ahead() ? "ahead" : "behind",
                                ": let it set itself by the network, then reload this page")}));
}

// ---- A stream ends -------------------------------------------------------------------------------------------------

void Hub::Unreadable() { options_.refusals->Add(ConnectionRefusal::kUnreadable); }

void Hub::Gone(const StreamPtr& stream, const absl::Status& why, double now_s) {
  const MutexLock places(&places_mu_);
  std::vector<PlaceStep> steps;
  {
    const MutexLock lock(&mu_);
    Socket* const socket = table_.Find(stream->id);
    if (socket == nullptr) return;
    TakePlace(socket, std::nullopt, &steps);
    if (socket->greeted()) {
      signalling_.Left(socket->session);
      server_places_.Left(socket->session);
      gossip_.Went(socket->build);
    }
    const PeerStream::Counts counts = stream->counts();
    figures_.frames_in += socket->intake.taken();
    figures_.frames_out += counts.sent.frames_sent;
    figures_.bytes_in += counts.bytes_received;
    figures_.bytes_out += counts.sent.bytes_sent;
    ++figures_.ended[static_cast<std::size_t>(socket->end.value_or(TabEnd::kBroken))];
    table_.Remove(stream->id);
  }
  // The link goes down before another tab may get it.
  Carry(steps);
  Log(v1::DEBUG, "tab.disconnected", {{"why", std::string(why.message())}});
}

}  // namespace lvs::services
