// The codec of peer messages against protobuf's own (TEST-3.1, SPEC-10, TEST-7): both write the same bytes, and read
// each other's; what lies beyond a bound is refused before it is copied.
#include "shard/tab/peer_message.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include <cctype>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lvs/v1/peer.pb.h"
#include "shard/frame_codec.h"
#include "tests/allocations.h"
#include "tests/shard/generator.h"

namespace lvs::tab {
namespace {

using google::protobuf::FieldDescriptor;
using shard::Generator;
using vaultguard::Refusal;

// Bounds as peer.proto states them: the largest number, the most bytes of a text, the most parts of a list.
const std::map<std::string, std::uint64_t>& Bounds() {
  static const std::map<std::string, std::uint64_t> kBounds = {
      {"TabHello.micro_nodes", 65'536},
      {"TabHello.links", 1024},
      {"TabHello.cadence_cycles", 100},
      {"Hello.build", 256},
      {"Hello.region", 256},
      {"Hello.advertise", 256},
      {"FrameBatch.frames", 1024},
      {"PeerAddress.address", 256},
      {"PeerAddress.region", 256},
      {"PeerExchange.peers", 32},
      {"Goodbye.reason", 256},
      {"TabCard.micro_nodes", 65'536},
      {"TabCard.links", 1024},
      {"TabWelcome.shards", 64},
      {"TabNeed.wanted", 12},
      {"TabNeed.links", 1024},
      {"TabNeed.linked", 32},
      {"TabSample.cards", 12},
      {"TabOffer.description", 8192},
      {"TabAnswer.description", 8192},
      {"TabPlace.cadence_cycles", 100},
      {"TabPlace.halo_rows", 1024},
      {"TabRelay.message", 16'384},
      {"TabRefusal.retry_ms", 3'600'000},
      {"TabRefusal.words", 256},
      {"TabWalk.path", 8},
      {"TabWalk.description", 8192},
      {"TabWalkReply.path", 8},
      {"TabWalkReply.description", 8192},
      {"TabStanding.cover_plane", 4},
      {"TabAdopt.shard", 63},
      {"BuildNews.builds", 8},
      {"BuildSeen.build", 64},
  };
  return kBounds;
}

std::optional<std::uint64_t> BoundOf(const FieldDescriptor& field) {
  const auto found = Bounds().find(field.containing_type()->name() + "." + field.name());
  return found == Bounds().end() ? std::nullopt : std::optional(found->second);
}

std::uint64_t RandomNumber(Generator* g, std::uint64_t max) {
  const std::uint64_t any = g->Chance(0.2) ? 0 : g->Next() >> g->Below(64);
  return g->Chance(0.1) ? max : max == ~std::uint64_t{0} ? any : any % (max + 1);
}

std::string RandomText(Generator* g, std::uint64_t max) {
  static const std::vector<std::string> kParts = {"a", "\n", std::string(1, '\0'), "\u00e9", "\u20ac", "\U0001F30D"};
  std::string text;
  const std::size_t wanted = g->Chance(0.1) ? max : g->Below(40);
  while (text.size() < wanted) text += kParts[g->Below(static_cast<std::uint32_t>(kParts.size()))];
  while (text.size() > max) text = std::string(max, 'x');
  return text;
}

// Fills in every field, or leaves it out, within its bound.
void Randomise(Generator* g, google::protobuf::Message* message, double leave_out = 0.2) {
  const auto& reflection = *message->GetReflection();
  for (int n = 0; n < message->GetDescriptor()->field_count(); ++n) {
    const FieldDescriptor& field = *message->GetDescriptor()->field(n);
    if (field.containing_oneof() != nullptr || g->Chance(leave_out)) continue;
    const std::uint64_t bound = BoundOf(field).value_or(~std::uint64_t{0});
    if (field.is_repeated()) {
      const std::uint64_t parts = g->Chance(0.1) ? bound : g->Below(static_cast<std::uint32_t>(bound) + 1) % 9;
      for (std::uint64_t part = 0; part < parts; ++part) {
        if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
          Randomise(g, reflection.AddMessage(message, &field));
        } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64) {
          reflection.AddUInt64(message, &field, g->Next() | (part + 1 == parts ? 1 : 0));
        } else {
          reflection.AddString(message, &field, RandomText(g, 30));
        }
      }
      continue;
    }
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE: Randomise(g, reflection.MutableMessage(message, &field)); break;
      case FieldDescriptor::CPPTYPE_UINT64: reflection.SetUInt64(message, &field, RandomNumber(g, bound)); break;
      case FieldDescriptor::CPPTYPE_UINT32:
        reflection.SetUInt32(message, &field,
                             static_cast<std::uint32_t>(RandomNumber(g, std::min<std::uint64_t>(bound, ~0u))));
        break;
      case FieldDescriptor::CPPTYPE_BOOL: reflection.SetBool(message, &field, g->Chance(0.5)); break;
      case FieldDescriptor::CPPTYPE_ENUM:
        reflection.SetEnumValue(message, &field, static_cast<int>(g->Below(v1::TabReason_MAX + 1)));
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        reflection.SetString(message, &field, RandomText(g, std::min<std::uint64_t>(bound, 256)));
        break;
      default: FAIL() << field.full_name();
    }
  }
}

v1::PeerMessage RandomMessage(Generator* g, int kind) {
  v1::PeerMessage message;
  const FieldDescriptor* field = v1::PeerMessage::descriptor()->FindFieldByNumber(kind);
  Randomise(g, message.GetReflection()->MutableMessage(&message, field));
  return message;
}

// A sub-message that every message of ours has is written even where it is empty.
void Complete(google::protobuf::Message* message) {
  const auto& reflection = *message->GetReflection();
  for (int n = 0; n < message->GetDescriptor()->field_count(); ++n) {
    const FieldDescriptor& field = *message->GetDescriptor()->field(n);
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (field.is_repeated()) {
      for (int part = 0; part < reflection.FieldSize(*message, &field); ++part) {
        Complete(reflection.MutableRepeatedMessage(message, &field, part));
      }
    } else if (reflection.HasField(*message, &field) ||
               (field.containing_oneof() == nullptr && field.name() != "tab") ||
               field.full_name() == "lvs.v1.TabCard.tab") {
      Complete(reflection.MutableMessage(message, &field));
    }
  }
}

// The reason for which protobuf's view of a message must be refused.
bool IsBeyondBounds(const google::protobuf::Message& message) {
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> set;
  reflection.ListFields(message, &set);
  for (const FieldDescriptor* field : set) {
    const std::uint64_t bound = BoundOf(*field).value_or(~std::uint64_t{0});
    if (field->is_repeated()) {
      if (static_cast<std::uint64_t>(reflection.FieldSize(message, field)) > bound && field->name() != "peers")
        return true;
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
      if (reflection.GetUInt32(message, field) > bound) return true;
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      if (reflection.GetString(message, field).size() > bound) return true;
    }
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    for (int part = 0; field->is_repeated() && part < reflection.FieldSize(message, field); ++part) {
      if (IsBeyondBounds(reflection.GetRepeatedMessage(message, field, part))) return true;
    }
    if (!field->is_repeated() && IsBeyondBounds(reflection.GetMessage(message, field))) return true;
  }
  return false;
}

std::string Name(std::optional<Refusal> why) { return why ? std::string(vaultguard::Name(*why)) : "accepted"; }

TEST(PeerMessage, Test3_1EveryKindRoundTripsAgainstProtobuf) {
  std::set<int> kinds;
  PeerMessage ours;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    for (int kind = 1; kind < static_cast<int>(kKinds); ++kind) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << " kind " << kind);
      Generator g(seed * 100 + static_cast<std::uint64_t>(kind));
      v1::PeerMessage theirs = RandomMessage(&g, kind);
      const std::string sparse = theirs.SerializeAsString();
      ASSERT_EQ(Name(Decode(sparse, &ours)), "accepted") << theirs.ShortDebugString();
      EXPECT_EQ(KindOf(ours), static_cast<std::uint32_t>(kind));
      Complete(&theirs);
      const std::string bytes = Encode(ours);
      ASSERT_EQ(bytes, theirs.SerializeAsString()) << theirs.ShortDebugString();
      EXPECT_EQ(EncodedSize(ours), bytes.size());
      kinds.insert(kind);
    }
  }
  // Hubs tell news of tabs to each other only: the codec of tabs does not know that kind.
  EXPECT_EQ(v1::PeerMessage::kHubNewsFieldNumber, static_cast<int>(kKinds));
  EXPECT_EQ(kinds.size() + 1, static_cast<std::size_t>(v1::PeerMessage::descriptor()->field_count()));
}

