#include "services/node/node.h"

#include <sys/resource.h>

#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/server_node.h"
#include "services/base/build.h"
#include "services/base/cycle_clock.h"
#include "services/base/host_port.h"
#include "services/base/log.h"
#include "services/base/mutex.h"
#include "services/base/resident_memory.h"
#include "services/net/credentials.h"
#include "services/node/cache_keeper.h"
#include "services/node/control_service.h"
#include "services/node/node_config.h"
#include "services/node/node_core.h"
#include "services/node/node_links.h"
#include "services/node/node_servers.h"
#include "services/node/operations.h"
#include "services/node/problems.h"
#include "services/web/hub_status.h"
#include "vaultguard/limits.h"

namespace lvs::services {

namespace {

using hosting::NodeReport;
using hosting::Payload;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using vaultguard::Refusal;
using vaultguard::RefusalCounts;
using Steady = std::chrono::steady_clock;

std::uint64_t Random64() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

shard::Shape ShapeOf(const v1::NodeConfig& config) {
  shard::Shape shape;
  shape.value_slots = static_cast<int>(config.state().value_slots());
  shape.free_coordinates = static_cast<int>(config.state().free_coordinates());
  return shape;
}

actors::ServerNodeConfig ActorsOf(const v1::NodeConfig& config) {
  actors::ServerNodeConfig node;
  node.shape = ShapeOf(config);
  node.shards = config.state().shards();
  node.micro_nodes = config.population().micro_nodes();
  node.shards_per_node = config.population().shards_per_node();
  node.period_ms = static_cast<double>(config.period_us()) / 1000;
  // Without boot addresses there is nobody to wait for.
  node.alone_cycles = config.boot().empty() ? 2 : static_cast<std::uint32_t>(3'000'000 / config.period_us()) + 10;
  return node;
}

std::vector<Journal::Record> ChangesOf(const NodeReport& report) {
  std::vector<Journal::Record> changes;
  if (report.verdict == nullptr) return changes;
  for (const auto& shard : report.verdict->shards) {
    for (const shard::LedgerEntry& entry : shard->changes) changes.push_back({shard->shard, entry});
  }
  return changes;
}

hosting::RestoreCounts RestoredBy(const NodeReport& report) {
  hosting::RestoreCounts restored;
  if (report.verdict == nullptr) return restored;
  for (const auto& shard : report.verdict->shards) restored += shard->restored;
  return restored;
}

void LogClock(const CyclePace::Turned& turned) {
  const auto seconds = [](microseconds time) { return std::chrono::duration<double>(time).count(); };
  if (turned.set_by != microseconds(0)) Log(v1::WARNING, "clock.set", {{"by_s", seconds(turned.set_by)}});
  if (turned.paused != microseconds(0)) Log(v1::WARNING, "node.paused", {{"for_s", seconds(turned.paused)}});
}

// Whether cycles are so far ahead of the clock, which was set back, that peers refuse this node's frames; peers that were
// set back as well do not.
bool IsCutOff(microseconds ahead, microseconds period, const PeerTable::Standing& standing) {
  constexpr auto kTaken = static_cast<std::int64_t>(vaultguard::kMaxCyclesAhead);
  return ahead > kTaken * period && standing.in_step == 0 && (standing.connected > 0 || standing.known > 0);
}

class LiveNode final : public Node {
 public:
  LiveNode(const v1::NodeConfig& config, WallClock wall)
      : config_(config),
        wall_(std::move(wall)),
        period_us_(static_cast<std::uint64_t>(config.period_us())),
        core_(config) {}

  ~LiveNode() override { End(); }

