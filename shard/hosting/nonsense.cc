#include "shard/hosting/nonsense.h"

#include <cstddef>
#include <cstdint>
#include <limits>

#include "vaultguard/limits.h"

namespace lvs::hosting {

namespace {

// `good` with an entry of a session that was never opened.
shard::Frame WithForgedEntry(const shard::Frame& good, int kind, std::int64_t amount_uvu) {
  shard::LedgerEntry forged;
  forged.session = {0xbad, 0xbad + static_cast<std::uint64_t>(kind)};
  forged.opened_cycle = good.cycle;
  forged.amount_uvu[0] = amount_uvu;
  shard::Frame bad = good;
  bad.entries.push_back(forged);
  return bad;
}

}  // namespace

shard::Frame Nonsense(const shard::Frame& good, int kind) {
  shard::Frame bad = good;
  // One row more than the good frame has, so that there is a row to spoil.
  const std::size_t dims =
      good.halo_row.empty() ? static_cast<std::size_t>(good.value_slots) + 2 : good.diff.size() / good.halo_row.size();
  bad.halo_row.push_back(0);
  bad.published_cycle.push_back(static_cast<std::uint32_t>(good.cycle));
  bad.drift_weight.push_back(255);
  bad.entropy.push_back(0x01010101);
  bad.diff.resize(bad.diff.size() + dims, 0.5f);
  switch (kind) {
    case 0: bad.diff.back() = std::numeric_limits<float>::quiet_NaN(); break;
    case 1: bad.diff.back() = -std::numeric_limits<float>::infinity(); break;
    case 2: bad.diff.pop_back(); break;
    case 3: bad.drift_weight.clear(); break;
    case 4: bad.shard = good.shard + 1'000'000; break;
    case 5: bad.cycle = good.cycle + 1'000'000; break;
    case 6: bad.halo_row.back() = 0xffffffff; break;
    case 7: bad.value_slots = good.value_slots + 1; break;
    case 8: return good;  // a replay, word for word
    case 9: bad.halo_row.assign(vaultguard::kMaxFrameRows + 1, 0); break;
    case 10: return WithForgedEntry(good, kind, std::int64_t{1} << 50);  // more than the session may have earned
    case 11: return WithForgedEntry(good, kind, -1);                     // negative value
    default: break;
  }
  return bad;
}

}  // namespace lvs::hosting
