// The graph of links between tabs, shard by shard: who is cut off (TEST-3.2).
//
//   const GraphFigures figures = LookAtGraph(looks, shards);
//
// Stateless: any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "services/tabs/member.h"

namespace lvs::services {

struct GraphFigures {
  std::uint64_t replicas = 0;              // (tab, shard) of settled tabs
  std::uint64_t cut_off = 0;               // of these outside the largest part of their shard, servers not counted
  std::uint64_t cut_off_with_servers = 0;  // the same, where places at servers connect
  std::uint32_t split_shards = 0;          // with somebody cut off
  std::uint32_t empty_shards = 0;          // that no tab holds
  double links_a_tab = 0;
  double shards_a_tab = 0;

  double cut_off_share() const {
    return replicas == 0 ? 0 : static_cast<double>(cut_off) / static_cast<double>(replicas);
  }
};

GraphFigures LookAtGraph(const std::vector<TabLook>& tabs, std::uint32_t shards);

}  // namespace lvs::services
