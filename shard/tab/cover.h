// How many times each shard is covered, for all 64 shards at once: four bit planes, bit s of plane p being bit p of the
// count of shard s. Counts stop at 15.
//
//   Cover cover;
//   for (const Link& link : links) cover.Add(link.mask);
//   const ShardMask need = mask & ~cover.AtLeast(3);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "shard/tab/placement.h"

namespace lvs::tab {

class Cover {
 public:
  static constexpr std::uint32_t kMax = 15;

  constexpr void Add(ShardMask mask) {
    ShardMask carry = mask & ~(planes_[0] & planes_[1] & planes_[2] & planes_[3]);
    for (ShardMask& plane : planes_) {
      const ShardMask next = plane & carry;
      plane ^= carry;
      carry = next;
    }
  }

  constexpr std::uint32_t Of(std::uint32_t shard) const {
    std::uint32_t count = 0;
    for (std::size_t p = planes_.size(); p-- > 0;)
      count = 2 * count + static_cast<std::uint32_t>(planes_[p] >> shard & 1);
    return count;
  }

  // The shards that are covered at least so often. count <= kMax.
  constexpr ShardMask AtLeast(std::uint32_t count) const {
    ShardMask greater = 0, equal = ~ShardMask{0};
    for (std::size_t p = planes_.size(); p-- > 0;) {
      if ((count >> p & 1) != 0) {
        equal &= planes_[p];
      } else {
        greater |= equal & planes_[p];
        equal &= ~planes_[p];
      }
    }
    return greater | equal;
  }

  // The smallest count among the shards of the mask; kMax where the mask is empty.
  constexpr std::uint32_t Least(ShardMask mask) const {
    for (std::uint32_t count = kMax; count > 0; --count) {
      if ((mask & ~AtLeast(count)) == 0) return count;
    }
    return 0;
  }

  bool operator==(const Cover&) const = default;

 private:
  std::array<ShardMask, 4> planes_{};
};

}  // namespace lvs::tab
