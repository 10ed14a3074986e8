#include "actors/vaultguard_monitor_actor.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "actors/recycled.h"
#include "vaultguard/drain_detector.h"
#include "vaultguard/recovery.h"

namespace lvs::actors {

namespace {

using vaultguard::DrainAnomaly;

struct Watched {
  vaultguard::DrainDetector drain{vaultguard::DrainOptions{}};
  vaultguard::CatastrophicDropDetector drop{vaultguard::RecoveryOptions{}};
};

class Monitor {
 public:
  static inline const char* name = "lvs.vaultguard_monitor";

  void Configure(std::uint32_t shards, NodeRuntimeActor runtime) {
    watched_.resize(shards);
    runtime_ = std::move(runtime);
    verdict_ = Recycled<Verdict>();
    verdict_->shards.resize(shards);
  }

  // The verdict, once every shard has reported.
  Payload<Verdict> Take(const Payload<ShardReport>& report) {
    verdict_->cycle = report->cycle;
    verdict_->shards[report->shard] = report;
    if (++reported_ < watched_.size()) return nullptr;
    reported_ = 0;
    // In the order of the shards, whatever the order of arrival.
    for (const Payload<ShardReport>& shard : verdict_->shards) Judge(*shard);
    auto next = Recycled<Verdict>();
    next->shards.resize(watched_.size());
    return std::exchange(verdict_, std::move(next));
  }

  const NodeRuntimeActor& runtime() const { return runtime_; }

 private:
  void Judge(const ShardReport& report) {
    Watched& watched = watched_[report.shard];
    if (report.measure.replicas == 0) {
      watched = Watched();
      return;
    }
    const shard::StepCounts& step = report.counts.step;
    const auto count = [](std::uint64_t n) {
      return static_cast<std::uint32_t>(std::min<std::uint64_t>(n, 0xffffffff));
    };
    const vaultguard::DrainVerdict& drain =
        watched.drain.Observe({count(step.heard), count(step.strikes_down), count(step.strikes_up),
                               step.strikes_down * static_cast<std::uint64_t>(vaultguard::kMicroPerVu)});
    if (drain.raised(DrainAnomaly::kAbnormalPattern)) verdict_->anomalies.push_back({report.shard, "drain_pattern"});
    if (drain.raised(DrainAnomaly::kHighFrequency)) verdict_->anomalies.push_back({report.shard, "drain_frequency"});
    for (std::uint64_t n = 0; n < report.drains_on_links; ++n)
      verdict_->anomalies.push_back({report.shard, "drain_on_link"});
    for (std::uint64_t n = 0; n < report.entropy_on_links; ++n)
      verdict_->anomalies.push_back({report.shard, "entropy_on_link"});

    std::int64_t total = 0;
    for (const std::int64_t slot : report.total_uvu) total += slot;
    if (const auto order = watched.drop.Observe(report.effective_uvu, total)) {
      verdict_->orders.emplace_back(report.shard, order->action);
    }
  }

  std::vector<Watched> watched_;
  NodeRuntimeActor runtime_;
  std::shared_ptr<Verdict> verdict_;
  std::size_t reported_ = 0;
};

}  // namespace

MonitorActor SpawnMonitor(caf::actor_system& system, std::uint32_t shards, NodeRuntimeActor runtime) {
  const auto behaviour = [](MonitorActor::stateful_pointer<Monitor> self, std::uint32_t n,
                            NodeRuntimeActor to) -> MonitorActor::behavior_type {
    self->state.Configure(n, std::move(to));
    return {
        [self](const Payload<ShardReport>& report) {
          if (Payload<Verdict> verdict = self->state.Take(report)) {
            PostFrom(self, self->state.runtime(), std::move(verdict));
          }
        },
    };
  };
  return system.spawn(behaviour, shards, std::move(runtime));
}

}  // namespace lvs::actors
