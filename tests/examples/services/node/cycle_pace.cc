#include "services/node/cycle_pace.h"

#include <chrono>
#include <cstdint>

#include "services/base/cycle_clock.h"

namespace lvs::services {
void Example(std::chrono::microseconds period, std::uint64_t period_us, CyclePace::WallTime wall_now,
             CyclePace::Time now) {
  EXAMPLE;
}
}  // namespace lvs::services
