#include "shard/random.h"

#include <cstdint>

namespace lvs::shard {
void Example(std::uint64_t seed, std::uint32_t row, std::uint64_t cycle, std::uint32_t rows) { EXAMPLE; }
}  // namespace lvs::shard
