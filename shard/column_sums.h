// Sums over a column of a shard: what a report says of a coordinate's spread, and of the values' distance from the
// ledger.
//
//   ColumnSums sums;
//   AddRows(x, weight, target, rows, pivot, &sums);   // block by block
//   Total(sums.distance) / n;                         // mean, relative to the pivot
//
// SIMD by Google Highway. Sums are in double precision, eight rows side by side and added up in that order: the same
// bits on every processor. Any thread.
#pragma once

#include <array>
#include <cstddef>

namespace lvs::shard {

inline constexpr std::size_t kSumLanes = 8;
using Lanes = std::array<double, kSumLanes>;

double Total(const Lanes& lanes);
double Largest(const Lanes& lanes);

struct ColumnSums {
  alignas(64) Lanes distance{};  // x - pivot
  alignas(64) Lanes squares{};   // of that
  alignas(64) Lanes worst{};     // the largest |x - target|
};

// Of `rows` rows, a multiple of kSumLanes.
double Sum(const float* x, std::size_t rows);

// Adds `rows` rows, a multiple of kSumLanes, each with weight 1 or 0 and a target of its own.
void AddRows(const float* x, const double* weight, const double* target, std::size_t rows, double pivot,
             ColumnSums* sums);

}  // namespace lvs::shard
