#include "services/cli/cluster_status.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <ostream>
#include <set>

#include "absl/strings/str_format.h"
#include "services/cli/node_options.h"
#include "services/report/report.h"

namespace lvs::services {

std::string StateText(const v1::NodeStatus& node) { return v1::NodeState_Name(node.state()); }

std::string DigestText(std::uint64_t digest) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(digest));
  return std::string(text, 8);
}

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

void PrintStatus(const ClusterStatus& cluster, std::ostream& out) {
  Rows rows{{"control", "peers' address", "region", "state", "health", "peers", "cycle", "micro-nodes", "ledger",
             "digest", "spread", "contributions", "memory"}};
  for (const ClusterStatus::Node& node : cluster.nodes) {
    if (!node.status.ok()) {
      rows.push_back({node.control_address, "-", "-", "-", "UNREACHABLE"});
      continue;
    }
    const v1::NodeStatus& status = *node.status;
    rows.push_back({node.control_address, status.address(), status.region(), StateText(status),
                    status.problems().empty() ? "ok" : "UNHEALTHY",
                    std::to_string(status.peers_connected()) + " of " + std::to_string(status.peers_known()),
                    FormatGrouped(status.cycle()), FormatGrouped(status.micro_nodes()), LedgerText(status.ledger()),
                    DigestText(status.ledger().digest()), absl::StrFormat("%.1e", status.drift().relative_spread()),
                    FormatGrouped(status.ledger().accepted()), FormatMegabytes(status.resident_bytes())});
  }
  const bool named = std::any_of(cluster.nodes.begin(), cluster.nodes.end(),
                                 [](const ClusterStatus::Node& node) { return !node.name.empty(); });
  for (std::size_t i = 0; named && i < rows.size(); ++i) {
    rows[i].insert(rows[i].begin(), i == 0 ? "node" : cluster.nodes[i - 1].name);
  }
  PrintTable(out, rows);
  const std::vector<std::string> problems = cluster.Problems();
  if (!problems.empty()) out << "\n";
  for (const std::string& problem : problems) out << "problem: " << problem << "\n";
}

Json StatusAsJson(const ClusterStatus& cluster) {
  const std::vector<std::string> problems = cluster.Problems();
  Json nodes = Json::array();
  for (const ClusterStatus::Node& node : cluster.nodes) {
    Json entry{{"node", node.control_address}};
    if (!node.name.empty()) entry["name"] = node.name;
    entry["reachable"] = node.status.ok();
    if (node.status.ok()) {
      entry["healthy"] = node.status->problems().empty();
      entry["status"] = Json::parse(MessageJson(*node.status));
    } else {
      entry["healthy"] = false;
      entry["error"] = std::string(node.status.status().message());
    }
    nodes.push_back(std::move(entry));
  }
  return {{"healthy", problems.empty()}, {"problems", problems}, {"nodes", nodes}};
}

}  // namespace lvs::services
