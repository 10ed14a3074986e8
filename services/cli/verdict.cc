#include "services/cli/verdict.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <ostream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_join.h"
#include "services/cli/output.h"
#include "services/scenario/metrics.h"

namespace lvs::services {

namespace fs = std::filesystem;

fs::path NewRunDirectory(const std::string& name) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
  const fs::path base = fs::path("runs") / (name + "-" + stamp);
  fs::path directory = base;
  std::error_code error;
  for (int i = 2; fs::exists(directory, error) && i < 1000; ++i) directory = base.string() + "-" + std::to_string(i);
  return directory;
}

namespace {

void PrintThresholds(const v1::Summary& summary, std::ostream& out) {
  Rows rows{{"metric", "when", "limit", "value", "verdict", "requirement"}};
  for (const v1::ThresholdResult& result : summary.thresholds()) {
    const Metric* metric = FindMetric(result.metric());
    rows.push_back({result.metric(), result.when(), result.limit(),
                    metric == nullptr ? FormatNumber(result.value()) : FormatMetric(*metric, result.value()),
                    VerdictWord(result), result.requirement()});
  }
  if (rows.size() > 1) {
    out << "\n";
    PrintTable(out, rows);
  }
  for (const v1::ThresholdResult& result : summary.thresholds()) {
    if (!result.untested().empty()) out << "UNTESTED " << result.metric() << ": " << result.untested() << "\n";
  }
}

// What the run says about free coordinates, whether or not a threshold judges it.
std::string FreeCoordinates(const v1::DriftFigures& drift) {
  const auto percent = [](double share) { return FormatNumber(100 * share, 3) + " % of the range"; };
  std::vector<std::string> parts;
  if (drift.has_sampling_error_relative() && !std::isnan(drift.sampling_error_relative())) {
    parts.push_back("without liars the mean moved by " + percent(drift.sampling_error_relative()) +
                    " (sampling error)");
  }
  if (!std::isnan(drift.honest_bias_relative())) {
    parts.push_back("liars pulled the honest mean by " + percent(drift.honest_bias_relative()));
  }
  if (drift.has_region_distance_relative() && !std::isnan(drift.region_distance_relative())) {
    parts.push_back("regions stand " + percent(drift.region_distance_relative()) + " apart");
  }
  return absl::StrJoin(parts, "; ");
}

}  // namespace

void PrintVerdict(const v1::Summary& summary, const fs::path& directory, std::ostream& out) {
  PrintThresholds(summary, out);
  const auto breached = std::count_if(summary.thresholds().begin(), summary.thresholds().end(),
                                      [](const v1::ThresholdResult& result) { return !result.passed(); });
  const auto untested = std::count_if(summary.thresholds().begin(), summary.thresholds().end(),
                                      [](const v1::ThresholdResult& result) { return !result.untested().empty(); });
  const std::string took =
      FormatCount(summary.cycles(), "cycle") + " in " + FormatNumber(summary.wall_seconds()) + " s";
  const bool testnet = !summary.nodes().empty();
  out << "\n";
  if (!summary.complete()) {
    out << "INTERRUPTED after " << FormatCount(summary.cycles(), "cycle")
        << ": the report is partial and proves nothing\n";
  } else if (breached > 0) {
    out << "FAILED: " << breached << " of "
        << FormatCount(static_cast<std::uint64_t>(summary.thresholds_size()), "threshold") << " breached"
        << (untested == 0          ? ""
            : untested == breached ? ", because there was nothing to judge"
                                   : ", " + std::to_string(untested) + " of them because there was nothing to judge")
        << "; " << took << "\n";
  } else if (summary.thresholds().empty()) {
    out << "DONE: the scenario sets no thresholds; " << took << "\n";
  } else {
    out << "PASSED: "
        << (summary.thresholds_size() == 1 ? "the threshold"
                                           : "all " + std::to_string(summary.thresholds_size()) + " thresholds")
        << " held; " << took << "\n";
  }
  Rows facts{{"report", (directory / "report.html").string()}};
  const std::string free = FreeCoordinates(summary.drift());
  if (!testnet && !free.empty()) facts.push_back({"free coordinates", free});
  if (!testnet) facts.push_back({"state", summary.state_hash()});
  if (!summary.passed()) {
    if (!testnet) facts.push_back({"seed", std::to_string(summary.seed())});
    facts.push_back({"build", summary.build()});
    facts.push_back({"replay", summary.replay()});
  }
  PrintTable(out, facts, "  ");
}

}  // namespace lvs::services
