#include "shard/links.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shard/links.cc"
#include <hwy/foreach_target.h>
// foreach_target must come before highway.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lvs::shard::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using U = hn::ScalableTag<std::uint32_t>;
using I = hn::RebindToSigned<U>;

void Relink(const Columns& col, int peers, const std::uint32_t* now_at) {
  const U u;
  const I i;
  const auto neighbour = hn::Set(u, kNeighbourMask);
  const auto* const table = reinterpret_cast<const std::int32_t*>(now_at);
  for (int s = 0; s < peers; ++s) {
    std::uint32_t* const links = col.link + static_cast<std::size_t>(s) * col.stride;
    for (std::size_t row = col.first_local; row < col.end; row += hn::Lanes(u)) {
      const auto link = hn::Load(u, links + row);
      const auto now = hn::BitCast(u, hn::GatherIndex(i, table, hn::BitCast(i, hn::And(link, neighbour))));
      hn::Store(hn::Or(hn::AndNot(neighbour, link), now), u, links + row);
    }
  }
}

std::uint32_t LooseLinks(const Columns& col, int slot, std::size_t row, std::uint8_t dropped, std::uint64_t cycle) {
  const U u;
  const I i;
  const auto* const said = reinterpret_cast<const std::int32_t*>(col.said);
  const auto words = hn::Set(u, static_cast<std::uint32_t>(col.said_words));
  const auto meta_word = hn::Set(u, static_cast<std::uint32_t>(col.said_words) - 2);
  const auto cycle16 = hn::Set(u, static_cast<std::uint32_t>(cycle));
  const std::uint32_t* const links = col.link + static_cast<std::size_t>(slot) * col.stride + row;
  std::uint32_t loose = 0;
  for (std::size_t first = 0; first < kRowAlign; first += hn::Lanes(u)) {
    const auto link = hn::Load(u, links + first);
    const auto peer = hn::And(link, hn::Set(u, kNeighbourMask));
    auto found = hn::Or(hn::Eq(peer, hn::Iota(u, static_cast<std::uint32_t>(row + first))),
                        hn::Not(hn::Gt(hn::ShiftRight<24>(link), hn::Set(u, std::uint32_t{dropped}))));
    if (cycle > 0) {
      const auto at = hn::Add(hn::Mul(peer, words), meta_word);
      const auto meta = hn::BitCast(u, hn::GatherIndex(i, said, hn::BitCast(i, at)));
      const auto age = hn::And(hn::Sub(cycle16, meta), hn::Set(u, 0xffffu));
      found = hn::Or(found, hn::Or(hn::Not(hn::TestBit(meta, hn::Set(u, kMetaValid))),
                                   hn::Gt(age, hn::Set(u, vaultguard::kSilenceCycles))));
    }
    std::uint8_t bits[8] = {};
    hn::StoreMaskBits(u, found, bits);
    loose |= (bits[0] | std::uint32_t{bits[1]} << 8) << first;
  }
  return loose;
}

}  // namespace lvs::shard::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lvs::shard {

HWY_EXPORT(Relink);
HWY_EXPORT(LooseLinks);

void Relink(const Columns& columns, int peers, const std::vector<std::uint32_t>& now_at) {
  HWY_DYNAMIC_DISPATCH(Relink)(columns, peers, now_at.data());
}

std::uint32_t LooseLinks(const Columns& columns, int slot, std::size_t row, std::uint8_t dropped, std::uint64_t cycle) {
  return HWY_DYNAMIC_DISPATCH(LooseLinks)(columns, slot, row, dropped, cycle);
}

}  // namespace lvs::shard
#endif  // HWY_ONCE
