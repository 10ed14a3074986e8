// Network namespaces for the nodes of a testnet: each has an address of its own on a bridge, and drops packets for
// real, where `lvs testnet` on loopback only lets the nodes themselves lose frames (issue 3).
//
//   if (absl::Status may = CheckNamespaces(); !may.ok()) ...          // "ip netns add: Operation not permitted"
//   absl::StatusOr<v1::TestnetNetwork> network = PlanNetwork(3);      // names only
//   ... write it down ...                                             // so that RemoveNetwork finds it after a crash
//   absl::Status made = MakeNetwork(*network);
//   SetRules(*network, 0, {.loss = 0.05, .severed = {2}});            // at the way in to node 0
//   RemoveNetwork(*network);
//
// The host reaches every node, loses nothing and is never severed: it is whom clients call from. Delay is not here: the
// kernel of most machines cannot add it without modules (netem), so nodes do that themselves (v1::Faults).
//
// Uses `ip` and `nft`, as root or with CAP_NET_ADMIN and CAP_SYS_ADMIN. Errors are those of the commands:
// FAILED_PRECONDITION. One thread at a time for one network.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/testnet.pb.h"

namespace lvs::services {

// Makes a namespace with a rule of each kind that is needed here and takes it away again; the first problem otherwise.
absl::Status CheckNamespaces();

// A network with an id and a subnet that nobody uses here. Makes nothing. RESOURCE_EXHAUSTED where none is free.
absl::StatusOr<v1::TestnetNetwork> PlanNetwork(std::size_t nodes);

std::string AddressOf(const v1::TestnetNetwork& network, std::size_t node);    // "198.18.7.1"
std::string NamespaceOf(const v1::TestnetNetwork& network, std::size_t node);  // for `ip netns exec`

// Nothing is left of it where this fails.
absl::Status MakeNetwork(const v1::TestnetNetwork& network);

// False after a restart of the machine.
bool NetworkIsThere(const v1::TestnetNetwork& network);

// What happens to packets on their way in to a node, from others than the host.
struct NetworkRules {
  double loss = 0;                     // share that is dropped at random
  std::vector<std::size_t> severed{};  // nodes from which nothing comes
};
absl::Status SetRules(const v1::TestnetNetwork& network, std::size_t node, const NetworkRules& rules);

// Takes away all that there is of it; what is gone already is no error.
absl::Status RemoveNetwork(const v1::TestnetNetwork& network);

}  // namespace lvs::services
