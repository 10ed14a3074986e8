// Sends contributions to server nodes at a fixed rate and says how that went (TEST-10).
//
//   LoadOptions options{.rate = 1'000, .run = std::chrono::seconds(10), .shards = 16, .slots = 2};
//   LoadReport report = RunLoad(clients, options);
//   report.latency.Quantile(0.99);                             // microseconds
//
// Open model: a contribution is due at a fixed time, whether or not earlier ones were answered, and its latency counts
// from the time that it was due until it is acknowledged, retries and all. A slow node so shows as latency, and not as
// a lower rate ("coordinated omission").
//
// Sessions take turns. Each sticks to a node; after a failure it goes on at the next one, and repeats there what failed
// with the same cumulative amount, which is safe any number of times. What has to wait because the node is busy
// (RESOURCE_EXHAUSTED) is repeated at the same node.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/control.pb.h"
#include "services/base/latency_histogram.h"
#include "services/client/contribution.h"
#include "services/client/control_client.h"

namespace lvs::services {

struct LoadReport;

struct LoadOptions {
  double rate = 100;  // contributions a second
  std::chrono::milliseconds run{10'000};
  std::uint32_t shards = 1;
  std::uint32_t slots = 1;
  std::size_t sessions = 0;         // 0: DefaultSessions(rate)
  std::uint64_t step_uvu = 10'000;  // what a contribution adds
  v1::Durability durability = v1::MEMORY;
  std::uint32_t nodes = 0;  // with NODES
  // Contributions due but not finished. What is due beyond that is not sent, and counted.
  std::size_t in_flight_max = 20'000;
  std::chrono::milliseconds attempt_timeout{2'000};
  std::chrono::milliseconds give_up_after{10'000};  // from the time that it was due
  const std::atomic<bool>* stop = nullptr;          // ends the load early
  // About once a second.
  std::function<void(const LoadReport& so_far)> on_progress = nullptr;
};

// Enough that no session comes near the rate limit of nodes (100 a second).
std::size_t DefaultSessions(double rate);

// What one session may expect of one slot of one shard.
struct Expectation {
  std::uint64_t acknowledged_uvu = 0;  // the most that was acknowledged
  std::uint64_t sent_uvu = 0;          // the most that was tried
};

struct ExpectationKey {
  SessionId session;
  std::uint32_t shard = 0;
  std::uint32_t slot = 0;
  friend auto operator<=>(const ExpectationKey&, const ExpectationKey&) = default;
};

struct LoadReport {
  // offered = acknowledged + not_sent + the sum of failed.
  std::uint64_t offered = 0;  // that were due
  std::uint64_t acknowledged = 0;
  std::uint64_t not_sent = 0;                   // due while in_flight_max were under way
  std::map<std::string, std::uint64_t> failed;  // for good, by the code of the last attempt
  // Attempts that failed and were repeated, by code.
  std::map<std::string, std::uint64_t> repeated;
  LatencyHistogram latency;  // of what was acknowledged
  double seconds = 0;        // from the first that was due to the last that was finished
  std::map<ExpectationKey, Expectation> expectations;

  std::uint64_t Failed() const;
};

// `clients` at least one. Returns once all is finished or given up. Uses two threads a client.
LoadReport RunLoad(const std::vector<ControlClient>& clients, const LoadOptions& options);

// ---- The ledger of expectations ------------------------------------------------------------------------------------

struct LoadRecord {
  // Totals a slot before the load: the least and the most that a node had.
  std::vector<std::uint64_t> before_least_uvu, before_most_uvu;
  std::map<ExpectationKey, Expectation> expectations;
};

// The totals that nodes have now. The first error of a node otherwise.
absl::StatusOr<LoadRecord> RecordBefore(const std::vector<ControlClient>& clients);

absl::Status WriteRecord(const LoadRecord& record, const std::filesystem::path& file);
absl::StatusOr<LoadRecord> ReadRecord(const std::filesystem::path& file);

// What a slot's total must lie between on every node, after these loads one after the other: what was there before plus
// what was acknowledged, and plus what was sent. INVALID_ARGUMENT for records of different shapes.
struct TotalBounds {
  std::uint64_t least_uvu = 0;
  std::uint64_t most_uvu = 0;
};
absl::StatusOr<std::vector<TotalBounds>> BoundsOf(const std::vector<LoadRecord>& records);

}  // namespace lvs::services
