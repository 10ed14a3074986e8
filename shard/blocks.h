// Memory for the columns of a shard: one block a shard, aligned for vectors.
//
//   UseBlockAllocator({AllocateInHugePages, Free});   // once, before the first shard; plain memory without it
//   Block block = AllocateBlock(bytes);
//
// This folder calls no operating system. A process that knows how its system allocates large blocks well passes
// functions in.
#pragma once

#include <hwy/aligned_allocator.h>

#include <cstddef>
#include <cstdint>

namespace lvs::shard {

using Block = hwy::AlignedFreeUniquePtr<std::uint8_t[]>;

// Functions as Highway calls them; the first argument is unused. `allocate` returns null where there is no memory. A
// block is freed by the `free` that came with its `allocate`.
struct BlockAllocator {
  void* (*allocate)(void*, std::size_t bytes) = nullptr;
  void (*free)(void*, void* block) = nullptr;
};

// Sets the allocator of all later blocks; {} is plain memory. Not thread-safe: call it before threads start.
void UseBlockAllocator(const BlockAllocator& allocator);

// Allocates `bytes` of uninitialised memory. Aborts where there is none and the allocator has returned nevertheless.
Block AllocateBlock(std::size_t bytes);

}  // namespace lvs::shard
