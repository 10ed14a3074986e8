#include "shard/blocks.h"

#include <cstddef>

namespace lvs::shard {
void* AllocateInHugePages(void* unused, std::size_t bytes);
void Free(void* unused, void* memory);
void Example(std::size_t bytes) { EXAMPLE; }
}  // namespace lvs::shard
