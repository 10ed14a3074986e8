// The behaviour of one shard's replicas, requirement by requirement: each effect that scenarios combine is tested alone
// here.
#include "shard/state_shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "shard/simd_target.h"
#include "tests/shard/drift_reference.h"
#include "tests/shard/generator.h"

namespace lvs::shard {
namespace {

using vaultguard::Clamp;
using vaultguard::kMicroPerVu;
using vaultguard::Refusal;

constexpr std::int64_t kOpening = 1000 * kMicroPerVu;

StateShardConfig Config(std::uint64_t seed = 1) {
  StateShardConfig config;
  config.shard = 3;
  config.seed = seed;
  return config;
}

// Publishes in place of an adversary, after each cycle.
using Lie = std::function<void(std::uint32_t row, std::uint64_t cycle, float* say)>;

// A shard that is advanced cycle by cycle, with its adversaries.
class LiveShard {
 public:
  explicit LiveShard(const StateShardConfig& config, std::uint32_t n, std::int64_t opening = kOpening)
      : shard_(config) {
    shard_.Start(n, opening);
  }

  // Makes `n` rows lie: the first ones, or every `apart`-th row.
  void SetLiars(std::uint32_t n, Lie lie, std::uint32_t apart = 1) {
    lie_ = std::move(lie);
    for (std::uint32_t i = 0; i < n; ++i) {
      liars_.push_back(shard_.first_row() + i * apart);
      shard_.SetFlag(liars_.back(), kAdversary, true);
    }
    Speak();
  }
  // Entropy word that liars send along, each cycle.
  std::uint32_t liars_word = 0;
  bool liars_send_packets = false;

  CycleCounts Cycle(double loss = 0) {
    CycleCounts counts;
    shard_.Advance(++cycle_, loss, &counts);
    Speak();
    return counts;
  }
  CycleCounts Cycles(int n, double loss = 0) {
    CycleCounts sum;
    for (int i = 0; i < n; ++i) {
      const CycleCounts counts = Cycle(loss);
      sum.step.published += counts.step.published;
      sum.step.packets += counts.step.packets;
      sum.step.updated += counts.step.updated;
      sum.step.heard += counts.step.heard;
      sum.step.refused += counts.step.refused;
      for (std::size_t c = 0; c < vaultguard::kClamps; ++c) sum.step.clamped[c] += counts.step.clamped[c];
      sum.redundancy_syncs += counts.redundancy_syncs;
      sum.fallback_links += counts.fallback_links;
      sum.sent += counts.sent;
    }
    return sum;
  }

  StateShard& shard() { return shard_; }
  std::uint64_t cycle() const { return cycle_; }
  float State(std::uint32_t row, int c) const {
    return shard_.columns().state[static_cast<std::size_t>(c) * shard_.columns().stride + row];
  }
  std::uint32_t Neighbour(std::uint32_t row, int s) const {
    return NeighbourOf(shard_.columns().link[static_cast<std::size_t>(s) * shard_.columns().stride + row]);
  }
  std::uint8_t Trust(std::uint32_t row, int s) const {
    return TrustOf(shard_.columns().link[static_cast<std::size_t>(s) * shard_.columns().stride + row]);
  }
  bool Alive(std::uint32_t row) const {
    return row < shard_.columns().end && (shard_.columns().flags[row] & kAlive) != 0;
  }
  std::vector<std::uint32_t> Honest() const {
    std::vector<std::uint32_t> rows;
    for (std::uint32_t row = shard_.first_row(); row < shard_.columns().end; ++row) {
      if ((shard_.columns().flags[row] & (kAlive | kAdversary)) == kAlive) rows.push_back(row);
    }
    return rows;
  }

  Measure Now() const {
    Measure measure;
    shard_.MeasureHonest(&measure);
    return measure;
  }
  // Root mean square disagreement of honest replicas, of the value slots or of the free coordinates.
  double Spread(bool value) const {
    const Measure m = Now();
    double m2 = 0;
    for (int c = 0; c < shard_.config().shape.dimensions(); ++c) {
      if ((c < shard_.config().shape.value_slots) == value) m2 += m.moments[static_cast<std::size_t>(c)].m2;
    }
    return std::sqrt(m2 / m.moments[0].count);
  }
  double WorstRelative() const {
    return Now().worst_value_vu / (static_cast<double>(shard_.ledger().total_uvu(0)) / kMicroPerVu);
  }

 private:
  void Speak() {
    for (const std::uint32_t row : liars_) {
      if (!Alive(row)) continue;
      float say[vaultguard::kMaxDimensions];
      std::copy_n(shard_.said(row), shard_.config().shape.dimensions(), say);
      lie_(row, cycle_, say);
      shard_.OverwriteSaid(row, say, Meta(cycle_, 255) | (liars_send_packets ? kMetaPacket : 0), liars_word);
    }
  }

  StateShard shard_;
  std::uint64_t cycle_ = 0;
  std::vector<std::uint32_t> liars_;
  Lie lie_;
};

// Always the same state, far from all others.
Lie Stubborn(float value, float coordinate) {
  return [=](std::uint32_t, std::uint64_t, float* say) {
    say[0] = say[1] = value;
    say[2] = say[3] = coordinate;
  };
}
// The lowest possible value: pulls value out of the shard.
Lie Drain() { return Stubborn(-1e9f, 100); }
Lie Noise() {
  return [](std::uint32_t row, std::uint64_t cycle, float* say) {
    Generator g(row * 1000ull + cycle);
    for (int c = 0; c < 4; ++c) say[c] = g.Around(1000);
  };
}

LedgerEntry Contribution(std::uint64_t session, std::int64_t uvu, std::uint64_t opened = 0) {
  LedgerEntry entry;
  entry.session = {Mix(session + 77), Mix(session)};
  entry.opened_cycle = opened;
  entry.amount_uvu[0] = uvu;
  return entry;
}

// ---- Convergence ----

TEST(StateShard, Spec7_3DisagreementFallsByTwoPointTwoACycle) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    LiveShard run(Config(seed), 2000);
    const double value = run.Spread(true);
    const double free = run.Spread(false);
    EXPECT_NEAR(value, 100 * std::sqrt(2.0 / 3), 5);  // uniform on +-100, two slots
    EXPECT_NEAR(free, 200 * std::sqrt(2.0 / 12), 5);
    int value_cycles = 0, free_cycles = 0;
    for (int n = 1; n <= 40; ++n) {
      run.Cycle();
      if (value_cycles == 0 && run.Spread(true) <= 1e-6 * value) value_cycles = n;
      if (free_cycles == 0 && run.Spread(false) <= 1e-6 * free) free_cycles = n;
    }
    for (const int cycles : {value_cycles, free_cycles}) {
      ASSERT_GT(cycles, 0);
      EXPECT_LE(cycles, 18);
      EXPECT_GE(std::pow(1e6, 1.0 / cycles), 2.2);
    }
    // Value is at its ledger total.
    EXPECT_LT(run.WorstRelative(), 1e-6);
    EXPECT_LT(run.Now().worst_value_vu, 0.001);
  }
}

