#include "services/scenario/run_look.h"

#include <algorithm>
#include <string>

namespace lvs::services {

namespace {

using hosting::Anomaly;
using hosting::LinkReport;
using hosting::NodeReport;
using hosting::Payload;
using hosting::ShardReport;

void CountShard(const shard::CycleCounts& counts, Counted* counted) {
  const shard::StepCounts& step = counts.step;
  counted->replica_cycles += step.updated;
  counted->fallback_links += counts.fallback_links;
  counted->redundancy_syncs += counts.redundancy_syncs;
  counted->heard += step.heard;
  counted->trust_255 += step.trust;
  counted->exposed += step.heard + step.lost;
  counted->lost += step.lost;
  counted->sent += counts.sent;
  for (std::size_t n = 0; n < vaultguard::kRefusals; ++n) {
    const auto why = static_cast<vaultguard::Refusal>(n);
    if (step.refused.Of(why) > 0) counted->refused[std::string(vaultguard::Name(why))] += step.refused.Of(why);
  }
  for (std::size_t n = 0; n < vaultguard::kClamps; ++n) {
    const auto rule = static_cast<vaultguard::Clamp>(n);
    if (step.clamped[n] > 0) counted->clamped[std::string(vaultguard::Name(rule))] += step.clamped[n];
  }
}

// Frames are messages too, and what they take on the wire is what the micro-nodes of their region send.
void CountLink(const LinkReport& link, NodeLook* look) {
  look->links.push_back({.to = link.to,
                         .frames = link.frames,
                         .lost = link.lost,
                         .timed = link.delivered,
                         .latency_ms_sum = link.latency_ms_sum,
                         .latency_ms_max = link.latency_ms_max});
  look->counted.exposed += link.frames;
  look->counted.lost += link.lost;
  look->counted.sent.frames += link.bytes;
}

void CountCycle(const NodeReport& report, NodeLook* look) {
  Counted& counted = look->counted;
  counted.micro_node_cycles = report.alive;
  counted.joined = report.online;
  counted.left = report.offline;
  counted.repaired = report.repaired;
  for (const LinkReport& link : report.links) CountLink(link, look);
  if (report.verdict) {
    for (const Payload<ShardReport>& shard : report.verdict->shards) CountShard(shard->counts, &counted);
    for (const Anomaly& anomaly : report.verdict->anomalies) ++counted.anomalies[anomaly.kind];
    counted.recoveries = report.verdict->orders.size();
  }
  counted.messages = counted.exposed;  // every message can be lost, and the emulator sees each
}

bool IsMeasured(const NodeReport& report) {
  return report.verdict && !report.verdict->shards.empty() && report.verdict->shards[0]->measured;
}

}  // namespace

Look LookAt(std::uint64_t cycle, const std::vector<Payload<NodeReport>>& reports,
            const std::vector<shard::SlotAmounts>& accepted_uvu, const std::vector<Timeline::Ended>& ended) {
  Look look;
  look.at = look.cycle = cycle;
  // Where every server node is out, nobody is left to measure: nothing is held.
  look.measured =
      std::none_of(reports.begin(), reports.end(), [](const auto& report) { return report->verdict != nullptr; }) ||
      std::any_of(reports.begin(), reports.end(), [](const auto& report) { return IsMeasured(*report); });
  look.accepted_uvu = accepted_uvu;
  for (const Timeline::Ended& event : ended) look.ended.push_back({event.kind, event.cycle});
  look.nodes.resize(reports.size());
  for (std::size_t n = 0; n < reports.size(); ++n) {
    const NodeReport& report = *reports[n];
    NodeLook& node = look.nodes[n];
    node.serving = report.verdict != nullptr && report.waiting_to_enter == 0;
    node.alive = report.alive;
    node.replicas = report.replicas;
    node.liars = report.adversaries;
    if (cycle > 0) CountCycle(report, &node);
    if (!look.measured || !report.verdict) continue;
    node.shards.reserve(report.verdict->shards.size());
    for (const Payload<ShardReport>& shard : report.verdict->shards) {
      node.shards.push_back({shard->measure, shard->total_uvu, shard->state_hash});
    }
  }
  return look;
}

}  // namespace lvs::services
