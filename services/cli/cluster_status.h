// The status of one or more server nodes side by side, with a verdict: for `lvs status` and `lvs testnet`.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lvs/v1/control.pb.h"
#include "services/cli/output.h"
#include "services/client/control_client.h"

namespace lvs::services {

struct ClusterStatus {
  struct Node {
    std::string control_address;  // that was asked
    std::string name;             // of a testnet's node; a column of its own where one has it
    absl::StatusOr<v1::NodeStatus> status = absl::UnknownError("not asked");
  };
  std::vector<Node> nodes;
  std::vector<std::string> notes;  // further problems, which the nodes themselves cannot know

  // What is wrong, each with the node and what to do about it: what nodes say, nodes that do not answer, and ledgers
  // of serving nodes that differ. Healthy when empty.
  std::vector<std::string> Problems() const;
};

// Asks all at the same time.
ClusterStatus AskStatus(const std::vector<ControlClient>& clients);

// A row a node, then a line a problem.
void PrintStatus(const ClusterStatus& cluster, std::ostream& out);
Json StatusAsJson(const ClusterStatus& cluster);

// "SERVING"; a digest as eight hexadecimal digits; the ledger total over all slots as "12.5VU".
std::string StateText(const v1::NodeStatus& node);
std::string DigestText(std::uint64_t digest);
std::string LedgerText(const v1::LedgerStatus& ledger);

}  // namespace lvs::services
