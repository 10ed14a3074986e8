#include "services/node/node.h"

#include <dlfcn.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/server_node.h"
#include "grpcpp/ext/health_check_service_server_builder_option.h"
#include "services/base/build.h"
#include "services/base/cycle_clock.h"
#include "services/base/host_port.h"
#include "services/base/log.h"
#include "services/base/resident_memory.h"
#include "services/base/token_bucket.h"
#include "services/net/credentials.h"
#include "services/net/transport_layer.h"
#include "services/node/journal.h"
#include "services/node/node_config.h"
#include "services/node/operations.h"

namespace lvs::services {

namespace {

using hosting::NodeReport;
using hosting::Payload;
using hosting::ShardReport;
using shard::LedgerEntry;
using shard::SessionId;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;
using vaultguard::Refusal;
using vaultguard::RefusalCounts;

// Contributions that wait at a time; above it clients are told to come again.
constexpr std::size_t kPendingMax = 65'536;
constexpr std::uint64_t kMeasureCycles = 10;
// So long after somebody asked for the shards, each cycle is measured.
constexpr std::chrono::seconds kWatchedFor{1};
// Of this many cycles, the share that was skipped is what the status speaks of.
constexpr std::uint64_t kSkipWindow = 600;

std::uint64_t Random64() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

double Seconds(Steady::duration duration) { return std::chrono::duration<double>(duration).count(); }

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// gRPC 1.51 stops listening, for good, once a connection cannot be accepted for want of a file. The soft limit of a
// shell is 1024, which one machine uses up in no time; a connection that says nothing lasts five seconds.
void RaiseFileLimit() {
  constexpr rlim_t kFewFiles = 16'384;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max >= kFewFiles) return;
  Log(v1::WARNING, "files.few",
      {{"limit", static_cast<std::uint64_t>(limit.rlim_max)},
       {"why", "whoever opens so many connections stops this node from listening; raise the hard limit (ulimit -Hn)"}});
}

// The reply to a contribution that was refused, by what the client should do next.
void Refuse(Refusal why, std::int64_t period_ms, v1::ContributeReply* reply) {
  using Code = absl::StatusCode;
  const auto say = [&](Code code, const char* message, std::int64_t retry_ms) {
    reply->set_code(static_cast<int>(code));
    reply->set_message(message);
    reply->set_retry_delay_ms(static_cast<std::uint32_t>(retry_ms));
  };
  switch (why) {
    case Refusal::kRateExceeded:
      return say(Code::kResourceExhausted,
                 "the session has earned all that it may have by now; ask for less, or wait for some cycles",
                 10 * period_ms);
    case Refusal::kSessionsFull:
      return say(Code::kResourceExhausted, "the shard's table of sessions is full; go on with an older session",
                 60'000);
    case Refusal::kTooLarge:
      return say(Code::kResourceExhausted, "too many contributions wait for other nodes", 2 * period_ms);
    case Refusal::kUnknownShard:
      return say(Code::kUnavailable, "no micro-node here holds the shard yet; try again, or another node",
                 5 * period_ms);
    default: return say(Code::kInvalidArgument, "the amount is none that a session may have earned", 0);
  }
}

struct Pending {
  std::uint64_t client_id = 0;
  v1::Durability durability = v1::MEMORY;
  std::uint32_t nodes = 1;
  Steady::time_point deadline;
  ControlBackend::OnReply done;
  v1::ContributeReply reached;
};

// What the newest reports said, shard by shard.
struct ShardView {
  std::uint64_t replicas = 0;
  shard::SlotAmounts total_uvu{};
  std::uint64_t sessions = 0;
  std::uint64_t digest = 0;
  bool synced = false;
  bool handed_over = false;
  shard::Measure measure;  // of the last cycle that was measured
};

class LiveNode final : public Node {
 public:
  explicit LiveNode(const v1::NodeConfig& config)
      : config_(config),
        period_(config.period_us()),
        limit_link_({config.limits().contributions_per_second_link(), config.limits().contributions_per_second_link()}),
        limit_session_(
            {config.limits().contributions_per_second_session(), config.limits().contributions_per_second_session()}),
        views_(config.state().shards()) {}

  ~LiveNode() override { End(); }

  absl::Status Begin() {
    started_ = Steady::now();
    RaiseFileLimit();
    session_ = {Random64(), Random64()};
    const std::uint64_t seed = Random64();
    shape_.value_slots = static_cast<int>(config_.state().value_slots());
    shape_.free_coordinates = static_cast<int>(config_.state().free_coordinates());

    if (!config_.cache_dir().empty()) {
      auto journal = Journal::Open(config_.cache_dir(), config_.state().shards(), shape_.value_slots, &restored_);
      if (!journal.ok()) return journal.status();
      journal_ = *std::move(journal);
      Log(restored_.quarantined > 0 ? v1::WARNING : v1::INFO, "cache.opened",
          {{"directory", config_.cache_dir()},
           {"entries", restored_.entries},
           {"quarantined", restored_.quarantined},
           {"note", restored_.note}});
      restored_entries_ = restored_.entries;
      quarantined_ = restored_.quarantined;
    }

    const auto server_credentials = ServerCredentials(config_, kCertificateRefresh, refusals_);
    if (!server_credentials.ok()) return server_credentials.status();
    const auto channel_credentials = ChannelCredentials(config_, kCertificateRefresh, refusals_);
    if (!channel_credentials.ok()) return channel_credentials.status();

    TransportOptions transport;
    transport.region = config_.region();
    transport.build = BuildString();
    transport.session = session_;
    transport.shards = config_.state().shards();
    transport.shape = shape_;
    transport.period_us = static_cast<std::uint64_t>(config_.period_us());
    transport.protocol_max = config_.protocol_max();
    transport.links = config_.limits().links();
    transport.boot.assign(config_.boot().begin(), config_.boot().end());
    transport.credentials = *channel_credentials;
    transport.refusals = refusals_;
    transport.faults = config_.faults();
    transport.seed = seed;
    transport_ = std::make_unique<TransportLayer>(transport);

    // The peers' server first: reflection, once loaded, is in every server that is built after it.
    int peer_port = 0;
    grpc::ServerBuilder peers;
    Configure(&peers, 10'000);
    peers.AddListeningPort(config_.listen(), *server_credentials, &peer_port);
    peers.RegisterService(transport_->service());
    peer_server_ = peers.BuildAndStart();
    if (peer_server_ == nullptr || peer_port == 0) return InUse("listen", config_.listen());

    if (config_.reflection() && dlopen("libgrpc++_reflection.so.1.51", RTLD_NOW) == nullptr) {
      return absl::FailedPreconditionError(
          "reflection: libgrpc++_reflection.so.1.51 is not there; install libgrpc++1.51, or set `reflection: false`");
    }
    grpc::EnableDefaultHealthCheckService(true);
    control_service_ = MakeControlService(this);
    int control_port = 0;
    grpc::ServerBuilder control;
    Configure(&control, 300'000);
    control.AddListeningPort(config_.control_listen(), *server_credentials, &control_port);
    control.RegisterService(control_service_.get());
    control_server_ = control.BuildAndStart();
    if (control_server_ == nullptr || control_port == 0) return InUse("control_listen", config_.control_listen());
    SetServing(false);

    address_ = AdvertisedAddress(config_, static_cast<std::uint16_t>(peer_port));
    absl::StatusOr<HostPort> control_at = ParseHostPort(config_.control_listen());
    if (!control_at.ok()) return control_at.status();
    control_at->port = static_cast<std::uint16_t>(control_port);
    control_address_ = FormatHostPort(*control_at);
    auto operations = OperationsEndpoint::Start(
        config_.health_listen(), [this] { return Status(); }, [this] { return Peers(); });
    if (!operations.ok()) {
      return absl::Status(operations.status().code(),
                          absl::StrCat("health_listen: ", std::string(operations.status().message())));
    }
    operations_ = *std::move(operations);

    actors::ServerNodeConfig node;
    node.seed = seed;
    node.session_key = {Random64(), Random64()};
    node.shape = shape_;
    node.shards = config_.state().shards();
    node.micro_nodes = config_.population().micro_nodes();
    node.shards_per_node = config_.population().shards_per_node();
    node.halo_rows = transport.halo_rows;
    node.period_ms = static_cast<double>(config_.period_us()) / 1000;
    // Without boot addresses there is nobody to wait for.
    node.alone_cycles = config_.boot().empty() ? 2 : static_cast<std::uint32_t>(3'000'000 / config_.period_us()) + 10;
    node_ = std::make_unique<actors::ServerNode>(node, transport_->sinks(),
                                                 [this](const Payload<NodeReport>& report) { Take(*report); });
    transport_->Start(
        address_, [this](std::uint32_t link, Payload<shard::Frame> frame) { node_->Deliver(link, std::move(frame)); },
        [this](std::uint32_t link, bool up) { node_->SetLink(link, up); });
    clock_ = std::thread([this] { Turn(); });
    Log(v1::INFO, "node.started",
        {{"address", address_},
         {"control", control_address_},
         {"health", health_address()},
         {"build", BuildString()},
         {"region", config_.region()},
         {"micro_nodes", config_.population().micro_nodes()},
         {"shards", config_.state().shards()}});
    return absl::OkStatus();
  }

  std::string address() const override { return address_; }
  std::string control_address() const override { return control_address_; }
  std::string health_address() const override { return operations_ == nullptr ? "" : operations_->address(); }

  v1::NodeStatus Status() const override {
    v1::NodeStatus status;
    status.set_build(BuildString());
    status.set_region(config_.region());
    status.set_address(address_);
    status.set_control_address(control_address_);
    status.set_session_high(session_.high);
    status.set_session_low(session_.low);
    status.set_uptime_s(Seconds(Steady::now() - started_));
    status.set_period_us(static_cast<std::uint64_t>(config_.period_us()));
    status.set_shards(config_.state().shards());
    status.set_protocol_max(config_.protocol_max());
    status.set_resident_bytes(ResidentBytes());
    status.set_cpu_seconds(CpuSeconds());
    if (transport_ != nullptr) {
      *status.mutable_traffic() = transport_->Traffic();
      const v1::PeerList peers = transport_->Peers();
      status.set_peers_connected(static_cast<std::uint32_t>(peers.peers_size()));
      status.set_peers_known(static_cast<std::uint32_t>(peers.known_size()));
    }
    RefusalCounts refused = transport_ != nullptr ? transport_->refused() : RefusalCounts{};
    const std::lock_guard lock(mu_);
    refused += refused_;
    for (std::size_t n = 0; n < vaultguard::kRefusals; ++n) {
      if (refused.count[n] > 0) {
        (*status.mutable_refused())[std::string(Name(static_cast<Refusal>(n)))] = refused.count[n];
      }
    }
    refusals_->AddTo(status.mutable_refused());
    status.set_state(state_);
    status.set_cycle(cycle_);
    status.set_cycles_skipped(skipped_);
    status.set_micro_nodes(micro_nodes_);
    status.set_replicas(replicas_);
    status.set_anomalies(anomalies_);
    status.set_recoveries(recoveries_);
    FillLedger(status.mutable_ledger());
    FillDrift(status.mutable_drift());
    *status.mutable_work() = work_;
    for (const auto& [kind, n] : anomalies_by_kind_) (*status.mutable_anomalies_by_kind())[kind] = n;
    FillCache(status.mutable_cache());
    FillProblems(&status);
    return status;
  }

  v1::PeerList Peers() const override { return transport_ == nullptr ? v1::PeerList{} : transport_->Peers(); }

  v1::ShardList Shards() const override {
    v1::ShardList list;
    const std::lock_guard lock(mu_);
    watched_at_ = Steady::now();
    list.set_measured_cycle(measured_cycle_);
    for (std::size_t n = 0; n < views_.size(); ++n) {
      const ShardView& view = views_[n];
      v1::Shard* shard = list.add_shards();
      shard->set_shard(static_cast<std::uint32_t>(n));
      shard->set_replicas(static_cast<std::uint32_t>(view.replicas));
      for (int s = 0; s < shape_.value_slots; ++s) {
        shard->add_total_uvu(static_cast<std::uint64_t>(view.total_uvu[static_cast<std::size_t>(s)]));
        shard->add_behind_slot_uvu(static_cast<std::uint64_t>(view.measure.behind_uvu[static_cast<std::size_t>(s)]));
      }
      for (int c = 0; c < shape_.dimensions(); ++c) {
        const shard::Moments& moments = view.measure.moments[static_cast<std::size_t>(c)];
        v1::Coordinate* coordinate = shard->add_coordinates();
        coordinate->set_replicas(static_cast<std::uint64_t>(moments.count));
        coordinate->set_mean(moments.mean);
        coordinate->set_squares(moments.m2);
      }
      shard->set_sessions(view.sessions);
      shard->set_digest(view.digest);
      shard->set_behind_uvu(static_cast<std::uint64_t>(Worst(view.measure.behind_uvu)));
      shard->set_worst_value_vu(view.measure.worst_value_vu);
      shard->set_synced(view.synced);
    }
    return list;
  }

  void Contribute(const v1::ContributeRequest& request, std::string_view link, Steady::time_point deadline,
                  OnReply done) override {
    v1::ContributeReply reply;
    reply.set_id(request.id());
    if (const absl::Status status = Check(request); !status.ok()) return Fail(status, 0, &reply, done);
    const SessionId session{request.session_high(), request.session_low()};
    const double now_s = Seconds(Steady::now() - started_);
    {
      std::unique_lock lock(mu_);
      if (!TakesWork()) {
        lock.unlock();
        return Fail(absl::UnavailableError("this node is not serving; try another one"), 1000, &reply, done);
      }
      const double wait_s = std::max(limit_link_.Take(std::hash<std::string_view>{}(link), now_s),
                                     limit_session_.Take(session.low ^ session.high, now_s));
      if (wait_s > 0 || pending_.size() >= kPendingMax) {
        ++contributions_refused_;
        lock.unlock();
        return Fail(absl::ResourceExhaustedError("more contributions than this node takes; slow down"),
                    std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(wait_s * 1000))), &reply, done);
      }
      hosting::Contribution contribution;
      contribution.id = ++last_id_;
      contribution.shard = request.shard();
      contribution.needed_nodes = request.durability() == v1::NODES ? request.nodes() : 1;
      contribution.entry.session = session;
      contribution.entry.opened_cycle = hosting::kOpensNow;
      contribution.entry.amount_uvu[request.slot()] = static_cast<std::int64_t>(request.amount_uvu());
      const auto left = std::chrono::duration_cast<microseconds>(deadline - Steady::now());
      contribution.expires_cycle = CycleNow(static_cast<std::uint64_t>(config_.period_us())) + 2 +
                                   static_cast<std::uint64_t>(std::max<std::int64_t>(0, left / period_));
      Pending& pending = pending_[contribution.id];
      pending.client_id = request.id();
      pending.durability = request.durability();
      pending.nodes = contribution.needed_nodes;
      pending.deadline = deadline;
      pending.done = std::move(done);
      pending.reached = std::move(reply);
      deadlines_.emplace(deadline, contribution.id);
      arrived_.push_back(contribution);
      if (deadlines_.begin()->second == contribution.id) wake_.notify_all();
    }
  }

  absl::Status SetFaults(const v1::Faults& faults) override { return transport_->SetFaults(faults); }

  absl::Status Scatter() override {
    if (!config_.faults()) {
      return absl::FailedPreconditionError(
          "this node scatters nothing; it is for test networks: write `faults: true` into its configuration");
    }
    const std::lock_guard lock(mu_);
    scatter_ = true;
    return absl::OkStatus();
  }

  void Drain(std::string_view reason) override {
    {
      const std::lock_guard lock(mu_);
      if (draining_) return;
      draining_ = true;
      served_ = state_ == v1::SERVING;
      state_ = v1::DRAINING;
      drain_reason_ = std::string(reason);
      drain_began_ = Steady::now();
    }
    Log(v1::INFO, "node.draining", {{"why", reason}});
    SetServing(false);
    wake_.notify_all();
  }

  bool WaitFor(milliseconds timeout) override {
    std::unique_lock lock(mu_);
    return ended_.wait_for(lock, timeout, [this] { return drained_; });
  }

 private:
  static void Configure(grpc::ServerBuilder* builder, int idle_ms) {
    builder->SetMaxReceiveMessageSize(kMessageBytesMax);
    // Nobody here compresses, and a limit on what arrives is none on what it unpacks to.
    builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
    builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
    // Connections that say nothing, and those that carry nothing: a peer's carries one stream, from its first moment.
    builder->AddChannelArgument("grpc.server_handshake_timeout_ms", 5'000);
    builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, idle_ms);
    builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
    builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
    builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
    builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 256);
  }

  static absl::Status InUse(const char* key, const std::string& address) {
    return absl::UnavailableError(
        absl::StrCat(key, ": cannot listen on ", address, "; is another process there? Choose another port"));
  }

  static void Fail(const absl::Status& status, std::int64_t retry_ms, v1::ContributeReply* reply, const OnReply& done) {
    reply->set_code(static_cast<int>(status.code()));
    reply->set_message(std::string(status.message()));
    reply->set_retry_delay_ms(static_cast<std::uint32_t>(retry_ms));
    done(*reply);
  }

  static std::int64_t Worst(const shard::SlotAmounts& amounts) {
    return *std::max_element(amounts.begin(), amounts.end());
  }

  absl::Status Check(const v1::ContributeRequest& request) const {
    if (request.session_high() == 0 && request.session_low() == 0) {
      return absl::InvalidArgumentError("a session of 0 is none; draw 128 random bits");
    }
    if (request.shard() >= config_.state().shards()) {
      return absl::InvalidArgumentError(
          absl::StrCat("shard ", request.shard(), " does not exist; there are ", config_.state().shards()));
    }
    if (request.slot() >= config_.state().value_slots()) {
      return absl::InvalidArgumentError(
          absl::StrCat("slot ", request.slot(), " does not exist; there are ", config_.state().value_slots()));
    }
    if (request.amount_uvu() == 0 || request.amount_uvu() > static_cast<std::uint64_t>(vaultguard::kMaxEntryUvu)) {
      return absl::InvalidArgumentError(
          "the amount must be above 0 and is cumulative: all that the session has earned");
    }
    if (request.durability() == v1::DISK && journal_ == nullptr) {
      return absl::FailedPreconditionError("this node has no cache; ask for memory or nodes, or configure cache_dir");
    }
    if (request.durability() == v1::NODES && (request.nodes() == 0 || request.nodes() > config_.limits().links() + 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat("nodes lies between 1 and ", config_.limits().links() + 1, " here"));
    }
    if (!v1::Durability_IsValid(request.durability())) return absl::InvalidArgumentError("no such durability");
    return absl::OkStatus();
  }

  // ---- The clock ----

  void Turn() {
    const auto period_us = static_cast<std::uint64_t>(config_.period_us());
    std::uint64_t last = CycleNow(period_us);
    while (true) {
      WaitForCycle(last + 1);
      Expire(Steady::now());
      bool run = false;
      {
        const std::lock_guard lock(mu_);
        if (stop_) return;
        const std::uint64_t now = CycleNow(period_us);
        if (now <= last) continue;
        const std::uint64_t skipped = now - last - 1 + (running_ ? 1 : 0);
        skipped_ += skipped;
        skipped_lately_ += skipped;
        if (now / kSkipWindow != last / kSkipWindow) {
          skipped_share_ = std::min(1.0, static_cast<double>(skipped_lately_) / kSkipWindow);
          skipped_lately_ = 0;
        }
        last = now;
        run = !running_;
        running_ = true;
      }
      transport_->Tick(last);
      if (run) node_->Tick(NextTick(last));
      if (DrainStep()) return;
    }
  }

  void WaitForCycle(std::uint64_t cycle) {
    const auto period_us = static_cast<std::uint64_t>(config_.period_us());
    const auto begins = CycleStart(cycle, period_us);
    std::unique_lock lock(mu_);
    const auto now = std::chrono::system_clock::now();
    // A clock that was set back must not stop the node.
    auto until = Steady::now() + std::min<Steady::duration>(begins > now ? begins - now : microseconds(0), 2 * period_);
    if (!deadlines_.empty()) until = std::min(until, deadlines_.begin()->first);
    wake_.wait_until(lock, until, [&] { return stop_ || (!deadlines_.empty() && deadlines_.begin()->first < until); });
  }

  hosting::NodeTick NextTick(std::uint64_t cycle) {
    hosting::NodeTick tick;
    tick.cycle = cycle;
    const std::lock_guard lock(mu_);
    tick.measure = cycle % kMeasureCycles == 0 || (watched_at_ && Steady::now() - *watched_at_ < kWatchedFor);
    tick.scatter = std::exchange(scatter_, false);
    if (tick.scatter) work_.set_scattered(work_.scattered() + 1);
    tick.contributions = std::exchange(arrived_, {});
    if (state_ == v1::STARTING || state_ == v1::NODE_STATE_UNSPECIFIED) {
      state_ = v1::SYNCING;
      if (config_.population().low_power() > 0) tick.low_power = config_.population().low_power();
      for (std::vector<LedgerEntry>& entries : restored_.by_shard) {
        tick.restored.push_back(std::make_shared<const std::vector<LedgerEntry>>(std::move(entries)));
      }
      restored_ = {};
    }
    return tick;
  }

  // Answers those whose time is over with what was reached.
  void Expire(Steady::time_point now) {
    std::vector<Pending> late;
    {
      const std::lock_guard lock(mu_);
      while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        const auto at = pending_.find(deadlines_.begin()->second);
        deadlines_.erase(deadlines_.begin());
        if (at == pending_.end()) continue;
        late.push_back(std::move(at->second));
        pending_.erase(at);
      }
    }
    for (Pending& pending : late) {
      pending.reached.set_code(static_cast<int>(absl::StatusCode::kDeadlineExceeded));
      pending.reached.set_message(
          absl::StrCat(pending.reached.held() ? "held here, but not yet as durably as asked: " : "not held yet: ",
                       pending.reached.nodes(), " server nodes, disk ", pending.reached.disk() ? "yes" : "no",
                       "; the same again, anywhere, counts once"));
      pending.reached.set_retry_delay_ms(static_cast<std::uint32_t>(2 * config_.period_us() / 1000));
      pending.done(pending.reached);
    }
  }

