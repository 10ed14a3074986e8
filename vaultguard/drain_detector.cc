#include "vaultguard/drain_detector.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>

#include "vaultguard/limits.h"

namespace lvs::vaultguard {
namespace {

// Keeps the sum of a window within 64 bits. The whole value of a shard is less.
constexpr std::uint64_t kMaxPullUvu = std::uint64_t{1} << 58;

const DrainOptions& Required(const DrainOptions& options) {
  if (!WhyInvalid(options).empty()) std::abort();
  return options;
}

bool IsShare(double share) { return share >= 0 && share <= 1; }

}  // namespace

std::string_view WhyInvalid(const DrainOptions& options) {
  if (options.pattern_alpha_exponent < 1 || options.pattern_alpha_exponent > 32) {
    return "pattern_alpha_exponent must be from 1 to 32";
  }
  if (options.pattern_clear_exponent < 1 || options.pattern_clear_exponent > options.pattern_alpha_exponent) {
    return "pattern_clear_exponent must be from 1 to pattern_alpha_exponent";
  }
  if (!(options.frequency_share >= 1e-6 && options.frequency_share <= 1)) {
    return "frequency_share must be from 0.000001 to 1";
  }
  if (options.min_cycles < 1 || options.min_cycles > DrainDetector::kWindow) {
    return "min_cycles must be from 1 to the window of 32";
  }
  if (!IsShare(options.weight_fall) || !IsShare(options.weight_rise) || !IsShare(options.weight_floor)) {
    return "weight_fall, weight_rise and weight_floor must be from 0 to 1";
  }
  return {};
}

int SignTestCutoff(int tosses, int alpha_exponent) {
  // All sequences of tosses are equally likely, so count those with k heads or more, while they are few enough.
  const std::uint64_t allowed = alpha_exponent > tosses ? 0 : std::uint64_t{1} << (tosses - alpha_exponent);
  std::uint64_t outcomes = 0;
  std::uint64_t choose = 1;  // binomial(tosses, k), from k = tosses down
  int k = tosses;
  while (k >= 0 && outcomes + choose <= allowed) {
    outcomes += choose;
    choose = choose * static_cast<std::uint64_t>(k) / static_cast<std::uint64_t>(tosses - k + 1);
    --k;
  }
  return k + 1;
}

bool DrainDetector::Alarm::Update(bool strong, bool weak, std::uint32_t clear_cycles) {
  weak_cycles = weak ? weak_cycles + 1 : 0;
  if (!active && strong) {
    active = true;
    ++raised;
    return true;
  }
  if (active && weak_cycles >= clear_cycles) active = false;
  return false;
}

DrainDetector::DrainDetector(const DrainOptions& options)
    : options_(Required(options)),
      frequency_ppm_(static_cast<std::uint64_t>(std::llround(options.frequency_share * kPpmPerWhole))) {
  for (std::uint32_t tosses = 0; tosses <= kWindow; ++tosses) {
    raise_at_[tosses] = static_cast<std::uint8_t>(SignTestCutoff(tosses, options_.pattern_alpha_exponent));
    keep_at_[tosses] = static_cast<std::uint8_t>(SignTestCutoff(tosses, options_.pattern_clear_exponent));
  }
}

const DrainVerdict& DrainDetector::Observe(const DrainSample& sample) {
  if (std::uint64_t{sample.out_of_bound_downward} + sample.out_of_bound_upward > sample.diffs) std::abort();
  Slide(sample);
  Judge();
  return verdict_;
}

void DrainDetector::Slide(const DrainSample& sample) {
  DrainSample& slot = samples_[next_];
  diffs_ -= slot.diffs;
  downward_ -= slot.out_of_bound_downward;
  pull_uvu_ -= slot.downward_pull_uvu;
  slot = sample;
  slot.downward_pull_uvu = std::min(sample.downward_pull_uvu, kMaxPullUvu);
  diffs_ += slot.diffs;
  downward_ += slot.out_of_bound_downward;
  pull_uvu_ += slot.downward_pull_uvu;
  next_ = (next_ + 1) % kWindow;
  filled_ = std::min(filled_ + 1, kWindow);

  const bool down = sample.out_of_bound_downward > sample.out_of_bound_upward;
  const bool up = sample.out_of_bound_upward > sample.out_of_bound_downward;
  downward_cycles_ = downward_cycles_ << 1 | static_cast<std::uint32_t>(down);
  upward_cycles_ = upward_cycles_ << 1 | static_cast<std::uint32_t>(up);
}

void DrainDetector::Judge() {
  const bool pulls = pull_uvu_ >= options_.min_pull_uvu;

  const int down = std::popcount(downward_cycles_);
  const int tosses = down + std::popcount(upward_cycles_);
  const bool pattern_strong = pulls && down >= raise_at_[tosses];
  const bool pattern_weak = !pulls || down < keep_at_[tosses];

  const std::uint64_t frequency = downward_ * kPpmPerWhole;  // against frequency_ppm_ times diffs_
  const bool enough = filled_ >= options_.min_cycles && downward_ >= options_.min_downward;
  const bool frequency_strong = pulls && enough && frequency > frequency_ppm_ * diffs_;
  const bool frequency_weak = !pulls || 2 * frequency <= frequency_ppm_ * diffs_;

  verdict_.raised_bits = 0;
  if (pattern_.Update(pattern_strong, pattern_weak, options_.clear_cycles)) {
    verdict_.raised_bits |= static_cast<std::uint8_t>(DrainAnomaly::kAbnormalPattern);
  }
  if (frequency_.Update(frequency_strong, frequency_weak, options_.clear_cycles)) {
    verdict_.raised_bits |= static_cast<std::uint8_t>(DrainAnomaly::kHighFrequency);
  }
  verdict_.active_bits = 0;
  if (pattern_.active) verdict_.active_bits |= static_cast<std::uint8_t>(DrainAnomaly::kAbnormalPattern);
  if (frequency_.active) verdict_.active_bits |= static_cast<std::uint8_t>(DrainAnomaly::kHighFrequency);

  verdict_.weight = verdict_.suspicious() ? std::max(options_.weight_floor, verdict_.weight * options_.weight_fall)
                                          : std::min(1.0, verdict_.weight + options_.weight_rise);
}

}  // namespace lvs::vaultguard
