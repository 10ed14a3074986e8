// What a run will need, before it starts.
#pragma once

#include <cstdint>

#include "lvs/v1/scenario.pb.h"

namespace lvs::services {

struct ResourceBudget {
  std::uint64_t replicas = 0;
  std::uint64_t shard_actors = 0;
  std::uint64_t link_actors = 0;
  std::uint64_t resident_bytes = 0;  // estimate
  std::uint64_t replica_cycles = 0;  // work of the whole run
};

// `scenario` is complete.
ResourceBudget EstimateBudget(const v1::Scenario& scenario);

// Memory that the system can give without swapping; the largest number where it does not say.
std::uint64_t AvailableBytes();

}  // namespace lvs::services
