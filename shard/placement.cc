#include "shard/placement.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
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

std::vector<std::size_t> ChooseRepairers(std::uint32_t shard, std::span<const std::uint64_t> candidates,
                                         std::size_t count) {
  std::vector<std::size_t> positions(candidates.size());
  std::iota(positions.begin(), positions.end(), std::size_t{0});
  count = std::min(count, positions.size());
  // Of two equal weights, the first candidate comes first.
  const auto before = [&](std::size_t a, std::size_t b) {
    const std::uint64_t weight_a = RendezvousWeight(candidates[a], shard);
    const std::uint64_t weight_b = RendezvousWeight(candidates[b], shard);
    return weight_a != weight_b ? weight_a > weight_b : a < b;
  };
  std::partial_sort(positions.begin(), positions.begin() + static_cast<std::ptrdiff_t>(count), positions.end(), before);
  positions.resize(count);
  return positions;
}

}  // namespace lvs::shard
