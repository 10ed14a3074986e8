// Replicas of a shard for a report's picture: where each one is, where the last cycle moved it, and which neighbours it
// has in the picture.
//
//   Picture picture;
//   picture.Choose(shard, 80);            // before the cycle: remembers what the chosen replicas said
//   shard.Advance(cycle, loss, &counts);
//   picture.Draw(shard, &dots);           // after it
#pragma once

#include <cstdint>
#include <vector>

#include "shard/state_shard.h"

namespace lvs::hosting {

// One replica. The free coordinates are the picture; a shard without them shows its first values.
struct Dot {
  float x = 0;
  float y = 0;
  float dx = 0;  // since its last publication; 0 where it had published nothing, and for liars
  float dy = 0;
  bool adversary = false;
  float entropy = 0;                      // mean absolute component of its last entropy packet
  std::vector<std::uint32_t> neighbours;  // that are dots of the same picture, by index
};

class Picture {
 public:
  // Chooses up to `wanted` live replicas, evenly spread over the rows; 0: none.
  void Choose(const shard::StateShard& shard, std::uint32_t wanted);
  // Appends a dot for each chosen replica. An adversary is drawn where it claims to be.
  void Draw(const shard::StateShard& shard, std::vector<Dot>* dots) const;

 private:
  struct Chosen {
    std::uint32_t row = 0;
    bool spoke = false;  // had published before the cycle, at (x, y)
    float x = 0;
    float y = 0;
  };

  std::vector<Chosen> chosen_;
};

}  // namespace lvs::hosting
