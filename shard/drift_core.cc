#include "shard/drift_core.h"

#include <hwy/cache_control.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "shard/blocks.h"
#include "shard/random.h"

#ifndef LVS_SHARD_DRIFT_CORE_ONCE
#define LVS_SHARD_DRIFT_CORE_ONCE
namespace lvs::shard {

// The publications of this cycle, kept until every row has heard the previous ones: groups of rows side by side, in the
// layout of Columns::said.
struct Publications {
  float* rows;
  std::uint32_t* first_row;  // first row of each group
  std::size_t groups = 0;
  std::size_t rows_a_group = 1;
};

// Batcher's odd-even merge sort of P (8 or 16) keys: pairs of places whose smaller key comes first.
template <int P>
inline constexpr auto kSortingNetwork = [] {
  struct Network {
    int size = 0;
    std::array<std::array<int, 2>, 64> pair{};
  } network;
  for (int p = 1; p < P; p *= 2) {
    for (int k = p; k >= 1; k /= 2) {
      for (int j = k % p; j <= P - 1 - k; j += 2 * k) {
        for (int n = 0; n <= std::min(k - 1, P - j - k - 1); ++n) {
          if ((n + j) / (p * 2) == (n + j + k) / (p * 2)) network.pair[network.size++] = {n + j, n + j + k};
        }
      }
    }
  }
  return network;
}();

}  // namespace lvs::shard
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shard/drift_core.cc"
#include <hwy/foreach_target.h>
// foreach_target must come before highway.h.
#include <hwy/highway.h>

#include "vaultguard/guard-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lvs::shard::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
namespace guard = lvs::vaultguard::HWY_NAMESPACE;
using vaultguard::Clamp;
using vaultguard::kMaxDimensions;
using vaultguard::Refusal;

using F = hn::ScalableTag<float>;
using I = hn::RebindToSigned<F>;
using U = hn::RebindToUnsigned<F>;
using Bytes = hn::Rebind<std::uint8_t, F>;
using VF = hn::Vec<F>;
using VI = hn::Vec<I>;
using VU = hn::Vec<U>;
using MF = hn::Mask<F>;
using MI = hn::Mask<I>;

// murmur3's 32-bit finaliser without its last step, one draw a lane.
HWY_INLINE VU Multiplied(U u, VU x) {
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = hn::Mul(x, hn::Set(u, 0x85ebca6bu));
  x = hn::Xor(x, hn::ShiftRight<13>(x));
  return hn::Mul(x, hn::Set(u, 0xc2b2ae35u));
}

VU Mix32(U u, VU x) {
  x = Multiplied(u, x);
  return hn::Xor(x, hn::ShiftRight<16>(x));
}

VU WordOf(U u, std::uint32_t seed32, std::uint32_t cycle, VU row) {
  return Mix32(u, hn::Add(hn::Mul(row, hn::Set(u, 0x9e3779b1u)), hn::Set(u, seed32 ^ (cycle * 0x85ebca77u))));
}

// The draw that decides whether a message arrives, uniform over int32, by receiver, slot and cycle of publication. A
// message has one draw: a receiver that missed it stays without it until the next publication. Only the draw's size
// matters, so murmur3's last step, which mends the low bits, is left out.
HWY_INLINE VI LossDraw(U u, std::uint32_t seed32, VU rows, int link, VU meta) {
  const VU sent = hn::Mul(hn::And(meta, hn::Set(u, kMetaCycle)), hn::Set(u, 0x85ebca77u));
  const VU receiver = hn::Add(hn::Mul(rows, hn::Set(u, 16u * 0x9e3779b1u)),
                              hn::Set(u, static_cast<std::uint32_t>(link) * 0x9e3779b1u + seed32 * 0x27d4eb2fu));
  return hn::BitCast(hn::RebindToSigned<U>(), Multiplied(u, hn::Xor(receiver, sent)));
}

// Five bits of an entropy packet, for the repetition count test.
HWY_INLINE VU EntropyHash(U u, VU word) { return hn::ShiftRight<27>(hn::Mul(word, hn::Set(u, 0x9e3779b1u))); }

// Lanes in which one of the four signed bytes lies beyond +-kEntropyRail: an honest packet has none (EntropyWord). Above
// the rail all of bits 3 to 6 are set.
static_assert(kEntropyRail == 0x77);
hn::Mask<U> AnyByteAtRails(U u, VU word) {
  const VU sign = hn::ShiftRight<7>(hn::And(word, hn::Set(u, 0x80808080u)));
  const VU size = hn::Xor(word, hn::Sub(hn::ShiftLeft<8>(sign), sign));  // |byte|, or one less where it is negative
  const VU rest = hn::Xor(hn::And(size, hn::Set(u, 0x78787878u)), hn::Set(u, 0x78787878u));
  const VU zero_byte = hn::And(hn::AndNot(rest, hn::Sub(rest, hn::Set(u, 0x01010101u))), hn::Set(u, 0x80808080u));
  return hn::Ne(zero_byte, hn::Zero(u));
}

// EntropyWord's bytes (shard/entropy_engine.cc), lane by lane.
VU EntropyBytes(U u, VU word) {
  VU bytes = hn::Zero(u);
  for (int shift = 0; shift < 32; shift += 8) {
    const VU byte = hn::And(hn::ShiftRightSame(word, shift), hn::Set(u, 0xffu));
    const VU scaled =
        hn::Sub(hn::ShiftRight<8>(hn::Mul(byte, hn::Set(u, 2 * kEntropyRange + 1))), hn::Set(u, kEntropyRange));
    bytes = hn::Or(bytes, hn::ShiftLeftSame(hn::And(scaled, hn::Set(u, 0xffu)), shift));
  }
  return bytes;
}

// Sorts P keys, lane by lane.
template <int P, std::size_t... kStep>
HWY_INLINE void SortKeys(VI (&key)[P], std::index_sequence<kStep...>) {
  const auto exchange = [&key](int low, int high) {
    const VI smaller = hn::Min(key[low], key[high]);
    key[high] = hn::Max(key[low], key[high]);
    key[low] = smaller;
  };
  (exchange(kSortingNetwork<P>.pair[kStep][0], kSortingNetwork<P>.pair[kStep][1]), ...);
}

