// The entropy engine (SPEC-6.1, SPEC-13): makes a replica's entropy packets, and decides whether received ones may be
// used.
//
// A packet's vector is one 32-bit word: four signed bytes, uniform on +-kEntropyRange in steps of 1/64, so of unit
// variance; components past the fourth are made by mixing the word again. The word is a function of (seed, row, cycle),
// so a run repeats. Packets that arrive over a peer link pass the tests of NIST SP 800-90B
// (vaultguard/entropy_health.h).
#pragma once

#include <cstdint>

#include "vaultguard/entropy_health.h"

namespace lvs::shard {

inline constexpr std::uint32_t kEntropyRange = 111;  // largest size of a component, in steps: standard deviation 64.4
inline constexpr float kEntropySteps = 64.0f;        // steps a standard deviation

std::uint32_t EntropyWord(std::uint64_t seed, std::uint32_t row, std::uint64_t cycle);
float EntropyComponent(std::uint32_t word, int component);

// The packets of one peer link. Biased or stuck packets are not used until as many good ones have come as at a start-up
// (SPEC-8.3, SPEC-10 entropy oversaturation).
class EntropyLink {
 public:
  // Tests a new packet. False: it must not be used.
  bool Take(std::uint32_t word) {
    const vaultguard::EntropyVerdict verdict = health_.AddWord(word);
    return verdict == vaultguard::EntropyVerdict::kHealthy || verdict == vaultguard::EntropyVerdict::kStartingUp;
  }
  // How often the link's packets failed.
  std::uint64_t faults() const { return health_.faults(); }

 private:
  // 223 equal values have 7.8 bits; alpha = 2^-30 so that an honest link of years does not fail.
  vaultguard::EntropyHealth health_{{.min_entropy_bits = 7.0, .alpha_exponent = 30}};
};

}  // namespace lvs::shard
