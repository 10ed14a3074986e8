#include "shard/drift_core.h"

#include <algorithm>
#include <cstring>

#include "shard/random.h"

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

// murmur3's 32-bit finaliser, one draw a lane.
VU Mix32(U u, VU x) {
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = hn::Mul(x, hn::Set(u, 0x85ebca6bu));
  x = hn::Xor(x, hn::ShiftRight<13>(x));
  x = hn::Mul(x, hn::Set(u, 0xc2b2ae35u));
  return hn::Xor(x, hn::ShiftRight<16>(x));
}

VU WordOf(U u, std::uint32_t seed32, std::uint32_t cycle, VU row) {
  return Mix32(u, hn::Add(hn::Mul(row, hn::Set(u, 0x9e3779b1u)), hn::Set(u, seed32 ^ (cycle * 0x85ebca77u))));
}

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

// Batcher's odd-even merge sort over P (8 or 16) keys, lane by lane: compare-exchange min to the front.
template <int P>
HWY_INLINE void SortKeys(I i, VI (&key)[P]) {
  for (int p = 1; p < P; p *= 2) {
    for (int k = p; k >= 1; k /= 2) {
      for (int j = k % p; j <= P - 1 - k; j += 2 * k) {
        const int last = std::min(k - 1, P - j - k - 1);
        for (int n = 0; n <= last; ++n) {
          if ((n + j) / (p * 2) == (n + j + k) / (p * 2)) {
            const VI a = key[n + j];
            const VI b = key[n + j + k];
            key[n + j] = hn::Min(a, b);
            key[n + j + k] = hn::Max(a, b);
          }
        }
      }
    }
  }
}

// The weighted median of distances: a key holds the distance's float bits with the weight in the low byte, so that one
// integer sort carries both. Returns 0 where there is no weight.
template <int P>
HWY_INLINE VF WeightedMedian(F f, I i, VI (&key)[P], VI total) {
  SortKeys<P>(i, key);
  const VI byte = hn::Set(i, 0xff);
  VI below = hn::Zero(i);
  VI median = hn::Zero(i);
  auto found = hn::Eq(total, hn::Zero(i));  // no weight: the median stays 0
  for (int s = 0; s < P; ++s) {
    below = hn::Add(below, hn::And(key[s], byte));
    const auto reached = hn::Not(hn::Lt(hn::Add(below, below), total));
    median = hn::IfThenElse(hn::AndNot(found, reached), hn::AndNot(byte, key[s]), median);
    found = hn::Or(found, reached);
  }
  return hn::BitCast(f, median);
}

// Counts how often each thing happened, in lanes; the sums are integers, so their order does not matter.
HWY_INLINE std::uint64_t Sum(I i, VI v) {
  HWY_ALIGN std::int32_t lane[HWY_MAX_BYTES / 4];
  hn::Store(v, i, lane);
  std::uint64_t sum = 0;
  for (std::size_t n = 0; n < hn::Lanes(i); ++n) sum += static_cast<std::uint64_t>(lane[n]);
  return sum;
}

// Rows that do nothing this cycle say what they said before.
void RepeatRows(const Columns& col, std::size_t row, std::size_t n, int dims) {
  std::memcpy(col.said_state + row * dims, col.heard_state + row * dims, n * dims * sizeof(float));
  std::memcpy(col.said_meta + row, col.heard_meta + row, n * sizeof(std::uint32_t));
  std::memcpy(col.said_entropy + row, col.heard_entropy + row, n * sizeof(std::uint32_t));
}