TEST(StateShard, Paper6ScatteredReplicasFindBack) {
  LiveShard run(Config(), 2000);
  for (int n = 0; n < 30; ++n) run.Cycle();
  const double value = run.Spread(true);
  EXPECT_LT(run.Spread(false), 1e-3);
  run.shard().Scatter(run.cycle());
  EXPECT_NEAR(run.Spread(false), 200 * std::sqrt(2.0 / 12), 5);
  EXPECT_EQ(run.Spread(true), value) << "values stay on the ledger";
  for (int n = 0; n < 30; ++n) run.Cycle();
  EXPECT_LT(run.Spread(false), 1e-3);
}

// Half of all messages lost, and 2 % of the replicas replaced each cycle from the first one on: replicas that leave in
// the first cycles leave last words that are far off, and are heard for 130 cycles. The remaining disagreement comes
// from them.
TEST(StateShard, Paper6DisagreementVanishesUnderLossAndChurn) {
  constexpr std::uint32_t kReplicas = 1000, kChurn = 20;
  LiveShard run(Config(), kReplicas);
  const double free = run.Spread(false);
  double halfway = 0;
  for (std::uint32_t n = 0; n < 100; ++n) {
    // The oldest replicas leave, and as many enter, each in a row that was never used before.
    for (std::uint32_t k = 0; k < kChurn; ++k) {
      run.shard().Leave(run.shard().first_row() + n * kChurn + k);
      run.shard().Join(run.shard().first_row() + kReplicas + n * kChurn + k, run.cycle());
    }
    run.Cycle(0.5);
    if (n == 49) halfway = run.Spread(false);
    ASSERT_EQ(run.shard().replicas(), kReplicas);
  }
  EXPECT_LT(run.Spread(false), 1e-4 * free);
  EXPECT_LT(run.Spread(false), 0.3 * halfway) << "it goes on falling";
  EXPECT_LT(run.WorstRelative(), 1e-6);
  // The same without churn.
  LiveShard calm(Config(), kReplicas);
  calm.Cycles(100, 0.5);
  EXPECT_LT(calm.Spread(false), 1e-6 * free);
  EXPECT_LT(calm.WorstRelative(), 1e-6);
}

TEST(StateShard, Paper4_3AverageKeepsTheMeanOfFreeCoordinates) {
  LiveShard run(Config(), 2000);
  const double before = run.Now().moments[2].mean;
  run.Cycles(40);
  EXPECT_NEAR(run.Now().moments[2].mean, before, 1.0);  // 0.5 % of the range
}

TEST(StateShard, Spec11_5OneReplicaIsEnough) {
  LiveShard run(Config(), 1);
  const float x = run.State(run.shard().first_row(), 2);
  run.shard().Contribute(Contribution(1, 5 * kMicroPerVu), 1);
  run.Cycles(200);
  EXPECT_EQ(run.shard().replicas(), 1u);
  EXPECT_NEAR(run.State(run.shard().first_row(), 2), x, 1e-3);
  EXPECT_LT(run.Now().worst_value_vu, 1e-5);
  EXPECT_EQ(run.Now().behind_uvu, SlotAmounts{});
  // An empty shard is no error: it waits for a replica.
  run.shard().Leave(run.shard().first_row());
  run.Cycles(200);
  run.shard().Join(run.shard().first_row(), run.cycle());
  run.Cycles(3);
  EXPECT_EQ(run.Now().replicas, 1u);
  EXPECT_LT(run.Now().worst_value_vu, 1e-5);
}

// ---- What VaultGuard promises ----

TEST(StateShard, Spec8_1ValueIsNeverNegative) {
  for (const std::int64_t opening :
       {std::int64_t{0}, std::int64_t{1}, kMicroPerVu / 3, kMicroPerVu, 50 * kMicroPerVu + 7}) {
    StateShardConfig config = Config();
    config.value_spread = static_cast<float>(opening / kMicroPerVu);  // a spread that a scenario may ask for
    LiveShard run(config, 200, opening);
    const auto expect_floor = [&](std::uint64_t cycle) {
      const SlotAmounts behind = run.Now().behind_uvu;
      for (std::uint32_t row = run.shard().first_row(); row < run.shard().first_row() + 200; ++row) {
        for (int c = 0; c < 2; ++c) {
          // The smallest total of any replica's ledger.
          const double total =
              static_cast<double>(run.shard().ledger().total_uvu(c) - behind[static_cast<std::size_t>(c)]) /
              kMicroPerVu;
          ASSERT_GE(total + static_cast<double>(run.State(row, c)), 0.0)
              << "row " << row << " cycle " << cycle << " opening " << opening;
        }
      }
    };
    expect_floor(0);
    run.SetLiars(120, Drain());
    for (int n = 0; n < 60; ++n) {
      if (n == 20) run.shard().Contribute(Contribution(1, 3 * kMicroPerVu), run.cycle());
      const CycleCounts counts = run.Cycle(0.2);
      expect_floor(run.cycle());
      if (HasFatalFailure()) return;
      if (n == 0 && opening <= 1) {
        EXPECT_GT(counts.step.clamped[static_cast<std::size_t>(Clamp::kFloor)], 0u) << "nothing was at stake";
      }
    }
  }
}

TEST(StateShard, Spec11_4CorrectionIsWithinTheBoundEachCycle) {
  for (const Lie& lie : {Stubborn(500, 900), Drain(), Noise()}) {
    LiveShard run(Config(), 400);
    run.SetLiars(180, lie);
    for (int n = 0; n < 60; ++n) {
      const Columns& col = run.shard().columns();
      const std::vector<float> before(col.state, col.state + 4 * col.stride);
      run.Cycle(0.1);
      for (const std::uint32_t row : run.Honest()) {
        for (int c = 0; c < 4; ++c) {
          const float was = before[static_cast<std::size_t>(c) * col.stride + row];
          const float is = run.State(row, c);
          const float moved = std::abs(is - was);
          const float rounding = 2e-7f * std::max(std::abs(was), std::abs(is));
          const float bound = c < 2 ? col.bound_value[row] : col.bound_free[row];
          // Only the band and the floor may move a value further, and only towards its ledger.
          const bool homewards = c < 2 && std::abs(is) < std::abs(was) && is * was >= 0;
          ASSERT_TRUE(moved <= bound + rounding || homewards)
              << "row " << row << " slot " << c << " moved " << moved << " of " << bound;
        }
      }
    }
  }
}

