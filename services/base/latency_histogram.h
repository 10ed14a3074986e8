// A histogram of latencies in buckets that grow with the latency: fixed memory, and a relative error of at most 1 % at
// any scale.
//
//   LatencyHistogram histogram;
//   histogram.Record(1'250);                    // microseconds
//   histogram.Quantile(0.99);                   // microseconds
//
// Log-linear, as HDR histograms are: exact below 256 us, then 128 buckets for every doubling, up to 12 days. Longer
// latencies count in the last bucket; MaxUs stays exact. Not thread-safe: give each thread its own, and Merge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lvs::services {

class LatencyHistogram {
 public:
  LatencyHistogram();

  // Negative latencies, which a clock may give, count as 0.
  void Record(std::int64_t latency_us);
  void Merge(const LatencyHistogram& other);
  // The latencies recorded since `earlier` was a copy of this histogram. MaxUs of the result is as exact as a bucket.
  LatencyHistogram Since(const LatencyHistogram& earlier) const;

  std::uint64_t Count() const { return count_; }
  // Both exact; 0 where nothing was recorded.
  std::int64_t MaxUs() const { return max_us_; }
  double MeanUs() const;
  // The latency that this share (0..1) of the recorded ones does not exceed: the middle of its bucket, at most MaxUs.
  // 0 where nothing was recorded.
  std::int64_t Quantile(double share) const;

 private:
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::int64_t max_us_ = 0;
  double sum_us_ = 0;
};

}  // namespace lvs::services
