#include "shard/hosting/stopwatch.h"

#include <gtest/gtest.h>

namespace lvs::hosting {
namespace {

using shard::Stage;

std::uint64_t now_ns = 0;
std::uint64_t Now() { return now_ns; }

std::uint64_t Of(const shard::StageTimes& times, Stage stage) { return times[static_cast<std::size_t>(stage)]; }

TEST(Stopwatch, TimeBelongsToTheStageThatWasEnteredLast) {
  Stopwatch watch(&Now);
  now_ns = 100;
  watch.Enter(Stage::kFrames);
  now_ns = 130;
  watch.Enter(Stage::kDrift);
  now_ns = 137;
  watch.Enter(Stage::kFrames);
  now_ns = 140;
  const shard::StageTimes times = watch.Take();
  EXPECT_EQ(Of(times, Stage::kFrames), 33u);
  EXPECT_EQ(Of(times, Stage::kDrift), 7u);
  now_ns = 1000;  // between two cycles
  watch.Enter(Stage::kDrift);
  now_ns = 1001;
  EXPECT_EQ(Of(watch.Take(), Stage::kDrift), 1u);
}

TEST(Stopwatch, WithoutAClockItDoesNothing) {
  Stopwatch watch(nullptr);
  EXPECT_FALSE(watch.runs());
  watch.Enter(Stage::kDrift);
  EXPECT_EQ(watch.Take(), shard::StageTimes{});
}

}  // namespace
}  // namespace lvs::hosting