// drift.md rule 4 and drift2.md: the bound remembers. In one cycle the bound falls to no less than 0.3 of itself, and
// grows by no more than a factor of 1.05; that of the free coordinates may also grow to the slow bound, which narrows by
// no more than a factor of 0.97.
TEST(StateShard, Test7BoundAdaptsAndRemembers) {
  LiveShard run(Config(), 400);
  run.SetLiars(100, Noise());
  for (int n = 0; n < 80; ++n) {
    const Columns& col = run.shard().columns();
    const std::vector<float> value(col.bound_value, col.bound_value + col.end),
        free(col.bound_free, col.bound_free + col.end), slow(col.bound_slow, col.bound_slow + col.end);
    run.Cycle();
    for (const std::uint32_t row : run.Honest()) {
      ASSERT_LE(col.bound_value[row], std::max(1e-4f, 1.0501f * value[row]));
      ASSERT_GE(col.bound_value[row], 0.2999f * value[row]);
      ASSERT_LE(col.bound_free[row], std::max({1e-4f, 1.0501f * free[row], slow[row]}));
      ASSERT_GE(col.bound_slow[row], std::max(col.bound_free[row], 0.9699f * slow[row]));
      ASSERT_GE(col.bound_free[row], 0.2999f * free[row]);
    }
  }
}

TEST(StateShard, SlowBoundWaitsWhileAServerNodeIsMissing) {
  LiveShard run(Config(), 100);
  run.shard().SetApart(true);
  run.Cycles(200);
  const Columns& col = run.shard().columns();
  for (const std::uint32_t row : run.Honest()) {
    ASSERT_GE(col.bound_slow[row], 200.0f) << "it waits where the widest bound left it";
    ASSERT_LE(col.bound_slow[row], 200.0f * 1.0501f);
    ASSERT_LT(col.bound_free[row], 1e-3f) << "what is heard agrees all the same";
  }
  run.shard().SetApart(false);
  run.Cycles(100);
  for (const std::uint32_t row : run.Honest()) ASSERT_NEAR(col.bound_slow[row], 205 * std::pow(0.97, 100), 0.25);
  run.Cycles(400);
  for (const std::uint32_t row : run.Honest()) ASSERT_EQ(col.bound_slow[row], 1e-4f);
}

TEST(StateShard, WhoIsScatteredMayGoAnywhereAsAtTheStart) {
  LiveShard run(Config(), 100);
  run.SetLiars(20, Stubborn(500, 100));
  run.Cycles(600);
  run.shard().Scatter(run.cycle() + 1);
  const Columns& col = run.shard().columns();
  for (std::uint32_t row = run.shard().first_row(); row < run.shard().first_row() + 100; ++row) {
    ASSERT_EQ(col.bound_free[row], 200.0f) << row;
    ASSERT_EQ(col.bound_slow[row], 200.0f) << "a liar that turns honest has to follow";
  }
}

TEST(StateShard, Spec9_1SlowBoundOfAJoiner) {
  const auto slow_of_joiner = [](LiveShard* run) {
    std::uint32_t row = run->shard().first_row();
    while (run->Alive(row)) ++row;
    run->shard().Join(row, run->cycle() + 1);
    return run->shard().columns().bound_slow[row];
  };
  LiveShard run(Config(), 100);
  run.Cycles(600);
  EXPECT_LT(slow_of_joiner(&run), 1e-3f) << "that of its bound";
  // The others waited for a server node, so it waits as well.
  LiveShard apart(Config(), 100);
  apart.shard().SetApart(true);
  apart.Cycles(600);
  EXPECT_EQ(slow_of_joiner(&apart), 200.0f);
  apart.shard().SetApart(false);
  EXPECT_LT(slow_of_joiner(&apart), 1e-3f);
  apart.shard().Hurry(apart.cycle());
  EXPECT_EQ(slow_of_joiner(&apart), 200.0f) << "a server node has just come";
  // The first one here may go to any crowd that it meets, and those that enter soon after it go with it.
  LiveShard alone(Config(), 0);
  EXPECT_EQ(slow_of_joiner(&alone), 200.0f);
  alone.Cycles(20);
  EXPECT_NEAR(slow_of_joiner(&alone), 200 * std::pow(0.97, 19), 5);
  alone.Cycles(40);
  EXPECT_LT(slow_of_joiner(&alone), 1e-3f);
}

// Rule 7: a replica's value stays in the band around its own ledger even when all neighbours lie.
TEST(StateShard, Arch6_5BandHoldsWhenAllPeersLie) {
  for (const Lie& lie : {Stubborn(500, 100), Stubborn(-500, 100), Drain(), Noise()}) {
    LiveShard run(Config(), 300);
    const std::uint32_t honest = run.shard().first_row() + 299;
    run.SetLiars(299, lie);
    float band = 100;
    for (int n = 0; n < 220; ++n) {
      run.Cycle();
      band = std::max(0.9f * band, 1e-6f);
      ASSERT_EQ(run.shard().columns().band[honest], band);
      for (int c = 0; c < 2; ++c) ASSERT_LE(std::abs(run.State(honest, c)), band) << n;
    }
    EXPECT_LE(run.Now().worst_value_vu, 1e-6f);
    // The replica gets what it earns, though no other replica passes it on.
    run.shard().Contribute(Contribution(1, 7 * kMicroPerVu), run.cycle());
    run.Cycles(200);
    EXPECT_EQ(run.Now().behind_uvu, SlotAmounts{});
    EXPECT_LE(run.Now().worst_value_vu, 1e-6f);
  }
}

TEST(StateShard, Arch6_5HonestValuesStandAgainst45Percent) {
  for (const Lie& lie : {Stubborn(500, 900), Drain(), Noise()}) {
    LiveShard run(Config(), 600);
    run.SetLiars(270, lie);
    run.Cycles(120);
    EXPECT_LT(run.WorstRelative(), 1e-3);
  }
}

TEST(StateShard, Test7NonsenseIsRefusedCountedAndChangesNothing) {
  constexpr float kNonsense[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                                 -std::numeric_limits<float>::infinity(), 3e38f, -2e12f};
  LiveShard run(Config(), 500);
  run.SetLiars(
      150, [&](std::uint32_t row, std::uint64_t cycle, float* say) { say[(row + cycle) % 4] = kNonsense[row % 5]; });
  const CycleCounts counts = run.Cycles(40);
  EXPECT_GT(counts.step.refused.Of(Refusal::kNotFinite), 150u * 8 * 30);
  EXPECT_EQ(counts.step.clamped[static_cast<std::size_t>(Clamp::kFinite)], 0u);
  EXPECT_LT(run.Spread(false), 1e-3);
  EXPECT_LT(run.WorstRelative(), 1e-6);
  for (const std::uint32_t row : run.Honest()) {
    for (int c = 0; c < 4; ++c) ASSERT_TRUE(std::isfinite(run.State(row, c)));
  }
}

TEST(StateShard, Spec8_2RepinBringsValueBackToTheLedger) {
  LiveShard run(Config(), 100);
  run.Cycle();
  EXPECT_GT(run.Now().worst_value_vu, 1.0);
  const float x = run.State(run.shard().first_row(), 2);
  run.shard().Repin();
  EXPECT_EQ(run.Now().worst_value_vu, 0.0);
  EXPECT_EQ(run.State(run.shard().first_row(), 2), x) << "coordinates have no ledger to go back to";
  run.Cycles(10);
  EXPECT_LT(run.Now().worst_value_vu, 2e-6) << "and the band keeps it there";
}

