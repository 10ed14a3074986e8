// Placement (SPEC-5.4, SPEC-14 "partial shard storage"): which micro-nodes hold which shards, by rendezvous hashing
// (Thaler, Ravishankar 1998). Every party computes the same answer from a session and a shard number: no coordinator,
// and a departure moves only what it must.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shard/random.h"

namespace lvs::shard {

// A micro-node's weight for a shard; a micro-node holds the h shards of highest weight.
constexpr std::uint64_t RendezvousWeight(std::uint64_t session, std::uint32_t shard) {
  return Mix(session ^ Mix(0x51ed270b9f9f4a15ull + shard));
}

// Lists the `held` shards of 0..shards-1 that a micro-node holds, by falling weight. held <= shards.
void PlaceMicroNode(std::uint64_t session, std::uint32_t shards, std::uint32_t held, std::vector<std::uint32_t>* out);

// Returns the position of the candidate that repairs the shard: the one of highest weight. Candidates are sessions of
// micro-nodes that do not hold the shard; there must be one.
std::size_t ChooseRepairer(std::uint32_t shard, std::span<const std::uint64_t> candidates);

}  // namespace lvs::shard
