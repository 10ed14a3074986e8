// What the links of a whole group of rows, or of the whole shard, have in common: a vector at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "shard/columns.h"

namespace lvs::shard {

// Every link of a local row, in `peers` slots, leads to now_at[neighbour] from now on; its trust stays.
void Relink(const Columns& columns, int peers, const std::vector<std::uint32_t>& now_at);

// Of the kRowAlign rows from `row` on, a bit for each whose link in this slot leads to itself, has no more trust than
// `dropped`, or leads to one who is not heard. `cycle` 0: everybody is.
std::uint32_t LooseLinks(const Columns& columns, int slot, std::size_t row, std::uint8_t dropped, std::uint64_t cycle);

}  // namespace lvs::shard
