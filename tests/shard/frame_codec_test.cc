// The frame codec against protobuf's own (SPEC-6.2, SPEC-10, TEST-7): it writes what protobuf writes, reads and refuses
// what protobuf's parser reads and refuses, and takes no memory for input that is larger than any frame.
#include "shard/frame_codec.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lvs/v1/messages.pb.h"
#include "shard/message_sizes.h"
#include "shard/reuse.h"
#include "tests/shard/generator.h"

namespace lvs::shard {
namespace {

using vaultguard::Refusal;

// A number of any length in bytes, often zero.
std::uint64_t AnyLength(Generator* g) { return g->Chance(0.2) ? 0 : g->Next() >> g->Below(64); }

Frame RandomFrame(Generator* g) {
  Frame f;
  f.shard = static_cast<std::uint32_t>(AnyLength(g));
  f.cycle = AnyLength(g);
  f.sender = {AnyLength(g), AnyLength(g)};
  f.value_slots = static_cast<int>(g->Below(vaultguard::kMaxValueSlots + 1));
  const auto amounts = [&] {
    SlotAmounts a{};
    for (int s = 0; s < f.value_slots; ++s)
      a[static_cast<std::size_t>(s)] = static_cast<std::int64_t>(AnyLength(g) >> 1);
    return a;
  };
  f.total_uvu = amounts();
  f.ledger_digest = AnyLength(g);
  f.news_from = AnyLength(g);
  f.news_to = AnyLength(g);
  f.acknowledged = AnyLength(g);
  f.acknowledged_of = AnyLength(g);
  for (std::uint32_t n = g->Chance(0.3) ? 0 : g->Below(30); n > 0; --n) {
    f.entries.push_back({{AnyLength(g), AnyLength(g)}, AnyLength(g), amounts()});
  }
  const std::uint32_t rows = g->Chance(0.3) ? 0 : g->Below(g->Chance(0.1) ? 1000 : 30);
  for (std::uint32_t n = 0; n < rows; ++n) {
    f.halo_row.push_back(static_cast<std::uint32_t>(AnyLength(g)));
    f.published_cycle.push_back(static_cast<std::uint32_t>(AnyLength(g)));
    f.drift_weight.push_back(static_cast<std::uint8_t>(AnyLength(g)));
    f.entropy.push_back(static_cast<std::uint32_t>(AnyLength(g)));
    for (int c = 0; c < 3; ++c) f.diff.push_back(g->Chance(0.2) ? 0.0f : g->Around(100));
  }
  const auto number = [g] { return g->Chance(0.3) ? 0.0f : g->Chance(0.3) ? -0.0f : g->Around(1); };
  f.beacon = {static_cast<std::uint32_t>(AnyLength(g)), number(), number(), g->Chance(0.3)};
  if (g->Chance(0.5)) {
    f.correction = g->Chance(0.5) ? Correction::kSyncAll : Correction::kSyncBuckets;
    f.correction_buckets = g->Chance(0.3) ? 0 : g->Below(65'536);
  }
  if (g->Chance(0.3)) {
    while (f.bucket_digest.size() < Ledger::kBuckets) f.bucket_digest.push_back(AnyLength(g));
  }
  for (std::uint32_t n = g->Chance(0.5) ? 0 : g->Below(2 * vaultguard::kMaxHeldRanges + 1); n > 0; --n) {
    f.held.push_back(AnyLength(g));
  }
  f.news_all = AnyLength(g);
  return f;
}

std::string Encoded(const Frame& frame) {
  std::string bytes(EncodedSize(frame), '\0');
  auto* const begin = reinterpret_cast<std::uint8_t*>(bytes.data());
  EXPECT_EQ(Encode(frame, begin), begin + bytes.size());
  return bytes;
}

std::optional<Refusal> Decoded(const v1::Frame& proto, Frame* frame) {
  return Decode(proto.SerializeAsString(), frame);
}

template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}
bool SameBits(float a, float b) { return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b); }

// Name of a field in which two frames differ, bit by bit; empty for equal ones.
std::string Difference(const Frame& a, const Frame& b) {
  if (a.shard != b.shard) return "shard";
  if (a.cycle != b.cycle) return "cycle";
  if (a.sender != b.sender) return "sender";
  if (a.value_slots != b.value_slots) return "value_slots";
  if (a.total_uvu != b.total_uvu) return "total_uvu";
  if (a.ledger_digest != b.ledger_digest) return "ledger_digest";
  if (a.news_from != b.news_from) return "news_from";
  if (a.news_to != b.news_to) return "news_to";
  if (a.acknowledged != b.acknowledged) return "acknowledged";
  if (a.acknowledged_of != b.acknowledged_of) return "acknowledged_of";
  if (a.entries != b.entries) return "entries";
  if (!SameBits(a.halo_row, b.halo_row)) return "halo_row";
  if (!SameBits(a.published_cycle, b.published_cycle)) return "published_cycle";
  if (!SameBits(a.drift_weight, b.drift_weight)) return "drift_weight";
  if (!SameBits(a.diff, b.diff)) return "diff";
  if (!SameBits(a.entropy, b.entropy)) return "entropy";
  if (a.beacon.replicas != b.beacon.replicas) return "beacon.replicas";
  if (!SameBits(a.beacon.load, b.beacon.load)) return "beacon.load";
  if (!SameBits(a.beacon.low_power_share, b.beacon.low_power_share)) return "beacon.low_power_share";
  if (a.beacon.leaving != b.beacon.leaving) return "beacon.leaving";
  if (a.correction != b.correction) return "correction";
  if (a.correction_buckets != b.correction_buckets) return "correction_buckets";
  if (!SameBits(a.bucket_digest, b.bucket_digest)) return "bucket_digest";
  if (!SameBits(a.held, b.held)) return "held";
  if (a.news_all != b.news_all) return "news_all";
  return "";
}

// ---- The same by protobuf's parser ----

bool IsLargerThanAnyFrame(const v1::Frame& proto) {
  constexpr int kRows = vaultguard::kMaxFrameRows;
  return proto.entries_size() > static_cast<int>(vaultguard::kMaxFrameEntries) || proto.halo_row_size() > kRows ||
         proto.published_cycle_size() > kRows || proto.drift_weight().size() > vaultguard::kMaxFrameRows ||
         proto.entropy_size() > kRows || proto.diff_size() > kRows * vaultguard::kMaxDimensions ||
         proto.bucket_digest_size() > Ledger::kBuckets ||
         proto.held_range_size() > static_cast<int>(2 * vaultguard::kMaxHeldRanges);
}

std::optional<Refusal> FromProto(const v1::Frame& proto, Frame* frame) {
  if (IsLargerThanAnyFrame(proto)) return Refusal::kTooLarge;
  if (proto.total_uvu_size() > vaultguard::kMaxValueSlots) return Refusal::kWrongDimension;
  Frame out;
  out.shard = proto.shard_id();
  out.cycle = proto.cycle_id();
  out.sender = {proto.session_high(), proto.session_low()};
  out.value_slots = proto.total_uvu_size();
  for (int s = 0; s < out.value_slots; ++s) {
    out.total_uvu[static_cast<std::size_t>(s)] = static_cast<std::int64_t>(proto.total_uvu(s));
  }
  out.ledger_digest = proto.ledger_digest();
  out.news_from = proto.news_from();
  out.news_to = proto.news_to();
  out.acknowledged = proto.acknowledged();
  out.acknowledged_of = proto.acknowledged_session_low();
  for (const v1::LedgerEntry& e : proto.entries()) {
    if (e.amount_uvu_size() != out.value_slots) return Refusal::kWrongDimension;
    LedgerEntry entry{{e.session_high(), e.session_low()}, e.opened_cycle()};
    for (int s = 0; s < out.value_slots; ++s) {
      entry.amount_uvu[static_cast<std::size_t>(s)] = static_cast<std::int64_t>(e.amount_uvu(s));
    }
    out.entries.push_back(entry);
  }
  out.halo_row.assign(proto.halo_row().begin(), proto.halo_row().end());
  out.published_cycle.assign(proto.published_cycle().begin(), proto.published_cycle().end());
  out.drift_weight.assign(proto.drift_weight().begin(), proto.drift_weight().end());
  out.diff.assign(proto.diff().begin(), proto.diff().end());
  out.entropy.assign(proto.entropy().begin(), proto.entropy().end());
  out.beacon = {proto.beacon().replicas(), proto.beacon().load(), proto.beacon().low_power_share(),
                proto.beacon().leaving()};
  switch (proto.correction().kind()) {
    case v1::CorrectionSignal::KIND_SYNC_ALL: out.correction = Correction::kSyncAll; break;
    case v1::CorrectionSignal::KIND_SYNC_BUCKETS: out.correction = Correction::kSyncBuckets; break;
    default: break;
  }
  out.correction_buckets = proto.correction().bucket_mask();
  out.bucket_digest.assign(proto.bucket_digest().begin(), proto.bucket_digest().end());
  out.held.assign(proto.held_range().begin(), proto.held_range().end());
  out.news_all = proto.news_all();
  *frame = out;
  return std::nullopt;
}

// Outcomes of many comparisons: a test that never accepts, or never refuses, shows nothing.
struct Outcomes {
  int accepted = 0;
  int malformed = 0;
  int refused = 0;       // for their content
  int with_entries = 0;  // accepted ones
  int with_rows = 0;
};

// Checks that both decoders give the same result for the same bytes.
::testing::AssertionResult Agree(const std::string& bytes, Frame* ours, Outcomes* outcomes) {
  v1::Frame proto;
  Frame by_protobuf;
  const bool parsed = proto.ParseFromString(bytes);
  const std::optional<Refusal> expected = parsed ? FromProto(proto, &by_protobuf) : std::nullopt;
  const std::optional<Refusal> refused = Decode(bytes, ours);
  const auto name = [](std::optional<Refusal> why) { return why ? std::string(Name(*why)) : "accepted"; };
  if (!parsed) {
    // With several faults, either may be named first.
    ++outcomes->malformed;
    if (refused) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "protobuf does not parse what is accepted here";
  }
  ++(expected ? outcomes->refused : outcomes->accepted);
  if (refused != expected) {
    return ::testing::AssertionFailure() << name(refused) << " instead of " << name(expected);
  }
  if (refused) return ::testing::AssertionSuccess();
  outcomes->with_entries += ours->entries.empty() ? 0 : 1;
  outcomes->with_rows += ours->halo_row.empty() ? 0 : 1;
  const std::string field = Difference(*ours, by_protobuf);
  return field.empty() ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << field << " differs";
}

// Writes fields as no encoder would: in any order, repeatedly, packed and one by one, with numbers longer than they
// need be, of other types than they should be, unknown ones and groups among them.
class WildWriter {
 public:
  explicit WildWriter(Generator* g) : g_(g) {}

