// Sums over a column of a shard, from which a report computes a coordinate's spread and the values' distance from the
// ledger.
//
//   ColumnSums sums;
//   AddRows(x, weight, target, rows, pivot, &sums);   // block by block
//   Total(sums.distance) / n;                         // mean, relative to the pivot
//
// SIMD by Google Highway. Sums are in double precision, eight rows side by side and added up in that order, so every
// processor gives the same bits. Any thread.
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
  alignas(64) Lanes squares{};   // of the distance
  alignas(64) Lanes worst{};     // the largest |x - target|
};

// The sum of `rows` rows, a multiple of kSumLanes.
double Sum(const float* x, std::size_t rows);

// Adds `rows` rows, a multiple of kSumLanes, each with weight 1 or 0 and a target of its own.
void AddRows(const float* x, const double* weight, const double* target, std::size_t rows, double pivot,
             ColumnSums* sums);

}  // namespace lvs::shard
