#include "services/cli/cluster_status.h"

#include <algorithm>
#include <ostream>

#include "absl/strings/str_format.h"
#include "services/report/report.h"

namespace lvs::services {

namespace {

// Of a node that is a hub: its pages, and its tabs.
std::string HubText(const v1::WebStatus& web) {
  return absl::StrFormat("web server at %s: %s of %s tabs, %u of %u places taken; %u other hubs with %s tabs",
                         web.address(), FormatGrouped(web.tabs()), FormatGrouped(web.tabs_limit()), web.placed(),
                         web.places(), web.hubs(), FormatGrouped(web.remote_tabs()));
}

}  // namespace

void PrintStatus(const ClusterStatus& cluster, std::ostream& out) {
  Rows rows{{"control", "peers' address", "region", "state", "health", "peers", "cycle", "micro-nodes", "ledger",
             "digest", "holds all", "spread", "contributions", "memory"}};
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
                    DigestText(status.ledger().digest()), status.sync().holds_all() ? "yes" : "NO",
                    absl::StrFormat("%.1e", status.drift().relative_spread()),
                    FormatGrouped(status.ledger().accepted()), FormatMegabytes(status.resident_bytes())});
  }
  const bool named = std::any_of(cluster.nodes.begin(), cluster.nodes.end(),
                                 [](const ClusterStatus::Node& node) { return !node.name.empty(); });
  for (std::size_t i = 0; named && i < rows.size(); ++i) {
    rows[i].insert(rows[i].begin(), i == 0 ? "node" : cluster.nodes[i - 1].name);
  }
  PrintTable(out, rows);
  for (const ClusterStatus::Node& node : cluster.nodes) {
    if (node.status.ok() && node.status->has_web()) {
      out << "hub: " << node.control_address << ": " << HubText(node.status->web()) << "\n";
    }
  }
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
