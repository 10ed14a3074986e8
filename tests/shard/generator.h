// Random numbers for the tests of this folder: SplitMix64, so that a failure repeats everywhere.
#pragma once

#include <cstdint>

namespace lvs::shard {

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : x_(seed) {}
  std::uint64_t Next() {
    std::uint64_t z = x_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // 0..n-1.
  std::uint32_t Below(std::uint32_t n) { return static_cast<std::uint32_t>((Next() >> 32) * n >> 32); }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  bool Chance(double p) { return Unit() < p; }
  // Uniform on +-scale.
  float Around(float scale) { return static_cast<float>((2 * Unit() - 1) * static_cast<double>(scale)); }

 private:
  std::uint64_t x_;
};

}  // namespace lvs::shard