// What the median knows of a distance: its float bits without the low byte.
HWY_INLINE VI ForMedian(VI distance) { return hn::AndNot(hn::Set(I(), 0xff), distance); }

// The weighted median of distances: a key holds the distance's float bits with the weight in the low byte, so that one
// integer sort carries both. The median is the last key with less than half of the weight before it; 0 where there is
// none.
template <int P>
HWY_INLINE VF WeightedMedian(F f, I i, const VI (&distance)[P], const VI (&weight)[P], VI total) {
  const VI byte = hn::Set(i, 0xff);
  VI key[P];
  for (int s = 0; s < P; ++s) key[s] = hn::Or(ForMedian(distance[s]), weight[s]);
  SortKeys<P>(key, std::make_index_sequence<kSortingNetwork<P>.size>());
  const VI half = hn::ShiftRight<1>(hn::Add(total, hn::Set(i, 1)));
  VI before = hn::Zero(i);
  VI median = hn::Zero(i);
  for (int s = 0; s < P; ++s) {
    median = hn::IfThenElse(hn::Lt(before, half), key[s], median);
    before = hn::Add(before, hn::And(key[s], byte));
  }
  return hn::BitCast(f, ForMedian(median));
}

HWY_INLINE std::uint64_t Sum(I i, VI v) {
  HWY_ALIGN std::int32_t lane[HWY_MAX_BYTES / 4];
  hn::Store(v, i, lane);
  std::uint64_t sum = 0;
  for (std::size_t n = 0; n < hn::Lanes(i); ++n) sum += static_cast<std::uint64_t>(lane[n]);
  return sum;
}

#if HWY_TARGET != HWY_SCALAR  // one lane is its own transpose
// Loads four words of every fourth row from `lane` on, a block of four lanes each.
template <class D, class RowOf>
HWY_INLINE hn::Vec<D> LoadFours(D d, const RowOf& row_of, std::size_t lane, std::size_t word) {
  if constexpr (hn::MaxLanes(D()) <= 4) {
    return hn::LoadU(d, row_of(lane) + word);
  } else {
    const hn::Half<D> half;
    const auto low = LoadFours(half, row_of, lane, word);
    return hn::Combine(d, LoadFours(half, row_of, lane + hn::Lanes(half), word), low);
  }
}

// Transposes 4 x 4 words in each block of four lanes.
HWY_INLINE void Transpose(F f, VF* word) {
  const hn::Repartition<std::uint64_t, F> pairs;
  const auto wide = [pairs](VF x) { return hn::BitCast(pairs, x); };
  const VF ab_low = hn::InterleaveLower(f, word[0], word[1]);
  const VF ab_high = hn::InterleaveUpper(f, word[0], word[1]);
  const VF cd_low = hn::InterleaveLower(f, word[2], word[3]);
  const VF cd_high = hn::InterleaveUpper(f, word[2], word[3]);
  word[0] = hn::BitCast(f, hn::InterleaveLower(pairs, wide(ab_low), wide(cd_low)));
  word[1] = hn::BitCast(f, hn::InterleaveUpper(pairs, wide(ab_low), wide(cd_low)));
  word[2] = hn::BitCast(f, hn::InterleaveLower(pairs, wide(ab_high), wide(cd_high)));
  word[3] = hn::BitCast(f, hn::InterleaveUpper(pairs, wide(ab_high), wide(cd_high)));
}

#endif

// Gathers the publications of one row a lane, a vector a word; `row_of(lane)` is where a row lies. Rows are read by
// four words, into the block of four lanes where their own lane is, and transposed there. Unused words cost nothing.
template <std::size_t W, class RowOf>
HWY_INLINE void Hear(F f, const RowOf& row_of, VF (&word)[W]) {
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t n = 0; n < W; ++n) word[n] = hn::Load(f, row_of(0) + n);
#else
  HWY_UNROLL(4)
  for (std::size_t of_four = 0; of_four < 4; ++of_four) {
    for (std::size_t n = of_four; n < W; n += 4) word[n] = LoadFours(f, row_of, of_four, n - of_four);
  }
  for (std::size_t n = 0; n < W; n += 4) Transpose(f, word + n);
#endif
}

// The inverse: scatters a vector a word into adjacent rows of `words`.
template <std::size_t W>
HWY_INLINE void StoreRows(F f, VF (&word)[W], std::size_t words, float* rows) {
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t n = 0; n < words; ++n) hn::Store(word[n], f, rows + n);
#else
  const std::size_t lanes = hn::Lanes(f);
  HWY_ALIGN float block[HWY_MAX_BYTES / 4];
  for (std::size_t n = 0; n < words; n += 4) {
    const std::size_t bytes = std::min<std::size_t>(4, words - n) * sizeof(float);
    Transpose(f, word + n);
    for (std::size_t of_four = 0; of_four < 4; ++of_four) {
      hn::Store(word[n + of_four], f, block);
      for (std::size_t first = 0; first < lanes; first += 4) {
        std::memcpy(rows + (first + of_four) * words + n, block + first, bytes);
      }
    }
  }
#endif
}

// Prefetches the next rows of all columns. Shards take turns on a core, so a shard's columns are out of the caches when
// its turn comes, and they are too many streams for the processor's own prefetcher. A prefetch beyond the end does not
// fault.
constexpr std::size_t kRowsAhead = 64;
HWY_INLINE void FetchAhead(const Columns& col, int dims, int peers, std::size_t row) {
  for (int s = 0; s < peers; ++s) hwy::Prefetch(col.link + s * col.stride + row);
  if (row % kLineBytes == 0) {
    for (int s = 0; s < peers; ++s) hwy::Prefetch(col.link_entropy + s * col.stride + row);
  }
  for (int c = 0; c < dims; ++c) hwy::Prefetch(col.state + c * col.stride + row);
  hwy::Prefetch(col.bound_value + row);
  hwy::Prefetch(col.bound_free + row);
  hwy::Prefetch(col.bound_slow + row);
  hwy::Prefetch(col.band + row);
}

