#include "services/cli/node_options.h"

#include <CLI/CLI.hpp>

#include "services/base/yaml_proto.h"
#include "services/cluster/testnet.h"

namespace lvs::services {
namespace {
constexpr std::int64_t kTimeoutMaxUs = std::int64_t{24} * 3600 * 1'000'000;
}  // namespace

void AddNodeOptions(CLI::App* command, NodeOptions& options, bool several) {
  CLI::Option* node = command
                          ->add_option("--node", options.nodes,
                                       std::string("Control address of a node (default: ") + kControlAddressDefault +
                                           (several ? "); may be given more than once" : ")"))
                          ->option_text("HOST:PORT");
  if (several) {
    node->allow_extra_args(false);
    command->add_flag("--cluster", options.cluster, "All nodes of the testnet in --dir, where no --node is given");
    command->add_option("--dir", options.testnet, "Directory of the testnet (default: " + options.testnet + ")")
        ->option_text("DIR");
  } else {
    node->expected(1);
  }
  command->add_option("--timeout", options.timeout, "How long to wait for an answer (default: " + options.timeout + ")")
      ->option_text("TIME");
  command->add_option("--ca", options.ca_file, "Speak TLS: PEM file of what signed the node's certificate")
      ->option_text("FILE");
  command->add_option("--cert", options.cert_file, "PEM file of the certificate to show to the node")
      ->option_text("FILE");
  command->add_option("--key", options.key_file, "PEM file of its key")->option_text("FILE");
}

absl::StatusOr<std::vector<ControlTarget>> TargetsOf(const NodeOptions& options) {
  const absl::StatusOr<std::int64_t> timeout_us = ParseDurationUs(options.timeout);
  if (!timeout_us.ok()) return absl::InvalidArgumentError("--timeout: " + std::string(timeout_us.status().message()));
  if (*timeout_us < 1'000) return absl::InvalidArgumentError("--timeout must be at least 1ms");
  if (*timeout_us > kTimeoutMaxUs) return absl::InvalidArgumentError("--timeout must be at most 24h");
  std::vector<std::string> addresses = options.nodes;
  if (addresses.empty() && options.cluster) {
    const absl::StatusOr<std::vector<TestnetNode>> nodes = ReadTestnet(options.testnet);
    if (!nodes.ok()) return nodes.status();
    for (const TestnetNode& node : *nodes) addresses.push_back(node.config.control_listen());
  }
  if (addresses.empty()) addresses.emplace_back(kControlAddressDefault);
  std::vector<ControlTarget> targets;
  for (const std::string& address : addresses) {
    targets.push_back({.address = address,
                       .ca_file = options.ca_file,
                       .cert_file = options.cert_file,
                       .key_file = options.key_file,
                       .timeout = std::chrono::milliseconds(*timeout_us / 1'000)});
  }
  return targets;
}

absl::StatusOr<std::vector<ControlClient>> ClientsOf(const NodeOptions& options) {
  const absl::StatusOr<std::vector<ControlTarget>> targets = TargetsOf(options);
  if (!targets.ok()) return targets.status();
  std::vector<ControlClient> clients;
  for (const ControlTarget& target : *targets) {
    absl::StatusOr<ControlClient> client = ControlClient::Open(target);
    if (!client.ok()) return client.status();
    clients.push_back(*std::move(client));
  }
  return clients;
}

}  // namespace lvs::services
