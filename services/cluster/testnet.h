// A testnet: a cluster of real server nodes on this machine, for experiments. Each node has a process and a folder.
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
// StopAll, RemoveNamespaces deletes them. Create deletes those that an earlier testnet left.
//
// Processes are daemons: they outlive the process that started them, and any later process may stop them. A process
// counts as a node's only if it runs with that node's configuration file, so a process that reused the pid of a dead
// node is safe. Errors are FAILED_PRECONDITION where a node runs that must not, or does not run and must; NOT_FOUND
// where there is no testnet; RESOURCE_EXHAUSTED where ports are taken; DEADLINE_EXCEEDED where a process does not end.
// One thread at a time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
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
  v1::NodeConfig config;         // as in the file: fields that the file omits are unset

  std::filesystem::path Directory() const { return folder.parent_path(); }  // of the testnet
  std::filesystem::path ConfigFile() const { return folder / "node.yaml"; }
  std::filesystem::path LogFile() const { return folder / "log"; }
};

inline constexpr const char* kTestnetDirectoryDefault = "./runs/testnet";

// What a person types next: `lvs testnet WORDS`, with --dir where the directory is not the default.
std::string TestnetHint(const std::filesystem::path& directory, std::string_view words);

// Reads the nodes of the testnet in `directory`, ordered by number.
absl::StatusOr<std::vector<TestnetNode>> ReadTestnet(const std::filesystem::path& directory);

// The faults that were last saved for a node, whether or not it runs.
v1::Faults ReadFaults(const TestnetNode& node);

// The state that Create saved for the testnet in `directory`; empty where it cannot be read.
v1::TestnetState ReadTestnetState(const std::filesystem::path& directory);

// The process of a node, if it runs.
std::optional<pid_t> ProcessOf(const TestnetNode& node);

// The testnet in a directory, locked: no other process changes it during the lifetime of this object.
class Testnet {
 public:
  // Writes the folders and starts nothing. An earlier testnet in the directory is replaced unless one of its nodes
  // runs.
  static absl::StatusOr<Testnet> Create(const std::filesystem::path& directory, const TestnetPlan& plan);
  static absl::StatusOr<Testnet> Open(const std::filesystem::path& directory);

  Testnet(Testnet&&) = default;
  Testnet& operator=(Testnet&&) = delete;

  const std::filesystem::path& directory() const { return directory_; }
  const std::vector<TestnetNode>& nodes() const { return nodes_; }

  std::optional<pid_t> Pid(std::size_t i) const { return ProcessOf(nodes_.at(i)); }
  // Runs `binary node --config FILE` in a session of its own.
  absl::Status Start(std::size_t i, const std::filesystem::path& binary);
  // Sends the signal and waits for the process to end.
  absl::Status Stop(std::size_t i, int signal, std::chrono::milliseconds deadline);
  // Sends SIGTERM to all nodes, and SIGKILL to those that still run at the deadline. Returns how many were killed, once
  // none runs.
  absl::StatusOr<std::size_t> StopAll(std::chrono::milliseconds deadline);

  // The faults that were last saved for node `i`.
  v1::Faults SavedFaults(std::size_t i) const { return ReadFaults(nodes_.at(i)); }
  // The saved faults that the node injects itself (Control.SetFaults): all, or in a namespace only the delay.
  v1::Faults OwnFaults(std::size_t i) const;
  // Saves the faults. In a namespace, loss and severed peers take effect at once.
  absl::Status SaveFaults(std::size_t i, const v1::Faults& faults) const;

  bool in_namespaces() const { return state_.has_network(); }
  // Deletes the namespaces, if there are any. All nodes must have ended.
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