// The shape of a kernel: K value slots, E free coordinates, P neighbours. With K = 0 the shape is read at run time, and P
// is its number of neighbours padded to 8 or 16.
template <int K, int E, int P>
struct KernelShape {
  static constexpr int kValueSlots = K;
  static constexpr int kDimensions = K + E;
  static constexpr int kPeers = P;
  static constexpr int kBuffer = K > 0 ? K + E : kMaxDimensions;
  static constexpr std::size_t kWords = (SaidWords(kBuffer) + 3) / 4 * 4;  // of a publication, by fours
};

// One function below is one step of SPEC-7.2 for a group of adjacent rows, a row a lane. All of them are inlined into Step:
// the state of a group stays in registers.

// What all rows of a step have in common.
template <class S>
struct Context {
  Context(const Shape& shape, const DriftParameters& parameters, const StepInput& input, const Columns& columns)
      : p(parameters),
        in(input),
        col(columns),
        k(S::kValueSlots > 0 ? S::kValueSlots : shape.value_slots),
        dims(S::kValueSlots > 0 ? S::kDimensions : shape.dimensions()),
        peers(S::kValueSlots > 0 ? S::kPeers : shape.peers),
        words(SaidWords(dims)),
        seed32(static_cast<std::uint32_t>(Mix(in.seed)) | 1u),
        cycle32(static_cast<std::uint32_t>(in.cycle)),
        lowest(in.range > 0 ? 0.0f : -std::numeric_limits<float>::infinity()),
        highest(in.range > 0 ? in.range : std::numeric_limits<float>::infinity()),
        lossy(in.loss > 0),
        lost_up_to(static_cast<std::int32_t>(std::min(in.loss, 1.0) * 0xffffffffu - static_cast<double>(0x80000000u))) {
  }

  const DriftParameters& p;
  const StepInput& in;
  const Columns& col;
  const int k, dims, peers;
  const std::size_t words;
  const std::uint32_t seed32, cycle32;
  const float lowest, highest;  // a free coordinate
  const bool lossy;
  const std::int32_t lost_up_to;
};

// A group of rows.
template <class S>
struct Group {
  std::size_t row;
  VU rows;
  VI flags;
  MI active;
  VF own_distance;  // from the ledger: the largest value slot
  VF v[S::kBuffer];
};

// What a group heard, slot by slot. Differences are kept for the second pass: of slot s and dimension c at
// (s * dims + c) * lanes.
template <class S>
struct Heard {
  float* diff;
  VI distance_value[S::kPeers], distance_free[S::kPeers];
  VI weight[S::kPeers];
  MI flooded[S::kPeers];
  VI total;  // weight of all slots
  VF entropy[S::kBuffer];
  VI packets;
};

struct Bounds {
  VF value, free;
  VF slow;  // of the free coordinates
};

template <class S>
struct Drawn {
  VF by[S::kBuffer];
  VF spread_value, spread_free;
  VF voices_free;  // weight of the slots with a voice in free coordinates
  VF near_free;    // of those within tau
};

// Sums lane by lane over the whole shard: at most 16 x 255 a row group, so 8 million rows fit.
struct LaneSums {
  VI trust, heard, lost;
};

HWY_INLINE std::uint64_t Count(MI mask) { return static_cast<std::uint64_t>(hn::CountTrue(I(), mask)); }

// Cycles since the publication with this metadata.
template <class S>
HWY_INLINE VI AgeOf(const Context<S>& x, VU meta) {
  const U u;
  return hn::BitCast(I(), hn::And(hn::Sub(hn::Set(u, x.cycle32 & kMetaCycle), meta), hn::Set(u, kMetaCycle)));
}

// Distances from here on are not finite, or not those of an honest neighbour.
HWY_INLINE VI Far() { return hn::BitCast(I(), hn::Set(F(), vaultguard::kMaxDistance)); }

// Sizes are compared as integers, where NaN and infinity are the largest.
HWY_INLINE VI SizeOf(VF d) {
  const I i;
  return hn::And(hn::BitCast(i, d), hn::Set(i, 0x7fffffff));
}

// Rows from `row` on that drift in this cycle; false where none does.
template <class S>
HWY_INLINE bool LoadGroup(const Context<S>& x, std::size_t row, Group<S>* g) {
  const F f;
  const I i;
  g->row = row;
  g->rows = hn::Iota(U(), static_cast<std::uint32_t>(row));
  g->flags = hn::PromoteTo(i, hn::LoadU(Bytes(), x.col.flags + row));
  g->active = hn::TestBit(g->flags, hn::Set(i, kAlive));
  if (!LowPowerTurn(static_cast<std::uint32_t>(row), x.cycle32)) {
    g->active = hn::AndNot(hn::TestBit(g->flags, hn::Set(i, kLowPower)), g->active);
  }
  if (hn::AllFalse(i, g->active)) return false;
  g->own_distance = hn::Zero(f);
  for (int c = 0; c < x.dims; ++c) g->v[c] = hn::Load(f, x.col.state + c * x.col.stride + row);
  for (int c = 0; c < x.k; ++c) g->own_distance = hn::Max(g->own_distance, hn::Abs(g->v[c]));
  return true;
}

