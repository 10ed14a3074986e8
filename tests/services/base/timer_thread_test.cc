#include "services/base/timer_thread.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <mutex>
#include <vector>

namespace lvs::services {
namespace {

using namespace std::chrono_literals;

TimerThread::Time In(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

TEST(TimerThread, CallsInTheOrderOfTime) {
  std::mutex mutex;
  std::vector<int> called;
  std::promise<void> done;
  TimerThread timers;
  const auto at = [&](std::chrono::milliseconds time, int n) {
    timers.At(In(time), [&, n] {
      const std::lock_guard lock(mutex);
      called.push_back(n);
      if (called.size() == 3) done.set_value();
    });
  };
  const auto begin = std::chrono::steady_clock::now();
  at(60ms, 3);
  at(20ms, 1);
  at(40ms, 2);
  ASSERT_EQ(done.get_future().wait_for(20s), std::future_status::ready);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 60ms);
  EXPECT_EQ(called, (std::vector<int>{1, 2, 3}));
}

TEST(TimerThread, WhatIsCancelledIsNeverCalled) {
  std::promise<void> done;
  bool called = false;
  TimerThread timers;
  const TimerThread::Id id = timers.At(In(30ms), [&] { called = true; });
  const TimerThread::Id last = timers.At(In(60ms), [&] { done.set_value(); });
  EXPECT_TRUE(timers.Cancel(id));
  EXPECT_FALSE(timers.Cancel(id));
  ASSERT_EQ(done.get_future().wait_for(20s), std::future_status::ready);
  EXPECT_FALSE(called);
  EXPECT_FALSE(timers.Cancel(last)) << "it was called";
}

TEST(TimerThread, AFunctionMaySetTheNextOne) {
  std::promise<void> done;
  int left = 3;
  TimerThread timers;
  std::function<void()> again = [&] {
    if (--left == 0) return done.set_value();
    timers.At(In(1ms), again);
  };
  timers.At(In(0ms), again);
  ASSERT_EQ(done.get_future().wait_for(20s), std::future_status::ready);
}

TEST(TimerThread, ItsEndForgetsWhatIsNotDue) {
  const auto held = std::make_shared<int>(1);
  {
    TimerThread timers;
    timers.At(In(1h), [held] { ADD_FAILURE(); });
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace lvs::services
