// The operators' commands for running server nodes: lvs status, peers, shards, contribute, watch, drain.
#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "services/base/yaml_proto.h"
#include "services/cli/cli.h"
#include "services/cli/cluster_status.h"
#include "services/cli/commands.h"
#include "services/cli/interrupt.h"
#include "services/cli/node_options.h"
#include "services/cli/output.h"
#include "services/client/contribution.h"
#include "services/client/control_client.h"
#include "services/cluster/testnet_control.h"
#include "services/report/report.h"

namespace lvs::services {
namespace {

constexpr const char* kExitCodes = "\nExit codes: 0 done, 1 a node could not be asked or refused, 2 wrong arguments.";

Json AsJson(const google::protobuf::Message& message) { return Json::parse(MessageJson(message)); }

std::string Ago(double seconds) { return FormatDurationUs(static_cast<std::int64_t>(seconds * 10) * 100'000); }

// ---- lvs status ----------------------------------------------------------------------------------------------------

int ShowStatus(const NodeOptions& options, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<std::vector<ControlClient>> clients = ClientsOf(options);
  if (!clients.ok()) return Fail(err, clients.status());
  ClusterStatus cluster = AskStatus(*clients);
  if (options.cluster && options.nodes.empty()) {
    const auto nodes = ReadTestnet(options.testnet);
    if (!nodes.ok()) return Fail(err, nodes.status());
    NotePartition(*nodes, &cluster);
  }
  if (options.format == "json") {
    out << JsonText(StatusAsJson(cluster), 2) << "\n";
  } else {
    PrintStatus(cluster, out);
  }
  return cluster.Problems().empty() ? kExitPassed : kExitUnhealthy;
}

// ---- lvs peers, lvs shards -----------------------------------------------------------------------------------------

Rows PeerRows(const std::string& node, const v1::PeerList& list) {
  Rows rows;
  for (const v1::Peer& peer : list.peers()) {
    rows.push_back({node, peer.address().empty() ? "(not dialable)" : peer.address(), peer.region(),
                    std::string(peer.dialled() ? "out" : "in") + (peer.leaving() ? ", leaving" : ""),
                    Ago(peer.connected_s()), Ago(peer.heard_s()), FormatNumber(peer.rtt_ms()) + "ms",
                    FormatGrouped(peer.frames_sent()), FormatGrouped(peer.frames_received()),
                    FormatMegabytes(peer.bytes_sent()), FormatMegabytes(peer.bytes_received()), peer.build()});
  }
  return rows;
}

// Asks each node and prints all answers: rows below `heading`, or a JSON list of {node, ...}.
template <typename Answer, typename Ask, typename MakeRows>
int ShowLists(const NodeOptions& options, const Ask& ask, std::vector<std::string> heading, const MakeRows& make_rows,
              std::ostream& out, std::ostream& err) {
  const absl::StatusOr<std::vector<ControlClient>> clients = ClientsOf(options);
  if (!clients.ok()) return Fail(err, clients.status());
  const std::vector<absl::StatusOr<Answer>> answers = AskEach<Answer>(*clients, ask);
  int exit_code = kExitPassed;
  Rows rows{std::move(heading)};
  Json list = Json::array();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const std::string& node = (*clients)[i].address();
    Json entry{{"node", node}};
    if (answers[i].ok()) {
      entry.update(AsJson(*answers[i]));
      const Rows more = make_rows(node, *answers[i]);
      rows.insert(rows.end(), more.begin(), more.end());
    } else {
      entry["error"] = std::string(answers[i].status().message());
      exit_code = Fail(err, answers[i].status());
    }
    list.push_back(std::move(entry));
  }
  if (options.format == "json") {
    out << JsonText(list, 2) << "\n";
    return exit_code;
  }
  if (rows.size() > 1) PrintTable(out, rows);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].ok() && make_rows("", *answers[i]).empty()) out << (*clients)[i].address() << ": none\n";
  }
  return exit_code;
}

int ShowPeers(const NodeOptions& options, std::ostream& out, std::ostream& err) {
  // Notes under the table name the addresses that a node knows and cannot reach.
  std::vector<std::string> notes;
  const auto make_rows = [&notes](const std::string& node, const v1::PeerList& list) {
    for (const v1::KnownAddress& known : list.known()) {
      if (known.failures() == 0 || node.empty()) continue;
      notes.push_back(node + " cannot reach " + known.address() + " (" + FormatCount(known.failures(), "failure") +
                      (known.last_error().empty() ? "" : ": " + known.last_error()) + ")");
    }
    return PeerRows(node, list);
  };
  const int exit_code = ShowLists<v1::PeerList>(
      options, [](const ControlClient& client) { return client.ListPeers(); },
      {"node", "peer", "region", "way", "connected", "heard", "rtt", "frames out", "frames in", "sent", "received",
       "build"},
      make_rows, out, err);
  if (options.format != "json") {
    if (!notes.empty()) out << "\n";
    for (const std::string& note : notes) out << "note: " << note << "\n";
  }
  return exit_code;
}