// One slot's differences, distances and weight. Returns the rows that may use it.
template <class S>
HWY_INLINE MI WeighSlot(const Context<S>& x, const Group<S>& g, int s, const VF (&word)[S::kWords], VU meta, VI age,
                        Heard<S>* h, LaneSums* lane_sums, StepCounts* sum) {
  const F f;
  const I i;
  const U u;
  const VI zero = hn::Zero(i);
  const VI one = hn::Set(i, 1);
  MI received = hn::And(g.active, hn::RebindMask(i, hn::TestBit(meta, hn::Set(u, kMetaValid))));
  if (x.lossy) {
    const MI arrived = hn::Gt(LossDraw(u, x.seed32, g.rows, s, meta), hn::Set(i, x.lost_up_to));
    lane_sums->lost = hn::Add(lane_sums->lost, hn::IfThenElseZero(hn::AndNot(arrived, received), one));
    received = hn::And(received, arrived);
  }
  const MI stale = hn::And(received, hn::Gt(age, hn::Set(i, vaultguard::kSilenceCycles)));
  const std::size_t lanes = hn::Lanes(f);
  VI dv = zero;
  VI df = zero;
  for (int c = 0; c < x.dims; ++c) {
    const VF d = hn::Sub(word[c], g.v[c]);
    const VI size = SizeOf(d);
    (c < x.k ? dv : df) = hn::Max(c < x.k ? dv : df, size);
    hn::Store(d, f, h->diff + (s * x.dims + c) * lanes);
  }
  const MI infinite = hn::Gt(hn::Max(dv, df), Far());
  const MI usable = hn::AndNot(infinite, hn::AndNot(stale, received));
  if (!hn::AllFalse(i, hn::Or(stale, infinite))) {
    sum->refused.Add(Refusal::kStale, Count(stale));
    sum->refused.Add(Refusal::kNotFinite, Count(hn::And(infinite, hn::AndNot(stale, received))));
    for (int c = 0; c < x.dims; ++c) {
      float* at = h->diff + (s * x.dims + c) * lanes;
      hn::Store(hn::IfThenZeroElse(hn::RebindMask(f, infinite), hn::Load(f, at)), f, at);
    }
  }
  lane_sums->heard = hn::Add(lane_sums->heard, hn::IfThenElseZero(usable, one));

  // DC (SPEC-5.3): trust by slot times the sender's drift weight; clipping in Weigh is its value part.
  const VI trust = hn::BitCast(i, hn::ShiftRight<24>(hn::Load(u, x.col.link + s * x.col.stride + g.row)));
  const VI claimed = hn::BitCast(i, hn::ShiftRight<24>(meta));
  h->weight[s] = hn::IfThenElseZero(usable, hn::ShiftRight<8>(hn::Add(hn::Mul(trust, claimed), trust)));
  h->total = hn::Add(h->total, h->weight[s]);
  lane_sums->trust = hn::Add(lane_sums->trust, hn::IfThenElseZero(usable, trust));
  h->distance_value[s] = hn::IfThenElseZero(usable, dv);
  h->distance_free[s] = hn::IfThenElseZero(usable, df);
  return usable;
}

// Entropy health of one slot: rails, and the repetition count test (NIST SP 800-90B 4.4.1, H = 5, alpha 2^-30). A slot
// in an entropy flood is struck by Weigh; its distance counts as usual.
template <class S>
HWY_INLINE void ReceivePacket(const Context<S>& x, const Group<S>& g, int s, MI news, VU packet, Heard<S>* h,
                              StepCounts* sum) {
  const F f;
  const I i;
  const U u;
  const Bytes b8;
  const VI run_max = hn::Set(i, kRepetitionCutoff);
  std::uint8_t* last_at = x.col.link_entropy + s * x.col.stride + g.row;  // five bits of hash, three of run
  const VI last = hn::PromoteTo(i, hn::LoadU(b8, last_at));
  const VI hash = hn::BitCast(i, EntropyHash(u, packet));
  const MI same = hn::Eq(hn::ShiftRight<3>(last), hash);
  const VI longer = hn::Min(hn::Add(hn::And(last, hn::Set(i, 7)), hn::Set(i, 1)), run_max);
  const VI run = hn::IfThenElse(same, longer, hn::Set(i, 1));
  hn::StoreU(hn::DemoteTo(b8, hn::IfThenElse(news, hn::Or(hn::ShiftLeft<3>(hash), run), last)), b8, last_at);
  const MI stuck = hn::And(news, hn::Eq(run, run_max));
  const MI railed = hn::And(news, hn::RebindMask(i, AnyByteAtRails(u, packet)));
  h->flooded[s] = hn::Or(stuck, railed);
  if (!hn::AllFalse(i, h->flooded[s])) {
    sum->refused.Add(Refusal::kEntropyRepeated, Count(stuck));
    sum->refused.Add(Refusal::kEntropySaturated, Count(railed));
  }
  const MI noise_ok = hn::AndNot(h->flooded[s], news);
  h->packets = hn::Add(h->packets, hn::IfThenElseZero(noise_ok, hn::Set(i, 1)));
  VU bytes = hn::IfThenElseZero(hn::RebindMask(u, noise_ok), packet);
  VU mixed = packet;
  for (int c = 0; c < x.dims; ++c) {
    if (c == 4 || c == 8) {
      mixed = Mix32(u, mixed);
      bytes = hn::IfThenElseZero(hn::RebindMask(u, noise_ok), EntropyBytes(u, mixed));
    }
    const VI component = hn::ShiftRight<24>(hn::BitCast(i, (c & 3) == 0   ? hn::ShiftLeft<24>(bytes)
                                                           : (c & 3) == 1 ? hn::ShiftLeft<16>(bytes)
                                                           : (c & 3) == 2 ? hn::ShiftLeft<8>(bytes)
                                                                          : bytes));
    h->entropy[c] = hn::Add(h->entropy[c], hn::ConvertTo(f, component));
  }
}

