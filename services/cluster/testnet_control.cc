#include "services/cluster/testnet_control.h"

#include <algorithm>
#include <csignal>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_join.h"
#include "services/base/build.h"
#include "services/base/files.h"
#include "services/base/poll.h"
#include "services/base/text.h"

namespace lvs::services {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kCallTimeout{2'000};
constexpr milliseconds kPoll{100};
// A node drains for 10 s at most, and may take some time to close.
constexpr milliseconds kDrainDeadline{15'000};
// The report's page shows at most this many configurations.
constexpr std::size_t kFilesInReport = 10;

bool Requested(const std::atomic<bool>* stop) { return stop != nullptr && stop->load(); }

// The first node that is not ready yet, and why.
struct Laggard {
  std::size_t node = 0;
  std::string why;
  bool ended = false;
};

// Waits until given nodes of a testnet are ready.
class Startup {
 public:
  // `nodes` are started already. Each is ready once it has its faults, serves, and has `peers_wanted` peers.
  Startup(const Testnet& net, std::vector<std::size_t> nodes, std::size_t peers_wanted)
      : net_(net), numbers_(std::move(nodes)), peers_wanted_(peers_wanted) {
    for (const std::size_t i : numbers_) nodes_.push_back(net.nodes()[i]);
  }

  // The node was started again, and needs its faults again.
  void Restarted(std::size_t node) { has_faults_.erase(node); }

  StartResult Wait(const StartOptions& options) {
    const Clock::time_point end = Clock::now() + options.deadline;
    StartResult result;
    while (true) {
      if (absl::Status asked = Ask(&result); !asked.ok()) {
        result.status = std::move(asked);
        return result;
      }
      const std::optional<Laggard> laggard = FindLaggard(result.cluster);
      if (!laggard) {
        result.failed.reset();
        return result;
      }
      result.failed = laggard->node;
      const std::string what = "node " + std::to_string(laggard->node) + " " + laggard->why;
      if (laggard->ended) {
        result.status = absl::UnavailableError(what);
      } else if (Requested(options.stop)) {
        result.status = absl::CancelledError("interrupted");
      } else if (Clock::now() >= end) {
        result.status =
            absl::DeadlineExceededError(what + " after " + FormatDurationUs(options.deadline.count() * 1'000));
      }
      if (!result.status.ok()) return result;
      std::this_thread::sleep_for(kPoll);
    }
  }

 private:
  // Asks all nodes, and gives their faults to those that answer. Each look opens new connections, because a call on a
  // recently refused connection may wait for its whole timeout.
  absl::Status Ask(StartResult* result) {
    const absl::StatusOr<std::vector<ControlClient>> clients = ClientsOf(nodes_);
    if (!clients.ok()) return clients.status();
    result->cluster = AskStatus(*clients);
    for (std::size_t k = 0; k < clients->size(); ++k) {
      const std::size_t i = numbers_[k];
      result->cluster.nodes[k].name = std::to_string(i);
      const v1::Faults faults = net_.OwnFaults(i);
      const bool wanted = faults.severed_size() > 0 || faults.loss() > 0 || faults.delay_ms() > 0;
      if (!wanted || !result->cluster.nodes[k].status.ok() || has_faults_.contains(i)) continue;
      if (const auto set = (*clients)[k].SetFaults(faults); !set.ok()) {
        result->failed = i;
        return set.status();
      }
      has_faults_.insert(i);
    }
    return absl::OkStatus();
  }

  std::optional<Laggard> FindLaggard(const ClusterStatus& cluster) const {
    for (std::size_t k = 0; k < numbers_.size(); ++k) {
      const std::size_t i = numbers_[k];
      const auto& status = cluster.nodes[k].status;
      if (!net_.Pid(i)) return Laggard{i, "ended", true};
      if (!status.ok()) return Laggard{i, "does not answer: " + std::string(status.status().message())};
      if (status->state() != v1::SERVING) return Laggard{i, "is still " + StateText(*status)};
      if (status->has_sync() && !status->sync().holds_all() && status->peers_connected() > 0) {
        return Laggard{i, "has not fetched all that its peers hold"};
      }
      if (status->peers_connected() < peers_wanted_) {
        return Laggard{i, "has only " + FormatCount(status->peers_connected(), "peer")};
      }
    }
    return std::nullopt;
  }

  const Testnet& net_;
  const std::vector<std::size_t> numbers_;
  std::vector<TestnetNode> nodes_;
  const std::size_t peers_wanted_;
  std::set<std::size_t> has_faults_;
};

// Describes the testnet, for the head of the report's page.
std::string AboutTestnet(const std::vector<TestnetNode>& nodes, bool namespaces) {
  std::vector<std::string> regions;
  for (const TestnetNode& node : nodes) {
    if (std::find(regions.begin(), regions.end(), node.config.region()) == regions.end()) {
      regions.push_back(node.config.region());
    }
  }
  std::string text =
      FormatCount(nodes.size(), "server node") + " in " + JoinWords(regions) + ": real processes on this machine, ";
  text += namespaces ? "each in a network namespace of its own." : "over loopback.";
  const v1::Faults faults = ReadFaults(nodes.front());
  if (faults.loss() > 0) {
    text += " Every link loses " + FormatPercent(faults.loss()) + " of the " + (namespaces ? "packets." : "frames.");
  }
  if (faults.delay_ms() > 0) text += " Every frame is " + std::to_string(faults.delay_ms()) + "ms late.";
  return text;
}

}  // namespace

// ---- Asking --------------------------------------------------------------------------------------------------------

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

void NotePartition(const std::vector<TestnetNode>& nodes, ClusterStatus* cluster) {
  // Nodes of one group are severed from the same addresses.
  std::map<std::set<std::string>, std::vector<std::string>> groups;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const v1::Faults faults = ReadFaults(nodes[i]);
    groups[{faults.severed().begin(), faults.severed().end()}].push_back(std::to_string(i));
  }
  if (groups.empty() || (groups.size() == 1 && groups.begin()->first.empty())) return;
  std::vector<std::string> texts;
  for (const auto& [severed, members] : groups) texts.push_back(absl::StrJoin(members, ","));
  std::sort(texts.begin(), texts.end());
  cluster->notes.push_back("the testnet is partitioned into " + absl::StrJoin(texts, "/") + "; `" +
                           TestnetHint(nodes.front().Directory(), "heal") + "` mends it");
}

ClusterStatus AskTestnet(const std::vector<TestnetNode>& nodes, const std::vector<ControlClient>& clients) {
  ClusterStatus cluster = AskStatus(clients);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    cluster.nodes[i].name = std::to_string(i);
    if (!ProcessOf(nodes[i])) {
      cluster.notes.push_back("node " + std::to_string(i) + " does not run; `" +
                              TestnetHint(nodes[i].Directory(), "start " + std::to_string(i)) +
                              "` brings it back, and " + nodes[i].LogFile().string() + " may say why it ended");
    }
  }
  NotePartition(nodes, &cluster);
  return cluster;
}

// ---- Starting ------------------------------------------------------------------------------------------------------

StartResult StartAll(Testnet& net, const StartOptions& options) {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < net.nodes().size(); ++i) {
    if (Requested(options.stop)) return {absl::CancelledError("interrupted"), std::nullopt, {}};
    if (absl::Status started = net.Start(i, options.binary); !started.ok()) return {std::move(started), i, {}};
    all.push_back(i);
  }
  return Startup(net, all, std::min(all.size() - 1, kPeersWanted)).Wait(options);
}

StartResult StartNode(Testnet& net, std::size_t node, const StartOptions& options) {
  if (absl::Status started = net.Start(node, options.binary); !started.ok()) {
    return {std::move(started), std::nullopt, {}};
  }
  return Startup(net, {node}, 0).Wait(options);
}

StartResult Roll(Testnet& net, const StartOptions& options, const std::function<void(std::size_t)>& on_node) {
  std::vector<std::size_t> running;
  for (std::size_t i = 0; i < net.nodes().size(); ++i) {
    if (net.Pid(i)) running.push_back(i);
  }
  if (running.size() < 2) {
    return {absl::FailedPreconditionError(
                "a rolling restart needs two running nodes: `lvs testnet start N` brings one back"),
            std::nullopt,
            {}};
  }
  Startup startup(net, running, std::min(running.size() - 1, kPeersWanted));
  StartResult result = startup.Wait(options);
  for (const std::size_t i : running) {
    if (!result.status.ok()) return result;
    if (absl::Status stopped = net.Stop(i, SIGTERM, kDrainDeadline); !stopped.ok()) return {std::move(stopped), i, {}};
    if (absl::Status started = net.Start(i, options.binary); !started.ok()) return {std::move(started), i, {}};
    startup.Restarted(i);
    result = startup.Wait(options);
    if (result.status.ok() && on_node) on_node(i);
  }
  return result;
}

// ---- Faults --------------------------------------------------------------------------------------------------------

absl::Status ApplyFaults(const Testnet& net, std::size_t node, const v1::Faults& faults) {
  absl::Status saved = net.SaveFaults(node, faults);
  if (!saved.ok() || !net.Pid(node)) return saved;
  const absl::StatusOr<ControlClient> client = ClientOf(net.nodes()[node]);
  return client.ok() ? client->SetFaults(net.OwnFaults(node)).status() : client.status();
}

std::vector<SeveredNode> Sever(const Testnet& net, const std::vector<std::size_t>& group_of) {
  std::vector<SeveredNode> nodes;
  for (std::size_t i = 0; i < net.nodes().size(); ++i) {
    v1::Faults faults = net.SavedFaults(i);
    faults.clear_severed();
    for (std::size_t j = 0; j < net.nodes().size(); ++j) {
      if (group_of[j] != group_of[i]) faults.add_severed(net.nodes()[j].config.advertise());
    }
    nodes.push_back({{faults.severed().begin(), faults.severed().end()}, ApplyFaults(net, i, faults)});
  }
  return nodes;
}

absl::StatusOr<std::size_t> Scatter(const std::vector<TestnetNode>& nodes, const std::vector<ControlClient>& clients) {
  std::size_t scattered = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!ProcessOf(nodes[i])) continue;
    if (absl::Status status = clients[i].Scatter(); !status.ok()) return status;
    ++scattered;
  }
  if (scattered == 0) return absl::FailedPreconditionError("no node of the testnet runs");
  return scattered;
}

// ---- Judging -------------------------------------------------------------------------------------------------------

TotalsCheck AwaitTotals(const std::vector<TestnetNode>& nodes, const std::vector<ControlClient>& clients,
                        const std::vector<TotalBounds>& bounds, milliseconds within, const std::atomic<bool>* stop) {
  TotalsCheck check;
  PollUntil(
      [&] {
        check = CheckTotals(AskTestnet(nodes, clients), bounds);
        return check.Complete() || Requested(stop);
      },
      within, kPoll);
  return check;
}

void DescribeTestnet(const std::vector<TestnetNode>& nodes, v1::RunReport* report) {
  const v1::TestnetState state = ReadTestnetState(nodes.front().Directory());
  report->mutable_summary()->set_build(BuildString());
  report->mutable_summary()->set_replay(state.command());
  report->set_about(AboutTestnet(nodes, state.has_network()));
  std::string files;
  for (std::size_t i = 0; i < nodes.size() && i < kFilesInReport; ++i) {
    files += (i == 0 ? "" : "\n") + ("# node " + std::to_string(i) + "\n") + ReadFileOrEmpty(nodes[i].ConfigFile());
  }
  report->set_scenario_yaml(files);
}

}  // namespace lvs::services