  std::string Message() {
    bytes_.clear();
    total_said_ = false;
    const bool large = g_->Chance(0.05);
    for (std::uint32_t n = g_->Below(large ? 60 : 12); n > 0; --n) Field(large);
    return bytes_;
  }

 private:
  void Varint(std::uint64_t value) {
    // Overlong by some bytes without content, or too long for any number.
    std::uint32_t more = g_->Chance(0.1) ? g_->Below(11) : 0;
    do {
      const bool last = value < 0x80 && more == 0;
      bytes_ += static_cast<char>((value & 0x7f) | (last ? 0 : 0x80));
      if (last) return;
      if (value < 0x80) --more;
      value >>= 7;
    } while (true);
  }
  void Raw(std::size_t n) {
    for (; n > 0; --n) bytes_ += static_cast<char>(g_->Next());
  }
  void Tag(std::uint32_t field, std::uint32_t wire) { Varint(std::uint64_t{field} << 3 | wire); }
  void Delimited(const std::string& body) {
    // A wrong length now and then.
    Varint(g_->Chance(0.01) ? AnyLength(g_) : body.size());
    bytes_ += body;
  }
  void Unknown(int depth) {
    const std::uint32_t field = g_->Chance(0.02) ? 0 : 20 + g_->Below(g_->Chance(0.5) ? 20 : 1u << 28);
    switch (g_->Below(5)) {
      case 0: Tag(field, 0); return Varint(AnyLength(g_));
      case 1: Tag(field, 1); return Raw(8);
      case 2: {
        Tag(field, 2);
        return Delimited(std::string(g_->Below(20), 'x'));
      }
      case 3:
        if (depth > 0) {
          // Up to protobuf's limit, and beyond.
          const std::uint32_t levels = g_->Chance(0.1) ? 97 + g_->Below(6) : 1;
          for (std::uint32_t n = 0; n < levels; ++n) Tag(field, 3);
          if (g_->Chance(0.5)) Unknown(depth - 1);
          for (std::uint32_t n = 0; n < levels; ++n) Tag(field, 4);
          if (g_->Chance(0.02)) Tag(field, 4);
          return;
        }
        [[fallthrough]];
      default: Tag(field, 5); return Raw(4);
    }
  }
  std::string Body(const std::function<void()>& write) {
    std::string outer;
    outer.swap(bytes_);
    write();
    outer.swap(bytes_);
    return outer;
  }
  void Fixeds(std::uint32_t field, std::size_t size, std::uint32_t most) {
    if (g_->Chance(0.4)) {
      for (std::uint32_t n = g_->Below(4); n > 0; --n) {
        Tag(field, size == 8 ? 1 : 5);
        Raw(size);
      }
      return;
    }
    Tag(field, 2);
    Delimited(Body([&] { Raw(size * g_->Below(most) + (g_->Chance(0.02) ? 1 : 0)); }));
  }
  void Varints(std::uint32_t field, std::uint32_t n) {
    if (g_->Chance(0.4)) {
      for (; n > 0; --n) {
        Tag(field, 0);
        Varint(AnyLength(g_));
      }
      return;
    }
    Tag(field, 2);
    Delimited(Body([&] {
      for (; n > 0; --n) Varint(AnyLength(g_));
    }));
  }
  // A number of the type that its field has, or of any.
  void Number(std::uint32_t field, std::uint32_t wire) {
    if (g_->Chance(0.05)) wire = g_->Below(8);
    Tag(field, wire);
    switch (wire) {
      case 0: return Varint(AnyLength(g_));
      case 1: return Raw(8);
      case 2: return Delimited(std::string(g_->Below(9), 'x'));
      case 5: return Raw(4);
      default: return;
    }
  }
  void Entry() {
    for (std::uint32_t n = g_->Below(4); n > 0; --n) {
      const std::uint32_t field = 1 + g_->Below(3);
      Number(field, field == 3 ? 0 : 1);
    }
    if (g_->Chance(0.1)) Unknown(2);
    // As many amounts as the total has slots, mostly.
    Varints(4, g_->Chance(0.05) ? g_->Below(12) : 2);
  }
  void Field(bool large) {
    const std::uint32_t most = large && g_->Chance(0.1) ? 1100 : 20;
    const std::uint32_t field = 1 + g_->Below(20);
    switch (field) {
      case 5:
        if (total_said_ && g_->Chance(0.9)) return;
        total_said_ = true;
        Tag(5, 2);
        return Delimited(Body([&] { Raw(8 * (g_->Chance(0.1) ? g_->Below(11) : 2)); }));
      case 11:
        for (std::uint32_t n = g_->Below(most); n > 0; --n) {
          Tag(11, 2);
          Delimited(Body([&] { Entry(); }));
        }
        return;
      case 12: return Varints(12, g_->Below(most));
      case 13:
      case 16: return Fixeds(field, 4, most);
      case 14: Tag(14, 2); return Delimited(Body([&] { Raw(g_->Below(most)); }));
      case 15: return Fixeds(15, 4, most * 13);
      case 17:
      case 18:
        Tag(field, 2);
        return Delimited(Body([&] {
          for (std::uint32_t n = g_->Below(4); n > 0; --n) {
            const std::uint32_t inner = 1 + g_->Below(3);
            if (field == 18 && inner == 1 && g_->Chance(0.7)) {
              Tag(1, 0);
              Varint(g_->Below(4) + (g_->Chance(0.2) ? std::uint64_t{1} << 32 : 0));
            } else {
              Number(inner, inner == 1 || field == 18 ? 0 : 5);
            }
          }
          if (g_->Chance(0.2)) Unknown(2);
        }));
      case 19: return Fixeds(19, 8, 20);
      case 20: return Unknown(2);
      default: return Number(field, field == 3 || field == 4 || field == 6 || field == 10 ? 1 : 0);
    }
  }

