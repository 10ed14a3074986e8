// The SIMD count of new bits agrees with a plain loop.
#include "shard/new_bits.h"

#include <gtest/gtest.h>

#include <vector>

#include "shard/simd_target.h"
#include "tests/shard/generator.h"

namespace lvs::shard {
namespace {

TEST(NewBits, AreWhatALoopCountsOnEverySimdTarget) {
  for (const std::string& target : SimdTargets()) {
    ASSERT_TRUE(SelectSimdTarget(target));
    Generator g(1);
    for (std::size_t n = 0; n <= 4000; n += n < 200 ? 8 : 1000) {
      // Often new, seldom new, and bits that are new in every word.
      const std::uint64_t everywhere = n % 24 == 0 ? 0x8000000000000401 : 0;
      const bool seldom = n % 16 == 0;
      std::vector<std::uint64_t> before(n), now(n);
      NewBits loop;
      for (std::size_t k = 0; k < n; ++k) {
        before[k] = g.Next() & ~everywhere;
        now[k] = before[k] | everywhere | (seldom ? g.Next() & g.Next() & g.Next() : g.Next());
        loop.all &= now[k];
        for (int bit = 0; bit < 64; ++bit)
          loop.words[static_cast<std::size_t>(bit)] += (now[k] & ~before[k]) >> bit & 1;
      }
      const NewBits bits = CountNewBits(before.data(), now.data(), n);
      EXPECT_EQ(bits.words, loop.words) << target << ", of " << n;
      EXPECT_EQ(bits.all, loop.all) << target << ", of " << n;
    }
  }
  ASSERT_TRUE(SelectSimdTarget("auto"));
}

}  // namespace
}  // namespace lvs::shard
