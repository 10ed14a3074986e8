#include "services/node/operations.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "prometheus/metric_type.h"
#include "prometheus/text_serializer.h"
#include "services/base/host_port.h"
#include "services/base/log.h"
#include "services/base/steady_seconds.h"
#include "services/node/probe_server.h"

namespace lvs::services {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr std::size_t kLabelValuesMax = 64;  // of one family
constexpr std::size_t kRegionsMax = 16;

// ---- Metrics -------------------------------------------------------------------------------------------------------

class Families {
 public:
  // Gauge and Counter begin a family; Sample adds to the newest one.
  Families& Gauge(const char* name, const char* help) { return Begin(name, help, MetricType::Gauge); }
  Families& Counter(const char* name, const char* help) { return Begin(name, help, MetricType::Counter); }

  Families& Sample(double value, Labels labels = {}) {
    if (families_.back().metric.size() >= kLabelValuesMax) return *this;
    ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    (families_.back().type == MetricType::Gauge ? metric.gauge.value : metric.counter.value) = value;
    return *this;
  }
  Families& Sample(std::uint64_t value, Labels labels = {}) {
    return Sample(static_cast<double>(value), std::move(labels));
  }

  std::vector<MetricFamily> Take() { return std::move(families_); }

 private:
  Families& Begin(const char* name, const char* help, MetricType type) {
    families_.push_back({name, help, type, {}});
    return *this;
  }

