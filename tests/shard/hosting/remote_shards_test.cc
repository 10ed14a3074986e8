#include "shard/hosting/remote_shards.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "shard/entropy_engine.h"

namespace lvs::hosting {
namespace {

class RemoteShardsTest : public ::testing::Test {
 protected:
  RemoteShardsTest() : layout_(LayOut(0, std::vector<std::uint32_t>{0, 16, 16})), remotes_(layout_) {
    shard::StateShardConfig config;
    config.seed = 3;
    config.halo_rows = layout_.halo_rows;
    shard_ = std::make_unique<shard::StateShard>(config);
    shard_->Start(50, 0);
  }

  // What halo row `row` of a server node says.
  void Hear(std::uint32_t node, std::uint32_t row, std::uint64_t cycle, float value) {
    Hear(node, row, cycle, {value, 0, 0, 0});
  }
  void Hear(std::uint32_t node, std::uint32_t row, std::uint64_t cycle, std::vector<float> state) {
    shard::Frame frame;
    frame.cycle = cycle;
    frame.value_slots = 2;
    frame.halo_row = {row};
    frame.published_cycle = {static_cast<std::uint32_t>(cycle)};
    frame.drift_weight = {255};
    frame.entropy = {shard::EntropyWord(1, row, cycle)};
    frame.diff = std::move(state);
    remotes_.Hear(node, frame, cycle, shard_.get(), &refused_);
  }

