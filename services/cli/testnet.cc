// `lvs testnet`: a cluster of real server nodes on this machine, its faults, load and verdict.
#include "services/cluster/testnet.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "services/base/build.h"
#include "services/base/yaml_proto.h"
#include "services/cli/cli.h"
#include "services/cli/cluster_status.h"
#include "services/cli/commands.h"
#include "services/cli/interrupt.h"
#include "services/cli/output.h"
#include "services/cli/verdict.h"
#include "services/client/control_client.h"
#include "services/client/load.h"
#include "services/cluster/recorder.h"
#include "services/cluster/testnet_network.h"
#include "services/node/node_config.h"
#include "services/report/report.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kCallTimeout{2'000};
constexpr milliseconds kPoll{100};
// Nodes drain before they end.
constexpr milliseconds kEndDeadline{15'000};
// What failed to come up need not drain.
constexpr milliseconds kCleanUpDeadline{3'000};
constexpr std::size_t kLogLines = 15;
// What a report shows before its load, and how states converge after it.
constexpr milliseconds kBeforeLoad{1'000};
constexpr milliseconds kAfterLoad{3'000};
constexpr std::size_t kFilesInReport = 10;
// Nodes keep some links open beyond these, but not always to everybody.
constexpr std::size_t kPeersWanted = 2;

struct TestnetArguments {
  std::string directory = "./runs/testnet";
  std::string format = "table";
  std::string binary;
  std::string deadline = "20s";
  // up
  TestnetPlan plan;
  std::string regions, loss, delay, period;
  std::string network = "loopback";
  // kill, start
  std::size_t node = 0;
  bool hard = false;
  // partition
  std::string groups;
  // load, verify
  double rate = 100;
  std::string run = "10s", durability = "memory", amount = "0.01VU", within = "10s";
  std::size_t sessions = 0;
  std::uint32_t shards = 0;
  std::vector<std::string> records;
  // report, load
  std::string out_directory, interval;
};

void Linger(milliseconds time) {
  const Clock::time_point end = Clock::now() + time;
  while (Clock::now() < end && !InterruptGuard::Requested()) std::this_thread::sleep_for(kPoll);
}

fs::path BinaryOf(const TestnetArguments& arguments) {
  std::error_code error;
  return arguments.binary.empty() ? fs::read_symlink("/proc/self/exe", error) : fs::absolute(arguments.binary);
}

absl::StatusOr<milliseconds> TimeOf(const char* option, const std::string& text) {
  const absl::StatusOr<std::int64_t> time_us = ParseDurationUs(text);
  if (!time_us.ok()) return absl::InvalidArgumentError(option + (": " + std::string(time_us.status().message())));
  return milliseconds(*time_us / 1'000);
}

absl::StatusOr<ControlClient> ClientOf(const TestnetNode& node) {
  return ControlClient::Open({.address = node.config.control_listen(), .timeout = kCallTimeout});
}

absl::StatusOr<std::vector<ControlClient>> ClientsOf(const std::vector<TestnetNode>& nodes) {
  std::vector<ControlClient> clients;
  for (const TestnetNode& node : nodes) {
    absl::StatusOr<ControlClient> client = ClientOf(node);
    if (!client.ok()) return client.status();
    clients.push_back(*std::move(client));
  }
  return clients;
}

ClusterStatus AskTestnet(const std::vector<TestnetNode>& nodes, const std::vector<ControlClient>& clients) {
  ClusterStatus cluster = AskStatus(clients);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    cluster.nodes[i].name = std::to_string(i);
    if (!ProcessOf(nodes[i])) {
      cluster.notes.push_back("node " + std::to_string(i) + " does not run; `lvs testnet start " + std::to_string(i) +
                              "` brings it back, and " + nodes[i].LogFile().string() + " may say why it ended");
    }
  }
  return cluster;
}

void Print(const ClusterStatus& cluster, const std::string& format, std::ostream& out) {
  if (format == "json") {
    out << StatusAsJson(cluster).dump(2) << "\n";
  } else {
    PrintStatus(cluster, out);
  }
}

// ---- up, start -----------------------------------------------------------------------------------------------------

// Whoever is not ready yet, and why; -1 when all are.
struct Laggard {
  std::ptrdiff_t node = -1;
  std::string why;
};

Laggard FindLaggard(const Testnet& net, const ClusterStatus& cluster, std::size_t peers_wanted) {
  for (std::size_t i = 0; i < cluster.nodes.size(); ++i) {
    const auto& status = cluster.nodes[i].status;
    const auto node = static_cast<std::ptrdiff_t>(i);
    if (!net.Pid(i)) return {node, "ended"};
    if (!status.ok()) return {node, "does not answer: " + std::string(status.status().message())};
    if (status->state() != v1::SERVING) return {node, "is still " + StateText(*status)};
    if (status->peers_connected() < peers_wanted) {
      return {node, "has only " + FormatCount(status->peers_connected(), "peer")};
    }
  }
  return {};
}

// Waits until the nodes serve, gives them their faults, and fails as soon as one of them ends.
// Each look has connections of its own: a call on one that was refused a moment ago may wait for its whole timeout.
absl::Status WaitUntilUp(const Testnet& net, std::size_t peers_wanted, milliseconds deadline, ClusterStatus* cluster,
                         std::ptrdiff_t* failed) {
  const Clock::time_point end = Clock::now() + deadline;
  std::set<std::size_t> has_faults;
  while (true) {
    const absl::StatusOr<std::vector<ControlClient>> clients = ClientsOf(net.nodes());
    if (!clients.ok()) return clients.status();
    *cluster = AskTestnet(net.nodes(), *clients);
    for (std::size_t i = 0; i < clients->size(); ++i) {
      const v1::Faults faults = net.OwnFaults(i);
      const bool wanted = faults.severed_size() > 0 || faults.loss() > 0 || faults.delay_ms() > 0;
      if (!wanted || !cluster->nodes[i].status.ok() || has_faults.contains(i)) continue;
      if (const auto set = (*clients)[i].SetFaults(faults); !set.ok()) {
        *failed = static_cast<std::ptrdiff_t>(i);
        return set.status();
      }
      has_faults.insert(i);
    }
    const Laggard laggard = FindLaggard(net, *cluster, peers_wanted);
    if (laggard.node < 0) return absl::OkStatus();
    *failed = laggard.node;
    const std::string what = "node " + std::to_string(laggard.node) + " " + laggard.why;
    if (laggard.why == "ended") return absl::UnavailableError(what);
    if (InterruptGuard::Requested()) return absl::CancelledError("interrupted");
    if (Clock::now() >= end) {
      return absl::DeadlineExceededError(what + " after " + FormatDurationUs(deadline.count() * 1'000));
    }
    std::this_thread::sleep_for(kPoll);
  }
}

// The command that starts the same testnet, on ports of its own.
std::string UpCommand(const TestnetArguments& arguments, const TestnetPlan& plan) {
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

absl::Status FillPlan(const TestnetArguments& arguments, TestnetPlan* plan) {
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
    const absl::StatusOr<milliseconds> delay = TimeOf("--delay", arguments.delay);
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

int Up(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  TestnetPlan plan;
  if (absl::Status status = FillPlan(arguments, &plan); !status.ok()) return Fail(err, status);
  const absl::StatusOr<milliseconds> deadline = TimeOf("--deadline", arguments.deadline);
  if (!deadline.ok()) return Fail(err, deadline.status());
  if (arguments.network != "loopback") {
    const absl::Status may = CheckNamespaces();
    if (!may.ok() && arguments.network == "namespaces") {
      return Fail(err, absl::FailedPreconditionError("no network namespaces here: " + std::string(may.message()) +
                                                     "; run as root, or choose --network loopback"));
    }
    if (!may.ok()) {
      err << "note: on loopback, where nodes lose and delay frames themselves; no network namespaces here: "
          << std::string(may.message()) << "\n";
    }
    plan.namespaces = may.ok();
    plan.command = UpCommand(arguments, plan);
  }
  InterruptGuard interrupts;
  absl::StatusOr<Testnet> net = Testnet::Create(arguments.directory, plan);
  if (!net.ok()) return Fail(err, net.status());

  ClusterStatus cluster;
  std::ptrdiff_t failed = -1;
  const auto bring_up = [&]() -> absl::Status {
    for (std::size_t i = 0; i < net->nodes().size(); ++i) {
      if (InterruptGuard::Requested()) return absl::CancelledError("interrupted");
      failed = static_cast<std::ptrdiff_t>(i);
      if (absl::Status started = net->Start(i, BinaryOf(arguments)); !started.ok()) return started;
    }
    return WaitUntilUp(*net, std::min(plan.nodes - 1, kPeersWanted), *deadline, &cluster, &failed);
  };
  if (const absl::Status status = bring_up(); !status.ok()) {
    Fail(err, status);
    if (failed >= 0 && !absl::IsCancelled(status)) {
      const auto node = static_cast<std::size_t>(failed);
      const std::string log = net->LogTail(node, kLogLines);
      err << "the end of " << net->nodes()[node].LogFile().string() << (log.empty() ? ": empty\n" : ":\n") << log;
    }
    const absl::StatusOr<std::size_t> ended = net->StopAll(kCleanUpDeadline);
    err << (ended.ok() ? "lvs: ended what was started\n" : "lvs: " + std::string(ended.status().message()) + "\n");
    if (const absl::Status removed = net->RemoveNamespaces(); !removed.ok()) Fail(err, removed);
    return kExitCouldNotRun;
  }
  Print(cluster, arguments.format, out);
  if (arguments.format != "json") {
    out << "\n"
        << FormatCount(plan.nodes, "node") << " in " << net->directory().string()
        << (plan.namespaces ? ", each in a network namespace of its own" : "")
        << "; go on with `lvs testnet status`, `load`, `kill`, `partition`, and end with `lvs testnet down`\n";
  }
  return kExitPassed;
}

// Opens the testnet and checks that it has node `arguments.node`.
absl::StatusOr<Testnet> OpenWithNode(const TestnetArguments& arguments) {
  absl::StatusOr<Testnet> net = Testnet::Open(arguments.directory);
  if (net.ok() && arguments.node >= net->nodes().size()) {
    return absl::InvalidArgumentError("there is no node " + std::to_string(arguments.node) + "; the testnet has 0 to " +
                                      std::to_string(net->nodes().size() - 1));
  }
  return net;
}

void PrintDone(const TestnetArguments& arguments, const Json& facts, const std::string& text, std::ostream& out) {
  if (arguments.format == "json") {
    out << facts.dump() << "\n";
  } else {
    out << text << "\n";
  }
}

int Start(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<milliseconds> deadline = TimeOf("--deadline", arguments.deadline);
  if (!deadline.ok()) return Fail(err, deadline.status());
  absl::StatusOr<Testnet> net = OpenWithNode(arguments);
  if (!net.ok()) return Fail(err, net.status());
  InterruptGuard interrupts;
  const TestnetNode& node = net->nodes()[arguments.node];
  if (absl::Status status = net->Start(arguments.node, BinaryOf(arguments)); !status.ok()) return Fail(err, status);
  const Clock::time_point end = Clock::now() + *deadline;
  bool faults_set = false;
  while (true) {
    const absl::StatusOr<ControlClient> client = ClientOf(node);
    if (!client.ok()) return Fail(err, client.status());
    const absl::StatusOr<v1::NodeStatus> status = client->GetStatus();
    absl::Status problem = status.status();
    if (status.ok() && !faults_set) {
      problem = client->SetFaults(net->OwnFaults(arguments.node)).status();
      faults_set = problem.ok();
    }
    if (status.ok() && faults_set && status->state() == v1::SERVING) break;
    const bool ended = !net->Pid(arguments.node);
    if (ended || Clock::now() >= end || InterruptGuard::Requested()) {
      err << "lvs: node " << arguments.node
          << (ended          ? " ended"
              : problem.ok() ? " does not serve yet"
                             : ": " + std::string(problem.message()))
          << "\nthe end of " << node.LogFile().string() << ":\n"
          << net->LogTail(arguments.node, kLogLines);
      return kExitCouldNotRun;
    }
    std::this_thread::sleep_for(kPoll);
  }
  PrintDone(arguments, {{"node", arguments.node}, {"pid", *net->Pid(arguments.node)}},
            "node " + std::to_string(arguments.node) + " serves", out);
  return kExitPassed;
}

// ---- status, kill, down --------------------------------------------------------------------------------------------

int Status(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  const auto nodes = ReadTestnet(arguments.directory);
  if (!nodes.ok()) return Fail(err, nodes.status());
  const auto clients = ClientsOf(*nodes);
  if (!clients.ok()) return Fail(err, clients.status());
  const ClusterStatus cluster = AskTestnet(*nodes, *clients);
  Print(cluster, arguments.format, out);
  return cluster.Problems().empty() ? kExitPassed : kExitUnhealthy;
}

int Kill(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  absl::StatusOr<Testnet> net = OpenWithNode(arguments);
  if (!net.ok()) return Fail(err, net.status());
  const absl::Status status = net->Stop(arguments.node, arguments.hard ? SIGKILL : SIGTERM, kEndDeadline);
  if (!status.ok()) return Fail(err, status);
  PrintDone(arguments, {{"node", arguments.node}, {"hard", arguments.hard}},
            "node " + std::to_string(arguments.node) + (arguments.hard ? " was killed" : " ended"), out);
  return kExitPassed;
}

int Down(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  absl::StatusOr<Testnet> net = Testnet::Open(arguments.directory);
  if (!net.ok()) return Fail(err, net.status());
  const absl::StatusOr<std::size_t> killed = net->StopAll(kEndDeadline);
  if (!killed.ok()) return Fail(err, killed.status());
  if (absl::Status removed = net->RemoveNamespaces(); !removed.ok()) return Fail(err, removed);
  PrintDone(arguments, {{"killed", *killed}},
            "the testnet is down" +
                (*killed == 0 ? std::string()
                              : "; " + FormatCount(*killed, "node") + " did not end in time and had to be killed") +
                "; logs are in " + net->directory().string(),
            out);
  return kExitPassed;
}

// ---- partition, heal -----------------------------------------------------------------------------------------------

// Severs each node from those in other groups; the loss and delay that it has stay.
int Sever(const TestnetArguments& arguments, const Testnet& net, const std::vector<std::size_t>& group_of,
          const std::string& text, std::ostream& out, std::ostream& err) {
  int exit_code = kExitPassed;
  Json nodes = Json::array();
  for (std::size_t i = 0; i < net.nodes().size(); ++i) {
    v1::Faults faults = net.SavedFaults(i);
    faults.clear_severed();
    for (std::size_t j = 0; j < net.nodes().size(); ++j) {
      if (group_of[j] != group_of[i]) faults.add_severed(net.nodes()[j].config.advertise());
    }
    absl::Status status = net.SaveFaults(i, faults);
    if (status.ok() && net.Pid(i)) {
      const absl::StatusOr<ControlClient> client = ClientOf(net.nodes()[i]);
      status = client.ok() ? client->SetFaults(net.OwnFaults(i)).status() : client.status();
    }
    if (!status.ok()) exit_code = Fail(err, status);
    nodes.push_back(
        {{"node", i}, {"severed", std::vector<std::string>(faults.severed().begin(), faults.severed().end())}});
  }
  if (exit_code == kExitPassed) PrintDone(arguments, nodes, text, out);
  return exit_code;
}

int Partition(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<Testnet> net = Testnet::Open(arguments.directory);
  if (!net.ok()) return Fail(err, net.status());
  const absl::StatusOr<std::vector<std::size_t>> groups = ParsePartition(arguments.groups, net->nodes().size());
  if (!groups.ok()) return Fail(err, groups.status());
  return Sever(arguments, *net, *groups, "partitioned into " + arguments.groups + "; `lvs testnet heal` mends it", out,
               err);
}

int Heal(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<Testnet> net = Testnet::Open(arguments.directory);
  if (!net.ok()) return Fail(err, net.status());
  return Sever(arguments, *net, std::vector<std::size_t>(net->nodes().size()), "healed: all nodes hear each other", out,
               err);
}

// ---- scatter -------------------------------------------------------------------------------------------------------

int Scatter(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  const auto nodes = ReadTestnet(arguments.directory);
  if (!nodes.ok()) return Fail(err, nodes.status());
  const auto clients = ClientsOf(*nodes);
  if (!clients.ok()) return Fail(err, clients.status());
  std::size_t scattered = 0;
  for (std::size_t i = 0; i < nodes->size(); ++i) {
    if (!ProcessOf((*nodes)[i])) continue;
    if (absl::Status status = (*clients)[i].Scatter(); !status.ok()) return Fail(err, status);
    ++scattered;
  }
  if (scattered == 0) return Fail(err, absl::FailedPreconditionError("no node of the testnet runs"));
  PrintDone(
      arguments, {{"scattered", scattered}},
      "scattered the replicas of " + FormatCount(scattered, "node") + "; `lvs testnet report` shows how they agree",
      out);
  return kExitPassed;
}

// ---- load ----------------------------------------------------------------------------------------------------------

absl::Status FillLoad(const TestnetArguments& arguments, const std::vector<ControlClient>& clients,
                      LoadOptions* options) {
  const absl::StatusOr<milliseconds> run = TimeOf("--for", arguments.run);
  if (!run.ok()) return run.status();
  const absl::StatusOr<std::int64_t> step = ParseValueUvu(arguments.amount);
  if (!step.ok()) return absl::InvalidArgumentError("--amount: " + std::string(step.status().message()));
  v1::ContributeRequest durability;
  if (absl::Status status = ParseDurability(arguments.durability, &durability); !status.ok()) return status;
  options->rate = arguments.rate;
  options->run = *run;
  options->step_uvu = static_cast<std::uint64_t>(*step);
  options->durability = durability.durability();
  options->nodes = durability.nodes();
  options->sessions = arguments.sessions;
  const absl::StatusOr<v1::ShardList> shards = clients.front().ListShards();
  if (!shards.ok()) return shards.status();
  if (shards->shards().empty()) return absl::FailedPreconditionError(clients.front().address() + " has no shards");
  const auto known = static_cast<std::uint32_t>(shards->shards_size());
  if (arguments.shards > known) {
    return absl::InvalidArgumentError("--shards: the cluster has only " + std::to_string(known));
  }
  options->shards = arguments.shards > 0 ? arguments.shards : known;
  options->slots = std::max(1u, static_cast<std::uint32_t>(shards->shards(0).total_uvu_size()));
  return absl::OkStatus();
}

std::string Milliseconds(std::int64_t us) { return FormatNumber(static_cast<double>(us) / 1e3, 4) + "ms"; }

void PrintLoad(const LoadReport& report, const LoadOptions& options, std::ostream& out) {
  Rows rows{{"offered", FormatGrouped(report.offered),
             FormatNumber(static_cast<double>(report.offered) / std::max(report.seconds, 1e-9), 4) + "/s over " +
                 FormatNumber(report.seconds) + "s, wanted " + FormatNumber(options.rate, 6) + "/s"},
            {"acknowledged", FormatGrouped(report.acknowledged), ""}};
  for (const auto& [code, count] : report.failed) rows.push_back({"failed", FormatGrouped(count), code});
  rows.push_back({"not sent", FormatGrouped(report.not_sent),
                  "due while " + FormatGrouped(options.in_flight_max) + " were under way"});
  for (const auto& [code, count] : report.repeated) rows.push_back({"repeated", FormatGrouped(count), code});
  PrintTable(out, rows);
  const LatencyHistogram& latency = report.latency;
  out << "\nlatency, from the time that each was due\n";
  PrintTable(out,
             {{"p50", "p90", "p99", "p99.9", "max", "mean"},
              {Milliseconds(latency.Quantile(0.5)), Milliseconds(latency.Quantile(0.9)),
               Milliseconds(latency.Quantile(0.99)), Milliseconds(latency.Quantile(0.999)),
               Milliseconds(latency.MaxUs()), Milliseconds(static_cast<std::int64_t>(latency.MeanUs()))}},
             "  ");
}

Json LoadAsJson(const LoadReport& report, const LoadOptions& options) {
  const LatencyHistogram& latency = report.latency;
  return {{"rate", options.rate},
          {"seconds", report.seconds},
          {"offered", report.offered},
          {"acknowledged", report.acknowledged},
          {"not_sent", report.not_sent},
          {"failed", report.failed},
          {"repeated", report.repeated},
          {"latency_us",
           {{"p50", latency.Quantile(0.5)},
            {"p90", latency.Quantile(0.9)},
            {"p99", latency.Quantile(0.99)},
            {"p999", latency.Quantile(0.999)},
            {"max", latency.MaxUs()},
            {"mean", latency.MeanUs()}}}};
}

// ---- report --------------------------------------------------------------------------------------------------------

// What is in it, for the head of the page.
std::string AboutTestnet(const std::vector<TestnetNode>& nodes) {
  std::vector<std::string> regions;
  for (const TestnetNode& node : nodes) {
    if (std::find(regions.begin(), regions.end(), node.config.region()) == regions.end()) {
      regions.push_back(node.config.region());
    }
  }
  std::string text =
      FormatCount(nodes.size(), "server node") + " in " + JoinWords(regions) + ": real processes on this machine, ";
  const bool namespaces = ReadTestnetState(nodes.front().folder.parent_path()).has_network();
  text += namespaces ? "each in a network namespace of its own." : "over loopback.";
  const v1::Faults faults = ReadFaults(nodes.front());
  if (faults.loss() > 0) {
    text += " Every link loses " + FormatPercent(faults.loss()) + " of the " + (namespaces ? "packets." : "frames.");
  }
  if (faults.delay_ms() > 0) text += " Every frame is " + std::to_string(faults.delay_ms()) + "ms late.";
  return text;
}

// Records the nodes of the testnet until it is asked for the report; writes that and prints the verdict.
class Reporter {
 public:
  Reporter(const TestnetArguments& arguments, const std::vector<TestnetNode>& nodes)
      : arguments_(arguments),
        nodes_(nodes),
        directory_(arguments.out_directory.empty() ? NewRunDirectory("testnet") : fs::path(arguments.out_directory)) {}

  absl::Status Start(milliseconds expected) {
    if (absl::Status ready = PrepareRunDirectory(directory_); !ready.ok()) return ready;
    TestnetRecording recording{.expected = expected};
    if (!arguments_.interval.empty()) {
      const absl::StatusOr<milliseconds> interval = TimeOf("--interval", arguments_.interval);
      if (!interval.ok()) return interval.status();
      recording.interval = *interval;
    }
    const absl::StatusOr<milliseconds> within = TimeOf("--within", arguments_.within);
    if (!within.ok()) return within.status();
    within_ = *within;
    recorder_.emplace(nodes_, recording);
    return absl::OkStatus();
  }

  TestnetRecorder& recorder() { return *recorder_; }

  // The exit code.
  int Finish(std::ostream& out, std::ostream& err) {
    const bool complete = !InterruptGuard::Requested();
    v1::RunReport report = recorder_->Finish(within_, complete, &InterruptGuard::Flag());
    v1::Summary* summary = report.mutable_summary();
    summary->set_build(BuildString());
    summary->set_replay(ReadTestnetState(nodes_.front().folder.parent_path()).command());
    report.set_about(AboutTestnet(nodes_));
    std::string files;
    for (std::size_t i = 0; i < nodes_.size() && i < kFilesInReport; ++i) {
      std::ifstream file(nodes_[i].ConfigFile());
      std::ostringstream text;
      text << "# node " << i << "\n" << file.rdbuf();
      files += (i == 0 ? "" : "\n") + text.str();
    }
    report.set_scenario_yaml(files);
    const absl::Status written = WriteRunDirectory(report, directory_);
    if (arguments_.format == "json") {
      out << SummaryJson(*summary) << std::flush;
    } else {
      PrintVerdict(*summary, directory_, out);
    }
    if (!written.ok()) {
      Fail(err, written);
      return kExitCouldNotRun;
    }
    if (!complete) {
      err << "lvs: interrupted: the report in " << directory_.string() << " is partial\n";
      return kExitCouldNotRun;
    }
    return summary->passed() ? kExitPassed : kExitBreached;
  }

 private:
  const TestnetArguments& arguments_;
  const std::vector<TestnetNode> nodes_;
  const fs::path directory_;
  milliseconds within_{0};
  std::optional<TestnetRecorder> recorder_;
};

v1::LoadFigures FiguresOf(const LoadReport& report, const LoadOptions& options, const std::string& durability) {
  const auto ms = [&](double share) { return static_cast<double>(report.latency.Quantile(share)) / 1e3; };
  v1::LoadFigures figures;
  figures.set_rate(options.rate);
  figures.set_durability(durability);
  figures.set_seconds(report.seconds);
  figures.set_offered(report.offered);
  figures.set_acknowledged(report.acknowledged);
  figures.set_not_sent(report.not_sent);
  figures.set_failed(report.Failed());
  for (const auto& [code, count] : report.repeated) {
    figures.set_repeated_attempts(figures.repeated_attempts() + count);
  }
  figures.set_p50_ms(ms(0.5));
  figures.set_p90_ms(ms(0.9));
  figures.set_p99_ms(ms(0.99));
  figures.set_p999_ms(ms(0.999));
  figures.set_max_ms(static_cast<double>(report.latency.MaxUs()) / 1e3);
  figures.set_mean_ms(report.latency.MeanUs() / 1e3);
  return figures;
}

int Report(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<milliseconds> run = TimeOf("--for", arguments.run);
  if (!run.ok()) return Fail(err, run.status());
  const auto nodes = ReadTestnet(arguments.directory);
  if (!nodes.ok()) return Fail(err, nodes.status());
  if (std::none_of(nodes->begin(), nodes->end(), [](const TestnetNode& node) { return ProcessOf(node); })) {
    return Fail(err,
                absl::FailedPreconditionError("no node of the testnet runs; `lvs testnet start 0` brings one back, "
                                              "and `lvs testnet up` a new testnet"));
  }
  Reporter reporter(arguments, *nodes);
  if (absl::Status status = reporter.Start(*run); !status.ok()) return Fail(err, status);
  InterruptGuard interrupts;
  const bool terminal = IsTerminal(err);
  const Clock::time_point start = Clock::now();
  Clock::time_point next = start + std::chrono::seconds(1);
  while (Clock::now() < start + *run && !InterruptGuard::Requested()) {
    std::this_thread::sleep_for(std::min<Clock::duration>(kPoll, start + *run - Clock::now()));
    if (Clock::now() < next) continue;
    next += std::chrono::seconds(1);
    const v1::Sample now = reporter.recorder().Now();
    if (terminal) {
      err << "\r\x1b[K" << absl::StrFormat("%.0f", now.seconds()) << "s of " << FormatDurationUs(run->count() * 1'000)
          << "  " << now.nodes_serving() << " of " << FormatCount(nodes->size(), "node") << " serving  "
          << FormatCount(now.ledgers(), "ledger") << "  spread "
          << absl::StrFormat("%.1e", std::max(now.value_spread_relative(), now.free_spread_relative())) << "  behind "
          << ValueText(static_cast<std::int64_t>(now.behind_uvu())) << std::flush;
    } else {
      err << Json{{"event", "progress"},
                  {"seconds", now.seconds()},
                  {"nodes_serving", now.nodes_serving()},
                  {"ledgers", now.ledgers()},
                  {"relative_spread", std::max(now.value_spread_relative(), now.free_spread_relative())},
                  {"behind_uvu", now.behind_uvu()}}
                 .dump()
          << std::endl;
    }
  }
  if (terminal) err << "\r\x1b[K" << std::flush;
  return reporter.Finish(out, err);
}

// ---- load, with a report or without --------------------------------------------------------------------------------

int RunLoadCommand(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  const auto nodes = ReadTestnet(arguments.directory);
  if (!nodes.ok()) return Fail(err, nodes.status());
  const auto clients = ClientsOf(*nodes);
  if (!clients.ok()) return Fail(err, clients.status());
  LoadOptions options;
  if (absl::Status status = FillLoad(arguments, *clients, &options); !status.ok()) return Fail(err, status);
  LoadRecord record;
  if (!arguments.records.empty()) {
    absl::StatusOr<LoadRecord> before = RecordBefore(*clients);
    if (!before.ok()) return Fail(err, before.status());
    record = *std::move(before);
    // Better now than after the load.
    if (absl::Status status = WriteRecord(record, arguments.records.front()); !status.ok()) return Fail(err, status);
  }
  Reporter reporter(arguments, *nodes);
  const bool reported = !arguments.out_directory.empty();
  InterruptGuard interrupts;
  options.stop = &InterruptGuard::Flag();
  if (reported) {
    if (absl::Status status = reporter.Start(options.run); !status.ok()) return Fail(err, status);
    Linger(kBeforeLoad);
    reporter.recorder().BeginLoad("load " + FormatNumber(options.rate, 6) + "/s");
  }
  const bool terminal = IsTerminal(err);
  LatencyHistogram earlier;
  options.on_progress = [&](const LoadReport& now) {
    if (reported) {
      const LatencyHistogram lately = now.latency.Since(earlier);
      earlier = now.latency;
      reporter.recorder().SetLatency(static_cast<double>(lately.Quantile(0.5)) / 1e3,
                                     static_cast<double>(lately.Quantile(0.99)) / 1e3);
    }
    if (terminal) {
      err << "\r\x1b[K" << absl::StrFormat("%.0f", now.seconds) << "s  " << FormatGrouped(now.offered) << " offered  "
          << FormatGrouped(now.acknowledged) << " acknowledged  " << FormatGrouped(now.Failed()) << " failed  p99 "
          << Milliseconds(now.latency.Quantile(0.99)) << std::flush;
    } else {
      Json line = LoadAsJson(now, options);
      line["event"] = "progress";
      err << line.dump() << std::endl;
    }
  };
  const LoadReport report = RunLoad(*clients, options);
  if (terminal) err << "\r\x1b[K" << std::flush;
  if (arguments.format != "json") {
    PrintLoad(report, options, out);
  } else if (!reported) {
    out << LoadAsJson(report, options).dump(2) << "\n";
  }
  if (!arguments.records.empty()) {
    record.expectations = report.expectations;
    if (absl::Status status = WriteRecord(record, arguments.records.front()); !status.ok()) return Fail(err, status);
  }
  if (reported) {
    reporter.recorder().EndLoad(FiguresOf(report, options, arguments.durability));
    Linger(kAfterLoad);
    return reporter.Finish(out, err);
  }
  if (InterruptGuard::Requested()) {
    err << "lvs: interrupted\n";
    return kExitCouldNotRun;
  }
  return report.acknowledged == report.offered ? kExitPassed : kExitBreached;
}

// ---- verify --------------------------------------------------------------------------------------------------------

struct Verdict {
  Rows rows{{"node", "slot", "at least", "total", "at most", "verdict"}};
  Json slots = Json::array();
  std::size_t broken = 0;
  std::vector<std::string> unreachable;
};

Verdict Judge(const ClusterStatus& cluster, const std::vector<TotalBounds>& bounds) {
  Verdict verdict;
  for (const ClusterStatus::Node& node : cluster.nodes) {
    if (!node.status.ok()) {
      verdict.unreachable.push_back("node " + node.name + ": " + std::string(node.status.status().message()));
      continue;
    }
    for (std::size_t slot = 0; slot < bounds.size(); ++slot) {
      const auto& totals = node.status->ledger().total_uvu();
      const std::uint64_t total = slot < static_cast<std::size_t>(totals.size()) ? totals[static_cast<int>(slot)] : 0;
      const char* word = total < bounds[slot].least_uvu ? "LOST" : total > bounds[slot].most_uvu ? "TOO MUCH" : "held";
      if (std::string_view(word) != "held") ++verdict.broken;
      verdict.rows.push_back({node.name, std::to_string(slot),
                              ValueText(static_cast<std::int64_t>(bounds[slot].least_uvu)),
                              ValueText(static_cast<std::int64_t>(total)),
                              ValueText(static_cast<std::int64_t>(bounds[slot].most_uvu)), word});
      verdict.slots.push_back({{"node", node.name},
                               {"slot", slot},
                               {"least_uvu", bounds[slot].least_uvu},
                               {"total_uvu", total},
                               {"most_uvu", bounds[slot].most_uvu},
                               {"verdict", word}});
    }
  }
  return verdict;
}

int Verify(const TestnetArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<milliseconds> within = TimeOf("--within", arguments.within);
  if (!within.ok()) return Fail(err, within.status());
  std::vector<LoadRecord> records;
  for (const std::string& file : arguments.records) {
    absl::StatusOr<LoadRecord> record = ReadRecord(file);
    if (!record.ok()) return Fail(err, record.status());
    records.push_back(*std::move(record));
  }
  const auto bounds = BoundsOf(records);
  if (!bounds.ok()) return Fail(err, bounds.status());
  const auto nodes = ReadTestnet(arguments.directory);
  if (!nodes.ok()) return Fail(err, nodes.status());
  const auto clients = ClientsOf(*nodes);
  if (!clients.ok()) return Fail(err, clients.status());

  // News takes a moment to reach every node.
  InterruptGuard interrupts;
  const Clock::time_point end = Clock::now() + *within;
  Verdict verdict = Judge(AskTestnet(*nodes, *clients), *bounds);
  while ((verdict.broken > 0 || !verdict.unreachable.empty()) && Clock::now() < end && !InterruptGuard::Requested()) {
    std::this_thread::sleep_for(kPoll);
    verdict = Judge(AskTestnet(*nodes, *clients), *bounds);
  }
  if (arguments.format == "json") {
    const Json json{{"broken", verdict.broken}, {"unreachable", verdict.unreachable}, {"totals", verdict.slots}};
    out << json.dump(2) << "\n";
  } else {
    PrintTable(out, verdict.rows);
    out << "\n"
        << (verdict.broken > 0 ? "BROKEN: " + FormatCount(verdict.broken, "total") + " out of bounds"
            : verdict.unreachable.empty()
                ? "HELD: every node has all that was acknowledged, and nothing that was never sent"
                : "UNKNOWN: the nodes that answer hold, but not all answer")
        << "\n";
  }
  for (const std::string& node : verdict.unreachable) err << "lvs: " << node << "\n";
  if (verdict.broken > 0) return kExitBreached;
  return verdict.unreachable.empty() ? kExitPassed : kExitUnhealthy;
}

// ---- Declarations --------------------------------------------------------------------------------------------------

class Declarer {
 public:
  Declarer(CLI::App& parent, Commands& commands) : parent_(parent), commands_(commands) {}

  // A subcommand with --dir and --format.
  CLI::App* Add(const char* name, const char* about, const std::string& footer,
                int (*run)(const TestnetArguments&, std::ostream& out, std::ostream& err),
                const std::function<void(CLI::App*, TestnetArguments&)>& options = {}) {
    const auto given = std::make_shared<TestnetArguments>();
    CLI::App* command = parent_.add_subcommand(name, about);
    if (options) options(command, *given);
    command->add_option("--dir", given->directory, "Directory of the testnet (default: " + given->directory + ")")
        ->option_text("DIR");
    AddFormat(command, given->format);
    command->footer(footer);
    commands_.push_back(
        {command, [given, run](std::ostream& out, std::ostream& err) { return run(*given, out, err); }});
    return command;
  }

 private:
  CLI::App& parent_;
  Commands& commands_;
};

void AddStarting(CLI::App* command, TestnetArguments& given) {
  command->add_option("--binary", given.binary, "The lvs to run (default: this one)")->option_text("FILE");
  command
      ->add_option("--deadline", given.deadline, "How long nodes may take to serve (default: " + given.deadline + ")")
      ->option_text("TIME");
}

void AddNodeNumber(CLI::App* command, TestnetArguments& given) {
  command->add_option("NODE", given.node, "Number of the node, from 0")
      ->required()
      ->check(CLI::Range(std::size_t{0}, kTestnetNodesMax - 1))
      ->option_text(" ");
}

void AddUpOptions(CLI::App* command, TestnetArguments& given) {
  command->add_option("--nodes", given.plan.nodes, "How many (default: 3)")
      ->check(CLI::Range(std::size_t{1}, kTestnetNodesMax))
      ->option_text("N");
  command->add_option("--regions", given.regions, "Where they stand, in turn (default: all in local)")
      ->option_text("NAME,...");
  command->add_option("--loss", given.loss, "Share of frames that is lost on every link, such as 5%")
      ->option_text("SHARE");
  command->add_option("--delay", given.delay, "Delay of frames on every link, such as 80ms")->option_text("TIME");
  command->add_flag("--cache", given.plan.cache, "Keep the ledger on disk too");
  command->add_option("--micro-nodes", given.plan.micro_nodes, "Micro-nodes on each node (default: the node's)")
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
      ->check(CLI::Range(1'024, 65'000))
      ->option_text("PORT");
  AddStarting(command, given);
}

void AddLoadOptions(CLI::App* command, TestnetArguments& given) {
  command->add_option("--rate", given.rate, "Contributions a second (default: 100)")
      ->check(CLI::Range(0.01, 1e6))
      ->option_text("R");
  command->add_option("--for", given.run, "How long (default: 10s)")->option_text("TIME");
  command->add_option("--durability", given.durability, "What to wait for (default: memory)")
      ->option_text("memory|disk|nodes:N");
  command->add_option("--sessions", given.sessions, "Sessions that take turns (default: 1 for 20/s, at least 16)")
      ->check(CLI::Range(1, 10'000'000))
      ->option_text("S");
  command->add_option("--shards", given.shards, "How many shards to contribute to (default: all)")
      ->check(CLI::Range(1u, 65'535u))
      ->option_text("N");
  command->add_option("--amount", given.amount, "What each adds (default: 0.01VU)")->option_text("VALUE");
  command->add_option("--record", given.records, "Write what was sent and acknowledged, for `lvs testnet verify`")
      ->expected(1)
      ->option_text("FILE");
  command
      ->add_option("--report", given.out_directory,
                   "Record the nodes meanwhile, and write a run directory: new, empty, or an earlier one to replace")
      ->option_text("DIR");
}

void AddReportOptions(CLI::App* command, TestnetArguments& given) {
  command->add_option("--for", given.run, "How long (default: 10s)")->option_text("TIME");
  command
      ->add_option("--out", given.out_directory,
                   "Run directory: new, empty, or an earlier one to replace (default: runs/testnet-TIME)")
      ->option_text("DIR");
  command->add_option("--within", given.within, "How long nodes may take to agree after that (default: 10s)")
      ->option_text("TIME");
  command->add_option("--interval", given.interval, "Time between looks (default: a drift cycle, and at least 100ms)")
      ->option_text("TIME");
}

}  // namespace

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
  Declarer declare(*testnet, commands);
  const std::string exit_codes = "\nExit codes: 0 done, 1 could not, 2 wrong arguments";
  declare.Add("up", "Start a new testnet and wait until it serves",
              "Examples:\n  lvs testnet up\n  lvs testnet up --nodes 5 --regions eu,us --loss 5% --delay 80ms --cache\n"
              "  lvs testnet up --nodes 5 --loss 10% --network namespaces\n"
              "\nReplaces what an earlier testnet left in the directory, logs and caches too. Nodes run until `lvs "
              "testnet down`.\nIf one fails to come up, or on Ctrl-C, all are ended again.\n" +
                  exit_codes + ".",
              Up, AddUpOptions);
  declare.Add("status", "Health of its nodes, and whether their ledgers are equal",
              "Example:\n  lvs testnet status\n" + exit_codes +
                  ", 10 a node is unhealthy or does not run, or ledgers "
                  "differ.",
              Status);
  declare.Add("kill", "End one node, and wait for its end",
              "Examples:\n  lvs testnet kill 2\n  lvs testnet kill 2 --hard\n" + exit_codes + ".", Kill,
              [](CLI::App* command, TestnetArguments& given) {
                AddNodeNumber(command, given);
                command->add_flag("--hard", given.hard, "SIGKILL: it loses what it had in memory and says no goodbye");
              });
  declare.Add("start", "Bring a node back with the same configuration and faults",
              "Example:\n  lvs testnet start 2\n" + exit_codes + ".", Start,
              [](CLI::App* command, TestnetArguments& given) {
                AddNodeNumber(command, given);
                AddStarting(command, given);
              });
  declare.Add("partition", "Sever groups of nodes from each other",
              "Example:\n  lvs testnet partition 0,1/2\n\nLoss and delay stay as they are.\n" + exit_codes + ".",
              Partition, [](CLI::App* command, TestnetArguments& given) {
                command->add_option("GROUPS", given.groups, "Node numbers, groups apart by a slash: 0,1/2")
                    ->required()
                    ->option_text(" ");
              });
  declare.Add("heal", "End a partition",
              "Example:\n  lvs testnet heal\n\nLoss and delay stay as they are.\n" + exit_codes + ".", Heal);
  declare.Add(
      "scatter", "Throw the replicas of all nodes to random places, to watch them find back",
      "Example:\n  lvs testnet report --for 8s & sleep 2; lvs testnet scatter; wait\n"
      "\nFree coordinates only: values stay on the ledger. Replicas that join start where others are, so nothing "
      "else\nsets a quiet testnet apart.\n" +
          exit_codes + ".",
      Scatter);
  declare.Add("load", "Contribute at a fixed rate, and measure",
              "Examples:\n  lvs testnet load --rate 500 --for 30s\n"
              "  lvs testnet load --rate 100 --durability nodes:2 --record load.json\n"
              "  lvs testnet load --rate 500 --for 30s --report runs/load\n"
              "\nContributions are due at fixed times, whether or not earlier ones were answered; latency counts from "
              "then.\nWhat fails is repeated at the next node for up to 10s. A report also covers a second before and "
              "some after.\n" +
                  exit_codes + ", 99 not all were acknowledged, or a threshold of the report is breached.",
              RunLoadCommand, AddLoadOptions);
  declare.Add(
      "report", "Record the nodes for a while, judge them and write a report like that of lvs run",
      "Examples:\n  lvs testnet report\n"
      "  lvs testnet report --for 60s --out runs/broken & lvs testnet kill 2 --hard; lvs testnet start 2; wait\n"
      "\nIt ends once what any node held after that time is held by all, or --within later. What has to hold: "
      "nothing is missing\nthen, replicas agree, nodes that run serve, and micro-nodes send no more than 50 KB "
      "a minute.\n" +
          exit_codes + ", 99 a threshold is breached.",
      Report, AddReportOptions);
  declare.Add("verify", "Hold the ledgers to what loads recorded",
              "Example:\n  lvs testnet verify --record load.json\n"
              "\nOn every node each slot's total must be at least what was acknowledged, and at most what was sent, on "
              "top of what\nwas there before the first load. Nothing else may contribute meanwhile. Several records: "
              "in the order of the loads.\n" +
                  exit_codes + ", 10 a node does not answer, 99 broken.",
              Verify, [](CLI::App* command, TestnetArguments& given) {
                command->add_option("--record", given.records, "What a load wrote; may be given more than once")
                    ->required()
                    ->allow_extra_args(false)
                    ->option_text("FILE");
                command->add_option("--within", given.within, "How long ledgers may take to agree (default: 10s)")
                    ->option_text("TIME");
              });
  declare.Add("down", "End all nodes; logs and caches stay",
              "Example:\n  lvs testnet down\n\nNodes that do not end in time are killed.\n" + exit_codes + ".", Down);
}

}  // namespace lvs::services
