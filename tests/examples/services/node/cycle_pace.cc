#include "services/node/cycle_pace.h"

#include <chrono>

#include "services/base/cycle_clock.h"

namespace lvs::services {
void Example(std::chrono::microseconds period) { EXAMPLE; }
}  // namespace lvs::services
