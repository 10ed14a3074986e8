#include "vaultguard/entropy_health.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

namespace lvs::vaultguard {
namespace {

const EntropyHealthOptions& Required(const EntropyHealthOptions& options) {
  if (!WhyInvalid(options).empty()) std::abort();
  return options;
}

}  // namespace

std::string_view WhyInvalid(const EntropyHealthOptions& options) {
  if (!(options.min_entropy_bits >= 0.05 && options.min_entropy_bits <= 8)) {
    return "min_entropy_bits must be from 0.05 to 8 bits a sample";
  }
  if (options.alpha_exponent < 10 || options.alpha_exponent > 60) {
    return "alpha_exponent must be from 10 to 60";
  }
  return {};
}

int CriticalBinomial(int trials, double probability, int alpha_exponent) {
  // Weights relative to the most likely count, by the ratio of neighbours: no logarithm, no underflow where it matters,
  // and the same result on every machine.
  const double odds = probability / (1 - probability);
  const int mode = std::min(trials, static_cast<int>((trials + 1) * probability));
  std::vector<double> weight(trials + 1);
  weight[mode] = 1;
  for (int k = mode; k < trials; ++k) weight[k + 1] = weight[k] * odds * (trials - k) / (k + 1);
  for (int k = mode; k > 0; --k) weight[k - 1] = weight[k] / odds * k / (trials - k + 1);
  double sum = 0;
  for (const double w : weight) sum += w;
  const double allowed = std::ldexp(sum, -alpha_exponent);
  // Sum from the rare end, so that small terms are added to small sums.
  double tail = 0;
  int k = trials;
  while (k > 0 && tail + weight[k] <= allowed) tail += weight[k--];
  return k;
}

RepetitionCountTest::RepetitionCountTest(const EntropyHealthOptions& options)
    : cutoff_(1 + static_cast<std::uint32_t>(std::ceil(Required(options).alpha_exponent / options.min_entropy_bits))) {}

bool RepetitionCountTest::Add(std::uint8_t sample) {
  if (run_ == 0 || sample != value_) {
    value_ = sample;
    run_ = 1;
  } else if (run_ < cutoff_) {
    ++run_;
  }
  return run_ < cutoff_;
}

AdaptiveProportionTest::AdaptiveProportionTest(const EntropyHealthOptions& options)
    : cutoff_(std::min(kWindow, 2 + CriticalBinomial(kWindow - 1, std::exp2(-Required(options).min_entropy_bits),
                                                     options.alpha_exponent))) {}

bool AdaptiveProportionTest::Add(std::uint8_t sample) {
  if (seen_ == 0) {
    value_ = sample;
    count_ = 0;
  }
  if (sample == value_) ++count_;
  seen_ = (seen_ + 1) % kWindow;
  return count_ < cutoff_;
}

std::string_view Name(EntropyVerdict verdict) {
  switch (verdict) {
    case EntropyVerdict::kStartingUp: return "starting_up";
    case EntropyVerdict::kHealthy: return "healthy";
    case EntropyVerdict::kRepetition: return "repetition";
    case EntropyVerdict::kProportion: return "proportion";
  }
  return "unknown";
}

EntropyHealth::EntropyHealth(const EntropyHealthOptions& options) : repetition_(options), proportion_(options) {}

EntropyVerdict EntropyHealth::Add(std::uint8_t sample) {
  const bool repetition_passed = repetition_.Add(sample);
  const bool proportion_passed = proportion_.Add(sample);
  if (!repetition_passed || !proportion_passed) {
    if (verdict_ == EntropyVerdict::kStartingUp || verdict_ == EntropyVerdict::kHealthy) ++faults_;
    verdict_ = repetition_passed ? EntropyVerdict::kProportion : EntropyVerdict::kRepetition;
    passed_ = 0;
  } else if (passed_ < kStartUpSamples && ++passed_ == kStartUpSamples) {
    verdict_ = EntropyVerdict::kHealthy;
  }
  return verdict_;
}

}  // namespace lvs::vaultguard