// What a field is called on both sides: a round trip alone would not notice two fields that are exchanged.
TEST(PeerMessage, FieldsAreThoseOfTheProtocol) {
  const TabId a{1, 2}, b{3, 4};
  const Card card{a, 0xf0, 7, 9};
  Cover cover;
  for (int n = 0; n < 5; ++n) cover.Add(0x3);
  cover.Add(0x4);
  Hello hello{1, 3, "b", 11, 12, "eu", "h:1", 16, 2, 3, 100'000, 32, TabHello{0xf, 5, 6, 10, true}};
  const std::string card_text = "{ tab { high: 1 low: 2 } shard_mask: 240 micro_nodes: 7 links: 9 }";
  const std::vector<std::pair<PeerMessage, std::string>> cases = {
      {hello,
       "hello { protocol_min: 1 protocol_max: 3 build: 'b' session_high: 11 session_low: 12 region: 'eu' advertise: "
       "'h:1' "
       "shards: 16 value_slots: 2 free_coordinates: 3 period_us: 100000 halo_rows: 32 tab { shard_mask: 15 "
       "micro_nodes: 5 links: 6 cadence_cycles: 10 json: true } }"},
      {FrameBatch{{"x", ""}}, "frames { frames: 'x' frames: '' }"},
      {PeerExchange{{{"h:1", "eu", 5}}}, "peers { peers { address: 'h:1' region: 'eu' age_s: 5 } }"},
      {EchoRequest{5}, "ping { sent_us: 5 }"},
      {EchoReply{5}, "pong { sent_us: 5 }"},
      {Goodbye{"closed"}, "goodbye { reason: 'closed' }"},
      {Announce{card}, "announce { card " + card_text + "}"},
      {Welcome{Reason::kTabsFull, 16, 3}, "welcome { reason: TAB_REASON_TABS_FULL shards: 16 scarce_groups: 3 }"},
      {Need{1, 2, 3, 4, {a, b}},
       "need { number: 1 shard_mask: 2 wanted: 3 links: 4 linked { high: 1 low: 2 } linked { high: 3 low: 4 } }"},
      {Sample{7, {card}}, "sample { number: 7 cards " + card_text + "}"},
      {Offer{b, card, 8, true, "v=0"},
       "offer { to { high: 3 low: 4 } from " + card_text + " attempt: 8 urgent: true description: 'v=0' }"},
      {Answer{b, card, 8, Reason::kFull, "v=0"},
       "answer { to { high: 3 low: 4 } from " + card_text + " attempt: 8 reason: TAB_REASON_FULL description: 'v=0' }"},
      {Place{true, Reason::kReplaced, 10, 4},
       "place { given: true reason: TAB_REASON_REPLACED cadence_cycles: 10 halo_rows: 4 }"},
      {Relay{a, b, "bytes"}, "relay { to { high: 1 low: 2 } from { high: 3 low: 4 } message: 'bytes' }"},
      {Refused{Reason::kTooFast, 9, 2, 1000, "wait"},
       "refusal { reason: TAB_REASON_TOO_FAST kind: 9 number: 2 retry_ms: 1000 words: 'wait' }"},
      {Walk{card, 8, 0xff, true, false, {a, b}, "v=0"},
       "walk { from " + card_text +
           " attempt: 8 want: 255 roam: true path { high: 1 low: 2 } path { high: 3 low: 4 } description: 'v=0' }"},
      {WalkReply{card, 8, Reason::kNobody, {a}, "v=0"},
       "walk_reply { from " + card_text +
           " attempt: 8 reason: TAB_REASON_NOBODY path { high: 1 low: 2 } description: 'v=0' }"},
      {Ping{card, true, cover},
       "standing { card " + card_text + " served: true cover_plane: 7 cover_plane: 0 cover_plane: 3 }"},
      {AdoptRequest{12}, "adopt { shard: 12 }"},
      {BuildNews{{{"0.2", 3, 4}}}, "builds { builds { build: '0.2' protocol: 3 nodes: 4 } }"},
  };
  ASSERT_EQ(cases.size() + 1, kKinds);
  for (const auto& [ours, text] : cases) {
    v1::PeerMessage theirs;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &theirs)) << text;
    EXPECT_EQ(Encode(ours), theirs.SerializeAsString()) << text;
    const std::string bytes = theirs.SerializeAsString();
    PeerMessage back;
    ASSERT_EQ(Name(Decode(bytes, &back)), "accepted") << text;
    EXPECT_EQ(Encode(back), Encode(ours)) << text;
  }
}

