#include "services/client/cluster_status.h"

#include <numeric>
#include <set>

#include "services/base/text.h"
#include "services/client/contribution.h"

namespace lvs::services {

std::string StateText(const v1::NodeStatus& node) { return v1::NodeState_Name(node.state()); }

std::string DigestText(std::uint64_t digest) { return FormatHex(digest).substr(0, 8); }

std::string LedgerText(const v1::LedgerStatus& ledger) {
  return ValueText(static_cast<std::int64_t>(
      std::accumulate(ledger.total_uvu().begin(), ledger.total_uvu().end(), std::uint64_t{0})));
}

ClusterStatus AskStatus(const std::vector<ControlClient>& clients) {
  const auto answers = AskEach<v1::NodeStatus>(clients, [](const ControlClient& client) { return client.GetStatus(); });
  ClusterStatus cluster;
  for (std::size_t i = 0; i < clients.size(); ++i) cluster.nodes.push_back({clients[i].address(), "", answers[i]});
  return cluster;
}

std::vector<std::string> ClusterStatus::Problems() const {
  std::vector<std::string> problems;
  std::set<std::uint64_t> digests;
  std::string ledgers;
  for (const Node& node : nodes) {
    if (!node.status.ok()) {
      problems.push_back(std::string(node.status.status().message()));
      continue;
    }
    for (const std::string& problem : node.status->problems())
      problems.push_back(node.control_address + ": " + problem);
    if (node.status->state() != v1::SERVING) {
      if (node.status->problems().empty()) {
        problems.push_back(node.control_address + ": " + StateText(*node.status) +
                           (node.status->state() == v1::DRAINING ? "; it is about to end" : "; ask again in a moment"));
      }
      continue;
    }
    digests.insert(node.status->ledger().digest());
    ledgers += (ledgers.empty() ? "" : ", ") + node.control_address + " " + DigestText(node.status->ledger().digest()) +
               " with " + LedgerText(node.status->ledger());
  }
  if (digests.size() > 1) {
    problems.push_back("ledgers differ: " + ledgers +
                       "; they may be catching up: ask again in a moment, and see `lvs peers` if it lasts");
  }
  problems.insert(problems.end(), notes.begin(), notes.end());
  return problems;
}

}  // namespace lvs::services