  // ---- What the actors report, on one of their threads ----

  void Take(const NodeReport& report) {
    std::vector<std::pair<OnReply, v1::ContributeReply>> answers;
    std::vector<std::uint64_t> for_disk;
    std::vector<Journal::Record> records;
    bool began_to_serve = false;
    {
      const std::lock_guard lock(mu_);
      running_ = false;
      cycle_ = report.cycle;
      micro_nodes_ = report.alive;
      replicas_ = report.replicas;
      work_.set_micro_node_cycles(work_.micro_node_cycles() + report.alive);
      work_.set_joined(work_.joined() + report.online);
      work_.set_left(work_.left() + report.offline);
      work_.set_repaired(work_.repaired() + report.repaired);
      if (report.verdict != nullptr) {
        anomalies_ += report.verdict->anomalies.size();
        for (const hosting::Anomaly& anomaly : report.verdict->anomalies) ++anomalies_by_kind_[anomaly.kind];
        recoveries_ += report.verdict->orders.size();
        for (const Payload<ShardReport>& shard : report.verdict->shards) {
          View(*shard);
          for (const hosting::Answer& answer : shard->answers) Answered(answer, &answers, &for_disk);
          if (journal_ != nullptr) {
            for (const LedgerEntry& entry : shard->changes) records.push_back({shard->shard, entry});
          }
        }
      }
      if (state_ == v1::SYNCING && report.alive > 0) {
        state_ = v1::SERVING;
        began_to_serve = true;
      }
      for (Journal::Record& record : records) {
        const auto at = unsaved_.find({record.shard, record.entry.session});
        if (at == unsaved_.end()) continue;
        Join(at->second.entry, &record.entry);
        at->second = record;
      }
      for (const auto& [key, record] : unsaved_) records.push_back(record);
    }
    if (began_to_serve) {
      SetServing(true);
      const std::uint32_t peers = transport_->connected();
      // With boot addresses it should not be alone: a wrong one makes a network of its own.
      Log(peers == 0 && !config_.boot().empty() ? v1::WARNING : v1::INFO, "node.serving",
          {{"micro_nodes", report.alive}, {"replicas", report.replicas}, {"peers", peers}});
    }
    if (journal_ != nullptr && (!records.empty() || !for_disk.empty())) Save(std::move(records), std::move(for_disk));
    for (const auto& [done, reply] : answers) done(reply);
  }

