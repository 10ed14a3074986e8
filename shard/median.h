// The median of a few values, without a branch that depends on them: SIMD by Google Highway, and the same value as by
// sorting on every processor. Any thread.
#pragma once

#include <cstddef>

namespace lvs::shard {

inline constexpr std::size_t kMedianValues = 128;

// The value at place n/2 of n sorted ones, 1 to kMedianValues, all finite: of two in the middle the larger; of zeros
// the positive one.
float UpperMedian(const float* x, std::size_t n);

}  // namespace lvs::shard
