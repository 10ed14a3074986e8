// A sequence of draws from a seed: the n-th depends on the seed and n only, so that a run repeats bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "shard/random.h"

namespace lvs::tab {

class Draws {
 public:
  explicit Draws(std::uint64_t seed) : seed_(shard::Mix(seed ^ 0x7ab11e5b0a57ed01ull)) {}

  std::uint64_t Next() { return shard::Mix(seed_ + ++drawn_ * 0x9e3779b97f4a7c15ull); }
  std::uint32_t Below(std::size_t n) { return shard::Below(Next(), static_cast<std::uint32_t>(n)); }  // n > 0
  double Unit() { return shard::Unit(Next()); }

  template <class T>
  void Shuffle(std::vector<T>* items) {
    for (std::size_t n = items->size(); n > 1; --n) std::swap((*items)[n - 1], (*items)[Below(n)]);
  }

 private:
  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
};

}  // namespace lvs::tab
