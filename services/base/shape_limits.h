// The largest shapes that a configuration may ask for: of a scenario, and of a server node.
#pragma once

#include <cstdint>

#include "vaultguard/limits.h"

namespace lvs::services {

struct ShapeLimits {
  std::uint32_t shards_max = 65'535;
  std::uint32_t value_slots_max = vaultguard::kMaxValueSlots;
  std::uint32_t free_coordinates_max = vaultguard::kMaxFreeCoordinates;
  std::uint32_t micro_nodes_max = 10'000'000;  // of a whole scenario, or of one server node
};

}  // namespace lvs::services
