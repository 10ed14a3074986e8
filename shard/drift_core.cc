#include "shard/drift_core.h"

#include <hwy/aligned_allocator.h>
#include <hwy/cache_control.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

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
  const VU sent = hn::Mul(hn::And(meta, hn::Set(u, 0xffffu)), hn::Set(u, 0x85ebca77u));
  const VU receiver = hn::Add(hn::Mul(rows, hn::Set(u, 16u * 0x9e3779b1u)),
                              hn::Set(u, static_cast<std::uint32_t>(link) * 0x9e3779b1u + seed32 * 0x27d4eb2fu));
  return hn::BitCast(hn::RebindToSigned<U>(), Multiplied(u, hn::Xor(receiver, sent)));
}

// Five bits of an entropy packet, for the repetition count test.
HWY_INLINE VU EntropyHash(U u, VU word) { return hn::ShiftRight<27>(hn::Mul(word, hn::Set(u, 0x9e3779b1u))); }

// Lanes in which one of the four signed bytes lies beyond +-119: an honest packet has none (EntropyWord).
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

// The weighted median of distances: a key holds the distance's float bits with the weight in the low byte, so that one
// integer sort carries both. The median is the last key with less than half of the weight before it; 0 where there is
// none.
template <int P>
HWY_INLINE VF WeightedMedian(F f, I i, const VI (&distance)[P], const VI (&weight)[P], VI total) {
  const VI byte = hn::Set(i, 0xff);
  VI key[P];
  for (int s = 0; s < P; ++s) key[s] = hn::Or(hn::AndNot(byte, distance[s]), weight[s]);
  SortKeys<P>(key, std::make_index_sequence<kSortingNetwork<P>.size>());
  const VI half = hn::ShiftRight<1>(hn::Add(total, hn::Set(i, 1)));
  VI before = hn::Zero(i);
  VI median = hn::Zero(i);
  for (int s = 0; s < P; ++s) {
    median = hn::IfThenElse(hn::Lt(before, half), key[s], median);
    before = hn::Add(before, hn::And(key[s], byte));
  }
  return hn::BitCast(f, hn::AndNot(byte, median));
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
  hwy::Prefetch(col.band + row);
}

