#include "services/tabs/tab_load.h"

#include <sys/resource.h>
#include <sys/time.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "services/base/cycle_clock.h"
#include "services/base/resident_memory.h"
#include "services/base/threads.h"
#include "services/net/grpc_stream.h"
#include "services/net/web_fetch.h"
#include "services/tabs/tab_worker.h"

namespace lvs::services {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{5'000};
constexpr std::size_t kFilesBeside = 64;
constexpr double kGraphSeconds = 5;
constexpr double kMinute = 60;
// Bytes of a message beside it: IP, UDP, DTLS and SCTP on a DataChannel; IP, TCP, TLS and the WebSocket's head to a hub.
constexpr double kWireOfChannel = 95;
constexpr double kWireOfSocket = 70;
// A contribution is late after so long.
constexpr double kGraceSeconds = 10;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

absl::Status Check(const TabLoadOptions& options) {
  if (options.hubs.empty()) return absl::InvalidArgumentError("no hub is named; write --hub ws://127.0.0.1:8080/peer");
  if (options.count == 0) return absl::InvalidArgumentError("a load of 0 tabs would test nothing; raise --count");
  if (options.workers == 0 || options.workers > options.count) {
    return absl::InvalidArgumentError("there must be as many tabs as worker threads, at least; lower --threads");
  }
  if (options.micro_nodes_min == 0 || options.micro_nodes_min > options.micro_nodes_max ||
      options.micro_nodes_max > tab::kHostedMicroNodesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a tab hosts 1 to ", tab::kHostedMicroNodesMax, " micro-nodes, the smaller number first"));
  }
  for (const std::string& hub : options.hubs) {
    if (const auto url = ParseWebUrl(hub); !url.ok()) return url.status();
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return absl::OkStatus();
  const std::size_t needed = options.count + kFilesBeside;
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, needed);
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur >= needed) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("a tab takes an open file, and this process may have ",
                                                   limit.rlim_cur, "; raise it with `ulimit -n ", needed, "`"));
}

// What network the hub is of.
absl::StatusOr<TabTerms> AskTerms(const std::string& hub, const std::string& ca_file) {
  absl::StatusOr<WebUrl> url = ParseWebUrl(hub);
  if (!url.ok()) return url.status();
  url->target = "/config.json";
  const absl::StatusOr<std::string> page = FetchPage(*url, ca_file, kPatience);
  if (!page.ok()) return page.status();
  const auto json = nlohmann::json::parse(*page, nullptr, /*allow_exceptions=*/false);
  const auto number = [&json](const char* key, std::uint64_t least, std::uint64_t most) -> std::uint64_t {
    const auto at = json.is_object() ? json.find(key) : json.end();
    if (!json.is_object() || at == json.end() || !at->is_number_unsigned()) return 0;
    const auto value = at->get<std::uint64_t>();
    return value >= least && value <= most ? value : 0;
  };
  constexpr std::uint64_t kPeriodMost = 60'000'000;
  TabTerms terms;
  terms.shards = static_cast<std::uint32_t>(number("shards", tab::kGroupShards, tab::kShardsMax));
  terms.period_us = number("period_us", 1000, kPeriodMost);
  terms.shape.value_slots = static_cast<int>(number("value_slots", 1, vaultguard::kMaxValueSlots));
  terms.shape.free_coordinates = static_cast<int>(number("free_coordinates", 0, vaultguard::kMaxFreeCoordinates));
  if (terms.shards % tab::kGroupShards != 0 || terms.shards == 0 || terms.period_us == 0 ||
      terms.shape.value_slots == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(url->authority, "/config.json does not describe a network that tabs can take part in; is ", hub,
                     " a hub of this version?"));
  }
  return terms;
}

SpreadFigures SpreadOf(const std::vector<ShardExtent>& extents, std::size_t coordinates) {
  SpreadFigures figures;
  std::vector<double> spreads;
  const double range = shard::StateShardConfig().coordinate_range;
  for (const ShardExtent& extent : extents) {
    if (extent.replicas < 2) continue;
    double spread = 0;
    for (std::size_t c = 0; c < coordinates; ++c) {
      spread = std::max(spread, static_cast<double>(extent.high[c] - extent.low[c]) / range);
    }
    spreads.push_back(spread);
  }
  if (spreads.empty()) return figures;
  std::sort(spreads.begin(), spreads.end());
  figures.shards = static_cast<std::uint32_t>(spreads.size());
  figures.median = spreads[spreads.size() / 2];
  figures.worst = spreads.back();
  return figures;
}

// One load, from its first tab to its report.
class Load {
 public:
  Load(const TabLoadOptions& options, const TabTerms& terms, WebDialler* dialler)
      : options_(options), terms_(terms), book_(options.workers) {
    auto mail = std::make_shared<Mail>(options.workers);
    for (std::size_t n = 0; n < options.workers; ++n) {
      workers_.push_back(std::make_unique<TabWorker>(n, options_, terms_, mail, dialler, &book_));
    }
    report_.shards = terms.shards;
    report_.period_us = terms.period_us;
  }

