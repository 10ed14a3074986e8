// The median of a few values, branchless: SIMD by Google Highway, and the same value as by sorting on every processor.
// Any thread.
#pragma once

#include <cstddef>

namespace lvs::shard {

inline constexpr std::size_t kMedianValues = 128;

// Returns the value at place n/2 of n sorted ones, so the larger of two in the middle. n is 1 to kMedianValues, and all
// values are finite. A median of zero is +0.
float UpperMedian(const float* x, std::size_t n);

}  // namespace lvs::shard
