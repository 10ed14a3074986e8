#include "shard/hosting/ambassadors.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <memory>
#include <set>
#include <vector>

namespace lvs::hosting {
namespace {

constexpr std::uint64_t kNoRefresh = 1;  // a cycle in which shard 0 does not refresh its halo rows

class AmbassadorsTest : public ::testing::Test {
 protected:
  explicit AmbassadorsTest(std::uint32_t replicas = 200) {
    shard::StateShardConfig config;
    config.seed = 3;
    config.halo_rows = 16;
    shard_ = std::make_unique<shard::StateShard>(config);
    shard_->Start(replicas, 0);
  }

  // The frame's rows, by the number of the ambassador: when it published.
  std::map<std::uint32_t, std::uint32_t> Told(const Ambassadors& ambassadors, std::uint64_t cycle,
                                              std::uint64_t since_cycle, bool everybody) {
    frame_ = {};
    ambassadors.Tell(*shard_, cycle, since_cycle, everybody || ambassadors.Refreshes(cycle), &frame_);
    std::map<std::uint32_t, std::uint32_t> told;
    for (std::size_t n = 0; n < frame_.halo_row.size(); ++n) told[frame_.halo_row[n]] = frame_.published_cycle[n];
    return told;
  }
  void Publish(std::uint64_t cycle) {
    const float state[4] = {1, 2, 3, static_cast<float>(cycle)};
    for (std::uint32_t row = shard_->first_row(); row < shard_->columns().end; ++row) {
      if (shard_->columns().Alive(row)) shard_->OverwriteSaid(row, state, shard::Meta(cycle, 200), 7);
    }
  }

  std::unique_ptr<shard::StateShard> shard_;
  shard::Frame frame_;
};

TEST_F(AmbassadorsTest, TellsWhatWasPublishedSinceTheLastTime) {
  Ambassadors ambassadors({.wanted = 32, .shard = 0, .seed = 9});
  ambassadors.Renew(*shard_, kNoRefresh);
  EXPECT_EQ(ambassadors.size(), 32u);
  Publish(10);
  EXPECT_EQ(Told(ambassadors, 11, /*since_cycle=*/9, false).size(), 32u);
  EXPECT_EQ(Told(ambassadors, 11, /*since_cycle=*/9, false).at(31), 10u);
  EXPECT_EQ(frame_.drift_weight[0], 200);
  EXPECT_EQ(frame_.entropy[0], 7u);
  EXPECT_EQ(frame_.diff[3], 10);
  EXPECT_TRUE(Told(ambassadors, 11, /*since_cycle=*/10, false).empty());
  EXPECT_EQ(Told(ambassadors, 11, /*since_cycle=*/10, true).size(), 32u) << "everybody is asked for";
}

TEST_F(AmbassadorsTest, EverybodyIsToldNowAndThenForWhoLostAFrame) {
  for (const std::uint32_t shard : {0u, 7u, 123u}) {
    Ambassadors ambassadors({.wanted = 32, .shard = shard, .seed = 9});
    ambassadors.Renew(*shard_, kNoRefresh);
    Publish(10);
    int times = 0;
    for (std::uint64_t cycle = 11; cycle < 111; ++cycle) {
      times += Told(ambassadors, cycle, cycle - 1, false).size() == 32 ? 1 : 0;
    }
    EXPECT_EQ(times, 2) << "every 50 cycles, shard " << shard;
  }
}

TEST_F(AmbassadorsTest, ASuccessorTakesTheNumberOfTheOneThatLeft) {
  Ambassadors ambassadors({.wanted = 32, .shard = 0, .seed = 9});
  ambassadors.Renew(*shard_, kNoRefresh);
  for (std::uint32_t row = shard_->first_row(); row < shard_->first_row() + 100; ++row) shard_->Leave(row);
  Publish(10);
  const auto before = Told(ambassadors, 11, 9, false);
  EXPECT_LT(before.size(), 32u) << "those that left have no voice";
  EXPECT_GT(before.size(), 5u);
  ambassadors.Renew(*shard_, 12);
  const auto after = Told(ambassadors, 12, 9, false);
  EXPECT_EQ(after.size(), 32u);
}

TEST_F(AmbassadorsTest, TheSameSeedAndCycleChooseTheSame) {
  const auto voice = [&](std::uint64_t seed) {
    Ambassadors ambassadors({.wanted = 32, .shard = 0, .seed = seed});
    ambassadors.Renew(*shard_, kNoRefresh);
    // Each replica says its own row.
    for (std::uint32_t row = shard_->first_row(); row < shard_->columns().end; ++row) {
      const float state[4] = {static_cast<float>(row), 0, 0, 0};
      shard_->OverwriteSaid(row, state, shard::Meta(10, 255), 0);
    }
    Told(ambassadors, 11, 9, false);
    std::vector<float> rows;
    for (std::size_t n = 0; n < frame_.halo_row.size(); ++n) rows.push_back(frame_.diff[4 * n]);
    EXPECT_EQ(std::set<float>(rows.begin(), rows.end()).size(), 32u) << "nobody speaks twice";
    return rows;
  };
  EXPECT_EQ(voice(9), voice(9));
  EXPECT_NE(voice(9), voice(10));
}

TEST_F(AmbassadorsTest, NonsenseIsNotTold) {
  Ambassadors ambassadors({.wanted = 200, .shard = 0, .seed = 9});
  ambassadors.Renew(*shard_, kNoRefresh);
  Publish(10);
  const float nonsense[4] = {1, 2, std::numeric_limits<float>::quiet_NaN(), 4};
  shard_->OverwriteSaid(shard_->first_row(), nonsense, shard::Meta(10, 255), 7);
  const std::size_t told = Told(ambassadors, 11, 9, false).size();
  shard_->OverwriteSaid(shard_->first_row() + 1, nonsense, shard::Meta(10, 255), 7);
  EXPECT_LE(Told(ambassadors, 11, 9, false).size(), told);
  for (const float number : frame_.diff) EXPECT_LE(number, 10);
}

class FewReplicasTest : public AmbassadorsTest {
 protected:
  FewReplicasTest() : AmbassadorsTest(5) {}
};

TEST_F(FewReplicasTest, AllOfThemSpeakAndMoreOnceThereAreMore) {
  Ambassadors ambassadors({.wanted = 16, .shard = 0, .seed = 9});
  ambassadors.Renew(*shard_, kNoRefresh);
  EXPECT_EQ(ambassadors.size(), 5u);
  Publish(10);
  EXPECT_EQ(Told(ambassadors, 11, 9, false).size(), 5u);
  for (std::uint32_t n = 0; n < 4; ++n) shard_->Join(shard_->first_row() + 5 + n, 12);
  ambassadors.Renew(*shard_, 12);
  EXPECT_EQ(ambassadors.size(), 9u);
  Publish(12);
  EXPECT_EQ(Told(ambassadors, 13, 11, false).size(), 9u);
}

}  // namespace
}  // namespace lvs::hosting
