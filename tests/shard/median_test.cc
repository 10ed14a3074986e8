// The SIMD median agrees with sorting.
#include "shard/median.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "shard/simd_target.h"
#include "tests/shard/generator.h"

namespace lvs::shard {
namespace {

TEST(Median, IsWhatSortingFindsOnEverySimdTarget) {
  for (const std::string& target : SimdTargets()) {
    ASSERT_TRUE(SelectSimdTarget(target));
    Generator g(1);
    for (std::size_t n = 1; n <= kMedianValues; ++n) {
      // Some cases have few different values, so that many are equal; some are sorted.
      const bool coarse = n % 3 == 0;
      const bool sorted = n % 4 == 1;
      std::vector<float> x(n);
      for (float& value : x) value = coarse ? static_cast<float>(g.Below(5)) - 2 : g.Around(1e6f);
      if (coarse)
        std::replace_if(
            x.begin(), x.end(), [&g](float v) { return v == 0 && g.Chance(0.5); }, -0.0f);
      if (sorted) std::sort(x.begin(), x.end());
      const float median = UpperMedian(x.data(), n);
      std::sort(x.begin(), x.end());
      EXPECT_EQ(median, x[n / 2]) << target << ", of " << n;
      EXPECT_FALSE(median == 0 && std::signbit(median)) << target << ", of " << n;
    }
  }
  ASSERT_TRUE(SelectSimdTarget("auto"));
}

}  // namespace
}  // namespace lvs::shard