  void View(const ShardReport& report) {
    ShardView& view = views_[report.shard];
    view.replicas = report.measure.replicas;
    view.total_uvu = report.total_uvu;
    view.sessions = report.sessions;
    view.digest = report.ledger_digest;
    view.synced = report.synced;
    view.handed_over = report.handed_over;
    if (report.measured) {
      view.measure = report.measure;
      measured_cycle_ = report.cycle;
    }
    refused_ += report.counts.step.refused;
    AddWork(report.counts);
  }

  void AddWork(const shard::CycleCounts& counts) {
    work_.set_replica_cycles(work_.replica_cycles() + counts.step.updated);
    work_.set_state_diff_bytes(work_.state_diff_bytes() + counts.sent.state_diff);
    work_.set_entropy_bytes(work_.entropy_bytes() + counts.sent.entropy);
    work_.set_ledger_bytes(work_.ledger_bytes() + counts.sent.ledger);
    work_.set_beacon_bytes(work_.beacon_bytes() + counts.sent.beacon);
    work_.set_heard(work_.heard() + counts.step.heard);
    work_.set_trust(work_.trust() + static_cast<double>(counts.step.trust) / 255);
    for (std::size_t n = 0; n < counts.step.clamped.size(); ++n) {
      if (counts.step.clamped[n] == 0) continue;
      (*work_.mutable_clamped())[std::string(Name(static_cast<vaultguard::Clamp>(n)))] += counts.step.clamped[n];
    }
    work_.set_redundancy_syncs(work_.redundancy_syncs() + counts.redundancy_syncs);
    work_.set_fallback_links(work_.fallback_links() + counts.fallback_links);
  }