// Receives and weighs (SPEC-7.2 steps 1 and 2), slot by slot. Each slot is loaded while the one before it is weighed,
// which hides the latency of memory.
template <class S>
HWY_INLINE void Receive(const Context<S>& x, const Group<S>& g, Heard<S>* h, LaneSums* lane_sums, StepCounts* sum) {
  const F f;
  const I i;
  const auto load = [&](int s, VF(&word)[S::kWords]) {
    const std::uint32_t* const link = x.col.link + s * x.col.stride + g.row;
    const auto neighbour = [&](std::size_t lane) { return x.col.said + NeighbourOf(link[lane]) * x.words; };
    Hear(f, neighbour, word);
  };
  h->total = h->packets = hn::Zero(i);
  for (int c = 0; c < x.dims; ++c) h->entropy[c] = hn::Zero(f);
  VF ahead[S::kWords];
  load(0, ahead);
  for (int s = 0; s < S::kPeers; ++s) {
    h->flooded[s] = hn::Lt(hn::Zero(i), hn::Zero(i));
    if (s >= x.peers) {
      h->distance_value[s] = h->distance_free[s] = Far();  // behind all others
      h->weight[s] = hn::Zero(i);
      continue;
    }
    VF word[S::kWords];
    std::copy_n(ahead, S::kWords, word);
    if (s + 1 < x.peers) load(s + 1, ahead);
    const VU meta = hn::BitCast(U(), word[x.dims]);
    const VI age = AgeOf(x, meta);
    const MI usable = WeighSlot(x, g, s, word, meta, age, h, lane_sums, sum);
    const MI news = hn::And(
        usable, hn::And(hn::Eq(age, hn::Set(i, 1)), hn::RebindMask(i, hn::TestBit(meta, hn::Set(U(), kMetaPacket)))));
    if (!hn::AllFalse(i, news)) ReceivePacket(x, g, s, news, hn::BitCast(U(), word[x.dims + 1]), h, sum);
  }
}

// The bounds adapt with memory (drift.md rule 4, drift2.md). Corrections towards the ledger are never bounded below the
// distance from it. Free coordinates have two bounds: tau may widen to the slow bound at once, and the slow bound
// narrows slowly, or not at all while a server node is missing. `before`: the bounds of the cycle before.
template <class S>
HWY_INLINE Bounds Bound(const Context<S>& x, const Group<S>& g, const Heard<S>& h, const Bounds& before) {
  const F f;
  const I i;
  const MF deaf = hn::RebindMask(f, hn::Eq(h.total, hn::Zero(i)));
  const auto grown = [&](VF was) { return hn::Mul(was, hn::Set(f, x.p.bound_grow)); };
  const auto remember = [&](VF wanted, VF was, VF most, float least) {
    VF tau = hn::Max(wanted, hn::Mul(was, hn::Set(f, x.p.bound_shrink)));
    tau = hn::Min(tau, most);
    return hn::Max(hn::IfThenElse(deaf, was, tau), hn::Set(f, least));
  };
  const VF median_value = WeightedMedian<S::kPeers>(f, i, h.distance_value, h.weight, h.total);
  const VF median_free = WeightedMedian<S::kPeers>(f, i, h.distance_free, h.weight, h.total);
  const VF wanted_value = hn::Max(hn::Mul(hn::Set(f, x.p.bound_factor), median_value), g.own_distance);
  const VF wanted_free = hn::Mul(hn::Set(f, x.p.bound_factor_free), median_free);
  Bounds now;
  now.value = remember(wanted_value, before.value, grown(before.value), vaultguard::kMinBoundVu);
  now.free = remember(wanted_free, before.free, hn::Max(grown(before.free), before.slow), vaultguard::kMinBoundFree);
  const VF narrower = hn::Mul(before.slow, hn::Set(f, x.in.apart ? 1.0f : x.p.slow_keep));
  now.slow = hn::Max(hn::IfThenElse(deaf, before.slow, narrower), now.free);
  return now;
}

// A neighbour beyond a strike bound, or in an entropy flood, loses trust; any other that was heard regains some.
template <class S>
HWY_INLINE void JudgeSlot(const Context<S>& x, const Group<S>& g, const Heard<S>& h, int s, VF strike_value,
                          MF far_free, StepCounts* sum) {
  const F f;
  const I i;
  const U u;
  const MI has_voice = hn::Gt(h.weight[s], hn::Zero(i));
  const MI value_struck =
      hn::And(has_voice, hn::RebindMask(i, hn::Gt(hn::BitCast(f, h.distance_value[s]), strike_value)));
  const MI struck = hn::Or(hn::Or(value_struck, h.flooded[s]), hn::RebindMask(i, far_free));
  if (!hn::AllFalse(i, value_struck)) {
    VF pull = hn::Zero(f);
    for (int c = 0; c < x.k; ++c) pull = hn::Add(pull, hn::Load(f, h.diff + (s * x.dims + c) * hn::Lanes(f)));
    const MI downward = hn::RebindMask(i, hn::Lt(pull, hn::Zero(f)));
    sum->strikes_down += Count(hn::And(value_struck, downward));
    sum->strikes_up += Count(hn::AndNot(downward, value_struck));
  }
  std::uint32_t* const link_at = x.col.link + s * x.col.stride + g.row;
  const VU link = hn::Load(u, link_at);
  const VI trust = hn::BitCast(i, hn::ShiftRight<24>(link));
  const VI whole = hn::Set(i, kTrustWhole);
  if (hn::AllFalse(i, hn::And(has_voice, hn::Or(struck, hn::Lt(trust, whole))))) return;
  const VI less = hn::ShiftRight<8>(hn::Mul(trust, hn::Set(i, kTrustKept256)));
  const VI more = hn::Min(hn::Add(trust, hn::Set(i, kTrustRegained)), whole);
  const VI now = hn::IfThenElse(has_voice, hn::IfThenElse(struck, less, more), trust);
  const VU neighbour = hn::And(link, hn::Set(u, kNeighbourMask));
  hn::Store(hn::Or(neighbour, hn::ShiftLeft<24>(hn::BitCast(u, now))), u, link_at);
}

