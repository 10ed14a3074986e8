// A load generator: sends contributions to server nodes at a fixed rate and measures latency and failures (TEST-10).
//
//   LoadOptions options{.rate = 1'000, .run = std::chrono::seconds(10), .shards = 16, .slots = 2};
//   LoadReport report = RunLoad(clients, options);
//   std::int64_t p99_us = report.latency.Quantile(0.99);
//
// The load is an open model: a contribution is due at a fixed time, whether or not earlier ones were answered. Latency
// counts from that time until the acknowledgement, retries included, so that a slow node shows as latency and not as a
// lower rate (no coordinated omission).
//
// Sessions take turns. A session stays at one node. After a failure the session moves to the next node and repeats the
// failed contribution there with the same cumulative amount, which is idempotent. A contribution refused for
// back-pressure (RESOURCE_EXHAUSTED) is repeated at the same node.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lvs/v1/control.pb.h"
#include "lvs/v1/report.pb.h"
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
  std::uint64_t step_uvu = 10'000;  // amount that a contribution adds
  v1::Durability durability = v1::MEMORY;
  std::uint32_t nodes = 0;  // for NODES only
  // The limit of contributions that are due but not finished. Further contributions are counted as not_sent.
  std::size_t in_flight_max = 20'000;
  std::chrono::milliseconds attempt_timeout{2'000};
  std::chrono::milliseconds give_up_after{10'000};  // from the time that a contribution is due
  const std::atomic<bool>* stop = nullptr;          // ends the load early
  // Called about once a second.
  std::function<void(const LoadReport& so_far)> on_progress = nullptr;
};

// The number of sessions that keeps each one well below the rate limit of nodes (100 a second).
std::size_t DefaultSessions(double rate);

// The bounds of what one session holds in one value slot of one shard.
struct Expectation {
  std::uint64_t acknowledged_uvu = 0;  // largest amount acknowledged
  std::uint64_t sent_uvu = 0;          // largest amount sent
};

struct ExpectationKey {
  SessionId session;
  std::uint32_t shard = 0;
  std::uint32_t slot = 0;
  friend auto operator<=>(const ExpectationKey&, const ExpectationKey&) = default;
};

struct LoadReport {
  // Invariant: offered = acknowledged + not_sent + the sum of failed.
  std::uint64_t offered = 0;  // contributions that were due
  std::uint64_t acknowledged = 0;
  std::uint64_t not_sent = 0;                   // due while in_flight_max were under way
  std::map<std::string, std::uint64_t> failed;  // given up, by the code of the last attempt
  // Failed attempts that were repeated, by their code.
  std::map<std::string, std::uint64_t> repeated;
  LatencyHistogram latency;  // of acknowledged contributions; without any, its quantiles mean nothing
  double seconds = 0;        // from the first contribution due to the last one finished
  std::map<ExpectationKey, Expectation> expectations;

  std::uint64_t Failed() const;
};

// The contributions that a load offers unless it is stopped.
std::uint64_t LoadSize(const LoadOptions& options);

// Asks the node for its shards and value slots, and fits `slots` and `shards` (0: all) to them. INVALID_ARGUMENT where
// the cluster has fewer shards than asked for, FAILED_PRECONDITION where it has none.
absl::Status FitToCluster(const ControlClient& client, LoadOptions* options);

// Runs the load and returns once every contribution is finished or given up. `clients` has at least one element. Uses
// two threads for each client.
LoadReport RunLoad(const std::vector<ControlClient>& clients, const LoadOptions& options);

// The figures of a load in the form that the report of a run shows.
v1::LoadFigures FiguresOf(const LoadReport& report, const LoadOptions& options);

}  // namespace lvs::services
