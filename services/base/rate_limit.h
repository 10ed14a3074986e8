// How often somebody may do something: token buckets, shared by all whose key falls into the same one of a fixed
// number, so that no crowd of keys takes memory.
//
//   RateLimit limit(100, 200);                       // a second; at once
//   double wait_s = limit.Take(key, now_s);          // 0: go on; else: not now, try again after so long
//
// Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "shard/random.h"

namespace lvs::services {

class RateLimit {
 public:
  static constexpr std::size_t kBuckets = 1 << 14;

  RateLimit(double per_second, double burst) : per_second_(per_second), burst_(std::max(1.0, burst)) {}

  double Take(std::uint64_t key, double now_s) {
    if (buckets_.empty()) buckets_.assign(kBuckets, {burst_, now_s});
    Bucket& bucket = buckets_[shard::Mix(key) % kBuckets];
    bucket.tokens = std::min(burst_, bucket.tokens + (now_s - bucket.filled_s) * per_second_);
    bucket.filled_s = now_s;
    if (bucket.tokens < 1) return (1 - bucket.tokens) / per_second_;
    bucket.tokens -= 1;
    return 0;
  }

 private:
  struct Bucket {
    double tokens;
    double filled_s;
  };
  double per_second_;
  double burst_;
  std::vector<Bucket> buckets_;
};

}  // namespace lvs::services