  std::vector<MetricFamily> families_;
};

std::string StateName(v1::NodeState state) {
  std::string name = v1::NodeState_Name(state);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return name;
}

void AddHealth(const v1::NodeStatus& status, Families* to) {
  to->Gauge("lvs_build_info", "What runs here: 1, with the build and the newest protocol version that it speaks.")
      .Sample(1.0, {{"build", status.build()}, {"protocol", std::to_string(status.protocol_max())}});
  to->Gauge("lvs_up_seconds", "Time since the process began.").Sample(status.uptime_s());
  to->Gauge("lvs_node_state", "1 for the state that the node is in, 0 for the others.");
  for (const v1::NodeState state : {v1::STARTING, v1::SYNCING, v1::SERVING, v1::DRAINING}) {
    to->Sample(status.state() == state ? 1.0 : 0.0, {{"state", StateName(state)}});
  }
  to->Gauge("lvs_problems", "Problems that the node reports of itself; `lvs status` says which.")
      .Sample(static_cast<double>(status.problems_size()));
  to->Counter("lvs_cycles_total", "Drift cycles since the epoch that all nodes count from.").Sample(status.cycle());
  to->Counter("lvs_cycles_skipped_total", "Drift cycles that the node was too busy to run in time, since its start.")
      .Sample(status.cycles_skipped());
  to->Gauge("lvs_cycle_period_seconds", "Length of a drift cycle.")
      .Sample(static_cast<double>(status.period_us()) * 1e-6);
  to->Gauge("lvs_cycles_ahead_seconds", "How far cycles are ahead of this machine's clock, which was set back.")
      .Sample(status.clock().ahead_s());
  to->Counter("lvs_clock_set_total", "How often this machine's clock was set since the start, by direction.")
      .Sample(status.clock().set_back(), {{"direction", "back"}})
      .Sample(status.clock().set_forward(), {{"direction", "forward"}});
  to->Gauge("lvs_connections", "Connections that others have opened to this node, by port.");
  for (const v1::ConnectionStatus& port : status.connections()) {
    to->Sample(static_cast<std::uint64_t>(port.open()), {{"port", port.port()}});
  }
  to->Gauge("lvs_connections_limit", "The most that lvs_connections may be; a newer one ends one that rests.");
  for (const v1::ConnectionStatus& port : status.connections()) {
    to->Sample(static_cast<std::uint64_t>(port.limit()), {{"port", port.port()}});
  }
  to->Gauge("lvs_tls_expiry_timestamp_seconds",
            "When the certificate that the node shows, or one of its chain, expires; absent without TLS.");
  if (status.has_tls()) to->Sample(static_cast<double>(status.tls().expires_unix_s()));
  to->Gauge("lvs_tls_renewal_failing",
            "1 while the TLS files that are there now cannot be used, and those of before are; absent without TLS.");
  if (status.has_tls()) to->Sample(status.tls().last_error().empty() ? 0.0 : 1.0);
  to->Counter("lvs_tls_renewals_total", "TLS files that were replaced and taken, since the start.");
  if (status.has_tls()) to->Sample(status.tls().renewals());
  to->Counter("lvs_refused_total", "What was refused, by reason, since the start.");
  for (const auto& [reason, count] :
       std::map<std::string, std::uint64_t>(status.refused().begin(), status.refused().end())) {
    to->Sample(count, {{"reason", reason}});
  }
  to->Counter("lvs_anomalies_total", "Anomalies that VaultGuard raised since the start.").Sample(status.anomalies());
  to->Counter("lvs_log_lines_dropped_total",
              "Lines of the log that were dropped because nobody reads it, or too slowly.")
      .Sample(LogLinesDropped());
  to->Counter("lvs_recoveries_total", "Recoveries that VaultGuard ordered since the start.")
      .Sample(status.recoveries());
}

void AddState(const v1::NodeStatus& status, Families* to) {
  to->Gauge("lvs_micro_nodes", "Micro-nodes that live here.").Sample(status.micro_nodes());
  to->Gauge("lvs_replicas", "Replicas that live here.").Sample(status.replicas());
  to->Gauge("lvs_shards", "Shards of the state.").Sample(static_cast<std::uint64_t>(status.shards()));
  to->Gauge("lvs_drift_relative_spread",
            "Spread of free coordinates and drift values here, against where they started.")
      .Sample(status.drift().relative_spread());
  to->Gauge("lvs_drift_mean", "Mean of a free coordinate over the replicas of shard 0 here.");
  for (int n = 0; n < status.drift().mean_size(); ++n) {
    to->Sample(status.drift().mean(n), {{"coordinate", std::to_string(n)}});
  }
  to->Gauge("lvs_drift_worst_value_vu", "The farthest that a replica's value is from its ledger total, in VU.")
      .Sample(status.drift().worst_value_vu());
}

void AddLedger(const v1::NodeStatus& status, Families* to) {
  const v1::LedgerStatus& ledger = status.ledger();
  to->Gauge("lvs_ledger_sessions", "Sessions in the ledgers here.").Sample(ledger.sessions());
  to->Gauge("lvs_ledger_value_uvu", "Value in the ledgers here, over all shards, by value slot, in micro-VU.");
  for (int slot = 0; slot < ledger.total_uvu_size(); ++slot) {
    to->Sample(ledger.total_uvu(slot), {{"slot", std::to_string(slot)}});
  }
  to->Gauge("lvs_ledger_holds_all", "1 once the node has fetched all that its peers hold, since its start.")
      .Sample(status.sync().holds_all() ? 1.0 : 0.0);
  to->Gauge("lvs_shards_missing", "Shards that have not fetched all that peers hold yet.")
      .Sample(static_cast<std::uint64_t>(status.sync().shards_missing()));
  to->Gauge("lvs_ledger_behind_uvu", "The most of the ledger that a live replica here lacks, in micro-VU.")
      .Sample(ledger.behind_uvu());
  to->Counter("lvs_contributions_total", "Contributions by what became of them, since the start.")
      .Sample(ledger.accepted(), {{"result", "accepted"}})
      .Sample(ledger.refused(), {{"result", "refused"}});
  to->Gauge("lvs_contributions_waiting", "Contributions that wait for disk or for other nodes.")
      .Sample(ledger.waiting());
  const v1::CacheStatus& cache = status.cache();
  to->Gauge("lvs_cache_entries", "Ledger entries in the cache on disk; 0 without a cache.").Sample(cache.entries());
  to->Gauge("lvs_cache_failing", "1 while the cache cannot be opened or written; `lvs status` says why.")
      .Sample(cache.last_error().empty() ? 0.0 : 1.0);
  to->Counter("lvs_cache_restored_total",
              "Ledger entries that the cache held when it was opened, by what became of them.")
      .Sample(cache.restored() - std::min(cache.restored(), cache.reopened() + cache.refused()),
              {{"result", "unchanged"}})
      .Sample(cache.reopened(), {{"result", "reopened"}})
      .Sample(cache.refused(), {{"result", "refused"}});
  to->Gauge("lvs_cache_unsaved", "Ledger entries whose write to the cache failed, and that are written again.")
      .Sample(cache.unsaved());
  to->Counter("lvs_cache_lost_total",
              "Times that files of the cache were deleted, replaced or damaged under the running node.")
      .Sample(cache.lost());
  to->Counter("lvs_cache_quarantined_total", "Damaged cache files that were moved aside when it was opened.")
      .Sample(cache.quarantined());
}

void AddLinks(const v1::NodeStatus& status, const v1::PeerList& peers, Families* to) {
  to->Gauge("lvs_peers", "Server nodes that are connected, and addresses that are known.")
      .Sample(static_cast<std::uint64_t>(status.peers_connected()), {{"state", "connected"}})
      .Sample(static_cast<std::uint64_t>(status.peers_known()), {{"state", "known"}});
  const v1::TrafficStatus& traffic = status.traffic();
  to->Counter("lvs_link_bytes_total", "Bytes on links, by direction, since the start.")
      .Sample(traffic.bytes_sent(), {{"direction", "sent"}})
      .Sample(traffic.bytes_received(), {{"direction", "received"}});
  to->Counter("lvs_frames_total", "Frames on links, by direction, since the start.")
      .Sample(traffic.frames_sent(), {{"direction", "sent"}})
      .Sample(traffic.frames_received(), {{"direction", "received"}});
  to->Counter("lvs_frames_coalesced_total", "Frames that a newer one of the same shard took the place of.")
      .Sample(traffic.frames_coalesced());
  to->Counter("lvs_frames_cut_total",
              "Frames that a full outbox took the state diffs of, or left out whole, by what went.")
      .Sample(traffic.frames_shortened(), {{"part", "state"}})
      .Sample(traffic.frames_dropped(), {{"part", "all"}});
  to->Gauge("lvs_outbox_bytes", "Bytes that wait for slow links.").Sample(traffic.outbox_bytes());
  to->Gauge("lvs_outbox_bytes_limit", "The most that lvs_outbox_bytes may be.").Sample(traffic.outbox_bytes_max());

  // Peers name their own region, so the number of regions is bounded.
  std::map<std::string, std::vector<double>> rtt_s;
  for (const v1::Peer& peer : peers.peers()) {
    if (!(peer.rtt_ms() > 0)) continue;
    const bool known = rtt_s.contains(peer.region()) || rtt_s.size() < kRegionsMax;
    rtt_s[known ? peer.region() : "other"].push_back(peer.rtt_ms() * 1e-3);
  }
  to->Gauge("lvs_peer_rtt_seconds", "Round trip to the connected server nodes of a region: least, median and most.");
  for (auto& [region, rtts] : rtt_s) {
    std::sort(rtts.begin(), rtts.end());
    to->Sample(rtts.front(), {{"peer_region", region}, {"statistic", "min"}})
        .Sample(rtts[rtts.size() / 2], {{"peer_region", region}, {"statistic", "median"}})
        .Sample(rtts.back(), {{"peer_region", region}, {"statistic", "max"}});
  }
}

using Counts = google::protobuf::Map<std::string, std::uint64_t>;

void SampleEach(const Counts& counts, const char* label, Families* to) {
  for (const auto& [name, count] : std::map<std::string, std::uint64_t>(counts.begin(), counts.end())) {
    to->Sample(count, {{label, name}});
  }
}

// Of a hub: aggregates only, nothing of a single tab (TEST-6).
void AddWeb(const v1::WebStatus& web, Families* to) {
  to->Gauge("lvs_tabs", "Browser tabs: connected here, with a place for frames, and of other hubs.")
      .Sample(static_cast<std::uint64_t>(web.tabs()), {{"state", "connected"}})
      .Sample(static_cast<std::uint64_t>(web.placed()), {{"state", "placed"}})
      .Sample(static_cast<std::uint64_t>(web.remote_tabs()), {{"state", "remote"}});
  to->Gauge("lvs_tabs_limit", "The most that lvs_tabs may be, by state.")
      .Sample(static_cast<std::uint64_t>(web.tabs_limit()), {{"state", "connected"}})
      .Sample(static_cast<std::uint64_t>(web.places()), {{"state", "placed"}});
  to->Gauge("lvs_hubs", "Other hubs that are connected.").Sample(static_cast<std::uint64_t>(web.hubs()));
  to->Gauge("lvs_tab_micro_nodes", "Micro-nodes of the tabs here, as the tabs say.").Sample(web.micro_nodes());
  to->Gauge("lvs_tab_shards_heard", "Shards by the number of tabs with a place that hold them.");
  for (int n = 0; n < web.shards_heard_size(); ++n) {
    to->Sample(static_cast<std::uint64_t>(web.shards_heard(n)), {{"tabs", n < 2 ? std::to_string(n) : "2+"}});
  }
  to->Counter("lvs_tabs_came_total", "Tabs that have said a hello that fits, since the start.").Sample(web.tabs_came());
  to->Counter("lvs_tabs_ended_total", "Tabs that left or were ended, by reason, since the start.");
  SampleEach(web.ended(), "reason", to);
  to->Counter("lvs_tab_refused_total", "Messages and frames of tabs that were refused, by reason, since the start.");
  SampleEach(web.refused(), "reason", to);
  to->Counter("lvs_signals_total", "Messages by which tabs find each other, by kind, since the start.")
      .Sample(web.announces(), {{"kind", "announce"}})
      .Sample(web.samples(), {{"kind", "sample"}})
      .Sample(web.offers(), {{"kind", "offer"}})
      .Sample(web.answers(), {{"kind", "answer"}})
      .Sample(web.relays(), {{"kind", "relay"}});
  to->Counter("lvs_relayed_bytes_total", "Bytes that were relayed between tabs that cannot connect, since the start.")
      .Sample(web.relayed_bytes());
  to->Counter("lvs_tab_forged_total", "Messages in another tab's name, since the start.").Sample(web.forged());
  to->Counter("lvs_tab_over_budget_total", "Messages that were refused because a budget was spent, by budget.");
  SampleEach(web.over_budget(), "budget", to);
  to->Counter("lvs_tab_frames_total", "Frames of tabs with a place, by direction, since the start.")
      .Sample(web.frames_sent(), {{"direction", "sent"}})
      .Sample(web.frames_received(), {{"direction", "received"}});
  to->Counter("lvs_tab_bytes_total", "Bytes of messages of tabs, by direction, since the start.")
      .Sample(web.bytes_sent(), {{"direction", "sent"}})
      .Sample(web.bytes_received(), {{"direction", "received"}});
}

}  // namespace

