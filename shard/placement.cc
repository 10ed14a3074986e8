#include "shard/placement.h"

#include <algorithm>
#include <utility>

namespace lvs::shard {

void PlaceMicroNode(std::uint64_t session, std::uint32_t shards, std::uint32_t held, std::vector<std::uint32_t>* out) {
  thread_local std::vector<std::pair<std::uint64_t, std::uint32_t>> weights;
  weights.clear();
  for (std::uint32_t s = 0; s < shards; ++s) weights.emplace_back(RendezvousWeight(session, s), s);
  std::partial_sort(weights.begin(), weights.begin() + held, weights.end(), std::greater<>());
  out->clear();
  for (std::uint32_t n = 0; n < held; ++n) out->push_back(weights[n].second);
}

std::size_t ChooseRepairer(std::uint32_t shard, std::span<const std::uint64_t> candidates) {
  std::size_t best = 0;
  for (std::size_t n = 1; n < candidates.size(); ++n) {
    if (RendezvousWeight(candidates[n], shard) > RendezvousWeight(candidates[best], shard)) best = n;
  }
  return best;
}

}  // namespace lvs::shard
