// Deterministic runs of the core, compiled twice: into a native program (native.cc) and into a WebAssembly module
// (module.cc). equality_test.mjs runs both and compares what they show after every cycle.
//
//   std::unique_ptr<Case> run = StartCase(0);
//   for (std::uint64_t cycle = 1; cycle <= kCycles; ++cycle) {
//     run->Step(cycle);
//     const Shown shown = run->Show();
//     ...
//   }
//   run->facts().ToJson();
//
// Cases use nothing but the pure folders: the same source must compile without files, clocks, exceptions and threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "shard/random.h"
#include "shard/state_shard.h"

namespace lvs::wasm {

inline constexpr std::uint64_t kCycles = 300;
// Attacks of shard/hosting/attack.h, and as one more the raw words that no attack there publishes.
inline constexpr std::size_t kAttacks = 16;
inline constexpr std::size_t kRawWords = 0;

// What both sides must agree on after a cycle.
struct Shown {
  std::uint64_t state = 0;  // StateShard::StateHash, over all shards of the case
  std::uint64_t rest = 0;   // everything else that can be observed: columns, counts, measures, ledgers, frames
};

// What a case has exercised so far. The test holds the sum of all cases to a list of what must occur, so that a case
// that quietly does nothing is noticed.
struct Facts {
  std::string name;
  int value_slots = 0;
  int free_coordinates = 0;
  int peers = 0;
  std::uint64_t server_nodes = 1;
  std::uint64_t shards = 1;
  std::uint64_t replica_cycles = 0;
  std::uint64_t entered = 0;    // replicas that entered after the start
  std::uint64_t left = 0;       // replicas that left without a word
  std::uint64_t low_power = 0;  // replica cycles in low power
  std::uint64_t restarts = 0;   // of a shard, with an empty memory
  std::uint64_t contributions = 0;
  std::uint64_t frames = 0;                    // decoded and taken
  std::uint64_t frame_bytes = 0;               // on the wire
  std::uint64_t frames_refused = 0;            // by the decoder
  std::uint64_t refusals = 0;                  // of rows, entries and frames, by the core
  std::uint64_t not_finite = 0;                // NaN and infinity that liars published
  std::uint64_t liars_stopped = 0;             // replicas that lied and became honest again
  std::array<std::uint64_t, kAttacks> lies{};  // rows published by liars, by attack

  std::string ToJson() const;
};

class Case {
 public:
  virtual ~Case() = default;
  // Cycles count from 1 and follow on each other.
  virtual void Step(std::uint64_t cycle) = 0;
  // What the last step left.
  virtual Shown Show() const = 0;
  // Changes one bit of what one replica said last. The comparison must notice.
  virtual void PlantDifference() = 0;
  const Facts& facts() const { return facts_; }

 protected:
  Facts facts_;
};

std::size_t CaseCount();
// A case at its start; null from CaseCount() on.
std::unique_ptr<Case> StartCase(std::size_t index);

// The three tables that CaseCount counts together.
std::size_t ShardCaseCount();
std::unique_ptr<Case> StartShardCase(std::size_t index);
std::size_t NetworkCaseCount();
std::unique_ptr<Case> StartNetworkCase(std::size_t index);
std::size_t TabCaseCount();
std::unique_ptr<Case> StartTabCase(std::size_t index);

// A hash that depends on the order of what is added.
class Hasher {
 public:
  void Add(std::uint64_t word) { hash_ = shard::Mix(hash_ ^ word) + 0x9e3779b97f4a7c15ull; }
  void Add(float number);
  void Add(double number);
  std::uint64_t hash() const { return hash_; }

 private:
  std::uint64_t hash_ = 0;
};

// Adds all that StateHash leaves out: links, bands, what was said last, the ledger, measures.
void AddRest(const shard::StateShard& shard, Hasher* hasher);
void AddCounts(const shard::CycleCounts& counts, Hasher* hasher);
// Flips the lowest bit of the first coordinate that the first live replica said last. False where nobody lives.
bool FlipOneBit(shard::StateShard* shard);

}  // namespace lvs::wasm
