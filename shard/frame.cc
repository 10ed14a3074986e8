#include "shard/frame.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "google/protobuf/io/coded_stream.h"
#include "shard/reuse.h"

namespace lvs::shard {

using vaultguard::Refusal;

namespace {

bool IsLargerThanAnyFrame(const v1::Frame& proto) {
  constexpr int kRows = vaultguard::kMaxFrameRows;
  return proto.entries_size() > static_cast<int>(vaultguard::kMaxFrameEntries) || proto.halo_row_size() > kRows ||
         proto.published_cycle_size() > kRows || proto.drift_weight().size() > vaultguard::kMaxFrameRows ||
         proto.entropy_size() > kRows || proto.diff_size() > kRows * vaultguard::kMaxDimensions ||
         proto.bucket_digest_size() > Ledger::kBuckets;
}

}  // namespace

std::optional<Refusal> FromProto(const v1::Frame& proto, Frame* frame) {
  constexpr int kSlots = vaultguard::kMaxValueSlots;
  if (IsLargerThanAnyFrame(proto)) return Refusal::kTooLarge;
  Clear(frame);
  Frame& out = *frame;
  if (proto.total_uvu_size() > kSlots) return Refusal::kWrongDimension;
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
    LedgerEntry entry;
    entry.session = {e.session_high(), e.session_low()};
    entry.opened_cycle = e.opened_cycle();
    for (int s = 0; s < out.value_slots; ++s) {
      entry.amount_uvu[static_cast<std::size_t>(s)] = static_cast<std::int64_t>(e.amount_uvu(s));
    }
    out.entries.push_back(entry);
  }
  // From pointers: whole blocks are copied, where protobuf's iterators give one element after the other.
  const auto copy = [](const auto& field, auto* column) { column->assign(field.data(), field.data() + field.size()); };
  copy(proto.halo_row(), &out.halo_row);
  copy(proto.published_cycle(), &out.published_cycle);
  copy(proto.drift_weight(), &out.drift_weight);
  copy(proto.diff(), &out.diff);
  copy(proto.entropy(), &out.entropy);
  out.beacon = {proto.beacon().replicas(), proto.beacon().load(), proto.beacon().low_power_share()};
  switch (proto.correction().kind()) {
    case v1::CorrectionSignal::KIND_SYNC_ALL: out.correction = Correction::kSyncAll; break;
    case v1::CorrectionSignal::KIND_SYNC_BUCKETS: out.correction = Correction::kSyncBuckets; break;
    default: break;
  }
  out.correction_buckets = proto.correction().bucket_mask();
  copy(proto.bucket_digest(), &out.bucket_digest);
  return std::nullopt;
}

namespace {

using google::protobuf::io::CodedOutputStream;

static_assert(std::endian::native == std::endian::little, "columns are copied to the wire as they are");

// A frame is described once, by Put, to one of two: who counts its bytes, and who writes them.
struct Counter {
  std::size_t bytes = 0;
  void Varint(std::uint64_t value) { bytes += CodedOutputStream::VarintSize64(value); }
  template <typename Number>
  void Varints(const Number* numbers, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) Varint(static_cast<std::uint64_t>(numbers[i]));
  }
  void Raw(const void*, std::size_t n) { bytes += n; }
};
struct Writer {
  std::uint8_t* at;
  void Varint(std::uint64_t value) { at = CodedOutputStream::WriteVarint64ToArray(value, at); }
  template <typename Number>
  void Varints(const Number* numbers, std::size_t n) {
    std::uint8_t* to = at;  // not a member, which any byte that is written could be a part of
    for (std::size_t i = 0; i < n; ++i) {
      to = CodedOutputStream::WriteVarint64ToArray(static_cast<std::uint64_t>(numbers[i]), to);
    }
    at = to;
  }
  void Raw(const void* from, std::size_t n) {
    std::memcpy(at, from, n);
    at += n;
  }
};

