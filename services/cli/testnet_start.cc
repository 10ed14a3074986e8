// `lvs testnet up`, `start` and `roll`: start nodes, with their faults.
#include <sstream>

#include "services/base/files.h"
#include "services/base/yaml_proto.h"
#include "services/cli/cli.h"
#include "services/cli/cluster_status.h"
#include "services/cli/interrupt.h"
#include "services/cli/testnet_commands.h"
#include "services/cluster/testnet_control.h"
#include "services/cluster/testnet_network.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// The deadline is short because nodes that failed to start need no drain.
constexpr milliseconds kCleanUpDeadline{3'000};
constexpr std::size_t kLogLines = 15;
// As LinkFaults takes it.
constexpr milliseconds kTestnetDelayMax{60'000};

struct UpArguments : TestnetArguments {
  TestnetPlan plan;
  std::string regions, loss, delay, period;
  std::string network = "loopback";
  StartingArguments starting;
};

struct StartArguments : TestnetArguments {
  std::size_t node = 0;
  StartingArguments starting;
};

absl::StatusOr<StartOptions> OptionsOf(const StartingArguments& arguments) {
  const absl::StatusOr<milliseconds> deadline = TimeOf("--deadline", arguments.deadline);
  if (!deadline.ok()) return deadline.status();
  std::error_code error;
  fs::path binary = fs::read_symlink("/proc/self/exe", error);
  if (!arguments.binary.empty()) {
    const absl::StatusOr<fs::path> given = AbsolutePath(arguments.binary);
    if (!given.ok()) return given.status();
    binary = *given;
  } else if (error) {
    return FileError("find this program by", "/proc/self/exe", error.value());
  }
  return StartOptions{.binary = binary, .deadline = *deadline, .stop = &InterruptGuard::Flag()};
}

// The command line that starts the same testnet, on ports of its own.
std::string UpCommand(const UpArguments& arguments, const TestnetPlan& plan) {
  std::string command = "lvs testnet up --nodes " + std::to_string(plan.nodes);
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) command += std::string(" ") + option + " " + ShellWord(value);
  };
  add("--regions", arguments.regions);
  add("--loss", arguments.loss);
  add("--delay", arguments.delay);
  add("--micro-nodes", plan.micro_nodes > 0 ? std::to_string(plan.micro_nodes) : "");
  add("--period", arguments.period);
  if (plan.namespaces) add("--network", "namespaces");
  if (plan.cache) command += " --cache";
  return command;
}

absl::Status FillPlan(const UpArguments& arguments, TestnetPlan* plan) {
  *plan = arguments.plan;
  std::istringstream regions(arguments.regions);
  for (std::string region; std::getline(regions, region, ',');) {
    if (region.empty() ||
        region.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
            std::string::npos) {
      return absl::InvalidArgumentError("--regions: \"" + region + "\" is not a name; write such as eu,us,asia");
    }
    plan->regions.push_back(region);
  }
  if (!arguments.loss.empty()) {
    const absl::StatusOr<double> loss = ParseShare(arguments.loss);
    if (!loss.ok()) return absl::InvalidArgumentError("--loss: " + std::string(loss.status().message()));
    plan->faults.set_loss(*loss);
  }
  if (!arguments.delay.empty()) {
    const absl::StatusOr<milliseconds> delay = TimeOf("--delay", arguments.delay, kTestnetDelayMax);
    if (!delay.ok()) return delay.status();
    plan->faults.set_delay_ms(static_cast<std::uint32_t>(delay->count()));
  }
  if (!arguments.period.empty()) {
    const absl::StatusOr<std::int64_t> period = ParseDurationUs(arguments.period);
    if (!period.ok()) return absl::InvalidArgumentError("--period: " + std::string(period.status().message()));
    plan->period_us = *period;
  }
  plan->command = UpCommand(arguments, *plan);
  return absl::OkStatus();
}

