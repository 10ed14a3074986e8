#include "shard/overlay.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "shard/links.h"
#include "shard/random.h"

namespace lvs::shard {

namespace {

// A row checks its slots once in so many cycles, together with the adjacent rows.
constexpr std::uint32_t kTurns = 8;

// Spreads consecutive numbers over 64 bits.
constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ull;

// Decides whether a candidate is searched among remote rows first.
bool LooksFar(std::uint32_t halo, double remote_share, std::uint64_t draw) {
  return halo > 0 && Unit(draw) < remote_share;
}

}  // namespace

void Overlay::Set(const Columns& col, int slot, std::uint32_t row, std::uint32_t peer, std::uint8_t trust) const {
  const std::size_t at = static_cast<std::size_t>(slot) * col.stride + row;
  col.link[at] = Link(peer, trust);
  col.link_entropy[at] = 0;
}

void Overlay::Draw(const Columns& col, const std::vector<std::uint32_t>& rows, std::uint32_t halo, double remote_share,
                   std::uint64_t cycle) {
  drawn_cycle_ = cycle;
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
    for (std::uint64_t attempt = 0; attempt < kRemoteDraws; ++attempt) {
      const std::uint32_t peer = Below(Mix(draw + 1 - attempt * kGolden), halo);
      if (col.Heard(peer, cycle)) return peer;
    }
  }
  const auto first = static_cast<std::uint32_t>(col.first_local);
  const auto locals = static_cast<std::uint32_t>(col.end) - first;
  for (std::uint64_t attempt = 2; attempt < 10; ++attempt) {
    const std::uint32_t peer = first + Below(Mix(draw + attempt), locals);
    if (peer != row && col.Alive(peer)) return peer;
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
    Set(col, s, row, theirs == row || !col.Heard(theirs, cycle) ? host : theirs, kTrustExchanged);
    Set(col, s, host, row, kTrustExchanged);
  }
}

std::uint64_t Overlay::Maintain(const Columns& col, double shuffle, std::uint32_t halo, double remote_share, bool hurry,
                                std::uint64_t cycle) {
  Exchange(col, shuffle, cycle);
  const std::uint64_t replaced = Replace(col, halo, remote_share, cycle);
  return replaced + Trade(col, hurry ? std::max(shuffle, kHurryTrades) : shuffle, halo, remote_share, cycle);
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
  // A drawn slot may lead to a halo row that has not spoken yet. Soon another remote row may take its place, but a local
  // one only after the silence limit, because server nodes far away are heard late. Until then no row can have been
  // silent for long.
  const bool at_first = drawn_cycle_ && cycle <= *drawn_cycle_ + vaultguard::kSilenceCycles;
  const bool waits = at_first && (halo == 0 || cycle <= *drawn_cycle_ + kFirstWordCycles);
  const auto replace = [&](int s, std::uint32_t row) {
    if (!col.Alive(row)) return;
    const std::uint64_t draw =
        shard::Draw(seed_, Stream::kFallback, row * 16ull + static_cast<std::uint64_t>(s), ~cycle);
    const std::uint32_t other = Candidate(col, row, halo, remote_share, draw, cycle);
    if (other == row) return;
    const std::uint32_t peer = NeighbourOf(col.link[static_cast<std::size_t>(s) * col.stride + row]);
    const bool never_spoke = peer < col.first_local && (col.Meta(peer) & kMetaValid) == 0;
    if (at_first && never_spoke && other >= col.first_local) return;
    Set(col, s, row, other, kTrustExchanged);
    ++replaced;
  };
  for (std::size_t row = col.first_local + cycle % kTurns * kRowAlign; row < col.end; row += kTurns * kRowAlign) {
    for (int s = 0; s < shape_.peers; ++s) {
      for (std::uint32_t loose = LooseLinks(col, s, row, kTrustDropped, waits ? 0 : cycle); loose != 0;
           loose &= loose - 1) {
        replace(s, static_cast<std::uint32_t>(row) + static_cast<std::uint32_t>(std::countr_zero(loose)));
      }
    }
  }
  return replaced;
}

std::uint64_t Overlay::Trade(const Columns& col, double share, std::uint32_t halo, double remote_share,
                             std::uint64_t cycle) const {
  if (halo == 0) return 0;
  std::uint64_t traded = 0;
  const auto first = static_cast<std::uint32_t>(col.first_local);
  const auto locals = static_cast<std::uint32_t>(col.end) - first;
  const std::uint64_t this_cycle = shard::Draw(seed_, Stream::kFallback, ~0ull, ~cycle);
  const auto trades = static_cast<std::uint64_t>(share * locals * shape_.peers + Unit(Mix(this_cycle)));
  for (std::uint64_t n = 1; n <= trades; ++n) {
    const std::uint64_t draw = Mix(this_cycle + n * kGolden);
    const std::uint32_t row = first + Below(draw, locals);
    const int s = static_cast<int>(draw % static_cast<std::uint64_t>(shape_.peers));
    const std::uint32_t peer = NeighbourOf(col.link[static_cast<std::size_t>(s) * col.stride + row]);
    const std::uint64_t candidate = Mix(draw);
    // A local neighbour is not traded for a local one: Exchange does that.
    const bool far = LooksFar(halo, remote_share, candidate);
    if ((!far && peer >= first) || !col.Alive(row)) continue;
    const std::uint32_t other = Candidate(col, row, halo, remote_share, candidate, cycle);
    if (other == row || other == peer || (other < first) != far) continue;
    Set(col, s, row, other, kTrustExchanged);
    ++traded;
  }
  return traded;
}

}  // namespace lvs::shard
