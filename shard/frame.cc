#include "shard/frame.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace lvs::shard {

using vaultguard::Refusal;

void ResizeRows(Frame* frame, std::size_t rows, std::size_t dimensions) {
  frame->halo_row.resize(rows);
  frame->published_cycle.resize(rows);
  frame->drift_weight.resize(rows);
  frame->diff.resize(rows * dimensions);
  frame->entropy.resize(rows);
}

void ClearRows(Frame* frame) { ResizeRows(frame, 0, 0); }

void AppendRow(const Frame& from, std::size_t n, Frame* to) {
  const std::size_t dims = from.diff.size() / from.halo_row.size();
  to->halo_row.push_back(from.halo_row[n]);
  to->published_cycle.push_back(from.published_cycle[n]);
  to->drift_weight.push_back(from.drift_weight[n]);
  to->entropy.push_back(from.entropy[n]);
  const float* diff = from.diff.data() + n * dims;
  to->diff.insert(to->diff.end(), diff, diff + dims);
}

std::shared_ptr<const Frame> WithRowsBelow(std::shared_ptr<const Frame> frame, std::uint32_t halo_rows) {
  const auto known = [halo_rows](std::uint32_t row) { return row < halo_rows; };
  if (std::all_of(frame->halo_row.begin(), frame->halo_row.end(), known)) return frame;
  auto out = std::make_shared<Frame>(*frame);
  ClearRows(out.get());
  for (std::size_t n = 0; n < frame->halo_row.size(); ++n) {
    if (known(frame->halo_row[n])) AppendRow(*frame, n, out.get());
  }
  return out;
}

Frame Coalesce(const Frame& older, Frame newer) {
  if (older.shard != newer.shard || older.sender != newer.sender) return newer;
  if (older.news_to != older.news_from && newer.news_from > older.news_from) {
    const bool meet = newer.news_from <= older.news_to && older.news_to <= newer.news_to;
    std::vector<LedgerEntry> both = older.entries;
    if (meet && newer.news_from < older.news_to) {
      // The newer frame resends from there on: its entry of a session is the one that counts.
      std::vector<SessionId> said_again;
      for (const LedgerEntry& entry : newer.entries) said_again.push_back(entry.session);
      std::sort(said_again.begin(), said_again.end());
      std::erase_if(both, [&](const LedgerEntry& entry) {
        return std::binary_search(said_again.begin(), said_again.end(), entry.session);
      });
    }
    if (meet && both.size() + newer.entries.size() <= vaultguard::kMaxFrameEntries) {
      both.insert(both.end(), newer.entries.begin(), newer.entries.end());
      newer.entries = std::move(both);
    } else {
      newer.entries = older.entries;
      newer.news_to = older.news_to;
    }
    newer.news_from = older.news_from;
  }
  if (newer.correction == Correction::kNone) {
    newer.correction = older.correction;
    newer.correction_buckets = older.correction_buckets;
    newer.held = older.held;
  }
  if (newer.bucket_digest.empty()) newer.bucket_digest = older.bucket_digest;
  std::vector<std::uint32_t> said = newer.halo_row;
  std::sort(said.begin(), said.end());
  for (std::size_t n = 0; n < older.halo_row.size() && newer.halo_row.size() < vaultguard::kMaxFrameRows; ++n) {
    if (!std::binary_search(said.begin(), said.end(), older.halo_row[n])) AppendRow(older, n, &newer);
  }
  return newer;
}

namespace {

std::optional<Refusal> CheckForm(const Frame& frame, const Shape& shape, std::uint32_t shard, std::uint64_t cycle) {
  if (frame.shard != shard) return Refusal::kUnknownShard;
  if (frame.value_slots != shape.value_slots) return Refusal::kWrongDimension;
  if (frame.cycle > cycle + vaultguard::kMaxCyclesAhead) return Refusal::kFutureCycle;
  const std::size_t rows = frame.halo_row.size();
  if (rows > vaultguard::kMaxFrameRows || frame.entries.size() > vaultguard::kMaxFrameEntries)
    return Refusal::kTooLarge;
  if (frame.published_cycle.size() != rows || frame.drift_weight.size() != rows || frame.entropy.size() != rows) {
    return Refusal::kColumnLengths;
  }
  if (frame.diff.size() != rows * static_cast<std::size_t>(shape.dimensions())) return Refusal::kWrongDimension;
  if (!frame.bucket_digest.empty() && frame.bucket_digest.size() != Ledger::kBuckets) return Refusal::kColumnLengths;
  if (frame.news_to < frame.news_from) return Refusal::kBadEntry;
  if (frame.held.size() > 2 * vaultguard::kMaxHeldRanges) return Refusal::kTooLarge;
  if (frame.held.size() % 2 != 0) return Refusal::kColumnLengths;
  if (!std::is_sorted(frame.held.begin(), frame.held.end())) return Refusal::kBadEntry;
  return std::nullopt;
}

// Counts bad elements without an early exit, so that the compiler vectorises the pass: nearly all frames are good.
template <typename T, typename Good>
bool All(const std::vector<T>& column, const Good& good) {
  std::uint32_t bad = 0;
  for (const T value : column) bad += good(value) ? 0u : 1u;
  return bad == 0;
}

}  // namespace

// Two functions, because a compiler that sees a dozen early exits before a loop takes the loop for cold.
std::optional<Refusal> CheckFrame(const Frame& frame, const Shape& shape, std::uint32_t shard, std::size_t halo_rows,
                                  std::uint64_t cycle) {
  if (const auto why = CheckForm(frame, shape, shard, cycle)) return why;
  // As narrow as the compared columns, so that a vector holds as many.
  const auto known = static_cast<std::uint32_t>(std::min<std::uint64_t>(halo_rows, ~std::uint32_t{0}));
  const auto newest = static_cast<std::uint32_t>(std::min<std::uint64_t>(frame.cycle, ~std::uint32_t{0}));
  if (!All(frame.halo_row, [=](std::uint32_t row) { return row < known; })) return Refusal::kUnknownHaloRow;
  if (!All(frame.published_cycle, [=](std::uint32_t published) { return published <= newest; })) {
    return Refusal::kFutureCycle;
  }
  if (!All(frame.diff, [](float number) { return std::abs(number) <= vaultguard::kMaxDistance; })) {
    return Refusal::kNotFinite;
  }
  return std::nullopt;
}

}  // namespace lvs::shard
