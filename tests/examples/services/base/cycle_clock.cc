#include "services/base/cycle_clock.h"

#include <cstdint>
#include <thread>

namespace lvs::services {
void Example(std::uint64_t period_us) { EXAMPLE; }
}  // namespace lvs::services
