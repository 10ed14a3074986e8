#include "services/base/token_bucket.h"

#include <gtest/gtest.h>

namespace lvs::services {
namespace {

TEST(TokenBucket, FullAtFirstAndThenAtItsRate) {
  TokenBucket bucket({.per_second = 10, .burst = 3}, 100);
  for (int n = 0; n < 3; ++n) EXPECT_EQ(bucket.Take(100), 0);
  EXPECT_NEAR(bucket.Take(100), 0.1, 1e-9);
  EXPECT_NEAR(bucket.Take(100.05), 0.05, 1e-9) << "a refusal takes nothing";
  EXPECT_EQ(bucket.Take(100.11), 0);
  EXPECT_GT(bucket.Take(100.11), 0);
  for (int n = 0; n < 3; ++n) EXPECT_EQ(bucket.Take(1e6), 0) << "no more than the burst is saved up";
  EXPECT_GT(bucket.Take(1e6), 0);
}

TEST(TokenBucket, DebtIsPaidBackAtTheRate) {
  TokenBucket bucket({.per_second = 10, .burst = 3}, 0);
  bucket.Spend(8, 0);
  EXPECT_DOUBLE_EQ(bucket.Level(0), -5);
  EXPECT_NEAR(bucket.Take(0), 0.6, 1e-9);
  EXPECT_LT(bucket.Level(0.49), 0);
  EXPECT_GE(bucket.Level(0.51), 0);
}

TEST(TokenBucket, ClockThatIsSetBackEarnsNothing) {
  TokenBucket bucket({.per_second = 10, .burst = 3}, 100);
  bucket.Spend(3, 100);
  EXPECT_DOUBLE_EQ(bucket.Level(0), 0);
  EXPECT_DOUBLE_EQ(bucket.Level(0.1), 1) << "and goes on from there";
}

TEST(TokenBucket, BurstBelowOneLetsOneThrough) {
  TokenBucket bucket({.per_second = 0.5, .burst = 0.5}, 0);
  EXPECT_EQ(bucket.Take(0), 0);
  EXPECT_NEAR(bucket.Take(0), 2, 1e-9);
}

TEST(TokenBuckets, Spec8_3_LimitsEachKeyAndSaysHowLongToWait) {
  TokenBuckets limit({.per_second = 10, .burst = 5});
  for (int n = 0; n < 5; ++n) EXPECT_EQ(limit.Take(1, 0), 0);
  EXPECT_NEAR(limit.Take(1, 0), 0.1, 1e-9);
  EXPECT_EQ(limit.Take(2, 0), 0);
  EXPECT_EQ(limit.Take(1, 0.11), 0);
  EXPECT_GT(limit.Take(1, 0.11), 0);
  for (int n = 0; n < 5; ++n) EXPECT_EQ(limit.Take(1, 100), 0) << "no more than the burst is saved up";
  EXPECT_GT(limit.Take(1, 100), 0);
}

}  // namespace
}  // namespace lvs::services
