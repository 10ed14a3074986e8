// The options that select the server nodes of a command and how to reach them: --node, --cluster, --timeout and the TLS
// files.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/client/control_client.h"
#include "services/cluster/testnet.h"

namespace CLI {
class App;
}  // namespace CLI

namespace lvs::services {

struct NodeOptions {
  std::vector<std::string> nodes;  // empty: the default address, or the testnet's with `cluster`
  bool cluster = false;
  std::string testnet = kTestnetDirectoryDefault;
  std::string timeout = "5s";
  std::string ca_file, cert_file, key_file;
  std::string format = "table";
};

// Declares --node, --timeout, --ca, --cert and --key. With `several`, --node may be repeated, and --cluster and --dir
// exist.
void AddNodeOptions(CLI::App* command, NodeOptions& options, bool several);

// Returns at least one target. INVALID_ARGUMENT for a timeout without a unit, NOT_FOUND where --cluster finds no
// testnet.
absl::StatusOr<std::vector<ControlTarget>> TargetsOf(const NodeOptions& options);

// Opens a client for each target, or returns the first error.
absl::StatusOr<std::vector<ControlClient>> ClientsOf(const NodeOptions& options);

}  // namespace lvs::services