  absl::Status Begin() {
    const std::size_t files = RaiseFileLimit();
    if (!config_.cache_dir().empty()) {
      auto cache = CacheKeeper::Open(config_.cache_dir(), config_.state().shards(),
                                     static_cast<int>(config_.state().value_slots()));
      if (!cache.ok()) return cache.status();
      cache_ = *std::move(cache);
      cache_->Start([this](const std::vector<std::uint64_t>& ids) { core_.OnDisk(ids); });
    }
    servers_.ShareOut(SharesOf(files, OpenFiles(), WebConnectionsOf(config_)));
    const std::uint64_t seed = Random64();
    if (const absl::Status status = Listen(seed); !status.ok()) return status;
    StartCycles(seed);
    Log(v1::INFO, "node.started",
        {{"address", address()},
         {"control", control_address()},
         {"health", health_address()},
         {"web", links_->web_address()},
         {"build", BuildString()},
         {"region", config_.region()},
         {"micro_nodes", config_.population().micro_nodes()},
         {"shards", config_.state().shards()}});
    return absl::OkStatus();
  }

  std::string address() const override {
    const MutexLock lock(&addresses_mu_);
    return address_;
  }
  std::string control_address() const override {
    const MutexLock lock(&addresses_mu_);
    return control_address_;
  }
  std::string health_address() const override { return operations_ == nullptr ? "" : operations_->address(); }

  v1::NodeStatus Status() const override {
    v1::NodeStatus status;
    FillProcess(&status);
    links_->FillStatus(&status);
    servers_.FillStatus(&status);
    if (cache_ != nullptr) cache_->FillStatus(status.mutable_cache());
    ProblemFacts facts;
    facts.has_boot = config_.boot_size() > 0;
    const PeerTable::Standing standing = links_->peers().standing();
    facts.peers_connected = standing.connected;
    facts.peers_ahead = standing.ahead;
    facts.peers_behind = standing.behind;
    RefusalCounts refused = links_->peers().refused();
    core_.Fill(&status, &refused, &facts, Steady::now());
    status.mutable_clock()->set_cut_off(CutOff(standing));
    if (status.has_web()) AddShardsOfTabs(facts.compared_by_shard, &status);
    // Where there should be peers, a node that met none does not know what they hold.
    v1::SyncStatus* sync = status.mutable_sync();
    if (facts.has_boot && sync->shards_compared() < status.shards()) sync->set_holds_all(false);
    for (std::size_t n = 0; n < vaultguard::kRefusals; ++n) {
      if (refused.count[n] == 0) continue;
      (*status.mutable_refused())[std::string(Name(static_cast<Refusal>(n)))] = refused.count[n];
    }
    refusals_->AddTo(status.mutable_refused());
    if (certificates_ != nullptr) *status.mutable_tls() = certificates_->Status();
    facts.now_unix_s = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    for (std::string& problem : Problems(status, facts)) status.add_problems(std::move(problem));
    return status;
  }

  v1::PeerList Peers() const override { return links_->peers().Peers(); }

  v1::ShardList Shards() const override { return core_.Shards(Steady::now()); }

  void Contribute(const v1::ContributeRequest& request, std::string_view link, Steady::time_point deadline,
                  OnReply done) override {
    core_.Contribute(request, link, Steady::now(), deadline, std::move(done));
  }

  absl::Status SetFaults(const v1::Faults& faults) override { return links_->peers().SetFaults(faults); }

  absl::Status Scatter() override {
    if (!config_.faults()) {
      return absl::FailedPreconditionError(
          "this node refuses to scatter; that is for test networks: write `faults: true` into its configuration");
    }
    core_.Scatter();
    return absl::OkStatus();
  }

  void Drain(std::string_view reason) override {
    if (!core_.Drain(reason, Steady::now())) return;
    Log(v1::INFO, "node.draining", {{"why", reason}});
    TellHealth();
  }

  bool WaitFor(milliseconds timeout) override { return core_.WaitForEnd(Steady::now() + timeout); }
  bool HandedOver() const override { return core_.drained_whole(); }

 private:
  // ---- The start ----