std::vector<MetricFamily> NodeMetrics(const v1::NodeStatus& status, const v1::PeerList& peers) {
  Families families;
  AddHealth(status, &families);
  AddState(status, &families);
  AddLedger(status, &families);
  AddLinks(status, peers, &families);
  if (status.has_web()) AddWeb(status.web(), &families);
  families.Gauge("process_resident_memory_bytes", "Resident memory of the process.").Sample(status.resident_bytes());
  families.Counter("process_cpu_seconds_total", "Processor time of the process, user and system.")
      .Sample(status.cpu_seconds());
  return families.Take();
}

double CycleWatch::StalledFor(const v1::NodeStatus& status, double now) {
  if (!seen_ || status.cycle() != cycle_ || status.state() == v1::STARTING) {
    seen_ = true;
    cycle_ = status.cycle();
    changed_at_ = now;
  }
  return now - changed_at_;
}

double CycleWatch::StallLimit(const v1::NodeStatus& status) {
  return std::max(OperationsEndpoint::kStallSeconds, 50e-6 * static_cast<double>(status.period_us()));
}

bool IsReady(const v1::NodeStatus& status, double stalled_s) {
  // A node that serves before it holds all is not ready: whoever restarts one node after the other would stop the next
  // one. One that knows no peer, or finds none for long, has nobody to fetch from.
  const bool lacks = status.has_sync() && !status.sync().holds_all();
  const bool alone = status.peers_connected() == 0 &&
                     (status.peers_known() == 0 || status.uptime_s() >= OperationsEndpoint::kAloneSeconds);
  if (lacks && !alone) return false;
  return status.state() == v1::SERVING && !status.clock().cut_off() && stalled_s <= CycleWatch::StallLimit(status);
}