// The clipped average (rules 2 and 3), and trust by slot (rule 5). Slots that are not heard have weight 0. Beyond the
// strike bound of the free coordinates a slot has no voice in them: clipping alone would let far liars pull. `kAllNear`:
// no slot is beyond tau in free coordinates, so none is clipped or left out there; the sums are the same bit for bit.
template <bool kAllNear, class S>
HWY_INLINE void WeighSlots(const Context<S>& x, const Group<S>& g, const Heard<S>& h, const Bounds& tau,
                           Drawn<S>* drawn, StepCounts* sum) {
  const F f;
  const I i;
  const std::size_t lanes = hn::Lanes(f);
  const VF strike_factor = hn::Set(f, x.p.strike_factor);
  const VF strike_value = hn::Max(hn::Mul(strike_factor, tau.value), g.own_distance);
  const VF lenient = hn::Min(hn::Mul(hn::Set(f, x.p.strike_tau), tau.free), hn::Set(f, x.p.strike_range * x.highest));
  const VF strike_free = hn::Mul(strike_factor, hn::Max(tau.slow, lenient));
  for (int c = 0; c < x.dims; ++c) drawn->by[c] = hn::Zero(f);
  drawn->spread_value = drawn->spread_free = hn::Zero(f);
  drawn->voices_free = drawn->near_free = kAllNear ? hn::ConvertTo(f, h.total) : hn::Zero(f);
  for (int s = 0; s < x.peers; ++s) {
    const VF w = hn::ConvertTo(f, h.weight[s]);
    const VF distance_free = hn::BitCast(f, h.distance_free[s]);
    const auto clip = [](VF d, VF bound) { return hn::Max(hn::Min(d, bound), hn::Neg(bound)); };
    MF far_free = hn::RebindMask(f, hn::Lt(hn::Zero(i), hn::Zero(i)));
    VF w_free = w;
    VF near_free = distance_free;
    if constexpr (!kAllNear) {
      far_free = hn::Gt(distance_free, strike_free);
      w_free = hn::IfThenZeroElse(far_free, w);
      const MF clipped = hn::Gt(hn::BitCast(f, ForMedian(h.distance_free[s])), tau.free);
      drawn->voices_free = hn::Add(drawn->voices_free, w_free);
      drawn->near_free = hn::Add(drawn->near_free, hn::IfThenZeroElse(clipped, w));
      near_free = hn::Min(distance_free, tau.free);
    }
    for (int c = 0; c < x.dims; ++c) {
      const VF d = hn::Load(f, h.diff + (s * x.dims + c) * lanes);
      const VF pull = c < x.k ? clip(d, tau.value) : kAllNear ? d : clip(d, tau.free);
      drawn->by[c] = hn::Add(drawn->by[c], hn::Mul(c < x.k ? w : w_free, pull));
    }
    const VF near_value = hn::Min(hn::BitCast(f, h.distance_value[s]), tau.value);
    drawn->spread_value = hn::Add(drawn->spread_value, hn::Mul(w, near_value));
    drawn->spread_free = hn::Add(drawn->spread_free, hn::Mul(w_free, near_free));
    JudgeSlot(x, g, h, s, strike_value, far_free, sum);
  }
}

template <class S>
HWY_INLINE void Weigh(const Context<S>& x, const Group<S>& g, const Heard<S>& h, const Bounds& tau, Drawn<S>* drawn,
                      StepCounts* sum) {
  const F f;
  VI farthest = hn::Zero(I());
  for (int s = 0; s < x.peers; ++s) farthest = hn::Max(farthest, h.distance_free[s]);
  if (hn::AllFalse(f, hn::Gt(hn::BitCast(f, farthest), tau.free))) {
    WeighSlots<true>(x, g, h, tau, drawn, sum);
  } else {
    WeighSlots<false>(x, g, h, tau, drawn, sum);
  }
}

// Drift (rules 3 and 6), then VaultGuard (rule 7). `own`: what the rows published last. Returns the rows that moved by
// more than they keep to themselves (rule 8).
//
// Moves are compared as integers, where NaN is the largest, because float maxima of NaN differ between targets. An
// adversary that turns honest may have published NaN last: such a replica counts as moved, and publishes at once.
template <class S>
HWY_INLINE MI Move(const Context<S>& x, const Group<S>& g, const Heard<S>& h, const Bounds& tau, const Drawn<S>& drawn,
                   const VF (&own)[S::kWords], VF (&next)[S::kBuffer], StepCounts* sum) {
  const F f;
  const I i;
  const MF active_f = hn::RebindMask(f, g.active);
  const VF one = hn::Set(f, 1.0f);
  const VF w0 = hn::Set(f, x.p.ledger_weight * static_cast<float>(kTrustWhole));
  const VF voices = hn::ConvertTo(f, h.total);
  const VF voices_value = hn::Add(voices, w0);
  const VF voices_free = hn::Max(drawn.voices_free, one);
  const VF divisor_free = hn::Max(drawn.near_free, hn::Mul(hn::Set(f, x.p.near_least), voices_free));
  const VF noise = hn::Div(hn::Set(f, x.p.alpha / kEntropySteps), hn::Sqrt(hn::Max(hn::ConvertTo(f, h.packets), one)));
  const VF noise_value = hn::Mul(noise, hn::Div(drawn.spread_value, hn::Max(voices, one)));
  const VF noise_free = hn::Mul(noise, hn::Div(drawn.spread_free, voices_free));
  const VF band_before = hn::Load(f, x.col.band + g.row);
  const VF band = hn::Max(hn::Mul(band_before, hn::Set(f, x.p.band_decay)), hn::Set(f, vaultguard::kMinBandVu));
  const VF lowest = hn::Set(f, x.lowest);
  const VF highest = hn::Set(f, x.highest);
  const MI none = hn::Lt(hn::Zero(i), hn::Zero(i));
  MI by_finite = none, by_shift = none, by_floor = none, by_band = none;
  VI moved_value = hn::Zero(i);
  VI moved_free = hn::Zero(i);
  for (int c = 0; c < x.dims; ++c) {
    const VF bound = c < x.k ? tau.value : tau.free;
    VF correction;
    if (c < x.k) {
      const VF home = hn::Max(hn::Min(hn::Neg(g.v[c]), bound), hn::Neg(bound));
      correction = hn::Div(hn::Add(drawn.by[c], hn::Mul(w0, home)), voices_value);
    } else {
      correction = hn::Div(drawn.by[c], divisor_free);
    }
    correction =
        hn::Add(hn::Mul(hn::Set(f, x.p.beta), correction), hn::Mul(c < x.k ? noise_value : noise_free, h.entropy[c]));
    const auto finite = guard::RequireFinite(f, correction);
    const auto shift = guard::LimitShift(f, finite.value, bound);
    VF state = hn::Add(g.v[c], shift.value);
    by_finite = hn::Or(by_finite, hn::RebindMask(i, finite.changed));
    by_shift = hn::Or(by_shift, hn::RebindMask(i, shift.changed));
    if (c < x.k) {
      const auto floor = guard::KeepAboveFloor(f, state, hn::Set(f, x.in.floor[c]));
      const auto kept = guard::KeepInBand(f, floor.value, band);
      by_floor = hn::Or(by_floor, hn::RebindMask(i, floor.changed));
      by_band = hn::Or(by_band, hn::RebindMask(i, kept.changed));
      state = kept.value;
    } else {
      state = guard::KeepInRange(f, state, lowest, highest);
    }
    next[c] = hn::IfThenElse(active_f, state, g.v[c]);
    hn::Store(next[c], f, x.col.state + c * x.col.stride + g.row);
    VI& moved = c < x.k ? moved_value : moved_free;
    moved = hn::Max(moved, SizeOf(hn::Sub(next[c], own[c])));
  }
  hn::Store(hn::IfThenElse(active_f, band, band_before), f, x.col.band + g.row);
  if (!hn::AllFalse(i, hn::And(g.active, hn::Or(hn::Or(by_finite, by_shift), hn::Or(by_floor, by_band))))) {
    sum->clamped[static_cast<int>(Clamp::kFinite)] += Count(hn::And(g.active, by_finite));
    sum->clamped[static_cast<int>(Clamp::kShift)] += Count(hn::And(g.active, by_shift));
    sum->clamped[static_cast<int>(Clamp::kFloor)] += Count(hn::And(g.active, by_floor));
    sum->clamped[static_cast<int>(Clamp::kBand)] += Count(hn::And(g.active, by_band));
  }
  const VF q = hn::Set(f, x.p.publish_factor);
  const VF news_value = hn::Max(hn::Mul(q, tau.value), hn::Set(f, vaultguard::kMinNewsVu));
  const VF news_free = hn::Max(hn::Mul(q, tau.free), hn::Set(f, vaultguard::kMinNewsFree));
  return hn::Or(hn::Gt(moved_value, hn::BitCast(i, news_value)), hn::Gt(moved_free, hn::BitCast(i, news_free)));
}

