// Placement (SPEC-5.4, SPEC-14 partial shard storage): rendezvous hashing.
#include "shard/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace lvs::shard {
namespace {

std::vector<std::uint32_t> Held(std::uint64_t session, std::uint32_t shards, std::uint32_t held) {
  std::vector<std::uint32_t> out = {99, 99};  // earlier content is replaced
  PlaceMicroNode(session, shards, held, &out);
  return out;
}

TEST(Placement, Spec14EachMicroNodeHoldsItsShareAndNoMore) {
  for (const auto& [shards, held] : {std::pair{16u, 4u}, {64u, 1u}, {5u, 5u}, {1u, 1u}, {8u, 0u}}) {
    for (std::uint64_t node = 0; node < 200; ++node) {
      const std::vector<std::uint32_t> mine = Held(Mix(node), shards, held);
      ASSERT_EQ(mine.size(), held);
      EXPECT_EQ(std::set<std::uint32_t>(mine.begin(), mine.end()).size(), held) << "a shard twice";
      for (const std::uint32_t shard : mine) EXPECT_LT(shard, shards);
      // By falling weight, and none that is left out weighs more.
      for (std::size_t n = 1; n < mine.size(); ++n) {
        EXPECT_GT(RendezvousWeight(Mix(node), mine[n - 1]), RendezvousWeight(Mix(node), mine[n]));
      }
      for (std::uint32_t shard = 0; shard < shards && held > 0; ++shard) {
        if (std::find(mine.begin(), mine.end(), shard) != mine.end()) continue;
        EXPECT_LT(RendezvousWeight(Mix(node), shard), RendezvousWeight(Mix(node), mine.back()));
      }
    }
  }
}

TEST(Placement, Spec5_4ShardsAreHeldByAboutAsManyEach) {
  constexpr std::uint32_t kShards = 32, kHeld = 4, kNodes = 16'000;
  // Also for sessions that are mere numbers, not hashes.
  for (const bool hashed : {true, false}) {
    std::vector<double> holders(kShards, 0);
    for (std::uint64_t node = 1; node <= kNodes; ++node) {
      for (const std::uint32_t shard : Held(hashed ? Mix(node) : node, kShards, kHeld)) ++holders[shard];
    }
    const double mean = kNodes * kHeld / static_cast<double>(kShards);
    double chi = 0;
    for (const double n : holders) chi += (n - mean) * (n - mean) / mean;
    EXPECT_LT(chi, 85) << "chi-square of 31 degrees: once in 10^6";
    EXPECT_GT(chi, 6) << "too even";
  }
}

TEST(Placement, Spec5_4ADepartureMovesNothingOfOthers) {
  // A micro-node's placement is a function of itself and of the shards. One shard more takes from a node at most one of
  // those that it held, and only for the new one.
  std::size_t moved = 0;
  for (std::uint64_t node = 0; node < 2000; ++node) {
    const std::vector<std::uint32_t> before = Held(Mix(node), 16, 4);
    EXPECT_EQ(Held(Mix(node), 16, 4), before);
    std::vector<std::uint32_t> after = Held(Mix(node), 17, 4);
    const auto added = std::find(after.begin(), after.end(), 16u);
    if (added == after.end()) {
      EXPECT_EQ(after, before);
      continue;
    }
    ++moved;
    after.erase(added);
    EXPECT_EQ(after, std::vector<std::uint32_t>(before.begin(), before.end() - 1));
  }
  EXPECT_NEAR(moved, 2000.0 * 4 / 17, 5 * std::sqrt(2000.0 * 4 / 17));
}

TEST(Placement, Arch4RepairerIsTheSameForEverybodyAndFair) {
  std::vector<std::uint64_t> candidates;
  for (std::uint64_t n = 0; n < 20; ++n) candidates.push_back(Mix(n + 500));
  std::vector<int> chosen(candidates.size(), 0);
  const auto repairer = [](std::uint32_t shard, const std::vector<std::uint64_t>& of) {
    return ChooseRepairers(shard, of, 1).at(0);
  };
  for (std::uint32_t shard = 0; shard < 4000; ++shard) {
    const std::size_t best = repairer(shard, candidates);
    ++chosen[best];
    // The order of the candidates does not matter.
    std::vector<std::uint64_t> turned(candidates.rbegin(), candidates.rend());
    EXPECT_EQ(turned[repairer(shard, turned)], candidates[best]);
    // The choice stands when another candidate goes, and falls on the next when the chosen one goes.
    std::vector<std::uint64_t> without = candidates;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(best == 0 ? 1 : 0));
    EXPECT_EQ(without[repairer(shard, without)], candidates[best]);
    without = candidates;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(best));
    EXPECT_LT(RendezvousWeight(without[repairer(shard, without)], shard), RendezvousWeight(candidates[best], shard));
  }
  for (const int n : chosen) EXPECT_NEAR(n, 200, 70);
  EXPECT_EQ(repairer(3, {42}), 0u);
}

TEST(Placement, SeveralRepairersAreThoseThatWouldBeChosenOneAfterTheOther) {
  std::vector<std::uint64_t> candidates;
  for (std::uint64_t n = 0; n < 20; ++n) candidates.push_back(Mix(n + 900));
  candidates.push_back(candidates[4]);  // an equal weight
  for (std::uint32_t shard = 0; shard < 50; ++shard) {
    std::vector<std::uint64_t> left = candidates;
    for (const std::size_t position : ChooseRepairers(shard, candidates, candidates.size())) {
      const std::size_t next = ChooseRepairers(shard, left, 1).at(0);
      EXPECT_EQ(candidates[position], left[next]);
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(next));
    }
    EXPECT_TRUE(left.empty());
  }
  EXPECT_EQ(ChooseRepairers(3, candidates, 99).size(), candidates.size());
  EXPECT_TRUE(ChooseRepairers(3, {}, 2).empty());
}

}  // namespace
}  // namespace lvs::shard
