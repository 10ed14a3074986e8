// `lvs testnet partition`, `heal` and `scatter`.
#include <ostream>
#include <vector>

#include "services/cli/cli.h"
#include "services/cli/testnet_commands.h"
#include "services/cluster/testnet_control.h"

namespace lvs::services {
namespace {

struct PartitionArguments : TestnetArguments {
  std::string groups;
};

// Severs the groups from each other and prints the result for each node.
int SeverAndPrint(const TestnetArguments& arguments, const Testnet& net, const std::vector<std::size_t>& group_of,
                  const std::string& text, std::ostream& out, std::ostream& err) {
  int exit_code = kExitPassed;
  Json facts = Json::array();
  for (const SeveredNode& node : Sever(net, group_of)) {
    if (!node.status.ok()) exit_code = Fail(err, node.status);
    facts.push_back({{"node", facts.size()}, {"severed", node.severed}});
  }
  if (exit_code == kExitPassed) PrintDone(arguments.format, facts, text, out);
  return exit_code;
}

int Partition(const PartitionArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<Testnet> net = Testnet::Open(arguments.directory);
  if (!net.ok()) return Fail(err, net.status());
  const absl::StatusOr<std::vector<std::size_t>> groups = ParsePartition(arguments.groups, net->nodes().size());
  if (!groups.ok()) return Fail(err, groups.status());
  return SeverAndPrint(
      arguments, *net, *groups,
      "partitioned into " + arguments.groups + "; `" + TestnetHint(arguments.directory, "heal") + "` mends it", out,
      err);
}

int Heal(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<Testnet> net = Testnet::Open(arguments.directory);
  if (!net.ok()) return Fail(err, net.status());
  return SeverAndPrint(arguments, *net, std::vector<std::size_t>(net->nodes().size()),
                       "healed: all nodes hear each other", out, err);
}

int ScatterAndPrint(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  const auto nodes = ReadTestnet(arguments.directory);
  if (!nodes.ok()) return Fail(err, nodes.status());
  const auto clients = ClientsOf(*nodes);
  if (!clients.ok()) return Fail(err, clients.status());
  const absl::StatusOr<std::size_t> scattered = Scatter(*nodes, *clients);
  if (!scattered.ok()) return Fail(err, scattered.status());
  PrintDone(arguments.format, {{"scattered", *scattered}},
            "scattered the replicas of " + FormatCount(*scattered, "node") + "; `" +
                TestnetHint(arguments.directory, "report") + "` shows how they agree",
            out);
  return kExitPassed;
}

}  // namespace

void AddTestnetFaults(TestnetCommands& commands) {
  const std::string exit_codes = kTestnetExitCodes;
  commands.Add<PartitionArguments>(
      "partition", "Sever groups of nodes from each other",
      "Example:\n  lvs testnet partition 0,1/2\n\nLoss and delay stay as they are.\n" + exit_codes + ".", Partition,
      [](CLI::App* command, PartitionArguments& given) {
        command->add_option("GROUPS", given.groups, "Node numbers, groups apart by a slash: 0,1/2")
            ->required()
            ->option_text(" ");
      });
  commands.Add<TestnetArguments>(
      "heal", "End a partition",
      "Example:\n  lvs testnet heal\n\nLoss and delay stay as they are.\n" + exit_codes + ".", Heal);
  commands.Add<TestnetArguments>(
      "scatter", "Throw the replicas of all nodes to random places, to watch them find back",
      "Example:\n  lvs testnet report --for 8s & sleep 2; lvs testnet scatter; wait\n"
      "\nFree coordinates only: values stay on the ledger. Replicas that join start where others are, so nothing "
      "else\nsets a quiet testnet apart.\n" +
          exit_codes + ".",
      ScatterAndPrint);
}

}  // namespace lvs::services