  void Answered(const hosting::Answer& answer, std::vector<std::pair<OnReply, v1::ContributeReply>>* answers,
                std::vector<std::uint64_t>* for_disk) {
    const auto at = pending_.find(answer.id);
    if (at == pending_.end()) return;
    Pending& pending = at->second;
    if (!answer.accepted) {
      ++contributions_refused_;
      Refuse(answer.refused.value_or(Refusal::kBadEntry), config_.period_us() / 1000, &pending.reached);
    } else {
      if (!pending.reached.held()) ++contributions_accepted_;
      pending.reached.set_held(true);
      pending.reached.set_nodes(answer.nodes);
      if (pending.durability == v1::DISK) {
        for_disk->push_back(answer.id);
        return;
      }
      if (!answer.final) return;
    }
    answers->emplace_back(std::move(pending.done), std::move(pending.reached));
    Erase(at);
  }

  // Under mu_.
  void Erase(std::unordered_map<std::uint64_t, Pending>::iterator at) {
    const auto [first, last] = deadlines_.equal_range(at->second.deadline);
    const auto entry = std::find_if(first, last, [&](const auto& due) { return due.second == at->first; });
    if (entry != last) deadlines_.erase(entry);
    pending_.erase(at);
  }

  // Writes what changed; then answers who waits for it. What could not be written is tried again with every cycle.
  void Save(std::vector<Journal::Record> records, std::vector<std::uint64_t> for_disk) {
    auto kept = std::make_shared<const std::vector<Journal::Record>>(records);
    journal_->Append(std::move(records), [this, kept, ids = std::move(for_disk)](const absl::Status& status) {
      std::vector<std::pair<OnReply, v1::ContributeReply>> answers;
      bool changed = false;
      {
        const std::lock_guard lock(mu_);
        changed = std::exchange(cache_fails_, !status.ok()) == status.ok();
        for (const Journal::Record& record : *kept) Saved(record, status.ok());
        waiting_for_disk_.insert(waiting_for_disk_.end(), ids.begin(), ids.end());
        // After a failure, nobody is told that all is on disk until it is.
        if (unsaved_.empty()) {
          for (const std::uint64_t id : std::exchange(waiting_for_disk_, {})) {
            const auto at = pending_.find(id);
            if (at == pending_.end()) continue;
            at->second.reached.set_disk(true);
            answers.emplace_back(std::move(at->second.done), std::move(at->second.reached));
            Erase(at);
          }
        }
      }
      if (changed && status.ok()) Log(v1::INFO, "cache.recovered");
      if (changed && !status.ok()) Log(v1::ERROR, "cache.failed", {{"why", std::string(status.message())}});
      for (const auto& [done, reply] : answers) done(reply);
    });
  }

