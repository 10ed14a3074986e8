// What a shard knows of the same shard on the other server nodes, beside the ledger: how many replicas are there, and
// what their ambassadors publish, which goes into the halo (shard/halo_link.h).
//
//   RemoteShards remotes(layout);
//   remotes.Hear(from, frame, cycle, &shard, &refused);   // the newest frame of its session
//   remotes.Weigh(is_heard, &shard);                      // how many of the neighbours should be remote
//
// One owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "shard/frame.h"
#include "shard/halo_link.h"
#include "shard/hosting/shard_layout.h"
#include "shard/state_shard.h"
#include "vaultguard/refusals.h"

namespace lvs::hosting {

class RemoteShards {
 public:
  explicit RemoteShards(const ShardLayout& layout) : layout_(layout), remotes_(layout.halo_first.size()) {}

  // Knows nothing any more: the process died and a new one runs.
  void Restart() { remotes_.assign(remotes_.size(), Remote{}); }

  // Another session is at this far end. The watch over its state diffs goes on (SPEC-8.3): a sender cannot shed its
  // record by taking a new session.
  void NewSession(std::uint32_t node);
  // The far end needs to be told every ambassador's last state once.
  void WantEverybody(std::uint32_t node) { remotes_[node].wants_everybody = true; }
  // Whether it does; false from then on.
  bool TakeWantsEverybody(std::uint32_t node);

  // The beacon and the state diffs of a frame that has passed CheckFrame.
  void SetReplicas(std::uint32_t node, std::uint32_t replicas) { remotes_[node].replicas = replicas; }
  void Hear(std::uint32_t node, const shard::Frame& frame, std::uint64_t cycle, shard::StateShard* shard,
            vaultguard::RefusalCounts* refused);

  // Lets as many of the neighbours be remote as of all replicas, by the last beacons of those that `is_heard(node)`.
  template <class IsHeard>
  void Weigh(IsHeard is_heard, shard::StateShard* shard) const {
    std::uint32_t rows = 0;
    double remote = 0;
    for (std::uint32_t node = 0; node < remotes_.size(); ++node) {
      if (!is_heard(node)) continue;
      rows = std::max(rows, layout_.halo_first[node] + layout_.halo_count[node]);
      remote += std::min(remotes_[node].replicas, std::max(shard->replicas(), kCrowd));
    }
    shard->SetRemote(rows, remote / std::max(1.0, remote + shard->replicas()));
  }

  // Anomalies that the far ends raised since the last call.
  shard::HaloLink::Raised TakeRaised();

 private:
  // Nobody can check a beacon's claim: a server node counts for as many replicas as are here, or for this many where
  // fewer are here. A lie must not turn every neighbour into one of the liar's.
  static constexpr std::uint32_t kCrowd = 64;

  struct Remote {
    std::uint32_t replicas = 0;  // by its last beacon
    bool wants_everybody = false;
    shard::HaloLink halo;
  };

  ShardLayout layout_;
  std::vector<Remote> remotes_;  // by server node; the own one is unused
  shard::HaloLink::Raised raised_;
};

}  // namespace lvs::hosting
