// A moment for tests that pass the time in.
#pragma once

#include <chrono>

namespace lvs::services {

inline constexpr std::chrono::steady_clock::time_point kNow{std::chrono::seconds(1000)};

}  // namespace lvs::services