class OperationsEndpoint::Server {
 public:
  Server(std::function<v1::NodeStatus()> status, std::function<v1::PeerList()> peers)
      : status_(std::move(status)), peers_(std::move(peers)) {}

  absl::Status Listen(const std::string& listen, std::size_t connections,
                      std::shared_ptr<ConnectionRefusals> refusals) {
    absl::StatusOr<HostPort> at = ParseHostPort(listen);
    if (!at.ok() || (!IsIpv4(at->host) && !IsIpv6(at->host) && at->host != "localhost")) {
      return absl::InvalidArgumentError(
          "\"" + listen + "\" is no address to listen on; write an IP address and a port, 127.0.0.1:9100 say");
    }
    if (at->host == "localhost") at->host = "127.0.0.1";
    ProbeServer::Limits limits;
    limits.connections = connections;
    limits.request_bytes = kRequestBytes;
    limits.timeout = std::chrono::milliseconds(kTimeoutMs);
    auto server = ProbeServer::Open(*at, limits, std::move(refusals));
    if (!server.ok()) {
      return absl::UnavailableError("cannot listen on " + listen + ": " + std::string(server.status().message()));
    }
    server_ = *std::move(server);
    at_ = *std::move(at);
    at_.port = server_->port();
    server_->Serve([this](std::string_view method, std::string_view path) { return Handle(method, path); });
    return absl::OkStatus();
  }

