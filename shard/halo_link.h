// A halo link writes the rows of one peer link's frames into a shard's halo. A link that drains value weighs less
// (SPEC-8.3). Entropy packets of a link are used while they pass their tests (SPEC-10).
#pragma once

#include <cstdint>

#include "shard/entropy_engine.h"
#include "shard/frame.h"
#include "shard/state_shard.h"
#include "vaultguard/drain_detector.h"
#include "vaultguard/refusals.h"

namespace lvs::shard {

class HaloLink {
 public:
  // Anomalies that a frame raised.
  struct Raised {
    std::uint64_t drains = 0;
    std::uint64_t entropy = 0;
  };
  // Takes the rows of a frame that passed CheckFrame, of one value slot or more, into the halo from `first_row` on.
  // `bound_vu`: how far from the ledger an honest row's value may lie.
  Raised Hear(const Frame& frame, std::uint32_t first_row, std::uint64_t cycle, float bound_vu, StateShard* shard,
              vaultguard::RefusalCounts* refused);

 private:
  vaultguard::DrainDetector drain_;
  EntropyLink entropy_;
};

}  // namespace lvs::shard
