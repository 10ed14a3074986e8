// SPEC-8.3 (entropy anomalies) and SPEC-10 (entropy oversaturation): the health tests of NIST SP 800-90B section 4.4.
#include "vaultguard/entropy_health.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace lvs::vaultguard {
namespace {

// SplitMix64 makes the figures the same everywhere.
class Generator {
 public:
  explicit Generator(std::uint64_t seed) : x_(seed) {}
  std::uint64_t Next() {
    std::uint64_t z = x_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint8_t Byte() { return static_cast<std::uint8_t>(Next() >> 56); }
  std::uint8_t Bit() { return static_cast<std::uint8_t>(Next() >> 63); }
  // A normal number of the given deviation, 64 steps a unit, clipped to a signed byte.
  std::uint8_t ClippedNormal(double deviation) {
    const double u = (static_cast<double>(Next() >> 11) + 0.5) * 0x1p-53;
    const double angle = static_cast<double>(Next() >> 11) * 0x1p-53 * 6.283185307179586;
    const double steps = std::round(64 * deviation * std::sqrt(-2 * std::log(u)) * std::cos(angle));
    return static_cast<std::uint8_t>(static_cast<std::int8_t>(std::clamp(steps, -128.0, 127.0)));
  }

 private:
  std::uint64_t x_;
};

// The same number by another method: the distribution of the count after each trial in turn, in extended precision.
int CriticalBinomialByTrials(int trials, long double p, int alpha_exponent) {
  std::vector<long double> probability(trials + 1, 0.0L);
  probability[0] = 1;
  for (int n = 1; n <= trials; ++n) {
    for (int k = n; k > 0; --k) probability[k] = probability[k] * (1 - p) + probability[k - 1] * p;
    probability[0] *= 1 - p;
  }
  long double tail = 0;
  int k = trials;
  while (k > 0 && tail + probability[k] <= std::ldexp(1.0L, -alpha_exponent)) tail += probability[k--];
  return k;
}

std::uint32_t RepetitionCutoff(double min_entropy_bits, int alpha_exponent) {
  return RepetitionCountTest({.min_entropy_bits = min_entropy_bits, .alpha_exponent = alpha_exponent}).cutoff();
}
std::uint32_t ProportionCutoff(double min_entropy_bits, int alpha_exponent) {
  return AdaptiveProportionTest({.min_entropy_bits = min_entropy_bits, .alpha_exponent = alpha_exponent}).cutoff();
}

// ---- Cutoffs ----

TEST(Spec8_3_EntropyAnomalies, RepetitionCutoffsAreThoseOfTheStandard) {
  EXPECT_EQ(RepetitionCutoff(1, 20), 21u);
  EXPECT_EQ(RepetitionCutoff(2, 20), 11u);
  EXPECT_EQ(RepetitionCutoff(3, 20), 8u);  // 1 + ceil(6.67)
  EXPECT_EQ(RepetitionCutoff(8, 20), 4u);  // 1 + ceil(2.5)
  EXPECT_EQ(RepetitionCutoff(1, 30), 31u);
  EXPECT_EQ(RepetitionCutoff(0.5, 20), 41u);
}

TEST(Spec8_3_EntropyAnomalies, CriticalBinomialGivesTheStandardsOwnCutoffs) {
  // SP 800-90B 4.4.2, alpha = 2^-20, H = 1: a cutoff of 589 for binary sources (window 1024) and 311 for window 512.
  EXPECT_EQ(1 + CriticalBinomial(1024, 0.5, 20), 589);
  EXPECT_EQ(1 + CriticalBinomial(512, 0.5, 20), 311);
}

TEST(Spec8_3_EntropyAnomalies, CriticalBinomialAgreesWithPublishedTables) {
  // Cutoffs of jitterentropy for H = 1/1 .. 1/15 and window 512, calculated by its authors with arbitrary precision.
  constexpr std::array<int, 15> kIntermittent = {325, 422, 459, 477, 488, 494, 499, 502,
                                                 505, 507, 508, 509, 510, 511, 512};
  constexpr std::array<int, 15> kPermanent = {355, 447, 479, 494, 502, 507, 510, 512,
                                              512, 512, 512, 512, 512, 512, 512};
  for (int i = 0; i < 15; ++i) {
    const double p = std::exp2(-1.0 / (i + 1));
    EXPECT_EQ(std::min(512, 2 + CriticalBinomial(511, p, 30)), kIntermittent[i]) << "H = 1/" << i + 1;
    EXPECT_EQ(std::min(512, 2 + CriticalBinomial(511, p, 60)), kPermanent[i]) << "H = 1/" << i + 1;
    EXPECT_EQ(ProportionCutoff(1.0 / (i + 1), 30), static_cast<std::uint32_t>(kIntermittent[i]));
  }
}

TEST(Spec8_3_EntropyAnomalies, CriticalBinomialAgreesWithASlowCalculation) {
  for (const double h : {0.1, 0.5, 1.0, 2.0, 3.3, 4.0, 5.0, 5.4, 6.0, 7.0, 7.8, 8.0}) {
    for (const int alpha_exponent : {10, 20, 30, 40}) {
      const long double p = std::exp2(-h);
      EXPECT_EQ(CriticalBinomial(511, std::exp2(-h), alpha_exponent), CriticalBinomialByTrials(511, p, alpha_exponent))
          << "H = " << h << ", alpha = 2^-" << alpha_exponent;
    }
  }
}

TEST(Spec8_3_EntropyAnomalies, ProportionCutoffsKeepAlphaThatThePrintedFormulaExceeds) {
  // Worked out with exact rationals: P(Binomial(511, 2^-H) >= c - 1) against 2^-20, H = 8, 7, 4, 1.
  EXPECT_EQ(ProportionCutoff(8, 20), 14u);  // 0.19 alpha; 13 would be 1.28 alpha
  EXPECT_EQ(ProportionCutoff(7, 20), 18u);  // 0.99 alpha; 17 would be 4.38 alpha
  EXPECT_EQ(ProportionCutoff(4, 20), 63u);  // 0.64 alpha; 62 would be 1.33 alpha
  EXPECT_EQ(ProportionCutoff(1, 20), 311u);
}

TEST(Spec8_3_EntropyAnomalies, OptionsThatCannotBeAreNamed) {
  EXPECT_EQ(WhyInvalid(EntropyHealthOptions{}), "");
  for (const EntropyHealthOptions& bad :
       {EntropyHealthOptions{.min_entropy_bits = 0}, EntropyHealthOptions{.min_entropy_bits = 8.01},
        EntropyHealthOptions{.min_entropy_bits = std::nan("")}, EntropyHealthOptions{.alpha_exponent = 9},
        EntropyHealthOptions{.alpha_exponent = 61}}) {
    EXPECT_NE(WhyInvalid(bad), "");
    EXPECT_DEATH(EntropyHealth{bad}, "");
  }
}

// ---- Each test at its edge ----

TEST(Spec8_3_EntropyAnomalies, RepetitionCountTripsAtItsCutoff) {
  RepetitionCountTest test({.min_entropy_bits = 8});
  ASSERT_EQ(test.cutoff(), 4u);
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(test.Add(7));
    EXPECT_TRUE(test.Add(7));
    EXPECT_TRUE(test.Add(7));
    EXPECT_FALSE(test.Add(7));
    EXPECT_FALSE(test.Add(7));
    EXPECT_TRUE(test.Add(8)) << "another value ends the run";
    EXPECT_TRUE(test.Add(7)) << "a run is counted from its own start";
    EXPECT_TRUE(test.Add(0));
  }
}

TEST(Spec8_3_EntropyAnomalies, AdaptiveProportionTripsAtItsCutoff) {
  AdaptiveProportionTest test({.min_entropy_bits = 8});
  const int cutoff = static_cast<int>(test.cutoff());
  ASSERT_EQ(cutoff, 14);
  for (int round = 0; round < 3; ++round) {
    // One window: the first value (5) in every third place, never twice in a row.
    int fives = 0;
    for (int i = 0; i < AdaptiveProportionTest::kWindow; ++i) {
      const bool five = i % 3 == 0 && fives < cutoff;
      if (five) ++fives;
      EXPECT_EQ(test.Add(five ? 5 : static_cast<std::uint8_t>(6 + i % 2)), fives < cutoff) << "sample " << i;
    }
  }
}

TEST(Spec8_3_EntropyAnomalies, AdaptiveProportionCountsEachWindowByItself) {
  AdaptiveProportionTest test({.min_entropy_bits = 8});
  for (int window = 0; window < 10; ++window) {
    for (int i = 0; i < AdaptiveProportionTest::kWindow; ++i) {
      const bool five = i < 13;  // one less than the cutoff, in every window
      EXPECT_TRUE(test.Add(five ? 5 : static_cast<std::uint8_t>(10 + i % 200)));
    }
  }
}

// ---- False positives ----

TEST(Spec8_3_EntropyAnomalies, AGoodSourceStaysHealthyForAMillionSamples) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    EntropyHealth health({.min_entropy_bits = 8});
    Generator generator(seed);
    std::uint64_t unhealthy = 0;
    for (int i = 1; i <= 1'000'000; ++i) {
      const EntropyVerdict verdict = health.Add(generator.Byte());
      if (i >= static_cast<int>(EntropyHealth::kStartUpSamples)) unhealthy += verdict != EntropyVerdict::kHealthy;
    }
    EXPECT_EQ(health.faults(), 0u) << "seed " << seed;
    EXPECT_EQ(unhealthy, 0u) << "seed " << seed;
  }
}