// K value slots, E free coordinates; P peers padded to 8 or 16. 0 for K means that the shape is read at run time.
template <int K, int E, int P>
void Step(const Shape& shape, const DriftParameters& p, const StepInput& in, const Columns& col, StepCounts* counts) {
  const F f;
  const I i;
  const U u;
  const Bytes b8;
  const int k = K > 0 ? K : shape.value_slots;
  const int e = K > 0 ? E : shape.free_coordinates;
  const int dims = k + e;
  const int peers = shape.peers;
  const std::size_t lanes = hn::Lanes(f);
  constexpr int kBuffer = K > 0 ? K + E : kMaxDimensions;

  const std::uint32_t seed32 = static_cast<std::uint32_t>(Mix(in.seed)) | 1u;
  const std::uint32_t cycle32 = static_cast<std::uint32_t>(in.cycle);
  const VU cycle16 = hn::Set(u, cycle32 & 0xffffu);
  const VU loss_seed = hn::Set(u, seed32 * 0x27d4eb2fu);
  const auto loss_below = static_cast<std::int32_t>(std::min(in.loss, 1.0) * 0x7fffffff);
  const VF far = hn::Set(f, vaultguard::kMaxDistance);
  const VF zero = hn::Zero(f);
  const VI zero_i = hn::Zero(i);
  const VI one_i = hn::Set(i, 1);
  const VF w0 = hn::Set(f, p.ledger_weight * 255.0f);

  std::uint64_t updated = 0, published = 0, packets = 0;
  // Lane by lane over the whole shard: at most 16 x 255 a row group, so 8 million rows fit.
  VI n_heard = zero_i, n_lost = zero_i, n_stale = zero_i, n_not_finite = zero_i, n_saturated = zero_i,
     n_repeated = zero_i;
  VI n_up = zero_i, n_down = zero_i, n_trust = zero_i;
  std::uint64_t clamped[vaultguard::kClamps] = {};

  for (std::size_t row = col.first_local; row < col.end; row += lanes) {
    const VU rows = hn::Iota(u, static_cast<std::uint32_t>(row));
    const VI flags = hn::PromoteTo(i, hn::LoadU(b8, col.flags + row));
    const auto alive = hn::TestBit(flags, hn::Set(i, kAlive));
    const auto resting = hn::And(
        hn::TestBit(flags, hn::Set(i, kLowPower)),
        hn::Ne(hn::BitCast(i, hn::And(hn::Add(rows, hn::Set(u, cycle32)), hn::Set(u, kLowPowerPeriod - 1))), zero_i));
    const auto active = hn::AndNot(resting, alive);
    if (hn::AllFalse(i, active)) {
      RepeatRows(col, row, lanes, dims);
      continue;
    }
    const MF active_f = hn::RebindMask(f, active);

    VF v[kBuffer];
    VF own_distance = zero;
    for (int c = 0; c < dims; ++c) v[c] = hn::Load(f, col.state + c * col.stride + row);
    for (int c = 0; c < k; ++c) own_distance = hn::Max(own_distance, hn::Abs(v[c]));

    // Receive and weigh (SPEC-7.2 steps 1 and 2). diff is kept for the second pass.
    HWY_ALIGN float diff[P * kBuffer * (HWY_MAX_BYTES / 4)];
    VI key_value[P];
    VI key_free[P];
    VF distance_value[P];
    VF distance_free[P];
    VI weight[P];
    VI trust[P];
    VI flooded[P];
    VI total = zero_i;
    VF entropy[kBuffer];
    for (int c = 0; c < dims; ++c) entropy[c] = zero;
    VI entropy_heard = zero_i;
    for (int s = 0; s < P; ++s) {
      if (s >= peers) {
        key_value[s] = key_free[s] = hn::Set(i, 0x7f7fff00);
        weight[s] = trust[s] = flooded[s] = zero_i;
        distance_value[s] = distance_free[s] = zero;
        continue;
      }
      const VU peer = hn::Load(u, col.neighbour + s * col.stride + row);
      const VI peer_i = hn::BitCast(i, peer);
      const VU meta = hn::GatherIndex(u, col.heard_meta, peer_i);
      const VU age = hn::And(hn::Sub(cycle16, meta), hn::Set(u, 0xffffu));
      const auto valid = hn::And(active, hn::RebindMask(i, hn::TestBit(meta, hn::Set(u, kMetaValid))));
      // A message is lost or not when it is sent: a receiver that missed it stays without it until the next one.
      const VU draw =
          Mix32(u, hn::Add(hn::Mul(hn::Add(hn::Mul(rows, hn::Set(u, 16u)), hn::Set(u, static_cast<std::uint32_t>(s))),
                                   hn::Set(u, 0x9e3779b1u)),
                           hn::Xor(loss_seed, hn::Mul(hn::And(meta, hn::Set(u, 0xffffu)), hn::Set(u, 0x85ebca77u)))));
      const auto arrived = hn::Not(hn::Lt(hn::BitCast(i, hn::ShiftRight<1>(draw)), hn::Set(i, loss_below)));
      const auto fresh = hn::Not(hn::Gt(hn::BitCast(i, age), hn::Set(i, vaultguard::kSilenceCycles)));
      const VI first = hn::Mul(peer_i, hn::Set(i, dims));
      auto finite = hn::Eq(zero_i, zero_i);
      VF dv = zero;
      VF df = zero;
      for (int c = 0; c < dims; ++c) {
        const VF d = hn::Sub(hn::GatherIndex(f, col.heard_state + c, first), v[c]);
        const VF size = hn::Abs(d);
        finite = hn::And(finite, hn::RebindMask(i, hn::Le(size, far)));
        if (c < k) {
          dv = hn::Max(dv, size);
        } else {
          df = hn::Max(df, size);
        }
        hn::Store(d, f, diff + (s * dims + c) * lanes);
      }
      const auto received = hn::And(valid, arrived);
      const auto usable = hn::And(received, hn::And(fresh, finite));
      n_lost = hn::Add(n_lost, hn::IfThenElseZero(hn::AndNot(arrived, valid), one_i));
      n_stale = hn::Add(n_stale, hn::IfThenElseZero(hn::AndNot(fresh, received), one_i));
      n_not_finite = hn::Add(n_not_finite, hn::IfThenElseZero(hn::AndNot(finite, hn::And(received, fresh)), one_i));
      n_heard = hn::Add(n_heard, hn::IfThenElseZero(usable, one_i));
      const MF usable_f = hn::RebindMask(f, usable);
      dv = hn::IfThenElseZero(usable_f, dv);
      df = hn::IfThenElseZero(usable_f, df);

      // Entropy health, link by link: rails, and the repetition count test (NIST SP 800-90B 4.4.1, H = 5, cutoff 7:
      // alpha 2^-30).
      const VU word = hn::GatherIndex(u, col.heard_entropy, peer_i);
      const auto at_rails = hn::RebindMask(i, AnyByteAtRails(u, word));
      const auto news = hn::And(usable, hn::And(hn::RebindMask(i, hn::Eq(age, hn::Set(u, 1u))),
                                                hn::RebindMask(i, hn::TestBit(meta, hn::Set(u, kMetaPacket)))));
      const VI last = hn::PromoteTo(i, hn::LoadU(b8, col.link_entropy + s * col.stride + row));
      const VI hash = hn::BitCast(i, hn::ShiftRight<27>(Mix32(u, word)));
      const auto same = hn::Eq(hn::ShiftRight<3>(last), hash);
      const VI run = hn::IfThenElse(same, hn::Min(hn::Add(hn::And(last, hn::Set(i, 7)), one_i), hn::Set(i, 7)), one_i);
      const VI link_entropy = hn::IfThenElse(news, hn::Or(hn::ShiftLeft<3>(hash), run), last);
      hn::StoreU(hn::DemoteTo(b8, link_entropy), b8, col.link_entropy + s * col.stride + row);
      const auto stuck = hn::And(news, hn::Gt(run, hn::Set(i, 6)));
      const auto railed = hn::And(news, at_rails);
      n_repeated = hn::Add(n_repeated, hn::IfThenElseZero(stuck, one_i));
      n_saturated = hn::Add(n_saturated, hn::IfThenElseZero(railed, one_i));
      const auto flood = hn::Or(stuck, railed);
      const auto noise_ok = hn::AndNot(flood, news);
      entropy_heard = hn::Add(entropy_heard, hn::IfThenElseZero(noise_ok, one_i));
      VU bytes = word;
      VU mixed = word;
      for (int c = 0; c < dims; ++c) {
        if (c == 4 || c == 8) {
          mixed = Mix32(u, mixed);
          bytes = EntropyBytes(u, mixed);
        }
        const VI component = hn::ShiftRight<24>(hn::BitCast(i, (c & 3) == 0   ? hn::ShiftLeft<24>(bytes)
                                                               : (c & 3) == 1 ? hn::ShiftLeft<16>(bytes)
                                                               : (c & 3) == 2 ? hn::ShiftLeft<8>(bytes)
                                                                              : bytes));
        entropy[c] = hn::Add(entropy[c], hn::ConvertTo(f, hn::IfThenElseZero(noise_ok, component)));
      }

      // DC (SPEC-5.3): trust by link times the sender's drift weight; clipping below is its value part.
      trust[s] = hn::PromoteTo(i, hn::LoadU(b8, col.trust + s * col.stride + row));
      const VI claimed = hn::BitCast(i, hn::ShiftRight<24>(meta));
      VI w = hn::ShiftRight<8>(hn::Mul(trust[s], hn::Add(claimed, one_i)));
      w = hn::IfThenElseZero(usable, w);
      weight[s] = w;
      total = hn::Add(total, w);
      // A link in a flood is struck below; its distance counts as usual.
      flooded[s] = hn::IfThenElseZero(flood, one_i);
      distance_value[s] = dv;
      distance_free[s] = df;
      const VI keep = hn::Set(i, ~0xff);
      key_value[s] = hn::Or(hn::And(hn::BitCast(i, dv), keep), w);
      key_free[s] = hn::Or(hn::And(hn::BitCast(i, df), keep), w);
      n_trust = hn::Add(n_trust, hn::IfThenElseZero(usable, trust[s]));
    }

    // The bound adapts, and remembers (drift.md rule 4).
    const VF tau_value_before = hn::Load(f, col.bound_value + row);
    const VF tau_free_before = hn::Load(f, col.bound_free + row);
    const auto deaf = hn::RebindMask(f, hn::Eq(total, zero_i));
    const VF c_factor = hn::Set(f, p.bound_factor);
    // The way home is never narrower than the distance from the ledger.
    const VF median_value = hn::Max(hn::Mul(c_factor, WeightedMedian<P>(f, i, key_value, total)), own_distance);
    const VF median_free = hn::Mul(c_factor, WeightedMedian<P>(f, i, key_free, total));
    const auto remember = [&](VF wanted, VF before, float least) {
      VF tau = hn::Max(wanted, hn::Mul(before, hn::Set(f, p.bound_shrink)));
      tau = hn::Min(tau, hn::Mul(before, hn::Set(f, p.bound_grow)));
      tau = hn::IfThenElse(deaf, before, tau);
      return hn::Max(tau, hn::Set(f, least));
    };
    const VF tau_value = remember(median_value, tau_value_before, vaultguard::kMinBoundVu);
    const VF tau_free = remember(median_free, tau_free_before, vaultguard::kMinBoundFree);

    // Trust is earned by link (rule 5), and the clipped average (rules 2 and 3).
    const VF strike_value = hn::Max(hn::Mul(hn::Set(f, p.strike_factor), tau_value), own_distance);
    const VF strike_free = hn::Mul(hn::Set(f, p.strike_factor), tau_free);
    VF sum[kBuffer];
    for (int c = 0; c < dims; ++c) sum[c] = zero;
    VF spread_value = zero;
    VF spread_free = zero;
    for (int s = 0; s < peers; ++s) {
      const auto counts_here = hn::Gt(weight[s], zero_i);
      const VF w = hn::ConvertTo(f, weight[s]);
      VF pull = zero;
      VF clipped_value = zero;
      VF clipped_free = zero;
      for (int c = 0; c < dims; ++c) {
        const VF tau = c < k ? tau_value : tau_free;
        const VF d = hn::IfThenElseZero(hn::RebindMask(f, counts_here), hn::Load(f, diff + (s * dims + c) * lanes));
        const VF clipped = hn::Max(hn::Min(d, tau), hn::Neg(tau));
        sum[c] = hn::Add(sum[c], hn::Mul(w, clipped));
        if (c < k) {
          pull = hn::Add(pull, d);
          clipped_value = hn::Max(clipped_value, hn::Abs(clipped));
        } else {
          clipped_free = hn::Max(clipped_free, hn::Abs(clipped));
        }
      }
      spread_value = hn::Add(spread_value, hn::Mul(w, clipped_value));
      spread_free = hn::Add(spread_free, hn::Mul(w, clipped_free));
      const auto outside =
          hn::RebindMask(i, hn::Or(hn::Gt(distance_value[s], strike_value), hn::Gt(distance_free[s], strike_free)));
      const auto struck = hn::Or(outside, hn::Gt(flooded[s], zero_i));
      const auto value_struck = hn::And(counts_here, hn::RebindMask(i, hn::Gt(distance_value[s], strike_value)));
      const auto downward = hn::RebindMask(i, hn::Lt(pull, zero));
      n_down = hn::Add(n_down, hn::IfThenElseZero(hn::And(value_struck, downward), one_i));
      n_up = hn::Add(n_up, hn::IfThenElseZero(hn::AndNot(downward, value_struck), one_i));
      const VI less = hn::ShiftRight<8>(hn::Mul(trust[s], hn::Set(i, 205)));       // x 0.8
      const VI more = hn::Min(hn::Add(trust[s], hn::Set(i, 5)), hn::Set(i, 255));  // + 0.02
      const VI now = hn::IfThenElse(counts_here, hn::IfThenElse(struck, less, more), trust[s]);
      hn::StoreU(hn::DemoteTo(b8, now), b8, col.trust + s * col.stride + row);
    }

    // Drift (rules 3 and 6), then VaultGuard (rule 7).
    const VF voices = hn::ConvertTo(f, total);
    const VF voices_value = hn::Add(voices, w0);
    const VF voices_free = hn::Max(voices, hn::Set(f, 1.0f));
    const VF sigma_value = hn::Div(spread_value, hn::Max(voices, hn::Set(f, 1.0f)));
    const VF sigma_free = hn::Div(spread_free, voices_free);
    const VF noise = hn::Div(hn::Set(f, p.alpha / kEntropySteps),
                             hn::Sqrt(hn::Max(hn::ConvertTo(f, entropy_heard), hn::Set(f, 1.0f))));
    const VF band =
        hn::Max(hn::Mul(hn::Load(f, col.band + row), hn::Set(f, p.band_decay)), hn::Set(f, vaultguard::kMinBandVu));
    auto none = hn::Ne(zero_i, zero_i);
    auto by_finite = none, by_shift = none, by_floor = none, by_band = none;
    VF moved_value = zero;
    VF moved_free = zero;
    VF next[kBuffer];
    HWY_ALIGN float said[kBuffer * (HWY_MAX_BYTES / 4)];
    const VI own_first = hn::Mul(hn::BitCast(i, rows), hn::Set(i, dims));
    for (int c = 0; c < dims; ++c) {
      VF correction;
      if (c < k) {
        const VF home = hn::Max(hn::Min(hn::Neg(v[c]), tau_value), hn::Neg(tau_value));
        correction = hn::Div(hn::Add(sum[c], hn::Mul(w0, home)), voices_value);
        correction = hn::Add(hn::Mul(hn::Set(f, p.beta), correction), hn::Mul(hn::Mul(noise, sigma_value), entropy[c]));
      } else {
        correction = hn::Div(sum[c], voices_free);
        correction = hn::Add(hn::Mul(hn::Set(f, p.beta), correction), hn::Mul(hn::Mul(noise, sigma_free), entropy[c]));
      }
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
      const VF before = hn::GatherIndex(f, col.heard_state + c, own_first);
      const VF moved = hn::Abs(hn::Sub(next[c], before));
      if (c < k) {
        moved_value = hn::Max(moved_value, moved);
      } else {
        moved_free = hn::Max(moved_free, moved);
      }
    }
    hn::Store(hn::IfThenElse(active_f, tau_value, tau_value_before), f, col.bound_value + row);
    hn::Store(hn::IfThenElse(active_f, tau_free, tau_free_before), f, col.bound_free + row);
    hn::Store(hn::IfThenElse(active_f, band, hn::Load(f, col.band + row)), f, col.band + row);

    // Publish when there is something to say (rule 8): SPEC-7.2 step 4.
    const VU own_meta = hn::Load(u, col.heard_meta + row);
    const VU own_age = hn::And(hn::Sub(cycle16, own_meta), hn::Set(u, 0xffffu));
    const VF q = hn::Set(f, p.publish_factor);
    const VF news_value = hn::Max(hn::Mul(q, tau_value), hn::Set(f, vaultguard::kMinNewsVu));
    const VF news_free = hn::Max(hn::Mul(q, tau_free), hn::Set(f, vaultguard::kMinNewsFree));
    const auto changed = hn::RebindMask(i, hn::Or(hn::Gt(moved_value, news_value), hn::Gt(moved_free, news_free)));
    const auto silent = hn::Not(hn::Lt(hn::BitCast(i, own_age), hn::Set(i, vaultguard::kHeartbeatCycles)));
    const auto first_word = hn::TestBit(flags, hn::Set(i, kFresh));
    const auto says = hn::And(active, hn::Or(hn::Or(changed, silent), first_word));
    // A mere sign of life brings no new entropy: there is no disagreement for it to feed.
    const VU phase = hn::Add(rows, hn::Set(u, cycle32));
    const auto turn = hn::Eq(
        hn::BitCast(i, hn::And(hn::Add(phase, hn::ShiftRight<2>(phase)), hn::Set(u, kEntropyPeriod - 1))), zero_i);
    const auto packet = hn::And(active, hn::Or(hn::And(changed, turn), first_word));
    const VU meta_now = hn::IfThenElse(hn::RebindMask(u, packet), hn::Set(u, Meta(in.cycle, 255) | kMetaPacket),
                                       hn::Set(u, Meta(in.cycle, 255)));
    const VU meta_next = hn::IfThenElse(hn::RebindMask(u, says), meta_now, own_meta);
    hn::Store(meta_next, u, col.said_meta + row);
    const VU word = EntropyBytes(u, WordOf(u, seed32, cycle32, rows));
    hn::Store(hn::IfThenElse(hn::RebindMask(u, packet), word, hn::Load(u, col.heard_entropy + row)), u,
              col.said_entropy + row);
    const MF says_f = hn::RebindMask(f, says);
    for (int c = 0; c < dims; ++c) {
      const VF before = hn::GatherIndex(f, col.heard_state + c, own_first);
      hn::Store(hn::IfThenElse(says_f, next[c], before), f, said + c * lanes);
    }
    float* out = col.said_state + row * dims;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      for (int c = 0; c < dims; ++c) *out++ = said[c * lanes + lane];
    }

    const auto in_use = [&](auto mask) { return hn::CountTrue(i, hn::And(active, mask)); };
    updated += hn::CountTrue(i, active);
    const auto honest = hn::Not(hn::TestBit(flags, hn::Set(i, kAdversary)));
    published += hn::CountTrue(i, hn::And(says, honest));
    packets += hn::CountTrue(i, hn::And(packet, honest));
    clamped[static_cast<int>(Clamp::kFinite)] += in_use(by_finite);
    clamped[static_cast<int>(Clamp::kShift)] += in_use(by_shift);
    clamped[static_cast<int>(Clamp::kFloor)] += in_use(by_floor);
    clamped[static_cast<int>(Clamp::kBand)] += in_use(by_band);
  }

  counts->updated += updated;
  counts->published += published;
  counts->packets += packets;
  counts->heard += Sum(i, n_heard);
  counts->lost += Sum(i, n_lost);
  counts->strikes_up += Sum(i, n_up);
  counts->strikes_down += Sum(i, n_down);
  counts->trust += Sum(i, n_trust);
  counts->refused.Add(Refusal::kStale, Sum(i, n_stale));
  counts->refused.Add(Refusal::kNotFinite, Sum(i, n_not_finite));
  counts->refused.Add(Refusal::kEntropySaturated, Sum(i, n_saturated));
  counts->refused.Add(Refusal::kEntropyRepeated, Sum(i, n_repeated));
  for (std::size_t n = 0; n < vaultguard::kClamps; ++n) counts->clamped[n] += clamped[n];
}

