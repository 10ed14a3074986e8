#include "shard/hosting/monitor.h"

#include <algorithm>
#include <limits>

#include "vaultguard/limits.h"

namespace lvs::hosting {

using vaultguard::DrainAnomaly;

bool Monitor::Take(const Payload<ShardReport>& report) {
  reports_[report->shard] = report;
  return ++reported_ == reports_.size();
}

void Monitor::Judge(Verdict* verdict) {
  reported_ = 0;
  // The verdict takes the reports along; the verdict's own recycled memory holds the next ones.
  verdict->shards.swap(reports_);
  reports_.resize(watched_.size());
  for (const Payload<ShardReport>& shard : verdict->shards) {
    verdict->cycle = shard->cycle;
    JudgeShard(*shard, verdict);
  }
}

void Monitor::JudgeShard(const ShardReport& report, Verdict* verdict) {
  Watched& watched = watched_[report.shard];
  if (report.measure.replicas == 0) {
    watched = Watched();
    return;
  }
  const shard::StepCounts& step = report.counts.step;
  const auto count = [](std::uint64_t n) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(n, std::numeric_limits<std::uint32_t>::max()));
  };
  const vaultguard::DrainVerdict& drain =
      watched.drain.Observe({count(step.heard), count(step.strikes_down), count(step.strikes_up),
                             step.strikes_down * static_cast<std::uint64_t>(vaultguard::kMicroPerVu)});
  const auto raise = [&](const char* kind) { verdict->anomalies.push_back({report.shard, kind}); };
  if (drain.raised(DrainAnomaly::kAbnormalPattern)) raise("drain_pattern");
  if (drain.raised(DrainAnomaly::kHighFrequency)) raise("drain_frequency");
  for (std::uint64_t n = 0; n < report.drains_on_links; ++n) raise("drain_on_link");
  for (std::uint64_t n = 0; n < report.entropy_on_links; ++n) raise("entropy_on_link");

  std::int64_t total_uvu = 0;
  for (const std::int64_t slot : report.total_uvu) total_uvu += slot;
  if (const auto order = watched.drop.Observe(report.effective_uvu, total_uvu)) {
    verdict->orders.emplace_back(report.shard, order->action);
  }
}

}  // namespace lvs::hosting
