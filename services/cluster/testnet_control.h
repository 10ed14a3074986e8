// Operations on a running testnet: start nodes, ask them, sever them from each other, scatter their replicas, and check
// their ledgers against what clients were told. `lvs testnet` and the cluster tests share these functions.
//
//   absl::StatusOr<Testnet> net = Testnet::Create("./runs/testnet", {.nodes = 3});
//   if (!net.ok()) return net.status();
//   StartResult up = StartAll(*net, {.binary = "/usr/bin/lvs"});
//   if (!up.status.ok()) return up.status;
//   for (const SeveredNode& node : Sever(*net, {0, 0, 1})) std::cerr << node.status << "\n";
//
// Waits end early once `stop` is set, with CANCELLED. One thread at a time for one testnet.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/control.pb.h"
#include "lvs/v1/report.pb.h"
#include "services/client/cluster_status.h"
#include "services/client/control_client.h"
#include "services/client/load_record.h"
#include "services/cluster/testnet.h"

namespace lvs::services {

// ---- Asking --------------------------------------------------------------------------------------------------------

absl::StatusOr<ControlClient> ClientOf(const TestnetNode& node);
absl::StatusOr<std::vector<ControlClient>> ClientsOf(const std::vector<TestnetNode>& nodes);

// Notes a partition of the testnet, with the command that ends it. A node cannot tell a partition from peers that are
// gone.
void NotePartition(const std::vector<TestnetNode>& nodes, ClusterStatus* cluster);

// Asks all nodes for their status; `clients` has the same order. Nodes that do not run are noted with the command that
// starts them, and so is a partition.
ClusterStatus AskTestnet(const std::vector<TestnetNode>& nodes, const std::vector<ControlClient>& clients);

// ---- Starting ------------------------------------------------------------------------------------------------------

struct StartOptions {
  std::filesystem::path binary;  // the lvs binary
  std::chrono::milliseconds deadline{20'000};
  const std::atomic<bool>* stop = nullptr;
};

struct StartResult {
  absl::Status status;
  std::optional<std::size_t> failed;  // the node that kept the others waiting: its log may say why
  ClusterStatus cluster;              // as the nodes last answered
};

// The number of peers that StartAll waits for on each node, or all other nodes where there are fewer. Nodes keep more
// links than this, but not always one to every other node.
inline constexpr std::size_t kPeersWanted = 2;

// Starts every node, gives it its faults, and waits until all serve and have peers. Fails as soon as a node ends
// (UNAVAILABLE), and at the deadline (DEADLINE_EXCEEDED). Started nodes keep running after a failure.
StartResult StartAll(Testnet& net, const StartOptions& options);

// Starts one node, gives it its faults, and waits until it serves, whether or not it has peers. A node that has peers is
// waited for until it holds all (v1::SyncStatus).
StartResult StartNode(Testnet& net, std::size_t node, const StartOptions& options);

// Restarts the running nodes one after the other: each drains and is started again, and the next one follows once every
// running node serves, holds all and has peers. `on_node`, which may be empty, is told of each node that is back.
// FAILED_PRECONDITION where fewer than two run: nobody would hold what the other one has. `deadline` is that of each
// wait.
StartResult Roll(Testnet& net, const StartOptions& options, const std::function<void(std::size_t)>& on_node = {});

// ---- Faults --------------------------------------------------------------------------------------------------------

// Saves the faults of a node, and passes them to the node if it runs.
absl::Status ApplyFaults(const Testnet& net, std::size_t node, const v1::Faults& faults);

struct SeveredNode {
  std::vector<std::string> severed;  // addresses of the peers that the node is severed from
  absl::Status status;
};

// Severs each node from the nodes of other groups; loss and delay are unchanged. With one group, all hear each other.
// The result covers every node, even after a failure.
std::vector<SeveredNode> Sever(const Testnet& net, const std::vector<std::size_t>& group_of);

// Moves the replicas of all running nodes to random places and returns the number of these nodes. FAILED_PRECONDITION
// where none runs.
absl::StatusOr<std::size_t> Scatter(const std::vector<TestnetNode>& nodes, const std::vector<ControlClient>& clients);

// ---- Judging -------------------------------------------------------------------------------------------------------

// Polls until every node answers and is within the bounds, `within` is over, or `stop` is set, because news takes a
// moment to reach every node. Returns the last answers.
TotalsCheck AwaitTotals(const std::vector<TestnetNode>& nodes, const std::vector<ControlClient>& clients,
                        const std::vector<TotalBounds>& bounds, std::chrono::milliseconds within,
                        const std::atomic<bool>* stop = nullptr);

// Adds to a recorded report what only the testnet's folder holds: build, replay command, description, configurations.
void DescribeTestnet(const std::vector<TestnetNode>& nodes, v1::RunReport* report);

}  // namespace lvs::services
