#include "shard/column_sums.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shard/column_sums.cc"
#include <hwy/foreach_target.h>
// foreach_target must come before highway.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lvs::shard::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_HAVE_FLOAT64
void AddRows(const float* x, const double* weight, const double* target, std::size_t rows, double pivot,
             ColumnSums* sums) {
  const hn::CappedTag<double, kSumLanes> d;
  const hn::Rebind<float, decltype(d)> f;
  const std::size_t lanes = hn::Lanes(d);
  const auto pivots = hn::Set(d, pivot);
  for (std::size_t part = 0; part < kSumLanes; part += lanes) {
    auto distance = hn::Load(d, sums->distance.data() + part);
    auto squares = hn::Load(d, sums->squares.data() + part);
    auto worst = hn::Load(d, sums->worst.data() + part);
    for (std::size_t row = part; row < rows; row += kSumLanes) {
      const auto value = hn::PromoteTo(d, hn::LoadU(f, x + row));
      const auto counts = hn::LoadU(d, weight + row);
      const auto away = hn::Mul(hn::Sub(value, pivots), counts);
      distance = hn::Add(distance, away);
      squares = hn::Add(squares, hn::Mul(away, away));
      // Compare and select instead of a float maximum: under the plain rule a state may be NaN, and targets differ in
      // the maximum of NaN.
      const auto off = hn::Mul(hn::Abs(hn::Sub(value, hn::LoadU(d, target + row))), counts);
      worst = hn::IfThenElse(hn::Gt(off, worst), off, worst);
    }
    hn::Store(distance, d, sums->distance.data() + part);
    hn::Store(squares, d, sums->squares.data() + part);
    hn::Store(worst, d, sums->worst.data() + part);
  }
}

void SumLanes(const float* x, std::size_t rows, double* sums) {
  const hn::CappedTag<double, kSumLanes> d;
  const hn::Rebind<float, decltype(d)> f;
  const std::size_t lanes = hn::Lanes(d);
  for (std::size_t part = 0; part < kSumLanes; part += lanes) {
    auto sum = hn::Zero(d);
    for (std::size_t row = part; row < rows; row += kSumLanes)
      sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(f, x + row)));
    hn::Store(sum, d, sums + part);
  }
}
#else
// Highway 1.0.3 has no vectors of double for WebAssembly, so these are the same sums, lane by lane.
void AddRows(const float* x, const double* weight, const double* target, std::size_t rows, double pivot,
             ColumnSums* sums) {
  for (std::size_t row = 0; row < rows; row += kSumLanes) {
    for (std::size_t lane = 0; lane < kSumLanes; ++lane) {
      const double value = x[row + lane];
      const double counts = weight[row + lane];
      const double away = (value - pivot) * counts;
      sums->distance[lane] += away;
      sums->squares[lane] += away * away;
      const double off = std::abs(value - target[row + lane]) * counts;
      if (off > sums->worst[lane]) sums->worst[lane] = off;
    }
  }
}

void SumLanes(const float* x, std::size_t rows, double* sums) {
  std::fill_n(sums, kSumLanes, 0.0);
  for (std::size_t row = 0; row < rows; row += kSumLanes) {
    for (std::size_t lane = 0; lane < kSumLanes; ++lane) sums[lane] += x[row + lane];
  }
}
#endif

}  // namespace lvs::shard::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lvs::shard {

HWY_EXPORT(AddRows);
HWY_EXPORT(SumLanes);

void AddRows(const float* x, const double* weight, const double* target, std::size_t rows, double pivot,
             ColumnSums* sums) {
  HWY_DYNAMIC_DISPATCH(AddRows)(x, weight, target, rows, pivot, sums);
}

double Sum(const float* x, std::size_t rows) {
  alignas(64) Lanes sums;
  HWY_DYNAMIC_DISPATCH(SumLanes)(x, rows, sums.data());
  return Total(sums);
}

double Total(const Lanes& lanes) { return std::accumulate(lanes.begin(), lanes.end(), 0.0); }
double Largest(const Lanes& lanes) { return *std::max_element(lanes.begin(), lanes.end()); }

}  // namespace lvs::shard
#endif  // HWY_ONCE
