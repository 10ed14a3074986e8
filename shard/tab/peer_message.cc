#include "shard/tab/peer_message.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <type_traits>
#include <utility>

#include "shard/frame_codec.h"
#include "shard/wire.h"

namespace lvs::tab {

using shard::Counter;
using shard::ForEachField;
using shard::PutColumn;
using shard::PutDelimited;
using shard::PutFixed;
using shard::PutVarint;
using shard::Reader;
using shard::Wire;
using shard::Writer;
using vaultguard::Refusal;

namespace {

// ---- What fields a message has, once for writing and reading

enum class Form : std::uint8_t { kVarint, kFixed, kText, kBytes, kMessage, kList, kCover };

template <Form kForm, class Member>
struct Field {
  static constexpr Form form = kForm;
  int number;
  Member member;
  std::uint64_t max;  // a number's largest value, or the most bytes or parts
};

constexpr std::uint64_t kAnyNumber = ~std::uint64_t{0};

template <class Member>
constexpr auto Varint(int number, Member member, std::uint64_t max = kAnyNumber) {
  return Field<Form::kVarint, Member>{number, member, max};
}
template <class Member>
constexpr auto Fixed(int number, Member member) {
  return Field<Form::kFixed, Member>{number, member, kAnyNumber};
}
template <class Member>
constexpr auto Text(int number, Member member, std::size_t max = kNameBytesMax) {
  return Field<Form::kText, Member>{number, member, max};
}
template <class Member>
constexpr auto Bytes(int number, Member member, std::size_t max) {
  return Field<Form::kBytes, Member>{number, member, max};
}
template <class Member>
constexpr auto Message(int number, Member member) {
  return Field<Form::kMessage, Member>{number, member, 1};
}
template <class Member>
constexpr auto List(int number, Member member, std::size_t max) {
  return Field<Form::kList, Member>{number, member, max};
}

// In the order of their numbers, which are those of proto/lvs/v1/peer.proto; a test holds them to protobuf's.
template <class M>
constexpr std::tuple<> kFields = {};
template <>
constexpr auto kFields<shard::SessionId> = std::tuple(Fixed(1, &shard::SessionId::high),
                                                      Fixed(2, &shard::SessionId::low));
template <>
constexpr auto kFields<TabHello> = std::tuple(Fixed(1, &TabHello::mask),
                                              Varint(2, &TabHello::micro_nodes, kMicroNodesMax),
                                              Varint(3, &TabHello::links, kLinksTotalMax),
                                              Varint(4, &TabHello::cadence_cycles, kCadenceMax),
                                              Varint(5, &TabHello::json));
template <>
constexpr auto kFields<Hello> = std::tuple(Varint(1, &Hello::protocol_min), Varint(2, &Hello::protocol_max),
                                           Text(3, &Hello::build), Fixed(4, &Hello::session_high),
                                           Fixed(5, &Hello::session_low), Text(6, &Hello::region),
                                           Text(7, &Hello::advertise), Varint(8, &Hello::shards),
                                           Varint(9, &Hello::value_slots), Varint(10, &Hello::free_coordinates),
                                           Varint(11, &Hello::period_us), Varint(12, &Hello::halo_rows),
                                           Message(13, &Hello::tab), Varint(14, &Hello::hub));
template <>
constexpr auto kFields<FrameBatch> = std::tuple(List(1, &FrameBatch::frames, kBatchFramesMax));
template <>
constexpr auto kFields<PeerAddress> = std::tuple(Text(1, &PeerAddress::address), Text(2, &PeerAddress::region),
                                                 Varint(3, &PeerAddress::age_s));
template <>
constexpr auto kFields<PeerExchange> = std::tuple(List(1, &PeerExchange::peers, kAddressesMax));
template <>
constexpr auto kFields<EchoRequest> = std::tuple(Fixed(1, &EchoRequest::sent_us));
template <>
constexpr auto kFields<EchoReply> = std::tuple(Fixed(1, &EchoReply::sent_us));
template <>
constexpr auto kFields<Goodbye> = std::tuple(Text(1, &Goodbye::reason));
template <>
constexpr auto kFields<Card> = std::tuple(Message(1, &Card::tab), Fixed(2, &Card::mask),
                                          Varint(3, &Card::micro_nodes, kMicroNodesMax),
                                          Varint(4, &Card::links, kLinksTotalMax));
template <>
constexpr auto kFields<Announce> = std::tuple(Message(1, &Announce::card));
template <>
constexpr auto kFields<Welcome> = std::tuple(Varint(1, &Welcome::reason), Varint(2, &Welcome::shards, kShardsMax),
                                             Varint(3, &Welcome::scarce_groups));
template <>
constexpr auto kFields<Need> = std::tuple(Varint(1, &Need::number), Fixed(2, &Need::mask),
                                          Varint(3, &Need::wanted, kSampleMax), Varint(4, &Need::links, kLinksTotalMax),
                                          List(5, &Need::linked, kLinksKnownMax));
template <>
constexpr auto kFields<Sample> = std::tuple(Varint(1, &Sample::number), List(2, &Sample::cards, kSampleMax));
template <>
constexpr auto kFields<Offer> = std::tuple(Message(1, &Offer::to), Message(2, &Offer::from), Varint(3, &Offer::attempt),
                                           Varint(4, &Offer::urgent),
                                           Text(5, &Offer::description, kDescriptionBytesMax));
template <>
constexpr auto kFields<Answer> = std::tuple(Message(1, &Answer::to), Message(2, &Answer::from),
                                            Varint(3, &Answer::attempt), Varint(4, &Answer::reason),
                                            Text(5, &Answer::description, kDescriptionBytesMax));
template <>
constexpr auto kFields<Place> = std::tuple(Varint(1, &Place::given), Varint(2, &Place::reason),
                                           Varint(3, &Place::cadence_cycles, kCadenceMax),
                                           Varint(4, &Place::halo_rows, vaultguard::kMaxFrameRows));
template <>
constexpr auto kFields<Relay> = std::tuple(Message(1, &Relay::to), Message(2, &Relay::from),
                                           Bytes(3, &Relay::message, kChannelBytesMax));
template <>
constexpr auto kFields<Refused> = std::tuple(Varint(1, &Refused::reason), Varint(2, &Refused::kind),
                                             Varint(3, &Refused::number), Varint(4, &Refused::retry_ms, kRetryMsMax),
                                             Text(5, &Refused::words));
template <>
constexpr auto kFields<Walk> = std::tuple(Message(1, &Walk::from), Varint(2, &Walk::attempt), Fixed(3, &Walk::want),
                                          Varint(4, &Walk::roam), Varint(5, &Walk::urgent),
                                          List(6, &Walk::path, kWalkStepsMax),
                                          Text(7, &Walk::description, kDescriptionBytesMax));
template <>
constexpr auto kFields<WalkReply> = std::tuple(Message(1, &WalkReply::from), Varint(2, &WalkReply::attempt),
                                               Varint(3, &WalkReply::reason), List(4, &WalkReply::path, kWalkStepsMax),
                                               Text(5, &WalkReply::description, kDescriptionBytesMax));
constexpr auto kCoverPlanes = Field<Form::kCover, Cover Ping::*>{3, &Ping::cover, 4};
template <>
constexpr auto kFields<Ping> = std::tuple(Message(1, &Ping::card), Varint(2, &Ping::served), kCoverPlanes);
template <>
constexpr auto kFields<AdoptRequest> = std::tuple(Varint(1, &AdoptRequest::shard, kShardsMax - 1));
template <>
constexpr auto kFields<BuildSeen> = std::tuple(Text(1, &BuildSeen::build, kBuildBytesMax),
                                               Varint(2, &BuildSeen::protocol), Varint(3, &BuildSeen::nodes));
template <>
constexpr auto kFields<BuildNews> = std::tuple(List(1, &BuildNews::builds, kBuildsMax));

// ---- Writing

constexpr std::size_t kPlanes = 4;

std::array<std::uint64_t, kPlanes> PlanesOf(const Cover& cover) {
  std::array<std::uint64_t, kPlanes> planes{};
  for (std::uint32_t s = 0; s < kShardsMax; ++s) {
    for (std::size_t p = 0; p < kPlanes; ++p) planes[p] |= std::uint64_t{cover.Of(s) >> p & 1} << s;
  }
  return planes;
}

template <class M, class Out>
void Put(const M& message, Out* out);

template <class Out>
void PutPart(int number, std::string_view bytes, Out* out) {
  PutDelimited(
      number, [bytes](auto* to) { to->Raw(bytes.data(), bytes.size()); }, out);
}
template <class M, class Out>
void PutPart(int number, const M& message, Out* out) {
  PutDelimited(
      number, [&message](auto* to) { Put(message, to); }, out);
}
template <class M, class Out>
void PutPart(int number, const std::optional<M>& message, Out* out) {
  if (message) PutPart(number, *message, out);
}

template <class F, class Value, class Out>
void PutField(const F& field, const Value& value, Out* out) {
  if constexpr (F::form == Form::kVarint) {
    PutVarint(field.number, static_cast<std::uint64_t>(value), out);
  } else if constexpr (F::form == Form::kFixed) {
    PutFixed(field.number, value, out);
  } else if constexpr (F::form == Form::kText || F::form == Form::kBytes) {
    PutColumn(field.number, value.data(), value.size(), out);
  } else if constexpr (F::form == Form::kMessage) {
    PutPart(field.number, value, out);
  } else if constexpr (F::form == Form::kList) {
    for (const auto& part : value) PutPart(field.number, part, out);
  } else {
    const auto planes = PlanesOf(value);
    std::size_t n = kPlanes;
    while (n > 0 && planes[n - 1] == 0) --n;
    PutColumn(field.number, planes.data(), n, out);
  }
}

template <class M, class Out>
void Put(const M& message, Out* out) {
  std::apply([&](const auto&... field) { (PutField(field, message.*field.member, out), ...); }, kFields<M>);
}

template <class Out>
void PutMessage(const PeerMessage& message, Out* out) {
  std::visit(
      [&](const auto& kind) {
        if constexpr (!std::is_same_v<decltype(kind), const std::monostate&>) {
          PutPart(static_cast<int>(KindOf(message)), kind, out);
        }
      },
      message);
}

// ---- Reading

// As protobuf's parser demands of text: no overlong form, no surrogate, nothing above U+10FFFF.
bool IsUtf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = [&](std::size_t n) -> std::uint32_t {
      return at + n < text.size() ? static_cast<std::uint8_t>(text[at + n]) : 0;
    };
    const std::uint32_t first = byte(0);
    const std::size_t more = first < 0x80   ? 0
                             : first < 0xc2 ? 4
                             : first < 0xe0 ? 1
                             : first < 0xf0 ? 2
                             : first < 0xf5 ? 3
                                            : 4;
    if (more == 4) return false;
    std::uint32_t code = more == 0 ? first : first & (0x3fu >> more);
    for (std::size_t n = 1; n <= more; ++n) {
      if ((byte(n) & 0xc0) != 0x80) return false;
      code = code << 6 | (byte(n) & 0x3f);
    }
    if ((more == 2 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
        (more == 3 && (code < 0x10000 || code > 0x10ffff))) {
      return false;
    }
    at += more + 1;
  }
  return true;
}

// Fields that are left out are 0, whatever a new struct begins with.
template <class M>
void SetToZero(M* message) {
  const auto zero = [message](const auto& field) {
    auto& value = message->*field.member;
    using F = std::remove_cvref_t<decltype(field)>;
    if constexpr (F::form == Form::kVarint || F::form == Form::kFixed) value = {};
    if constexpr (F::form == Form::kMessage && !std::is_same_v<decltype(value), std::optional<TabHello>&>) {
      SetToZero(&value);
    }
  };
  std::apply([&](const auto&... field) { (zero(field), ...); }, kFields<M>);
}

// Reads one message. What is refused first is kept, and from there on nothing is copied.
class Taker {
 public:
  std::optional<Refusal> why() const { return why_; }

