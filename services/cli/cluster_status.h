// Prints the status of server nodes side by side: for `lvs status` and `lvs testnet`.
#pragma once

#include <iosfwd>

#include "services/cli/output.h"
#include "services/client/cluster_status.h"

namespace lvs::services {

// Prints a row for each node, then a line for each problem.
void PrintStatus(const ClusterStatus& cluster, std::ostream& out);

// Returns {"healthy": ..., "problems": [...], "nodes": [...]}.
Json StatusAsJson(const ClusterStatus& cluster);

}  // namespace lvs::services
