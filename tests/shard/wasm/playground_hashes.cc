// Prints the state hash of the playground's network after every cycle, for the comparison with WebAssembly.
//
//   lvs_playground_hashes SEED REGIONS MICRO_NODES CYCLES [CYCLE:KIND:A:B ...]
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "shard/wasm/playground.h"

int main(int count, char** words) {
  using lvs::playground::Action;
  if (count < 5) {
    std::fprintf(stderr, "usage: %s SEED REGIONS MICRO_NODES CYCLES [CYCLE:KIND:A:B ...]\n", words[0]);
    return 2;
  }
  const auto number = [&](int at) { return std::strtoull(words[at], nullptr, 10); };
  lvs::playground::Playground network({.seed = number(1),
                                       .regions = static_cast<std::uint32_t>(number(2)),
                                       .micro_nodes = static_cast<std::uint32_t>(number(3))});
  for (std::uint64_t cycle = 0; cycle < number(4); ++cycle) {
    for (int at = 5; at < count; ++at) {
      std::uint64_t when = 0;
      unsigned kind = 0;
      std::int64_t a = 0;
      std::int64_t b = 0;
      if (std::sscanf(words[at], "%" SCNu64 ":%u:%" SCNd64 ":%" SCNd64, &when, &kind, &a, &b) != 4) return 2;
      if (when == cycle && !network.Do({static_cast<Action::Kind>(kind), a, b})) return 3;
    }
    network.Step();
    std::printf("%016" PRIx64 "\n", network.StateHash());
  }
  return 0;
}