  // Older records may be written after newer ones once one has failed: what stays to be written is the join of all.
  void Saved(const Journal::Record& record, bool ok) {
    const std::pair key(record.shard, record.entry.session);
    const auto at = unsaved_.find(key);
    if (at == unsaved_.end()) {
      if (!ok) unsaved_.emplace(key, record);
      return;
    }
    Join(record.entry, &at->second.entry);
    if (ok && at->second.entry == record.entry) unsaved_.erase(at);
  }

  // ---- Status, under mu_ ----

  void FillLedger(v1::LedgerStatus* ledger) const {
    std::uint64_t digest = 0;
    shard::SlotAmounts total{};
    std::int64_t behind = 0;
    for (std::size_t n = 0; n < views_.size(); ++n) {
      const ShardView& view = views_[n];
      digest += shard::Mix(view.digest + n);
      for (std::size_t s = 0; s < total.size(); ++s) total[s] += view.total_uvu[s];
      behind = std::max(behind, Worst(view.measure.behind_uvu));
      ledger->set_sessions(ledger->sessions() + view.sessions);
    }
    ledger->set_digest(digest);
    for (int s = 0; s < shape_.value_slots; ++s) {
      ledger->add_total_uvu(static_cast<std::uint64_t>(total[static_cast<std::size_t>(s)]));
    }
    ledger->set_accepted(contributions_accepted_);
    ledger->set_refused(contributions_refused_);
    ledger->set_waiting(pending_.size());
    ledger->set_behind_uvu(static_cast<std::uint64_t>(behind));
  }

