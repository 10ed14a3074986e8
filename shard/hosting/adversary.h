// What a hostile micro-node publishes instead of its state. It may know everything (the honest mean and spread, its
// victims' bounds, the ledger); what it cannot do is break the hash of the loss or speak for another session.
#pragma once

#include <cstdint>
#include <vector>

#include "lvs/v1/scenario.pb.h"
#include "shard/state_shard.h"

namespace lvs::hosting {

struct AdversaryRow {
  std::uint32_t row = 0;
  v1::Attack attack = v1::ATTACK_UNSPECIFIED;
  std::vector<float> recorded;  // replay: what it says again and again
  std::uint32_t recorded_meta = 0;
};

// Replaces what the rows have just published in `cycle`.
void Attack(std::uint64_t seed, std::uint64_t cycle, std::vector<AdversaryRow>* rows, shard::StateShard* shard);

}  // namespace lvs::hosting
