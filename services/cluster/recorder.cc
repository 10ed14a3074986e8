#include "services/cluster/recorder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "services/base/cycle_clock.h"
#include "services/node/node_config.h"

namespace lvs::services {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

// A look that takes longer counts as unanswered.
constexpr milliseconds kLookTimeout{1'000};
constexpr milliseconds kIntervalMin{100};
constexpr std::uint64_t kLooksAPeerList = 10;
// Nodes measure right after the start of a cycle. Looks come kPhase of a cycle later, and rows are written kRowAfter of
// an interval after their look.
constexpr double kPhase = 0.4;
constexpr double kRowAfter = 0.4;

milliseconds PeriodOf(const std::vector<TestnetNode>& nodes) {
  std::int64_t period_us = 0;
  for (const TestnetNode& node : nodes) {
    period_us = std::max(period_us, node.config.period_us() > 0 ? node.config.period_us() : NodeDefaults{}.period_us);
  }
  return std::max(milliseconds(1), milliseconds(period_us / 1'000));
}

// True where the log ends with the entry that a drained node writes last.
bool SaidItsEnd(const fs::path& log) {
  constexpr std::streamoff kTailBytes = 1'024;
  std::ifstream in(log, std::ios::binary | std::ios::ate);
  if (!in) return false;
  const std::streamoff size = in.tellg();
  std::string tail(static_cast<std::size_t>(std::min(size, kTailBytes)), '\0');
  in.seekg(size - static_cast<std::streamoff>(tail.size()));
  in.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  return tail.find("node.ended") != std::string::npos;
}

}  // namespace

TestnetRecorder::TestnetRecorder(std::vector<TestnetNode> nodes, const TestnetRecording& recording)
    : nodes_(std::move(nodes)), interval_(recording.interval), looks_(nodes_.size()), report_(nodes_) {
  const milliseconds period = PeriodOf(nodes_);
  const milliseconds wanted = interval_ > milliseconds(0) ? interval_ : std::max(period, kIntervalMin);
  const milliseconds least = std::max(wanted, recording.expected / static_cast<std::int64_t>(kSamplesMax));
  interval_ = (least + period - milliseconds(1)) / period * period;  // whole cycles
  // Looks are in phase with the cycles of the nodes, which all share one clock.
  const ClockReading clock = ReadClocks();
  const auto into_cycle = IntoCycle(clock.wall, static_cast<std::uint64_t>(period.count()) * 1'000);
  start_ = clock.steady - into_cycle + period + std::chrono::duration_cast<Steady::duration>(kPhase * period);
  for (std::size_t i = 0; i < nodes_.size(); ++i) threads_.emplace_back([this, i] { Ask(i); });
  threads_.emplace_back([this] { Sample(); });
}

TestnetRecorder::~TestnetRecorder() { Stop(); }

void TestnetRecorder::Stop() {
  {
    const MutexLock lock(&mu_);
    stop_ = true;
    changed_.NotifyAll();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

double TestnetRecorder::Seconds() const {
  return std::max(0.0, std::chrono::duration<double>(Steady::now() - start_).count());
}

std::uint64_t TestnetRecorder::LookAfter(std::uint64_t n) const {
  const auto now = static_cast<std::uint64_t>(Seconds() / std::chrono::duration<double>(interval_).count());
  return std::max(n, now) + 1;
}

bool TestnetRecorder::WaitForLook(std::uint64_t n, double later) {
  const auto at = start_ + std::chrono::duration_cast<Steady::duration>((static_cast<double>(n) + later) * interval_);
  const MutexLock lock(&mu_);
  while (!stop_ && Steady::now() < at) changed_.WaitUntil(&mu_, at);
  return !stop_;
}

void TestnetRecorder::Ask(std::size_t i) {
  std::optional<ControlClient> client;
  for (std::uint64_t n = 0; WaitForLook(n, 0); n = LookAfter(n)) {
    TestnetLook look = LookAt(nodes_[i], n, &client);
    const MutexLock lock(&mu_);
    if (!look.peers && looks_[i].peers) look.peers = std::move(looks_[i].peers);
    looks_[i] = std::move(look);
  }
}

TestnetLook TestnetRecorder::LookAt(const TestnetNode& node, std::uint64_t n, std::optional<ControlClient>* client) {
  TestnetLook look;
  // A new connection replaces each one that failed, because a call on a recently refused connection may wait for its
  // whole timeout.
  if (!*client) {
    absl::StatusOr<ControlClient> opened =
        ControlClient::Open({.address = node.config.control_listen(), .timeout = kLookTimeout});
    if (opened.ok()) client->emplace(*std::move(opened));
  }
  look.runs = ProcessOf(node).has_value();
  if (look.runs && *client) {
    if (absl::StatusOr<v1::NodeStatus> status = (*client)->GetStatus(); status.ok()) look.status = *std::move(status);
  }
  if (look.status) {
    if (auto shards = (*client)->ListShards(); shards.ok()) look.shards = *std::move(shards);
    if (n % kLooksAPeerList == 0) {
      if (auto peers = (*client)->ListPeers(); peers.ok()) look.peers = *std::move(peers);
    }
  } else {
    client->reset();
  }
  std::error_code ignored;
  look.ran = fs::exists(node.LogFile(), ignored);
  look.ended = !look.runs && SaidItsEnd(node.LogFile());
  look.faults = ReadFaults(node);
  return look;
}

void TestnetRecorder::Sample() {
  for (std::uint64_t n = 0; WaitForLook(n, kRowAfter); n = LookAfter(n)) {
    const MutexLock lock(&mu_);
    report_.Add(Seconds(), looks_);
    for (TestnetLook& look : looks_) look.peers.reset();
    changed_.NotifyAll();
  }
}

void TestnetRecorder::BeginLoad(const std::string& label) {
  const MutexLock lock(&mu_);
  report_.BeginLoad(Seconds(), label);
}

void TestnetRecorder::EndLoad(const v1::LoadFigures& figures) {
  const MutexLock lock(&mu_);
  report_.EndLoad(Seconds(), figures);
}

void TestnetRecorder::SetLatency(double p50_ms, double p99_ms) {
  const MutexLock lock(&mu_);
  report_.SetLatency(p50_ms, p99_ms);
}

v1::Sample TestnetRecorder::Now() const {
  const MutexLock lock(&mu_);
  return report_.Now();
}

v1::RunReport TestnetRecorder::Finish(milliseconds settle, bool complete, const std::atomic<bool>* stop) {
  const auto stopped = [stop] { return stop != nullptr && stop->load(); };
  {
    const MutexLock lock(&mu_);
    // Recent acknowledgements may not show in any look yet, so wait for two more rows.
    for (int row = 0; row < 2 && !stopped(); ++row) changed_.WaitFor(&mu_, 2 * interval_);
    report_.Mark();
    const auto end = Steady::now() + settle;
    if (!stopped()) changed_.WaitFor(&mu_, 2 * interval_);
    while (!report_.Settled() && Steady::now() < end && !stopped()) changed_.WaitFor(&mu_, interval_);
  }
  Stop();
  const MutexLock lock(&mu_);
  return report_.Finish(complete);
}

}  // namespace lvs::services
