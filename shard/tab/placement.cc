#include "shard/tab/placement.h"

#include <algorithm>

#include "shard/placement.h"
#include "shard/random.h"

namespace lvs::tab {

std::uint32_t GroupOf(std::uint64_t session, std::uint32_t shards) {
  std::uint32_t best = 0;
  for (std::uint32_t group = 1; group < shards / kGroupShards; ++group) {
    if (shard::RendezvousWeight(session, group) > shard::RendezvousWeight(session, best)) best = group;
  }
  return best;
}

ShardMask MaskOf(std::span<const std::uint64_t> sessions, std::uint32_t shards) {
  ShardMask mask = 0;
  for (const std::uint64_t session : sessions) mask |= MaskOfGroup(GroupOf(session, shards));
  return mask;
}

std::uint32_t ClaimMax(std::uint32_t micro_nodes, std::uint32_t adopted_max) {
  return kGroupShards * std::min(micro_nodes, kMicroNodesCounted) + adopted_max;
}

bool ClaimFits(ShardMask mask, std::uint32_t micro_nodes, std::uint32_t shards) {
  return mask != 0 && (mask & ~AllShards(shards)) == 0 && micro_nodes > 0 && ShardCount(mask) <= ClaimMax(micro_nodes);
}

GroupMask ScarceGroups(std::span<const std::uint32_t> holders, std::uint32_t micro_nodes, std::uint64_t draw) {
  GroupMask chosen = 0;
  const auto groups = static_cast<std::uint32_t>(std::min<std::size_t>(holders.size(), kShardsMax / kGroupShards));
  for (; micro_nodes > 0; --micro_nodes) {
    std::uint32_t best = groups;
    // Starting at a random group, so that two joiners at a time do not both take the first of equal ones.
    for (std::uint32_t n = 0; n < groups; ++n) {
      const std::uint32_t group = (shard::Below(draw, groups) + n) % groups;
      if (holders[group] >= kGroupHoldersWanted || (chosen >> group & 1) != 0) continue;
      if (best == groups || holders[group] < holders[best]) best = group;
    }
    if (best == groups) break;
    chosen |= GroupMask{1} << best;
    draw = shard::Mix(draw + micro_nodes);
  }
  return chosen;
}

std::uint64_t SessionInGroup(std::uint32_t group, std::uint32_t shards, std::uint64_t draw) {
  if (group >= shards / kGroupShards) return draw;
  for (std::uint64_t n = 1;; ++n) {
    const std::uint64_t session = shard::Mix(draw + n * 0x9e3779b97f4a7c15ull);
    if (GroupOf(session, shards) == group) return session;
  }
}

}  // namespace lvs::tab
