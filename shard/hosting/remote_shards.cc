#include "shard/hosting/remote_shards.h"

#include <cstddef>
#include <utility>

namespace lvs::hosting {

namespace {

// Live replicas that are looked at to find a typical bound.
constexpr std::size_t kBoundSample = 64;

// How far from the ledger a remote state diff may lie without looking odd: twice the widest band in a sample of the
// replicas here.
float TypicalBound(const shard::Columns& columns) {
  float widest = 1.0f;
  std::size_t seen = 0;
  for (std::size_t row = columns.first_local; row < columns.end && seen < kBoundSample; ++row) {
    if (!columns.Alive(row)) continue;
    widest = std::max(widest, 2 * std::max(columns.band[row], columns.bound_value[row]));
    ++seen;
  }
  return widest;
}

}  // namespace

void RemoteShards::NewSession(std::uint32_t node) {
  remotes_[node].replicas = 0;
  remotes_[node].wants_everybody = false;
}

bool RemoteShards::TakeWantsEverybody(std::uint32_t node) {
  return std::exchange(remotes_[node].wants_everybody, false);
}

void RemoteShards::Hear(std::uint32_t node, const shard::Frame& frame, std::uint64_t cycle, shard::StateShard* shard,
                        vaultguard::RefusalCounts* refused) {
  const shard::HaloLink::Raised raised =
      remotes_[node].halo.Hear(frame, layout_.halo_first[node], cycle, TypicalBound(shard->columns()), shard, refused);
  raised_.drains += raised.drains;
  raised_.entropy += raised.entropy;
}

shard::HaloLink::Raised RemoteShards::TakeRaised() { return std::exchange(raised_, {}); }

}  // namespace lvs::hosting