// Publishes what there is to say (rule 8, SPEC-7.2 step 4). A mere sign of life brings no new entropy: without
// disagreement none is needed.
template <class S>
HWY_INLINE void Publish(const Context<S>& x, const Group<S>& g, MI changed, const VF (&next)[S::kBuffer],
                        VF (&own)[S::kWords], Publications* out, StepCounts* sum) {
  const F f;
  const I i;
  const U u;
  const VI own_age = AgeOf(x, hn::BitCast(u, own[x.dims]));
  const MI silent = hn::Not(hn::Lt(own_age, hn::Set(i, vaultguard::kHeartbeatCycles)));
  const MI first_word = hn::TestBit(g.flags, hn::Set(i, kFresh));
  const MI says = hn::And(g.active, hn::Or(hn::Or(changed, silent), first_word));
  if (hn::AllFalse(i, says)) return;
  const VU phase = hn::Add(g.rows, hn::Set(u, x.cycle32));
  const MI turn =
      hn::Eq(hn::BitCast(i, hn::And(hn::Add(phase, hn::ShiftRight<2>(phase)), hn::Set(u, kEntropyPeriod - 1))),
             hn::Zero(i));  // EntropyTurn
  const MI packet = hn::And(g.active, hn::Or(hn::And(changed, turn), first_word));
  const MI honest = hn::Not(hn::TestBit(g.flags, hn::Set(i, kAdversary)));
  sum->published += Count(hn::And(says, honest));
  const MF says_f = hn::RebindMask(f, says);
  for (int c = 0; c < x.dims; ++c) own[c] = hn::IfThenElse(says_f, next[c], own[c]);
  const VU meta_now = hn::Set(u, Meta(x.in.cycle, kTrustWhole));
  own[x.dims] = hn::IfThenElse(says_f, hn::BitCast(f, meta_now), own[x.dims]);
  if (!hn::AllFalse(i, packet)) {
    sum->packets += Count(hn::And(packet, honest));
    const MF packet_f = hn::RebindMask(f, packet);
    const VU meta_packet = hn::Or(meta_now, hn::Set(u, kMetaPacket));
    own[x.dims] = hn::IfThenElse(packet_f, hn::BitCast(f, meta_packet), own[x.dims]);
    const VU fresh_word = EntropyBytes(u, WordOf(u, x.seed32, x.cycle32, g.rows));
    own[x.dims + 1] = hn::IfThenElse(packet_f, hn::BitCast(f, fresh_word), own[x.dims + 1]);
  }
  const std::size_t lanes = hn::Lanes(f);
  out->first_row[out->groups] = static_cast<std::uint32_t>(g.row);
  StoreRows(f, own, x.words, out->rows + out->groups * lanes * x.words);
  ++out->groups;
}

template <class S>
void Step(const Shape& shape, const DriftParameters& p, const StepInput& in, const Columns& col, Publications* out,
          StepCounts* counts) {
  const F f;
  const I i;
  const Context<S> x(shape, p, in, col);
  const std::size_t lanes = hn::Lanes(f);
  StepCounts sum;
  LaneSums lane_sums = {hn::Zero(i), hn::Zero(i), hn::Zero(i)};
  for (std::size_t row = col.first_local; row < col.end; row += lanes) {
    Group<S> g;
    if (!LoadGroup(x, row, &g)) continue;
    FetchAhead(col, x.dims, x.peers, row + kRowsAhead);
    HWY_ALIGN float diff[S::kPeers * S::kBuffer * HWY_MAX_BYTES / sizeof(float)];
    Heard<S> h;
    h.diff = diff;
    Receive(x, g, &h, &lane_sums, &sum);
    const Bounds before = {hn::Load(f, col.bound_value + row), hn::Load(f, col.bound_free + row),
                           hn::Load(f, col.bound_slow + row)};
    const Bounds tau = Bound(x, g, h, before);
    Drawn<S> drawn;
    Weigh(x, g, h, tau, &drawn, &sum);
    VF own[S::kWords];
    Hear(
        f, [&](std::size_t lane) { return col.said + (row + lane) * x.words; }, own);
    VF next[S::kBuffer];
    const MI changed = Move(x, g, h, tau, drawn, own, next, &sum);
    const MF active_f = hn::RebindMask(f, g.active);
    hn::Store(hn::IfThenElse(active_f, tau.value, before.value), f, col.bound_value + row);
    hn::Store(hn::IfThenElse(active_f, tau.free, before.free), f, col.bound_free + row);
    hn::Store(hn::IfThenElse(active_f, tau.slow, before.slow), f, col.bound_slow + row);
    sum.updated += Count(g.active);
    Publish(x, g, changed, next, own, out, &sum);
  }
  sum.trust = Sum(i, lane_sums.trust);
  sum.heard = Sum(i, lane_sums.heard);
  sum.lost = Sum(i, lane_sums.lost);
  out->rows_a_group = lanes;
  *counts += sum;
}

