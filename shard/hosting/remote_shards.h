// Knowledge of a shard about the same shard on the other server nodes, beside the ledger: the number of replicas there,
// and their ambassadors' publications, which go into the halo (shard/halo_link.h).
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

  // Forgets everything, when the process died and a new one runs.
  void Restart() { remotes_.assign(remotes_.size(), Remote{}); }

  // Takes note of another session at this far end. The watch over its state diffs goes on (SPEC-8.3): a sender cannot
  // shed its record by taking a new session.
  void NewSession(std::uint32_t node);
  // Notes that every ambassador's last state must be sent to the far end once.
  void WantEverybody(std::uint32_t node) { remotes_[node].wants_everybody = true; }
  // Returns whether such a note is set, and clears it.
  bool TakeWantsEverybody(std::uint32_t node);

  // Takes the beacon and the state diffs of a frame that has passed CheckFrame.
  void SetReplicas(std::uint32_t node, std::uint32_t replicas) { remotes_[node].replicas = replicas; }
  void Hear(std::uint32_t node, const shard::Frame& frame, std::uint64_t cycle, shard::StateShard* shard,
            vaultguard::RefusalCounts* refused);

  // Sets the share of remote neighbours to the share of remote replicas, by the last beacons of server nodes with
  // `is_heard(node)`.
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
  // A beacon's claim cannot be checked, so a server node counts for at most as many replicas as are here, or for this
  // many where fewer are here. A lie must not turn every neighbour into one of the liar's.
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
