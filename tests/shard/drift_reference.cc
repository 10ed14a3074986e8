#include "tests/shard/drift_reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <span>

namespace lvs::shard {
namespace {

using vaultguard::Clamp;
using vaultguard::kHeartbeatCycles;
using vaultguard::kMaxDistance;
using vaultguard::kMinBandVu;
using vaultguard::kMinBoundFree;
using vaultguard::kMinBoundVu;
using vaultguard::kMinNewsFree;
using vaultguard::kMinNewsVu;
using vaultguard::kSilenceCycles;
using vaultguard::Refusal;

// The constants that kernel and reference share are those of docs/protocol.md.
static_assert(kSilenceCycles == 130 && kHeartbeatCycles == 60 && kMaxDistance == 1e12f);
static_assert(kMinBoundVu == 1e-4f && kMinBoundFree == 1e-4f && kMinBandVu == 1e-6f);
static_assert(kMinNewsVu == 1e-4f && kMinNewsFree == 3.2e-5f);
constexpr DriftParameters kParameters;
static_assert(kParameters.bound_factor == 3 && kParameters.bound_factor_free == 1 && kParameters.strike_factor == 1.5f);
static_assert(kParameters.bound_shrink == 0.3f && kParameters.bound_grow == 1.05f && kParameters.slow_keep == 0.97f);
static_assert(kParameters.near_least == 0.75f && kParameters.strike_tau == 4 && kParameters.strike_range == 0.1f);
static_assert(kTrustWhole == 255 && kTrustKept256 == 205 && kTrustRegained == 5);
static_assert(kEntropySteps == 64.0f && kEntropyRail == 119 && kRepetitionCutoff == 7);

float LargestOf(std::span<const float> group) {
  float largest = 0;
  for (const float x : group) largest = std::max(largest, std::abs(x));
  return largest;
}

float Clip(float x, float tau) { return std::min(std::max(x, -tau), tau); }

// The cycles in which a replica in low power drifts, and those in which a change carries an entropy packet.
bool DriftsInLowPower(std::uint32_t row, std::uint64_t cycle) { return ((row >> 4) + cycle) % 4 == 0; }
bool CarriesPacket(std::uint32_t row, std::uint64_t cycle) {
  const std::uint64_t p = row + cycle;
  return (p + (p >> 2)) % 4 == 0;
}

// Input of one slot, after steps 1 and 2.
struct Heard {
  bool received = false;
  std::vector<float> difference;
  float distance_value = 0;
  float distance_free = 0;
  std::uint32_t weight = 0;
  bool bad_packet = false;
};

// The first distance in rising order at which twice the weight so far reaches the total; distances lose their lowest 8
// bits.
float ForMedian(float distance) { return std::bit_cast<float>(std::bit_cast<std::uint32_t>(distance) & ~0xffu); }

float WeightedMedian(const std::vector<Heard>& links, float Heard::*distance) {
  std::vector<std::pair<float, std::uint32_t>> sorted;
  std::uint32_t total = 0;
  for (const Heard& link : links) {
    if (link.weight == 0) continue;
    sorted.emplace_back(ForMedian(link.*distance), link.weight);
    total += link.weight;
  }
  std::sort(sorted.begin(), sorted.end());
  std::uint32_t so_far = 0;
  for (const auto& [value, weight] : sorted) {
    so_far += weight;
    if (2 * so_far >= total) return value;
  }
  return 0;
}

float NewBound(float tau, float wanted, float most, const DriftParameters& p, float least) {
  return std::max(std::min(std::max(wanted, p.bound_shrink * tau), most), least);
}

}  // namespace

ReferenceSaid ReferenceCycle(const Shape& shape, const DriftParameters& p, const StepInput& input,
                             const std::vector<ReferenceSaid>& heard, std::uint32_t row, ReferenceReplica* replica,
                             StepCounts* counts) {
  ReferenceSaid said = heard[row];
  if ((replica->flags & kAlive) == 0) return said;
  if ((replica->flags & kLowPower) != 0 && !DriftsInLowPower(row, input.cycle)) return said;
  ++counts->updated;

  const auto k = static_cast<std::size_t>(shape.value_slots);
  const auto dims = static_cast<std::size_t>(shape.dimensions());
  std::vector<float>& v = replica->v;
  const auto value_group = [k](std::vector<float>& x) { return std::span<float>(x).first(k); };
  const auto free_group = [k](std::vector<float>& x) { return std::span<float>(x).subspan(k); };
  const float home_distance = LargestOf(value_group(v));

  // 1. Receive, 2. Weigh.
  std::vector<Heard> links(replica->links.size());
  std::vector<float> e(dims, 0.0f);
  int packets = 0;
  for (std::size_t s = 0; s < links.size(); ++s) {
    ReferenceLink& link = replica->links[s];
    Heard& h = links[s];
    const ReferenceSaid& from = heard[link.neighbour];
    if ((from.meta & kMetaValid) == 0) continue;
    const std::uint32_t age = Age(from.meta, input.cycle);
    if (input.loss >= 1) {
      ++counts->lost;
      continue;
    }
    if (age > kSilenceCycles) {
      counts->refused.Add(Refusal::kStale);
      continue;
    }
    bool near = true;
    for (std::size_t c = 0; c < dims; ++c) {
      h.difference.push_back(from.v[c] - v[c]);
      near = near && std::abs(h.difference[c]) <= kMaxDistance;
    }
    if (!near) {
      counts->refused.Add(Refusal::kNotFinite);
      continue;
    }
    h.received = true;
    h.distance_value = LargestOf(value_group(h.difference));
    h.distance_free = LargestOf(free_group(h.difference));
    h.weight = (link.trust * ((from.meta >> 24) + 1)) >> 8;
    ++counts->heard;
    counts->trust += link.trust;

    // The entropy packet, if one came with a publication of the cycle before.
    if (age != 1 || (from.meta & kMetaPacket) == 0) continue;
    const std::uint8_t hash = ReferenceHash(from.entropy);
    link.run = hash == link.last_hash
                   ? static_cast<std::uint8_t>(std::min<std::uint32_t>(link.run + 1u, kRepetitionCutoff))
                   : 1;
    link.last_hash = hash;
    bool saturated = false;
    for (int byte = 0; byte < 4; ++byte) {
      const auto component = static_cast<std::int8_t>(from.entropy >> (8 * byte));
      saturated |= component > kEntropyRail || component < -kEntropyRail - 1;
    }
    if (saturated) {
      counts->refused.Add(Refusal::kEntropySaturated);
      h.bad_packet = true;
    } else if (link.run >= kRepetitionCutoff) {
      counts->refused.Add(Refusal::kEntropyRepeated);
      h.bad_packet = true;
    } else {
      for (std::size_t c = 0; c < dims; ++c)
        e[c] = e[c] + kEntropySteps * EntropyComponent(from.entropy, static_cast<int>(c));
      ++packets;
    }
  }
  std::uint32_t total_weight = 0;
  for (const Heard& h : links) total_weight += h.weight;

  // 3. Bound.
  if (total_weight > 0) {
    const float wanted_value = std::max(p.bound_factor * WeightedMedian(links, &Heard::distance_value), home_distance);
    const float wanted_free = p.bound_factor_free * WeightedMedian(links, &Heard::distance_free);
    const float most_value = p.bound_grow * replica->tau_value;
    const float most_free = std::max(p.bound_grow * replica->tau_free, replica->slow_free);
    replica->tau_value = NewBound(replica->tau_value, wanted_value, most_value, p, kMinBoundVu);
    replica->tau_free = NewBound(replica->tau_free, wanted_free, most_free, p, kMinBoundFree);
    if (!input.apart) replica->slow_free = p.slow_keep * replica->slow_free;
  }
  replica->slow_free = std::max(replica->slow_free, replica->tau_free);
  const float tau_value = replica->tau_value;
  const float tau_free = replica->tau_free;

  // 4. Trust.
  const float strike_value = std::max(p.strike_factor * tau_value, home_distance);
  float lenient = p.strike_tau * tau_free;
  if (input.range > 0) lenient = std::min(lenient, p.strike_range * input.range);
  const float strike_free = p.strike_factor * std::max(replica->slow_free, lenient);
  for (std::size_t s = 0; s < links.size(); ++s) {
    if (links[s].weight == 0) continue;
    std::uint8_t& trust = replica->links[s].trust;
    const bool value_outside = links[s].distance_value > strike_value;
    const bool outside = value_outside || links[s].distance_free > strike_free;
    if (value_outside) {
      float pull = 0;
      for (const float d : value_group(links[s].difference)) pull = pull + d;
      ++(pull < 0 ? counts->strikes_down : counts->strikes_up);
    }
    trust = outside || links[s].bad_packet ? static_cast<std::uint8_t>((kTrustKept256 * trust) >> 8)
                                           : static_cast<std::uint8_t>(std::min(kTrustWhole, trust + kTrustRegained));
  }

  // 5. Drift, 6. VaultGuard.
  replica->b = std::max(p.band_decay * replica->b, kMinBandVu);
  const auto weight = static_cast<float>(total_weight);
  const auto has_free_voice = [&](const Heard& h) { return h.weight > 0 && h.distance_free <= strike_free; };
  float weight_free = 0;
  float weight_near = 0;
  float dispersion[2] = {0, 0};
  for (const Heard& h : links) {
    if (h.weight == 0) continue;
    if (has_free_voice(h)) weight_free = weight_free + static_cast<float>(h.weight);
    if (ForMedian(h.distance_free) <= tau_free) weight_near = weight_near + static_cast<float>(h.weight);
    float largest[2] = {0, 0};
    for (std::size_t c = 0; c < dims; ++c) {
      float& of_group = largest[c < k ? 0 : 1];
      of_group = std::max(of_group, std::abs(Clip(h.difference[c], c < k ? tau_value : tau_free)));
    }
    dispersion[0] = dispersion[0] + static_cast<float>(h.weight) * largest[0];
    if (has_free_voice(h)) dispersion[1] = dispersion[1] + static_cast<float>(h.weight) * largest[1];
  }
  dispersion[0] = dispersion[0] / std::max(weight, 1.0f);
  dispersion[1] = dispersion[1] / std::max(weight_free, 1.0f);
  const float root = std::sqrt(std::max(static_cast<float>(packets), 1.0f));
  bool clamped[vaultguard::kClamps] = {};
  const auto clamp = [&clamped](Clamp which) { clamped[static_cast<std::size_t>(which)] = true; };
  for (std::size_t c = 0; c < dims; ++c) {
    const bool value_slot = c < k;
    const float tau = value_slot ? tau_value : tau_free;
    float sum = 0;
    for (const Heard& h : links) {
      if (value_slot ? h.weight > 0 : has_free_voice(h)) {
        sum = sum + static_cast<float>(h.weight) * Clip(h.difference[c], tau);
      }
    }
    float correction;
    if (value_slot) {
      correction = p.beta * ((sum + static_cast<float>(kTrustWhole) * p.ledger_weight * Clip(-v[c], tau)) /
                             (weight + static_cast<float>(kTrustWhole) * p.ledger_weight));
    } else {
      correction = p.beta * (sum / std::max(weight_near, p.near_least * std::max(weight_free, 1.0f)));
    }
    correction = correction + p.alpha / kEntropySteps / root * dispersion[value_slot ? 0 : 1] * e[c];

    if (!std::isfinite(correction)) {
      correction = 0;
      clamp(Clamp::kFinite);
    }
    if (std::abs(correction) > tau) {
      correction = Clip(correction, tau);
      clamp(Clamp::kShift);
    }
    v[c] = v[c] + correction;
    if (value_slot) {
      if (v[c] < input.floor[c]) {
        v[c] = input.floor[c];
        clamp(Clamp::kFloor);
      }
      if (std::abs(v[c]) > replica->b) {
        v[c] = Clip(v[c], replica->b);
        clamp(Clamp::kBand);
      }
    } else if (input.range > 0) {
      v[c] = v[c] < 0 ? 0 : v[c] > input.range ? input.range : v[c];
    }
  }
  for (std::size_t which = 0; which < vaultguard::kClamps; ++which) counts->clamped[which] += clamped[which] ? 1 : 0;

  // 7. Publish.
  bool change = false;
  for (std::size_t c = 0; c < dims; ++c) {
    const float within = c < k ? std::max(p.publish_factor * tau_value, kMinNewsVu)
                               : std::max(p.publish_factor * tau_free, kMinNewsFree);
    // NaN is within no bound: a state that was published as NaN has moved.
    if (!(std::abs(v[c] - said.v[c]) <= within)) change = true;
  }
  const bool fresh = (replica->flags & kFresh) != 0;
  if (!change && !fresh && Age(said.meta, input.cycle) < kHeartbeatCycles) return said;
  said.v = v;
  said.meta = Meta(input.cycle, kTrustWhole);
  const bool packet = (change && CarriesPacket(row, input.cycle)) || fresh;
  if (packet) {
    said.meta |= kMetaPacket;
    said.entropy = EntropyWord(input.seed, row, input.cycle);
  }
  if ((replica->flags & kAdversary) == 0) {
    ++counts->published;
    if (packet) ++counts->packets;
  }
  return said;
}

}  // namespace lvs::shard