  TabLoadReport Run() {
    const std::uint64_t memory = ResidentBytes();
    const double start_s = SteadySeconds();
    for (const auto& worker : workers_) worker->Start(start_s);
    const double begin_s = start_s + options_.ramp_s;
    bool begun = false;
    while (!Stopped() && SteadySeconds() < begin_s + options_.run_s) {
      std::this_thread::sleep_for(milliseconds(begun ? 1000 : 250));
      const double now_s = SteadySeconds();
      if (!begun && now_s < begin_s) {
        Gather(Looks(), now_s, /*graph=*/false, /*final=*/false);
      } else if (!begun) {
        begun = true;
        begun_s_ = now_s;
        cpu_then_s_ = CpuSeconds();
        Gather(Looks(), now_s, /*graph=*/true, /*final=*/false);
        before_ = report_.sums;
        if (options_.scatter) {
          for (const auto& worker : workers_) worker->ScatterAll();
        }
      } else {
        Gather(Looks(), now_s, now_s >= next_graph_s_, /*final=*/false);
      }
      if (options_.on_progress) options_.on_progress(report_);
    }
    if (const std::size_t tabs = report_.tabs; tabs > 0) {
      report_.memory_a_tab = (std::max(memory, ResidentBytes()) - memory) / tabs;
    }
    std::vector<WorkerLook> looks;
    for (const auto& worker : workers_) worker->Stop();
    for (const auto& worker : workers_) looks.push_back(worker->FindContributions());
    Gather(looks, SteadySeconds(), /*graph=*/true, /*final=*/true);
    return report_;
  }

 private:
  bool Stopped() const { return options_.stop != nullptr && *options_.stop; }
  std::vector<WorkerLook> Looks() const {
    std::vector<WorkerLook> looks;
    for (const auto& worker : workers_) looks.push_back(worker->look());
    return looks;
  }

  void Gather(const std::vector<WorkerLook>& looks, double now_s, bool graph, bool final) {
    const auto coordinates = static_cast<std::size_t>(terms_.shape.free_coordinates);
    std::vector<ShardExtent> extents(terms_.shards);
    report_.tabs = report_.welcome = report_.settled = 0;
    report_.sums = {};
    std::vector<TabLook> honest;
    for (const WorkerLook& look : looks) {
      report_.tabs += look.tabs;
      report_.welcome += look.welcome;
      report_.settled += look.settled;
      report_.sums += look.sums;
      for (std::size_t s = 0; s < extents.size(); ++s) extents[s].Merge(look.extents[s], coordinates);
      if (graph) honest.insert(honest.end(), look.honest.begin(), look.honest.end());
    }
    report_.welcome_most = std::max(report_.welcome_most, report_.welcome);
    report_.spread = SpreadOf(extents, coordinates);
    report_.contributions =
        book_.Figures(CycleNow(terms_.period_us),
                      static_cast<std::uint64_t>(kGraceSeconds * 1e6 / static_cast<double>(terms_.period_us)), final);
    if (begun_s_ > 0) {
      report_.seconds = now_s - begun_s_;
      report_.lately = report_.sums.Since(before_);
      report_.cpu_share = (CpuSeconds() - cpu_then_s_) / std::max(1e-3, report_.seconds);
    }
    if (!graph) return;
    next_graph_s_ = now_s + kGraphSeconds;
    report_.graph = LookAtGraph(honest, terms_.shards);
    if (report_.seconds > LoadTab::kSettledSeconds) {
      report_.cut_off_worst = std::max(report_.cut_off_worst, report_.graph.cut_off_share());
    }
  }

  const TabLoadOptions& options_;
  const TabTerms terms_;
  ContributionBook book_;
  std::vector<std::unique_ptr<TabWorker>> workers_;
  TabLoadReport report_;
  TabSums before_;
  double begun_s_ = 0;
  double cpu_then_s_ = 0;
  double next_graph_s_ = 0;
};

}  // namespace

double TabLoadReport::PerTabMinute(std::uint64_t n) const {
  return lately.tab_seconds <= 0 ? 0 : static_cast<double>(n) * kMinute / lately.tab_seconds;
}

double TabLoadReport::PayloadSent() const {
  if (lately.micro_node_seconds <= 0) return 0;
  return static_cast<double>(lately.to_hub.bytes + lately.to_tabs.bytes) * kMinute / lately.micro_node_seconds;
}

double TabLoadReport::WireSent() const {
  if (lately.micro_node_seconds <= 0) return 0;
  const double beside = kWireOfSocket * static_cast<double>(lately.to_hub.all()) +
                        kWireOfChannel * static_cast<double>(lately.to_tabs.all());
  return PayloadSent() + beside * kMinute / lately.micro_node_seconds;
}

absl::StatusOr<TabLoadReport> RunTabLoad(const TabLoadOptions& options) {
  if (absl::Status status = Check(options); !status.ok()) return status;
  const absl::StatusOr<TabTerms> terms = AskTerms(options.hubs.front(), options.ca_file);
  if (!terms.ok()) return terms.status();
  if (absl::Status can = CheckThreads(static_cast<unsigned>(options.workers) + 1); !can.ok()) return can;
  WebDiallerOptions dials;
  dials.ca_file = options.ca_file;
  auto dialler = WebDialler::Open(dials);
  if (!dialler.ok()) return dialler.status();
  TabLoadReport report;
  {
    Load load(options, *terms, dialler->get());
    report = load.Run();
  }
  (*dialler)->Stop(milliseconds(2'000));
  return report;
}

}  // namespace lvs::services
