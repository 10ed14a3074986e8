#include "shard/hosting/shard_layout.h"

#include "shard/columns.h"

namespace lvs::hosting {

ShardLayout LayOut(std::uint32_t self, std::span<const std::uint32_t> ambassadors) {
  ShardLayout layout;
  for (std::uint32_t node = 0; node < ambassadors.size(); ++node) {
    const std::uint32_t rows = node == self ? 0 : ambassadors[node];
    layout.halo_first.push_back(layout.halo_rows);
    layout.halo_count.push_back(rows);
    layout.halo_rows += rows;
  }
  layout.first_local = static_cast<std::uint32_t>(shard::AlignRows(layout.halo_rows));
  return layout;
}

}  // namespace lvs::hosting