// At alpha = 2^-10 false positives are frequent enough to count: both rates must match alpha, and neither may be zero.
TEST(Spec8_3_EntropyAnomalies, FalsePositiveRateIsWhatAlphaPromises) {
  const EntropyHealthOptions options{.min_entropy_bits = 1, .alpha_exponent = 10};
  RepetitionCountTest repetition(options);
  AdaptiveProportionTest proportion(options);
  Generator generator(20);
  constexpr int kSamples = 512 * 100'000;
  int repetition_trips = 0;
  int windows_tripped = 0;
  bool repetition_before = true;
  bool window_passed = true;
  for (int i = 1; i <= kSamples; ++i) {
    const std::uint8_t bit = generator.Bit();
    const bool repetition_passes = repetition.Add(bit);
    if (!repetition_passes && repetition_before) ++repetition_trips;
    repetition_before = repetition_passes;
    if (!proportion.Add(bit)) window_passed = false;
    if (i % AdaptiveProportionTest::kWindow == 0) {
      windows_tripped += window_passed ? 0 : 1;
      window_passed = true;
    }
  }
  // A run of 11 equal bits begins at a given sample with probability 2^-11 (a change, then ten equal ones).
  EXPECT_NEAR(repetition_trips, kSamples / 2048.0, 5 * std::sqrt(kSamples / 2048.0));
  EXPECT_LE(windows_tripped, 100'000 / 1024.0 + 3 * std::sqrt(100'000 / 1024.0));
  EXPECT_GE(windows_tripped, 100'000 / 1024.0 / 2);
  std::printf(
      "repetition: %d trips of %d samples, alpha promises %.0f; proportion: %d of 100000 windows, at most %.0f\n",
      repetition_trips, kSamples, kSamples / 2048.0, windows_tripped, 100'000 / 1024.0);
}

// ---- Detection ----

TEST(Spec8_3_EntropyAnomalies, AStuckSourceIsFoundWithinItsCutoff) {
  for (const double h : {1.0, 5.0, 8.0}) {
    EntropyHealth health({.min_entropy_bits = h});
    Generator generator(4);
    // A binary, a 32-valued and a 256-valued source, each at its declared min-entropy.
    for (int i = 0; i < 5000; ++i) health.Add(static_cast<std::uint8_t>(generator.Byte() >> (8 - static_cast<int>(h))));
    ASSERT_TRUE(health.healthy());
    std::uint32_t latency = 0;
    while (health.healthy() && latency < 100) {
      health.Add(255);
      ++latency;
    }
    EXPECT_EQ(latency, RepetitionCutoff(h, 20));
    EXPECT_EQ(health.verdict(), EntropyVerdict::kRepetition);
  }
}

TEST(Spec8_3_EntropyAnomalies, ABiasedSourceIsFoundWithinTwoWindows) {
  int worst = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    EntropyHealth health({.min_entropy_bits = 5});
    Generator generator(seed);
    for (int i = 0; i < 5000; ++i) health.Add(generator.Byte());
    ASSERT_TRUE(health.healthy());
    // Two values alternate: never a repetition, always a proportion.
    int latency = 0;
    while (health.healthy() && latency < 10'000) health.Add(latency++ % 2 == 0 ? 3 : 200);
    EXPECT_EQ(health.verdict(), EntropyVerdict::kProportion);
    EXPECT_LE(latency, 2 * AdaptiveProportionTest::kWindow) << "seed " << seed;
    worst = std::max(worst, latency);
  }
  std::printf("two alternating values: found after %d samples at worst\n", worst);
}

TEST(Spec10_EntropyOversaturation, ClippedNormalNoiseIsHealthyAndAFloodIsFoundWithinEightWindows) {
  // Normal noise in steps of 1/64 of its deviation, clipped to a signed byte: 2.4 % at each rail, 5.38 bits.
  const EntropyHealthOptions options{.min_entropy_bits = 5.38};
  int worst = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    EntropyHealth health(options);
    Generator generator(seed);
    for (int i = 0; i < 100'000; ++i) health.Add(generator.ClippedNormal(1));
    ASSERT_TRUE(health.healthy());
    ASSERT_EQ(health.faults(), 0u) << "seed " << seed;
    // A flood of three times the deviation: half of the samples are at a rail.
    int latency = 0;
    while (health.healthy() && latency < 100'000) {
      health.Add(generator.ClippedNormal(3));
      ++latency;
    }
    EXPECT_FALSE(health.healthy());
    worst = std::max(worst, latency);
  }
  EXPECT_LE(worst, 8 * AdaptiveProportionTest::kWindow);
  std::printf("noise of three deviations: found after %d samples at worst\n", worst);
}

TEST(Spec8_3_EntropyAnomalies, AWordIsTheSameAsItsFourBytes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    EntropyHealth words({.min_entropy_bits = 7, .alpha_exponent = 30});
    EntropyHealth bytes = words;
    Generator generator(seed);
    int healthy = 0;
    for (int i = 0; i < 100'000; ++i) {
      // 2000 good words, then 300 of few values, so that both tests fail and pass again at any place of a word.
      const auto mask = static_cast<std::uint8_t>(i % 2300 < 2000 ? 0xff : seed % 8);
      std::uint32_t word = 0;
      for (int shift = 0; shift < 32; shift += 8) {
        const auto byte = static_cast<std::uint8_t>(generator.Byte() & mask);
        word |= std::uint32_t{byte} << shift;
        bytes.Add(byte);
      }
      ASSERT_EQ(words.AddWord(word), bytes.verdict()) << "seed " << seed << ", word " << i;
      ASSERT_EQ(words.faults(), bytes.faults()) << "seed " << seed << ", word " << i;
      healthy += words.healthy() ? 1 : 0;
      if (i % 2999 == 0) {  // words do not begin where windows do
        words.Add(static_cast<std::uint8_t>(i));
        bytes.Add(static_cast<std::uint8_t>(i));
      }
    }
    EXPECT_GT(healthy, 50'000) << "seed " << seed;
    EXPECT_GT(words.faults(), 30u) << "seed " << seed;
  }
}

// ---- Start-up and coming back ----

TEST(Spec8_3_EntropyAnomalies, ASourceIsNotTrustedBeforeItsStartUpIsDone) {
  EntropyHealth health({.min_entropy_bits = 8});
  Generator generator(5);
  for (std::uint32_t i = 1; i < EntropyHealth::kStartUpSamples; ++i) {
    ASSERT_EQ(health.Add(generator.Byte()), EntropyVerdict::kStartingUp) << i;
    ASSERT_FALSE(health.healthy());
  }
  EXPECT_EQ(health.Add(generator.Byte()), EntropyVerdict::kHealthy);
}

TEST(Spec8_3_EntropyAnomalies, ASourceStuckFromItsStartIsNeverTrusted) {
  EntropyHealth health({.min_entropy_bits = 8});
  for (int i = 0; i < 100'000; ++i) {
    health.Add(0);
    ASSERT_FALSE(health.healthy());
  }
  EXPECT_EQ(health.verdict(), EntropyVerdict::kRepetition);
  EXPECT_EQ(health.faults(), 1u) << "one fault, however long it lasts";
}

TEST(Spec8_3_EntropyAnomalies, AFaultIsOverAfterAnotherStartUp) {
  EntropyHealth health({.min_entropy_bits = 8});
  Generator generator(6);
  for (int i = 0; i < 2048; ++i) health.Add(generator.Byte());
  ASSERT_TRUE(health.healthy());
  for (int i = 0; i < 4; ++i) health.Add(9);
  ASSERT_EQ(health.verdict(), EntropyVerdict::kRepetition);
  int samples = 0;
  while (!health.healthy() && samples < 10'000) {
    health.Add(generator.Byte());
    ++samples;
  }
  EXPECT_EQ(samples, static_cast<int>(EntropyHealth::kStartUpSamples));
  EXPECT_EQ(health.faults(), 1u);
}

}  // namespace
}  // namespace lvs::vaultguard
