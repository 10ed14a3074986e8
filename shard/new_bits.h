// Counts of newly set bits in a column of words: SIMD by Google Highway, the same numbers on every processor. Any
// thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lvs::shard {

struct NewBits {
  std::array<std::uint64_t, 64> words{};  // how many have the bit now and lacked it before
  std::uint64_t all = ~std::uint64_t{0};  // bits that every word has now
};

// Compares `n` words, a multiple of 8.
NewBits CountNewBits(const std::uint64_t* before, const std::uint64_t* now, std::size_t n);

}  // namespace lvs::shard
