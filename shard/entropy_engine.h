// The entropy engine (SPEC-6.1, SPEC-13): where a replica's entropy packets come from, and whether those of others may
// be used.
//
// A packet's vector is one 32-bit word: four signed bytes, uniform on +-kEntropyRange in steps of 1/64, so of unit
// variance; components past the fourth are made by mixing the word again. It is a function of (seed, row, cycle), so
// a run repeats. What arrives over a peer link is tested as NIST SP 800-90B asks (vaultguard/entropy_health.h).
#pragma once

#include <cstdint>

#include "vaultguard/entropy_health.h"

namespace lvs::shard {

inline constexpr std::uint32_t kEntropyRange = 111;  // of a component, in steps: standard deviation 64.4
inline constexpr float kEntropySteps = 64.0f;        // a standard deviation

std::uint32_t EntropyWord(std::uint64_t seed, std::uint32_t row, std::uint64_t cycle);
float EntropyComponent(std::uint32_t word, int component);

// The packets of one peer link: biased or stuck ones lose their voice until as many good ones have come as at a
// start-up (SPEC-8.3, SPEC-10 entropy oversaturation).
class EntropyLink {
 public:
  // A new packet. False: it must not be used.
  bool Take(std::uint32_t word) {
    const vaultguard::EntropyVerdict verdict = health_.AddWord(word);
    return verdict == vaultguard::EntropyVerdict::kHealthy || verdict == vaultguard::EntropyVerdict::kStartingUp;
  }
  // Times that the link's packets failed.
  std::uint64_t faults() const { return health_.faults(); }

 private:
  // 223 equal values have 7.8 bits; alpha = 2^-30 so that an honest link of years does not fail.
  vaultguard::EntropyHealth health_{{.min_entropy_bits = 7.0, .alpha_exponent = 30}};
};

}  // namespace lvs::shard
