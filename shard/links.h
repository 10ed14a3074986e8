// Operations on the neighbour slots of a group of rows, or of the whole shard, a vector at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "shard/columns.h"

namespace lvs::shard {

// Redirects all `peers` slots of every local row to now_at[neighbour]; trust stays.
void Relink(const Columns& columns, int peers, const std::vector<std::uint32_t>& now_at);

// Returns a bit for each of the kRowAlign rows from `row` on whose slot leads to the row itself, has no more trust than
// `dropped`, or leads to a row that is not heard. With `cycle` 0 every row counts as heard.
std::uint32_t LooseLinks(const Columns& columns, int slot, std::size_t row, std::uint8_t dropped, std::uint64_t cycle);

}  // namespace lvs::shard
