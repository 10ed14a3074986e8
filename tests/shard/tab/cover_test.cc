#include "shard/tab/cover.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "shard/tab/draws.h"

namespace lvs::tab {
namespace {

TEST(TabCover, CountsAsASumAShardWould) {
  Draws draws(7);
  Cover cover;
  std::array<std::uint32_t, kShardsMax> sums{};
  for (int added = 0; added < 20; ++added) {
    const ShardMask mask = draws.Next() | 1;  // shard 0 every time: the count stops at its maximum
    cover.Add(mask);
    for (std::uint32_t s = 0; s < kShardsMax; ++s) sums[s] = std::min(Cover::kMax, sums[s] + (mask >> s & 1 ? 1 : 0));
    for (std::uint32_t count = 0; count <= Cover::kMax; ++count) {
      for (std::uint32_t s = 0; s < kShardsMax; ++s) ASSERT_EQ((cover.AtLeast(count) >> s & 1) != 0, sums[s] >= count);
    }
    for (std::uint32_t s = 0; s < kShardsMax; ++s) ASSERT_EQ(cover.Of(s), sums[s]);
    ASSERT_EQ(cover.Least(6), std::min(sums[1], sums[2]));
  }
  EXPECT_EQ(cover.Of(0), Cover::kMax);
  EXPECT_EQ(cover.Least(0), Cover::kMax) << "no shard is missed where none is shared";
}

}  // namespace
}  // namespace lvs::tab
