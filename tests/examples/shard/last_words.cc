#include "shard/last_words.h"

#include <cstdint>

namespace lvs::shard {
void Example(LastWords& words, Columns& columns, std::uint32_t row, int peers, std::uint64_t cycle) { EXAMPLE; }
}  // namespace lvs::shard