// K value slots, E free coordinates, P neighbours. With K = 0 the shape is read at run time, and P is its number of
// neighbours padded to 8 or 16.
template <int K, int E, int P>
void Step(const Shape& shape, const DriftParameters& p, const StepInput& in, const Columns& col, Publications* out,
          StepCounts* counts) {
  const F f;
  const I i;
  const U u;
  const Bytes b8;
  const int k = K > 0 ? K : shape.value_slots;
  const int dims = K > 0 ? K + E : shape.dimensions();
  const int peers = K > 0 ? P : shape.peers;
  const std::size_t lanes = hn::Lanes(f);
  constexpr int kBuffer = K > 0 ? K + E : kMaxDimensions;
  // The words of a publication, by fours.
  constexpr std::size_t W = (SaidWords(kBuffer) + 3) / 4 * 4;
  const std::size_t words = SaidWords(dims);
  constexpr std::size_t kLanes = HWY_MAX_BYTES / 4;

  const std::uint32_t seed32 = static_cast<std::uint32_t>(Mix(in.seed)) | 1u;
  const std::uint32_t cycle32 = static_cast<std::uint32_t>(in.cycle);
  const VU cycle16 = hn::Set(u, cycle32 & 0xffffu);
  const bool lossy = in.loss > 0;
  const VI lost_up_to =
      hn::Set(i, static_cast<std::int32_t>(std::min(in.loss, 1.0) * 0xffffffffu - static_cast<double>(0x80000000u)));
  const VI far = hn::BitCast(i, hn::Set(f, vaultguard::kMaxDistance));
  const VI size_bits = hn::Set(i, 0x7fffffff);
  const VF zero = hn::Zero(f);
  const VI zero_i = hn::Zero(i);
  const VI one_i = hn::Set(i, 1);
  const VF one = hn::Set(f, 1.0f);
  const VF w0 = hn::Set(f, p.ledger_weight * 255.0f);

  StepCounts sum;
  const auto count = [i](auto mask) { return static_cast<std::uint64_t>(hn::CountTrue(i, mask)); };
  // Sums lane by lane over the whole shard: at most 16 x 255 a row group, so 8 million rows fit.
  VI trust_heard = zero_i;
  VI heard = zero_i;
  VI lost = zero_i;

  for (std::size_t row = col.first_local; row < col.end; row += lanes) {
    const VU rows = hn::Iota(u, static_cast<std::uint32_t>(row));
    const VI flags = hn::PromoteTo(i, hn::LoadU(b8, col.flags + row));
    auto active = hn::TestBit(flags, hn::Set(i, kAlive));
    if (!LowPowerTurn(static_cast<std::uint32_t>(row), cycle32)) {
      active = hn::AndNot(hn::TestBit(flags, hn::Set(i, kLowPower)), active);
    }
    if (hn::AllFalse(i, active)) continue;
    const MF active_f = hn::RebindMask(f, active);

    VF v[kBuffer];
    VF own_distance = zero;
    for (int c = 0; c < dims; ++c) v[c] = hn::Load(f, col.state + c * col.stride + row);
    for (int c = 0; c < k; ++c) own_distance = hn::Max(own_distance, hn::Abs(v[c]));

    FetchAhead(col, dims, peers, row + kRowsAhead);

    // Receive and weigh (SPEC-7.2 steps 1 and 2), slot by slot. diff is kept for the second pass.
    HWY_ALIGN float diff[P * kBuffer * kLanes];
    VI distance_value[P];
    VI distance_free[P];
    VI weight[P];
    MI flooded[P];
    const MI none = hn::Lt(zero_i, zero_i);
    VI total = zero_i;
    VF entropy[kBuffer];
    for (int c = 0; c < dims; ++c) entropy[c] = zero;
    VI entropy_heard = zero_i;
    // Each slot is loaded while the one before it is weighed, which hides the latency of memory.
    const auto hear_link = [&](int s, VF(&word)[W]) {
      const std::uint32_t* const link = col.link + s * col.stride + row;
      const auto neighbour = [&](std::size_t lane) { return col.said + NeighbourOf(link[lane]) * words; };
      Hear(f, neighbour, word);
    };
    VF ahead[W];
    hear_link(0, ahead);
    for (int s = 0; s < P; ++s) {
      flooded[s] = none;
      if (s >= peers) {
        distance_value[s] = distance_free[s] = far;  // behind all others
        weight[s] = zero_i;
        continue;
      }
      VF word[W];
      std::copy_n(ahead, W, word);
      if (s + 1 < peers) hear_link(s + 1, ahead);
      const VU meta = hn::BitCast(u, word[dims]);
      const VI age = hn::BitCast(i, hn::And(hn::Sub(cycle16, meta), hn::Set(u, 0xffffu)));
      auto received = hn::And(active, hn::RebindMask(i, hn::TestBit(meta, hn::Set(u, kMetaValid))));
      if (lossy) {
        const auto arrived = hn::Gt(LossDraw(u, seed32, rows, s, meta), lost_up_to);
        lost = hn::Add(lost, hn::IfThenElseZero(hn::AndNot(arrived, received), one_i));
        received = hn::And(received, arrived);
      }
      const auto stale = hn::And(received, hn::Gt(age, hn::Set(i, vaultguard::kSilenceCycles)));
      // Sizes are compared as integers, where NaN and infinity are the largest.
      VI dv = zero_i;
      VI df = zero_i;
      for (int c = 0; c < dims; ++c) {
        const VF d = hn::Sub(word[c], v[c]);
        const VI size = hn::And(hn::BitCast(i, d), size_bits);
        (c < k ? dv : df) = hn::Max(c < k ? dv : df, size);
        hn::Store(d, f, diff + (s * dims + c) * lanes);
      }
      const auto infinite = hn::Gt(hn::Max(dv, df), far);
      const auto usable = hn::AndNot(infinite, hn::AndNot(stale, received));
      if (!hn::AllFalse(i, hn::Or(stale, infinite))) {
        sum.refused.Add(Refusal::kStale, count(stale));
        sum.refused.Add(Refusal::kNotFinite, count(hn::And(infinite, hn::AndNot(stale, received))));
        for (int c = 0; c < dims; ++c) {
          float* at = diff + (s * dims + c) * lanes;
          hn::Store(hn::IfThenZeroElse(hn::RebindMask(f, infinite), hn::Load(f, at)), f, at);
        }
      }
      heard = hn::Add(heard, hn::IfThenElseZero(usable, one_i));
      dv = hn::IfThenElseZero(usable, dv);
      df = hn::IfThenElseZero(usable, df);

      // DC (SPEC-5.3): trust by slot times the sender's drift weight; clipping below is its value part.
      const VU link = hn::Load(u, col.link + s * col.stride + row);
      const VI trust = hn::BitCast(i, hn::ShiftRight<24>(link));
      const VI claimed = hn::BitCast(i, hn::ShiftRight<24>(meta));
      weight[s] = hn::IfThenElseZero(usable, hn::ShiftRight<8>(hn::Add(hn::Mul(trust, claimed), trust)));
      total = hn::Add(total, weight[s]);
      trust_heard = hn::Add(trust_heard, hn::IfThenElseZero(usable, trust));
      distance_value[s] = dv;
      distance_free[s] = df;

      const auto news =
          hn::And(usable, hn::And(hn::Eq(age, one_i), hn::RebindMask(i, hn::TestBit(meta, hn::Set(u, kMetaPacket)))));
      if (hn::AllFalse(i, news)) continue;
      // Entropy health, slot by slot: rails, and the repetition count test (NIST SP 800-90B 4.4.1, H = 5, cutoff 7:
      // alpha 2^-30).
      const VU packet = hn::BitCast(u, word[dims + 1]);
      std::uint8_t* last_at = col.link_entropy + s * col.stride + row;
      const VI last = hn::PromoteTo(i, hn::LoadU(b8, last_at));
      const VI hash = hn::BitCast(i, EntropyHash(u, packet));
      const auto same = hn::Eq(hn::ShiftRight<3>(last), hash);
      const VI run = hn::IfThenElse(same, hn::Min(hn::Add(hn::And(last, hn::Set(i, 7)), one_i), hn::Set(i, 7)), one_i);
      hn::StoreU(hn::DemoteTo(b8, hn::IfThenElse(news, hn::Or(hn::ShiftLeft<3>(hash), run), last)), b8, last_at);
      const auto stuck = hn::And(news, hn::Gt(run, hn::Set(i, 6)));
      const auto railed = hn::And(news, hn::RebindMask(i, AnyByteAtRails(u, packet)));
      // A slot in an entropy flood is struck below; its distance counts as usual.
      flooded[s] = hn::Or(stuck, railed);
      if (!hn::AllFalse(i, flooded[s])) {
        sum.refused.Add(Refusal::kEntropyRepeated, count(stuck));
        sum.refused.Add(Refusal::kEntropySaturated, count(railed));
      }
      const auto noise_ok = hn::AndNot(flooded[s], news);
      entropy_heard = hn::Add(entropy_heard, hn::IfThenElseZero(noise_ok, one_i));
      VU bytes = hn::IfThenElseZero(hn::RebindMask(u, noise_ok), packet);
      VU mixed = packet;
      for (int c = 0; c < dims; ++c) {
        if (c == 4 || c == 8) {
          mixed = Mix32(u, mixed);
          bytes = hn::IfThenElseZero(hn::RebindMask(u, noise_ok), EntropyBytes(u, mixed));
        }
        const VI component = hn::ShiftRight<24>(hn::BitCast(i, (c & 3) == 0   ? hn::ShiftLeft<24>(bytes)
                                                               : (c & 3) == 1 ? hn::ShiftLeft<16>(bytes)
                                                               : (c & 3) == 2 ? hn::ShiftLeft<8>(bytes)
                                                                              : bytes));
        entropy[c] = hn::Add(entropy[c], hn::ConvertTo(f, component));
      }
    }

    // The bound adapts with memory (drift.md rule 4).
    const VF tau_value_before = hn::Load(f, col.bound_value + row);
    const VF tau_free_before = hn::Load(f, col.bound_free + row);
    const auto deaf = hn::RebindMask(f, hn::Eq(total, zero_i));
    const VF c_factor = hn::Set(f, p.bound_factor);
    // Corrections towards the ledger are never bounded below the distance from it.
    const VF median_value =
        hn::Max(hn::Mul(c_factor, WeightedMedian<P>(f, i, distance_value, weight, total)), own_distance);
    const VF median_free = hn::Mul(c_factor, WeightedMedian<P>(f, i, distance_free, weight, total));
    const auto remember = [&](VF wanted, VF before, float least) {
      VF tau = hn::Max(wanted, hn::Mul(before, hn::Set(f, p.bound_shrink)));
      tau = hn::Min(tau, hn::Mul(before, hn::Set(f, p.bound_grow)));
      tau = hn::IfThenElse(deaf, before, tau);
      return hn::Max(tau, hn::Set(f, least));
    };
    const VF tau_value = remember(median_value, tau_value_before, vaultguard::kMinBoundVu);
    const VF tau_free = remember(median_free, tau_free_before, vaultguard::kMinBoundFree);

    // Trust by slot (rule 5), and the clipped average (rules 2 and 3). Slots that are not heard have weight 0.
    const VF strike_value = hn::Max(hn::Mul(hn::Set(f, p.strike_factor), tau_value), own_distance);
    const VF strike_free = hn::Mul(hn::Set(f, p.strike_factor), tau_free);
    VF drawn[kBuffer];
    for (int c = 0; c < dims; ++c) drawn[c] = zero;
    VF spread_value = zero;
    VF spread_free = zero;
    for (int s = 0; s < peers; ++s) {
      const VF w = hn::ConvertTo(f, weight[s]);
      for (int c = 0; c < dims; ++c) {
        const VF tau = c < k ? tau_value : tau_free;
        const VF d = hn::Load(f, diff + (s * dims + c) * lanes);
        drawn[c] = hn::Add(drawn[c], hn::Mul(w, hn::Max(hn::Min(d, tau), hn::Neg(tau))));
      }
      spread_value = hn::Add(spread_value, hn::Mul(w, hn::Min(hn::BitCast(f, distance_value[s]), tau_value)));
      spread_free = hn::Add(spread_free, hn::Mul(w, hn::Min(hn::BitCast(f, distance_free[s]), tau_free)));

      const auto has_voice = hn::Gt(weight[s], zero_i);
      const auto value_struck =
          hn::And(has_voice, hn::RebindMask(i, hn::Gt(hn::BitCast(f, distance_value[s]), strike_value)));
      const auto struck = hn::Or(hn::Or(value_struck, flooded[s]),
                                 hn::RebindMask(i, hn::Gt(hn::BitCast(f, distance_free[s]), strike_free)));
      if (!hn::AllFalse(i, value_struck)) {
        VF pull = zero;
        for (int c = 0; c < k; ++c) pull = hn::Add(pull, hn::Load(f, diff + (s * dims + c) * lanes));
        const auto downward = hn::RebindMask(i, hn::Lt(pull, zero));
        sum.strikes_down += count(hn::And(value_struck, downward));
        sum.strikes_up += count(hn::AndNot(downward, value_struck));
      }
      std::uint32_t* const link_at = col.link + s * col.stride + row;
      const VU link = hn::Load(u, link_at);
      const VI trust = hn::BitCast(i, hn::ShiftRight<24>(link));
      const VI whole = hn::Set(i, 255);
      if (hn::AllFalse(i, hn::And(has_voice, hn::Or(struck, hn::Lt(trust, whole))))) continue;
      const VI less = hn::ShiftRight<8>(hn::Mul(trust, hn::Set(i, 205)));  // x 0.8
      const VI more = hn::Min(hn::Add(trust, hn::Set(i, 5)), whole);       // + 0.02
      const VI now = hn::IfThenElse(has_voice, hn::IfThenElse(struck, less, more), trust);
      const VU neighbour = hn::And(link, hn::Set(u, kNeighbourMask));
      hn::Store(hn::Or(neighbour, hn::ShiftLeft<24>(hn::BitCast(u, now))), u, link_at);
    }

    // Drift (rules 3 and 6), then VaultGuard (rule 7).
    const VF voices = hn::ConvertTo(f, total);
    const VF voices_value = hn::Add(voices, w0);
    const VF voices_free = hn::Max(voices, one);
    const VF sigma_value = hn::Div(spread_value, voices_free);
    const VF sigma_free = hn::Div(spread_free, voices_free);
    const VF noise =
        hn::Div(hn::Set(f, p.alpha / kEntropySteps), hn::Sqrt(hn::Max(hn::ConvertTo(f, entropy_heard), one)));
    const VF noise_value = hn::Mul(noise, sigma_value);
    const VF noise_free = hn::Mul(noise, sigma_free);
    const VF band_before = hn::Load(f, col.band + row);
    const VF band = hn::Max(hn::Mul(band_before, hn::Set(f, p.band_decay)), hn::Set(f, vaultguard::kMinBandVu));
    auto by_finite = none, by_shift = none, by_floor = none, by_band = none;
    VF own[W];
    const auto self = [&](std::size_t lane) { return col.said + (row + lane) * words; };
    Hear(f, self, own);
    // Moves are compared as integers, where NaN is the largest, because float maxima of NaN differ between targets. An
    // adversary that turns honest may have published NaN last: such a replica counts as moved, and publishes at once.
    VI moved_value = zero_i;
    VI moved_free = zero_i;
    VF next[kBuffer];
    for (int c = 0; c < dims; ++c) {
      VF correction;
      if (c < k) {
        const VF home = hn::Max(hn::Min(hn::Neg(v[c]), tau_value), hn::Neg(tau_value));
        correction = hn::Div(hn::Add(drawn[c], hn::Mul(w0, home)), voices_value);
      } else {
        correction = hn::Div(drawn[c], voices_free);
      }
      correction =
          hn::Add(hn::Mul(hn::Set(f, p.beta), correction), hn::Mul(c < k ? noise_value : noise_free, entropy[c]));
      const auto finite = guard::RequireFinite(f, correction);
      const auto shift = guard::LimitShift(f, finite.value, c < k ? tau_value : tau_free);
      VF state = hn::Add(v[c], shift.value);
      by_finite = hn::Or(by_finite, hn::RebindMask(i, finite.changed));
      by_shift = hn::Or(by_shift, hn::RebindMask(i, shift.changed));
      if (c < k) {
        const auto floor = guard::KeepAboveFloor(f, state, hn::Set(f, in.floor[c]));
        const auto kept = guard::KeepInBand(f, floor.value, band);
        by_floor = hn::Or(by_floor, hn::RebindMask(i, floor.changed));
        by_band = hn::Or(by_band, hn::RebindMask(i, kept.changed));
        state = kept.value;
      }
      next[c] = hn::IfThenElse(active_f, state, v[c]);
      hn::Store(next[c], f, col.state + c * col.stride + row);
      VI& moved = c < k ? moved_value : moved_free;
      moved = hn::Max(moved, hn::And(hn::BitCast(i, hn::Sub(next[c], own[c])), size_bits));
    }
    hn::Store(hn::IfThenElse(active_f, tau_value, tau_value_before), f, col.bound_value + row);
    hn::Store(hn::IfThenElse(active_f, tau_free, tau_free_before), f, col.bound_free + row);
    hn::Store(hn::IfThenElse(active_f, band, band_before), f, col.band + row);
    sum.updated += count(active);
    if (!hn::AllFalse(i, hn::And(active, hn::Or(hn::Or(by_finite, by_shift), hn::Or(by_floor, by_band))))) {
      sum.clamped[static_cast<int>(Clamp::kFinite)] += count(hn::And(active, by_finite));
      sum.clamped[static_cast<int>(Clamp::kShift)] += count(hn::And(active, by_shift));
      sum.clamped[static_cast<int>(Clamp::kFloor)] += count(hn::And(active, by_floor));
      sum.clamped[static_cast<int>(Clamp::kBand)] += count(hn::And(active, by_band));
    }

    // Publish when there is something to say (rule 8): SPEC-7.2 step 4.
    const VU own_meta = hn::BitCast(u, own[dims]);
    const VI own_age = hn::BitCast(i, hn::And(hn::Sub(cycle16, own_meta), hn::Set(u, 0xffffu)));
    const VF q = hn::Set(f, p.publish_factor);
    const VF news_value = hn::Max(hn::Mul(q, tau_value), hn::Set(f, vaultguard::kMinNewsVu));
    const VF news_free = hn::Max(hn::Mul(q, tau_free), hn::Set(f, vaultguard::kMinNewsFree));
    const auto changed =
        hn::Or(hn::Gt(moved_value, hn::BitCast(i, news_value)), hn::Gt(moved_free, hn::BitCast(i, news_free)));
    const auto silent = hn::Not(hn::Lt(own_age, hn::Set(i, vaultguard::kHeartbeatCycles)));
    const auto first_word = hn::TestBit(flags, hn::Set(i, kFresh));
    const auto says = hn::And(active, hn::Or(hn::Or(changed, silent), first_word));
    if (hn::AllFalse(i, says)) continue;
    // A mere sign of life brings no new entropy: without disagreement none is needed.
    const VU phase = hn::Add(rows, hn::Set(u, cycle32));
    const auto turn = hn::Eq(
        hn::BitCast(i, hn::And(hn::Add(phase, hn::ShiftRight<2>(phase)), hn::Set(u, kEntropyPeriod - 1))), zero_i);
    const auto packet = hn::And(active, hn::Or(hn::And(changed, turn), first_word));
    const auto honest = hn::Not(hn::TestBit(flags, hn::Set(i, kAdversary)));
    sum.published += count(hn::And(says, honest));
    const MF says_f = hn::RebindMask(f, says);
    for (int c = 0; c < dims; ++c) own[c] = hn::IfThenElse(says_f, next[c], own[c]);
    const VU meta_now = hn::Set(u, Meta(in.cycle, 255));
    own[dims] = hn::IfThenElse(says_f, hn::BitCast(f, meta_now), own[dims]);
    if (!hn::AllFalse(i, packet)) {
      sum.packets += count(hn::And(packet, honest));
      const MF packet_f = hn::RebindMask(f, packet);
      const VU meta_packet = hn::Or(meta_now, hn::Set(u, kMetaPacket));
      own[dims] = hn::IfThenElse(packet_f, hn::BitCast(f, meta_packet), own[dims]);
      const VU fresh_word = EntropyBytes(u, WordOf(u, seed32, cycle32, rows));
      own[dims + 1] = hn::IfThenElse(packet_f, hn::BitCast(f, fresh_word), own[dims + 1]);
    }
    out->first_row[out->groups] = static_cast<std::uint32_t>(row);
    StoreRows(f, own, words, out->rows + out->groups * lanes * words);
    ++out->groups;
  }
  sum.trust = Sum(i, trust_heard);
  sum.heard = Sum(i, heard);
  sum.lost = Sum(i, lost);
  out->rows_a_group = lanes;
  *counts += sum;
}

