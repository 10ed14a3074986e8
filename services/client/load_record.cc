#include "services/client/load_record.h"

#include <algorithm>
#include <utility>

#include "nlohmann/json.hpp"
#include "services/base/files.h"
#include "services/client/contribution.h"

namespace lvs::services {

namespace {
using Json = nlohmann::ordered_json;
}  // namespace

absl::StatusOr<LoadRecord> RecordBefore(const std::vector<ControlClient>& clients) {
  LoadRecord record;
  for (const ControlClient& client : clients) {
    const absl::StatusOr<v1::NodeStatus> status = client.GetStatus();
    if (!status.ok()) return status.status();
    const auto& totals = status->ledger().total_uvu();
    if (record.before_least_uvu.empty()) {
      record.before_least_uvu.assign(totals.begin(), totals.end());
      record.before_most_uvu = record.before_least_uvu;
    }
    if (static_cast<std::size_t>(totals.size()) != record.before_least_uvu.size()) {
      return absl::FailedPreconditionError("nodes differ in their number of value slots: they are not one cluster");
    }
    for (int slot = 0; slot < totals.size(); ++slot) {
      auto& least = record.before_least_uvu[static_cast<std::size_t>(slot)];
      auto& most = record.before_most_uvu[static_cast<std::size_t>(slot)];
      least = std::min<std::uint64_t>(least, totals[slot]);
      most = std::max<std::uint64_t>(most, totals[slot]);
    }
  }
  return record;
}

absl::Status WriteRecord(const LoadRecord& record, const std::filesystem::path& file) {
  Json entries = Json::array();
  for (const auto& [key, expectation] : record.expectations) {
    entries.push_back({{"session", SessionText(key.session)},
                       {"shard", key.shard},
                       {"slot", key.slot},
                       {"acknowledged_uvu", expectation.acknowledged_uvu},
                       {"sent_uvu", expectation.sent_uvu}});
  }
  const Json json{{"before_least_uvu", record.before_least_uvu},
                  {"before_most_uvu", record.before_most_uvu},
                  {"expectations", std::move(entries)}};
  return WriteFileAtomically(file, json.dump(1) + "\n");
}

absl::StatusOr<LoadRecord> ReadRecord(const std::filesystem::path& file) {
  const absl::StatusOr<std::string> text = ReadWholeFile(file);
  if (!text.ok()) {
    return absl::Status(text.status().code(), "cannot read " + std::string(text.status().message()) +
                                                  "; `lvs testnet load --record` writes it");
  }
  const absl::Status wrong = absl::InvalidArgumentError(file.string() + " is not a record of `lvs testnet load`");
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  LoadRecord record;
  try {
    json.at("before_least_uvu").get_to(record.before_least_uvu);
    json.at("before_most_uvu").get_to(record.before_most_uvu);
    if (record.before_least_uvu.size() != record.before_most_uvu.size()) return wrong;
    for (const Json& entry : json.at("expectations")) {
      const absl::StatusOr<SessionId> session = ParseSession(entry.at("session").get<std::string>());
      if (!session.ok()) return wrong;
      ExpectationKey key{*session, entry.at("shard").get<std::uint32_t>(), entry.at("slot").get<std::uint32_t>()};
      if (key.slot >= record.before_least_uvu.size()) return wrong;
      record.expectations[key] = {entry.at("acknowledged_uvu").get<std::uint64_t>(),
                                  entry.at("sent_uvu").get<std::uint64_t>()};
    }
  } catch (const Json::exception&) {
    return wrong;
  }
  return record;
}

absl::StatusOr<std::vector<TotalBounds>> BoundsOf(const std::vector<LoadRecord>& records) {
  std::vector<TotalBounds> bounds;
  for (const LoadRecord& record : records) {
    if (bounds.empty()) {
      for (std::size_t slot = 0; slot < record.before_least_uvu.size(); ++slot) {
        bounds.push_back({record.before_least_uvu[slot], record.before_most_uvu[slot]});
      }
    }
    if (bounds.size() != record.before_least_uvu.size()) {
      return absl::InvalidArgumentError("the records are of clusters with different numbers of value slots");
    }
    for (const auto& [key, expectation] : record.expectations) {
      bounds[key.slot].least_uvu += expectation.acknowledged_uvu;
      bounds[key.slot].most_uvu += expectation.sent_uvu;
    }
  }
  return bounds;
}

TotalsCheck CheckTotals(const ClusterStatus& cluster, const std::vector<TotalBounds>& bounds) {
  TotalsCheck check;
  for (const ClusterStatus::Node& node : cluster.nodes) {
    if (!node.status.ok()) {
      check.unreachable.push_back("node " + node.name + ": " + std::string(node.status.status().message()));
      continue;
    }
    const auto& totals = node.status->ledger().total_uvu();
    for (std::size_t slot = 0; slot < bounds.size(); ++slot) {
      TotalsCheck::Total entry{node.name, slot, 0, bounds[slot], TotalsCheck::Verdict::kHeld};
      if (slot < static_cast<std::size_t>(totals.size())) entry.total_uvu = totals[static_cast<int>(slot)];
      if (entry.total_uvu < bounds[slot].least_uvu) entry.verdict = TotalsCheck::Verdict::kLost;
      if (entry.total_uvu > bounds[slot].most_uvu) entry.verdict = TotalsCheck::Verdict::kTooMuch;
      if (entry.verdict != TotalsCheck::Verdict::kHeld) ++check.broken;
      check.totals.push_back(std::move(entry));
    }
  }
  return check;
}

const char* VerdictText(TotalsCheck::Verdict verdict) {
  switch (verdict) {
    case TotalsCheck::Verdict::kLost: return "LOST";
    case TotalsCheck::Verdict::kTooMuch: return "TOO MUCH";
    default: return "held";
  }
}

}  // namespace lvs::services
