#include "shard/frame_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "shard/reuse.h"
#include "shard/wire.h"

namespace lvs::shard {

using vaultguard::Refusal;

namespace {

// Field numbers of proto/lvs/v1/messages.proto; a test holds the codec to protobuf's.
enum FrameField : std::uint32_t {
  kShard = 1,
  kCycle = 2,
  kSessionHigh = 3,
  kSessionLow = 4,
  kTotal = 5,
  kDigest = 6,
  kNewsFrom = 7,
  kNewsTo = 8,
  kAcknowledged = 9,
  kAcknowledgedOf = 10,
  kEntries = 11,
  kHaloRow = 12,
  kPublished = 13,
  kWeight = 14,
  kDiff = 15,
  kEntropy = 16,
  kBeacon = 17,
  kCorrection = 18,
  kBuckets = 19,
  kHeld = 20,
  kNewsAll = 21,
};
enum EntryField : std::uint32_t { kEntryHigh = 1, kEntryLow = 2, kEntryOpened = 3, kEntryAmount = 4 };
enum BeaconField : std::uint32_t { kBeaconReplicas = 1, kBeaconLoad = 2, kBeaconLowPower = 3, kBeaconLeaving = 4 };
enum CorrectionField : std::uint32_t { kCorrectionKind = 1, kCorrectionBuckets = 2 };
// Numbers of CorrectionSignal.Kind.
static_assert(static_cast<int>(Correction::kNone) == 0 && static_cast<int>(Correction::kSyncAll) == 1 &&
              static_cast<int>(Correction::kSyncBuckets) == 2);

template <typename Out>
void PutEntries(const Frame& frame, Out* out) {
  const auto slots = static_cast<std::size_t>(frame.value_slots);
  for (const LedgerEntry& entry : frame.entries) {
    const auto put = [&entry, slots](auto* to) {
      PutFixed(kEntryHigh, entry.session.high, to);
      PutFixed(kEntryLow, entry.session.low, to);
      PutVarint(kEntryOpened, entry.opened_cycle, to);
      PutVarints(kEntryAmount, entry.amount_uvu.data(), slots, to);
    };
    PutDelimited(kEntries, put, out);
  }
}

// Field by field in the order of their numbers, as protobuf does.
template <typename Out>
void Put(const Frame& frame, Out* out) {
  const auto slots = static_cast<std::size_t>(frame.value_slots);
  PutVarint(kShard, frame.shard, out);
  PutVarint(kCycle, frame.cycle, out);
  PutFixed(kSessionHigh, frame.sender.high, out);
  PutFixed(kSessionLow, frame.sender.low, out);
  PutColumn(kTotal, frame.total_uvu.data(), slots, out);
  PutFixed(kDigest, frame.ledger_digest, out);
  PutVarint(kNewsFrom, frame.news_from, out);
  PutVarint(kNewsTo, frame.news_to, out);
  PutVarint(kAcknowledged, frame.acknowledged, out);
  PutFixed(kAcknowledgedOf, frame.acknowledged_of, out);
  PutEntries(frame, out);
  PutVarints(kHaloRow, frame.halo_row.data(), frame.halo_row.size(), out);
  PutColumn(kPublished, frame.published_cycle.data(), frame.published_cycle.size(), out);
  PutColumn(kWeight, frame.drift_weight.data(), frame.drift_weight.size(), out);
  PutColumn(kDiff, frame.diff.data(), frame.diff.size(), out);
  PutColumn(kEntropy, frame.entropy.data(), frame.entropy.size(), out);
  const auto beacon = [&frame](auto* to) {
    PutVarint(kBeaconReplicas, frame.beacon.replicas, to);
    PutFixed(kBeaconLoad, frame.beacon.load, to);
    PutFixed(kBeaconLowPower, frame.beacon.low_power_share, to);
    PutVarint(kBeaconLeaving, frame.beacon.leaving ? 1 : 0, to);
  };
  PutDelimited(kBeacon, beacon, out);
  if (frame.correction != Correction::kNone) {
    const auto correction = [&frame](auto* to) {
      PutVarint(kCorrectionKind, static_cast<std::uint64_t>(frame.correction), to);
      PutVarint(kCorrectionBuckets, frame.correction_buckets, to);
    };
    PutDelimited(kCorrection, correction, out);
  }
  PutColumn(kBuckets, frame.bucket_digest.data(), frame.bucket_digest.size(), out);
  PutColumn(kHeld, frame.held.data(), frame.held.size(), out);
  PutVarint(kNewsAll, frame.news_all, out);
}

}  // namespace

std::size_t EncodedSize(const Frame& frame) {
  Counter out;
  Put(frame, &out);
  return out.bytes;
}

std::size_t EntriesSize(const Frame& frame) {
  Counter out;
  PutEntries(frame, &out);
  return out.bytes;
}

std::uint8_t* Encode(const Frame& frame, std::uint8_t* to) {
  Writer out{to};
  Put(frame, &out);
  return out.at;
}

namespace {

template <typename Number>
constexpr Wire kFixedWire = sizeof(Number) == 8 ? Wire::kFixed64 : Wire::kFixed32;

// Takes a column of numbers of fixed size, packed or unpacked. False: the field is of another type.
template <typename Number>
bool TakeFixeds(Wire wire, Reader* in, bool* whole, std::vector<Number>* column) {
  if (wire == kFixedWire<Number>) {
    column->push_back(in->Fixed<Number>());
    return true;
  }
  if (wire != Wire::kDelimited) return false;
  const Reader packed = in->Delimited();
  const std::size_t n = packed.left() / sizeof(Number);
  *whole &= packed.left() == n * sizeof(Number);
  const std::size_t before = column->size();
  column->resize(before + n);
  if (n > 0) std::memcpy(column->data() + before, packed.at(), n * sizeof(Number));
  return true;
}

// Calls take(number) for each varint of a column, packed or unpacked. False: the field is of another type.
template <typename Take>
bool TakeVarints(Wire wire, Reader* in, bool* whole, const Take& take) {
  if (wire == Wire::kVarint) {
    take(in->Varint());
    return true;
  }
  if (wire != Wire::kDelimited) return false;
  Reader packed = in->Delimited();
  while (packed.more()) take(packed.Varint());
  *whole &= packed.ok();
  return true;
}

// Counts the elements of each column of an encoded frame, without copying any.
struct Survey {
  bool whole = true;  // the outermost fields are well formed
  std::array<std::size_t, kHeld + 1> elements{};
  Reader weight{nullptr, 0};  // the last one counts

