// Placement of shards on browser tabs. Shards form groups of four: shards 4g..4g+3 are group g. A micro-node of a tab
// holds one group, by rendezvous weight, so that two tabs that share one shard mostly share four, and few links cover
// all shards of a tab. Server nodes place shard by shard (shard/placement.h).
//
//   const ShardMask mask = MaskOf(sessions_of_my_micro_nodes, shards);
//   if (!ClaimFits(mask, micro_nodes, shards)) ...              // a tab that claims more than it can hold
//
// The hub tells a joiner which groups have too few holders; the joiner draws sessions until one falls into such a group:
//   const GroupMask wanted = ScarceGroups(holders_by_group, micro_nodes, draw);
//   const std::uint64_t session = SessionInGroup(group, shards, draw);
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace lvs::tab {

using ShardMask = std::uint64_t;  // bit s: shard s
using GroupMask = std::uint32_t;  // bit g: group g

inline constexpr std::uint32_t kShardsMax = 64;
inline constexpr std::uint32_t kGroupShards = 4;
// A tab may host more micro-nodes; those above are not counted when a claimed mask is bounded.
inline constexpr std::uint32_t kMicroNodesCounted = 10;
// Shards that a tab may hold beyond those of its micro-nodes, because a linked tab asked it to.
inline constexpr std::uint32_t kAdoptedMax = 24;
// A group with fewer holders is scarce. Five holders of a shard outlive one minute without servers with 99 %.
inline constexpr std::uint32_t kGroupHoldersWanted = 6;

constexpr ShardMask AllShards(std::uint32_t shards) {
  return shards >= kShardsMax ? ~ShardMask{0} : (ShardMask{1} << shards) - 1;
}
constexpr ShardMask MaskOfShard(std::uint32_t shard) { return ShardMask{1} << shard; }
constexpr ShardMask MaskOfGroup(std::uint32_t group) { return ShardMask{15} << (kGroupShards * group); }
constexpr std::uint32_t ShardCount(ShardMask mask) { return static_cast<std::uint32_t>(std::popcount(mask)); }

// `shards`: a multiple of kGroupShards, at most kShardsMax.
std::uint32_t GroupOf(std::uint64_t session, std::uint32_t shards);
ShardMask MaskOf(std::span<const std::uint64_t> sessions, std::uint32_t shards);

// The most shards that a tab of so many micro-nodes may claim.
std::uint32_t ClaimMax(std::uint32_t micro_nodes, std::uint32_t adopted_max = kAdoptedMax);
// False as well where the mask is empty or names a shard that does not exist.
bool ClaimFits(ShardMask mask, std::uint32_t micro_nodes, std::uint32_t shards);

// The groups that a joiner should hold: those of fewest holders first, of equal ones a random one, as many as it has
// micro-nodes, and only scarce ones. `holders[g]`: tabs that hold group g.
GroupMask ScarceGroups(std::span<const std::uint32_t> holders, std::uint32_t micro_nodes, std::uint64_t draw);
// A session that falls into the group; a pure function of the draw. Takes 16 tries on average with 64 shards.
std::uint64_t SessionInGroup(std::uint32_t group, std::uint32_t shards, std::uint64_t draw);

}  // namespace lvs::tab