  // Binds every address, so that what can fail has failed before the first cycle.
  absl::Status Listen(std::uint64_t seed) {
    if (config_.has_tls()) {
      const auto certificates = Certificates::Load(config_.tls());
      if (!certificates.ok()) return certificates.status();
      certificates_ = *certificates;
    }
    const NodeServers::Credentials credentials = ServerCredentials(certificates_, refusals_);

    auto links = NodeLinks::Open({.config = config_,
                                  .session = session_,
                                  .seed = seed,
                                  .wall = wall_,
                                  .certificates = certificates_,
                                  .refusals = refusals_,
                                  .peer_connections = servers_.peer_connections(),
                                  .web_connections = servers_.shares().web});
    if (!links.ok()) return links.status();
    links_ = *std::move(links);

    const absl::StatusOr<int> peer_port = servers_.StartPeers(config_.listen(), credentials, links_->peers().service());
    if (!peer_port.ok()) return peer_port.status();
    control_service_ = MakeControlService(this, servers_.control_connections());
    const absl::StatusOr<int> control_port =
        servers_.StartControl(config_.control_listen(), credentials, control_service_.get(), config_.reflection());
    if (!control_port.ok()) return control_port.status();
    TellHealth();
    absl::StatusOr<HostPort> control_at = ParseHostPort(config_.control_listen());
    if (!control_at.ok()) return control_at.status();
    control_at->port = static_cast<std::uint16_t>(*control_port);
    {
      const MutexLock lock(&addresses_mu_);
      address_ = AdvertisedAddress(config_, static_cast<std::uint16_t>(*peer_port));
      control_address_ = FormatHostPort(*control_at);
    }
    auto operations = OperationsEndpoint::Start(
        config_.health_listen(), [this] { return Status(); }, [this] { return Peers(); }, servers_.shares().health,
        refusals_);
    if (!operations.ok()) {
      return absl::Status(operations.status().code(),
                          absl::StrCat("health_listen: ", std::string(operations.status().message())));
    }
    operations_ = *std::move(operations);
    return absl::OkStatus();
  }

  void StartCycles(std::uint64_t seed) {
    actors::ServerNodeConfig node = ActorsOf(config_);
    node.seed = seed;
    node.session_key = {Random64(), Random64()};
    links_->SetUp(&node);
    node_ = std::make_unique<actors::ServerNode>(node, links_->sinks(),
                                                 [this](const Payload<NodeReport>& report) { Take(*report); });
    links_->Start(address(), node_.get());
    clock_ = std::thread([this] { RunClock(); });
  }

  // ---- Cycles ----

  void RunClock() {
    ClockReading clock = ReadClocks(wall_);
    core_.Start(clock);
    while (core_.Sleep(clock)) {
      clock = ReadClocks(wall_);
      core_.Expire(clock.steady);
      const CyclePace::Turned turned = core_.Turn(clock);
      LogClock(turned);
      if (turned.step != CyclePace::Step::kNothing) {
        links_->Tick(turned.cycle);
        TellHealth();
      }
      if (turned.step == CyclePace::Step::kRun) RunCycle(turned.cycle, clock.steady);
      if (DrainEnds()) return;
    }
  }

  void RunCycle(std::uint64_t cycle, Steady::time_point now) {
    hosting::NodeTick tick = core_.NextTick(cycle, now);
    if (!std::exchange(ran_, true)) tick.low_power = config_.population().low_power();
    tick.peers_missing = links_->peers().standing().misses;
    if (cache_ != nullptr) cache_->FillTick(&tick);
    node_->Tick(std::move(tick));
  }

  // On a thread of the actors.
  void Take(const NodeReport& report) {
    // Before the core answers: whoever finds the core idle finds all changes with the keeper.
    if (cache_ != nullptr) {
      cache_->Restored(RestoredBy(report));
      cache_->Keep(report.cycle, ChangesOf(report), {});
    }
    NodeCore::Outcome outcome = core_.Take(report);
    if (outcome.began_to_serve) {
      TellHealth();
      const std::uint32_t peers = links_->peers().connected();
      // A node with boot addresses should not be alone: a wrong address makes a network of its own.
      Log(peers == 0 && !config_.boot().empty() ? v1::WARNING : v1::INFO, "node.serving",
          {{"micro_nodes", report.alive}, {"replicas", report.replicas}, {"peers", peers}});
    }
    if (outcome.has_compared) Log(v1::INFO, "node.holds_all", {{"peers", links_->peers().connected()}});
    if (!outcome.for_disk.empty()) cache_->Keep(report.cycle, {}, std::move(outcome.for_disk));
    for (const DueReply& reply : outcome.due) reply.Send();
  }

