#include "services/base/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace lvs::services {
namespace {

constexpr unsigned kHalfBits = 7;  // 128 buckets for every doubling: the middle of one is within 0.4 % of its edges
constexpr std::uint64_t kHalf = std::uint64_t{1} << kHalfBits;
constexpr std::uint64_t kLatencyUsMax = (std::uint64_t{1} << 40) - 1;

// Below 2 * kHalf the latency itself; above, the leading kHalfBits + 1 bits, counted on.
constexpr std::size_t BucketOf(std::uint64_t latency_us) {
  const auto bits = static_cast<unsigned>(std::bit_width(latency_us));
  const unsigned shift = bits > kHalfBits + 1 ? bits - kHalfBits - 1 : 0;
  return static_cast<std::size_t>(shift * kHalf + (latency_us >> shift));
}

constexpr std::int64_t MiddleOf(std::size_t bucket) {
  if (bucket < 2 * kHalf) return static_cast<std::int64_t>(bucket);
  const std::uint64_t shift = bucket / kHalf - 1;
  const std::uint64_t low = (bucket - shift * kHalf) << shift;
  return static_cast<std::int64_t>(low + (std::uint64_t{1} << shift) / 2);
}

constexpr std::size_t kBuckets = BucketOf(kLatencyUsMax) + 1;
static_assert(BucketOf(255) + 1 == BucketOf(256) && BucketOf(511) + 1 == BucketOf(512), "buckets leave no gap");

}  // namespace

LatencyHistogram::LatencyHistogram() : buckets_(kBuckets) {}

void LatencyHistogram::Record(std::int64_t latency_us) {
  latency_us = std::max<std::int64_t>(latency_us, 0);
  ++buckets_[BucketOf(std::min(static_cast<std::uint64_t>(latency_us), kLatencyUsMax))];
  ++count_;
  max_us_ = std::max(max_us_, latency_us);
  sum_us_ += static_cast<double>(latency_us);
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_us_ = std::max(max_us_, other.max_us_);
  sum_us_ += other.sum_us_;
}

LatencyHistogram LatencyHistogram::Since(const LatencyHistogram& earlier) const {
  LatencyHistogram since;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    since.buckets_[i] = buckets_[i] - earlier.buckets_[i];
    if (since.buckets_[i] > 0) since.max_us_ = std::min(MiddleOf(i), max_us_);
  }
  since.count_ = count_ - earlier.count_;
  since.sum_us_ = sum_us_ - earlier.sum_us_;
  return since;
}

double LatencyHistogram::MeanUs() const { return count_ == 0 ? 0 : sum_us_ / static_cast<double>(count_); }

std::int64_t LatencyHistogram::Quantile(double share) const {
  if (count_ == 0) return 0;
  const double exact = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_));
  const std::uint64_t rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(exact), 1, count_);
  if (rank == count_) return max_us_;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    below += buckets_[i];
    if (below >= rank) return std::min(MiddleOf(i), max_us_);
  }
  return max_us_;
}

}  // namespace lvs::services
