#include "shard/hosting/picture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

namespace lvs::hosting {
namespace {

class PictureTest : public ::testing::TestWithParam<shard::Shape> {
 protected:
  PictureTest() {
    shard::StateShardConfig config;
    config.shape = GetParam();
    config.seed = 3;
    shard_ = std::make_unique<shard::StateShard>(config);
    shard_->Start(100, 0);
  }
  std::vector<Dot> Draw() {
    std::vector<Dot> dots;
    picture_.Draw(*shard_, &dots);
    return dots;
  }
  void Advance(std::uint64_t cycle) {
    shard::CycleCounts counts;
    shard_->Advance(cycle, 0, &counts);
  }

  std::unique_ptr<shard::StateShard> shard_;
  Picture picture_;
};

TEST_P(PictureTest, ShowsAsManyAsAreWantedAndTheirNeighboursAmongThem) {
  picture_.Choose(*shard_, 40);
  const std::vector<Dot> dots = Draw();
  ASSERT_EQ(dots.size(), 40u);
  std::size_t neighbours = 0;
  for (std::size_t n = 0; n < dots.size(); ++n) {
    EXPECT_TRUE(std::isfinite(dots[n].x) && std::isfinite(dots[n].y));
    EXPECT_FALSE(dots[n].adversary);
    for (const std::uint32_t neighbour : dots[n].neighbours) {
      EXPECT_LT(neighbour, dots.size());
      EXPECT_NE(neighbour, n);
    }
    neighbours += dots[n].neighbours.size();
  }
  EXPECT_GT(neighbours, 0u);
  picture_.Choose(*shard_, 0);
  EXPECT_TRUE(Draw().empty());
  picture_.Choose(*shard_, 1000);
  EXPECT_EQ(Draw().size(), 100u) << "nobody is drawn twice";
}

TEST_P(PictureTest, AnArrowIsWhereTheCycleMovedIt) {
  for (std::uint64_t cycle = 1; cycle < 4; ++cycle) Advance(cycle);
  picture_.Choose(*shard_, 100);
  const int x = GetParam().free_coordinates >= 1 ? GetParam().value_slots : 0;
  std::vector<float> said_before;  // everybody is chosen, in the order of the rows
  for (std::uint32_t n = 0; n < 100; ++n) said_before.push_back(shard_->said(shard_->first_row() + n)[x]);
  Advance(4);
  const std::vector<Dot> after = Draw();
  int moved = 0;
  for (std::size_t n = 0; n < after.size(); ++n) {
    if (after[n].dx == 0 && after[n].dy == 0) continue;
    ++moved;
    EXPECT_NEAR(after[n].x - after[n].dx, said_before[n], 1e-3);
  }
  EXPECT_GT(moved, 50);
}

TEST_P(PictureTest, ALiarIsDrawnWhereItClaimsToBeAndNonsenseInTheMiddle) {
  Advance(1);
  const std::uint32_t liar = shard_->first_row();
  shard_->SetFlag(liar, shard::kAdversary, true);
  picture_.Choose(*shard_, 100);
  const std::vector<float> lie(vaultguard::kMaxDimensions, 123);
  shard_->OverwriteSaid(liar, lie.data(), shard::Meta(2, 255), 0);
  Dot dot = Draw().front();
  EXPECT_TRUE(dot.adversary);
  EXPECT_EQ(dot.x, 123);
  EXPECT_EQ(dot.dx, 0);
  const std::vector<float> nonsense(vaultguard::kMaxDimensions, std::numeric_limits<float>::quiet_NaN());
  shard_->OverwriteSaid(liar, nonsense.data(), shard::Meta(2, 255), 0);
  dot = Draw().front();
  EXPECT_EQ(dot.x, 0);
  EXPECT_EQ(dot.y, 0);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PictureTest,
                         ::testing::Values(shard::Shape{2, 2, 8}, shard::Shape{1, 0, 8}, shard::Shape{3, 1, 8}));

}  // namespace
}  // namespace lvs::hosting
