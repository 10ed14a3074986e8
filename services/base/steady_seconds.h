// Seconds of the steady clock: the time of all peering.
#pragma once

#include <chrono>

namespace lvs::services {

inline double SteadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace lvs::services
