#include "shard/frame.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace lvs::shard {

using vaultguard::Refusal;

v1::Frame ToProto(const Frame& frame) {
  v1::Frame out;
  out.set_shard_id(frame.shard);
  out.set_cycle_id(frame.cycle);
  out.set_session_high(frame.sender.high);
  out.set_session_low(frame.sender.low);
  for (int s = 0; s < frame.value_slots; ++s) {
    out.add_total_uvu(static_cast<std::uint64_t>(frame.total_uvu[static_cast<std::size_t>(s)]));
  }
  out.set_ledger_digest(frame.ledger_digest);
  out.set_news_from(frame.news_from);
  out.set_news_to(frame.news_to);
  out.set_acknowledged(frame.acknowledged);
  out.set_acknowledged_session_low(frame.acknowledged_of);
  for (const LedgerEntry& entry : frame.entries) {
    v1::LedgerEntry* e = out.add_entries();
    e->set_session_high(entry.session.high);
    e->set_session_low(entry.session.low);
    e->set_opened_cycle(entry.opened_cycle);
    for (int s = 0; s < frame.value_slots; ++s) {
      e->add_amount_uvu(static_cast<std::uint64_t>(entry.amount_uvu[static_cast<std::size_t>(s)]));
    }
  }
  out.mutable_halo_row()->Assign(frame.halo_row.begin(), frame.halo_row.end());
  out.mutable_published_cycle()->Assign(frame.published_cycle.begin(), frame.published_cycle.end());
  out.set_drift_weight(frame.drift_weight.data(), frame.drift_weight.size());
  out.mutable_diff()->Assign(frame.diff.begin(), frame.diff.end());
  out.mutable_entropy()->Assign(frame.entropy.begin(), frame.entropy.end());
  v1::StatusBeacon* beacon = out.mutable_beacon();
  beacon->set_replicas(frame.beacon.replicas);
  beacon->set_load(frame.beacon.load);
  beacon->set_low_power_share(frame.beacon.low_power_share);
  if (frame.correction != Correction::kNone) {
    v1::CorrectionSignal* c = out.mutable_correction();
    c->set_kind(frame.correction == Correction::kSyncAll ? v1::CorrectionSignal::KIND_SYNC_ALL
                                                         : v1::CorrectionSignal::KIND_SYNC_BUCKETS);
    c->set_bucket_mask(frame.correction_buckets);
  }
  out.mutable_bucket_digest()->Assign(frame.bucket_digest.begin(), frame.bucket_digest.end());
  return out;
}

absl::StatusOr<Frame> FromProto(const v1::Frame& proto) {
  constexpr int kSlots = vaultguard::kMaxValueSlots;
  Frame out;
  if (proto.total_uvu_size() > kSlots) return absl::InvalidArgumentError("a frame carries at most 8 value slots");
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
    if (e.amount_uvu_size() != out.value_slots) {
      return absl::InvalidArgumentError("a ledger entry has other value slots than its frame");
    }
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
  return out;
}

namespace {

std::size_t Varint(std::uint64_t value) {
  std::size_t bytes = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++bytes;
  }
  return bytes;
}

std::size_t VarintField(std::uint64_t value) { return value == 0 ? 0 : 1 + Varint(value); }
std::size_t Fixed64Field(std::uint64_t value) { return value == 0 ? 0 : 9; }
// A float field is left out only when all its bits are zero.
std::size_t FloatField(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits == 0 ? 0 : 5;
}
// Length-delimited field with a one-byte (field < 16) or two-byte tag.
std::size_t Delimited(std::size_t bytes, std::size_t tag = 1) { return bytes == 0 ? 0 : tag + Varint(bytes) + bytes; }

std::size_t EncodedEntry(const LedgerEntry& entry, int value_slots) {
  std::size_t amounts = 0;
  for (int s = 0; s < value_slots; ++s) {
    amounts += Varint(static_cast<std::uint64_t>(entry.amount_uvu[static_cast<std::size_t>(s)]));
  }
  return Fixed64Field(entry.session.high) + Fixed64Field(entry.session.low) + VarintField(entry.opened_cycle) +
         Delimited(amounts);
}

}  // namespace

std::size_t EncodedSize(const Frame& frame) {
  std::size_t size = VarintField(frame.shard) + VarintField(frame.cycle) + Fixed64Field(frame.sender.high) +
                     Fixed64Field(frame.sender.low) + Delimited(8 * static_cast<std::size_t>(frame.value_slots)) +
                     Fixed64Field(frame.ledger_digest) + VarintField(frame.news_from) + VarintField(frame.news_to) +
                     VarintField(frame.acknowledged) + Fixed64Field(frame.acknowledged_of);
  for (const LedgerEntry& entry : frame.entries) {
    const std::size_t bytes = EncodedEntry(entry, frame.value_slots);
    size += 1 + Varint(bytes) + bytes;
  }
  std::size_t rows = 0;
  for (const std::uint32_t row : frame.halo_row) rows += Varint(row);
  size += Delimited(rows) + Delimited(4 * frame.published_cycle.size()) + Delimited(frame.drift_weight.size()) +
          Delimited(4 * frame.diff.size()) + Delimited(4 * frame.entropy.size(), 2);
  const std::size_t beacon =
      VarintField(frame.beacon.replicas) + FloatField(frame.beacon.load) + FloatField(frame.beacon.low_power_share);
  size += 2 + Varint(beacon) + beacon;
  if (frame.correction != Correction::kNone) {
    const std::size_t bytes = 2 + VarintField(frame.correction_buckets);
    size += 2 + Varint(bytes) + bytes;
  }
  return size + Delimited(8 * frame.bucket_digest.size(), 2);
}

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
