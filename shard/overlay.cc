#include "shard/overlay.h"

#include <algorithm>
#include <utility>

#include "shard/random.h"

namespace lvs::shard {

using vaultguard::kSilenceCycles;

namespace {

bool Heard(const Columns& col, std::uint32_t row, std::uint64_t cycle) {
  const std::uint32_t meta = col.Meta(row);
  return (meta & kMetaValid) != 0 && Age(meta, cycle) <= kSilenceCycles;
}

// A row looks after its links every so many cycles.
constexpr std::uint32_t kTurns = 8;
std::uint32_t FirstTurn(const Columns& col, std::uint64_t cycle) {
  return static_cast<std::uint32_t>(col.first_local + cycle % kTurns);
}

// Whether a candidate is looked for among those on other server nodes first.
bool LooksFar(std::uint32_t halo, double remote_share, std::uint64_t draw) {
  return halo > 0 && Unit(draw) < remote_share;
}

}  // namespace

void Overlay::Set(const Columns& col, int slot, std::uint32_t row, std::uint32_t peer, std::uint8_t trust) const {
  const std::size_t at = static_cast<std::size_t>(slot) * col.stride + row;
  col.link[at] = Link(peer, trust);
  col.link_entropy[at] = 0;
}

void Overlay::Draw(const Columns& col, const std::vector<std::uint32_t>& rows, std::uint32_t halo,
                   double remote_share) {
  const auto n = static_cast<std::uint32_t>(rows.size());
  std::vector<std::uint32_t> order(rows);
  for (int s = 0; s < shape_.peers; ++s) {
    for (std::uint32_t i = n; i > 1; --i) {
      const std::uint64_t draw = shard::Draw(seed_, Stream::kNeighbour, i, static_cast<std::uint64_t>(s));
      std::swap(order[i - 1], order[Below(draw, i)]);
    }
    for (std::uint32_t i = 0; i < n; ++i) {
      // A row that drew itself swaps with the next one: still a permutation.
      if (order[i] == rows[i] && n > 1) std::swap(order[i], order[(i + 1) % n]);
    }
    for (std::uint32_t i = 0; i < n; ++i) {
      const std::uint64_t draw =
          shard::Draw(seed_, Stream::kNeighbour, rows[i] * 16ull + static_cast<std::uint64_t>(s), ~0ull);
      const bool remote = halo > 0 && Unit(draw) < remote_share;
      Set(col, s, rows[i], remote ? Below(Mix(draw), halo) : order[i], kTrustNew);
    }
  }
}

std::uint32_t Overlay::Candidate(const Columns& col, std::uint32_t row, std::uint32_t halo, double remote_share,
                                 std::uint64_t draw, std::uint64_t cycle) const {
  if (LooksFar(halo, remote_share, draw)) {
    const std::uint32_t peer = Below(Mix(draw + 1), halo);
    if (Heard(col, peer, cycle)) return peer;
  }
  const auto first = static_cast<std::uint32_t>(col.first_local);
  const auto locals = static_cast<std::uint32_t>(col.end) - first;
  for (std::uint64_t attempt = 2; attempt < 10; ++attempt) {
    const std::uint32_t peer = first + Below(Mix(draw + attempt), locals);
    if (peer != row && (col.flags[peer] & kAlive) != 0) return peer;
  }
  return row;
}

void Overlay::Join(const Columns& col, std::uint32_t row, std::uint32_t halo, double remote_share,
                   std::uint64_t cycle) {
  for (int s = 0; s < shape_.peers; ++s) {
    const std::uint64_t draw =
        shard::Draw(seed_, Stream::kFallback, row * 16ull + static_cast<std::uint64_t>(s), cycle);
    const std::uint32_t host = Candidate(col, row, halo, 0.0, draw, cycle);
    if (host == row) {
      Set(col, s, row, Candidate(col, row, halo, 1.0, Mix(draw), cycle), kTrustNew);
      continue;
    }
    const std::uint32_t theirs = NeighbourOf(col.link[static_cast<std::size_t>(s) * col.stride + host]);
    Set(col, s, row, theirs == row || !Heard(col, theirs, cycle) ? host : theirs, kTrustExchanged);
    Set(col, s, host, row, kTrustExchanged);
  }
}

std::uint64_t Overlay::Maintain(const Columns& col, double shuffle, std::uint32_t halo, double remote_share,
                                std::uint64_t cycle) {
  Exchange(col, shuffle, cycle);
  const std::uint64_t replaced = Replace(col, halo, remote_share, cycle);
  return replaced + Trade(col, shuffle, halo, remote_share, cycle);
}

void Overlay::Exchange(const Columns& col, double shuffle, std::uint64_t cycle) const {
  const auto first = static_cast<std::uint32_t>(col.first_local);
  const auto locals = static_cast<std::uint32_t>(col.end) - first;
  const auto exchanges = static_cast<std::uint64_t>(shuffle * locals * shape_.peers / 2 +
                                                    Unit(shard::Draw(seed_, Stream::kShuffle, ~0ull, cycle)));
  for (std::uint64_t n = 0; n < exchanges; ++n) {
    const std::uint64_t draw = shard::Draw(seed_, Stream::kShuffle, n, cycle);
    const int slot = static_cast<int>(Below(draw, static_cast<std::uint32_t>(shape_.peers)));
    const std::uint32_t a = first + Below(Mix(draw + 1), locals);
    const std::uint32_t b = first + Below(Mix(draw + 2), locals);
    if (a == b || (col.flags[a] & col.flags[b] & kAlive) == 0) continue;
    const std::uint32_t of_a = NeighbourOf(col.link[static_cast<std::size_t>(slot) * col.stride + a]);
    const std::uint32_t of_b = NeighbourOf(col.link[static_cast<std::size_t>(slot) * col.stride + b]);
    if (of_a == b || of_b == a) continue;
    Set(col, slot, a, of_b, kTrustExchanged);
    Set(col, slot, b, of_a, kTrustExchanged);
  }
}

std::uint64_t Overlay::Replace(const Columns& col, std::uint32_t halo, double remote_share, std::uint64_t cycle) const {
  std::uint64_t replaced = 0;
  const bool listens = cycle > kSilenceCycles;
  const auto end = static_cast<std::uint32_t>(col.end);
  for (int s = 0; s < shape_.peers; ++s) {
    const std::uint32_t* const links = col.link + static_cast<std::size_t>(s) * col.stride;
    for (std::uint32_t row = FirstTurn(col, cycle); row < end; row += kTurns) {
      const std::uint32_t peer = NeighbourOf(links[row]);
      const bool silent = listens && !Heard(col, peer, cycle);
      if ((peer != row && !silent && TrustOf(links[row]) > kTrustDropped) || (col.flags[row] & kAlive) == 0) continue;
      const std::uint64_t draw =
          shard::Draw(seed_, Stream::kFallback, row * 16ull + static_cast<std::uint64_t>(s), ~cycle);
      const std::uint32_t other = Candidate(col, row, halo, remote_share, draw, cycle);
      if (other == row) continue;
      Set(col, s, row, other, kTrustExchanged);
      ++replaced;
    }
  }
  return replaced;
}

std::uint64_t Overlay::Trade(const Columns& col, double shuffle, std::uint32_t halo, double remote_share,
                             std::uint64_t cycle) const {
  const double trades_a_row = halo == 0 ? 0.0 : kTurns * shuffle * shape_.peers;
  if (trades_a_row == 0) return 0;
  std::uint64_t traded = 0;
  const auto first = static_cast<std::uint32_t>(col.first_local);
  const std::uint64_t this_cycle = shard::Draw(seed_, Stream::kFallback, ~0ull, ~cycle);
  for (std::uint32_t row = FirstTurn(col, cycle); row < col.end; row += kTurns) {
    if ((col.flags[row] & kAlive) == 0) continue;
    const std::uint64_t draw = Mix(this_cycle + row * 0x9e3779b97f4a7c15ull);
    auto trades = static_cast<int>(trades_a_row + Unit(draw));
    for (std::uint64_t turn = Mix(draw); trades > 0; --trades, turn = Mix(turn + 1)) {
      const int s = static_cast<int>(Below(turn, static_cast<std::uint32_t>(shape_.peers)));
      const std::uint32_t peer = NeighbourOf(col.link[static_cast<std::size_t>(s) * col.stride + row]);
      const std::uint64_t candidate = Mix(turn);
      if (peer >= first && !LooksFar(halo, remote_share, candidate)) continue;  // it would be a near one again
      const std::uint32_t other = Candidate(col, row, halo, remote_share, candidate, cycle);
      if (other == row || (other < first) == (peer < first)) continue;
      Set(col, s, row, other, kTrustExchanged);
      ++traded;
    }
  }
  return traded;
}

}  // namespace lvs::shard