  explicit Survey(Reader bytes) {
    const auto count_fixed = [this](std::uint32_t field, std::size_t size, Wire single, Wire wire, Reader* in) {
      if (wire == Wire::kDelimited) {
        elements[field] += in->Delimited().left() / size;
      } else if (wire == single) {
        ++elements[field];
        return false;  // to be skipped
      }
      return wire == Wire::kDelimited;
    };
    whole = ForEachField(bytes, [&](std::uint32_t field, Wire wire, Reader* in) {
      switch (field) {
        case kTotal:
        case kBuckets:
        case kHeld: return count_fixed(field, 8, Wire::kFixed64, wire, in);
        case kPublished:
        case kDiff:
        case kEntropy: return count_fixed(field, 4, Wire::kFixed32, wire, in);
        case kHaloRow:
          if (wire == Wire::kVarint) {
            ++elements[field];
          } else if (wire == Wire::kDelimited) {
            const Reader packed = in->Delimited();
            // A varint ends with a byte below 128.
            elements[field] += static_cast<std::size_t>(
                std::count_if(packed.at(), packed.at() + packed.left(), [](std::uint8_t byte) { return byte < 0x80; }));
            return true;
          }
          return false;
        case kEntries:
          if (wire == Wire::kDelimited) ++elements[field];
          return false;
        case kWeight:
          if (wire != Wire::kDelimited) return false;
          weight = in->Delimited();
          return true;
        default: return false;
      }
    });
  }

