#include "services/node/operations.h"

#include <civetweb.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <map>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "prometheus/metric_type.h"
#include "prometheus/text_serializer.h"
#include "services/base/host_port.h"
#include "services/base/log.h"
#include "services/base/mutex.h"

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

// ---- HTTP ----------------------------------------------------------------------------------------------------------

struct Answer {
  int code = 200;
  std::string text;
  const char* type = "text/plain; charset=utf-8";
};

const char* ReasonOf(int code) {
  switch (code) {
    case 200: return "OK";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
  }
}

// The address as civetweb takes it. Its own parser would also read lists, redirections and TLS from the text, and
// Debian's build of it has no IPv6.
std::optional<std::pair<std::string, int>> SplitListen(const std::string& listen) {
  const absl::StatusOr<HostPort> at = ParseHostPort(listen);
  if (!at.ok()) return std::nullopt;
  const std::string host = at->host == "localhost" ? "127.0.0.1" : at->host;
  if (!IsIpv4(host)) return std::nullopt;
  return std::pair(host, at->port);
}

}  // namespace

std::vector<MetricFamily> NodeMetrics(const v1::NodeStatus& status, const v1::PeerList& peers) {
  Families families;
  AddHealth(status, &families);
  AddState(status, &families);
  AddLedger(status, &families);
  AddLinks(status, peers, &families);
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
  return status.state() == v1::SERVING && !status.clock().cut_off() && stalled_s <= CycleWatch::StallLimit(status);
}

class OperationsEndpoint::Server {
 public:
  Server(std::function<v1::NodeStatus()> status, std::function<v1::PeerList()> peers)
      : status_(std::move(status)), peers_(std::move(peers)) {}

  ~Server() {
    if (context_ == nullptr) return;
    // The accepting thread checks every two seconds whether it should end; a connection wakes it at once.
    std::thread wake([this] {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      char ignored[128];
      mg_connection* connection = mg_connect_client(host_.c_str(), port_, 0, ignored, sizeof ignored);
      if (connection != nullptr) mg_close_connection(connection);
    });
    mg_stop(context_);
    wake.join();
  }

  absl::Status Listen(const std::string& listen) {
    const auto parsed = SplitListen(listen);
    if (!parsed.has_value()) {
      return absl::InvalidArgumentError(
          "\"" + listen + "\" is no address to listen on; write an IPv4 address and a port, 127.0.0.1:9100 say");
    }
    const std::string threads = std::to_string(kThreads);
    const std::string waiting = std::to_string(kWaiting);
    const std::string request_bytes = std::to_string(kRequestBytes);
    const std::string timeout_ms = std::to_string(kTimeoutMs);
    const std::string port = parsed->first + ":" + std::to_string(parsed->second);
    const char* options[] = {"listening_ports",     port.c_str(),        "num_threads",
                             threads.c_str(),       "connection_queue",  waiting.c_str(),
                             "listen_backlog",      waiting.c_str(),     "max_request_size",
                             request_bytes.c_str(), "enable_keep_alive", "no",
                             "request_timeout_ms",  timeout_ms.c_str(),  nullptr};
    mg_callbacks callbacks{};
    callbacks.begin_request = &Server::OnRequest;
    callbacks.log_message = &Server::OnLog;
    context_ = mg_start(&callbacks, this, options);
    if (context_ == nullptr) {
      const MutexLock lock(&mu_);
      return absl::UnavailableError("cannot listen on " + listen + ": " +
                                    (problem_.empty() ? "the address may be taken or not of this host" : problem_));
    }
    mg_server_port taken{};
    if (mg_get_server_ports(context_, 1, &taken) != 1) return absl::InternalError("no port was taken for " + listen);
    host_ = parsed->first;
    port_ = taken.port;
    return absl::OkStatus();
  }

  std::string address() const { return host_ + ":" + std::to_string(port_); }