void SafeStep(const Shape& shape, const DriftParameters& p, const StepInput& in, const Columns& col,
              StepCounts* counts) {
  if (shape.peers > 8) {
    Step<0, 0, 16>(shape, p, in, col, counts);
  } else if (shape.value_slots == 2 && shape.free_coordinates == 2) {
    Step<2, 2, 8>(shape, p, in, col, counts);
  } else {
    Step<0, 0, 8>(shape, p, in, col, counts);
  }
}

}  // namespace lvs::shard::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lvs::shard {

namespace {

HWY_EXPORT(SafeStep);

// The paper's equation taken literally, with constant-variance entropy and nothing that guards it (drift.md, "What
// fails"). It is here to be compared with, not to be used.
void PlainStep(const Shape& shape, const DriftParameters& p, const StepInput& in, const Columns& col,
               StepCounts* counts) {
  const int dims = shape.dimensions();
  const auto loss_below = in.loss < 1.0 ? static_cast<std::uint64_t>(in.loss * 0x1p64) : ~std::uint64_t{0};
  for (std::size_t row = col.first_local; row < col.end; ++row) {
    float next[vaultguard::kMaxDimensions];
    for (int c = 0; c < dims; ++c) next[c] = col.state[c * col.stride + row];
    if (col.flags[row] & kAlive) {
      float sum[vaultguard::kMaxDimensions] = {};
      float voices = 0;
      for (int s = 0; s < shape.peers; ++s) {
        const std::uint32_t peer = col.neighbour[s * col.stride + row];
        if ((col.heard_meta[peer] & kMetaValid) == 0) continue;
        if (Draw(in.seed, Stream::kLink, row * 16 + s, in.cycle) < loss_below) {
          ++counts->lost;
          continue;
        }
        ++counts->heard;
        voices += 1;
        for (int c = 0; c < dims; ++c) sum[c] += col.heard_state[peer * dims + c] - next[c];
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
      col.said_meta[row] = Meta(in.cycle, 255);
      col.said_entropy[row] = word;
    } else {
      col.said_meta[row] = col.heard_meta[row];
      col.said_entropy[row] = col.heard_entropy[row];
    }
    for (int c = 0; c < dims; ++c) col.said_state[row * dims + c] = next[c];
  }
}

}  // namespace

void DriftStep(const Shape& shape, const DriftParameters& parameters, const StepInput& input, const Columns& columns,
               StepCounts* counts) {
  if (parameters.plain) {
    PlainStep(shape, parameters, input, columns, counts);
  } else {
    HWY_DYNAMIC_DISPATCH(SafeStep)(shape, parameters, input, columns, counts);
  }
}

std::vector<std::string> SimdTargets() {
  std::vector<std::string> names;
  for (std::int64_t bits = hwy::SupportedTargets() & HWY_TARGETS; bits != 0; bits &= bits - 1) {
    names.emplace_back(hwy::TargetName(bits & -bits));
  }
  return names;
}

absl::Status SelectSimdTarget(std::string_view name) {
  hwy::DisableTargets(0);
  hwy::SetSupportedTargetsForTest(0);
  if (!name.empty() && name != "auto") {
    std::string known;
    std::int64_t chosen = 0;
    for (std::int64_t bits = hwy::SupportedTargets() & HWY_TARGETS; bits != 0; bits &= bits - 1) {
      const std::int64_t target = bits & -bits;
      known += (known.empty() ? "" : ", ") + std::string(hwy::TargetName(target));
      if (name == hwy::TargetName(target)) chosen = target;
    }
    if (chosen == 0) {
      return absl::InvalidArgumentError("SIMD target \"" + std::string(name) +
                                        "\" is not one of this machine's: auto, " + known);
    }
    hwy::SetSupportedTargetsForTest(chosen);
  }
  hwy::GetChosenTarget().DeInit();
  return absl::OkStatus();
}

std::string SimdTargetInUse() {
  const std::int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(supported & -supported);
}

}  // namespace lvs::shard
#endif  // HWY_ONCE
