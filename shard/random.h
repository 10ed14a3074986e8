// Counter-based randomness: a draw is a pure function of (seed, stream, id, cycle). No generator is shared or advanced,
// so any thread may draw in any order and a run repeats bit for bit (docs/architecture.md, "Deterministic").
//
//   const std::uint64_t r = Draw(seed, Stream::kShuffle, row, cycle);
//   const std::uint32_t peer = Below(r, rows);
#pragma once

#include <cstdint>

namespace lvs::shard {

// One stream a purpose: two purposes never see the same draw.
enum class Stream : std::uint64_t {
  kInitialState = 1,
  kEntropy,
  kNeighbour,
  kShuffle,
  kFallback,
  kPull,
  kBatchSeed,
  kAmbassador,
  kAttack,
  kLink,
  kCorrupt,
  kSession,
  kChurn,
  kWorkload,
  kAdversaryChoice,
  kRegion,
  kLowPowerChoice,
  kMembership,
};

// SplitMix64's finaliser: a bijection that spreads every input bit.
constexpr std::uint64_t Mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ull;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

constexpr std::uint64_t Draw(std::uint64_t seed, Stream stream, std::uint64_t id, std::uint64_t cycle) {
  std::uint64_t x = Mix(seed + 0x9e3779b97f4a7c15ull * static_cast<std::uint64_t>(stream));
  x = Mix(x ^ (id * 0xd6e8feb86659fd93ull));
  return Mix(x + cycle * 0x9e3779b97f4a7c15ull);
}

// Uniform on 0..n-1 from a draw (multiply-shift; the bias is below n / 2^32). n > 0.
constexpr std::uint32_t Below(std::uint64_t draw, std::uint32_t n) {
  return static_cast<std::uint32_t>(((draw >> 32) * n) >> 32);
}

// Uniform on [0, 1) with 53 bits.
constexpr double Unit(std::uint64_t draw) { return static_cast<double>(draw >> 11) * 0x1p-53; }

}  // namespace lvs::shard
