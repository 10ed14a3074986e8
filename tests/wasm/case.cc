#include "tests/wasm/case.h"

#include <algorithm>
#include <bit>

#include "shard/columns.h"
#include "vaultguard/limits.h"

namespace lvs::wasm {

std::string Facts::ToJson() const {
  std::string json = "{\"name\": \"" + name + "\"";
  const auto add = [&json](const char* key, std::uint64_t number) {
    json += std::string(", \"") + key + "\": " + std::to_string(number);
  };
  add("value_slots", static_cast<std::uint64_t>(value_slots));
  add("free_coordinates", static_cast<std::uint64_t>(free_coordinates));
  add("peers", static_cast<std::uint64_t>(peers));
  add("server_nodes", server_nodes);
  add("shards", shards);
  add("replica_cycles", replica_cycles);
  add("entered", entered);
  add("left", left);
  add("low_power", low_power);
  add("restarts", restarts);
  add("contributions", contributions);
  add("frames", frames);
  add("frame_bytes", frame_bytes);
  add("frames_refused", frames_refused);
  add("refusals", refusals);
  add("not_finite", not_finite);
  add("liars_stopped", liars_stopped);
  json += ", \"lies\": [";
  for (std::size_t n = 0; n < lies.size(); ++n) json += (n > 0 ? ", " : "") + std::to_string(lies[n]);
  return json + "]}";
}

void Hasher::Add(float number) { Add(std::uint64_t{std::bit_cast<std::uint32_t>(number)}); }
void Hasher::Add(double number) { Add(std::bit_cast<std::uint64_t>(number)); }

void AddRest(const shard::StateShard& shard, Hasher* hasher) {
  const shard::Columns& columns = shard.columns();
  for (std::size_t row = columns.first_local; row < columns.end; ++row) {
    hasher->Add(columns.band[row]);
    hasher->Add(columns.known[row]);
    for (std::size_t peer = 0; peer < static_cast<std::size_t>(shard.config().shape.peers); ++peer) {
      hasher->Add(std::uint64_t{columns.link[peer * columns.stride + row]});
      hasher->Add(std::uint64_t{columns.link_entropy[peer * columns.stride + row]});
    }
  }
  for (std::size_t row = 0; row < columns.end; ++row) {
    for (std::size_t word = 0; word < columns.said_words; ++word) hasher->Add(columns.Said(row)[word]);
  }
  const shard::Ledger& ledger = shard.ledger();
  hasher->Add(ledger.digest());
  hasher->Add(ledger.version());
  hasher->Add(std::uint64_t{ledger.size()});
  for (const std::int64_t total : ledger.totals_uvu()) hasher->Add(static_cast<std::uint64_t>(total));

  shard::Measure measure;
  shard.MeasureHonest(&measure);
  for (const shard::Moments& moments : measure.moments) {
    hasher->Add(moments.count);
    hasher->Add(moments.mean);
    hasher->Add(moments.m2);
  }
  hasher->Add(measure.replicas);
  hasher->Add(measure.worst_value_vu);
  for (const std::int64_t behind : measure.behind_uvu) hasher->Add(static_cast<std::uint64_t>(behind));
  for (const double drift_vu : shard.MeanDriftVu()) hasher->Add(drift_vu);
}

void AddCounts(const shard::CycleCounts& counts, Hasher* hasher) {
  const shard::StepCounts& step = counts.step;
  for (const std::uint64_t count : {step.updated, step.published, step.packets, step.heard, step.lost, step.strikes_up,
                                    step.strikes_down, step.trust, counts.redundancy_syncs, counts.fallback_links}) {
    hasher->Add(count);
  }
  for (const std::uint64_t count : step.refused.count) hasher->Add(count);
  for (const std::uint64_t count : step.clamped) hasher->Add(count);
  const shard::SentBytes& sent = counts.sent;
  for (const std::uint64_t bytes : {sent.state_diff, sent.entropy, sent.ledger, sent.beacon, sent.frames}) {
    hasher->Add(bytes);
  }
}

bool FlipOneBit(shard::StateShard* shard) {
  const shard::Columns& columns = shard->columns();
  for (std::size_t row = columns.first_local; row < columns.end; ++row) {
    if (!columns.Alive(row)) continue;
    std::array<float, vaultguard::kMaxDimensions> said{};
    std::copy_n(columns.Said(row), shard->config().shape.dimensions(), said.begin());
    said[0] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(said[0]) ^ 1u);
    shard->OverwriteSaid(static_cast<std::uint32_t>(row), said.data(), columns.Meta(row), columns.Entropy(row));
    return true;
  }
  return false;
}

std::size_t CaseCount() { return ShardCaseCount() + NetworkCaseCount() + TabCaseCount(); }

std::unique_ptr<Case> StartCase(std::size_t index) {
  if (index < ShardCaseCount()) return StartShardCase(index);
  index -= ShardCaseCount();
  return index < NetworkCaseCount() ? StartNetworkCase(index) : StartTabCase(index - NetworkCaseCount());
}

}  // namespace lvs::wasm
