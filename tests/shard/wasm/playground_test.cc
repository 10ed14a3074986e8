// The playground's network: what a visitor does to it has the effect that the page tells of, and a link repeats it.
#include "shard/wasm/playground.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace lvs::playground {
namespace {

using Kind = Action::Kind;
using hosting::Attack;

constexpr std::int64_t kVu = 1'000'000;
constexpr double kOpeningVu = 1200;
constexpr std::uint32_t kRegions = 3;

// Steps until `over` holds; the cycles that took, at most `most`.
template <class F>
int StepUntil(Playground* playground, int most, F over) {
  for (int cycles = 0; cycles < most; ++cycles) {
    if (over()) return cycles;
    playground->Step();
  }
  return most;
}

void Steps(Playground* playground, int cycles) {
  StepUntil(playground, cycles, [] { return false; });
}

int CountOf(const Playground& playground, PointKind kind, int region = -1) {
  int count = 0;
  for (std::uint32_t slot = 0; slot < playground.slots(); ++slot) {
    const bool here = region < 0 || playground.points().region[slot] == region;
    count += here && playground.points().kind[slot] == static_cast<std::uint8_t>(kind) ? 1 : 0;
  }
  return count;
}

class Test8_Playground : public ::testing::Test {
 protected:
  bool Agreed() const { return network_.figures().spread < 1e-6; }
  bool AllKnow() const { return network_.figures().knowing == network_.figures().honest; }
  void Agree() {
    ASSERT_LT(StepUntil(&network_, 60, [this] { return Agreed(); }), 60);
  }

