// `lvs node`: runs a server node until a signal or a drain ends it.
#include "services/node/node.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "services/base/heap.h"
#include "services/base/huge_pages.h"
#include "services/base/log.h"
#include "services/base/yaml_proto.h"
#include "services/cli/cli.h"
#include "services/cli/commands.h"
#include "services/cli/output.h"
#include "services/node/node_config.h"
#include "shard/blocks.h"

namespace lvs::services {
namespace {

struct NodeCommand {
  std::string config;
  bool validate = false;
  NodeOverrides overrides;
};

// Waits for SIGTERM or SIGINT, which all threads block, then drains the node. A second signal ends the process at once.
int Serve(Node* node, const sigset_t& signals) {
  using std::chrono::milliseconds;
  bool draining = false;
  while (!node->WaitFor(milliseconds(0))) {
    const timespec pause{0, 50'000'000};
    const int signal = sigtimedwait(&signals, nullptr, &pause);
    if (signal < 0) continue;
    if (draining) {
      Log(v1::WARNING, "node.interrupted", {{"signal", signal}});
      return kExitCouldNotRun;
    }
    draining = true;
    node->Drain(signal == SIGTERM ? "SIGTERM" : "SIGINT");
  }
  return node->HandedOver() ? kExitPassed : kExitNotHandedOver;
}

int RunNode(const NodeCommand& command, std::ostream& out, std::ostream& err) {
  KeepHeap();
  shard::UseBlockAllocator({AllocateInHugePages, FreeHugePages});
  const absl::StatusOr<LoadedNodeConfig> loaded = LoadNodeConfig(command.config, command.overrides);
  if (!loaded.ok()) {
    err << "lvs: " << loaded.status().message() << "\n";
    return absl::IsInvalidArgument(loaded.status()) ? kExitUsage : kExitCouldNotRun;
  }
  if (command.validate) {
    out << (command.config.empty() ? std::string("the defaults") : command.config) << ": a node can run with this\n";
    return kExitPassed;
  }
  ConfigureLog(loaded->config.log().level(), loaded->config.log().lines_per_second());
  RouteGrpcLog();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &signals, &before);  // before the first thread, so that all inherit it
  absl::StatusOr<std::unique_ptr<Node>> node = Node::Start(loaded->config);
  int exit_code = kExitCouldNotRun;
  if (node.ok()) {
    exit_code = Serve(node->get(), signals);
    node->reset();
  } else {
    Log(v1::ERROR, "node.failed", {{"why", std::string(node.status().message())}});
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return exit_code;
}

}  // namespace

void AddNode(CLI::App& app, Commands& commands) {
  const auto command = std::make_shared<NodeCommand>();
  CLI::App* node = app.add_subcommand("node", "Run a server node of a cluster");
  NodeOverrides& over = command->overrides;
  node->add_option("--config", command->config, "YAML file (deploy/node.yaml has every key); without it: the defaults");
  node->add_flag("--validate", command->validate, "Check the configuration and exit");
  node->add_option("--region", over.region, "Where the node stands, for people");
  node->add_option("--listen", over.listen, "Where peers connect to, host:port; port 0 takes a free one");
  node->add_option("--advertise", over.advertise, "What peers are told to connect to, host:port");
  node->add_option("--control-listen", over.control_listen, "Where tools and clients connect to, host:port");
  node->add_option("--health-listen", over.health_listen, "Plain HTTP for probes and Prometheus, host:port");
  node->add_option("--boot", over.boot, "A peer to begin with, host:port; may be given many times");
  node->add_option("--cache-dir", over.cache_dir, "Folder of the optional cache");
  node->add_option("--micro-nodes", over.micro_nodes, "Micro-nodes that it hosts");
  const std::vector<std::string> levels = EnumWords(*v1::LogLevel_descriptor());
  node->add_option_function<std::string>(
          "--log-level",
          [&over, levels](const std::string& word) {
            const auto at = std::find(levels.begin(), levels.end(), word);
            over.log_level = static_cast<v1::LogLevel>(at - levels.begin() + v1::DEBUG);
          },
          "The least that is logged: " + JoinWords(levels))
      ->check(CLI::IsMember(levels));
  // An absent flag overrides nothing.
  node->add_flag(
      "--insecure", [&over](std::int64_t n) { over.insecure = n > 0; },
      "Listen without TLS on addresses other than loopback");
  node->add_flag(
      "--reflection", [&over](std::int64_t n) { over.reflection = n > 0; },
      "Serve gRPC reflection on the control address");
  node->footer(
      "SIGTERM drains: it hands over what peers that stay lack, says goodbye and ends.\n"
      "A second one ends it at once.\n\n"
      "Example:\n"
      "  lvs node --config deploy/node.yaml --validate\n"
      "  lvs node --listen 127.0.0.1:7410 --control-listen 127.0.0.1:7411 --health-listen 127.0.0.1:7412 \\\n"
      "           --boot 127.0.0.1:7400\n\n"
      "Exit codes: 0 drained, 1 could not run, 2 the configuration must be mended,\n"
      "11 drained, but what only this node held is lost: drain.deadline came first, or no peer stays.");
  commands.push_back({node, [command](std::ostream& out, std::ostream& err) { return RunNode(*command, out, err); }});
}

}  // namespace lvs::services
