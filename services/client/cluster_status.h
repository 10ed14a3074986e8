// The status of several server nodes side by side, and the problems of the cluster that they form.
//
//   std::vector<ControlClient> clients;
//   for (const char* address : {"10.0.0.1:7401", "10.0.0.2:7401"}) {
//     absl::StatusOr<ControlClient> client = ControlClient::Open({.address = address});
//     if (client.ok()) clients.push_back(*std::move(client));
//   }
//   bool healthy = AskStatus(clients).Problems().empty();
//
// Nodes are asked in parallel, so that the total time is that of the slowest node, not the sum. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "lvs/v1/control.pb.h"
#include "services/client/control_client.h"

namespace lvs::services {

struct ClusterStatus {
  struct Node {
    std::string control_address;  // address that was asked
    std::string name;             // name of a testnet's node; empty where nodes have no names
    absl::StatusOr<v1::NodeStatus> status = absl::UnknownError("not asked");
  };
  std::vector<Node> nodes;
  std::vector<std::string> notes;  // further problems, which the nodes themselves cannot detect

  // Problems, each with its node and its remedy: what nodes report, nodes that do not answer, and serving nodes whose
  // ledgers differ. Empty means healthy.
  std::vector<std::string> Problems() const;
};

ClusterStatus AskStatus(const std::vector<ControlClient>& clients);

// Calls `ask` once for each client and returns the answers in the order of the clients.
template <typename Answer, typename Ask>
std::vector<absl::StatusOr<Answer>> AskEach(const std::vector<ControlClient>& clients, const Ask& ask) {
  std::vector<absl::StatusOr<Answer>> answers(clients.size(), absl::UnknownError("not asked"));
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < clients.size(); ++i) threads.emplace_back([&, i] { answers[i] = ask(clients[i]); });
  threads.clear();
  return answers;
}

// Texts of a status: "SERVING"; a digest as its first eight hexadecimal digits; the ledger's total over all slots as
// "12.5VU".
std::string StateText(const v1::NodeStatus& node);
std::string DigestText(std::uint64_t digest);
std::string LedgerText(const v1::LedgerStatus& ledger);

}  // namespace lvs::services
