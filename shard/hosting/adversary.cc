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
// A stealthy liar stays within this share of its own bound.
constexpr float kStealthShare = 0.9f;
// Shift of "a little is enough": standard deviations below the honest mean.
constexpr double kLittleDeviations = 1.5;
// A diff is struck beyond 1.5 bounds. Who knows that stays a little below.
constexpr float kUnstruck = 1.4f;
// Feigned reciprocity: a liar leaves so much of its distance a cycle, and starts again after so many cycles.
constexpr double kNearer = 0.85;
constexpr std::uint64_t kNearerCycles = 32;
// An entropy flood saturates its packets for so many cycles, then repeats one ordinary packet for as many.
constexpr std::uint64_t kFloodCycles = 64;
constexpr std::uint32_t kSaturatedWord = 0x7f7f7f7fu;
constexpr std::uint32_t kOrdinaryWord = 0x01020304u;

float Noise(std::uint64_t draw, float scale) {
  switch (draw & 15) {
    case 0: return std::numeric_limits<float>::quiet_NaN();
    case 1: return std::numeric_limits<float>::infinity();
    case 2: return -1e30f;
    default: return static_cast<float>((2 * Unit(draw) - 1) * scale);
  }
}

}  // namespace

struct Adversaries::Knowledge {
  std::uint64_t seed;
  float value_far;
  float free_far;
  float range;
  shard::Measure honest;  // measured only where a liar needs it

  // A clever liar's claim for a free coordinate.
  float Clever(const Liar& liar, std::size_t dim, float state, std::uint64_t cycle,
               const shard::Columns& columns) const {
    const shard::Moments& m = honest.moments[dim];
    const double mean = m.count > 0 ? m.mean : state;
    switch (liar.attack) {
      case Attack::kRangeEdge: return range;
      case Attack::kJustInside: return static_cast<float>(mean + kUnstruck * range);
      case Attack::kFastAhead: return state + kUnstruck * columns.bound_free[liar.row];
      case Attack::kSlowAhead: return state + kUnstruck * columns.bound_slow[liar.row];
      case Attack::kTwoCamps: return (liar.row & 1) != 0 ? range : 0;
      case Attack::kFeignedReciprocity: {
        double distance = range - mean;
        for (std::uint64_t n = cycle % kNearerCycles; n > 0; --n) distance *= kNearer;
        return static_cast<float>(mean + distance);
      }
      default: return state;
    }
  }

  // A liar's claim for one coordinate.
  float Lie(const Liar& liar, int coordinate, std::uint64_t cycle, const shard::StateShard& shard) const {
    const shard::Columns& columns = shard.columns();
    const auto dim = static_cast<std::size_t>(coordinate);
    const bool value = coordinate < shard.config().shape.value_slots;
    const float state = columns.state[dim * columns.stride + liar.row];
    const float far = value ? value_far : free_far;
    switch (liar.attack) {
      case Attack::kStubborn: return far;
      case Attack::kDrain: return value ? -static_cast<float>(shard.ledger().total_uvu(coordinate)) / 1e6f : -free_far;
      case Attack::kNoise: return Noise(Draw(seed, Stream::kAttack, liar.row * 16ull + dim, cycle), 2 * far);
      case Attack::kStealth:
        return state + kStealthShare * (value ? columns.bound_value[liar.row] : columns.bound_free[liar.row]);
      case Attack::kAlternate: return (cycle & 1) != 0 ? far : -far;
      case Attack::kALittleIsEnough: {
        const shard::Moments& m = honest.moments[dim];
        return static_cast<float>(m.mean - kLittleDeviations * std::sqrt(m.count > 0 ? m.m2 / m.count : 0));
      }
      case Attack::kNone:
      case Attack::kEntropyFlood:
      case Attack::kReplay:
      case Attack::kForgedLedger: break;
      default: return value ? state : Clever(liar, dim, state, cycle, columns);
    }
    return state;
  }
};

void Adversaries::End(std::uint32_t row) {
  std::erase_if(liars_, [row](const Liar& liar) { return liar.row == row; });
}

void Adversaries::Publish(std::uint64_t seed, std::uint64_t cycle, shard::StateShard* shard) {
  if (liars_.empty()) return;
  const shard::StateShardConfig& config = shard->config();
  const float range = std::max(config.coordinate_range, 1.0f);
  Knowledge knows{seed, kFar * std::max(config.value_spread, 1.0f), kFar * range, range, {}};
  const bool omniscient = std::any_of(liars_.begin(), liars_.end(), [](const Liar& liar) {
    return liar.attack == Attack::kALittleIsEnough || liar.attack == Attack::kJustInside ||
           liar.attack == Attack::kFeignedReciprocity;
  });
  if (omniscient) shard->MeasureHonest(&knows.honest);
  for (Liar& liar : liars_) PublishOne(knows, cycle, &liar, shard);
}

void Adversaries::PublishOne(const Knowledge& knows, std::uint64_t cycle, Liar* liar, shard::StateShard* shard) {
  const shard::StateShardConfig& config = shard->config();
  const int dims = config.shape.dimensions();
  float lie[vaultguard::kMaxDimensions];
  std::uint32_t meta = shard::Meta(cycle, 255) | shard::kMetaPacket;
  std::uint32_t entropy = shard::EntropyWord(config.seed, liar->row, cycle);
  for (int c = 0; c < dims; ++c) lie[c] = knows.Lie(*liar, c, cycle, *shard);
  if (liar->attack == Attack::kEntropyFlood) {
    entropy = (cycle / kFloodCycles) % 2 == 0 ? kSaturatedWord : kOrdinaryWord;
  } else if (liar->attack == Attack::kReplay) {
    if (liar->recorded.empty()) {
      liar->recorded.assign(lie, lie + dims);
      liar->recorded_meta = meta;
    }
    std::copy(liar->recorded.begin(), liar->recorded.end(), lie);
    meta = liar->recorded_meta;
  }
  shard->OverwriteSaid(liar->row, lie, meta, entropy);
}

}  // namespace lvs::hosting