  template <class M>
  void Take(Reader in, int depth, M* message) {
    const bool whole = ForEachField(
        in,
        [&](std::uint32_t number, Wire wire, Reader* bytes) {
          bool taken = false;
          const auto match = [&](const auto& field) {
            if (static_cast<std::uint32_t>(field.number) != number) return false;
            taken = !why_ && TakeField(field, wire, bytes, depth, &(message->*field.member));
            return true;
          };
          std::apply([&](const auto&... field) { static_cast<void>((match(field) || ...)); }, kFields<M>);
          return taken;
        },
        depth);
    if (!whole) Refuse(Refusal::kMalformed);
  }

 private:
  void Refuse(Refusal why) {
    if (!why_) why_ = why;
  }

  template <class Number>
  void TakeNumber(std::uint64_t read, std::uint64_t max, Number* number) {
    if constexpr (std::is_same_v<Number, bool>) {
      *number = read != 0;
    } else if constexpr (std::is_same_v<Number, Reason>) {
      const auto known = static_cast<std::uint32_t>(read);
      *number = known < static_cast<std::uint32_t>(Reason::kCount) ? static_cast<Reason>(known) : Reason::kFailed;
    } else {
      const auto value = static_cast<Number>(read);
      if (value > max) return Refuse(Refusal::kTooLarge);
      *number = value;
    }
  }

