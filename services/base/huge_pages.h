// Large blocks of memory in huge pages. Whoever reads a large block in no order misses the address caches too, and a
// huge page takes one entry of them for 2 MiB (docs/decisions.md).
#pragma once

#include <cstddef>

namespace lvs::services {

// Memory; where there is none, the handler of operator new is called as operator new calls it, and without a handler the
// result is null. A block of 4 MiB or more lies in huge pages, as far as it fills them, where the
// system has them. The first argument is unused: these are functions as shard::BlockAllocator takes them.
// Thread-safe.
void* AllocateInHugePages(void*, std::size_t bytes);
void FreeHugePages(void*, void* block);

}  // namespace lvs::services