  // Standard deviation of the free coordinates against that of the range that they start in.
  void FillDrift(v1::DriftStatus* drift) const {
    const double range = shard::StateShardConfig{}.coordinate_range;
    double worst = 0;
    for (const ShardView& view : views_) {
      drift->set_worst_value_vu(std::max(drift->worst_value_vu(), view.measure.worst_value_vu));
      for (int c = shape_.value_slots; c < shape_.dimensions(); ++c) {
        const shard::Moments& moments = view.measure.moments[static_cast<std::size_t>(c)];
        if (moments.count > 0) worst = std::max(worst, std::sqrt(moments.m2 / moments.count));
      }
    }
    drift->set_relative_spread(worst / (range / std::sqrt(12.0)));
    for (int c = shape_.value_slots; c < shape_.dimensions() && !views_.empty(); ++c) {
      drift->add_mean(views_[0].measure.moments[static_cast<std::size_t>(c)].mean);
    }
  }

  void FillCache(v1::CacheStatus* cache) const {
    if (journal_ == nullptr) return;
    const Journal::Stats stats = journal_->stats();
    cache->set_directory(config_.cache_dir());
    cache->set_entries(stats.entries);
    cache->set_restored(restored_entries_);
    cache->set_quarantined(quarantined_);
    cache->set_last_error(stats.last_error);
  }