void SafeStep(const Shape& shape, const DriftParameters& p, const StepInput& in, const Columns& col, Publications* out,
              StepCounts* counts) {
  const auto is = [&shape](int k, int e) {
    return shape.value_slots == k && shape.free_coordinates == e && shape.peers == 8;
  };
  // The usual shapes have a kernel each, twice as fast as the one for any. They differ in constants only: under sanitizers,
  // where each takes the compiler half a minute, one stands for all.
  if (is(2, 2)) return Step<KernelShape<2, 2, 8>>(shape, p, in, col, out, counts);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  if (is(1, 2)) return Step<KernelShape<1, 2, 8>>(shape, p, in, col, out, counts);
  if (is(2, 1)) return Step<KernelShape<2, 1, 8>>(shape, p, in, col, out, counts);
  if (is(1, 1)) return Step<KernelShape<1, 1, 8>>(shape, p, in, col, out, counts);
#endif
  if (shape.peers <= 8) return Step<KernelShape<0, 0, 8>>(shape, p, in, col, out, counts);
  Step<KernelShape<0, 0, 16>>(shape, p, in, col, out, counts);
}

}  // namespace lvs::shard::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lvs::shard {

namespace {

HWY_EXPORT(SafeStep);

// The paper's equation taken literally, with constant-variance entropy and no guards (drift.md, "What fails"): for
// comparison, not for use.
void PlainStep(const Shape& shape, const DriftParameters& p, const StepInput& in, const Columns& col, Publications* out,
               StepCounts* counts) {
  const int dims = shape.dimensions();
  const auto loss_below = in.loss < 1.0 ? static_cast<std::uint64_t>(in.loss * 0x1p64) : ~std::uint64_t{0};
  for (std::size_t row = col.first_local; row < col.end; ++row) {
    if (!col.Alive(row)) continue;
    float next[vaultguard::kMaxDimensions];
    for (int c = 0; c < dims; ++c) next[c] = col.state[c * col.stride + row];
    float sum[vaultguard::kMaxDimensions] = {};
    float voices = 0;
    for (int s = 0; s < shape.peers; ++s) {
      const std::uint32_t peer = NeighbourOf(col.link[s * col.stride + row]);
      if ((col.Meta(peer) & kMetaValid) == 0) continue;
      if (Draw(in.seed, Stream::kLink, row * 16 + s, in.cycle) < loss_below) {
        ++counts->lost;
        continue;
      }
      ++counts->heard;
      voices += 1;
      for (int c = 0; c < dims; ++c) sum[c] += col.Said(peer)[c] - next[c];
    }
    const std::uint32_t word = EntropyWord(in.seed, static_cast<std::uint32_t>(row), in.cycle);
    for (int c = 0; c < dims; ++c) {
      if (voices > 0) next[c] += p.beta * (sum[c] / voices);
      next[c] += p.alpha * p.plain_entropy * EntropyComponent(word, c);
      col.state[c * col.stride + row] = next[c];
    }
    ++counts->updated;
    ++counts->published;
    ++counts->packets;
    WriteSaid(out->rows + out->groups * col.said_words, dims, next, Meta(in.cycle, 255), word);
    out->first_row[out->groups++] = static_cast<std::uint32_t>(row);
  }
}

}  // namespace

StepCounts& StepCounts::operator+=(const StepCounts& other) {
  updated += other.updated;
  published += other.published;
  packets += other.packets;
  heard += other.heard;
  lost += other.lost;
  strikes_up += other.strikes_up;
  strikes_down += other.strikes_down;
  trust += other.trust;
  refused += other.refused;
  for (std::size_t n = 0; n < clamped.size(); ++n) clamped[n] += other.clamped[n];
  return *this;
}

void DriftStep(const Shape& shape, const DriftParameters& parameters, const StepInput& input, const Columns& columns,
               StepCounts* counts) {
  // Shards take turns on a thread: one buffer for all of them stays in its cache, and no shard pays for a second copy.
  thread_local Block rows;
  thread_local std::size_t rows_size = 0;
  thread_local std::vector<std::uint32_t> first_row;
  const std::size_t locals = columns.end - columns.first_local;
  if (rows_size < locals * columns.said_words) {
    rows_size = locals * columns.said_words;
    rows = AllocateBlock(rows_size * sizeof(float));
  }
  first_row.resize(std::max(first_row.size(), locals));
  Publications out{reinterpret_cast<float*>(rows.get()), first_row.data()};
  if (parameters.plain) {
    PlainStep(shape, parameters, input, columns, &out, counts);
  } else {
    HWY_DYNAMIC_DISPATCH(SafeStep)(shape, parameters, input, columns, &out, counts);
  }
  const std::size_t words = out.rows_a_group * columns.said_words;
  for (std::size_t n = 0; n < out.groups; ++n) {
    std::copy_n(out.rows + n * words, words, columns.said + out.first_row[n] * columns.said_words);
  }
}

}  // namespace lvs::shard
#endif  // HWY_ONCE
