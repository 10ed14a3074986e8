// Lies that hostile micro-nodes publish instead of their state. A liar may know everything: the honest mean and spread,
// its victims' bounds, the ledger. A liar can neither break the hash that draws the loss nor speak for another session.
//
//   Adversaries adversaries;
//   adversaries.Begin(row, Attack::kStubborn);
//   shard.Advance(cycle, loss, &counts);
//   adversaries.Publish(seed, cycle, &shard);   // overwrites what the row has just published
//   adversaries.End(row);                       // honest from the next publication on
//
// One owner; a given seed and cycle always give the same lies.
#pragma once

#include <cstdint>
#include <vector>

#include "shard/hosting/attack.h"
#include "shard/state_shard.h"

namespace lvs::hosting {

class Adversaries {
 public:
  void Begin(std::uint32_t row, Attack attack) { liars_.push_back({row, attack, {}, 0}); }
  // Idempotent: `row` need not be hostile.
  void End(std::uint32_t row);
  void Clear() { liars_.clear(); }

  // Replaces what the hostile rows published in `cycle`. `seed` is the scenario's.
  void Publish(std::uint64_t seed, std::uint64_t cycle, shard::StateShard* shard);

 private:
  struct Liar {
    std::uint32_t row = 0;
    Attack attack = Attack::kNone;
    std::vector<float> recorded;  // kReplay: the state that it repeats
    std::uint32_t recorded_meta = 0;
  };
  // Knowledge that all liars of one cycle share.
  struct Knowledge;

  static void PublishOne(const Knowledge& knows, std::uint64_t cycle, Liar* liar, shard::StateShard* shard);

  std::vector<Liar> liars_;
};

}  // namespace lvs::hosting
