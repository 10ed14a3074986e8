// What bench/wasm.mjs times on both sides: shards that take turns, as those of one browser tab do.
//
//   Throughput run(/*shards=*/16, /*replicas=*/250);
//   run.Cycles(500);              // returns replica cycles
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "shard/state_shard.h"

namespace lvs::wasm {

class Throughput {
 public:
  Throughput(std::uint32_t shards, std::uint32_t replicas);
  // Runs so many cycles of every shard and returns the replica cycles that were computed.
  std::uint64_t Cycles(std::uint32_t cycles);
  // Equal on both sides after equal calls.
  std::uint64_t Hash() const;

 private:
  std::vector<std::unique_ptr<shard::StateShard>> shards_;
  std::uint64_t cycle_ = 0;
};

}  // namespace lvs::wasm
