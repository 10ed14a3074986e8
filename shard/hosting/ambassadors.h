// The ambassadors of a shard: the sampled replicas whose state diffs go to the other server nodes. An ambassador's
// number is its row in the receivers' halo, so a successor takes over its number.
//
//   Ambassadors ambassadors({.wanted = 32, .shard = 3, .seed = shard_seed});
//   ambassadors.Renew(shard, cycle);   // every cycle; then, in the frame for each peer:
//   ambassadors.Tell(shard, cycle, last_told_cycle, /*everybody=*/false, &frame);
//
// One owner; a given seed and cycle always give the same choice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "shard/frame.h"
#include "shard/state_shard.h"

namespace lvs::hosting {

// A halo row is sent again at least this often, so that a peer that lost a frame hears every ambassador.
inline constexpr std::uint32_t kHaloRefreshCycles = 50;

// How many of a shard's replicas on one of `nodes` server nodes speak to the others.
std::uint32_t AmbassadorsOf(std::uint32_t replicas, std::uint32_t nodes);

struct AmbassadorsConfig {
  std::uint32_t wanted = 0;  // a shard with fewer replicas has fewer
  std::uint32_t shard = 0;
  std::uint64_t seed = 0;  // of this shard on this server node
};

class Ambassadors {
 public:
  explicit Ambassadors(AmbassadorsConfig config) : config_(config) {}

  // Chooses successors for ambassadors that left, and further ones where the shard has grown.
  void Renew(const shard::StateShard& shard, std::uint64_t cycle);
  void Clear() { rows_.clear(); }
  std::size_t size() const { return rows_.size(); }
  // By number; a row without a live replica has no successor yet.
  const std::vector<std::uint32_t>& rows() const { return rows_; }

  // Whether it is time to tell every ambassador's last publication, where frames may be sent in every cycle.
  bool Refreshes(std::uint64_t cycle) const { return cycle % kHaloRefreshCycles == config_.shard % kHaloRefreshCycles; }
  // Writes the ambassadors' publications after `since_cycle` into the frame's rows; with `everybody`, each one's last
  // publication.
  void Tell(const shard::StateShard& shard, std::uint64_t cycle, std::uint64_t since_cycle, bool everybody,
            shard::Frame* frame) const;

 private:
  std::uint32_t Pick(const shard::StateShard& shard, std::uint32_t number, std::uint64_t cycle) const;
  bool Serves(std::uint32_t row) const;

  AmbassadorsConfig config_;
  std::vector<std::uint32_t> rows_;  // by number
};

}  // namespace lvs::hosting