TEST(PeerMessage, ReasonsHaveTheNamesOfTheProtocol) {
  ASSERT_EQ(static_cast<int>(Reason::kCount), v1::TabReason_descriptor()->value_count());
  for (int n = 0; n < v1::TabReason_descriptor()->value_count(); ++n) {
    std::string name = "TAB_REASON_";
    for (const char c : tab::Name(static_cast<Reason>(n))) name += static_cast<char>(std::toupper(c));
    EXPECT_EQ(v1::TabReason_Name(n), name);
  }
  // A reason of a later version is a refusal all the same.
  v1::PeerMessage theirs;
  theirs.mutable_answer()->set_reason(static_cast<v1::TabReason>(77));
  PeerMessage ours;
  ASSERT_EQ(Name(Decode(theirs.SerializeAsString(), &ours)), "accepted");
  EXPECT_EQ(std::get<Answer>(ours).reason, Reason::kFailed);
}

TEST(PeerMessage, Spec10WhatLiesBeyondABoundIsRefused) {
  PeerMessage ours;
  std::set<std::string> tried;
  for (int kind = 1; kind < static_cast<int>(kKinds); ++kind) {
    v1::PeerMessage message;
    const auto beyond = [&](auto&& self, google::protobuf::Message* part) -> void {
      const auto& reflection = *part->GetReflection();
      for (int n = 0; n < part->GetDescriptor()->field_count(); ++n) {
        const FieldDescriptor& field = *part->GetDescriptor()->field(n);
        if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
          self(self,
               field.is_repeated() ? reflection.AddMessage(part, &field) : reflection.MutableMessage(part, &field));
        }
        const std::optional<std::uint64_t> bound = BoundOf(field);
        if (!bound) continue;
        for (const std::uint64_t value : {*bound, *bound + 1}) {
          if (field.is_repeated()) {
            while (static_cast<std::uint64_t>(reflection.FieldSize(*part, &field)) < value) {
              if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) reflection.AddMessage(part, &field);
              if (field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64) reflection.AddUInt64(part, &field, 1);
              if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) reflection.AddString(part, &field, "");
            }
          } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
            reflection.SetUInt32(part, &field, static_cast<std::uint32_t>(value));
          } else {
            reflection.SetString(part, &field, std::string(value, 'x'));
          }
          const bool refused = value > *bound && field.name() != "peers";
          EXPECT_EQ(Name(Decode(message.SerializeAsString(), &ours)), refused ? "too_large" : "accepted")
              << field.full_name() << " " << value;
        }
        reflection.ClearField(part, &field);
        tried.insert(field.containing_type()->name() + "." + field.name());
      }
    };
    beyond(beyond,
           message.GetReflection()->MutableMessage(&message, v1::PeerMessage::descriptor()->FindFieldByNumber(kind)));
  }
  EXPECT_EQ(tried.size(), Bounds().size());
  EXPECT_EQ(Name(Decode(std::string(kMessageBytesMax + 1, '\0'), &ours)), "too_large");
}