void SafeStep(const Shape& shape, const DriftParameters& p, const StepInput& in, const Columns& col, Publications* out,
              StepCounts* counts) {
  const auto is = [&shape](int k, int e) {
    return shape.value_slots == k && shape.free_coordinates == e && shape.peers == 8;
  };
  // The usual shapes have a kernel each, twice as fast as the one for any.
  if (is(2, 2)) return Step<2, 2, 8>(shape, p, in, col, out, counts);
  if (is(1, 2)) return Step<1, 2, 8>(shape, p, in, col, out, counts);
  if (is(2, 1)) return Step<2, 1, 8>(shape, p, in, col, out, counts);
  if (is(1, 1)) return Step<1, 1, 8>(shape, p, in, col, out, counts);
  if (shape.peers <= 8) return Step<0, 0, 8>(shape, p, in, col, out, counts);
  Step<0, 0, 16>(shape, p, in, col, out, counts);
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
  thread_local hwy::AlignedFreeUniquePtr<float[]> rows;
  thread_local std::size_t rows_size = 0;
  thread_local std::vector<std::uint32_t> first_row;
  const std::size_t locals = columns.end - columns.first_local;
  if (rows_size < locals * columns.said_words) {
    rows_size = locals * columns.said_words;
    rows = hwy::AllocateAligned<float>(rows_size);
  }
  first_row.resize(std::max(first_row.size(), locals));
  Publications out{rows.get(), first_row.data()};
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
