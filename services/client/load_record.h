// A record of the acknowledgements that clients received, so that ledgers can be checked against it later.
//
//   absl::StatusOr<LoadRecord> record = RecordBefore(clients);
//   if (!record.ok()) return record.status();
//   record->expectations = RunLoad(clients, {.rate = 100}).expectations;
//   absl::Status written = WriteRecord(*record, "load.json");
//   ...
//   absl::StatusOr<std::vector<TotalBounds>> bounds = BoundsOf({*record});
//   bool held = bounds.ok() && CheckTotals(AskStatus(clients), *bounds).broken == 0;
//
// Stateless: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/client/cluster_status.h"
#include "services/client/control_client.h"
#include "services/client/load.h"

namespace lvs::services {

struct LoadRecord {
  // Totals of each value slot before the load: the least and the most that any node held.
  std::vector<std::uint64_t> before_least_uvu, before_most_uvu;
  std::map<ExpectationKey, Expectation> expectations;
};

// Returns the totals that nodes hold now, or the first error of a node.
absl::StatusOr<LoadRecord> RecordBefore(const std::vector<ControlClient>& clients);

// Writes are atomic. NOT_FOUND for a record that cannot be read, INVALID_ARGUMENT for a file that is not a record.
absl::Status WriteRecord(const LoadRecord& record, const std::filesystem::path& file);
absl::StatusOr<LoadRecord> ReadRecord(const std::filesystem::path& file);

// The bounds of a value slot's total on every node after the recorded loads ran in sequence. The lower bound is the
// total before the first load plus what was acknowledged, the upper bound that total plus what was sent.
// INVALID_ARGUMENT for records of different shapes.
struct TotalBounds {
  std::uint64_t least_uvu = 0;
  std::uint64_t most_uvu = 0;
};
absl::StatusOr<std::vector<TotalBounds>> BoundsOf(const std::vector<LoadRecord>& records);

// The totals of a cluster, each compared with its bounds.
struct TotalsCheck {
  enum class Verdict { kHeld, kLost, kTooMuch };
  struct Total {
    std::string node;
    std::size_t slot = 0;
    std::uint64_t total_uvu = 0;
    TotalBounds bounds;
    Verdict verdict = Verdict::kHeld;
  };
  std::vector<Total> totals;             // by node, then by slot
  std::size_t broken = 0;                // totals out of their bounds
  std::vector<std::string> unreachable;  // "node 1: why", for nodes that did not answer

  bool Complete() const { return broken == 0 && unreachable.empty(); }
};
TotalsCheck CheckTotals(const ClusterStatus& cluster, const std::vector<TotalBounds>& bounds);

// Returns "held", "LOST" or "TOO MUCH".
const char* VerdictText(TotalsCheck::Verdict verdict);

}  // namespace lvs::services