  std::string address() const { return FormatHostPort(at_); }

 private:
  ProbeAnswer Handle(std::string_view method, std::string_view path) {
    if (path != "/livez" && path != "/readyz" && path != "/metrics") {
      return {404, "not found; there are /livez, /readyz and /metrics\n"};
    }
    if (method != "GET" && method != "HEAD") return {405, "only GET and HEAD\n"};
    if (path == "/readyz") return Readiness(status_());
    v1::NodeStatus status = status_();
    if (path == "/livez") return Liveness(status);
    v1::ConnectionStatus* const own = status.add_connections();
    own->set_port("health");
    own->set_open(static_cast<std::uint32_t>(server_->open()));
    own->set_limit(static_cast<std::uint32_t>(server_->limit()));
    return {200, prometheus::TextSerializer().Serialize(NodeMetrics(status, peers_())),
            "text/plain; version=0.0.4; charset=utf-8"};
  }

  ProbeAnswer Liveness(const v1::NodeStatus& status) {
    const double stalled_s = StalledFor(status);
    if (stalled_s <= CycleWatch::StallLimit(status)) return {200, "ok\n"};
    return {503, StallText(stalled_s)};
  }

  ProbeAnswer Readiness(const v1::NodeStatus& status) {
    const double stalled_s = StalledFor(status);
    ProbeAnswer answer{IsReady(status, stalled_s) ? 200 : 503, StateName(status.state()) + "\n"};
    if (stalled_s > CycleWatch::StallLimit(status)) answer.text += StallText(stalled_s);
    for (const std::string& problem : status.problems()) answer.text += problem + "\n";
    return answer;
  }

  double StalledFor(const v1::NodeStatus& status) {
    const double now = SteadySeconds();
    return watch_.StalledFor(status, now);
  }

  static std::string StallText(double stalled_s) {
    return "no cycle for " + std::to_string(static_cast<long>(stalled_s)) + " s\n";
  }

  const std::function<v1::NodeStatus()> status_;
  const std::function<v1::PeerList()> peers_;
  HostPort at_;       // as bound
  CycleWatch watch_;  // on the server's thread alone
  std::unique_ptr<ProbeServer> server_;
};

absl::StatusOr<std::unique_ptr<OperationsEndpoint>> OperationsEndpoint::Start(
    const std::string& listen, std::function<v1::NodeStatus()> status, std::function<v1::PeerList()> peers,
    std::size_t connections, std::shared_ptr<ConnectionRefusals> refusals) {
  auto server = std::make_unique<Server>(std::move(status), std::move(peers));
  if (const absl::Status listening = server->Listen(listen, connections, std::move(refusals)); !listening.ok()) {
    return listening;
  }
  return std::unique_ptr<OperationsEndpoint>(new OperationsEndpoint(std::move(server)));
}

OperationsEndpoint::OperationsEndpoint(std::unique_ptr<Server> server) : server_(std::move(server)) {}
OperationsEndpoint::~OperationsEndpoint() = default;

std::string OperationsEndpoint::address() const { return server_->address(); }

}  // namespace lvs::services