int ShowShards(const NodeOptions& options, std::ostream& out, std::ostream& err) {
  const auto make_rows = [](const std::string& node, const v1::ShardList& list) {
    Rows rows;
    for (const v1::Shard& shard : list.shards()) {
      std::string totals;
      for (const std::uint64_t total : shard.total_uvu()) {
        totals += (totals.empty() ? "" : " ") + ValueText(static_cast<std::int64_t>(total));
      }
      rows.push_back({node, std::to_string(shard.shard()), FormatGrouped(shard.replicas()), totals,
                      FormatGrouped(shard.sessions()), DigestText(shard.digest()),
                      ValueText(static_cast<std::int64_t>(shard.behind_uvu())),
                      FormatNumber(shard.worst_value_vu()) + "VU", shard.holds_all() ? "yes" : "NO"});
    }
    return rows;
  };
  return ShowLists<v1::ShardList>(
      options, [](const ControlClient& client) { return client.ListShards(); },
      {"node", "shard", "replicas", "total a slot", "sessions", "digest", "behind", "farthest", "holds all"}, make_rows,
      out, err);
}

// ---- lvs contribute ------------------------------------------------------------------------------------------------

struct ContributeArguments {
  NodeOptions node;
  std::uint32_t shard = 0, slot = 0;
  std::string amount, session, durability = "memory";
};

std::string ReachedText(const v1::ContributeReply& reached) {
  if (!reached.held()) return "nothing";
  std::string text = "held in memory";
  if (reached.disk()) text += ", on disk";
  if (reached.nodes() > 0) text += ", by " + FormatCount(reached.nodes(), "server node");
  return text;
}

// The command line that repeats this contribution.
std::string RepeatCommand(const ContributeArguments& arguments, const SessionId& session) {
  std::string command = "lvs contribute";
  if (!arguments.node.nodes.empty()) command += " --node " + arguments.node.nodes.back();
  command += " --shard " + std::to_string(arguments.shard) + " --slot " + std::to_string(arguments.slot) +
             " --amount " + arguments.amount + " --session " + SessionText(session);
  if (arguments.durability != "memory") command += " --durability " + arguments.durability;
  return command;
}

absl::StatusOr<v1::ContributeRequest> RequestOf(const ContributeArguments& arguments, SessionId* session) {
  v1::ContributeRequest request;
  const absl::StatusOr<std::int64_t> amount = ParseValueUvu(arguments.amount);
  if (!amount.ok()) return absl::InvalidArgumentError("--amount: " + std::string(amount.status().message()));
  if (*amount == 0) return absl::InvalidArgumentError("--amount: a contribution is more than 0");
  if (absl::Status status = ParseDurability(arguments.durability, &request); !status.ok()) return status;
  if (arguments.session.empty()) {
    *session = RandomSession();
  } else if (const absl::StatusOr<SessionId> given = ParseSession(arguments.session); given.ok()) {
    *session = *given;
  } else {
    return given.status();
  }
  request.set_session_high(session->high);
  request.set_session_low(session->low);
  request.set_shard(arguments.shard);
  request.set_slot(arguments.slot);
  request.set_amount_uvu(static_cast<std::uint64_t>(*amount));
  return request;
}

