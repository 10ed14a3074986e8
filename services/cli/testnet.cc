// `lvs testnet`: runs a cluster of real server nodes on this machine, with faults, load and a verdict.
#include <ostream>
#include <string>

#include "services/base/yaml_proto.h"
#include "services/cli/testnet_commands.h"

namespace lvs::services {

using std::chrono::milliseconds;

void AddNodeNumber(CLI::App* command, std::size_t& node) {
  command->add_option("NODE", node, "Number of the node, from 0")
      ->required()
      ->check(WholeNumber())
      ->check(CLI::Range(std::size_t{0}, kTestnetNodesMax - 1))
      ->option_text(" ");
}

absl::StatusOr<milliseconds> TimeOf(const char* option, const std::string& text, milliseconds max) {
  const absl::StatusOr<std::int64_t> time_us = ParseDurationUs(text);
  if (!time_us.ok()) return absl::InvalidArgumentError(option + (": " + std::string(time_us.status().message())));
  const auto time = std::chrono::ceil<milliseconds>(std::chrono::microseconds(*time_us));
  if (time <= max) return time;
  return absl::InvalidArgumentError(std::string(option) + ": " + text + " is too long; write at most " +
                                    FormatDurationUs(std::chrono::microseconds(max).count()));
}

absl::StatusOr<Testnet> OpenWithNode(const std::string& directory, std::size_t node) {
  absl::StatusOr<Testnet> net = Testnet::Open(directory);
  if (net.ok() && node >= net->nodes().size()) {
    return absl::InvalidArgumentError("there is no node " + std::to_string(node) + "; the testnet has 0 to " +
                                      std::to_string(net->nodes().size() - 1));
  }
  return net;
}

void PrintDone(const std::string& format, const Json& facts, const std::string& text, std::ostream& out) {
  if (format == "json") {
    out << JsonText(facts) << "\n";
  } else {
    out << text << "\n";
  }
}

void AddTestnet(CLI::App& app, Commands& commands) {
  CLI::App* testnet = app.add_subcommand("testnet", "A cluster of real server nodes on this machine");
  testnet->require_subcommand(1);
  testnet->footer(
      "Example:\n"
      "  lvs testnet up --nodes 3 --regions eu,us,asia\n"
      "  lvs testnet load --rate 500 --for 10s --record load.json\n"
      "  lvs testnet partition 0,1/2 && lvs testnet heal\n"
      "  lvs testnet verify --record load.json\n"
      "  lvs testnet down");
  TestnetCommands testnet_commands(*testnet, commands);
  AddTestnetUp(testnet_commands);
  AddTestnetStatus(testnet_commands);
  AddTestnetKill(testnet_commands);
  AddTestnetStart(testnet_commands);
  AddTestnetRoll(testnet_commands);
  AddTestnetFaults(testnet_commands);
  AddTestnetLoad(testnet_commands);
  AddTestnetReport(testnet_commands);
  AddTestnetVerify(testnet_commands);
  AddTestnetDown(testnet_commands);
}

}  // namespace lvs::services
