// A drain detector watches one stream of state diffs (a shard's, or one peer link's about it) for a drain, which pulls
// value down (SPEC-8.3): the out-of-bound diffs are all on one side, or too many. A stream under suspicion is
// down-weighted, never cut off: trust comes back when the stream behaves.
//
// Example, once a cycle:
//   const DrainVerdict& verdict = detector.Observe({.diffs = 800, .out_of_bound_downward = 40,
//                                                   .out_of_bound_upward = 0, .downward_pull_uvu = 12'000'000});
//   weight *= verdict.weight;
//   if (verdict.raised(DrainAnomaly::kHighFrequency)) Report(...);
//
// Both anomalies are judged over the last kWindow cycles:
//   kAbnormalPattern  sign test: among the cycles in which more out-of-bound diffs point one way than the other, so
//                     many point down that a fair coin would do it with probability 2^-pattern_alpha_exponent or less.
//                     A cycle is one toss however many diffs it has, because honest diffs come in bursts: every
//                     neighbour of a replica that is far off reports it at once. 20 of 20 suffice, or 30 of 32.
//   kHighFrequency    downward out-of-bound diffs are more than frequency_share of all diffs; not before min_cycles
//                     cycles and min_downward such diffs are in the window, so that a stream of two replicas is not
//                     judged by one diff.
// Neither is raised while the window's whole downward pull is under min_pull_uvu, because so small a drain is rounding.
//
// Hysteresis: an anomaly clears when its evidence has been weak for clear_cycles cycles in a row: the pattern is no
// longer significant at 2^-pattern_clear_exponent, the frequency is at most half of frequency_share.
//
// The weight starts at 1. A cycle with an anomaly multiplies it by weight_fall, down to weight_floor; a cycle without
// adds weight_rise, as for the trust in a neighbour (drift.md, rule 5).
//
// Errors: WhyInvalid() names what is wrong with options that come from outside, and is empty where nothing is.
// Constructing from invalid options, or observing more out-of-bound diffs than diffs, is a bug and aborts. A cycle
// without diffs is a sample like any other. Threads: not shared. Deterministic: decisions use integers only. Observe()
// takes constant time and memory.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace lvs::vaultguard {

// Anomalies as bits; DrainVerdict holds a set of them.
enum class DrainAnomaly : std::uint8_t { kAbnormalPattern = 1, kHighFrequency = 2 };

// The diffs of one cycle.
struct DrainSample {
  std::uint32_t diffs = 0;                  // all diffs received
  std::uint32_t out_of_bound_downward = 0;  // of these, beyond the bound and below the receiver
  std::uint32_t out_of_bound_upward = 0;    // and above it
  std::uint64_t downward_pull_uvu = 0;      // micro-VU: summed distance of the downward ones before clipping
};

struct DrainOptions {
  int pattern_alpha_exponent = 20;  // alpha = 2^-20; 1..32
  int pattern_clear_exponent = 10;  // 1..pattern_alpha_exponent
  double frequency_share = 0.05;    // above 0, to 1; counted in parts per million
  std::uint32_t min_cycles = 8;     // 1..kWindow
  std::uint32_t min_downward = 20;
  std::uint64_t min_pull_uvu = 1;
  std::uint32_t clear_cycles = 16;
  double weight_fall = 0.8;        // 0..1
  double weight_rise = 0.02;       // 0..1
  double weight_floor = 1.0 / 16;  // 0..1
};
std::string_view WhyInvalid(const DrainOptions& options);

struct DrainVerdict {
  std::uint8_t active_bits = 0;  // anomalies that hold now
  std::uint8_t raised_bits = 0;  // those that this cycle raised
  double weight = 1;             // 0..1: weight of the stream's diffs

  bool active(DrainAnomaly anomaly) const { return (active_bits & static_cast<std::uint8_t>(anomaly)) != 0; }
  bool raised(DrainAnomaly anomaly) const { return (raised_bits & static_cast<std::uint8_t>(anomaly)) != 0; }
  bool suspicious() const { return active_bits != 0; }
};

class DrainDetector {
 public:
  static constexpr std::uint32_t kWindow = 32;

  explicit DrainDetector(const DrainOptions& options = {});

  const DrainVerdict& Observe(const DrainSample& sample);

  const DrainVerdict& verdict() const { return verdict_; }
  // How often each anomaly was raised.
  std::uint64_t patterns() const { return pattern_.raised; }
  std::uint64_t frequencies() const { return frequency_.raised; }

 private:
  struct Alarm {
    bool active = false;
    std::uint32_t weak_cycles = 0;
    std::uint64_t raised = 0;
    bool Update(bool strong, bool weak, std::uint32_t clear_cycles);  // true: raised by this cycle
  };

  void Slide(const DrainSample& sample);
  void Judge();

  DrainOptions options_;
  std::uint64_t frequency_ppm_;
  std::array<std::uint8_t, kWindow + 1> raise_at_;  // downward cycles that raise the pattern, by cycles that count
  std::array<std::uint8_t, kWindow + 1> keep_at_;   // and that keep it up

  // The window: the sign of each cycle as two bit sets, newest in bit 0, and sums kept by adding and subtracting.
  std::uint32_t downward_cycles_ = 0;
  std::uint32_t upward_cycles_ = 0;
  std::array<DrainSample, kWindow> samples_{};
  std::uint32_t next_ = 0;
  std::uint32_t filled_ = 0;
  std::uint64_t diffs_ = 0;
  std::uint64_t downward_ = 0;
  std::uint64_t pull_uvu_ = 0;

  Alarm pattern_;
  Alarm frequency_;
  DrainVerdict verdict_;
};

// The fewest heads in `tosses` tosses of a fair coin, 0..32, that have a probability of 2^-alpha_exponent or less;
// tosses + 1 where not even all heads do.
int SignTestCutoff(int tosses, int alpha_exponent);

}  // namespace lvs::vaultguard