// Protobuf's wire types.
enum class Wire : std::uint8_t { kVarint = 0, kFixed64 = 1, kDelimited = 2, kFixed32 = 5 };

template <typename Out>
void PutTag(int field, Wire type, Out* out) {
  out->Varint(static_cast<std::uint64_t>(field) << 3 | static_cast<std::uint64_t>(type));
}

// Fields are left out where all their bits are zero.
template <typename Out>
void PutVarint(int field, std::uint64_t value, Out* out) {
  if (value == 0) return;
  PutTag(field, Wire::kVarint, out);
  out->Varint(value);
}

template <typename Number, typename Out>
void PutFixed(int field, Number value, Out* out) {
  using Bits = std::conditional_t<sizeof value == 8, std::uint64_t, std::uint32_t>;
  if (std::bit_cast<Bits>(value) == 0) return;
  PutTag(field, sizeof value == 8 ? Wire::kFixed64 : Wire::kFixed32, out);
  out->Raw(&value, sizeof value);
}

// Numbers of fixed size, or bytes.
template <typename Number, typename Out>
void PutColumn(int field, const Number* numbers, std::size_t n, Out* out) {
  if (n == 0) return;
  PutTag(field, Wire::kDelimited, out);
  out->Varint(n * sizeof(Number));
  out->Raw(numbers, n * sizeof(Number));
}

// What `body` puts, behind its length. It is there even where it is empty.
template <typename Out, typename Body>
void PutDelimited(int field, const Body& body, Out* out) {
  Counter size;
  body(&size);
  PutTag(field, Wire::kDelimited, out);
  out->Varint(size.bytes);
  if constexpr (std::is_same_v<Out, Counter>) {
    out->bytes += size.bytes;
  } else {
    body(out);
  }
}

template <typename Number, typename Out>
void PutVarints(int field, const Number* numbers, std::size_t n, Out* out) {
  if (n == 0) return;
  const auto put = [=](auto* to) { to->Varints(numbers, n); };
  PutDelimited(field, put, out);
}

// Field by field in the order of their numbers, as protobuf does.
template <typename Out>
void Put(const Frame& frame, Out* out) {
  using P = v1::Frame;
  const auto slots = static_cast<std::size_t>(frame.value_slots);
  PutVarint(P::kShardIdFieldNumber, frame.shard, out);
  PutVarint(P::kCycleIdFieldNumber, frame.cycle, out);
  PutFixed(P::kSessionHighFieldNumber, frame.sender.high, out);
  PutFixed(P::kSessionLowFieldNumber, frame.sender.low, out);
  PutColumn(P::kTotalUvuFieldNumber, frame.total_uvu.data(), slots, out);
  PutFixed(P::kLedgerDigestFieldNumber, frame.ledger_digest, out);
  PutVarint(P::kNewsFromFieldNumber, frame.news_from, out);
  PutVarint(P::kNewsToFieldNumber, frame.news_to, out);
  PutVarint(P::kAcknowledgedFieldNumber, frame.acknowledged, out);
  PutFixed(P::kAcknowledgedSessionLowFieldNumber, frame.acknowledged_of, out);
  for (const LedgerEntry& entry : frame.entries) {
    const auto put = [&entry, slots](auto* to) {
      PutFixed(v1::LedgerEntry::kSessionHighFieldNumber, entry.session.high, to);
      PutFixed(v1::LedgerEntry::kSessionLowFieldNumber, entry.session.low, to);
      PutVarint(v1::LedgerEntry::kOpenedCycleFieldNumber, entry.opened_cycle, to);
      PutVarints(v1::LedgerEntry::kAmountUvuFieldNumber, entry.amount_uvu.data(), slots, to);
    };
    PutDelimited(P::kEntriesFieldNumber, put, out);
  }
  PutVarints(P::kHaloRowFieldNumber, frame.halo_row.data(), frame.halo_row.size(), out);
  PutColumn(P::kPublishedCycleFieldNumber, frame.published_cycle.data(), frame.published_cycle.size(), out);
  PutColumn(P::kDriftWeightFieldNumber, frame.drift_weight.data(), frame.drift_weight.size(), out);
  PutColumn(P::kDiffFieldNumber, frame.diff.data(), frame.diff.size(), out);
  PutColumn(P::kEntropyFieldNumber, frame.entropy.data(), frame.entropy.size(), out);
  const auto beacon = [&frame](auto* to) {
    PutVarint(v1::StatusBeacon::kReplicasFieldNumber, frame.beacon.replicas, to);
    PutFixed(v1::StatusBeacon::kLoadFieldNumber, frame.beacon.load, to);
    PutFixed(v1::StatusBeacon::kLowPowerShareFieldNumber, frame.beacon.low_power_share, to);
  };
  PutDelimited(P::kBeaconFieldNumber, beacon, out);
  if (frame.correction != Correction::kNone) {
    const auto correction = [&frame](auto* to) {
      const bool all = frame.correction == Correction::kSyncAll;
      PutVarint(v1::CorrectionSignal::kKindFieldNumber,
                all ? v1::CorrectionSignal::KIND_SYNC_ALL : v1::CorrectionSignal::KIND_SYNC_BUCKETS, to);
      PutVarint(v1::CorrectionSignal::kBucketMaskFieldNumber, frame.correction_buckets, to);
    };
    PutDelimited(P::kCorrectionFieldNumber, correction, out);
  }
  PutColumn(P::kBucketDigestFieldNumber, frame.bucket_digest.data(), frame.bucket_digest.size(), out);
}

}  // namespace