  void TakeBytes(Reader bytes, std::uint64_t max, bool text, std::string* to) {
    if (bytes.left() > max) return Refuse(Refusal::kTooLarge);
    const std::string_view view(reinterpret_cast<const char*>(bytes.at()), bytes.left());
    if (text && !IsUtf8(view)) return Refuse(Refusal::kMalformed);
    to->assign(view);
  }

  template <class M>
  void TakePart(Reader bytes, int depth, M* part) {
    Take(bytes, depth + 1, part);
  }
  template <class M>
  void TakePart(Reader bytes, int depth, std::optional<M>* part) {
    if (!*part) SetToZero(&part->emplace());
    Take(bytes, depth + 1, &**part);
  }
  void TakePart(Reader bytes, int, std::string_view* part) {
    *part = {reinterpret_cast<const char*>(bytes.at()), bytes.left()};
  }

  template <class Part>
  void TakeListed(Reader bytes, int depth, std::uint64_t max, std::vector<Part>* list) {
    if (list->size() >= max) {
      // A receiver reads the first addresses of a longer sample.
      if (!std::is_same_v<Part, PeerAddress>) Refuse(Refusal::kTooLarge);
      return;
    }
    if (list->empty()) list->reserve(max);
    Part& part = list->emplace_back();
    SetToZero(&part);
    TakePart(bytes, depth, &part);
  }

