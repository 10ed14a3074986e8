// Links and messages of a tab node.
#include <algorithm>
#include <type_traits>
#include <utility>

#include "shard/tab/tab_node.h"

namespace lvs::tab {

using vaultguard::Refusal;

namespace {

struct EndText {
  std::string_view name;
  std::string_view words;
};
constexpr std::array<EndText, static_cast<std::size_t>(LinkEnd::kCount)> kEnds = {{
    {"self", "a tab cannot link with itself"},
    {"no_session", "session id 0 is reserved; draw 128 random bits"},
    {"protocol", "the two speak no common protocol version: reload the older page"},
    {"shape", "the two are of different networks: shards or dimensions differ"},
    {"period", "the two are of different networks: cycle periods differ"},
    {"claim", "more shards are claimed than the micro-nodes can hold"},
    {"kind", "a tab was expected and a server node found, or the other way round"},
    {"no_hello", "the first message must be a hello"},
    {"refused", "most of what was said on this link had to be refused"},
    {"goodbye", "the far end left"},
}};

}  // namespace

std::string_view Name(LinkEnd end) { return end < LinkEnd::kCount ? kEnds[static_cast<std::size_t>(end)].name : ""; }
std::string_view Words(LinkEnd end) { return end < LinkEnd::kCount ? kEnds[static_cast<std::size_t>(end)].words : ""; }

// ---- A link comes and goes ----

void TabNode::LinkUp(std::uint32_t n, std::uint64_t cycle) {
  if (n >= links_.size()) return;
  LinkDown(n);
  Link& link = links_[n];
  link.state = State::kGreeting;
  link.up_cycle = std::max(cycle, cycle_);
  const shard::IntakeTerms terms = {
      .shards = config_.shards, .shape = config_.shard.shape, .period_us = config_.period_us};
  link.intake.emplace(terms, SecondsAt(link.up_cycle));
  SayHello(n, link.up_cycle);
}

void TabNode::SayHello(std::uint32_t n, std::uint64_t cycle) {
  links_[n].hello_cycle = cycle;
  Hello hello;
  hello.build = config_.build;
  hello.session_high = config_.session.high;
  hello.session_low = config_.session.low;
  hello.region = config_.region;
  hello.shards = config_.shards;
  hello.value_slots = static_cast<std::uint32_t>(config_.shard.shape.value_slots);
  hello.free_coordinates = static_cast<std::uint32_t>(config_.shard.shape.free_coordinates);
  hello.period_us = config_.period_us;
  hello.halo_rows = layout_.halo_count[n];
  const Card own = card();
  hello.tab = TabHello{own.mask, own.micro_nodes, own.links, config_.cadence_cycles, config_.json};
  Say(n, hello);
}

void TabNode::LinkDown(std::uint32_t n) {
  if (n >= links_.size() || links_[n].state == State::kDown) return;
  links_[n].placed = false;
  Share(n);
  links_[n] = Link{};
}

void TabNode::SetBlocked(std::uint32_t n, bool blocked) {
  if (n < links_.size()) links_[n].blocked = blocked;
}

void TabNode::Close(std::uint32_t n, LinkEnd end, std::string words) {
  if (words.empty()) words = Words(end);
  if (end != LinkEnd::kGoodbye) Say(n, Goodbye{words});
  ++ended_[static_cast<std::size_t>(end)];
  LinkDown(n);
  Tell(LinkClosed{n, end, std::move(words)});
}

void TabNode::Leave(std::string_view reason) {
  const Goodbye goodbye{std::string(reason.substr(0, kNameBytesMax))};
  for (std::uint32_t n = 0; n < links_.size(); ++n) {
    if (links_[n].state == State::kDown) continue;
    Say(n, goodbye);
    LinkDown(n);
  }
}

hosting::LinkChange TabNode::ChangeOf(std::uint32_t n, bool up) const {
  const LinkPace pace = PaceOf(config_.cadence_cycles, links_[n].cadence_cycles);
  return {.link = n, .up = up, .resend_cycles = pace.resend_cycles, .round_trip_cycles = pace.round_trip_cycles};
}

// Frames are exchanged of the shards that both ends hold.
void TabNode::Share(std::uint32_t n) {
  Link& link = links_[n];
  const ShardMask before = link.shared;
  link.shared = link.placed ? link.mask & mask_ : 0;
  for (const auto& [shard, held] : shards_) {
    const bool was = (before & MaskOfShard(shard)) != 0;
    const bool is = (link.shared & MaskOfShard(shard)) != 0;
    if (was != is) held->Change(ChangeOf(n, is));
  }
  if ((link.shared & ~before) != 0) link.cadence.TurnNow();  // what is new is told at once
}

// ---- What is said ----

void TabNode::Say(std::uint32_t n, const PeerMessage& message) {
  if (n < links_.size() && links_[n].state != State::kDown) Send(n, Encode(message));
}

// The newest messages of a node that nobody drains are the ones that are lost: the page is asleep.
void TabNode::Send(std::uint32_t n, std::string bytes) {
  if (outgoing_bytes_ + bytes.size() > kOutgoingBytesMax) {
    ++counts_.crowded_out;
    return;
  }
  outgoing_bytes_ += bytes.size();
  counts_.bytes_sent += bytes.size();
  ++counts_.messages_sent;
  links_[n].figures.bytes_sent += bytes.size();
  outgoing_.push_back({n, std::move(bytes)});
}

void TabNode::Tell(Event event) {
  if (events_.size() >= kEventsMax) {
    ++counts_.crowded_out;
    return;
  }
  events_.push_back(std::move(event));
}

// ---- What is heard ----

void TabNode::Refuse(std::uint32_t n, Refusal why) {
  refused_.Add(why);
  links_[n].intake->Count(why);
}

void TabNode::Receive(std::uint32_t n, std::string_view bytes, std::uint64_t cycle) {
  if (n >= links_.size() || links_[n].state == State::kDown) {
    ++counts_.unexpected;
    return;
  }
  Link& link = links_[n];
  cycle = std::max(cycle, cycle_);
  link.figures.bytes_received += bytes.size();
  const std::size_t most = leads_to_server(n) ? kMessageBytesMax : kChannelBytesMax;
  PeerMessage message;
  if (!link.intake->MayRead(bytes.size(), SecondsAt(cycle)) || bytes.size() > most) {
    Refuse(n, Refusal::kTooLarge);
  } else if (const auto why = Decode(bytes, &message)) {
    Refuse(n, *why);
  } else {
    link.figures.heard_cycle = cycle;
    TakeMessage(n, std::move(message), cycle);
  }
  if (links_[n].state != State::kDown && links_[n].intake->MostlyRefused()) Close(n, LinkEnd::kRefused, "");
}

bool TabNode::Carries(std::uint32_t n, const PeerMessage& message) const {
  const bool from_hub = leads_to_server(n);
  return std::visit(
      [from_hub](const auto& kind) {
        using M = std::remove_cvref_t<decltype(kind)>;
        constexpr bool kHub = std::is_same_v<M, Welcome> || std::is_same_v<M, Sample> || std::is_same_v<M, Offer> ||
                              std::is_same_v<M, Answer> || std::is_same_v<M, Place> || std::is_same_v<M, Relay> ||
                              std::is_same_v<M, Refused> || std::is_same_v<M, PeerExchange>;
        constexpr bool kTab = std::is_same_v<M, Walk> || std::is_same_v<M, WalkReply> || std::is_same_v<M, Ping> ||
                              std::is_same_v<M, AdoptRequest>;
        constexpr bool kNeither = std::is_same_v<M, Announce> || std::is_same_v<M, Need> || std::is_same_v<M, Hello> ||
                                  std::is_same_v<M, std::monostate>;
        return !kNeither && (from_hub ? !kTab : !kHub);
      },
      message);
}

void TabNode::TakeMessage(std::uint32_t n, PeerMessage message, std::uint64_t cycle) {
  Link& link = links_[n];
  if (link.state == State::kGreeting) {
    const auto* const hello = std::get_if<Hello>(&message);
    if (hello != nullptr) return Greet(n, *hello);
    if (auto* const goodbye = std::get_if<Goodbye>(&message)) {
      return Close(n, LinkEnd::kGoodbye, std::move(goodbye->reason));
    }
    if (leads_to_server(n)) return Close(n, LinkEnd::kNoHello, "");
    // The hello may be late, or lost and come again.
    ++counts_.unexpected;
    return;
  }
  if (std::holds_alternative<Hello>(message) && !leads_to_server(n)) return GreetAgain(n, cycle);
  link.greeted = true;
  if (!Carries(n, message)) {
    ++counts_.unexpected;
    return Refuse(n, Refusal::kBadEntry);
  }
  if (const auto* const batch = std::get_if<FrameBatch>(&message)) return TakeFrames(n, *batch, cycle);
  if (const auto* const echo = std::get_if<EchoRequest>(&message)) return Say(n, EchoReply{echo->sent_us});
  if (auto* const goodbye = std::get_if<Goodbye>(&message)) {
    return Close(n, LinkEnd::kGoodbye, std::move(goodbye->reason));
  }
  if (const auto* const place = std::get_if<Place>(&message)) TakePlace(n, *place);
  if (const auto* const standing = std::get_if<Ping>(&message)) {
    if (!ClaimFits(standing->card.mask, standing->card.micro_nodes, config_.shards)) {
      return Close(n, LinkEnd::kClaim, "");
    }
    link.mask = standing->card.mask;
    Share(n);
  }
  Tell(Heard{n, std::move(message)});
}

std::optional<LinkEnd> TabNode::Misfit(std::uint32_t n, const Hello& hello) const {
  if (hello.session() == config_.session) return LinkEnd::kSelf;
  if (hello.session() == TabId{}) return LinkEnd::kNoSession;
  if (hello.protocol_min > kTabProtocol || hello.protocol_max < kTabProtocol) return LinkEnd::kProtocol;
  if (hello.tab.has_value() == leads_to_server(n)) return LinkEnd::kKind;
  const shard::Shape& shape = config_.shard.shape;
  if (hello.shards != config_.shards || hello.value_slots != static_cast<std::uint32_t>(shape.value_slots) ||
      hello.free_coordinates != static_cast<std::uint32_t>(shape.free_coordinates)) {
    return LinkEnd::kShape;
  }
  if (hello.period_us != config_.period_us) return LinkEnd::kPeriod;
  if (hello.tab && !ClaimFits(hello.tab->mask, hello.tab->micro_nodes, config_.shards)) return LinkEnd::kClaim;
  return std::nullopt;
}

void TabNode::Greet(std::uint32_t n, const Hello& hello) {
  if (const auto end = Misfit(n, hello)) return Close(n, *end, "");
  Link& link = links_[n];
  link.state = State::kReady;
  link.greeted = false;
  link.halo_rows = hello.halo_rows;
  link.mask = hello.tab ? hello.tab->mask : AllShards(config_.shards);
  link.cadence_cycles = hello.tab ? std::clamp(hello.tab->cadence_cycles, 1u, kCadenceMax) : 1;
  link.placed = hello.tab.has_value();  // a server node has fewer places than tabs
  Share(n);
  Tell(LinkReady{n, hello});
}

// The far end says its hello until it has heard this one: this one was lost, unless the far end has said more since.
void TabNode::GreetAgain(std::uint32_t n, std::uint64_t cycle) {
  if (links_[n].greeted) {
    ++counts_.unexpected;
    return Refuse(n, Refusal::kBadEntry);
  }
  if (cycle >= links_[n].hello_cycle + kHelloAgainCycles / 2) SayHello(n, cycle);
}

void TabNode::TakePlace(std::uint32_t n, const Place& place) {
  Link& link = links_[n];
  link.placed = place.given;
  if (place.given) {
    link.halo_rows = place.halo_rows;
    link.cadence_cycles = std::clamp(place.cadence_cycles, 1u, kCadenceMax);
  }
  Share(n);
}

void TabNode::TakeFrames(std::uint32_t n, const FrameBatch& batch, std::uint64_t cycle) {
  Link& link = links_[n];
  for (const std::string_view said : batch.frames) {
    const std::optional<Refusal> why = TakeFrame(n, said, cycle);
    if (why) {
      Refuse(n, *why);
    } else {
      link.intake->Count(std::nullopt);
    }
  }
}

std::optional<Refusal> TabNode::TakeFrame(std::uint32_t n, std::string_view bytes, std::uint64_t cycle) {
  Link& link = links_[n];
  if (!link.intake->MaySayFrame(SecondsAt(cycle))) return Refusal::kTooLarge;
  if (link.waiting_bytes + bytes.size() > kWaitingBytesMax) return Refusal::kTooLarge;
  auto frame = std::make_shared<shard::Frame>();
  const shard::IntakeTerms terms = {.shards = config_.shards,
                                    .shape = config_.shard.shape,
                                    .period_us = config_.period_us,
                                    .halo_rows = layout_.halo_count[n]};
  if (const auto why = shard::ReadFrame(bytes, terms, cycle, frame.get())) return why;
  // Of shards that only one end holds nothing is taken: a tab that claims few must not speak about all.
  const auto held = shards_.find(frame->shard);
  if (held == shards_.end() || (link.shared & MaskOfShard(frame->shard)) == 0) return Refusal::kUnknownShard;
  link.waiting_bytes += bytes.size();
  if (!frame->halo_row.empty()) link.figures.rows_cycle = cycle;
  held->second->Receive({.from = n, .due_cycle = cycle, .frame = std::move(frame)});
  return std::nullopt;
}

}  // namespace lvs::tab
