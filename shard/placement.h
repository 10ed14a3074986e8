// Placement (SPEC-5.4, SPEC-14 "partial shard storage"): which micro-nodes hold which shards, by rendezvous hashing
// (Thaler, Ravishankar 1998). Every party computes the same answer from a session and a shard number: no coordinator,
// and a departure moves only what it must.
#pragma once

#include <cstddef>
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

// Returns the positions of the `count` candidates that repair the shard: those of highest weight, heaviest first; all of
// them where there are fewer. Candidates are sessions of micro-nodes that do not hold the shard.
std::vector<std::size_t> ChooseRepairers(std::uint32_t shard, std::span<const std::uint64_t> candidates,
                                         std::size_t count);

}  // namespace lvs::shard