std::size_t EncodedSize(const Frame& frame) {
  Counter out;
  Put(frame, &out);
  return out.bytes;
}

std::uint8_t* Encode(const Frame& frame, std::uint8_t* to) {
  Writer out{to};
  Put(frame, &out);
  return out.at;
}

void ResizeRows(Frame* frame, std::size_t rows, std::size_t dimensions) {
  frame->halo_row.resize(rows);
  frame->published_cycle.resize(rows);
  frame->drift_weight.resize(rows);
  frame->diff.resize(rows * dimensions);
  frame->entropy.resize(rows);
}

void ClearRows(Frame* frame) { ResizeRows(frame, 0, 0); }

void AppendRow(const Frame& from, std::size_t n, Frame* to) {
  const std::size_t dims = from.diff.size() / from.halo_row.size();
  to->halo_row.push_back(from.halo_row[n]);
  to->published_cycle.push_back(from.published_cycle[n]);
  to->drift_weight.push_back(from.drift_weight[n]);
  to->entropy.push_back(from.entropy[n]);
  const float* diff = from.diff.data() + n * dims;
  to->diff.insert(to->diff.end(), diff, diff + dims);
}

Frame Coalesce(const Frame& older, Frame newer) {
  if (older.shard != newer.shard || older.sender != newer.sender) return newer;
  if (older.news_to != older.news_from && newer.news_from > older.news_from) {
    const bool meet = newer.news_from <= older.news_to && older.news_to <= newer.news_to;
    std::vector<LedgerEntry> both = older.entries;
    if (meet && newer.news_from < older.news_to) {
      // It was told again from there on: the newer word on a session is the one that counts.
      absl::flat_hash_set<std::pair<std::uint64_t, std::uint64_t>> said_again;
      for (const LedgerEntry& entry : newer.entries) said_again.emplace(entry.session.high, entry.session.low);
      std::erase_if(both, [&](const LedgerEntry& entry) {
        return said_again.contains({entry.session.high, entry.session.low});
      });
    }
    if (meet && both.size() + newer.entries.size() <= vaultguard::kMaxFrameEntries) {
      both.insert(both.end(), newer.entries.begin(), newer.entries.end());
      newer.entries = std::move(both);
    } else {
      newer.entries = older.entries;
      newer.news_to = older.news_to;
    }
    newer.news_from = older.news_from;
  }
  if (newer.correction == Correction::kNone) {
    newer.correction = older.correction;
    newer.correction_buckets = older.correction_buckets;
  }
  if (newer.bucket_digest.empty()) newer.bucket_digest = older.bucket_digest;
  std::vector<std::uint32_t> said = newer.halo_row;
  std::sort(said.begin(), said.end());
  for (std::size_t n = 0; n < older.halo_row.size() && newer.halo_row.size() < vaultguard::kMaxFrameRows; ++n) {
    if (!std::binary_search(said.begin(), said.end(), older.halo_row[n])) AppendRow(older, n, &newer);
  }
  return newer;
}

