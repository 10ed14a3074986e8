#include "tests/cluster/cluster.h"

#include <signal.h>

#include <algorithm>
#include <set>

#include "services/base/poll.h"

namespace lvs::services {

namespace {
constexpr std::chrono::milliseconds kPoll{50};
constexpr std::chrono::seconds kEnd{20};
// The deadline is long, so that only a node that never serves fails.
constexpr std::chrono::seconds kStartDeadline{120};
}  // namespace

bool Eventually(const std::function<bool()>& holds, std::chrono::seconds deadline) {
  return PollUntil(holds, deadline, kPoll);
}

std::uint64_t Acknowledged(const LoadReport& report) {
  std::uint64_t sum = 0;
  for (const auto& [key, expectation] : report.expectations) sum += expectation.acknowledged_uvu;
  return sum;
}

std::uint64_t Sent(const LoadReport& report) {
  std::uint64_t sum = 0;
  for (const auto& [key, expectation] : report.expectations) sum += expectation.sent_uvu;
  return sum;
}

Cluster::Cluster(TestnetPlan plan, std::string binary) : binary_(std::move(binary)) {
  std::string pattern = (std::filesystem::temp_directory_path() / "lvs-cluster-XXXXXX").string();
  directory_ = mkdtemp(pattern.data());
  if (plan.micro_nodes == 0) plan.micro_nodes = 60;
  absl::StatusOr<Testnet> net = Testnet::Create(directory_, plan);
  if (!net.ok()) throw std::runtime_error(std::string(net.status().message()));
  net_.emplace(*std::move(net));
}

Cluster::~Cluster() {
  if (testing::Test::HasFailure()) {
    for (std::size_t n = 0; n < size(); ++n) {
      std::cerr << "the end of node " << n << "'s log:\n" << net_->LogTail(n, 12) << "\n";
    }
  }
  EXPECT_TRUE(net_->StopAll(kEnd).ok());
  net_.reset();
  std::filesystem::remove_all(directory_);
}

ControlClient Cluster::Client(std::size_t node) const {
  auto client = ControlClient::Open({.address = net_->nodes()[node].config.control_listen()});
  if (!client.ok()) throw std::runtime_error(std::string(client.status().message()));
  return *std::move(client);
}

std::vector<ControlClient> Cluster::Clients() const {
  std::vector<ControlClient> clients;
  for (std::size_t n = 0; n < size(); ++n) clients.push_back(Client(n));
  return clients;
}

std::optional<v1::NodeStatus> Cluster::Status(std::size_t node) const {
  auto status = Client(node).GetStatus();
  if (!status.ok()) return std::nullopt;
  return *std::move(status);
}

testing::AssertionResult Cluster::Started(const StartResult& result) const {
  if (result.status.ok()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << result.status.message() << "\n"
                                     << (result.failed ? net_->LogTail(*result.failed, 10) : "");
}

testing::AssertionResult Cluster::Up() {
  return Started(StartAll(*net_, {.binary = binary_, .deadline = kStartDeadline}));
}

testing::AssertionResult Cluster::StartNode(std::size_t node) {
  return Started(services::StartNode(*net_, node, {.binary = binary_, .deadline = kStartDeadline}));
}

testing::AssertionResult Cluster::Roll() {
  return Started(services::Roll(*net_, {.binary = LVS_BINARY, .deadline = kStartDeadline}));
}

testing::AssertionResult Cluster::Serves(std::size_t node, std::uint32_t peers) const {
  std::optional<v1::NodeStatus> status;
  const bool up = Eventually([&] {
    status = Status(node);
    return status && status->state() == v1::SERVING && status->peers_connected() >= peers;
  });
  if (up) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "node " << node << ": "
                                     << (status ? status->ShortDebugString() : "does not answer") << "\n"
                                     << net_->LogTail(node, 10);
}

void Cluster::Kill(std::size_t node) { EXPECT_TRUE(net_->Stop(node, SIGKILL, kEnd).ok()); }
void Cluster::Drain(std::size_t node) { EXPECT_TRUE(net_->Stop(node, SIGTERM, kEnd).ok()); }

void Cluster::Faults(double loss, std::uint32_t delay_ms) {
  for (std::size_t n = 0; n < size(); ++n) {
    v1::Faults faults = net_->SavedFaults(n);
    faults.set_loss(loss);
    faults.set_delay_ms(delay_ms);
    const absl::Status set = ApplyFaults(*net_, n, faults);
    EXPECT_TRUE(set.ok()) << set;
  }
}

void Cluster::Partition(const std::vector<std::size_t>& group_of) {
  for (const SeveredNode& node : Sever(*net_, group_of)) EXPECT_TRUE(node.status.ok()) << node.status;
}

void Cluster::Heal() { Partition(std::vector<std::size_t>(size())); }

testing::AssertionResult Cluster::HoldsExactly(std::uint64_t uvu, std::chrono::seconds deadline) const {
  std::string found;
  const bool holds = Eventually(
      [&] {
        found.clear();
        std::set<std::uint64_t> digests;
        bool equal = true;
        for (std::size_t n = 0; n < size(); ++n) {
          if (!net_->Pid(n)) continue;
          const std::optional<v1::NodeStatus> status = Status(n);
          if (!status) return false;
          std::uint64_t total = 0;
          for (const std::uint64_t slot : status->ledger().total_uvu()) total += slot;
          found += " node " + std::to_string(n) + ": " + std::to_string(total);
          equal = equal && total == uvu;
          digests.insert(status->ledger().digest());
        }
        return equal && digests.size() == 1;
      },
      deadline);
  if (holds) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "not all hold " << uvu << " micro-VU:" << found;
}

LoadThread::LoadThread(const Cluster& cluster, LoadOptions options) : clients_(cluster.Clients()) {
  options.stop = &stop_;
  options.shards = 0;  // all
  for (const ControlClient& client : clients_) {
    if (FitToCluster(client, &options).ok()) break;  // killed nodes do not answer
  }
  options.shards = std::max(1u, options.shards);
  options.give_up_after = std::chrono::seconds(60);
  thread_ = std::thread([this, options] { report_ = RunLoad(clients_, options); });
}

LoadThread::~LoadThread() {
  if (thread_.joinable()) Stop();
}

LoadReport LoadThread::Stop() {
  stop_ = true;
  return Finish();
}

LoadReport LoadThread::Finish() {
  thread_.join();
  return report_;
}

}  // namespace lvs::services
