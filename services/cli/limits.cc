// `lvs limits`: the table of all limits, defaults and protocol constants.
#include "services/cli/limits.h"

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <utility>

#include "actors/server_node.h"
#include "services/base/files.h"
#include "services/cli/cli.h"
#include "services/cli/commands.h"
#include "services/cli/output.h"
#include "services/cluster/testnet_config.h"
#include "services/net/connections.h"
#include "services/node/control_service.h"
#include "services/node/node_config.h"
#include "services/node/node_servers.h"
#include "services/node/operations.h"
#include "services/peering/hello.h"
#include "services/peering/membership.h"
#include "services/peering/peer_stream.h"
#include "services/peering/peer_table.h"
#include "services/scenario/scenario.h"
#include "shard/hosting/ambassadors.h"
#include "shard/intake.h"
#include "shard/ledger_sync.h"
#include "vaultguard/limits.h"

namespace lvs::services {
namespace {

// The properties that a group of constants shares.
struct Group {
  const char* prefix;
  const char* applies;
  const char* home;
};

struct Entry {
  const char* name;
  Json value;
  const char* unit;
  const char* meaning;
};

// The shortest decimal number that rounds to this float: 1e-4f gives 0.0001 instead of 9.9999997e-05.
double Decimal(float number) {
  std::array<char, 32> text{};
  const char* end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  double decimal = 0;
  std::from_chars(text.data(), end, decimal);
  return decimal;
}

void Append(const Group& group, std::initializer_list<Entry> entries, std::vector<Limit>* limits) {
  for (const Entry& entry : entries) {
    limits->push_back({std::string(group.prefix) + "." + entry.name, entry.value, entry.unit, group.applies,
                       entry.meaning, group.home});
  }
}

void AppendNode(std::vector<Limit>* limits) {
  constexpr NodeDefaults kDefaults;
  Append({"node", "server node, default", "services/node/node_config.h"},
         {{"region", kDefaults.region, "", "where the node says that it is"},
          {"listen", kDefaults.listen, "", "where peers connect"},
          {"control_listen", kDefaults.control_listen, "", "where operators and clients connect"},
          {"health_listen", kDefaults.health_listen, "", "where probes and Prometheus ask"},
          {"shards", kDefaults.shards, "", "shards of the cluster"},
          {"value_slots", kDefaults.value_slots, "", "value slots of a shard"},
          {"free_coordinates", kDefaults.free_coordinates, "", "free coordinates of a shard"},
          {"micro_nodes", kDefaults.micro_nodes, "", "micro-nodes of the server node"},
          {"shards_per_node", kDefaults.shards_per_node, "", "shards of which a micro-node has replicas"},
          {"period_us", kDefaults.period_us, "us", "length of a drift cycle"},
          {"links", kDefaults.links, "", "most links to peers"},
          {"contributions_per_second_link", kDefaults.contributions_per_second_link, "/s",
           "contributions taken over one connection of a client"},
          {"contributions_per_second_session", kDefaults.contributions_per_second_session, "/s",
           "contributions taken of one session"},
          {"drain_grace_us", kDefaults.drain_grace_us, "us", "time in which a draining node still serves"},
          {"drain_deadline_us", kDefaults.drain_deadline_us, "us", "time after which a draining node ends"},
          {"lines_per_second", kDefaults.lines_per_second, "/s", "log lines of one event"},
          {"protocol_max", kDefaults.protocol_max, "", "newest protocol version that the node speaks"}},
         limits);
  constexpr NodeLimitsOfConfig kLimits;
  Append({"node", "server node, limit", "services/node/node_config.h"},
         {{"period_us_min", kLimits.period_us_min, "us", "shortest drift cycle"},
          {"period_us_max", kLimits.period_us_max, "us", "longest drift cycle"},
          {"links_max", kLimits.links_max, "", "links that may be configured"},
          {"boot_max", kLimits.boot_max, "", "boot addresses that may be configured"},
          {"contributions_per_second_max", kLimits.contributions_per_second_max, "/s",
           "contributions a second that may be configured"},
          {"drain_us_max", kLimits.drain_us_max, "us", "longest grace and deadline of a drain"},
          {"lines_per_second_max", kLimits.lines_per_second_max, "/s", "log lines a second that may be configured"}},
         limits);
  Append({"control", "control service, limit", "services/node/control_service.h"},
         {{"stream_waiting_max", kStreamWaitingMax, "", "contributions of one stream that wait for their answer"},
          {"watchers_max", kWatchersMax, "", "streams of lvs watch at the same time"}},
         limits);
}

void AppendPorts(std::vector<Limit>* limits) {
  Append({"control", "control service, limit", "services/net/connections.h"},
         {{"calls_per_second_max", kControlCalls.per_second, "/s", "calls that one connection may begin"},
          {"calls_burst_max", kControlCalls.burst, "", "calls that one connection may begin at once"},
          {"streams_max", kControlStreams, "", "calls at a time that a client is told to keep to"},
          {"calls_open_max", kControlCallsOpen, "", "calls at a time that a connection survives"},
          {"calls_open_in_all_max", kControlCallsOpenInAll, "", "calls at a time of all connections"},
          {"bytes_beside_calls_max", kBytesBesideCalls.burst, "B", "sent by a connection without calls, at once"},
          {"bytes_beside_calls_per_second_max", kBytesBesideCalls.per_second, "B/s", "the same, on average"}},
         limits);
  Append({"control", "control service, limit", "services/node/node_servers.h"},
         {{"connections_max", kConnectionSharesMax.control, "",
           "connections of tools and clients, where enough files may be open"}},
         limits);
  Append({"health", "health endpoint, limit", "services/node/operations.h"},
         {{"connections_max", kConnectionSharesMax.health, "", "connections, where enough files may be open"},
          {"request_bytes_max", OperationsEndpoint::kRequestBytes, "B", "longest request"},
          {"timeout_ms", OperationsEndpoint::kTimeoutMs, "ms", "longest time of a connection"}},
         limits);
}

void AppendScenario(std::vector<Limit>* limits) {
  constexpr ScenarioDefaults kDefaults;
  Append({"scenario", "scenario, default", "services/scenario/scenario.h"},
         {{"seed", kDefaults.seed, "", "seed of all randomness"},
          {"shards", kDefaults.shards, "", "shards"},
          {"value_slots", kDefaults.value_slots, "", "value slots of a shard"},
          {"free_coordinates", kDefaults.free_coordinates, "", "free coordinates of a shard"},
          {"replicas_min", kDefaults.replicas_min, "", "fewest replicas of a shard"},
          {"opening_balance_uvu", kDefaults.opening_balance_uvu, "uVU", "value of each slot at the start"},
          {"value_spread_uvu", kDefaults.value_spread_uvu, "uVU", "distance of replicas from it at the start"},
          {"coordinate_range", kDefaults.coordinate_range, "", "range of free coordinates at the start"},
          {"shards_per_node", kDefaults.shards_per_node, "", "shards of which a micro-node has replicas"},
          {"period_us", kDefaults.period_us, "us", "length of a drift cycle"},
          {"settle_us", kDefaults.settle_us, "us", "end of a run without contributions"},
          {"between_latency_us", kDefaults.between_latency_us, "us", "latency of links between regions"},
          {"acknowledge_nodes", kDefaults.acknowledge_nodes, "", "server nodes that acknowledge a contribution"}},
         limits);
  constexpr DriftDefaults kDrift;
  Append({"drift", "drift step, default", "services/scenario/scenario.h"},
         {{"peers", kDrift.peers, "", "neighbours of a replica"},
          {"alpha", kDrift.alpha, "", "weight of the entropy packets in a correction"},
          {"beta", kDrift.beta, "", "weight of the neighbours and the ledger in a correction"},
          {"ledger_weight", kDrift.ledger_weight, "", "weight of the ledger beside the neighbours"},
          {"bound_factor", kDrift.bound_factor, "",
           "bound on a step in value, in median distances of the neighbours; a third of it for free coordinates"},
          {"shuffle", kDrift.shuffle, "", "share of neighbours exchanged each cycle"}},
         limits);
  constexpr ScenarioLimits kLimits;
  Append({"scenario", "scenario, limit", "services/scenario/scenario.h"},
         {{"micro_nodes_max", kLimits.micro_nodes_max, "", "micro-nodes"},
          {"regions_max", kLimits.regions_max, "", "regions"},
          {"period_us_min", kLimits.period_us_min, "us", "shortest drift cycle"},
          {"period_us_max", kLimits.period_us_max, "us", "longest drift cycle"},
          {"cycles_max", kLimits.cycles_max, "", "cycles of a run"},
          {"contributions_per_second_max", kLimits.contributions_per_second_max, "/s", "contributions a second"},
          {"sessions_max", kLimits.sessions_max, "", "sessions"}},
         limits);
}

void AppendLinks(std::vector<Limit>* limits) {
  Append({"link", "link between server nodes, default", "actors/server_node.h"},
         {{"halo_rows", actors::ServerNodeConfig{}.halo_rows, "", "replicas of a shard that a peer tells of"}}, limits);
  Append(
      {"link", "link between server nodes", "shard/hosting/ambassadors.h"},
      {{"halo_refresh_cycles", hosting::kHaloRefreshCycles, "cycles", "a halo row is told again at least this often"}},
      limits);
  Append({"link", "link between server nodes", "shard/ledger_sync.h"},
         {{"sign_of_life_cycles", shard::kSignOfLifeCycles, "cycles", "a frame is sent at least this often"}}, limits);
  Append({"link", "link between server nodes, limit", "services/peering/peer_stream.h"},
         {{"message_bytes_max", kMessageBytesMax, "B", "longest message on a stream"}}, limits);
  Append({"link", "link between server nodes, limit", "services/peering/peer_table.h"},
         {{"strangers_max", kStrangersMax, "", "streams that have not said hello, above the links"},
          {"streams_max", kStreamsMax, "", "streams at a time, those included that are just ending"}},
         limits);
  Append(
      {"link", "link between server nodes, limit", "shard/intake.h"},
      {{"frames_per_shard_cycle", shard::kFramesPerShardCycle, "",
        "frames taken from a link, for each shard and cycle"},
       {"messages_beside_frames", shard::kReadsBesideFrames, "",
        "messages read from a link each cycle, above its frames"},
       {"message_part_bytes", shard::kReadPartBytes, "B", "a message costs one read more for each part of this size"},
       {"burst_cycles", shard::kBurstCycles, "cycles", "frames and messages of so many cycles may come at once"},
       {"refused_frames_max", shard::kRefusalsMax, "", "refused frames that a stream survives, where few were taken"}},
      limits);
  Append({"log", "server node", "services/base/log.h"},
         {{"waiting_bytes_max", kLogWaitingBytesMax, "B", "log that waits for a reader; what comes then is dropped"}},
         limits);
  Append({"link", "link between server nodes, limit", "services/net/connections.h"},
         {{"calls_per_second_max", kPeerCalls.per_second, "/s", "streams that one connection may begin"},
          {"calls_burst_max", kPeerCalls.burst, "", "streams that one connection may begin at once"},
          {"connection_streams_max", kPeerStreams, "", "streams at a time that a peer is told to keep to"},
          {"calls_open_max", kPeerCallsOpen, "", "streams at a time that a connection survives"},
          {"calls_open_in_all_max", kPeerCallsOpenInAll, "", "streams at a time of all connections"}},
         limits);
  Append({"link", "link between server nodes, limit", "services/node/node_servers.h"},
         {{"connections_max", kConnectionSharesMax.peers, "", "connections of peers, where enough files may be open"}},
         limits);
  const MembershipOptions membership;
  Append({"membership", "server node", "services/peering/membership.h"},
         {{"links_max", membership.links_max, "", "links, guests included"},
          {"active_target", membership.active_target, "", "links that a node keeps of its own accord"},
          {"dials_max", membership.dials_max, "", "dials at the same time"},
          {"passive_max", membership.passive_max, "", "addresses that a node remembers"},
          {"boot_max", membership.boot_max, "", "boot addresses"},
          {"sample_max", membership.sample_max, "", "addresses told in an exchange"},
          {"heard_max", membership.heard_max, "", "addresses read of an exchange"},
          {"shuffle_s", membership.shuffle_s, "s", "time between exchanges of addresses"},
          {"backoff_min_s", membership.backoff_min_s, "s", "shortest pause after a failed dial"},
          {"backoff_max_s", membership.backoff_max_s, "s", "longest pause after a failed dial"},
          {"guest_s", membership.guest_s, "s", "time that a guest's link lasts at least"}},
         limits);
}

void AppendProtocol(std::vector<Limit>* limits) {
  Append({"protocol", "protocol", "services/peering/hello.h"},
         {{"version_min", kProtocolMin, "", "oldest protocol version that this build speaks"},
          {"version_max", kProtocolMax, "", "newest protocol version that this build speaks"}},
         limits);
  Append(
      {"protocol", "protocol", "vaultguard/limits.h"},
      {{"micro_per_vu", vaultguard::kMicroPerVu, "uVU", "a value unit"},
       {"value_slots_max", vaultguard::kMaxValueSlots, "", "value slots of a shard"},
       {"free_coordinates_max", vaultguard::kMaxFreeCoordinates, "", "free coordinates of a shard"},
       {"peers_max", vaultguard::kMaxPeers, "", "neighbours of a replica"},
       {"distance_max", Decimal(vaultguard::kMaxDistance), "", "distance between two states"},
       {"bound_vu_min", Decimal(vaultguard::kMinBoundVu), "VU", "least bound on a step in value"},
       {"bound_free_min", Decimal(vaultguard::kMinBoundFree), "", "least bound on a step in a free coordinate"},
       {"news_vu_min", Decimal(vaultguard::kMinNewsVu), "VU", "least change in value that a replica publishes"},
       {"news_free_min", Decimal(vaultguard::kMinNewsFree), "", "least change in a free coordinate that it publishes"},
       {"band_vu_min", Decimal(vaultguard::kMinBandVu), "VU", "least band around the ledger"},
       {"heartbeat_cycles", vaultguard::kHeartbeatCycles, "cycles", "a replica publishes at least this often"},
       {"silence_cycles", vaultguard::kSilenceCycles, "cycles", "age at which a publication has no weight any more"},
       {"sessions_per_shard_max", vaultguard::kMaxSessionsPerShard, "", "sessions of a shard"},
       {"sessions_for_clients", vaultguard::kSessionsForClients, "", "of these, reserved for a node's own clients"},
       {"new_sessions_per_cycle", vaultguard::kNewSessionsPerCycle, "", "new sessions taken from a link each cycle"},
       {"new_sessions_at_once", vaultguard::kNewSessionsAtOnce, "", "new sessions taken from all links at once"},
       {"entry_uvu_max", vaultguard::kMaxEntryUvu, "uVU", "value of one session in one slot"},
       {"session_cycles_max", vaultguard::kMaxSessionCycles, "cycles", "life of an ephemeral session"},
       {"frame_rows_max", vaultguard::kMaxFrameRows, "", "state diffs in a frame"},
       {"frame_entries_max", vaultguard::kMaxFrameEntries, "", "ledger entries in a frame"},
       {"cycles_ahead_max", vaultguard::kMaxCyclesAhead, "cycles", "a frame's lead over the receiver's clock"},
       {"pending_frames_max", vaultguard::kMaxPendingFrames, "", "frames that a shard keeps until they are due"},
       {"held_ranges_max", vaultguard::kMaxHeldRanges, "", "ranges in a request for everything that are there already"},
       {"repeat_bytes_at_once", vaultguard::kRepeatBytesAtOnce, "B", "entries sent again on a link and shard at once"},
       {"repeat_bytes_per_cycle", vaultguard::kRepeatBytesPerCycle, "B", "and for each further cycle"}},
      limits);
  Append({"tools", "command line", "services/cluster/testnet_config.h"},
         {{"testnet_nodes_max", kTestnetNodesMax, "", "server nodes of a testnet"}}, limits);
  Append({"tools", "command line", "services/base/files.h"},
         {{"text_file_bytes_max", kTextFileBytesMax, "B", "a scenario or configuration file"}}, limits);
}

int ShowLimits(const std::string& format, std::ostream& out, std::ostream&) {
  Rows rows{{"name", "value", "unit", "applies to", "meaning"}};
  Json list = Json::array();
  for (const Limit& limit : Limits()) {
    rows.push_back({limit.name, limit.value.is_string() ? limit.value.get<std::string>() : JsonText(limit.value),
                    limit.unit, limit.applies, limit.meaning});
    list.push_back({{"name", limit.name},
                    {"value", limit.value},
                    {"unit", limit.unit},
                    {"applies", limit.applies},
                    {"meaning", limit.meaning},
                    {"home", limit.home}});
  }
  if (format == "json") {
    out << JsonText(list, 2) << "\n";
  } else {
    PrintTable(out, rows);
  }
  return kExitPassed;
}

}  // namespace

std::vector<Limit> Limits() {
  std::vector<Limit> limits;
  AppendNode(&limits);
  AppendPorts(&limits);
  AppendScenario(&limits);
  AppendLinks(&limits);
  AppendProtocol(&limits);
  return limits;
}

void AddLimits(CLI::App& app, Commands& commands) {
  const auto format = std::make_shared<std::string>("table");
  CLI::App* command = app.add_subcommand("limits", "All limits, defaults and protocol constants of this build");
  AddFormat(command, *format);
  command->footer(
      "Examples:\n  lvs limits\n"
      "  lvs limits --format json | jq '.[] | select(.name == \"protocol.version_max\").value'\n"
      "\nThe JSON also names the file of the code that each constant comes from.\n"
      "\nExit codes: 0 done, 2 wrong arguments.");
  commands.push_back(
      {command, [format](std::ostream& out, std::ostream& err) { return ShowLimits(*format, out, err); }});
}

}  // namespace lvs::services
