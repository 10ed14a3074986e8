// Counter-based randomness: known values, uniform, and one stream a purpose.
#include "shard/random.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <set>

namespace lvs::shard {
namespace {

constexpr auto kLast = static_cast<std::uint64_t>(Stream::kMembership);

// A change of the generator changes every run of every scenario; this test notices it. Mix is SplitMix64's finaliser:
// the first outputs of SplitMix64 from seed 0 are Mix of the multiples of its increment.
static_assert(Mix(0x9e3779b97f4a7c15ull) == 0xe220a8397b1dcdafull);
static_assert(Mix(2 * 0x9e3779b97f4a7c15ull) == 0x6e789e6aa1b965f4ull);
static_assert(Mix(3 * 0x9e3779b97f4a7c15ull) == 0x06c45d188009454full);
static_assert(Mix(0) == 0);

TEST(Random, KnownValues) {
  EXPECT_EQ(Draw(0, Stream::kInitialState, 0, 0), 0x33fe8bd4f9c57863ull);
  EXPECT_EQ(Draw(7, Stream::kShuffle, 3, 11), 0xaf6bbaf414169364ull);
  EXPECT_EQ(Draw(~0ull, Stream::kLowPowerChoice, ~0ull, ~0ull), 0x2585cc9003153980ull);
}

TEST(Random, BelowAndUnitKeepTheirLimits) {
  static_assert(Below(0, 10) == 0);
  static_assert(Below(~0ull, 10) == 9);
  static_assert(Below(~0ull, 1) == 0);
  static_assert(Below(~0ull, ~0u) == ~0u - 1);
  static_assert(Unit(0) == 0.0);
  static_assert(Unit(~0ull) < 1.0);
  static_assert(Unit(1ull << 63) == 0.5);
  for (std::uint64_t n = 0; n < 1000; ++n) EXPECT_LT(Below(Mix(n), 7), 7u);
}

// Chi-square of 256 cells; the limit is where a fair one comes once in 10^6.
constexpr double kChiSquareLimit255 = 371;

TEST(Random, BelowAndUnitAreUniformOverIdsAndOverCycles) {
  constexpr int kDraws = 256 * 400;
  for (std::uint64_t stream = 1; stream <= kLast; ++stream) {
    for (const bool over_ids : {true, false}) {
      std::array<int, 256> below{}, unit{}, low{};
      for (std::uint64_t n = 0; n < kDraws; ++n) {
        const std::uint64_t draw = Draw(5, static_cast<Stream>(stream), over_ids ? n : 9, over_ids ? 9 : n);
        ++below[Below(draw, 256)];
        ++unit[static_cast<std::size_t>(Unit(draw) * 256)];
        ++low[draw & 255];
      }
      for (const auto& cells : {below, unit, low}) {
        double chi = 0;
        for (const int count : cells) chi += (count - 400.0) * (count - 400.0) / 400.0;
        EXPECT_LT(chi, kChiSquareLimit255) << "stream " << stream;
        EXPECT_GT(chi, 160) << "stream " << stream << " is too even";
      }
    }
  }
}

TEST(Random, StreamsSeedsIdsAndCyclesAreIndependent) {
  // Each bit of the exclusive or of two related draws is a fair coin.
  constexpr int kDraws = 20'000;
  const auto fair = [](auto a, auto b, const char* what) {
    std::array<int, 64> ones{};
    for (std::uint64_t n = 0; n < kDraws; ++n) {
      const std::uint64_t differ = a(n) ^ b(n);
      for (std::size_t bit = 0; bit < 64; ++bit) ones[bit] += static_cast<int>(differ >> bit & 1);
    }
    for (std::size_t bit = 0; bit < 64; ++bit) {
      EXPECT_NEAR(ones[bit], kDraws / 2, 5 * std::sqrt(kDraws) / 2) << what << " bit " << bit;
    }
  };
  const auto draw = [](std::uint64_t seed, std::uint64_t stream, std::uint64_t id, std::uint64_t cycle) {
    return Draw(seed, static_cast<Stream>(stream), id, cycle);
  };
  for (std::uint64_t stream = 2; stream <= kLast; ++stream) {
    fair([&](auto n) { return draw(1, 1, n, 3); }, [&](auto n) { return draw(1, stream, n, 3); }, "streams");
  }
  fair([&](auto n) { return draw(1, 1, n, 3); }, [&](auto n) { return draw(2, 1, n, 3); }, "seeds");
  fair([&](auto n) { return draw(1, 1, n, 3); }, [&](auto n) { return draw(1, 1, n, 4); }, "cycles");
  fair([&](auto n) { return draw(1, 1, n, 3); }, [&](auto n) { return draw(1, 1, n + 1, 3); }, "ids");
  fair([&](auto n) { return draw(1, 1, n, 3); }, [&](auto n) { return draw(1, 1, 3, n); }, "id and cycle");
}

TEST(Random, DrawsDoNotCollide) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t stream = 1; stream <= kLast; ++stream) {
    for (std::uint64_t id = 0; id < 64; ++id) {
      for (std::uint64_t cycle = 0; cycle < 64; ++cycle) seen.insert(Draw(1, static_cast<Stream>(stream), id, cycle));
    }
  }
  EXPECT_EQ(seen.size(), kLast * 64 * 64);
}

}  // namespace
}  // namespace lvs::shard
