// The exports of the playground's module. One network is open at a time. Numbers that JavaScript reads lie in the
// module's memory; their addresses hold until the next call. services/web/pages/src/playground/playground_worker.ts calls
// these functions.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>

#include "shard/wasm/export.h"
#include "shard/wasm/playground.h"

namespace {

using lvs::playground::Action;
using lvs::playground::Playground;

std::unique_ptr<Playground> open_network;

}  // namespace

LVS_EXPORT(playground_start)
void playground_start(std::uint32_t seed, std::uint32_t regions, std::uint32_t micro_nodes) {
  open_network.reset();  // before the next one takes its memory
  open_network = std::make_unique<Playground>(
      lvs::playground::PlaygroundConfig{.seed = seed, .regions = regions, .micro_nodes = micro_nodes});
}

// 1: it will happen in the next cycle; 0: these numbers mean nothing here. Integers that a double holds exactly.
LVS_EXPORT(playground_do) std::uint32_t playground_do(std::uint32_t kind, double a, double b) {
  if (kind >= static_cast<std::uint32_t>(Action::Kind::kCount)) return 0;
  constexpr double kExact = 9007199254740992;  // 2^53
  if (!(a >= 0 && a < kExact && b >= 0 && b < kExact)) return 0;
  const Action action{static_cast<Action::Kind>(kind), static_cast<std::int64_t>(a), static_cast<std::int64_t>(b)};
  return open_network->Do(action) ? 1 : 0;
}

LVS_EXPORT(playground_step) void playground_step() { open_network->Step(); }
LVS_EXPORT(playground_slots) std::uint32_t playground_slots() { return open_network->slots(); }
LVS_EXPORT(playground_peers) std::uint32_t playground_peers() { return lvs::playground::kPeers; }
LVS_EXPORT(playground_hash) std::uint64_t playground_hash() { return open_network->StateHash(); }
LVS_EXPORT(playground_figures) const double* playground_figures() { return &open_network->figures().cycle; }
LVS_EXPORT(playground_figure_count) std::uint32_t playground_figure_count() {
  return static_cast<std::uint32_t>(lvs::playground::kFigures);
}

// The columns of the picture: x, y, behind, drift, entropy, trust are floats; age words; kind, region bytes.
LVS_EXPORT(playground_column) const void* playground_column(std::uint32_t column) {
  const lvs::playground::Points& points = open_network->points();
  const void* const columns[] = {points.x.data(),     points.y.data(),       points.behind.data(),
                                 points.drift.data(), points.entropy.data(), points.trust.data(),
                                 points.age.data(),   points.kind.data(),    points.region.data()};
  return column < std::size(columns) ? columns[column] : nullptr;
}
LVS_EXPORT(playground_links_to) const std::uint32_t* playground_links_to() { return open_network->links().to.data(); }
LVS_EXPORT(playground_links_trust) const float* playground_links_trust() { return open_network->links().trust.data(); }
