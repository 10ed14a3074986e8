// `lvs node`: runs a server node until a signal or a drain ends it.
#include "services/node/node.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <iterator>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "services/base/available_memory.h"
#include "services/base/fatal.h"
#include "services/base/heap.h"
#include "services/base/huge_pages.h"
#include "services/base/log.h"
#include "services/base/threads.h"
#include "services/base/yaml_proto.h"
#include "services/cli/cli.h"
#include "services/cli/commands.h"
#include "services/cli/output.h"
#include "services/emulator/budget.h"
#include "services/node/cache_shape.h"
#include "services/node/node_config.h"
#include "services/scenario/scenario.h"
#include "shard/blocks.h"

namespace lvs::services {
namespace {

struct NodeCommand {
  std::string config;
  bool validate = false;
  NodeOverrides overrides;
};

// How long the end of a node waits for whoever reads its log.
constexpr std::chrono::milliseconds kLogEndDeadline{500};
// Threads beside the workers, of which there is one a core: gRPC's, the clock, the cache, the probes.
constexpr unsigned kThreadsBesideWorkers = 16;

struct NodeSignal {
  int number;
  const char* name;
  bool drains;  // false: it changes nothing
};

// main.cc ignores SIGPIPE and SIGXFSZ.
constexpr NodeSignal kNodeSignals[] = {
    {SIGTERM, "SIGTERM", true}, {SIGINT, "SIGINT", true},    {SIGQUIT, "SIGQUIT", true},  {SIGPWR, "SIGPWR", true},
    {SIGHUP, "SIGHUP", false},  {SIGUSR1, "SIGUSR1", false}, {SIGUSR2, "SIGUSR2", false},
};

// Keeps the signals of kNodeSignals from this thread and from all that it starts, so that Next can wait for them.
class NodeSignals {
 public:
  NodeSignals() {
    sigemptyset(&set_);
    for (const NodeSignal& signal : kNodeSignals) sigaddset(&set_, signal.number);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~NodeSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NodeSignals(const NodeSignals&) = delete;
  NodeSignals& operator=(const NodeSignals&) = delete;

  // The next signal; null where none came within a moment.
  const NodeSignal* Next() const {
    const timespec pause{0, 50'000'000};
    const int number = sigtimedwait(&set_, nullptr, &pause);
    const auto found = std::find_if(std::begin(kNodeSignals), std::end(kNodeSignals),
                                    [number](const NodeSignal& signal) { return signal.number == number; });
    return found == std::end(kNodeSignals) ? nullptr : found;
  }

 private:
  sigset_t set_;
  sigset_t before_;
};

// The log of a node that runs: nobody who logs waits for a reader, and how the process ends is a line of it.
class NodeLog {
 public:
  NodeLog() {
    StartLogWriter();
    WriteFatalErrorsAsLog(true);
  }
  ~NodeLog() {
    WriteFatalErrorsAsLog(false);
    EndLogWriter(kLogEndDeadline);
  }
  NodeLog(const NodeLog&) = delete;
  NodeLog& operator=(const NodeLog&) = delete;
};

// Drains the node at the first signal that says so. A second one ends the process at once.
int Serve(Node* node, const NodeSignals& signals) {
  using std::chrono::milliseconds;
  bool draining = false;
  while (!node->WaitFor(milliseconds(0))) {
    const NodeSignal* const signal = signals.Next();
    if (signal == nullptr) continue;
    if (!signal->drains) {
      Log(v1::INFO, "node.signal", {{"signal", signal->name}, {"why", "it changes nothing; SIGTERM drains"}});
      continue;
    }
    if (draining) {
      Log(v1::WARNING, "node.interrupted", {{"signal", signal->name}});
      return kExitCouldNotRun;
    }
    draining = true;
    node->Drain(signal->name);
  }
  return node->HandedOver() ? kExitPassed : kExitNotHandedOver;
}

// RESOURCE_EXHAUSTED where it is known beforehand that the micro-nodes do not fit into the memory there is.
absl::Status CheckMemory(const v1::NodeConfig& config) {
  v1::Scenario alike;
  alike.mutable_state()->set_shards(config.state().shards());
  alike.mutable_state()->set_value_slots(config.state().value_slots());
  alike.mutable_state()->set_free_coordinates(config.state().free_coordinates());
  alike.mutable_population()->set_micro_nodes(config.population().micro_nodes());
  alike.mutable_population()->set_shards_per_node(config.population().shards_per_node());
  FillDefaults(&alike);
  const std::uint64_t bytes = EstimateBudget(alike).resident_bytes;
  const AvailableMemory available = FindAvailableMemory();
  if (bytes <= available.bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      "population.micro_nodes: " + FormatCount(config.population().micro_nodes(), "micro-node") + " need about " +
      FormatMegabytes(bytes) + " of memory and " + FormatMegabytes(available.bytes) + " " + available.limit +
      "; write fewer, or a smaller population.shards_per_node");
}

absl::StatusOr<std::unique_ptr<Node>> StartNode(const v1::NodeConfig& config) {
  if (absl::Status fits = CheckMemory(config); !fits.ok()) return fits;
  absl::Status can = CheckThreads(std::thread::hardware_concurrency() + kThreadsBesideWorkers);
  if (!can.ok()) return can;
  return Node::Start(config);
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
    const v1::NodeConfig& config = loaded->config;
    absl::Status fits;
    if (!config.cache_dir().empty()) {
      fits = CheckCacheShape(config.cache_dir(), {config.state().shards(), config.state().value_slots()});
    }
    if (!fits.ok()) {
      err << "lvs: cache_dir: " << fits.message() << "\n";
      return kExitUsage;
    }
    out << (command.config.empty() ? std::string("the defaults") : command.config) << ": a node can run with this\n";
    return kExitPassed;
  }
  const NodeSignals signals;  // before the first thread
  const NodeLog log;
  ConfigureLog(loaded->config.log().level(), loaded->config.log().lines_per_second());
  RouteGrpcLog();
  absl::StatusOr<std::unique_ptr<Node>> node = StartNode(loaded->config);
  if (!node.ok()) {
    Log(v1::ERROR, "node.failed", {{"why", std::string(node.status().message())}});
    return kExitCouldNotRun;
  }
  return Serve(node->get(), signals);
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
  node->add_option("--web-listen", over.web_listen, "Pages and browser tabs, host:port; none without it");
  node->add_option("--boot", over.boot, "A peer to begin with, host:port; may be given many times");
  node->add_option("--cache-dir", over.cache_dir, "Folder of the optional cache");
  node->add_option("--micro-nodes", over.micro_nodes, "Micro-nodes that it hosts")->check(WholeNumber());
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
      "SIGTERM drains, as do SIGINT, SIGQUIT and SIGPWR: it hands over what peers that stay lack, says goodbye and\n"
      "ends; a second one ends it at once. SIGHUP, SIGUSR1 and SIGUSR2 change nothing: certificates are read again by\n"
      "themselves, and the log goes to standard error.\n\n"
      "Example:\n"
      "  lvs node --config deploy/node.yaml --validate\n"
      "  lvs node --listen 127.0.0.1:7410 --control-listen 127.0.0.1:7411 --health-listen 127.0.0.1:7412 \\\n"
      "           --boot 127.0.0.1:7400\n\n"
      "Exit codes: 0 drained, 1 could not run, 2 the configuration must be mended,\n"
      "11 drained, but what only this node held is lost: drain.deadline came first, or no peer stays.");
  commands.push_back({node, [command](std::ostream& out, std::ostream& err) { return RunNode(*command, out, err); }});
}

}  // namespace lvs::services