  ShardLayout layout_;
  RemoteShards remotes_;
  std::unique_ptr<shard::StateShard> shard_;
  vaultguard::RefusalCounts refused_;
};

TEST_F(RemoteShardsTest, EachServerNodeSpeaksInItsOwnHaloRows) {
  Hear(1, 3, 10, 11);
  Hear(2, 3, 10, 22);
  EXPECT_EQ(shard_->said(layout_.halo_first[1] + 3)[0], 11);
  EXPECT_EQ(shard_->said(layout_.halo_first[2] + 3)[0], 22);
}

TEST_F(RemoteShardsTest, Spec8_3_ANewSessionDoesNotShedTheRecordOfALink) {
  std::uint64_t raised = 0;
  for (std::uint64_t cycle = 1; cycle <= 60; ++cycle) {
    remotes_.NewSession(1);  // each time anew
    Hear(1, 3, cycle, -10'000);
    raised += remotes_.TakeRaised().drains;
    EXPECT_EQ(remotes_.TakeRaised().drains, 0u) << "told once";
  }
  EXPECT_GT(raised, 0u);
}

TEST_F(RemoteShardsTest, WhoWantsEverybodyIsToldOnce) {
  EXPECT_FALSE(remotes_.TakeWantsEverybody(1));
  remotes_.WantEverybody(1);
  EXPECT_FALSE(remotes_.TakeWantsEverybody(2));
  EXPECT_TRUE(remotes_.TakeWantsEverybody(1));
  EXPECT_FALSE(remotes_.TakeWantsEverybody(1));
  remotes_.WantEverybody(1);
  remotes_.NewSession(1);
  EXPECT_FALSE(remotes_.TakeWantsEverybody(1)) << "somebody else is there";
}

// The share of neighbour slots that lead into the halo, after the overlay has had time to trade.
class WeighTest : public RemoteShardsTest {
 protected:
  double RemoteShare(std::uint32_t replicas_of_1, bool heard) {
    remotes_.TakeBeacon(1, {.replicas = replicas_of_1}, 0);
    shard::CycleCounts counts;
    for (std::uint64_t cycle = 1; cycle <= 400; ++cycle) {
      // The other server node agrees with this one, or its rows would lose all trust.
      for (std::uint32_t row = 0; row < 16; ++row) {
        const float* said = shard_->said(shard_->first_row() + row);
        Hear(1, row, cycle, std::vector<float>(said, said + 4));
      }
      remotes_.Weigh([&](std::uint32_t node) { return node == 1 && heard; }, shard_.get());
      shard_->Advance(cycle, 0, &counts);
    }
    const shard::Columns& columns = shard_->columns();
    double remote = 0;
    double all = 0;
    for (std::size_t row = columns.first_local; row < columns.end; ++row) {
      if (!columns.Alive(row)) continue;
      for (int slot = 0; slot < 8; ++slot) {
        const std::uint32_t link = columns.link[static_cast<std::size_t>(slot) * columns.stride + row];
        remote += shard::NeighbourOf(link) < columns.first_local ? 1 : 0;
        ++all;
      }
    }
    return remote / all;
  }
};

TEST_F(WeighTest, AsManyNeighboursAreRemoteAsReplicasAre) { EXPECT_NEAR(RemoteShare(50, true), 0.5, 0.1); }

TEST_F(WeighTest, AClaimThatNobodyCanCheckIsBounded) { EXPECT_NEAR(RemoteShare(1'000'000, true), 64.0 / 114, 0.1); }

// Anybody opens a tab: it weighs no more than the rows that are kept of it, here 16.
TEST_F(WeighTest, Test3_1_ATabWeighsItsRowsOnly) {
  remotes_.SetFarEnd(1, /*counts=*/false, 0);
  EXPECT_NEAR(RemoteShare(1'000'000, true), 16.0 / 66, 0.1);
}

TEST_F(WeighTest, WhoIsNotHeardHasNoShare) { EXPECT_NEAR(RemoteShare(50, false), 0, 0.02); }

// Who is missing, and who has come.
class MeetTest : public RemoteShardsTest {
 protected:
  // Runs cycles up to `last`, in each of which the `speakers` give a sign of life.
  void Run(std::uint64_t last, const std::vector<std::uint32_t>& speakers) {
    for (; cycle_ <= last; ++cycle_) {
      for (const std::uint32_t node : speakers) remotes_.TakeBeacon(node, beacon, cycle_);
      remotes_.Meet([&](std::uint32_t node) { return up[node]; }, links_change, others_missing, cycle_, shard_.get());
      hurried_ = hurried_ || shard_->Hurries(cycle_ + 1);
    }
  }
  bool TakeHurried() { return std::exchange(hurried_, false); }

  shard::Beacon beacon{.replicas = 50};
  bool links_change = false;
  bool others_missing = false;
  std::vector<bool> up = {false, true, true};

 private:
  std::uint64_t cycle_ = 1;
  bool hurried_ = false;
};

TEST_F(MeetTest, AServerNodeThatIsNotHeardIsMissingForAnHour) {
  Run(10, {1});
  EXPECT_TRUE(shard_->apart()) << "2 was never heard";
  Run(20, {1, 2});
  EXPECT_FALSE(shard_->apart());
  Run(20 + kMissingCycles, {1});
  EXPECT_FALSE(shard_->apart());
  Run(21 + kMissingCycles, {1});
  EXPECT_TRUE(shard_->apart());
  Run(20 + kExpectedCycles - 1, {1});
  EXPECT_TRUE(shard_->apart());
  Run(20 + kExpectedCycles, {1});
  EXPECT_FALSE(shard_->apart()) << "it is dead for good";
  Run(30 + kExpectedCycles, {1, 2});
  Run(90 + kExpectedCycles, {1});
  EXPECT_TRUE(shard_->apart()) << "it came back all the same, and is missing anew";
}

TEST_F(MeetTest, WhoSaidThatItLeavesIsNotMissing) {
  Run(10, {1, 2});
  beacon.leaving = true;
  Run(11, {2});
  beacon.leaving = false;
  Run(200, {1});
  EXPECT_FALSE(shard_->apart());
  remotes_.NewSession(2);  // it has started again, and says nothing yet
  Run(201, {1});
  EXPECT_TRUE(shard_->apart());
}

TEST_F(MeetTest, AfterARestartEverybodyIsMissingUntilHeard) {
  Run(10, {1, 2});
  remotes_.Restart();
  Run(11, {1});
  EXPECT_TRUE(shard_->apart());
  Run(12, {2});
  EXPECT_FALSE(shard_->apart());
}

TEST_F(MeetTest, WhereLinksChangeOnlyALinkThatIsUpCounts) {
  links_change = true;
  up = {false, false, false};
  Run(10, {});
  EXPECT_FALSE(shard_->apart());
  up[1] = true;
  Run(11, {});
  EXPECT_TRUE(shard_->apart()) << "it has a link and has not spoken";
  Run(12, {1});
  EXPECT_FALSE(shard_->apart());
  Run(100, {});
  EXPECT_TRUE(shard_->apart()) << "its frames are lost";
  up[1] = false;
  Run(101, {});
  EXPECT_FALSE(shard_->apart());
  others_missing = true;  // it is expected back
  Run(102, {});
  EXPECT_TRUE(shard_->apart());
}

TEST_F(MeetTest, WhereLinksChangeASilentLinkIsWaitedForFromWhenItCameUp) {
  links_change = true;
  up = {false, false, true};
  Run(kExpectedCycles, {});
  EXPECT_TRUE(shard_->apart());
  Run(kExpectedCycles + 1, {});
  EXPECT_FALSE(shard_->apart());
  up[2] = false;
  Run(kExpectedCycles + 2, {});
  up[2] = true;
  Run(kExpectedCycles + 3, {});
  EXPECT_TRUE(shard_->apart()) << "somebody else is there";
}

TEST_F(MeetTest, TradesHurryForWhoComesLateOrAgainAfterASilence) {
  Run(kStartCycles, {1});
  EXPECT_FALSE(TakeHurried()) << "it was there from the start";
  Run(20, {1});
  EXPECT_FALSE(TakeHurried());
  Run(21, {1, 2});
  EXPECT_TRUE(TakeHurried()) << "2 is heard for the first time";
  Run(20 + shard::kHurryCycles, {1, 2});
  EXPECT_TRUE(TakeHurried());
  Run(200, {1, 2});
  EXPECT_FALSE(TakeHurried());
  Run(200 + kMissingCycles, {1});
  Run(201 + kMissingCycles, {1, 2});
  EXPECT_TRUE(TakeHurried()) << "2 is heard again";
  Run(400, {1, 2});
  TakeHurried();
  Run(399 + kMissingCycles, {1});
  Run(400 + kMissingCycles, {1, 2});
  EXPECT_FALSE(TakeHurried()) << "it was not missing";
}

TEST_F(MeetTest, WhoHasComeIsToldEverything) {
  Run(20, {1});
  EXPECT_TRUE(remotes_.TakeWantsEverybody(1));
  EXPECT_FALSE(remotes_.TakeWantsEverybody(2));
  Run(20 + kMissingCycles, {2});
  Run(21 + kMissingCycles, {1, 2});
  EXPECT_TRUE(remotes_.TakeWantsEverybody(1)) << "it was missing";
  Run(20 + 2 * kMissingCycles, {2});
  Run(21 + 2 * kMissingCycles, {1, 2});
  EXPECT_FALSE(remotes_.TakeWantsEverybody(1)) << "it was silent, and not missing";
}

TEST_F(MeetTest, Test3_1_ATabIsNeverMissingAndMakesNobodyHurry) {
  links_change = true;
  remotes_.SetFarEnd(2, /*counts=*/false, 80);
  Run(20, {1});
  TakeHurried();
  Run(40, {1});
  EXPECT_FALSE(shard_->apart()) << "a tab that never spoke";
  Run(60, {1, 2});
  EXPECT_FALSE(TakeHurried());
  EXPECT_TRUE(remotes_.TakeWantsEverybody(2)) << "it is told everything all the same";
  Hear(2, 3, 60, 22);
  Run(60 + 80, {1});
  EXPECT_FALSE(shard_->apart()) << "it fell silent";
  EXPECT_TRUE(shard_->columns().Heard(layout_.halo_first[2] + 3, 141)) << "a tab speaks rarely";
  Run(61 + 80, {1});
  EXPECT_FALSE(shard_->columns().Heard(layout_.halo_first[2] + 3, 142));
  remotes_.Restart();
  Run(195, {1});
  EXPECT_FALSE(shard_->apart()) << "it is still a tab after the server node has started again";
  remotes_.SetFarEnd(2, /*counts=*/true, 0);
  Run(200, {1});
  EXPECT_TRUE(shard_->apart()) << "a server node took the link";
}

// Or replicas that enter meanwhile would hear liars only, who spoke last: phase2-closed with seeds 6, 11, 20 and 41.
TEST_F(MeetTest, WhatWhoIsMissingSaidIsForgottenAtOnce) {
  Run(10, {1, 2});
  Hear(1, 3, 10, 11);
  Hear(2, 3, 10, 22);
  const std::uint32_t row = layout_.halo_first[1] + 3;
  Run(10 + kMissingCycles, {2});
  EXPECT_TRUE(shard_->columns().Heard(row, 11 + kMissingCycles));
  Run(11 + kMissingCycles, {2});
  EXPECT_FALSE(shard_->columns().Heard(row, 11 + kMissingCycles));
  EXPECT_TRUE(shard_->columns().Heard(layout_.halo_first[2] + 3, 11 + kMissingCycles));
  Hear(1, 3, 12 + kMissingCycles, 11);
  EXPECT_TRUE(shard_->columns().Heard(row, 13 + kMissingCycles));
}

}  // namespace
}  // namespace lvs::hosting
