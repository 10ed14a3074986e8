#include "shard/median.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shard/median.cc"
#include <hwy/foreach_target.h>
// foreach_target must come before highway.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lvs::shard::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// A lane a candidate: it is the median if at most n/2 values are smaller, and more than n/2 are no larger.
float UpperMedian(const float* x, std::size_t n) {
  const hn::ScalableTag<float> f;
  const std::size_t lanes = hn::Lanes(f);
  const auto one = hn::Set(f, 1.0f);
  const auto half = hn::Set(f, static_cast<float>(n / 2));
  for (std::size_t first = 0; first < n; first += lanes) {
    // Beyond the end the first value stands in: as good a candidate as any.
    HWY_ALIGN float candidate[HWY_MAX_BYTES / sizeof(float)];
    for (std::size_t lane = 0; lane < lanes; ++lane) candidate[lane] = x[first + lane < n ? first + lane : 0];
    const auto value = hn::Load(f, candidate);
    auto smaller = hn::Zero(f);
    auto no_larger = hn::Zero(f);
    for (std::size_t k = 0; k < n; ++k) {
      const auto other = hn::Set(f, x[k]);
      smaller = hn::Add(smaller, hn::IfThenElseZero(hn::Lt(other, value), one));
      no_larger = hn::Add(no_larger, hn::IfThenElseZero(hn::Le(other, value), one));
    }
    const auto found = hn::FindFirstTrue(f, hn::And(hn::Le(smaller, half), hn::Gt(no_larger, half)));
    if (found >= 0) return candidate[found];
  }
  return x[0];  // not reached: some value is the median
}

}  // namespace lvs::shard::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lvs::shard {

HWY_EXPORT(UpperMedian);

float UpperMedian(const float* x, std::size_t n) { return HWY_DYNAMIC_DISPATCH(UpperMedian)(x, n); }

}  // namespace lvs::shard
#endif  // HWY_ONCE
