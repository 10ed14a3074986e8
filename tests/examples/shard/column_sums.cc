#include "shard/column_sums.h"

#include <cstddef>

namespace lvs::shard {
void Example(const float* x, const double* weight, const double* target, std::size_t rows, double pivot, double n) {
  EXAMPLE;
}
}  // namespace lvs::shard
