// Thousands of browser tabs in one process (TEST-3.1, TEST-10): the core that browsers run, over real WebSockets to real
// hubs, with links between the tabs in memory.
//
//   TabLoadOptions options{.hubs = {"ws://127.0.0.1:8080/peer"}, .count = 1000};
//   absl::StatusOr<TabLoadReport> report = RunTabLoad(options);
//
// Tabs begin evenly over the ramp, and whoever leaves is replaced at once. Some of them may be hostile. Each worker
// thread owns its share of the tabs, and looks at them ten times a cycle; one more thread carries all sockets.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/tabs/contribution_book.h"
#include "services/tabs/hostility.h"
#include "services/tabs/link_graph.h"
#include "services/tabs/tab_sums.h"

namespace lvs::services {

struct TabLoadReport;

struct TabLoadOptions {
  std::vector<std::string> hubs = {};  // ws://host:port/peer; tabs begin with each in turn
  std::string ca_file = {};            // of wss hubs; empty: the system's CAs
  std::size_t count = 100;
  double run_s = 60;      // after the ramp
  double ramp_s = 10;     // until all have begun
  double churn_s = 0;     // mean length of a session; 0: nobody leaves
  double contribute = 0;  // contributions a second, of all tabs
  std::int64_t amount_uvu = 1000;
  std::uint32_t micro_nodes_min = 1, micro_nodes_max = 10;
  std::vector<std::string> regions = {};  // that tabs say they are of, in turn
  double hostile = 0;                     // share of the tabs
  std::vector<Hostile> hostile_kinds = {};
  double relayed = 0;    // share of the tabs whose connections never open
  bool idle = false;     // they only sit on their sockets
  bool scatter = false;  // free coordinates of all tabs are thrown anywhere after the ramp
  std::size_t workers = 2;
  std::uint64_t seed = 1;
  const std::atomic<bool>* stop = nullptr;                                 // ends the load early
  std::function<void(const TabLoadReport& so_far)> on_progress = nullptr;  // about once a second
};

// How far apart the replicas of a shard are, as a share of the range of its free coordinates; of settled honest tabs.
struct SpreadFigures {
  double median = 0, worst = 0;
  std::uint32_t shards = 0;  // that two replicas or more hold
};

struct TabLoadReport {
  std::uint32_t shards = 0;
  std::uint64_t period_us = 0;
  double seconds = 0;  // since the ramp
  std::size_t tabs = 0;
  std::size_t welcome = 0;  // that a hub lists
  std::size_t settled = 0;
  std::size_t welcome_most = 0;
  TabSums sums;              // since the start
  TabSums lately;            // since the ramp
  GraphFigures graph;        // now
  double cut_off_worst = 0;  // the largest share of all looks since the ramp and ten seconds
  SpreadFigures spread;
  ContributionFigures contributions;
  std::uint64_t memory_a_tab = 0;  // bytes of this process
  double cpu_share = 0;            // of one processor, since the ramp

  // A minute and tab, since the ramp.
  double PerTabMinute(std::uint64_t n) const;
  // Bytes that a micro-node sends a minute (SPEC-12): as they are, and on the wire.
  double PayloadSent() const;
  double WireSent() const;
};

// INVALID_ARGUMENT for options that cannot be; the errors of reaching the first hub and of the limit of open files.
absl::StatusOr<TabLoadReport> RunTabLoad(const TabLoadOptions& options);

}  // namespace lvs::services
