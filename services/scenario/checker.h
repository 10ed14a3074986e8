// What the checks of a scenario share: who keeps the first failure, and how a failure is worded.
//
//   Checker check(scenario, origin);
//   check.Between(state.shards(), 1u, 65'535u, "state.shards");
//   if (!check.status().ok()) ...                 // "f.yaml:3: state.shards: 0 is out of range; it must be ..."
//
// Each check reads as one line: what must hold, where, and what to write instead. The first failure is kept; later ones
// are often its consequences. Not thread-safe.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lvs/v1/scenario.pb.h"
#include "services/base/text.h"
#include "services/base/yaml_proto.h"

namespace lvs::services {

// 0.35 -> "35%", and 1e-6 -> "1e-06".
inline std::string PercentText(double share) { return FormatPercent(share, 9); }
inline std::string NumberText(double number) { return FormatNumber(number, 9); }

// "events", 2 -> "events[2]".
std::string Indexed(std::string_view list, int index);

// The regions of a scenario, sorted: a map of protobuf has no order.
std::vector<std::string> RegionNames(const v1::Scenario& scenario);

// The two regions of a row of links.between, in the order of their names.
using RegionPair = std::pair<std::string, std::string>;
inline RegionPair PairOf(const v1::RegionLink& row) { return std::minmax<std::string>(row.regions(0), row.regions(1)); }

class Checker {
 public:
  // Both outlive the checker.
  Checker(const v1::Scenario& scenario, const YamlOrigin& origin)
      : scenario_(scenario), origin_(origin), regions_(RegionNames(scenario)) {}

  const v1::Scenario& scenario() const { return scenario_; }
  const YamlOrigin& origin() const { return origin_; }
  const std::vector<std::string>& regions() const { return regions_; }
  const absl::Status& status() const { return status_; }

  void Require(bool holds, std::string_view path, const std::string& message) {
    if (!holds && status_.ok()) status_ = origin_.Error(path, message);
  }

  template <typename Number>
  void Between(Number value, Number min, Number max, std::string_view path, const std::string& mend = "") {
    Require(value >= min && value <= max, path,
            NumberText(static_cast<double>(value)) + " is out of range; it must be between " +
                NumberText(static_cast<double>(min)) + " and " + NumberText(static_cast<double>(max)) + mend);
  }

  void Share(double value, std::string_view path);
  // A share that an event applies: 0% is refused, because the event would test nothing.
  void PositiveShare(double value, const std::string& path);
  // A name: of a scenario, of a region.
  void Word(const std::string& word, std::string_view path);
  // A region that the scenario has.
  void Region(const std::string& name, std::string_view path);

  // How long the run is: "60s".
  std::string RunText() const;

 private:
  const v1::Scenario& scenario_;
  const YamlOrigin& origin_;
  const std::vector<std::string> regions_;
  absl::Status status_;
};

// Groups of checks, one a file; ValidateScenario runs all of them.
void CheckLinks(Checker& check);
void CheckEvents(Checker& check);
void CheckEventsTogether(Checker& check);
void CheckLedgers(Checker& check);
void CheckThresholds(Checker& check);

}  // namespace lvs::services
