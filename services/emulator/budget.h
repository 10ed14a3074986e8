// An estimate of the resources that a run will need, made before it starts.
#pragma once

#include <cstdint>

#include "lvs/v1/scenario.pb.h"

namespace lvs::services {

struct ResourceBudget {
  std::uint64_t replicas = 0;  // when most micro-nodes are there
  std::uint64_t shard_actors = 0;
  std::uint64_t link_actors = 0;
  std::uint64_t resident_bytes = 0;  // of the process at its peak, estimated
  std::uint64_t replica_cycles = 0;  // total work of the run
};

// Estimates the budget of a complete scenario.
ResourceBudget EstimateBudget(const v1::Scenario& scenario);

}  // namespace lvs::services
