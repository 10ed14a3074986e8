// Health tests of one entropy source: the continuous tests of NIST SP 800-90B section 4.4, on 8-bit samples. The tests
// find a source that is stuck or has become predictable (SPEC-8.3 entropy anomalies). An oversaturated source (SPEC-10)
// sits at its rails, which shows as an impossible repetition or proportion.
//
// Example:
//   EntropyHealth health({.min_entropy_bits = 5.0});
//   for (std::uint8_t sample : packet) health.Add(sample);
//   if (!health.healthy()) Refuse(Name(health.verdict()));    // "starting_up", "repetition", "proportion"
//
// A source is not trusted before kStartUpSamples samples in a row passed both tests, and after a fault not until as
// many passed again. Until then verdict() says why.
//
// Units: samples are bytes; min_entropy_bits is H, the bits of min-entropy that an honest source has in each sample,
// -log2 of its most likely value (8 for a uniform byte; less where samples are clipped). alpha = 2^-alpha_exponent is
// the chance that an honest source of exactly H fails: per run of samples for the first test, per window for the
// second.
//
// Errors: WhyInvalid() names what is wrong with options that come from outside, and is empty where nothing is.
// Constructing from invalid options is a bug and aborts. Add() takes any byte. Threads: not shared. Deterministic;
// nothing is allocated after construction.
#pragma once

#include <cstdint>
#include <string_view>

namespace lvs::vaultguard {

struct EntropyHealthOptions {
  double min_entropy_bits = 5.0;  // H, 0.05..8
  int alpha_exponent = 20;        // alpha = 2^-20, within 10..60
};
std::string_view WhyInvalid(const EntropyHealthOptions& options);

// The smallest k with P(X > k) <= 2^-alpha_exponent for X ~ Binomial(trials, probability): critbinom(trials, p, 1 -
// alpha) of SP 800-90B. trials >= 1, 0 < probability < 1.
int CriticalBinomial(int trials, double probability, int alpha_exponent);

constexpr bool HasZeroByte(std::uint32_t word) { return ((word - 0x01010101u) & ~word & 0x80808080u) != 0; }

// ---- Section 4.4.1 ----

// Fails while the same value has come cutoff() times in a row or more; cutoff = 1 + ceil(-log2(alpha) / H).
class RepetitionCountTest {
 public:
  explicit RepetitionCountTest(const EntropyHealthOptions& options);

  // True: passed.
  bool Add(std::uint8_t sample);
  // True where a sample of this word repeats the sample before it. Where none does, AddDistinct equals four Adds.
  bool Repeats(std::uint32_t word) const { return run_ == 0 || HasZeroByte(word ^ (word << 8 | value_)); }
  void AddDistinct(std::uint32_t word) {
    value_ = word >> 24;
    run_ = 1;
  }
  void Reset() { run_ = 0; }
  std::uint32_t cutoff() const { return cutoff_; }

 private:
  std::uint32_t cutoff_;
  std::uint32_t run_ = 0;    // 0: no sample yet
  std::uint32_t value_ = 0;  // a byte
};

// ---- Section 4.4.2 ----

// Cuts the stream into windows and fails from the moment when the first value of a window has come cutoff() times in
// it, until the window ends.
//
// cutoff = 2 + critbinom(window - 1, 2^-H, 1 - alpha), at most the window: the first value is there by definition, so
// only window - 1 samples are left to chance. The standard prints 1 + critbinom(window, ...), with which an honest
// source fails more often than alpha (4.4 times as often at H = 7); Linux's jitter entropy source uses the corrected
// form too.
class AdaptiveProportionTest {
 public:
  static constexpr int kWindow = 512;

  explicit AdaptiveProportionTest(const EntropyHealthOptions& options);

  // True: passed.
  bool Add(std::uint8_t sample);
  // True where a sample of this word counts, or the word extends beyond the current window. Where false, AddOthers
  // equals four Adds.
  bool Counts(std::uint32_t word) const {
    return seen_ == 0 || seen_ + 4 > kWindow || HasZeroByte(word ^ 0x01010101u * value_);
  }
  void AddOthers() { seen_ = (seen_ + 4) % kWindow; }
  void Reset() { seen_ = 0; }
  std::uint32_t cutoff() const { return cutoff_; }

 private:
  std::uint32_t cutoff_;
  std::uint32_t seen_ = 0;   // samples of this window so far; 0: a new window begins
  std::uint32_t count_ = 0;  // how many of them equal value_
  std::uint32_t value_ = 0;  // a byte
};

// ---- Both, with start-up ----

enum class EntropyVerdict : std::uint8_t {
  kStartingUp,  // fewer than kStartUpSamples samples yet
  kHealthy,
  kRepetition,  // stuck: failed the repetition count test
  kProportion,  // biased: failed the adaptive proportion test
};
std::string_view Name(EntropyVerdict verdict);

class EntropyHealth {
 public:
  static constexpr std::uint32_t kStartUpSamples = 1024;

  explicit EntropyHealth(const EntropyHealthOptions& options);

  EntropyVerdict Add(std::uint8_t sample);
  // Adds the four bytes of a word, the lowest first. Fast, because hardly any byte of a healthy source advances a test.
  EntropyVerdict AddWord(std::uint32_t word) {
    if (healthy() && !repetition_.Repeats(word) && !proportion_.Counts(word)) {
      repetition_.AddDistinct(word);
      proportion_.AddOthers();
      return verdict_;
    }
    for (int shift = 0; shift < 32; shift += 8) Add(static_cast<std::uint8_t>(word >> shift));
    return verdict_;
  }

  EntropyVerdict verdict() const { return verdict_; }
  bool healthy() const { return verdict_ == EntropyVerdict::kHealthy; }
  // How often the source went from healthy or starting up to a fault.
  std::uint64_t faults() const { return faults_; }

 private:
  RepetitionCountTest repetition_;
  AdaptiveProportionTest proportion_;
  EntropyVerdict verdict_ = EntropyVerdict::kStartingUp;
  std::uint32_t passed_ = 0;  // samples in a row that passed, up to kStartUpSamples
  std::uint64_t faults_ = 0;
};

}  // namespace lvs::vaultguard
