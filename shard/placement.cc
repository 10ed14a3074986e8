#include "shard/placement.h"

#include <algorithm>
#include <utility>

namespace lvs::shard {

void PlaceMicroNode(std::uint64_t session, std::uint32_t shards, std::uint32_t held, std::vector<std::uint32_t>* out) {
  out->clear();
  if (held == 0) return;
  // Insertion sort of the heaviest so far, heaviest first: few of many shards ever enter it.
  thread_local std::vector<std::pair<std::uint64_t, std::uint32_t>> best;
  best.assign(held, {0, 0});
  for (std::uint32_t s = 0; s < shards; ++s) {
    const std::pair entry(RendezvousWeight(session, s), s);
    if (s >= held && entry <= best.back()) continue;
    std::size_t at = std::min(s, held - 1);
    for (; at > 0 && best[at - 1] < entry; --at) best[at] = best[at - 1];
    best[at] = entry;
  }
  for (const auto& [weight, shard] : best) out->push_back(shard);
}

std::size_t ChooseRepairer(std::uint32_t shard, std::span<const std::uint64_t> candidates) {
  std::size_t best = 0;
  for (std::size_t n = 1; n < candidates.size(); ++n) {
    if (RendezvousWeight(candidates[n], shard) > RendezvousWeight(candidates[best], shard)) best = n;
  }
  return best;
}

}  // namespace lvs::shard
