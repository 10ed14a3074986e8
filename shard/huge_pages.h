#pragma once

#include <hwy/aligned_allocator.h>

#include <cstddef>
#include <cstdint>

namespace lvs::shard {

// Memory for vectors, or null. A block of 4 MiB or more lies in huge pages, as far as it fills them, where the system
// gives them: whoever hears neighbours in no order misses the address caches too (docs/decisions.md).
hwy::AlignedFreeUniquePtr<std::uint8_t[]> AllocateInHugePages(std::size_t bytes);

}  // namespace lvs::shard