// ---- Entropy ----

TEST(StateShard, Spec10EntropyFloodIsRefusedAndCostsTheLink) {
  struct Flood {
    std::uint32_t word;
    Refusal why;
  };
  for (const Flood flood :
       {Flood{0x7f807f80, Refusal::kEntropySaturated}, Flood{0x10203040, Refusal::kEntropyRepeated}}) {
    LiveShard run(Config(), 500);
    run.liars_send_packets = true;
    run.liars_word = flood.word;
    // Their states are honest, so that only their entropy gives them away.
    run.SetLiars(100, [&](std::uint32_t row, std::uint64_t, float* say) {
      for (int c = 0; c < 4; ++c) say[c] = run.State(row, c);
    });
    const CycleCounts counts = run.Cycles(40);
    EXPECT_GT(counts.step.refused.Of(flood.why), 1000u);
    EXPECT_GT(counts.fallback_links, 300u) << "links to a source in a flood are given up";
    EXPECT_LT(run.Spread(false), 1e-3);
  }
}

TEST(StateShard, Spec8_3HonestReplicasAreNeverRefused) {
  LiveShard run(Config(), 2000);
  const CycleCounts counts = run.Cycles(60);
  EXPECT_GT(counts.step.packets, 2000u);
  EXPECT_EQ(counts.step.refused.Total(), 0u);
}

// ---- Trust ----

TEST(StateShard, Spec5_2TrustFallsOnLiarsAndComesBackWhenTheyStop) {
  StateShardConfig config = Config();
  config.shuffle = 0;
  LiveShard run(config, 300);
  run.Cycles(30);
  const std::uint32_t liar = run.shard().first_row();
  bool lies = true;
  run.SetLiars(1, [&](std::uint32_t row, std::uint64_t, float* say) {
    for (int c = 0; c < 4; ++c) say[c] = lies && c >= 2 ? 900.0f : run.State(row, c);
  });
  struct Link {
    std::uint32_t row;
    int slot;
  };
  std::vector<Link> links;
  for (const std::uint32_t row : run.Honest()) {
    for (int s = 0; s < 8; ++s) {
      if (run.Neighbour(row, s) == liar) links.push_back({row, s});
    }
  }
  ASSERT_EQ(links.size(), 8u);
  std::uint8_t expected = 255;
  for (int n = 0; n < 8; ++n) {  // 255 x 0.8^8 is 42: not yet dropped
    run.Cycle();
    expected = TrustAfter(expected, true);
    for (const Link& link : links) ASSERT_EQ(run.Trust(link.row, link.slot), expected) << n;
  }
  lies = false;
  run.Cycle();  // the previous publications are heard now
  expected = TrustAfter(expected, true);
  for (int n = 0; n < 60; ++n) {
    run.Cycle();
    expected = TrustAfter(expected, false);
    for (const Link& link : links) ASSERT_EQ(run.Trust(link.row, link.slot), expected) << n;
  }
  EXPECT_EQ(expected, 255);
  // No other neighbour lost any.
  for (const std::uint32_t row : run.Honest()) {
    for (int s = 0; s < 8; ++s) ASSERT_EQ(run.Trust(row, s), 255);
  }
  // A row that goes on lying is no longer heard.
  lies = true;
  run.Cycles(40);
  for (const Link& link : links) EXPECT_NE(run.Neighbour(link.row, link.slot), liar);
}

TEST(StateShard, Test10OneStubbornReplicaMovesTheMeanByLessThanAThousandth) {
  LiveShard run(Config(), 2000);
  run.Cycles(30);
  const double mean = run.Now().moments[2].mean;
  run.SetLiars(1, Stubborn(1000, 1000));
  run.Cycles(200);
  EXPECT_LT(std::abs(run.Now().moments[2].mean - mean), 0.2);  // 0.1 % of the range
}

// ---- Loss, duplicates, reordering ----

