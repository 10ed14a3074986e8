#include "shard/blocks.h"

#include <cstdlib>

namespace lvs::shard {

namespace {

BlockAllocator& InUse() {
  static BlockAllocator allocator;
  return allocator;
}

}  // namespace

void UseBlockAllocator(const BlockAllocator& allocator) { InUse() = allocator; }

Block AllocateBlock(std::size_t bytes) {
  const BlockAllocator& from = InUse();
  Block block = hwy::AllocateAligned<std::uint8_t>(bytes, from.allocate, from.free, nullptr);
  if (block == nullptr) std::abort();
  return block;
}

}  // namespace lvs::shard