TEST(PeerMessage, Spec10UnknownKindsSecondKindsAndWhatIsNoTextAreRefused) {
  google::protobuf::LogSilencer quiet;
  PeerMessage ours;
  EXPECT_EQ(Name(Decode("", &ours)), "bad_entry");
  EXPECT_EQ(Name(Decode(std::string_view("\xaa\x06\x00", 3), &ours)), "bad_entry") << "kind 101";
  EXPECT_EQ(Name(Decode(std::string_view("\x12\x00\x12\x00", 4), &ours)), "malformed") << "two kinds";
  for (const std::string_view bad :
       {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xe2\x82"}) {
    const std::string reason = std::string("\x0a") + static_cast<char>(bad.size()) + std::string(bad);
    const std::string bytes = std::string("\x32") + static_cast<char>(reason.size()) + reason;
    EXPECT_EQ(Name(Decode(bytes, &ours)), "malformed");
    EXPECT_FALSE(v1::PeerMessage().ParseFromString(bytes));
  }
}

// Against protobuf's parser, and counting what is allocated.
TEST(PeerMessage, Test7MutatedAndRandomBytesAreReadAsProtobufReadsThemAndTakeBoundedMemory) {
  google::protobuf::LogSilencer quiet;
  std::map<std::string, int> outcomes;
  PeerMessage ours;
  for (std::uint64_t seed = 0; seed < 6000; ++seed) {
    SCOPED_TRACE(seed);
    Generator g(seed);
    std::string bytes;
    if (g.Chance(0.2)) {
      for (std::uint32_t n = g.Below(200); n > 0; --n) bytes += static_cast<char>(g.Next());
    } else {
      bytes = RandomMessage(&g, 1 + static_cast<int>(g.Below(kKinds - 1))).SerializeAsString();
    }
    for (std::uint32_t n = g.Below(4); n > 0 && !bytes.empty(); --n) {
      const std::uint32_t at = g.Below(static_cast<std::uint32_t>(bytes.size()));
      switch (g.Below(5)) {
        case 0: bytes[at] = static_cast<char>(g.Next()); break;
        case 1: bytes.resize(at); break;
        case 2: bytes.insert(at, 1, static_cast<char>(g.Next())); break;
        case 3: bytes.insert(at, bytes.substr(at, g.Below(40))); break;
        case 4: bytes.erase(at, 1 + g.Below(3)); break;
      }
    }
    v1::PeerMessage theirs;
    const bool parsed = theirs.ParseFromString(bytes);
    if (theirs.has_hub_news()) continue;  // of no kind that tabs know
    google::protobuf::Empty fields;
    int kinds = 0;
    if (parsed && fields.ParseFromString(bytes)) {
      const auto& unknown = fields.GetReflection()->GetUnknownFields(fields);
      for (int n = 0; n < unknown.field_count(); ++n) {
        kinds += unknown.field(n).type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED &&
                 unknown.field(n).number() < static_cast<int>(kKinds);
      }
    }
    const std::string expected = !parsed || kinds > 1                                  ? "malformed"
                                 : theirs.kind_case() == v1::PeerMessage::KIND_NOT_SET ? "bad_entry"
                                 : IsBeyondBounds(theirs)                              ? "too_large"
                                                                                       : "accepted";
    ours.emplace<std::monostate>();
    allocated_bytes = 0;
    const std::optional<Refusal> why = Decode(bytes, &ours);
    EXPECT_LE(allocated_bytes, bytes.size() + kMessageMemory);
    // With several faults, either may be named first.
    if (expected == "malformed" && why) {
      ++outcomes["malformed"];
      continue;
    }
    ++outcomes[expected];
    ASSERT_EQ(Name(why), expected) << theirs.ShortDebugString();
    if (why) continue;
    theirs.DiscardUnknownFields();
    Complete(&theirs);
    v1::PeerMessage back;
    ASSERT_TRUE(back.ParseFromString(Encode(ours)));
    if (theirs.has_peers()) {
      while (theirs.peers().peers_size() > 32) theirs.mutable_peers()->mutable_peers()->RemoveLast();
    }
    // Planes of no bits at the end are left out, and a reason of a later version has no number here.
    if (theirs.has_standing()) {
      auto* planes = theirs.mutable_standing()->mutable_cover_plane();
      while (!planes->empty() && planes->at(planes->size() - 1) == 0) planes->RemoveLast();
    }
    const auto known = [](v1::TabReason reason) {
      return reason >= 0 && reason <= v1::TabReason_MAX ? reason : v1::TAB_REASON_FAILED;
    };
    if (theirs.has_welcome()) theirs.mutable_welcome()->set_reason(known(theirs.welcome().reason()));
    if (theirs.has_answer()) theirs.mutable_answer()->set_reason(known(theirs.answer().reason()));
    if (theirs.has_place()) theirs.mutable_place()->set_reason(known(theirs.place().reason()));
    if (theirs.has_refusal()) theirs.mutable_refusal()->set_reason(known(theirs.refusal().reason()));
    if (theirs.has_walk_reply()) theirs.mutable_walk_reply()->set_reason(known(theirs.walk_reply().reason()));
    ASSERT_EQ(back.ShortDebugString(), theirs.ShortDebugString());
  }
  EXPECT_GT(outcomes["accepted"], 1000);
  EXPECT_GT(outcomes["malformed"], 500);
  EXPECT_GT(outcomes["bad_entry"], 5);
  EXPECT_GT(outcomes["too_large"], 1);
}

TEST(PeerMessage, FramesAreWrittenAsProtobufWritesThem) {
  std::vector<shard::Frame> frames(3);
  std::vector<const shard::Frame*> pointers;
  v1::PeerMessage theirs;
  std::size_t size = kBatchHeaderBytes;
  for (shard::Frame& frame : frames) {
    frame.shard = static_cast<std::uint32_t>(pointers.size());
    frame.entries.resize(100 * pointers.size());
    pointers.push_back(&frame);
    std::string bytes(shard::EncodedSize(frame), '\0');
    shard::Encode(frame, reinterpret_cast<std::uint8_t*>(bytes.data()));
    size += BatchedSize(bytes.size());
    theirs.mutable_frames()->add_frames(bytes);
  }
  const std::string bytes = EncodeFrames(pointers);
  EXPECT_EQ(bytes, theirs.SerializeAsString());
  EXPECT_LE(bytes.size(), size);
  PeerMessage ours;
  ASSERT_EQ(Name(Decode(bytes, &ours)), "accepted");
  const auto& batch = std::get<FrameBatch>(ours);
  ASSERT_EQ(batch.frames.size(), 3u);
  EXPECT_EQ(batch.frames[2], theirs.frames().frames(2));
}

}  // namespace
}  // namespace lvs::tab
