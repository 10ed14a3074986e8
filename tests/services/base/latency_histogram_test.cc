// The histogram against exact quantiles of the same latencies.
#include "services/base/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace lvs::services {
namespace {

std::int64_t ExactQuantile(std::vector<std::int64_t> sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

TEST(LatencyHistogram, EmptySaysNothing) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.Count(), 0u);
  EXPECT_EQ(histogram.Quantile(0.5), 0);
  EXPECT_EQ(histogram.MaxUs(), 0);
  EXPECT_EQ(histogram.MeanUs(), 0);
}

TEST(LatencyHistogram, OneLatencyOfAnySizeIsWithinOnePercent) {
  for (std::int64_t latency_us = 1; latency_us < std::int64_t{1} << 40; latency_us = latency_us * 101 / 100 + 1) {
    LatencyHistogram histogram;
    histogram.Record(latency_us);
    // The largest is exact, so the one in question goes below another.
    histogram.Record(std::int64_t{1} << 41);
    const double error = std::abs(static_cast<double>(histogram.Quantile(0.5) - latency_us));
    ASSERT_LE(error, 0.01 * static_cast<double>(latency_us)) << latency_us;
    ASSERT_EQ(histogram.MaxUs(), std::int64_t{1} << 41);
  }
}

TEST(LatencyHistogram, QuantilesAreWithinOnePercentOfExact) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(7, 2);
  LatencyHistogram histogram;
  std::vector<std::int64_t> all;
  double sum = 0;
  for (int i = 0; i < 100'000; ++i) {
    const auto latency_us = static_cast<std::int64_t>(latency(random));
    histogram.Record(latency_us);
    all.push_back(latency_us);
    sum += static_cast<double>(latency_us);
  }
  std::sort(all.begin(), all.end());
  for (const double share : {0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
    const std::int64_t exact = ExactQuantile(all, share);
    EXPECT_NEAR(static_cast<double>(histogram.Quantile(share)), static_cast<double>(exact),
                0.01 * static_cast<double>(exact))
        << share;
  }
  EXPECT_EQ(histogram.Quantile(1), all.back());
  EXPECT_EQ(histogram.MaxUs(), all.back());
  EXPECT_NEAR(histogram.MeanUs(), sum / 100'000, 1e-6 * sum / 100'000);
}

TEST(LatencyHistogram, MergeIsTheSameAsRecordingIntoOne) {
  LatencyHistogram even, odd, all;
  for (std::int64_t i = 0; i < 10'000; ++i) {
    (i % 2 == 0 ? even : odd).Record(i * i);
    all.Record(i * i);
  }
  even.Merge(odd);
  EXPECT_EQ(even.Count(), all.Count());
  EXPECT_EQ(even.MaxUs(), all.MaxUs());
  EXPECT_EQ(even.MeanUs(), all.MeanUs());
  for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) EXPECT_EQ(even.Quantile(share), all.Quantile(share));
}

TEST(LatencyHistogram, SinceIsWhatWasRecordedAfterACopy) {
  LatencyHistogram histogram;
  for (int i = 0; i < 100; ++i) histogram.Record(50'000);
  const LatencyHistogram earlier = histogram;
  EXPECT_EQ(histogram.Since(earlier).Count(), 0u);
  EXPECT_EQ(histogram.Since(earlier).Quantile(0.99), 0);
  for (int i = 1; i <= 10; ++i) histogram.Record(i * 100);
  const LatencyHistogram since = histogram.Since(earlier);
  EXPECT_EQ(since.Count(), 10u);
  EXPECT_DOUBLE_EQ(since.MeanUs(), 550);
  EXPECT_NEAR(static_cast<double>(since.Quantile(0.5)), 500, 5);
  EXPECT_NEAR(static_cast<double>(since.Quantile(1)), 1'000, 10) << "and not the 50 ms of before";
}

TEST(LatencyHistogram, OddLatenciesStayInside) {
  LatencyHistogram histogram;
  histogram.Record(-5);
  EXPECT_EQ(histogram.Quantile(1), 0);
  histogram.Record(INT64_MAX);
  EXPECT_EQ(histogram.MaxUs(), INT64_MAX);
  EXPECT_EQ(histogram.Quantile(0.5), 0);
  EXPECT_EQ(histogram.Count(), 2u);
}

}  // namespace
}  // namespace lvs::services
