// Knowledge of a shard about the same shard on the other server nodes, beside the ledger: the number of replicas there,
// and their ambassadors' publications, which go into the halo (shard/halo_link.h).
//
//   RemoteShards remotes(layout);
//   remotes.Hear(from, frame, cycle, &shard, &refused);   // the newest frame of its session
//   remotes.Weigh(is_heard, &shard);                      // how many of the neighbours should be remote
//   remotes.Meet(is_up, /*links_change=*/true, others_missing, cycle, &shard);   // who is missing, who has come
//
// One owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "shard/frame.h"
#include "shard/halo_link.h"
#include "shard/hosting/shard_layout.h"
#include "shard/state_shard.h"
#include "vaultguard/refusals.h"

namespace lvs::hosting {

// A server node gives a sign of life every 20 cycles: one that was not heard for this long is missing, even where a sign
// or two were lost. Browser tabs give one every 60 cycles, and are missing later.
inline constexpr std::uint64_t kMissingCycles = 50;
// A server node that fell silent is expected back for this long: an hour, at 100 ms a cycle. After that it counts as
// gone for good.
inline constexpr std::uint64_t kExpectedCycles = 36'000;
// A server node that is heard so soon after the start was there from the start.
inline constexpr std::uint64_t kStartCycles = 8;

class RemoteShards {
 public:
  explicit RemoteShards(const ShardLayout& layout, std::uint64_t missing_cycles = kMissingCycles)
      : layout_(layout), missing_cycles_(missing_cycles), remotes_(layout.halo_first.size(), Remote(missing_cycles)) {}

  // Forgets everything but who is at each far end, when the process died and a new one runs.
  void Restart();

  // Takes note of another session at this far end. The watch over its state diffs goes on (SPEC-8.3): a sender cannot
  // shed its record by taking a new session.
  void NewSession(std::uint32_t node);
  // Who is at a far end from now on. A browser tab (`counts` is false) comes and goes, and anybody opens one: it is never
  // missing, its arrival makes nobody hurry, and it weighs no more than the rows that are kept of it. Its words are
  // forgotten after `missing_cycles`; 0: as configured.
  void SetFarEnd(std::uint32_t node, bool counts, std::uint64_t missing_cycles);
  // Notes that every ambassador's last state must be sent to the far end once.
  void WantEverybody(std::uint32_t node) { remotes_[node].wants_everybody = true; }
  // Returns whether such a note is set, and clears it.
  bool TakeWantsEverybody(std::uint32_t node);

  // Takes the beacon of a frame that has passed CheckFrame, and then its state diffs.
  void TakeBeacon(std::uint32_t node, const shard::Beacon& beacon, std::uint64_t cycle);
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
      const std::uint32_t most = remotes_[node].counts ? std::max(shard->replicas(), kCrowd) : layout_.halo_count[node];
      remote += std::min(remotes_[node].replicas, most);
    }
    shard->SetRemote(rows, remote / std::max(1.0, remote + shard->replicas()));
  }

  // Tells the shard whether a server node is missing (StateShard::SetApart), whose words no longer count (ForgetHalo),
  // and when one has come (Hurry), which is then told what every ambassador said last. Call in every cycle.
  //
  // A server node is missing that has been silent for missing_cycles, or was never heard, unless it said that it leaves
  // or is gone for so long that nobody expects it back. Without `links_change` that holds for every server node. With
  // it a far end counts only while `is_up(node)`, and `others_missing` says whether one is missing that has no link.
  template <class IsUp>
  void Meet(IsUp is_up, bool links_change, bool others_missing, std::uint64_t cycle, shard::StateShard* shard) {
    if (!begun_cycle_) begun_cycle_ = cycle;
    bool missing = others_missing;
    for (std::uint32_t node = 0; node < remotes_.size(); ++node) {
      if (layout_.halo_count[node] == 0) continue;  // this server node's own place
      const bool up = !links_change || is_up(node);
      missing = IsMissing(&remotes_[node], up, cycle) || missing;
      MeetAgain(&remotes_[node], cycle, shard);
      ForgetIfMissing(node, cycle, shard);
    }
    shard->SetApart(missing);
  }

  // Anomalies that the far ends raised since the last call.
  shard::HaloLink::Raised TakeRaised();

 private:
  // A beacon's claim cannot be checked, so a server node counts for at most as many replicas as are here, or for this
  // many where fewer are here. A lie must not turn every neighbour into one of the liar's.
  static constexpr std::uint32_t kCrowd = 64;

  struct Remote {
    explicit Remote(std::uint64_t missing) : missing_cycles(missing) {}
    bool counts = true;
    std::uint64_t missing_cycles;
    std::uint32_t replicas = 0;  // by its last beacon
    bool leaving = false;        // likewise
    bool wants_everybody = false;
    std::optional<std::uint64_t> up_cycle;     // since when it has a link
    std::optional<std::uint64_t> heard_cycle;  // last; empty: never
    std::optional<std::uint64_t> met_cycle;    // when it was last heard by Meet
    bool forgotten = false;                    // what it said, since it was heard last
    shard::HaloLink halo;
  };

  bool IsMissing(Remote* remote, bool up, std::uint64_t cycle) const;
  void MeetAgain(Remote* remote, std::uint64_t cycle, shard::StateShard* shard) const;
  void ForgetIfMissing(std::uint32_t node, std::uint64_t cycle, shard::StateShard* shard);

  ShardLayout layout_;
  std::uint64_t missing_cycles_;
  std::vector<Remote> remotes_;               // by server node; the own one is unused
  std::optional<std::uint64_t> begun_cycle_;  // when this process began to listen
  shard::HaloLink::Raised raised_;
};

}  // namespace lvs::hosting