// Sets plan->namespaces according to --network. FAILED_PRECONDITION where namespaces are required but unavailable.
absl::Status ChooseNetwork(const UpArguments& arguments, TestnetPlan* plan, std::ostream& err) {
  if (arguments.network == "loopback") return absl::OkStatus();
  const absl::Status may = CheckNamespaces();
  if (!may.ok() && arguments.network == "namespaces") {
    return absl::FailedPreconditionError("no network namespaces here: " + std::string(may.message()) +
                                         "; run as root, or choose --network loopback");
  }
  if (!may.ok()) {
    err << "note: on loopback, where nodes lose and delay frames themselves; no network namespaces here: "
        << std::string(may.message()) << "\n";
  }
  plan->namespaces = may.ok();
  plan->command = UpCommand(arguments, *plan);
  return absl::OkStatus();
}

void PrintLogTail(const Testnet& net, std::size_t node, std::ostream& err) {
  const std::string log = net.LogTail(node, kLogLines);
  err << "the end of " << net.nodes()[node].LogFile().string() << (log.empty() ? ": empty\n" : ":\n") << log;
}

int Up(const UpArguments& arguments, std::ostream& out, std::ostream& err) {
  TestnetPlan plan;
  if (absl::Status status = FillPlan(arguments, &plan); !status.ok()) return Fail(err, status);
  const absl::StatusOr<StartOptions> options = OptionsOf(arguments.starting);
  if (!options.ok()) return Fail(err, options.status());
  if (absl::Status status = ChooseNetwork(arguments, &plan, err); !status.ok()) return Fail(err, status);
  InterruptGuard interrupts;
  absl::StatusOr<Testnet> net = Testnet::Create(arguments.directory, plan);
  if (!net.ok()) return Fail(err, net.status());
  const StartResult up = StartAll(*net, *options);
  if (!up.status.ok()) {
    Fail(err, up.status);
    if (up.failed && !absl::IsCancelled(up.status)) PrintLogTail(*net, *up.failed, err);
    const absl::StatusOr<std::size_t> ended = net->StopAll(kCleanUpDeadline);
    err << (ended.ok() ? "lvs: ended what was started\n" : "lvs: " + std::string(ended.status().message()) + "\n");
    if (const absl::Status removed = net->RemoveNamespaces(); !removed.ok()) Fail(err, removed);
    return kExitCouldNotRun;
  }
  if (arguments.format == "json") {
    out << JsonText(StatusAsJson(up.cluster), 2) << "\n";
    return kExitPassed;
  }
  PrintStatus(up.cluster, out);
  out << "\n"
      << FormatCount(plan.nodes, "node") << " in " << net->directory().string()
      << (plan.namespaces ? ", each in a network namespace of its own" : "") << "; go on with `"
      << TestnetHint(arguments.directory, "status") << "`, `load`, `kill`, `partition`, and end "
      << "with `" << TestnetHint(arguments.directory, "down") << "`\n";
  return kExitPassed;
}

int Start(const StartArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<StartOptions> options = OptionsOf(arguments.starting);
  if (!options.ok()) return Fail(err, options.status());
  absl::StatusOr<Testnet> net = OpenWithNode(arguments.directory, arguments.node);
  if (!net.ok()) return Fail(err, net.status());
  InterruptGuard interrupts;
  const StartResult started = StartNode(*net, arguments.node, *options);
  if (!started.status.ok()) {
    Fail(err, started.status);
    if (started.failed) PrintLogTail(*net, arguments.node, err);
    return kExitCouldNotRun;
  }
  PrintDone(arguments.format, {{"node", arguments.node}, {"pid", *net->Pid(arguments.node)}},
            "node " + std::to_string(arguments.node) + " serves", out);
  return kExitPassed;
}

struct RollArguments : TestnetArguments {
  StartingArguments starting;
};

int RollAndPrint(const RollArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<StartOptions> options = OptionsOf(arguments.starting);
  if (!options.ok()) return Fail(err, options.status());
  absl::StatusOr<Testnet> net = Testnet::Open(arguments.directory);
  if (!net.ok()) return Fail(err, net.status());
  InterruptGuard interrupts;
  const StartResult rolled = Roll(*net, *options, [&](std::size_t node) {
    if (arguments.format != "json") out << "node " << node << " is back and holds all" << std::endl;
  });
  if (!rolled.status.ok()) {
    Fail(err, rolled.status);
    if (rolled.failed && !absl::IsCancelled(rolled.status)) PrintLogTail(*net, *rolled.failed, err);
    return kExitCouldNotRun;
  }
  if (arguments.format == "json") {
    out << StatusAsJson(rolled.cluster).dump(2) << "\n";
  } else {
    PrintStatus(rolled.cluster, out);
  }
  return kExitPassed;
}

