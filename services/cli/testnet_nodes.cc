// `lvs testnet status`, `kill` and `down`.
#include <csignal>
#include <ostream>

#include "services/cli/cli.h"
#include "services/cli/cluster_status.h"
#include "services/cli/testnet_commands.h"
#include "services/cluster/testnet_control.h"

namespace lvs::services {
namespace {

// The deadline leaves nodes time to drain before they exit.
constexpr std::chrono::milliseconds kEndDeadline{15'000};

struct KillArguments : TestnetArguments {
  std::size_t node = 0;
  bool hard = false;
};

int Status(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  const auto nodes = ReadTestnet(arguments.directory);
  if (!nodes.ok()) return Fail(err, nodes.status());
  const auto clients = ClientsOf(*nodes);
  if (!clients.ok()) return Fail(err, clients.status());
  const ClusterStatus cluster = AskTestnet(*nodes, *clients);
  if (arguments.format == "json") {
    out << JsonText(StatusAsJson(cluster), 2) << "\n";
  } else {
    PrintStatus(cluster, out);
  }
  return cluster.Problems().empty() ? kExitPassed : kExitUnhealthy;
}

int Kill(const KillArguments& arguments, std::ostream& out, std::ostream& err) {
  absl::StatusOr<Testnet> net = OpenWithNode(arguments.directory, arguments.node);
  if (!net.ok()) return Fail(err, net.status());
  const absl::Status status = net->Stop(arguments.node, arguments.hard ? SIGKILL : SIGTERM, kEndDeadline);
  if (!status.ok()) return Fail(err, status);
  PrintDone(arguments.format, {{"node", arguments.node}, {"hard", arguments.hard}},
            "node " + std::to_string(arguments.node) + (arguments.hard ? " was killed" : " ended"), out);
  return kExitPassed;
}

int Down(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  absl::StatusOr<Testnet> net = Testnet::Open(arguments.directory);
  if (!net.ok()) return Fail(err, net.status());
  const absl::StatusOr<std::size_t> killed = net->StopAll(kEndDeadline);
  if (!killed.ok()) return Fail(err, killed.status());
  if (absl::Status removed = net->RemoveNamespaces(); !removed.ok()) return Fail(err, removed);
  std::string text = "the testnet is down";
  if (*killed > 0) text += "; " + FormatCount(*killed, "node") + " did not end in time and had to be killed";
  PrintDone(arguments.format, {{"killed", *killed}}, text + "; logs are in " + net->directory().string(), out);
  return kExitPassed;
}

}  // namespace

void AddTestnetStatus(TestnetCommands& commands) {
  commands.Add<TestnetArguments>("status", "Health of its nodes, and whether their ledgers are equal",
                                 std::string("Example:\n  lvs testnet status\n") + kTestnetExitCodes +
                                     ", 10 a node is unhealthy or does not run, or ledgers "
                                     "differ.",
                                 Status);
}

void AddTestnetKill(TestnetCommands& commands) {
  commands.Add<KillArguments>(
      "kill", "End one node, and wait for its end",
      std::string("Examples:\n  lvs testnet kill 2\n  lvs testnet kill 2 --hard\n") + kTestnetExitCodes + ".", Kill,
      [](CLI::App* command, KillArguments& given) {
        AddNodeNumber(command, given.node);
        command->add_flag("--hard", given.hard, "SIGKILL: it loses what it had in memory and says no goodbye");
      });
}

void AddTestnetDown(TestnetCommands& commands) {
  commands.Add<TestnetArguments>(
      "down", "End all nodes; logs and caches stay",
      std::string("Example:\n  lvs testnet down\n\nNodes that do not end in time are killed.\n") + kTestnetExitCodes +
          ".",
      Down);
}

}  // namespace lvs::services
