#include "shard/hosting/adversary.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "shard/random.h"

namespace lvs::hosting {

namespace {

using shard::Draw;
using shard::Stream;
using shard::Unit;

// How far away a liar claims to be, in starting ranges.
constexpr float kFar = 5;

float Noise(std::uint64_t draw, float scale) {
  switch (draw & 15) {
    case 0: return std::numeric_limits<float>::quiet_NaN();
    case 1: return std::numeric_limits<float>::infinity();
    case 2: return -1e30f;
    default: return static_cast<float>((2 * Unit(draw) - 1) * scale);
  }
}

}  // namespace

void Attack(std::uint64_t seed, std::uint64_t cycle, std::vector<AdversaryRow>* rows, shard::StateShard* shard) {
  if (rows->empty()) return;
  const shard::StateShardConfig& config = shard->config();
  const int dims = config.shape.dimensions();
  const shard::Columns& columns = shard->columns();
  const float value_far = kFar * std::max(config.value_spread, 1.0f);
  const float free_far = kFar * std::max(config.coordinate_range, 1.0f);
  shard::Measure honest;
  const bool omniscient =
      std::any_of(rows->begin(), rows->end(), [](const AdversaryRow& r) { return r.attack == v1::A_LITTLE_IS_ENOUGH; });
  if (omniscient) shard->MeasureHonest(&honest);

  for (AdversaryRow& liar : *rows) {
    float lie[vaultguard::kMaxDimensions];
    std::uint32_t meta = shard::Meta(cycle, 255) | shard::kMetaPacket;
    std::uint32_t entropy = shard::EntropyWord(config.seed, liar.row, cycle);
    for (int c = 0; c < dims; ++c) {
      const auto dim = static_cast<std::size_t>(c);
      const bool value = c < config.shape.value_slots;
      const float state = columns.state[dim * columns.stride + liar.row];
      const std::uint64_t draw = Draw(seed, Stream::kAttack, liar.row * 16ull + dim, cycle);
      switch (liar.attack) {
        case v1::STUBBORN: lie[c] = value ? value_far : free_far; break;
        case v1::DRAIN: lie[c] = value ? -static_cast<float>(shard->ledger().total_uvu(c)) / 1e6f : -free_far; break;
        case v1::NOISE: lie[c] = Noise(draw, 2 * (value ? value_far : free_far)); break;
        case v1::STEALTH:
          lie[c] = state + 0.9f * (value ? columns.bound_value[liar.row] : columns.bound_free[liar.row]);
          break;
        case v1::ALTERNATE:
          lie[c] = (cycle & 1) != 0 ? (value ? value_far : free_far) : -(value ? value_far : free_far);
          break;
        case v1::A_LITTLE_IS_ENOUGH: {
          const shard::Moments& m = honest.moments[dim];
          lie[c] = static_cast<float>(m.mean - 1.5 * std::sqrt(m.count > 0 ? m.m2 / m.count : 0));
          break;
        }
        default: lie[c] = state;
      }
    }
    if (liar.attack == v1::ENTROPY_FLOOD) {
      // At the rails half of the time, the same ordinary packet for ever the other half.
      entropy = (cycle / 64) % 2 == 0 ? 0x7f7f7f7fu : 0x01020304u;
    } else if (liar.attack == v1::REPLAY) {
      if (liar.recorded.empty()) {
        liar.recorded.assign(lie, lie + dims);
        liar.recorded_meta = meta;
      }
      std::copy(liar.recorded.begin(), liar.recorded.end(), lie);
      meta = liar.recorded_meta;
    }
    shard->OverwriteSaid(liar.row, lie, meta, entropy);
  }
}

}  // namespace lvs::hosting