namespace {

std::optional<Refusal> CheckForm(const Frame& frame, const Shape& shape, std::uint32_t shard, std::uint64_t cycle) {
  if (frame.shard != shard) return Refusal::kUnknownShard;
  if (frame.value_slots != shape.value_slots) return Refusal::kWrongDimension;
  if (frame.cycle > cycle + vaultguard::kMaxCyclesAhead) return Refusal::kFutureCycle;
  const std::size_t rows = frame.halo_row.size();
  if (rows > vaultguard::kMaxFrameRows || frame.entries.size() > vaultguard::kMaxFrameEntries)
    return Refusal::kTooLarge;
  if (frame.published_cycle.size() != rows || frame.drift_weight.size() != rows || frame.entropy.size() != rows) {
    return Refusal::kColumnLengths;
  }
  if (frame.diff.size() != rows * static_cast<std::size_t>(shape.dimensions())) return Refusal::kWrongDimension;
  if (!frame.bucket_digest.empty() && frame.bucket_digest.size() != Ledger::kBuckets) return Refusal::kColumnLengths;
  if (frame.news_to < frame.news_from) return Refusal::kBadEntry;
  return std::nullopt;
}

// Counts what is bad and does not stop at it, so that the compiler makes vectors of the pass: nearly always all is
// good.
template <typename T, typename Good>
bool All(const std::vector<T>& column, const Good& good) {
  std::uint32_t bad = 0;
  for (const T value : column) bad += good(value) ? 0u : 1u;
  return bad == 0;
}

}  // namespace

// Two functions, since a compiler that sees a dozen ways out before a loop takes the loop for cold.
std::optional<Refusal> CheckFrame(const Frame& frame, const Shape& shape, std::uint32_t shard, std::size_t halo_rows,
                                  std::uint64_t cycle) {
  if (const auto why = CheckForm(frame, shape, shard, cycle)) return why;
  // No wider than what they are compared with, so that a vector holds as many.
  const auto known = static_cast<std::uint32_t>(std::min<std::uint64_t>(halo_rows, ~std::uint32_t{0}));
  const auto newest = static_cast<std::uint32_t>(std::min<std::uint64_t>(frame.cycle, ~std::uint32_t{0}));
  if (!All(frame.halo_row, [=](std::uint32_t row) { return row < known; })) return Refusal::kUnknownHaloRow;
  if (!All(frame.published_cycle, [=](std::uint32_t published) { return published <= newest; })) {
    return Refusal::kFutureCycle;
  }
  if (!All(frame.diff, [](float number) { return std::abs(number) <= vaultguard::kMaxDistance; })) {
    return Refusal::kNotFinite;
  }
  return std::nullopt;
}

MessageSizes::MessageSizes(const Shape& shape) {
  // Typical values: a cycle of some hours, a shard of three digits, a timestamp of today, a load that is no round
  // number.
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
  state_diff = diff.ByteSizeLong();
  entropy_packet = packet.ByteSizeLong();
  ledger_pull = pull.ByteSizeLong();
  v1::LedgerNews news;
  news.set_shard_id(200);
  for (int n = 0; n < 2; ++n) {
    news.add_session_high(1);
    news.add_session_low(1);
    news.add_age_cycles(5'000);
    news.add_slot(1);
    news.add_amount_uvu(100'000'000);
  }
  ledger_entry = news.ByteSizeLong() / 2;  // an answer carries about two
}

}  // namespace lvs::shard