  void FillProblems(v1::NodeStatus* status) const {
    const auto problem = [&](const std::string& text) { status->add_problems(text); };
    if (state_ == v1::SYNCING) problem("it is fetching the ledger from its peers; wait, or look at `lvs peers`");
    if (state_ == v1::DRAINING) problem("it is draining and will end: " + drain_reason_);
    if (status->peers_connected() == 0 && config_.boot_size() > 0) {
      problem("no peer is connected although there are boot addresses; `lvs peers` says why they cannot be reached");
    }
    if (skipped_share_ > 0.05) {
      problem(absl::StrCat("it skips ", static_cast<int>(skipped_share_ * 100),
                           " % of its cycles; give it more cores, fewer micro-nodes or a longer period"));
    }
    for (std::size_t n = 0; n < views_.size(); ++n) {
      if (views_[n].sessions < vaultguard::kMaxSessionsPerShard - vaultguard::kSessionsForClients) continue;
      problem(absl::StrCat("shard ", n, " has ", views_[n].sessions,
                           " sessions and takes no more new ones from peers, ",
                           "only from its own clients; see `sessions_reserved` in docs/operations.md"));
    }
    if (!status->cache().last_error().empty()) problem(status->cache().last_error());
    // One peer may be wrong, or lie; where most of them are ahead, this node is behind.
    if (2 * transport_->ahead() > transport_->connected()) {
      problem("peers speak of cycles that have not been: compare the clocks of the nodes (NTP)");
    }
  }

  // ---- The end ----

  void SetServing(bool serving) {
    if (control_server_ == nullptr) return;
    grpc::HealthCheckServiceInterface* health = control_server_->GetHealthCheckService();
    if (health == nullptr) return;
    health->SetServingStatus(serving);
    health->SetServingStatus("lvs.v1.Control", serving);
  }

  // Serves, or drains and is still within the grace, in which clients find their way elsewhere.
  bool TakesWork() const {
    if (state_ == v1::SERVING) return true;
    return draining_ && served_ && Steady::now() - drain_began_ < microseconds(config_.drain().grace_us());
  }

