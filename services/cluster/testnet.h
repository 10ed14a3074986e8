// A cluster of real server nodes on this machine, for trying things out: one process and one folder a node.
//
//   DIR/testnet.json         what the testnet is (proto/lvs/v1/testnet.proto)
//   DIR/node-0/node.yaml     its configuration (proto/lvs/v1/config.proto)
//              log           its standard output and error
//              pid           while it runs
//              faults.json   what SetFaults was last told, so that a restarted node gets it again
//              cache/        with TestnetPlan::cache
//
//   absl::StatusOr<Testnet> net = Testnet::Create("./runs/testnet", {.nodes = 3});
//   if (!net.ok()) return net.status();
//   for (std::size_t i = 0; i < net->nodes().size(); ++i) net->Start(i, "/usr/bin/lvs").IgnoreError();
//   absl::StatusOr<std::size_t> killed = net->StopAll(std::chrono::seconds(10));
//
// With TestnetPlan::namespaces each node has a network namespace of its own (services/cluster/testnet_network.h). After
// StopAll, RemoveNamespaces takes them away; Create removes those that an earlier testnet left.
//
// Processes are daemons: they outlive whoever started them, and any later process may stop them. A process counts as a
// node's only if it runs with that node's configuration file, so that a process that got the pid of a dead node is safe.
// Errors: FAILED_PRECONDITION where something runs that must not, or does not run that must; NOT_FOUND where there is no
// testnet; RESOURCE_EXHAUSTED for ports; DEADLINE_EXCEEDED for a process that does not end. One thread at a time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/config.pb.h"
#include "lvs/v1/control.pb.h"
#include "lvs/v1/testnet.pb.h"
#include "services/base/file_lock.h"
#include "services/base/process.h"
#include "services/cluster/testnet_config.h"

namespace lvs::services {

struct TestnetNode {
  std::filesystem::path folder;  // absolute
  v1::NodeConfig config;         // as it is in the file: what the file leaves out is unset

  std::filesystem::path ConfigFile() const { return folder / "node.yaml"; }
  std::filesystem::path LogFile() const { return folder / "log"; }
};

// The nodes of the testnet in `directory`, by number.
absl::StatusOr<std::vector<TestnetNode>> ReadTestnet(const std::filesystem::path& directory);

// The faults that were last saved for a node, whether or not it runs.
v1::Faults ReadFaults(const TestnetNode& node);

// The state that Create wrote down for the testnet in `directory`; empty where that cannot be read.
v1::TestnetState ReadTestnetState(const std::filesystem::path& directory);

// The process of a node, if it runs.
std::optional<pid_t> ProcessOf(const TestnetNode& node);

// The testnet in a directory, locked: no other process changes it for as long as this object lives.
class Testnet {
 public:
  // Writes the folders; starts nothing. Replaces what an earlier testnet left there, unless a node of it runs.
  static absl::StatusOr<Testnet> Create(const std::filesystem::path& directory, const TestnetPlan& plan);
  static absl::StatusOr<Testnet> Open(const std::filesystem::path& directory);

  Testnet(Testnet&&) = default;
  Testnet& operator=(Testnet&&) = delete;

  const std::filesystem::path& directory() const { return directory_; }
  const std::vector<TestnetNode>& nodes() const { return nodes_; }

  std::optional<pid_t> Pid(std::size_t i) const { return ProcessOf(nodes_.at(i)); }
  // Runs `binary node --config FILE` in a session of its own.
  absl::Status Start(std::size_t i, const std::filesystem::path& binary);
  // Sends the signal and waits for the end.
  absl::Status Stop(std::size_t i, int signal, std::chrono::milliseconds deadline);
  // SIGTERM to all, SIGKILL to those that are left at the deadline. OK once nothing runs; returns how many were killed.
  absl::StatusOr<std::size_t> StopAll(std::chrono::milliseconds deadline);

  // The faults that were last saved for node `i`.
  v1::Faults SavedFaults(std::size_t i) const { return ReadFaults(nodes_.at(i)); }
  // Those of the saved faults that the node brings about itself (Control.SetFaults): all, or in a namespace only the
  // delay.
  v1::Faults OwnFaults(std::size_t i) const;
  // In a namespace, loss and severed peers hold from here on.
  absl::Status SaveFaults(std::size_t i, const v1::Faults& faults) const;

  bool in_namespaces() const { return state_.has_network(); }
  // Takes the namespaces away, where there are some. All nodes must have ended.
  absl::Status RemoveNamespaces();

  // The last lines of the log of node `i`.
  std::string LogTail(std::size_t i, std::size_t lines) const;

 private:
  Testnet(std::filesystem::path directory, FileLock lock);

  std::filesystem::path directory_;  // absolute
  FileLock lock_;                    // no other process changes the testnet meanwhile
  std::vector<TestnetNode> nodes_;
  v1::TestnetState state_;
};

}  // namespace lvs::services
