#include "shard/wire.h"

#include <cstddef>
#include <cstdint>

namespace lvs::shard {
void Example(std::uint32_t shard, std::uint8_t* buffer, const std::uint8_t* bytes, std::size_t n) { EXAMPLE; }
}  // namespace lvs::shard