TEST(StateShard, Spec6_3NewestHaloDiffWins) {
  StateShardConfig config = Config();
  config.halo_rows = 4;
  StateShard shard(config);
  const float a[] = {1, 1, 1, 1}, b[] = {2, 2, 2, 2};
  EXPECT_TRUE(shard.SetHalo(0, 100, 255, a, 1));
  EXPECT_FALSE(shard.SetHalo(0, 100, 255, b, 2)) << "a duplicate";
  EXPECT_FALSE(shard.SetHalo(0, 99, 255, b, 2)) << "out of order";
  EXPECT_EQ(shard.said(0)[0], 1);
  EXPECT_EQ(shard.said_entropy(0), 1u);
  EXPECT_TRUE(shard.SetHalo(0, 101, 127, b, 2));
  EXPECT_EQ(shard.said(0)[3], 2);
  EXPECT_EQ(shard.said_meta(0) >> 24, 127u);
  EXPECT_FALSE(shard.SetHalo(4, 101, 255, b, 2)) << "no such row";
  EXPECT_FALSE(shard.SetHalo(~0u, 101, 255, b, 2));
  // The same across the end of the 16 bit circle.
  EXPECT_TRUE(shard.SetHalo(1, 65'530, 255, a, 1));
  EXPECT_TRUE(shard.SetHalo(1, 65'540, 255, b, 1));
  EXPECT_FALSE(shard.SetHalo(1, 65'535, 255, a, 1));
  EXPECT_EQ(shard.said(1)[0], 2);
  // A repeated entropy word is no new packet.
  EXPECT_NE(shard.said_meta(0) & kMetaPacket, 0u);
  EXPECT_EQ(shard.said_meta(1) & kMetaPacket, 0u);
}

// The order and repetition of halo diffs make no difference to any bit.
TEST(StateShard, Spec6_3ReorderedAndRepeatedDiffsGiveTheSameState) {
  StateShardConfig config = Config();
  config.halo_rows = 16;
  config.remote_share = 0.5;
  StateShard in_order(config), shuffled(config);
  in_order.Start(100, kOpening);
  shuffled.Start(100, kOpening);
  Generator g(9);
  struct Diff {
    std::uint32_t row;
    std::uint64_t cycle;
    float said[4];
  };
  for (std::uint64_t cycle = 1; cycle <= 60; ++cycle) {
    std::vector<Diff> diffs;
    for (std::uint32_t row = 0; row < 16; ++row) {
      for (std::uint64_t back = 3; back >= 1; --back) {
        if (back > cycle) continue;
        Generator one(row * 1000 + cycle - back);
        Diff diff{row, cycle - back, {}};
        for (float& x : diff.said) x = 100 + one.Around(5);
        diffs.push_back(diff);
      }
    }
    for (const Diff& diff : diffs) in_order.SetHalo(diff.row, diff.cycle, 255, diff.said, 0);
    for (int n = 0; n < 200; ++n) {
      const Diff& diff = diffs[g.Below(static_cast<std::uint32_t>(diffs.size()))];
      shuffled.SetHalo(diff.row, diff.cycle, 255, diff.said, 0);
    }
    for (std::size_t n = diffs.size(); n > 0; --n)
      shuffled.SetHalo(diffs[n - 1].row, diffs[n - 1].cycle, 255, diffs[n - 1].said, 0);
    CycleCounts counts;
    in_order.Advance(cycle, 0.1, &counts);
    shuffled.Advance(cycle, 0.1, &counts);
    ASSERT_EQ(in_order.StateHash(), shuffled.StateHash()) << cycle;
  }
  EXPECT_GT(in_order.columns().state[2 * in_order.columns().stride + 16], 50) << "the halo is heard";
}

// ---- Lifecycle ----

TEST(StateShard, Spec9_3LowPowerReplicaDriftsEveryFourthCycle) {
  LiveShard run(Config(), 64);
  const std::uint32_t first = run.shard().first_row();
  for (std::uint32_t n = 0; n < 32; ++n) run.shard().SetFlag(first + n, kLowPower, true);
  run.shard().SetFlag(first, kLowPower, true);  // again: no change
  EXPECT_EQ(run.shard().low_power(), 32u);
  std::vector<int> moved(64, 0);
  std::vector<float> before(64);
  for (int n = 0; n < 12; ++n) {
    for (std::uint32_t i = 0; i < 64; ++i) before[i] = run.State(first + i, 2);
    run.Cycle();
    for (std::uint32_t i = 0; i < 64; ++i) moved[i] += run.State(first + i, 2) != before[i];
  }
  for (std::uint32_t i = 0; i < 64; ++i) EXPECT_EQ(moved[i], i < 32 ? 3 : 12) << i;
  run.shard().SetFlag(first, kLowPower, false);
  run.shard().Leave(first + 1);
  EXPECT_EQ(run.shard().low_power(), 30u);
  // Low-power replicas keep up nevertheless, and news of the ledger reaches them.
  run.shard().Contribute(Contribution(1, 5 * kMicroPerVu), run.cycle());
  run.Cycles(80);
  EXPECT_EQ(run.Now().behind_uvu, SlotAmounts{});
  EXPECT_LT(run.Spread(false), 1e-3);
}

TEST(StateShard, Spec9_4LinksToTheDepartedAreReplaced) {
  LiveShard run(Config(), 500);
  run.Cycles(200);
  std::vector<std::uint32_t> gone;
  for (std::uint32_t n = 0; n < 100; ++n) gone.push_back(run.shard().first_row() + n * 5);
  for (const std::uint32_t row : gone) run.shard().Leave(row);
  EXPECT_EQ(run.shard().replicas(), 400u);
  const auto links_to_gone = [&] {
    int n = 0;
    for (const std::uint32_t row : run.Honest()) {
      for (int s = 0; s < 8; ++s) n += run.Alive(run.Neighbour(row, s)) ? 0 : 1;
    }
    return n;
  };
  EXPECT_GT(links_to_gone(), 500);
  const std::uint64_t hash = run.shard().StateHash();
  EXPECT_NE(hash, 0u);
  const CycleCounts counts = run.Cycles(static_cast<int>(vaultguard::kSilenceCycles) + 24);
  EXPECT_EQ(links_to_gone(), 0);
  EXPECT_GT(counts.fallback_links, 500u);
  EXPECT_EQ(run.Now().replicas, 400u);
  EXPECT_LT(run.WorstRelative(), 1e-6);
  run.shard().Leave(gone[0]);  // twice is once
  EXPECT_EQ(run.shard().replicas(), 400u);
}

// `apart` 3: every third row lies, up to 300 of 1000. 1: the liars entered one after the other, and lie in adjacent
// rows.
void ExpectJoinersNearTheHonest(std::uint32_t apart) {
  for (const Lie& lie : {Stubborn(500, 900), Stubborn(-500, -900), Noise()}) {
    LiveShard run(Config(), 1000);
    run.SetLiars(300, lie, apart);
    run.Cycles(60);
    run.shard().Contribute(Contribution(1, 9 * kMicroPerVu), run.cycle());
    run.Cycles(40);
    ASSERT_EQ(run.Now().behind_uvu, SlotAmounts{});
    std::vector<float> honest;
    for (const std::uint32_t row : run.Honest()) honest.push_back(run.State(row, 2));
    std::nth_element(honest.begin(), honest.begin() + static_cast<std::ptrdiff_t>(honest.size() / 2), honest.end());
    const float median = honest[honest.size() / 2];
    const std::uint32_t end = static_cast<std::uint32_t>(run.shard().columns().end);
    int astray = 0;
    for (std::uint32_t n = 0; n < 50; ++n) {
      run.shard().Join(end + n, run.cycle());
      for (int c = 0; c < 2; ++c) EXPECT_EQ(run.State(end + n, c), 0.0f) << "its value starts on the ledger";
      astray += std::abs(run.State(end + n, 2) - median) > 2 ? 1 : 0;  // 1 % of the range
      EXPECT_GT(run.shard().columns().bound_free[end + n], 0);
    }
    EXPECT_EQ(astray, 0) << "of 50 joiners believed the liars";
    EXPECT_EQ(run.Now().behind_uvu, SlotAmounts{}) << "it has the ledger";
    EXPECT_EQ(run.shard().replicas(), 1050u);
    // The new replica is heard in the next cycle, with a packet.
    EXPECT_EQ(run.shard().said_meta(end) & kMetaValid, 0u);
    run.Cycle();
    EXPECT_NE(run.shard().said_meta(end) & kMetaValid, 0u);
    EXPECT_NE(run.shard().said_meta(end) & kMetaPacket, 0u);
    EXPECT_EQ(run.shard().columns().flags[end] & kFresh, 0) << "fresh for one cycle";
    EXPECT_EQ(Age(run.shard().said_meta(end), run.cycle()), 0u);
    EXPECT_LT(run.WorstRelative(), 1e-3);
  }
}

TEST(StateShard, Spec9_1JoinerAmongLiarsStartsNearTheHonestMedianWithTheLedger) { ExpectJoinersNearTheHonest(3); }

// A Sybil's micro-nodes enter one after the other: a new replica must ask a random sample, not a range of rows.
TEST(StateShard, Spec9_1JoinerIsNotMisledByLiarsThatJoinedTogether) { ExpectJoinersNearTheHonest(1); }

// One replica is left, in any row: a new replica that does not hear it would start somewhere else.
TEST(StateShard, Spec9_1JoinersFindTheOnlyOneThatIsLeft) {
  for (std::uint32_t left = 0; left < 200; left += 13) {
    LiveShard run(Config(left), 200);
    run.Cycles(60);
    const std::uint32_t first = run.shard().first_row();
    for (std::uint32_t n = 0; n < 200; ++n) {
      if (n != left) run.shard().Leave(first + n);
    }
    run.Cycles(2 * vaultguard::kSilenceCycles);
    for (std::uint32_t n = 0; n < 200; ++n) {
      if (n == left) continue;
      run.shard().Join(first + n, run.cycle());
      EXPECT_NEAR(run.State(first + n, 2), run.State(first + left, 2), 1e-3) << "the one left is in row " << left;
    }
  }
}

// A reused row: the earlier replica's publication is not the new one's.
TEST(StateShard, Spec9_1JoinerInAUsedRowStartsSilent) {
  LiveShard run(Config(), 100);
  run.Cycles(20);
  const std::uint32_t row = run.shard().first_row() + 7;
  run.shard().Leave(row);
  run.Cycles(2);
  EXPECT_NE(run.shard().said_meta(row) & kMetaValid, 0u) << "its last word is still heard";
  run.shard().Join(row, run.cycle());
  EXPECT_EQ(run.shard().said_meta(row) & kMetaValid, 0u);
  run.Cycle();
  EXPECT_EQ(Age(run.shard().said_meta(row), run.cycle()), 0u);
  run.shard().Join(row, run.cycle());  // it is there already
  EXPECT_EQ(run.shard().replicas(), 100u);
  EXPECT_NE(run.shard().said_meta(row) & kMetaValid, 0u);
}

// The new replica's ledger is that of its neighbour, with the news that is still spreading. With more rows than were
// allocated, no other row loses a bit.
TEST(StateShard, Spec9_1GrowingKeepsEveryReplica) {
  StateShardConfig config = Config();
  config.halo_rows = 20;
  config.remote_share = 0.2;
  LiveShard run(config, 100);
  const float diff[] = {3, 4, 5, 6};
  run.shard().SetHalo(19, 5, 200, diff, 9);
  run.shard().Contribute(Contribution(1, kMicroPerVu), 0);
  run.Cycles(10, 0.3);
  const Columns before = run.shard().columns();
  struct Row {
    std::vector<float> floats;
    std::vector<std::uint32_t> words;
    bool operator==(const Row&) const = default;
  };
  const auto rows = [&](std::size_t n) {
    const Columns& col = run.shard().columns();
    std::vector<Row> all(n);
    for (std::size_t row = 0; row < n; ++row) {
      all[row].floats.assign(col.Said(row), col.Said(row) + 4);
      all[row].words = {col.Meta(row), col.Entropy(row)};
      if (row < col.first_local) continue;
      for (std::size_t c = 0; c < 4; ++c) all[row].floats.push_back(col.state[c * col.stride + row]);
      all[row].floats.insert(all[row].floats.end(),
                             {col.bound_value[row], col.bound_free[row], col.bound_slow[row], col.band[row]});
      all[row].words.push_back(col.flags[row]);
    }
    return all;
  };
  const std::size_t n = before.end;
  const std::vector<Row> kept = rows(n);
  const SlotAmounts behind = run.Now().behind_uvu;
  run.shard().Join(static_cast<std::uint32_t>(n) + 3000, run.cycle());
  EXPECT_GT(run.shard().columns().stride, before.stride);
  EXPECT_TRUE(rows(n) == kept);
  EXPECT_GE(run.Now().behind_uvu[0], behind[0]);
  EXPECT_EQ(run.shard().replicas(), 101u);
  run.Cycles(200);
  EXPECT_EQ(run.Now().behind_uvu, SlotAmounts{});
  EXPECT_EQ(run.Now().replicas, 101u);
}

// ---- Publish on change, bandwidth ----

TEST(StateShard, Spec12ConvergedShardIsSilentButForHeartbeats) {
  LiveShard run(Config(), 1200);
  // A replica that stands where its neighbours agree already has nothing to say.
  EXPECT_GE(run.Cycle().step.published, 1190u);
  run.Cycles(100);
  CycleCounts counts = run.Cycles(60);
  EXPECT_EQ(counts.step.published, 1200u) << "each once in 60 cycles";
  EXPECT_EQ(counts.step.packets, 0u) << "a sign of life carries no entropy";
  EXPECT_EQ(counts.sent.entropy, 0u);
  EXPECT_EQ(counts.sent.state_diff, 1200 * 8 * MessageSizes(run.shard().config().shape).state_diff);
  // Trust and slots stay unchanged in the silence, and listeners go on hearing the last states.
  counts = run.Cycles(300);
  EXPECT_EQ(counts.step.published, 5 * 1200u);
  EXPECT_EQ(counts.step.heard, 300u * 1200 * 8);
  EXPECT_EQ(counts.step.refused.Total(), 0u);
  EXPECT_EQ(counts.fallback_links, 0u);
}

// ---- The ledger among the replicas ----

TEST(StateShard, Spec6_3NewsReachesEveryReplicaThroughLoss) {
  for (const double loss : {0.0, 0.5}) {
    LiveShard run(Config(), 1000);
    run.shard().Contribute(Contribution(1, 250 * kMicroPerVu), 0);
    EXPECT_EQ(run.Now().behind_uvu[0], 250 * kMicroPerVu);
    EXPECT_FALSE(run.shard().Contribute(Contribution(1, 250 * kMicroPerVu), 0).grew) << "told twice, it counts once";
    const CycleCounts counts = run.Cycles(loss == 0 ? 60 : 120, loss);
    EXPECT_EQ(run.Now().behind_uvu, SlotAmounts{});
    EXPECT_EQ(counts.redundancy_syncs, 0u) << "it spread by itself";
    EXPECT_LT(run.WorstRelative(), 1e-6);
    // The cost: each replica but the seeds was sent the entry once.
    const std::uint64_t entry = MessageSizes(run.shard().config().shape).ledger_entry;
    EXPECT_GE(counts.sent.ledger, (1000 - 8) * entry);
    EXPECT_LE(counts.sent.ledger, 1000 * entry);
  }
}

// The 64 places of the window are used again and again: a new batch is news, though its place was used before.
TEST(StateShard, Spec6_3NewsIsNewEachTime) {
  LiveShard run(Config(), 400);
  for (int n = 1; n <= 5; ++n) {
    run.shard().Contribute(Contribution(1, n * kMicroPerVu), run.cycle());
    run.Cycle();
    EXPECT_EQ(run.Now().behind_uvu[0], kMicroPerVu) << n;
    run.Cycles(60);
    EXPECT_EQ(run.Now().behind_uvu[0], 0) << n;
  }
}

// One honest replica among liars, which withhold what they know: the ledger's keeper goes on offering news.
TEST(StateShard, Arch6_5NewsReachesTheHonestAmongLiars) {
  int reached = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    StateShardConfig config = Config(seed);
    config.shape.peers = 1;
    LiveShard run(config, 40);
    run.SetLiars(39, [](std::uint32_t, std::uint64_t, float*) {});
    run.shard().Contribute(Contribution(1, kMicroPerVu), 0);
    EXPECT_EQ(run.Cycles(140).redundancy_syncs, 0u);
    // The liars leave, so that the one honest replica is alone and shows whether it knows.
    for (std::uint32_t n = 0; n < 39; ++n) run.shard().Leave(run.shard().first_row() + n);
    reached += run.Now().behind_uvu[0] == 0 ? 1 : 0;
  }
  // A fifth of 140 offers come to the eight rows that the honest one is the last of; eight are enough.
  EXPECT_EQ(reached, 20);
}

// Disagreement does not rise when news comes to some replicas before others (protocol.md, "State").
TEST(StateShard, Spec5_2NewsOnItsWayStrikesNoLink) {
  LiveShard run(Config(), 500);
  run.Cycles(60);
  for (int n = 0; n < 40; ++n) {
    run.shard().Contribute(Contribution(static_cast<std::uint64_t>(n), 900 * kMicroPerVu, run.cycle()), run.cycle());
    const CycleCounts counts = run.Cycle();
    ASSERT_EQ(counts.step.strikes_up + counts.step.strikes_down, 0u) << n;
  }
  for (const std::uint32_t row : run.Honest()) {
    for (int s = 0; s < 8; ++s) ASSERT_GE(run.Trust(row, s), kTrustExchanged);
  }
}

TEST(StateShard, Spec14MoreBatchesThanTheWindowLoseNothing) {
  LiveShard run(Config(), 600);
  std::int64_t total = kOpening;
  std::uint64_t syncs = 0;
  for (int n = 0; n < 300; ++n) {
    run.shard().Contribute(Contribution(static_cast<std::uint64_t>(n), (n + 1) * 1000, run.cycle()), run.cycle());
    total += (n + 1) * 1000;
    syncs += run.Cycle(0.85).redundancy_syncs;  // so much loss that a batch takes more than 64 cycles
  }
  EXPECT_GT(syncs, 0u);
  EXPECT_EQ(run.shard().ledger().total_uvu(0), total);
  // No replica is behind by more than the window holds.
  EXPECT_LT(run.Now().behind_uvu[0], 65 * 300 * 1000);
  run.Cycles(static_cast<int>(kBatchCyclesMax) + 2, 0.85);
  EXPECT_EQ(run.Now().behind_uvu, SlotAmounts{});
  EXPECT_LT(run.WorstRelative(), 1e-6);
}

TEST(StateShard, Spec14StragglersAreCopiedAfterTheLimit) {
  LiveShard run(Config(), 400);
  run.shard().Contribute(Contribution(1, kMicroPerVu), 0);
  EXPECT_EQ(run.Cycles(static_cast<int>(kBatchCyclesMax) + 1, 1.0).redundancy_syncs, 0u);
  EXPECT_EQ(run.Now().behind_uvu[0], kMicroPerVu);
  const CycleCounts counts = run.Cycles(1, 1.0);
  EXPECT_GT(counts.redundancy_syncs, 300u);
  EXPECT_GE(counts.sent.ledger, counts.redundancy_syncs * MessageSizes(run.shard().config().shape).ledger_entry);
  EXPECT_EQ(run.Now().behind_uvu, SlotAmounts{});
}

TEST(StateShard, Paper8LedgerIsForgottenWithTheLastReplicaAndLearntAgain) {
  LiveShard run(Config(), 10);
  run.shard().Contribute(Contribution(1, kMicroPerVu), 0);
  run.Cycles(3);
  std::vector<LedgerEntry> entries;
  run.shard().ledger().Changes(0, 1000, &entries);
  for (std::uint32_t n = 0; n < 10; ++n) run.shard().Leave(run.shard().first_row() + n);
  const std::uint64_t digest = run.shard().ledger().digest();
  run.shard().ForgetLedger();
  EXPECT_EQ(run.shard().ledger().size(), 0u);
  run.shard().Join(run.shard().first_row(), run.cycle());
  for (const LedgerEntry& entry : entries) run.shard().Contribute(entry, run.cycle());
  run.Cycles(40);
  EXPECT_EQ(run.shard().ledger().digest(), digest);
  EXPECT_EQ(run.Now().behind_uvu, SlotAmounts{});
  EXPECT_EQ(run.shard().ledger().total_uvu(0), kOpening + kMicroPerVu);
}

// ---- The plain rule, for contrast (drift.md, "What fails") ----

TEST(StateShard, PlainRuleIsDraggedByOneStubbornReplicaWithoutEnd) {
  StateShardConfig plain = Config();
  plain.drift.plain = true;
  plain.drift.plain_entropy = 0;
  double moved[2][3];
  for (const bool guarded : {false, true}) {
    LiveShard run(guarded ? Config() : plain, 1000);
    run.Cycles(30);
    const double start = run.Now().moments[2].mean;
    run.SetLiars(1, Stubborn(1000, 1000));
    for (int leg = 0; leg < 3; ++leg) {
      run.Cycles(100);
      moved[guarded][leg] = std::abs(run.Now().moments[2].mean - start);
    }
  }
  // The drift goes on: each hundred cycles cover another part of the way to the liar's claim.
  EXPECT_GT(moved[0][0], 40);
  EXPECT_GT(moved[0][1], moved[0][0] + 40);
  EXPECT_GT(moved[0][2], moved[0][1] + 40);
  EXPECT_LT(moved[1][0], 0.2);
  EXPECT_LT(moved[1][2], 0.2);
  EXPECT_LT(moved[1][2] - moved[1][1], 0.01);
}

TEST(StateShard, PlainRuleNeverComesToRestUnderConstantEntropy) {
  StateShardConfig plain = Config();
  plain.drift.plain = true;
  LiveShard run(plain, 1000), guarded(Config(), 1000);
  run.Cycles(100);
  guarded.Cycles(100);
  const double at_100 = run.Spread(false);
  run.Cycles(100);
  EXPECT_GT(run.Spread(false), 0.01);
  EXPECT_NEAR(run.Spread(false) / at_100, 1, 0.2) << "it stays where it is";
  EXPECT_LT(guarded.Spread(false), 1e-3 * run.Spread(false));
}

TEST(StateShard, PlainRuleHasNoFloorAndNoBand) {
  StateShardConfig plain = Config();
  plain.drift.plain = true;
  LiveShard run(plain, 300), guarded(Config(), 300);
  run.SetLiars(90, Drain());
  guarded.SetLiars(90, Drain());
  run.Cycles(30);
  guarded.Cycles(30);
  EXPECT_GT(run.Now().worst_value_vu, 1e6);
  EXPECT_LT(guarded.Now().worst_value_vu, 5);
}

TEST(StateShard, PlainRuleLosesEverythingWhenEverythingIsLost) {
  StateShardConfig plain = Config();
  plain.drift.plain = true;
  plain.drift.plain_entropy = 0;
  LiveShard run(plain, 100);
  const double before = run.Spread(false);
  const CycleCounts counts = run.Cycles(10, 1.0);
  EXPECT_EQ(counts.step.heard, 0u);
  EXPECT_EQ(run.Spread(false), before);
}

// ---- Determinism, measures ----

TEST(StateShard, SameSeedSameStateOnEverySimdTarget) {
  std::vector<std::uint64_t> hashes;
  std::vector<std::vector<std::uint64_t>> known;
  std::vector<std::uint64_t> ledger_bytes;
  for (const std::string& target : SimdTargets()) {
    ASSERT_TRUE(SelectSimdTarget(target));
    LiveShard run(Config(), 333);
    run.SetLiars(50, Noise());
    CycleCounts counts;
    for (std::uint32_t n = 0; n < 50; ++n) {
      run.shard().Contribute(Contribution(n, kMicroPerVu, run.cycle()), run.cycle());
      if (n % 5 == 0) run.shard().Leave(run.shard().first_row() + 100 + n);
      if (n % 5 == 1) run.shard().Join(run.shard().first_row() + 340 + n, run.cycle());
      counts.sent += run.Cycle(0.2).sent;
    }
    const Columns& columns = run.shard().columns();
    hashes.push_back(run.shard().StateHash());
    known.emplace_back(columns.known + columns.first_local, columns.known + columns.end);
    ledger_bytes.push_back(counts.sent.ledger);
    EXPECT_EQ(hashes.back(), hashes.front()) << target;
    EXPECT_EQ(known.back(), known.front()) << target;
    EXPECT_EQ(ledger_bytes.back(), ledger_bytes.front()) << target;
  }
  ASSERT_TRUE(SelectSimdTarget("auto"));
  LiveShard other(Config(2), 333);
  other.SetLiars(50, Noise());
  other.shard().Contribute(Contribution(1, kMicroPerVu), 0);
  other.Cycles(50, 0.2);
  EXPECT_NE(other.shard().StateHash(), hashes.front()) << "another seed is another run";
}

// Distinct shards share nothing: any thread may advance any of them. (ThreadSanitizer runs this.)
TEST(StateShard, DistinctShardsAdvanceInParallel) {
  constexpr std::uint64_t kShards = 4;
  const auto work = [](std::uint64_t seed) {
    LiveShard run(Config(seed), 300);
    run.SetLiars(30, Noise());
    for (int n = 0; n < 40; ++n) {
      run.shard().Contribute(Contribution(static_cast<std::uint64_t>(n), 1000, run.cycle()), run.cycle());
      if (n == 20) run.shard().Join(run.shard().first_row() + 400, run.cycle());
      run.Cycle(0.1);
    }
    return run.shard().StateHash();
  };
  std::vector<std::uint64_t> parallel(kShards), serial(kShards);
  std::vector<std::thread> threads;
  for (std::uint64_t n = 0; n < kShards; ++n) threads.emplace_back([&, n] { parallel[n] = work(n); });
  for (std::thread& thread : threads) thread.join();
  for (std::uint64_t n = 0; n < kShards; ++n) serial[n] = work(n);
  EXPECT_EQ(parallel, serial);
}

TEST(StateShard, StateHashSeesEveryKindOfChange) {
  LiveShard run(Config(), 40);
  run.Cycles(3);
  const std::uint64_t before = run.shard().StateHash();
  EXPECT_EQ(run.shard().StateHash(), before);
  run.shard().SetFlag(run.shard().first_row(), kLowPower, true);
  EXPECT_NE(run.shard().StateHash(), before);
  run.shard().SetFlag(run.shard().first_row(), kLowPower, false);
  EXPECT_EQ(run.shard().StateHash(), before);
  run.shard().Contribute(Contribution(1, 1), 1);
  EXPECT_NE(run.shard().StateHash(), before);
}

TEST(StateShard, MeasureIsWhatItSays) {
  LiveShard run(Config(), 100);
  run.SetLiars(10, Drain());
  run.shard().Leave(run.shard().first_row() + 99);
  run.Cycle();
  run.shard().Contribute(Contribution(1, 40), run.cycle());
  const Measure measure = run.Now();
  EXPECT_EQ(measure.replicas, 99u);
  EXPECT_EQ(measure.behind_uvu[0], 40);
  const std::vector<std::uint32_t> honest = run.Honest();
  ASSERT_EQ(honest.size(), 89u);
  double worst = 0;
  for (int c = 0; c < 4; ++c) {
    double sum = 0, m2 = 0;
    for (const std::uint32_t row : honest) sum += static_cast<double>(run.State(row, c));
    for (const std::uint32_t row : honest) m2 += std::pow(static_cast<double>(run.State(row, c)) - sum / 89, 2);
    EXPECT_EQ(measure.moments[static_cast<std::size_t>(c)].count, 89);
    EXPECT_NEAR(measure.moments[static_cast<std::size_t>(c)].mean, sum / 89, 1e-9 * (1 + std::abs(sum)));
    EXPECT_NEAR(measure.moments[static_cast<std::size_t>(c)].m2, m2, 1e-9 * m2);
    for (const std::uint32_t row : honest) {
      if (c < 2) worst = std::max(worst, std::abs(static_cast<double>(run.State(row, c)) - (c == 0 ? 40e-6 : 0)));
    }
  }
  EXPECT_DOUBLE_EQ(measure.worst_value_vu, worst);
  // The mean drift covers all live replicas, the liars' own states too.
  double drift = 0;
  for (std::uint32_t row = run.shard().first_row(); row < run.shard().first_row() + 99; ++row)
    drift += static_cast<double>(run.State(row, 1)) / 99;
  EXPECT_NEAR(run.shard().MeanDriftVu()[1], drift, 1e-9);
  // Merging two halves gives the whole.
  Moments left, right, whole;
  Generator g(1);
  double all[50];
  for (int n = 0; n < 50; ++n) {
    all[n] = 100 + static_cast<double>(g.Around(3));
    Moments one{1, all[n], 0};
    (n < 20 ? left : right).Merge(one);
    whole.Merge(one);
  }
  left.Merge(right);
  left.Merge(Moments{});
  double mean = 0, m2 = 0;
  for (const double x : all) mean += x / 50;
  for (const double x : all) m2 += (x - mean) * (x - mean);
  for (const Moments& m : {left, whole}) {
    EXPECT_EQ(m.count, 50);
    EXPECT_NEAR(m.mean, mean, 1e-12);
    EXPECT_NEAR(m.m2, m2, 1e-9);
  }
}

TEST(StateShard, Spec3_1OpeningBalanceIsExactAndWithinPolicy) {
  LiveShard run(Config(), 10, 12'345'678'901);
  EXPECT_EQ(run.shard().ledger().total_uvu(0), 12'345'678'901);
  EXPECT_EQ(run.shard().ledger().total_uvu(1), 12'345'678'901);
  EXPECT_EQ(run.shard().ledger().size(), 2u * 13);  // sessions of at most 1000 VU each
  EXPECT_EQ(run.Now().behind_uvu, SlotAmounts{});
}

TEST(StateShard, Spec3_1ReplicaTakesLittleMemory) {
  LiveShard run(Config(), 10'000);
  EXPECT_LT(run.shard().resident_bytes() / 10'000, 200u);
}

}  // namespace
}  // namespace lvs::shard
