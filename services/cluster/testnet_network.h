// Network namespaces for the nodes of a testnet. Each namespace has an address of its own on a bridge, and the kernel
// drops its packets, whereas on loopback the nodes themselves can only drop frames (issue 3).
//
//   if (absl::Status may = CheckNamespaces(); !may.ok()) ...      // "ip netns add: Operation not permitted"
//   absl::StatusOr<v1::TestnetNetwork> network = PlanNetwork(3);  // names only
//   // Write the plan down now, so that RemoveNetwork finds the network after a crash.
//   if (absl::Status made = MakeNetwork(*network); !made.ok()) return made;
//   // At the way in to node 0:
//   absl::Status set = SetRules(*network, 0, {.loss = 0.05, .severed = {2}});
//   return RemoveNetwork(*network);
//
// The host reaches every node, loses nothing and is never severed, because clients call from the host. Delay is missing
// here: most kernels cannot add it without a module (netem), so nodes delay frames themselves (v1::Faults).
//
// The functions run `ip` and `nft`, which need root or CAP_NET_ADMIN and CAP_SYS_ADMIN. A command that fails gives
// FAILED_PRECONDITION. One thread at a time for one network.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/testnet.pb.h"

namespace lvs::services {

// Checks that namespaces work: makes one with a rule of each kind that is needed here, and deletes it. Returns the
// first error.
absl::Status CheckNamespaces();

// Plans a network with an id and a subnet that are unused on this machine, and makes nothing. RESOURCE_EXHAUSTED where
// no subnet is free.
absl::StatusOr<v1::TestnetNetwork> PlanNetwork(std::size_t nodes);

std::string AddressOf(const v1::TestnetNetwork& network, std::size_t node);    // "198.18.7.1"
std::string NamespaceOf(const v1::TestnetNetwork& network, std::size_t node);  // for `ip netns exec`

// Makes the network. A failure leaves nothing behind.
absl::Status MakeNetwork(const v1::TestnetNetwork& network);

// True if the network exists; false after a restart of the machine.
bool NetworkIsThere(const v1::TestnetNetwork& network);

// The rules for packets that enter a node, except those from the host.
struct NetworkRules {
  double loss = 0;                     // share of packets dropped at random
  std::vector<std::size_t> severed{};  // nodes whose packets are all dropped
};
absl::Status SetRules(const v1::TestnetNetwork& network, std::size_t node, const NetworkRules& rules);

// Deletes every part of the network that exists. Missing parts are not an error.
absl::Status RemoveNetwork(const v1::TestnetNetwork& network);

}  // namespace lvs::services