  // Each plane p counts 2^p times.
  void TakePlane(std::uint64_t plane, Cover* cover) {
    if (planes_ == kPlanes) return Refuse(Refusal::kTooLarge);
    for (std::uint32_t n = 0; n < 1u << planes_; ++n) cover->Add(plane);
    ++planes_;
  }

  // False: the field is of another type.
  template <class F, class Value>
  bool TakeField(const F& field, Wire wire, Reader* in, int depth, Value* value) {
    if constexpr (F::form == Form::kVarint) {
      if (wire != Wire::kVarint) return false;
      TakeNumber(in->Varint(), field.max, value);
    } else if constexpr (F::form == Form::kFixed) {
      if (wire != Wire::kFixed64) return false;
      *value = in->Fixed<std::uint64_t>();
    } else if constexpr (F::form == Form::kCover) {
      if (wire == Wire::kFixed64) {
        TakePlane(in->Fixed<std::uint64_t>(), value);
        return true;
      }
      if (wire != Wire::kDelimited) return false;
      Reader packed = in->Delimited();
      while (packed.more() && !why_) TakePlane(packed.Fixed<std::uint64_t>(), value);
      if (!packed.ok()) Refuse(Refusal::kMalformed);
    } else {
      if (wire != Wire::kDelimited) return false;
      const Reader bytes = in->Delimited();
      if (!in->ok()) return true;  // the length is longer than the message
      if constexpr (F::form == Form::kList) {
        TakeListed(bytes, depth, field.max, value);
      } else if constexpr (F::form == Form::kMessage) {
        TakePart(bytes, depth, value);
      } else {
        TakeBytes(bytes, field.max, F::form == Form::kText, value);
      }
    }
    return true;
  }

