#include "shard/hosting/shard_layout.h"

#include <gtest/gtest.h>

#include <vector>

#include "shard/state_shard.h"

namespace lvs::hosting {
namespace {

using Rows = std::vector<std::uint32_t>;

TEST(ShardLayout, EachOtherServerNodeHasItsRangeAndTheOwnOneNone) {
  const ShardLayout layout = LayOut(1, Rows{16, 99, 32, 5});
  EXPECT_EQ(layout.halo_first, (Rows{0, 16, 16, 48}));
  EXPECT_EQ(layout.halo_count, (Rows{16, 0, 32, 5}));
  EXPECT_EQ(layout.halo_rows, 53u);
  EXPECT_EQ(layout.first_local, 64u);
}

TEST(ShardLayout, ALoneServerNodeHasNoHalo) {
  const ShardLayout layout = LayOut(0, Rows{16});
  EXPECT_EQ(layout.halo_rows, 0u);
  EXPECT_EQ(layout.first_local, 0u);
}

// The swarm counts rows from first_local: the shard must begin its replicas there.
TEST(ShardLayout, LocalRowsBeginWhereTheShardBeginsThem) {
  for (std::uint32_t halo = 0; halo <= 100; ++halo) {
    shard::StateShardConfig config;
    config.halo_rows = halo;
    EXPECT_EQ(LayOut(0, Rows{0, halo}).first_local, shard::StateShard(config).first_row()) << halo;
  }
}

}  // namespace
}  // namespace lvs::hosting
