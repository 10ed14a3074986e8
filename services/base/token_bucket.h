// Token buckets: how often something may happen, on average and at once.
//
//   TokenBucket bucket({.per_second = 100, .burst = 200}, now_s);   // full
//   double wait_s = bucket.Take(now_s);        // 0: go on; else: refused, try again after so long
//   bucket.Spend(bytes / 65536.0, now_s);      // for what has happened already: the bucket may go into debt
//   if (bucket.Level(now_s) >= 0) Resume();    // the debt is paid
//
//   TokenBuckets limit({.per_second = 100, .burst = 200});          // one bucket a key, in a table of fixed size
//   wait_s = limit.Take(key, now_s);
//
// Time is passed in, in seconds of any clock; a clock that is set back earns nothing. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lvs::services {

// Tokens that a bucket earns, and the most that it holds. A burst below 1 would let nothing through; it counts as 1.
struct TokenRate {
  double per_second = 0;
  double burst = 0;
};

class TokenBucket {
 public:
  TokenBucket(const TokenRate& rate, double now_s)
      : rate_{rate.per_second, std::max(1.0, rate.burst)}, level_(rate_.burst), filled_s_(now_s) {}

  // Takes one token where there is one and returns 0. Otherwise takes nothing and returns the seconds until there is.
  double Take(double now_s) {
    Fill(now_s);
    if (level_ < 1) return (1 - level_) / rate_.per_second;
    level_ -= 1;
    return 0;
  }

  // Takes what has been used already; the level may become negative.
  void Spend(double tokens, double now_s) {
    Fill(now_s);
    level_ -= tokens;
  }

  // Tokens in the bucket by now; below 0: debt.
  double Level(double now_s) {
    Fill(now_s);
    return level_;
  }

 private:
  void Fill(double now_s) {
    level_ = std::min(rate_.burst, level_ + std::max(0.0, now_s - filled_s_) * rate_.per_second);
    filled_s_ = now_s;
  }

  TokenRate rate_;
  double level_;
  double filled_s_;
};

// A bucket for every key, shared by all keys that hash alike, so that no crowd of keys takes memory.
class TokenBuckets {
 public:
  static constexpr std::size_t kBuckets = 1 << 14;

  explicit TokenBuckets(const TokenRate& rate) : rate_(rate) {}

  // As TokenBucket::Take, of the key's bucket.
  double Take(std::uint64_t key, double now_s) {
    if (buckets_.empty()) buckets_.assign(kBuckets, TokenBucket(rate_, now_s));
    return buckets_[Hash(key) % kBuckets].Take(now_s);
  }

 private:
  // The finalizer of SplitMix64.
  static std::uint64_t Hash(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  TokenRate rate_;
  std::vector<TokenBucket> buckets_;  // made with the first key: most tables are never used
};

}  // namespace lvs::services
