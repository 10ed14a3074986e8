#include "shard/last_words.h"

#include <algorithm>
#include <numeric>

#include "shard/links.h"

namespace lvs::shard {

namespace {

// A map from each row to where it lies now, initially the identity. A thread's shards share the memory.
std::vector<std::uint32_t>& WhereItWas(std::size_t rows) {
  thread_local std::vector<std::uint32_t> now_at;
  now_at.resize(rows);
  std::iota(now_at.begin(), now_at.end(), 0u);
  return now_at;
}

}  // namespace

std::size_t LastWords::RowsToMove() const {
  if (left_.empty()) return 0;
  const auto kept = static_cast<std::size_t>(std::count(kept_.begin(), kept_.end(), true));
  return std::max<std::size_t>(kept, 1) + left_.size();
}

void LastWords::Move(Columns* columns, int peers, std::uint64_t cycle) {
  const Columns& col = *columns;
  const auto silence = static_cast<std::uint32_t>(col.first_departed());
  if (left_.empty() && kept_.size() <= 1) return;
  if (kept_.empty()) kept_.push_back(true);
  bool moved = !left_.empty();
  std::vector<std::uint32_t>& now_at = WhereItWas(silence + kept_.size());
  std::size_t place = 1;
  for (const std::uint32_t row : left_) {
    columns->flags[row] &= static_cast<std::uint8_t>(~kDeparted);
    now_at[row] = silence;
    if (!col.Heard(row, cycle)) continue;
    while (place < kept_.size() && kept_[place]) ++place;
    if (place == kept_.size()) kept_.push_back(false);
    kept_[place] = true;
    now_at[row] = silence + static_cast<std::uint32_t>(place);
    std::copy_n(col.Said(row), col.said_words, col.said + now_at[row] * col.said_words);
    col.SetMeta(row, 0);
  }
  left_.clear();
  // Slots lead to a freed place until Relink below, so no place is reused before the next Move.
  for (std::size_t n = 1; silence + n < now_at.size(); ++n) {
    if (!kept_[n] || col.Heard(silence + n, cycle)) continue;
    kept_[n] = false;
    now_at[silence + n] = silence;
    moved = true;
  }
  if (moved) Relink(col, peers, now_at);
  while (kept_.size() > 1 && !kept_.back()) kept_.pop_back();
  columns->departed_end = silence + kept_.size();
}

void LastWords::Shift(Columns* columns, int peers, std::size_t by) const {
  const std::size_t first = columns->first_departed();
  columns->departed_end = first + kept_.size();
  if (kept_.empty() || by == 0) return;
  std::vector<std::uint32_t>& now_at = WhereItWas(first - by + kept_.size());
  std::iota(now_at.begin() + static_cast<std::ptrdiff_t>(first - by), now_at.end(), static_cast<std::uint32_t>(first));
  Relink(*columns, peers, now_at);
}

}  // namespace lvs::shard