  std::optional<Refusal> why_;
  std::size_t planes_ = 0;  // of the cover so far
};

// Makes *message an empty one of this kind.
template <std::size_t... kKind>
void Begin(std::uint32_t kind, PeerMessage* message, std::index_sequence<kKind...>) {
  static_cast<void>(((kind == kKind && (SetToZero(&message->emplace<kKind>()), true)) || ...));
}

// Bytes of a field of one message within another; its tag takes one.
std::size_t DelimitedSize(std::size_t bytes) { return 1 + shard::VarintSize(bytes) + bytes; }

}  // namespace

std::size_t EncodedSize(const PeerMessage& message) {
  Counter size;
  PutMessage(message, &size);
  return size.bytes;
}

std::string Encode(const PeerMessage& message) {
  std::string bytes(EncodedSize(message), '\0');
  Writer out{reinterpret_cast<std::uint8_t*>(bytes.data())};
  PutMessage(message, &out);
  return bytes;
}

std::size_t BatchedSize(std::size_t frame_bytes) { return DelimitedSize(frame_bytes); }

std::string EncodeFrames(std::span<const shard::Frame* const> frames) {
  std::size_t size = 0;
  std::vector<std::size_t> sizes;
  for (const shard::Frame* frame : frames) size += DelimitedSize(sizes.emplace_back(shard::EncodedSize(*frame)));
  std::string bytes(DelimitedSize(size), '\0');
  Writer out{reinterpret_cast<std::uint8_t*>(bytes.data())};
  constexpr int kFrames = 2;
  shard::PutTag(kFrames, Wire::kDelimited, &out);
  out.Varint(size);
  for (std::size_t n = 0; n < frames.size(); ++n) {
    shard::PutTag(1, Wire::kDelimited, &out);
    out.Varint(sizes[n]);
    out.at = shard::Encode(*frames[n], out.at);
  }
  return bytes;
}

std::optional<Refusal> Decode(std::string_view bytes, PeerMessage* message) {
  if (bytes.size() > kMessageBytesMax) return Refusal::kTooLarge;
  message->emplace<std::monostate>();
  Taker taker;
  bool twice = false;
  const bool whole = ForEachField(Reader(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()),
                                  [&](std::uint32_t kind, Wire wire, Reader* in) {
                                    if (kind == 0 || kind >= kKinds || wire != Wire::kDelimited) return false;
                                    const Reader body = in->Delimited();
                                    twice = twice || message->index() != 0;
                                    if (!in->ok() || twice || taker.why()) return true;
                                    Begin(kind, message, std::make_index_sequence<kKinds>{});
                                    std::visit(
                                        [&](auto& begun) {
                                          if constexpr (!std::is_same_v<decltype(begun), std::monostate&>)
                                            taker.Take(body, 1, &begun);
                                        },
                                        *message);
                                    return true;
                                  });
  if (!whole || twice) return Refusal::kMalformed;
  if (taker.why()) return taker.why();
  if (message->index() == 0) return Refusal::kBadEntry;
  return std::nullopt;
}

}  // namespace lvs::tab
