// The plan of a testnet, and the configuration that each of its nodes gets.
//
//   TestnetPlan plan{.nodes = 3, .regions = {"eu", "us"}};
//   absl::StatusOr<std::vector<NodeAddresses>> addresses = LoopbackAddresses(plan.nodes, plan.base_port);
//   if (addresses.ok()) std::string yaml = NodeConfigText(plan, 0, "/tmp/net/node-0", *addresses);
//
// Stateless: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lvs/v1/control.pb.h"
#include "lvs/v1/testnet.pb.h"

namespace lvs::services {

struct TestnetPlan {
  std::size_t nodes = 3;
  std::vector<std::string> regions{};  // taken in turn; empty: all in "local"
  std::uint32_t micro_nodes = 0;       // on each node; 0: the node's default
  std::int64_t period_us = 0;          // 0: the node's default
  bool cache = false;
  std::uint16_t base_port = 0;  // three ports a node from here on; 0: free ones, outside the ephemeral range
  v1::Faults faults{};          // loss and delay, on every link
  bool namespaces = false;      // true: base_port is ignored
  std::string command{};        // the command line that asks for this plan, for reports
};

inline constexpr std::size_t kTestnetNodesMax = 100;

// The host:port of each of a node's three listeners.
struct NodeAddresses {
  std::string peers, control, health;
};

// Picks addresses on loopback, one set for each node. RESOURCE_EXHAUSTED where ports are taken.
absl::StatusOr<std::vector<NodeAddresses>> LoopbackAddresses(std::size_t nodes, std::uint16_t base_port);

// The addresses of the nodes of a network of namespaces.
std::vector<NodeAddresses> AddressesIn(const v1::TestnetNetwork& network);

// The configuration file of node `i` (proto/lvs/v1/config.proto). Each node boots from the first two of the others.
std::string NodeConfigText(const TestnetPlan& plan, std::size_t i, const std::filesystem::path& folder,
                           const std::vector<NodeAddresses>& addresses);

// Parses "0,1/2" for three nodes into the group of each, {0, 0, 1}. INVALID_ARGUMENT unless each node is named exactly
// once and there are at least two groups.
absl::StatusOr<std::vector<std::size_t>> ParsePartition(const std::string& text, std::size_t nodes);

}  // namespace lvs::services