  // One look at how far draining is; true once the node may end.
  bool DrainStep() {
    const std::unique_lock lock(mu_);
    if (!draining_) return false;
    const auto since = Steady::now() - drain_began_;
    if (since < microseconds(config_.drain().grace_us())) return false;
    const bool late = since >= microseconds(config_.drain().deadline_us());
    // What is held by a peer or by the own disk, or is nothing, outlives the process.
    const bool handed = journal_ != nullptr || std::all_of(views_.begin(), views_.end(), [](const ShardView& view) {
                          return view.handed_over || view.sessions == 0;
                        });
    // Nobody to hand over to, and nobody to wait for.
    const bool alone = transport_->connected() == 0 && config_.boot().empty();
    if (!late && ((!handed && !alone) || !pending_.empty() || !arrived_.empty())) return false;
    if (!said_goodbye_) {
      said_goodbye_ = true;
      Log(handed ? v1::INFO : v1::WARNING, "node.handed_over", {{"complete", handed}, {"alone", alone}});
      transport_->Drain(drain_reason_);
      return false;  // one more cycle for the goodbye to go out
    }
    drained_ = true;
    ended_.notify_all();
    return true;
  }

  void End() {
    {
      const std::lock_guard lock(mu_);
      stop_ = true;
    }
    wake_.notify_all();
    if (clock_.joinable()) clock_.join();
    SetServing(false);
    if (transport_ != nullptr) transport_->Stop();
    operations_.reset();
    if (node_ != nullptr) node_->Stop();
    if (journal_ != nullptr) {
      if (const absl::Status status = journal_->Close(); !status.ok()) {
        Log(v1::ERROR, "cache.failed", {{"why", std::string(status.message())}});
      }
    }
    std::vector<Pending> left;
    {
      const std::lock_guard lock(mu_);
      state_ = v1::DRAINING;
      for (auto& [id, pending] : pending_) left.push_back(std::move(pending));
      pending_.clear();
    }
    for (Pending& pending : left) {
      Fail(absl::UnavailableError("this node ends; the same again at another one"), 0, &pending.reached, pending.done);
    }
    const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(2);
    if (control_server_ != nullptr) control_server_->Shutdown(deadline);
    if (peer_server_ != nullptr) peer_server_->Shutdown(deadline);
    if (control_server_ != nullptr) control_server_->Wait();
    if (peer_server_ != nullptr) peer_server_->Wait();
    if (node_ != nullptr) Log(v1::INFO, "node.ended", {});
  }

  const v1::NodeConfig config_;
  const microseconds period_;
  shard::Shape shape_;
  SessionId session_;
  Steady::time_point started_;
  std::string address_;
  std::string control_address_;

  std::unique_ptr<Journal> journal_;
  Journal::Restored restored_;
  std::uint64_t restored_entries_ = 0;
  std::uint64_t quarantined_ = 0;
  const std::shared_ptr<ConnectionRefusals> refusals_ = std::make_shared<ConnectionRefusals>();
  std::unique_ptr<TransportLayer> transport_;
  std::unique_ptr<actors::ServerNode> node_;
  std::unique_ptr<v1::Control::CallbackService> control_service_;
  std::unique_ptr<OperationsEndpoint> operations_;
  std::unique_ptr<grpc::Server> peer_server_;
  std::unique_ptr<grpc::Server> control_server_;
  std::thread clock_;

  mutable std::mutex mu_;
  std::condition_variable wake_;
  std::condition_variable ended_;
  v1::NodeState state_ = v1::STARTING;
  bool stop_ = false;
  bool running_ = false;  // a cycle is with the actors
  bool draining_ = false;
  bool served_ = false;  // when draining began
  bool said_goodbye_ = false;
  bool cache_fails_ = false;
  bool scatter_ = false;  // with the next cycle
  bool drained_ = false;
  std::string drain_reason_;
  Steady::time_point drain_began_;
  // Contributions.
  TokenBuckets limit_link_;
  TokenBuckets limit_session_;
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, Pending> pending_;
  std::multimap<Steady::time_point, std::uint64_t> deadlines_;
  std::vector<hosting::Contribution> arrived_;
  std::map<std::pair<std::uint32_t, SessionId>, Journal::Record> unsaved_;
  std::vector<std::uint64_t> waiting_for_disk_;
  std::uint64_t contributions_accepted_ = 0;
  std::uint64_t contributions_refused_ = 0;
  // What was reported.
  std::vector<ShardView> views_;
  std::uint64_t cycle_ = 0;
  std::uint64_t skipped_ = 0;
  std::uint64_t skipped_lately_ = 0;
  double skipped_share_ = 0;
  std::uint64_t micro_nodes_ = 0;
  std::uint64_t replicas_ = 0;
  std::uint64_t anomalies_ = 0;
  std::uint64_t recoveries_ = 0;
  std::map<std::string, std::uint64_t> anomalies_by_kind_;
  v1::MicroNodeStatus work_;
  std::uint64_t measured_cycle_ = 0;
  mutable std::optional<Steady::time_point> watched_at_;  // when somebody last asked for the shards
  RefusalCounts refused_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Node>> Node::Start(const v1::NodeConfig& config) {
  auto node = std::make_unique<LiveNode>(config);
  if (const absl::Status status = node->Begin(); !status.ok()) return status;
  return node;
}

}  // namespace lvs::services