  Generator* g_;
  std::string bytes_;
  bool total_said_ = false;  // in this message
};

TEST(FrameCodec, Spec6_2WireFormRoundTripsAndItsSizeIsKnown) {
  Frame back;
  for (std::uint64_t seed = 0; seed < 1500; ++seed) {
    SCOPED_TRACE(seed);
    Generator g(seed);
    const Frame frame = RandomFrame(&g);
    const std::string bytes = Encoded(frame);
    v1::Frame parsed;
    ASSERT_TRUE(parsed.ParseFromString(bytes));
    EXPECT_EQ(parsed.SerializeAsString(), bytes) << "not as protobuf writes it";
    // Decodes over the frame before, of which nothing may stay.
    ASSERT_EQ(Decode(bytes, &back), std::nullopt);
    ASSERT_EQ(Difference(back, frame), "");
  }
}

TEST(FrameCodec, EmptyFrameRoundTrips) {
  const Frame frame;
  v1::Frame proto;
  proto.mutable_beacon();
  EXPECT_EQ(Encoded(frame), proto.SerializeAsString());
  Frame back;
  ASSERT_EQ(Decode({}, &back), std::nullopt);
  EXPECT_EQ(Difference(back, frame), "");
}

TEST(FrameCodec, WhatATypeCannotHoldIsRefused) {
  v1::Frame proto;
  Frame frame;
  for (int s = 0; s < 9; ++s) proto.add_total_uvu(1);
  EXPECT_EQ(Decoded(proto, &frame), Refusal::kWrongDimension);
  proto.mutable_total_uvu()->Truncate(2);
  EXPECT_EQ(Decoded(proto, &frame), std::nullopt);
  for (const int amounts : {0, 1, 3, 100}) {
    proto.clear_entries();
    v1::LedgerEntry* entry = proto.add_entries();
    for (int s = 0; s < amounts; ++s) entry->add_amount_uvu(1);
    EXPECT_EQ(Decoded(proto, &frame), Refusal::kWrongDimension) << amounts;
  }
  // An amount beyond 63 bits is negative here, and the ledger refuses it.
  proto.clear_entries();
  v1::LedgerEntry* entry = proto.add_entries();
  entry->add_amount_uvu(~std::uint64_t{0});
  entry->add_amount_uvu(0);
  ASSERT_EQ(Decoded(proto, &frame), std::nullopt);
  Ledger ledger(2, {});
  EXPECT_EQ(ledger.Merge(frame.entries[0], 0).refused, Refusal::kBadEntry);
}

// The memory of frames is reused, so input that is larger than any frame must not enlarge it for good.
TEST(FrameCodec, Spec6_2WhatIsLargerThanAnyFrameIsRefusedBeforeItIsCopied) {
  constexpr int kRows = vaultguard::kMaxFrameRows;
  Frame frame;
  const auto refused = [&frame](const auto& inflate) {
    v1::Frame proto;
    inflate(&proto);
    EXPECT_EQ(Decoded(proto, &frame), Refusal::kTooLarge);
    EXPECT_LT(HeldBytes(frame), 1000u);
  };
  refused([](v1::Frame* f) {
    for (std::size_t n = 0; n <= vaultguard::kMaxFrameEntries; ++n) f->add_entries();
  });
  refused([](v1::Frame* f) { f->mutable_halo_row()->Resize(kRows + 1, 0); });
  refused([](v1::Frame* f) { f->mutable_published_cycle()->Resize(kRows + 1, 0); });
  refused([](v1::Frame* f) { f->set_drift_weight(std::string(kRows + 1, ' ')); });
  refused([](v1::Frame* f) { f->mutable_entropy()->Resize(kRows + 1, 0); });
  refused([](v1::Frame* f) { f->mutable_diff()->Resize(kRows * vaultguard::kMaxDimensions + 1, 0); });
  refused([](v1::Frame* f) { f->mutable_bucket_digest()->Resize(Ledger::kBuckets + 1, 0); });
  refused([](v1::Frame* f) { f->mutable_held_range()->Resize(2 * vaultguard::kMaxHeldRanges + 1, 0); });
  v1::Frame largest;
  largest.mutable_halo_row()->Resize(kRows, 0);
  EXPECT_EQ(Decoded(largest, &frame), std::nullopt);
  EXPECT_EQ(frame.halo_row.size(), vaultguard::kMaxFrameRows);
}

// Frames in encodings that our encoder never writes.
TEST(FrameCodec, Spec10ReadsWhatProtobufReads) {
  Generator g(11);
  WildWriter wild(&g);
  Outcomes outcomes;
  Frame frame;
  for (int n = 0; n < 40'000; ++n) {
    const std::string bytes = wild.Message();
    ASSERT_TRUE(Agree(bytes, &frame, &outcomes)) << "message " << n << ", " << bytes.size() << " bytes";
  }
  EXPECT_GT(outcomes.accepted, 10'000);
  EXPECT_GT(outcomes.malformed, 5'000);
  EXPECT_GT(outcomes.refused, 300);
  EXPECT_GT(outcomes.with_entries, 30);
  EXPECT_GT(outcomes.with_rows, 1'000);
}

// Anything may arrive: bytes that were changed on the way, cut off, repeated, or drawn at random.
TEST(FrameCodec, Spec10RandomBytesAreParsedOrRefused) {
  Generator g(3);
  WildWriter wild(&g);
  Outcomes outcomes;
  Frame frame;
  for (int n = 0; n < 40'000; ++n) {
    std::string bytes = n % 3 == 0 ? wild.Message() : Encoded(RandomFrame(&g));
    const auto anywhere = [&] { return g.Below(static_cast<std::uint32_t>(bytes.size())); };
    for (std::uint32_t changes = g.Below(8); changes > 0 && !bytes.empty(); --changes) {
      switch (g.Below(6)) {
        case 0: bytes[anywhere()] = static_cast<char>(g.Next()); break;
        case 1: bytes[anywhere()] ^= static_cast<char>(1 << g.Below(8)); break;
        case 2: bytes.resize(anywhere()); break;
        case 3: bytes.insert(anywhere(), 1, static_cast<char>(g.Next())); break;
        case 4: bytes.erase(anywhere(), 1 + g.Below(8)); break;
        default: bytes += bytes.substr(anywhere(), g.Below(30)); break;
      }
    }
    ASSERT_TRUE(Agree(bytes, &frame, &outcomes)) << "message " << n << ", " << bytes.size() << " bytes";
    // An accepted frame may still be nonsense; CheckFrame must handle it.
    if (n % 16 == 0 && !Decode(bytes, &frame)) (void)CheckFrame(frame, Shape{}, 1, 10, 100);
  }
  EXPECT_GT(outcomes.accepted, 5'000);
  EXPECT_GT(outcomes.malformed, 10'000);
  EXPECT_GT(outcomes.refused, 100);
  EXPECT_GT(outcomes.with_entries, 1'000);
  EXPECT_GT(outcomes.with_rows, 1'000);
}

// Every cut of one frame: at each byte a number, a length or a column ends too early.
TEST(FrameCodec, Spec10CutAnywhere) {
  Outcomes outcomes;
  Frame frame;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Generator g(seed);
    const std::string bytes = Encoded(RandomFrame(&g));
    for (std::size_t n = 0; n < bytes.size() && n < 2000; ++n) {
      ASSERT_TRUE(Agree(bytes.substr(0, n), &frame, &outcomes)) << "seed " << seed << ", cut at " << n;
    }
  }
  EXPECT_GT(outcomes.accepted, 50);
  EXPECT_GT(outcomes.malformed, 1000);
}

// Each of many copies of a column is small enough, but all together are too large.
TEST(FrameCodec, Spec6_2ColumnsSaidInPartsAreBoundedTogether) {
  Frame frame;
  v1::Frame part;
  part.mutable_diff()->Resize(1024, 0);
  std::string bytes;
  for (int n = 0; n < 12; ++n) bytes += part.SerializeAsString();
  EXPECT_EQ(Decode(bytes, &frame), std::nullopt);
  EXPECT_EQ(frame.diff.size(), 12u * 1024);
  Frame fresh;
  bytes += part.SerializeAsString();
  EXPECT_EQ(Decode(bytes, &fresh), Refusal::kTooLarge);
  EXPECT_LT(HeldBytes(fresh), 1000u);
}

// SPEC-12: the bandwidth account counts what protobuf would write.
TEST(FrameCodec, Spec12MessageSizesAreProtobufs) {
  for (int slots = 1; slots <= vaultguard::kMaxValueSlots; ++slots) {
    for (int free = 0; free <= vaultguard::kMaxFreeCoordinates; ++free) {
      const Shape shape{slots, free, 8};
      v1::StateDiff diff;
      diff.set_shard_id(200);
      diff.set_cycle_id(100'000);
      diff.set_drift_weight(0.5f);
      v1::EntropyPacket packet;
      packet.set_timestamp_us(1'700'000'000'000'000);
      packet.set_local_node_load(0.3f);
      for (int c = 0; c < shape.dimensions(); ++c) {
        diff.add_diff_vector(0.1f);
        packet.add_entropy_vector(0.1f);
      }
      v1::LedgerPull pull;
      pull.set_shard_id(200);
      pull.set_cycle_id(100'000);
      pull.set_known_batches(~0ull);
      v1::LedgerNews news;
      news.set_shard_id(200);
      for (int n = 0; n < 2; ++n) {
        news.add_session_high(1);
        news.add_session_low(1);
        news.add_age_cycles(5'000);
        news.add_slot(1);
        news.add_amount_uvu(100'000'000);
      }
      const MessageSizes sizes(shape);
      EXPECT_EQ(sizes.state_diff, diff.ByteSizeLong());
      EXPECT_EQ(sizes.entropy_packet, packet.ByteSizeLong());
      EXPECT_EQ(sizes.ledger_pull, pull.ByteSizeLong());
      EXPECT_EQ(sizes.ledger_entry, news.ByteSizeLong() / 2);
    }
  }
}

}  // namespace
}  // namespace lvs::shard
