#include "shard/blocks.h"

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
  return hwy::AllocateAligned<std::uint8_t>(bytes, from.allocate, from.free, nullptr);
}

}  // namespace lvs::shard