int Contribute(const ContributeArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<std::vector<ControlClient>> clients = ClientsOf(arguments.node);
  if (!clients.ok()) return Fail(err, clients.status());
  SessionId session;
  const absl::StatusOr<v1::ContributeRequest> request = RequestOf(arguments, &session);
  if (!request.ok()) return Fail(err, request.status());
  const ContributeResult result = clients->front().Contribute(*request);
  if (arguments.node.format == "json") {
    const Json json{{"session", SessionText(session)},
                    {"code", static_cast<int>(result.status.code())},
                    {"message", std::string(result.status.message())},
                    {"reached", AsJson(result.reached)}};
    out << JsonText(json, 2) << "\n";
  } else if (result.status.ok()) {
    PrintTable(out, {{"session", SessionText(session)},
                     {"reached", ReachedText(result.reached)},
                     {"total", ValueText(static_cast<std::int64_t>(request->amount_uvu())) +
                                   " of this session in this slot; to add to it, give the session and a larger "
                                   "--amount"}});
  }
  if (result.status.ok()) return kExitPassed;
  const int exit_code = Fail(err, result.status);
  if (absl::IsInvalidArgument(result.status)) return exit_code;
  if (absl::IsDeadlineExceeded(result.status) || result.reached.held()) {
    err << "lvs: reached so far: " << ReachedText(result.reached) << "\n";
  }
  if (result.reached.retry_delay_ms() > 0) {
    err << "lvs: try again no sooner than in " << FormatDurationUs(std::int64_t{result.reached.retry_delay_ms()} * 1000)
        << "\n";
  }
  err << "lvs: repeating is safe, here or at any other node: the amount is cumulative and counts once\n  "
      << RepeatCommand(arguments, session) << "\n";
  return exit_code;
}

// ---- lvs watch -----------------------------------------------------------------------------------------------------

struct WatchArguments {
  NodeOptions node;
  std::string interval = "1s";
  std::uint64_t count = 0;
};

std::string WatchLine(const v1::NodeStatus& node, std::uint64_t contributions_before, double seconds) {
  const std::uint64_t accepted = node.ledger().accepted();
  const double rate = seconds > 0 && accepted >= contributions_before
                          ? static_cast<double>(accepted - contributions_before) / seconds
                          : 0;
  std::string line = StateText(node) + "  " + FormatCount(node.peers_connected(), "peer") + "  cycle " +
                     FormatGrouped(node.cycle()) + "  " + FormatCount(node.micro_nodes(), "micro-node") + "  ledger " +
                     LedgerText(node.ledger()) + " " + DigestText(node.ledger().digest()) + "  spread " +
                     absl::StrFormat("%.1e", node.drift().relative_spread()) + "  " + FormatNumber(rate) +
                     " contributions/s  " + FormatMegabytes(node.resident_bytes());
  for (const std::string& problem : node.problems()) line += "  PROBLEM: " + problem;
  return line;
}

