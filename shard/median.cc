#include "shard/median.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shard/median.cc"
#include <hwy/foreach_target.h>
// foreach_target must come before highway.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lvs::shard::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Each lane tests one candidate, which is the median if at most `place` values are smaller, and more are no larger.
// Otherwise the median lies between two of the candidates, and the next round tests only values between these.
float UpperMedian(const float* x, std::size_t n) {
  const hn::ScalableTag<float> f;
  const std::size_t lanes = hn::Lanes(f);
  const auto one = hn::Set(f, 1.0f);
  HWY_ALIGN float value[kMedianValues + HWY_MAX_BYTES / sizeof(float)];
  std::copy_n(x, n, value);
  auto place = static_cast<float>(n / 2);
  while (n > 0) {
    // The first value pads the lanes beyond the end: testing it twice does no harm.
    std::fill_n(value + n, lanes, value[0]);
    const auto candidate = hn::Load(f, value);
    auto smaller = hn::Zero(f);
    auto no_larger = hn::Zero(f);
    for (std::size_t k = 0; k < n; ++k) {
      const auto other = hn::Set(f, value[k]);
      smaller = hn::Add(smaller, hn::IfThenElseZero(hn::Lt(other, candidate), one));
      no_larger = hn::Add(no_larger, hn::IfThenElseZero(hn::Le(other, candidate), one));
    }
    const auto places = hn::Set(f, place);
    const auto below = hn::Le(no_larger, places);
    const auto above = hn::Gt(smaller, places);
    const auto found = hn::FindFirstTrue(f, hn::Not(hn::Or(below, above)));
    if (found >= 0) return value[found] + 0.0f;

    const auto infinity = hn::Set(f, std::numeric_limits<float>::infinity());
    const auto low = hn::MaxOfLanes(f, hn::IfThenElse(below, candidate, hn::Neg(infinity)));
    const auto high = hn::MinOfLanes(f, hn::IfThenElse(above, candidate, infinity));
    place -= hn::GetLane(hn::MaxOfLanes(f, hn::IfThenElseZero(below, no_larger)));
    std::size_t left = 0;
    for (std::size_t k = 0; k < n; k += lanes) {
      const auto some = hn::Load(f, value + k);
      const auto between = hn::And(hn::And(hn::Gt(some, low), hn::Lt(some, high)), hn::FirstN(f, n - k));
      hn::StoreU(hn::Compress(some, between), f, value + left);
      left += hn::CountTrue(f, between);
    }
    n = left;
  }
  std::abort();  // a value was not finite
}

}  // namespace lvs::shard::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lvs::shard {

HWY_EXPORT(UpperMedian);

float UpperMedian(const float* x, std::size_t n) {
  if (n == 0 || n > kMedianValues) std::abort();
  return HWY_DYNAMIC_DISPATCH(UpperMedian)(x, n);
}

}  // namespace lvs::shard
#endif  // HWY_ONCE
