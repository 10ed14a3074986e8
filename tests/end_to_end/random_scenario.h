// Random scenarios within the limits that docs/scenarios.md gives, for tests of what must hold for all of them.
//
//   v1::Scenario scenario = RandomScenario(17);       // complete and valid; the same number is the same scenario
//   EXPECT_EQ(report.summary().micro_nodes_alive(), MicroNodesAtTheEnd(scenario));
#pragma once

#include <cstdint>

#include "lvs/v1/scenario.pb.h"

namespace lvs {

// Every shape, up to 6 regions and 240 micro-nodes, links that lose up to 40 %, and up to 5 events of all kinds, which end
// early enough for the network to be whole again. Nothing that is acknowledged may be lost: a region's outage leaves two
// others, of a partition's sides each keeps what it holds, and every region keeps micro-nodes.
v1::Scenario RandomScenario(std::uint64_t number);

// A network in which nobody lies and nobody contributes: 1 to 8 regions of 1 to 12 micro-nodes, even and uneven, 3 to 16
// peers, up to 800 ms between regions, loss, and partitions and restarts that end early enough for all to agree.
v1::Scenario RandomHonestNetwork(std::uint64_t number);

// The population that the events leave, by their words.
std::uint64_t MicroNodesAtTheEnd(const v1::Scenario& scenario);

}  // namespace lvs