int Watch(const WatchArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<std::vector<ControlClient>> clients = ClientsOf(arguments.node);
  if (!clients.ok()) return Fail(err, clients.status());
  const absl::StatusOr<std::int64_t> interval_us = ParseDurationUs(arguments.interval);
  if (!interval_us.ok() || *interval_us < 100'000 || *interval_us > 60'000'000) {
    return Fail(err, absl::InvalidArgumentError("--interval: write a time from 100ms to 1m"));
  }
  InterruptGuard interrupts;
  const bool terminal = IsTerminal(out);
  const bool json = arguments.node.format == "json" || (arguments.node.format == "auto" && !terminal);
  v1::NodeStatus before;
  std::uint64_t seen = 0;
  const absl::Status status = clients->front().Watch(
      std::chrono::milliseconds(*interval_us / 1'000),
      [&](const v1::NodeStatus& node) {
        if (json) {
          out << MessageJson(node) << std::endl;
        } else {
          const double seconds = seen == 0 ? 0 : node.uptime_s() - before.uptime_s();
          const std::string line = WatchLine(node, before.ledger().accepted(), seconds);
          if (terminal) {
            out << "\r\x1b[K" << line.substr(0, TerminalColumns() - 1) << std::flush;
          } else {
            out << line << std::endl;
          }
        }
        before = node;
        return ++seen != arguments.count && out.good();
      },
      &InterruptGuard::Flag());
  if (terminal && !json && seen > 0) out << "\n";
  return status.ok() ? kExitPassed : Fail(err, status);
}

// ---- lvs drain -----------------------------------------------------------------------------------------------------

int Drain(const NodeOptions& options, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<std::vector<ControlClient>> clients = ClientsOf(options);
  if (!clients.ok()) return Fail(err, clients.status());
  const std::string& address = clients->front().address();
  if (const absl::Status status = clients->front().Drain(); !status.ok()) return Fail(err, status);
  if (options.format == "json") {
    out << JsonText({{"node", address}, {"draining", true}}) << "\n";
  } else {
    out << address << " drains: it takes no new work, hands over what its peers lack, and ends\n";
  }
  return kExitPassed;
}

// ---- Declarations --------------------------------------------------------------------------------------------------

void AddContribute(CLI::App& app, Commands& commands) {
  const auto given = std::make_shared<ContributeArguments>();
  CLI::App* contribute = app.add_subcommand("contribute", "Add value to a session in one slot of one shard");
  contribute->add_option("--shard", given->shard, "Which shard")->required()->check(WholeNumber())->option_text("N");
  contribute->add_option("--slot", given->slot, "Which value slot of it")
      ->required()
      ->check(WholeNumber())
      ->option_text("N");
  contribute->add_option("--amount", given->amount, "What the session has earned in this slot in all, such as 2.5VU")
      ->required()
      ->option_text("VALUE");
  contribute->add_option("--session", given->session, "Session to go on with (default: a new one)")
      ->option_text("HEX32");
  contribute
      ->add_option(
          "--durability", given->durability,
          "When it counts as done: in memory here, on disk here, or in the memory of N nodes (default: memory)")
      ->option_text("memory|disk|nodes:N");
  AddNodeOptions(contribute, given->node, /*several=*/false);
  AddFormat(contribute, given->node.format);
  contribute->footer(std::string("Examples:\n"
                                 "  lvs contribute --shard 0 --slot 0 --amount 2.5VU\n"
                                 "  lvs contribute --shard 0 --slot 0 --amount 4VU --session "
                                 "00112233445566778899aabbccddeeff --durability nodes:2\n"
                                 "\nAmounts are cumulative: the second one above adds 1.5VU to a session that had "
                                 "2.5VU. Repeating is always safe.\n") +
                     kExitCodes);
  commands.push_back(
      {contribute, [given](std::ostream& out, std::ostream& err) { return Contribute(*given, out, err); }});
}

void AddWatch(CLI::App& app, Commands& commands) {
  const auto given = std::make_shared<WatchArguments>();
  given->node.format = "auto";
  CLI::App* watch = app.add_subcommand("watch", "Follow the status of a node, until Ctrl-C");
  watch->add_option("--interval", given->interval, "From one status to the next (default: 1s)")->option_text("TIME");
  watch->add_option("--count", given->count, "End after this many (default: never)")
      ->check(WholeNumber())
      ->option_text("N");
  AddNodeOptions(watch, given->node, /*several=*/false);
  AddFormat(watch, given->node.format)
      ->description("table: a line for people; json: one object a line (default: table on a terminal, else json)");
  watch->footer(std::string("Examples:\n  lvs watch\n  lvs watch --format json | jq .ledger.digest\n") + kExitCodes);
  commands.push_back({watch, [given](std::ostream& out, std::ostream& err) { return Watch(*given, out, err); }});
}

// Adds a command whose only arguments are the nodes.
void AddNodeCommand(CLI::App& app, Commands& commands, const char* name, const char* about, const std::string& footer,
                    bool several, const char* timeout,
                    int (*run)(const NodeOptions&, std::ostream& out, std::ostream& err)) {
  const auto given = std::make_shared<NodeOptions>();
  given->timeout = timeout;
  CLI::App* command = app.add_subcommand(name, about);
  AddNodeOptions(command, *given, several);
  AddFormat(command, given->format);
  command->footer(footer);
  commands.push_back({command, [given, run](std::ostream& out, std::ostream& err) { return run(*given, out, err); }});
}

}  // namespace

void AddOperate(CLI::App& app, Commands& commands) {
  AddNodeCommand(app, commands, "status", "Health of server nodes, and whether their ledgers are equal",
                 "Examples:\n"
                 "  lvs status\n"
                 "  lvs status --node 10.0.0.1:7401 --node 10.0.0.2:7401\n"
                 "  lvs status --cluster --format json | jq .problems\n"
                 "\nExit codes: 0 all is well, 1 could not ask, 2 wrong arguments, 10 a node is unhealthy or cannot be "
                 "reached, or\nledgers of serving nodes differ.",
                 /*several=*/true, "5s", ShowStatus);
  AddNodeCommand(app, commands, "peers", "Whom each server node is connected to",
                 std::string("Examples:\n  lvs peers\n  lvs peers --cluster\n") + kExitCodes, /*several=*/true, "5s",
                 ShowPeers);
  AddNodeCommand(app, commands, "shards", "The shards of a server node: replicas, totals, digests",
                 std::string("Examples:\n  lvs shards\n  lvs shards --node 10.0.0.1:7401 --format json\n") + kExitCodes,
                 /*several=*/true, "5s", ShowShards);
  AddContribute(app, commands);
  AddWatch(app, commands);
  AddNodeCommand(app, commands, "drain", "Take a server node out of the cluster without loss, and end it",
                 std::string("Example:\n  lvs drain --node 10.0.0.1:7401\n") + kExitCodes, /*several=*/false, "60s",
                 Drain);
}

}  // namespace lvs::services
