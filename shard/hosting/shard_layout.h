// The layout of a shard's rows. Rows [0, halo_rows) are the halo: the newest state diffs of remote neighbours, a range
// for each other server node. Local replicas follow, from the next multiple of shard::kRowAlign on.
//
//   const ShardLayout layout = LayOut(/*self=*/0, {{99, 16, 32}});
//   layout.halo_first[2];   // 16: behind the 16 rows of server node 1
//   layout.first_local;     // 48
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lvs::hosting {

struct ShardLayout {
  // By server node; the rows [halo_first, halo_first + halo_count) are its ambassadors'. A server node has no halo rows
  // for itself.
  std::vector<std::uint32_t> halo_first;
  std::vector<std::uint32_t> halo_count;
  std::uint32_t halo_rows = 0;
  std::uint32_t first_local = 0;
};

// `ambassadors[n]` replicas of server node n speak to the others. The entry of `self` is not used.
ShardLayout LayOut(std::uint32_t self, std::span<const std::uint32_t> ambassadors);

}  // namespace lvs::hosting