  // ---- Status ----

  void TellHealth() {
    servers_.TellHealth([this] { return core_.serving() && !CutOff(links_->peers().standing()); });
  }

  bool CutOff(const PeerTable::Standing& standing) const {
    return IsCutOff(core_.ahead(), microseconds(config_.period_us()), standing);
  }

  void FillProcess(v1::NodeStatus* status) const {
    status->set_build(BuildString());
    status->set_region(config_.region());
    status->set_address(address());
    status->set_control_address(control_address());
    status->set_session_high(session_.high);
    status->set_session_low(session_.low);
    status->set_uptime_s(std::chrono::duration<double>(Steady::now() - started_).count());
    status->set_period_us(period_us_);
    status->set_shards(config_.state().shards());
    status->set_protocol_max(config_.protocol_max());
    status->set_resident_bytes(ResidentBytes());
    status->set_cpu_seconds(CpuSeconds());
  }

  // ---- The end ----

  // The cache has all that was answered. Idle first: a contribution may be answered at any moment, and by then its
  // change is with the keeper.
  bool AllOnDisk() const { return cache_ != nullptr && core_.idle() && cache_->AllOnDisk(); }

  // One look at how far draining is; true once the node may end.
  bool DrainEnds() {
    if (!core_.draining()) return false;
    // What is on disk outlives the process. Where all peers leave too, or are gone, there is nobody to wait for, but for
    // the disk.
    const PeerTable::Standing standing = links_->peers().standing();
    const bool alone = standing.staying == 0 && !standing.expects && cache_ == nullptr;
    const NodeCore::DrainLook look = core_.LookAtDrain(AllOnDisk(), alone, Steady::now());
    if (look.action == NodeDrain::Action::kSayGoodbye) {
      Log(look.handed_over ? v1::INFO : v1::WARNING, "node.handed_over",
          {{"complete", look.handed_over}, {"alone", alone}});
      links_->Drain(look.reason);
    }
    return look.action == NodeDrain::Action::kEnd;
  }

  // Callers first, then what they call. Also after a start that failed half way.
  void End() {
    core_.Stop();
    if (clock_.joinable()) clock_.join();
    TellHealth();
    if (links_ != nullptr) links_->Stop();
    operations_.reset();
    if (node_ != nullptr) node_->Stop();
    if (cache_ != nullptr) cache_->Close();
    core_.RefuseRest();
    servers_.Stop();
    if (node_ != nullptr) Log(v1::INFO, "node.ended", {});
  }

  const v1::NodeConfig config_;
  const WallClock wall_;
  const std::uint64_t period_us_;
  const shard::SessionId session_{Random64(), Random64()};
  const Steady::time_point started_ = Steady::now();

  // Clients of the control server may ask for the status before its port is known here.
  mutable Mutex addresses_mu_;
  std::string address_ ABSL_GUARDED_BY(addresses_mu_);
  std::string control_address_ ABSL_GUARDED_BY(addresses_mu_);

  // The parts, each safe from any thread.
  mutable NodeCore core_;  // Shards() notes that somebody looks
  const std::shared_ptr<ConnectionRefusals> refusals_ = std::make_shared<ConnectionRefusals>();
  std::shared_ptr<Certificates> certificates_;  // null without TLS
  std::unique_ptr<CacheKeeper> cache_;          // null without a cache
  std::unique_ptr<NodeLinks> links_;
  std::unique_ptr<actors::ServerNode> node_;
  std::unique_ptr<grpc::Service> control_service_;
  std::unique_ptr<OperationsEndpoint> operations_;
  NodeServers servers_{refusals_};
  std::thread clock_;
  bool ran_ = false;  // by the clock's thread: the first cycle has begun
};

}  // namespace

absl::StatusOr<std::unique_ptr<Node>> Node::Start(const v1::NodeConfig& config, WallClock wall) {
  auto node = std::make_unique<LiveNode>(config, std::move(wall));
  if (const absl::Status status = node->Begin(); !status.ok()) return status;
  return node;
}

}  // namespace lvs::services