  std::optional<Refusal> Refused() const {
    if (!whole) return Refusal::kMalformed;
    constexpr std::size_t kRows = vaultguard::kMaxFrameRows;
    if (elements[kEntries] > vaultguard::kMaxFrameEntries || elements[kHaloRow] > kRows ||
        elements[kPublished] > kRows || weight.left() > kRows || elements[kEntropy] > kRows ||
        elements[kDiff] > kRows * vaultguard::kMaxDimensions || elements[kBuckets] > Ledger::kBuckets ||
        elements[kHeld] > 2 * vaultguard::kMaxHeldRanges) {
      return Refusal::kTooLarge;
    }
    if (elements[kTotal] > vaultguard::kMaxValueSlots) return Refusal::kWrongDimension;
    return std::nullopt;
  }
};

// Reads one entry, which must have exactly `slots` amounts.
std::optional<Refusal> DecodeEntry(Reader bytes, std::size_t slots, LedgerEntry* entry) {
  std::size_t amounts = 0;
  bool whole = true;
  whole &= ForEachField(
      bytes,
      [&](std::uint32_t field, Wire wire, Reader* in) {
        if (field == kEntryHigh && wire == Wire::kFixed64) {
          entry->session.high = in->Fixed<std::uint64_t>();
        } else if (field == kEntryLow && wire == Wire::kFixed64) {
          entry->session.low = in->Fixed<std::uint64_t>();
        } else if (field == kEntryOpened && wire == Wire::kVarint) {
          entry->opened_cycle = in->Varint();
        } else if (field == kEntryAmount) {
          return TakeVarints(wire, in, &whole, [&](std::uint64_t amount) {
            if (amounts < slots) entry->amount_uvu[amounts] = static_cast<std::int64_t>(amount);
            ++amounts;
          });
        } else {
          return false;
        }
        return true;
      },
      /*depth=*/1);
  if (!whole) return Refusal::kMalformed;
  if (amounts != slots) return Refusal::kWrongDimension;
  return std::nullopt;
}

bool DecodeBeacon(Reader bytes, Beacon* beacon) {
  return ForEachField(
      bytes,
      [beacon](std::uint32_t field, Wire wire, Reader* in) {
        if (field == kBeaconReplicas && wire == Wire::kVarint) {
          beacon->replicas = static_cast<std::uint32_t>(in->Varint());
        } else if (field == kBeaconLoad && wire == Wire::kFixed32) {
          beacon->load = in->Fixed<float>();
        } else if (field == kBeaconLowPower && wire == Wire::kFixed32) {
          beacon->low_power_share = in->Fixed<float>();
        } else if (field == kBeaconLeaving && wire == Wire::kVarint) {
          beacon->leaving = in->Varint() != 0;
        } else {
          return false;
        }
        return true;
      },
      /*depth=*/1);
}

bool DecodeCorrection(Reader bytes, Frame* frame) {
  return ForEachField(
      bytes,
      [frame](std::uint32_t field, Wire wire, Reader* in) {
        if (wire != Wire::kVarint || (field != kCorrectionKind && field != kCorrectionBuckets)) return false;
        const auto number = static_cast<std::uint32_t>(in->Varint());
        if (field == kCorrectionBuckets) {
          frame->correction_buckets = number;
        } else {
          // A kind that this version does not know asks for nothing.
          frame->correction = number <= 2 ? static_cast<Correction>(number) : Correction::kNone;
        }
        return true;
      },
      /*depth=*/1);
}

// Fills in a frame's numbers and columns. False: the bytes are no message.
bool DecodeColumns(Reader bytes, Frame* frame, std::vector<Reader>* entries) {
  Frame& out = *frame;
  bool whole = true;
  const auto varint = [](Wire wire, Reader* in, auto* number) {
    if (wire != Wire::kVarint) return false;
    *number = static_cast<std::remove_pointer_t<decltype(number)>>(in->Varint());
    return true;
  };
  const auto fixed = [](Wire wire, Reader* in, std::uint64_t* number) {
    if (wire != Wire::kFixed64) return false;
    *number = in->Fixed<std::uint64_t>();
    return true;
  };
  whole &= ForEachField(bytes, [&](std::uint32_t field, Wire wire, Reader* in) {
    switch (field) {
      case kShard: return varint(wire, in, &out.shard);
      case kCycle: return varint(wire, in, &out.cycle);
      case kSessionHigh: return fixed(wire, in, &out.sender.high);
      case kSessionLow: return fixed(wire, in, &out.sender.low);
      case kTotal: {
        const auto add = [&out](Reader* from) {
          out.total_uvu[static_cast<std::size_t>(out.value_slots++)] = from->Fixed<std::int64_t>();
        };
        if (wire == Wire::kFixed64) {
          add(in);
        } else if (wire == Wire::kDelimited) {
          Reader packed = in->Delimited();
          whole &= packed.left() % sizeof(std::int64_t) == 0;
          while (packed.left() >= sizeof(std::int64_t)) add(&packed);
        } else {
          return false;
        }
        return true;
      }
      case kDigest: return fixed(wire, in, &out.ledger_digest);
      case kNewsFrom: return varint(wire, in, &out.news_from);
      case kNewsTo: return varint(wire, in, &out.news_to);
      case kAcknowledged: return varint(wire, in, &out.acknowledged);
      case kAcknowledgedOf: return fixed(wire, in, &out.acknowledged_of);
      case kEntries:
        if (wire != Wire::kDelimited) return false;
        entries->push_back(in->Delimited());
        return true;
      case kHaloRow:
        return TakeVarints(wire, in, &whole,
                           [&out](std::uint64_t row) { out.halo_row.push_back(static_cast<std::uint32_t>(row)); });
      case kPublished: return TakeFixeds(wire, in, &whole, &out.published_cycle);
      case kDiff: return TakeFixeds(wire, in, &whole, &out.diff);
      case kEntropy: return TakeFixeds(wire, in, &whole, &out.entropy);
      case kBeacon:
        if (wire != Wire::kDelimited) return false;
        whole &= DecodeBeacon(in->Delimited(), &out.beacon);
        return true;
      case kCorrection:
        if (wire != Wire::kDelimited) return false;
        whole &= DecodeCorrection(in->Delimited(), &out);
        return true;
      case kBuckets: return TakeFixeds(wire, in, &whole, &out.bucket_digest);
      case kHeld: return TakeFixeds(wire, in, &whole, &out.held);
      case kNewsAll: return varint(wire, in, &out.news_all);
      default: return false;  // the weights too: Survey has them
    }
  });
  return whole;
}

}  // namespace

std::optional<Refusal> Decode(std::string_view bytes, Frame* frame) {
  const Reader in(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  const Survey survey(in);
  if (const auto why = survey.Refused()) return why;
  Clear(frame);
  frame->halo_row.reserve(survey.elements[kHaloRow]);
  frame->drift_weight.assign(survey.weight.at(), survey.weight.at() + survey.weight.left());
  // The total may follow the entries, which must have as many slots.
  thread_local std::vector<Reader> entries;
  entries.clear();
  if (!DecodeColumns(in, frame, &entries)) return Refusal::kMalformed;
  frame->entries.resize(entries.size());
  for (std::size_t n = 0; n < entries.size(); ++n) {
    if (const auto why = DecodeEntry(entries[n], static_cast<std::size_t>(frame->value_slots), &frame->entries[n])) {
      return why;
    }
  }
  return std::nullopt;
}

}  // namespace lvs::shard