  Playground network_{{.seed = 21, .regions = kRegions, .micro_nodes = 240}};
};

TEST_F(Test8_Playground, StartsApartAndAgrees) {
  EXPECT_NEAR(network_.figures().spread, 1, 0.1);
  EXPECT_EQ(CountOf(network_, PointKind::kMember), 240);
  Agree();
  EXPECT_EQ(network_.figures().total_vu, kOpeningVu);
  for (std::uint32_t region = 0; region < kRegions; ++region)
    EXPECT_EQ(CountOf(network_, PointKind::kMember, region), 80);
}

TEST_F(Test8_Playground, TheSameActionsGiveTheSameHashes) {
  const auto run = [](std::uint64_t seed, std::int64_t amount) {
    Playground network({.seed = seed, .regions = kRegions, .micro_nodes = 120});
    std::vector<std::uint64_t> hashes;
    for (int cycle = 0; cycle < 60; ++cycle) {
      if (cycle == 10) network.Do({Kind::kContribute, amount});
      if (cycle == 20) network.Do({Kind::kAttack, static_cast<std::int64_t>(Attack::kNoise), 200});
      if (cycle == 25) network.Do({Kind::kKill, 1});
      if (cycle == 35) network.Do({Kind::kStart, 1});
      if (cycle == 40) network.Do({Kind::kChurn, 30});
      network.Step();
      hashes.push_back(network.StateHash());
    }
    return hashes;
  };
  const std::vector<std::uint64_t> hashes = run(7, 5 * kVu);
  EXPECT_EQ(hashes, run(7, 5 * kVu));
  EXPECT_NE(hashes, run(8, 5 * kVu));
  const std::vector<std::uint64_t> other = run(7, 6 * kVu);
  EXPECT_TRUE(std::equal(hashes.begin(), hashes.begin() + 10, other.begin()));
  EXPECT_NE(hashes[10], other[10]);
}

TEST_F(Test8_Playground, AContributionReachesEverybody) {
  Agree();
  ASSERT_TRUE(network_.Do({Kind::kContribute, 5 * kVu}));
  network_.Step();
  EXPECT_EQ(network_.figures().answer, 1);
  EXPECT_EQ(network_.figures().total_vu, kOpeningVu + 5);
  EXPECT_LT(network_.figures().knowing, network_.figures().honest);
  EXPECT_LT(StepUntil(&network_, 40, [this] { return AllKnow(); }), 40);
  EXPECT_EQ(network_.figures().mine_vu, 5);
}

TEST_F(Test8_Playground, AContributionBeyondWhatASessionMayHaveEarnedIsRefused) {
  ASSERT_TRUE(network_.Do({Kind::kContribute, 100'000 * kVu}));
  network_.Step();
  EXPECT_EQ(network_.figures().answer, 2 + static_cast<double>(vaultguard::Refusal::kRateExceeded));
  EXPECT_EQ(network_.figures().mine_vu, 0);
  EXPECT_EQ(network_.figures().total_vu, kOpeningVu);
  // A refused amount does not count towards the next one.
  ASSERT_TRUE(network_.Do({Kind::kContribute, kVu}));
  network_.Step();
  EXPECT_EQ(network_.figures().mine_vu, 1);
  EXPECT_EQ(network_.figures().answers, 2);
}

TEST_F(Test8_Playground, BothSidesOfACutGoOnAndHealLosesNothing) {
  Agree();
  network_.Do({Kind::kCut, 0b001});
  network_.Do({Kind::kContribute, 7 * kVu});
  Steps(&network_, 60);
  EXPECT_EQ(network_.figures().region_vu[0], kOpeningVu + 7);
  EXPECT_EQ(network_.figures().region_vu[1], kOpeningVu);
  EXPECT_EQ(network_.figures().knowing, 80);
  network_.Do({Kind::kCut, 0});
  EXPECT_LT(StepUntil(&network_, 60, [this] { return AllKnow() && Agreed(); }), 60);
  EXPECT_EQ(network_.figures().region_vu[2], kOpeningVu + 7);
}

TEST_F(Test8_Playground, ARegionThatDiedGetsEverythingBackFromTheOthers) {
  Agree();
  network_.Do({Kind::kContribute, 7 * kVu});
  StepUntil(&network_, 40, [this] { return AllKnow(); });
  network_.Do({Kind::kKill, 0});
  network_.Step();
  EXPECT_EQ(network_.figures().regions_up, 2);
  EXPECT_EQ(CountOf(network_, PointKind::kGone, 0), 80);
  EXPECT_EQ(CountOf(network_, PointKind::kMember), 160);
  EXPECT_EQ(network_.figures().total_vu, kOpeningVu + 7);
  // The visitor waits in the dead region, and another one takes the contribution.
  EXPECT_EQ(network_.points().region[static_cast<std::size_t>(network_.figures().me)], 0);
  network_.Do({Kind::kContribute, kVu});
  network_.Step();
  EXPECT_EQ(network_.figures().mine_vu, 8);

  network_.Do({Kind::kStart, 0});
  network_.Step();
  EXPECT_EQ(CountOf(network_, PointKind::kGone, 0), 80) << "it enters once it has the ledger";
  EXPECT_LT(StepUntil(&network_, 60, [this] { return CountOf(network_, PointKind::kMember) == 240 && AllKnow(); }), 60);
  EXPECT_EQ(network_.figures().region_vu[0], kOpeningVu + 8);
}

TEST_F(Test8_Playground, WhenTheLastRegionDiesEverythingIsGone) {
  Agree();
  for (std::int64_t region = 0; region < kRegions; ++region) network_.Do({Kind::kKill, region});
  network_.Do({Kind::kContribute, kVu});
  network_.Step();
  EXPECT_EQ(network_.figures().regions_up, 0);
  EXPECT_EQ(network_.figures().honest, 0);
  EXPECT_EQ(network_.figures().total_vu, 0);
  EXPECT_EQ(network_.figures().answer, 2 + static_cast<double>(vaultguard::Refusal::kUnknownShard));
  for (std::int64_t region = 0; region < kRegions; ++region) network_.Do({Kind::kStart, region});
  EXPECT_LT(StepUntil(&network_, 100, [this] { return CountOf(network_, PointKind::kMember) == 240; }), 100);
  EXPECT_EQ(network_.figures().total_vu, 0);
  Agree();
}

TEST_F(Test8_Playground, ThreeInTenLieAndTheOthersAgreeOnTheTruth) {
  Agree();
  network_.Do({Kind::kAttack, static_cast<std::int64_t>(Attack::kStubborn), 300});
  Steps(&network_, 40);
  EXPECT_NEAR(network_.figures().liars, 72, 3);
  EXPECT_EQ(network_.figures().honest, 240 - network_.figures().liars);
  EXPECT_TRUE(Agreed());
  EXPECT_LT(network_.figures().value_error, 1e-3);
  network_.Do({Kind::kAttack, static_cast<std::int64_t>(Attack::kNone), 0});
  network_.Step();
  EXPECT_EQ(network_.figures().liars, 0);
  EXPECT_LT(StepUntil(&network_, 100, [this] { return Agreed(); }), 100);
}

TEST_F(Test8_Playground, SaysHowFarLiarsCarriedTheCrowd) {
  Agree();
  EXPECT_EQ(network_.figures().lies_since, -1);
  EXPECT_EQ(network_.figures().carried, 0);
  network_.Do({Kind::kAttack, static_cast<std::int64_t>(Attack::kRangeEdge), 450});
  const auto since = static_cast<double>(network_.cycle());
  const auto me = static_cast<std::size_t>(network_.figures().me);
  const float before_x = network_.points().x[me];
  const float before_y = network_.points().y[me];
  for (int cycle = 0; cycle < 60; ++cycle) {
    if (cycle == 5) network_.Do({Kind::kScatter});
    network_.Step();
  }
  Agree();
  const auto now = static_cast<std::size_t>(network_.figures().me);
  EXPECT_EQ(network_.figures().lies_since, since);
  EXPECT_NEAR(network_.figures().carried,
              std::hypot(network_.points().x[now] - before_x, network_.points().y[now] - before_y), 0.01);
  EXPECT_GT(network_.figures().carried, 1);
}

TEST_F(Test8_Playground, OneAttackTakesThePlaceOfTheOther) {
  network_.Do({Kind::kAttack, static_cast<std::int64_t>(Attack::kStubborn), 500});
  Steps(&network_, 3);
  network_.Do({Kind::kAttack, static_cast<std::int64_t>(Attack::kDrain), 100});
  network_.Step();
  EXPECT_NEAR(network_.figures().liars, 24, 3);
}

TEST_F(Test8_Playground, EveryAttackGivesNumbersThatCanBeDrawn) {
  for (std::int64_t attack = 1; attack < static_cast<std::int64_t>(hosting::kAttacks); ++attack) {
    SCOPED_TRACE(attack);
    Playground network({.seed = 3, .regions = kRegions, .micro_nodes = 60});
    ASSERT_TRUE(network.Do({Kind::kAttack, attack, 400}));
    Steps(&network, 12);
    EXPECT_GT(network.figures().liars, 0);
    for (std::uint32_t slot = 0; slot < network.slots(); ++slot) {
      EXPECT_TRUE(std::isfinite(network.points().x[slot]) && std::isfinite(network.points().y[slot])) << slot;
      EXPECT_GE(network.points().trust[slot], 0);
      EXPECT_LE(network.points().trust[slot], 1.001f);
    }
    EXPECT_EQ(network.figures().claims_refused > 0, attack == static_cast<std::int64_t>(Attack::kForgedLedger));
    EXPECT_EQ(network.figures().total_vu, kOpeningVu);
  }
}

TEST_F(Test8_Playground, WhoIsThrownOutComesHomeAlone) {
  Agree();
  const auto me = static_cast<std::size_t>(network_.figures().me);
  const std::vector<float> before = network_.points().x;
  network_.Do({Kind::kThrow});
  network_.Step();
  for (std::uint32_t slot = 0; slot < network_.slots(); ++slot) {
    EXPECT_EQ(std::abs(network_.points().x[slot] - before[slot]) > 1e-3f, slot == me) << slot;
  }
  EXPECT_LT(StepUntil(&network_, 30, [this] { return Agreed(); }), 30);
}

TEST_F(Test8_Playground, ScatterThrowsEverybody) {
  Agree();
  network_.Do({Kind::kScatter});
  network_.Step();
  EXPECT_GT(network_.figures().spread, 0.1);
  Agree();
}

TEST_F(Test8_Playground, ChurnFillsTheSameSlotsWithNewcomers) {
  Agree();
  network_.Do({Kind::kChurn, 100});
  Steps(&network_, 30);
  EXPECT_EQ(network_.slots(), 240u);
  EXPECT_EQ(CountOf(network_, PointKind::kMember), 240);
  EXPECT_NEAR(network_.figures().entered, 30 * 24, 30 * 6);
  EXPECT_EQ(network_.figures().entered, network_.figures().left);
  EXPECT_GT(std::count(network_.points().age.begin(), network_.points().age.end(), 0u), 10);
  EXPECT_EQ(network_.figures().total_vu, kOpeningVu);
  network_.Do({Kind::kChurn, 0});
  Agree();
}

TEST_F(Test8_Playground, TheVisitorIsAlwaysAnHonestMicroNode) {
  network_.Do({Kind::kChurn, 200});
  network_.Do({Kind::kAttack, static_cast<std::int64_t>(Attack::kNoise), 500});
  for (int cycle = 0; cycle < 60; ++cycle) {
    network_.Step();
    const auto me = static_cast<std::size_t>(network_.figures().me);
    EXPECT_EQ(network_.points().kind[me], static_cast<std::uint8_t>(PointKind::kMember));
    EXPECT_EQ(network_.points().region[me], 0);
  }
}

TEST_F(Test8_Playground, NeighboursArePointsOfThePicture) {
  Steps(&network_, 20);
  int beyond = 0;
  for (std::uint32_t slot = 0; slot < network_.slots(); ++slot) {
    for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
      const std::uint32_t to = network_.links().to[slot * kPeers + peer];
      if (to == kNoSlot) continue;
      ASSERT_LT(to, network_.slots());
      EXPECT_NE(to, slot);
      beyond += network_.points().region[to] != network_.points().region[slot] ? 1 : 0;
    }
  }
  // Two thirds of the population are beyond the own region.
  EXPECT_NEAR(beyond, 240 * 8 * 2 / 3, 240);
}

TEST_F(Test8_Playground, LossSlowsNothingForGood) {
  network_.Do({Kind::kLoss, 500});
  Agree();
  EXPECT_GT(network_.figures().lost, 0);
  network_.Do({Kind::kContribute, kVu});
  network_.Step();
  EXPECT_LT(StepUntil(&network_, 120, [this] { return AllKnow(); }), 120);
}

TEST_F(Test8_Playground, NumbersThatMeanNothingChangeNothing) {
  const std::vector<Action> wrong = {
      {Kind::kContribute, 0},
      {Kind::kContribute, -1},
      {Kind::kContribute, kContributionUvuMax + 1},
      {Kind::kCut, 8},
      {Kind::kCut, -1},
      {Kind::kLoss, 1001},
      {Kind::kAttack, 16, 100},
      {Kind::kAttack, 1, -1},
      {Kind::kKill, 3},
      {Kind::kStart, -1},
      {Kind::kChurn, 1001},
      {Kind::kCount},
      {static_cast<Kind>(200), 1},
  };
  for (const Action& action : wrong) EXPECT_FALSE(network_.Do(action)) << static_cast<int>(action.kind);
  Playground untouched({.seed = 21, .regions = kRegions, .micro_nodes = 240});
  Steps(&network_, 5);
  Steps(&untouched, 5);
  EXPECT_EQ(network_.StateHash(), untouched.StateHash());
}

TEST(Test8_PlaygroundSizes, AreMovedIntoTheirBounds) {
  Playground none({.seed = 1, .regions = 0, .micro_nodes = 0});
  EXPECT_EQ(none.regions(), 1u);
  EXPECT_EQ(none.slots(), 8u);
  Playground many({.seed = 1, .regions = 99, .micro_nodes = 100});
  EXPECT_EQ(many.regions(), kRegionsMax);
  EXPECT_EQ(many.slots(), 100u);
  for (Playground* network : {&none, &many}) {
    Steps(network, 20);
    EXPECT_GT(network->figures().honest, 0);
  }
}

}  // namespace
}  // namespace lvs::playground