// ---- Declarations --------------------------------------------------------------------------------------------------

void AddStarting(CLI::App* command, StartingArguments& given) {
  command->add_option("--binary", given.binary, "The lvs to run (default: this one)")->option_text("FILE");
  command
      ->add_option("--deadline", given.deadline, "How long nodes may take to serve (default: " + given.deadline + ")")
      ->option_text("TIME");
}

void AddUpOptions(CLI::App* command, UpArguments& given) {
  command->add_option("--nodes", given.plan.nodes, "How many (default: 3)")
      ->check(WholeNumber())
      ->check(CLI::Range(std::size_t{1}, kTestnetNodesMax))
      ->option_text("N");
  command->add_option("--regions", given.regions, "Where they stand, in turn (default: all in local)")
      ->option_text("NAME,...");
  command->add_option("--loss", given.loss, "Share of frames that is lost on every link, such as 5%")
      ->option_text("SHARE");
  command->add_option("--delay", given.delay, "Delay of frames on every link, such as 80ms")->option_text("TIME");
  command->add_flag("--cache", given.plan.cache, "Keep the ledger on disk too");
  command->add_option("--micro-nodes", given.plan.micro_nodes, "Micro-nodes on each node (default: the node's)")
      ->check(WholeNumber())
      ->check(CLI::Range(1u, 10'000'000u))
      ->option_text("M");
  command->add_option("--period", given.period, "Length of a drift cycle (default: the node's)")->option_text("TIME");
  command
      ->add_option("--network", given.network,
                   "namespaces: one for each node, where packets are lost for real; needs root. auto: so where it may "
                   "(default: loopback)")
      ->check(CLI::IsMember({"loopback", "namespaces", "auto"}))
      ->option_text("loopback|namespaces|auto");
  command->add_option("--base-port", given.plan.base_port, "First of the ports, three a node (default: free ones)")
      ->check(WholeNumber())
      ->check(CLI::Range(1'024, 65'000))
      ->option_text("PORT");
  AddStarting(command, given.starting);
}

}  // namespace

void AddTestnetUp(TestnetCommands& commands) {
  commands.Add<UpArguments>(
      "up", "Start a new testnet and wait until it serves",
      std::string("Examples:\n  lvs testnet up\n  lvs testnet up --nodes 5 --regions eu,us --loss 5% --delay 80ms "
                  "--cache\n  lvs testnet up --nodes 5 --loss 10% --network namespaces\n"
                  "\nReplaces what an earlier testnet left in the directory, logs and caches too. Nodes run until `lvs "
                  "testnet down`.\nIf one fails to come up, or on Ctrl-C, all are ended again.\n") +
          kTestnetExitCodes + ".",
      Up, AddUpOptions);
}

void AddTestnetStart(TestnetCommands& commands) {
  commands.Add<StartArguments>("start", "Bring a node back with the same configuration and faults",
                               std::string("Example:\n  lvs testnet start 2\n") + kTestnetExitCodes + ".", Start,
                               [](CLI::App* command, StartArguments& given) {
                                 AddNodeNumber(command, given.node);
                                 AddStarting(command, given.starting);
                               });
}

void AddTestnetRoll(TestnetCommands& commands) {
  commands.Add<RollArguments>(
      "roll", "Restart all nodes, one after the other",
      std::string("Examples:\n  lvs testnet roll\n  lvs testnet roll --binary ./new/lvs\n"
                  "\nEach node drains and starts again; the next one follows once every node serves and holds all that "
                  "its\npeers hold, so that nothing is lost. If a node does not come back, the others stay as they "
                  "are.\n") +
          kTestnetExitCodes + ".",
      RollAndPrint, [](CLI::App* command, RollArguments& given) { AddStarting(command, given.starting); });
}

}  // namespace lvs::services