 private:
  static int OnRequest(mg_connection* connection) {
    const mg_request_info* request = mg_get_request_info(connection);
    Answer answer;
    try {
      answer = static_cast<Server*>(request->user_data)->Handle(*request);
    } catch (const std::exception& e) {
      answer = {500, std::string("this must not happen: ") + e.what() + "\n"};
    }
    const bool head = std::string_view(request->request_method) == "HEAD";
    mg_printf(connection,
              "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n%sConnection: "
              "close\r\n\r\n",
              answer.code, ReasonOf(answer.code), answer.type, answer.text.size(),
              answer.code == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (!head) mg_write(connection, answer.text.data(), answer.text.size());
    return answer.code;
  }

  // Keeps civetweb from writing to the terminal. Its first line is the reason where it does not start.
  static int OnLog(const mg_connection* connection, const char* message) {
    auto* server = static_cast<Server*>(mg_get_user_data(mg_get_context(connection)));
    if (server == nullptr) return 1;
    const MutexLock lock(&server->mu_);
    if (server->problem_.empty()) server->problem_ = message;
    return 1;
  }

  Answer Handle(const mg_request_info& request) {
    const std::string_view path = request.local_uri == nullptr ? "" : request.local_uri;
    const std::string_view method = request.request_method;
    if (path != "/livez" && path != "/readyz" && path != "/metrics") {
      return {404, "not found; there are /livez, /readyz and /metrics\n"};
    }
    if (method != "GET" && method != "HEAD") return {405, "only GET and HEAD\n"};
    if (path == "/livez") return Liveness(status_());
    if (path == "/readyz") return Readiness(status_());
    return {200, prometheus::TextSerializer().Serialize(NodeMetrics(status_(), peers_())),
            "text/plain; version=0.0.4; charset=utf-8"};
  }

  Answer Liveness(const v1::NodeStatus& status) {
    const double stalled_s = StalledFor(status);
    if (stalled_s <= CycleWatch::StallLimit(status)) return {200, "ok\n"};
    return {503, StallText(stalled_s)};
  }

  Answer Readiness(const v1::NodeStatus& status) {
    const double stalled_s = StalledFor(status);
    Answer answer{IsReady(status, stalled_s) ? 200 : 503, StateName(status.state()) + "\n"};
    if (stalled_s > CycleWatch::StallLimit(status)) answer.text += StallText(stalled_s);
    for (const std::string& problem : status.problems()) answer.text += problem + "\n";
    return answer;
  }

  double StalledFor(const v1::NodeStatus& status) {
    const double now = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    const MutexLock lock(&mu_);
    return watch_.StalledFor(status, now);
  }

  static std::string StallText(double stalled_s) {
    return "no cycle for " + std::to_string(static_cast<long>(stalled_s)) + " s\n";
  }

  const std::function<v1::NodeStatus()> status_;
  const std::function<v1::PeerList()> peers_;
  std::string host_;
  int port_ = 0;
  Mutex mu_;
  CycleWatch watch_ ABSL_GUARDED_BY(mu_);
  std::string problem_ ABSL_GUARDED_BY(mu_);  // the first line that civetweb wrote
  mg_context* context_ = nullptr;
};

absl::StatusOr<std::unique_ptr<OperationsEndpoint>> OperationsEndpoint::Start(const std::string& listen,
                                                                              std::function<v1::NodeStatus()> status,
                                                                              std::function<v1::PeerList()> peers) {
  auto server = std::make_unique<Server>(std::move(status), std::move(peers));
  if (const absl::Status listening = server->Listen(listen); !listening.ok()) return listening;
  return std::unique_ptr<OperationsEndpoint>(new OperationsEndpoint(std::move(server)));
}

OperationsEndpoint::OperationsEndpoint(std::unique_ptr<Server> server) : server_(std::move(server)) {}
OperationsEndpoint::~OperationsEndpoint() = default;

std::string OperationsEndpoint::address() const { return server_->address(); }

}  // namespace lvs::services
