// The median of a few values, without a branch that depends on them: SIMD by Google Highway, and the same value as by
// sorting on every processor. Any thread.
#pragma once

#include <cstddef>

namespace lvs::shard {

// The value at place n/2 of n > 0 sorted ones, none of them NaN: of two in the middle the larger. O(n^2): for hundreds.
float UpperMedian(const float* x, std::size_t n);

}  // namespace lvs::shard
