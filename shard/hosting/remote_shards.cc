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

void RemoteShards::Restart() {
  for (Remote& remote : remotes_) {
    const bool counts = remote.counts;
    remote = Remote(remote.missing_cycles);
    remote.counts = counts;
  }
  begun_cycle_.reset();
}

void RemoteShards::NewSession(std::uint32_t node) {
  remotes_[node].replicas = 0;
  remotes_[node].leaving = false;
  remotes_[node].wants_everybody = false;
}

void RemoteShards::TakeBeacon(std::uint32_t node, const shard::Beacon& beacon, std::uint64_t cycle) {
  remotes_[node].replicas = beacon.replicas;
  remotes_[node].leaving = beacon.leaving;
  remotes_[node].heard_cycle = cycle;
  remotes_[node].forgotten = false;
}

void RemoteShards::SetFarEnd(std::uint32_t node, bool counts, std::uint64_t missing_cycles) {
  remotes_[node].counts = counts;
  remotes_[node].missing_cycles = missing_cycles == 0 ? missing_cycles_ : missing_cycles;
}

bool RemoteShards::IsMissing(Remote* remote, bool up, std::uint64_t cycle) const {
  if (!up) {
    remote->up_cycle.reset();
    remote->leaving = false;
    return false;
  }
  if (!remote->up_cycle) remote->up_cycle = cycle;
  if (remote->leaving || !remote->counts) return false;
  const bool heard = remote->heard_cycle && cycle <= *remote->heard_cycle + remote->missing_cycles;
  const std::uint64_t since = std::max(*remote->up_cycle, remote->heard_cycle.value_or(0));
  return !heard && cycle < since + kExpectedCycles;
}

// Where no replica lives yet, the first one that enters hurries by itself (StateShard::Join).
void RemoteShards::MeetAgain(Remote* remote, std::uint64_t cycle, shard::StateShard* shard) const {
  if (remote->heard_cycle != cycle) return;
  const bool was_missing = !remote->met_cycle || cycle > *remote->met_cycle + remote->missing_cycles;
  remote->met_cycle = cycle;
  if (!was_missing) return;
  remote->wants_everybody = true;
  if (remote->counts && shard->replicas() > 0 && cycle > *begun_cycle_ + kStartCycles) shard->Hurry(cycle);
}

// Honest replicas that have settled speak now and then, liars in every cycle: what a missing server node said last would soon
// be liars' words only.
void RemoteShards::ForgetIfMissing(std::uint32_t node, std::uint64_t cycle, shard::StateShard* shard) {
  Remote& remote = remotes_[node];
  if (!remote.heard_cycle || cycle <= *remote.heard_cycle + remote.missing_cycles || remote.forgotten) return;
  remote.forgotten = true;
  shard->ForgetHalo(layout_.halo_first[node], layout_.halo_count[node]);
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
