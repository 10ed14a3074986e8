#include "services/scenario/scenario.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "services/scenario/metrics.h"

#ifndef LVS_SCENARIO_DIR
#define LVS_SCENARIO_DIR ""
#endif

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using RegionPair = std::pair<std::string, std::string>;

constexpr ScenarioDefaults kDefaults;
constexpr ScenarioLimits kLimits;

std::string Percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g%%", share * 100);
  return text;
}

std::string Plain(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", number);
  return text;
}

std::string Index(std::string_view list, int index) { return std::string(list) + "[" + std::to_string(index) + "]"; }

std::vector<std::string> RegionNames(const v1::Scenario& scenario) {
  std::vector<std::string> names;
  for (const auto& [name, share] : scenario.population().regions()) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

RegionPair PairOf(const v1::RegionLink& row) { return std::minmax<std::string>(row.regions(0), row.regions(1)); }

std::vector<std::string> EventKinds() {
  std::vector<std::string> kinds;
  const auto& what = *v1::Event::descriptor()->oneof_decl(0);
  for (int i = 0; i < what.field_count(); ++i) kinds.push_back(YamlKey(*what.field(i)));
  return kinds;
}

// ---- Checks --------------------------------------------------------------------------------------------------------
// One class, so that each check reads as one line: what is wrong and the mend. The first failure is kept.

class Checker {
 public:
  Checker(const v1::Scenario& scenario, const YamlOrigin& origin)
      : scenario_(scenario), origin_(origin), regions_(RegionNames(scenario)) {}

  absl::Status Run() {
    CheckNames();
    CheckState();
    CheckCycle();
    CheckPopulation();
    CheckDrift();
    CheckLinks();
    CheckWorkload();
    for (int i = 0; i < scenario_.events_size(); ++i) CheckEvent(scenario_.events(i), Index("events", i));
    for (int i = 0; i < scenario_.thresholds_size(); ++i) {
      CheckThreshold(scenario_.thresholds(i), Index("thresholds", i));
    }
    return status_;
  }

  absl::Status RunLinksOnly() {
    CheckLinks();
    return status_;
  }

 private:
  void Require(bool holds, std::string_view path, const std::string& message) {
    if (!holds && status_.ok()) status_ = origin_.Error(path, message);
  }

  template <typename Number>
  void Between(Number value, Number min, Number max, std::string_view path, const std::string& mend = "") {
    Require(value >= min && value <= max, path,
            Plain(static_cast<double>(value)) + " is out of range; it must be between " +
                Plain(static_cast<double>(min)) + " and " + Plain(static_cast<double>(max)) + mend);
  }

  void Share(double value, std::string_view path) {
    Require(value >= 0 && value <= 1, path, Percent(value) + " is out of range; it must be between 0% and 100%");
  }

  void PositiveShare(double value, const std::string& path) {
    Share(value, path);
    Require(value > 0, path, "0% changes nothing; write a share above 0% or remove the event");
  }

  void Word(const std::string& word, std::string_view path) {
    const bool sound = !word.empty() && word.size() <= 64 && std::isalnum(static_cast<unsigned char>(word.front())) &&
                       std::all_of(word.begin(), word.end(),
                                   [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
    Require(sound, path,
            "\"" + word + "\" is not a name; use 1 to 64 letters, digits, - and _, starting with a letter or digit");
  }

  void Region(const std::string& name, std::string_view path) {
    const bool known = std::find(regions_.begin(), regions_.end(), name) != regions_.end();
    const std::string near = Nearest(name, regions_);
    Require(known, path,
            "there is no region " + name + (near.empty() ? "" : "; did you mean " + near + "?") +
                (near.empty() ? "; the regions are " : " The regions are ") + JoinWords(regions_) +
                " (population.regions)");
  }

  void CheckNames() {
    Word(scenario_.name(), "name");
    for (const std::string& region : regions_) Word(region, "population.regions." + region);
  }

  void CheckState() {
    const v1::State& state = scenario_.state();
    Between<std::uint32_t>(state.shards(), 1, kLimits.shards_max, "state.shards");
    Between<std::uint32_t>(state.value_slots(), 1, kLimits.value_slots_max, "state.value_slots");
    Between<std::uint32_t>(state.free_coordinates(), 0, kLimits.free_coordinates_max, "state.free_coordinates");
    Between<std::uint32_t>(state.replicas_min(), 1, std::max(1u, scenario_.population().micro_nodes()),
                           "state.replicas_min", " (population.micro_nodes)");
    const double opening = static_cast<double>(state.opening_balance_uvu());
    Require(opening >= 0 && opening * state.shards() * state.value_slots() < 4.6e18, "state.opening_balance",
            "the sum over all shards and slots is too large; write less than " +
                Plain(4.6e12 / std::max(1u, state.shards() * state.value_slots())) + "VU");
    Require(
        state.value_spread_uvu() >= 0 && state.value_spread_uvu() <= state.opening_balance_uvu(), "state.value_spread",
        "is more than opening_balance, so values would start below 0; write at most " + Plain(opening / 1e6) + "VU");
    Between(state.coordinate_range(), 1e-3, 1e6, "state.coordinate_range");
  }

  void CheckCycle() {
    const v1::Cycle& cycle = scenario_.cycle();
    Require(cycle.period_us() >= kLimits.period_us_min && cycle.period_us() <= kLimits.period_us_max, "cycle.period",
            FormatDurationUs(cycle.period_us()) + " is out of range; it must be between " +
                FormatDurationUs(kLimits.period_us_min) + " and " + FormatDurationUs(kLimits.period_us_max));
    Between<std::uint32_t>(cycle.count(), 1, kLimits.cycles_max, "cycle.count");
    Require(cycle.settle_us() >= 0 && cycle.settle_us() <= RunLengthUs(scenario_), "cycle.settle",
            FormatDurationUs(cycle.settle_us()) + " is longer than the run (" + RunText() + "); write less");
  }

  void CheckPopulation() {
    const v1::Population& population = scenario_.population();
    Between<std::uint32_t>(population.micro_nodes(), 1, kLimits.micro_nodes_max, "population.micro_nodes");
    Require(population.shards_per_node() >= 1, "population.shards_per_node",
            "0 shards a micro-node hold nothing; write at least 1");
    Require(population.shards_per_node() <= scenario_.state().shards(), "population.shards_per_node",
            std::to_string(population.shards_per_node()) + " is more than the " +
                std::to_string(scenario_.state().shards()) + " shards there are (state.shards); write at most " +
                std::to_string(scenario_.state().shards()));
    const double held = 1.0 * population.micro_nodes() * population.shards_per_node();
    Require(held >= scenario_.state().shards(), "population.micro_nodes",
            "all micro-nodes together hold " + Plain(held) + " replicas, too few for " +
                std::to_string(scenario_.state().shards()) +
                " shards; write more micro_nodes, more shards_per_node or fewer state.shards");
    Share(population.low_power(), "population.low_power");
    Between<std::size_t>(regions_.size(), 1, kLimits.regions_max, "population.regions");
    double sum = 0;
    for (const std::string& region : regions_) {
      const double share = population.regions().at(region);
      const std::string path = "population.regions." + region;
      Share(share, path);
      Require(share * population.micro_nodes() >= 1, path,
              Percent(share) + " of " + std::to_string(population.micro_nodes()) +
                  " micro-nodes is less than one; write a larger share or remove the region");
      sum += share;
    }
    Require(std::abs(sum - 1) <= 1e-9, "population.regions",
            "the shares sum to " + Percent(sum) + "; they must sum to 100%");
  }

  void CheckDrift() {
    const v1::Drift& drift = scenario_.drift();
    Between<std::uint32_t>(drift.peers(), 1, kLimits.peers_max, "drift.peers");
    Between(drift.alpha(), 0.0, 1.0, "drift.alpha");
    Between(drift.beta(), 0.0, 1.0, "drift.beta");
    Between(drift.ledger_weight(), 0.0, 1e3, "drift.ledger_weight");
    Between(drift.bound_factor(), 0.1, 100.0, "drift.bound_factor");
    Share(drift.shuffle(), "drift.shuffle");
  }

  template <typename Link>
  void CheckQuality(const Link& link, const std::string& path) {
    Require(link.latency_us() >= 0, path + ".latency", "is negative");
    Require(link.jitter_us() >= 0, path + ".jitter", "is negative");
    Share(link.loss(), path + ".loss");
    Share(link.duplicate(), path + ".duplicate");
    Share(link.reorder(), path + ".reorder");
  }

  void CheckLinks() {
    const v1::LinkQuality& within = scenario_.links().within();
    CheckQuality(within, "links.within");
    const std::int64_t slowest = within.latency_us() + within.jitter_us();
    Require(slowest <= scenario_.cycle().period_us(), "links.within",
            "latency plus jitter is " + FormatDurationUs(slowest) + ", longer than cycle.period (" +
                FormatDurationUs(scenario_.cycle().period_us()) +
                "); within a region a message must arrive in the same cycle, so lower them or lengthen the period");
    std::map<RegionPair, int> rows;
    int default_row = -1;
    for (int i = 0; i < scenario_.links().between_size(); ++i) {
      const v1::RegionLink& row = scenario_.links().between(i);
      const std::string path = Index("links.between", i);
      CheckQuality(row, path);
      if (row.regions().empty()) {
        Require(default_row < 0 && !origin_.Has(path + ".regions"), path,
                default_row < 0
                    ? "regions is empty; name two regions, or leave the key out for the default of every pair"
                    : "a second row without regions; the default was given on line " +
                          std::to_string(origin_.Line(Index("links.between", default_row))));
        default_row = i;
        continue;
      }
      for (int k = 0; k < row.regions_size(); ++k) Region(row.regions(k), Index(path + ".regions", k));
      Require(row.regions_size() == 2 && row.regions(0) != row.regions(row.regions_size() - 1), path + ".regions",
              "a link joins two different regions; write regions: [eu, us]");
      if (!status_.ok()) return;
      const auto [earlier, first] = rows.emplace(PairOf(row), i);
      Require(first, path + ".regions",
              "this pair was given on line " + std::to_string(origin_.Line(Index("links.between", earlier->second))) +
                  "; keep one of them");
    }
  }

  void CheckWorkload() {
    const v1::Workload& workload = scenario_.workload();
    Between(workload.contributions_per_second(), 0.0, kLimits.contributions_per_second_max,
            "workload.contributions_per_second");
    Between<std::uint32_t>(workload.acknowledge_nodes(), 1,
                           static_cast<std::uint32_t>(std::max<std::size_t>(1, regions_.size())),
                           "workload.acknowledge_nodes", " (each region is one server node)");
    if (workload.contributions_per_second() == 0) return;
    const v1::Workload::Amount& amount = workload.amount();
    Require(workload.has_amount(), "workload", "contributes, but not how much; add amount: {min: 0.1VU, max: 10VU}");
    Require(amount.min_uvu() > 0, origin_.Has("workload.amount.min") ? "workload.amount.min" : "workload.amount",
            "min must be above 0; write for example min: 0.1VU");
    Require(amount.max_uvu() > 0, origin_.Has("workload.amount.max") ? "workload.amount.max" : "workload.amount",
            "max must be above 0; write for example max: 10VU");
    Require(amount.min_uvu() <= amount.max_uvu(), "workload.amount",
            "min (" + Plain(amount.min_uvu() / 1e6) + "VU) is more than max (" + Plain(amount.max_uvu() / 1e6) +
                "VU); swap them");
    Between<std::uint32_t>(workload.sessions(), 1, kLimits.sessions_max, "workload.sessions");
  }

  // ---- Events ----

  void CheckEvent(const v1::Event& event, const std::string& path) {
    const std::int64_t run_us = RunLengthUs(scenario_);
    Require(event.at_us() >= 0 && event.at_us() < run_us, path + ".at",
            FormatDurationUs(event.at_us()) + " is not before the end of the run (" + RunText() +
                "); start it earlier or raise cycle.count");
    Require(event.for_us() > 0, path + ".for",
            "0s is no time; write for example 10s, or leave the key out for the rest of the run");
    Require(event.at_us() + event.for_us() <= run_us, path + ".for",
            "the event would end at " + FormatDurationUs(event.at_us() + event.for_us()) +
                ", after the end of the run (" + RunText() +
                "); shorten it, leave the key out for the rest of the run, or raise cycle.count");
    const std::string what = path + "." + EventKind(event);
    const std::uint32_t micro_nodes = scenario_.population().micro_nodes();
    switch (event.what_case()) {
      case v1::Event::kChurn:
        Require(event.churn().rate() > 0 && event.churn().rate() <= 1, what + ".rate",
                "must be above 0%/s and at most 100%/s; write for example 2%/s");
        break;
      case v1::Event::kAdversaries: CheckAdversaries(event.adversaries(), what); break;
      case v1::Event::kPartition: CheckPartition(event.partition(), what); break;
      case v1::Event::kOutage:
        Region(event.outage().region(), what + ".region");
        Require(regions_.size() > 1, what + ".region",
                "this is the only region, and everything would be lost with it; give population.regions a second one");
        break;
      case v1::Event::kLeave:
        Require(event.leave().keep() >= 1, what + ".keep", "0 leaves nobody to rebuild from; write at least 1");
        Require(event.leave().keep() < micro_nodes, what + ".keep",
                "is not fewer than the " + std::to_string(micro_nodes) + " micro-nodes there are");
        break;
      case v1::Event::kJoin:
        Between<std::uint32_t>(event.join().micro_nodes(), 1, kLimits.micro_nodes_max, what + ".micro_nodes");
        break;
      case v1::Event::kLowPower: PositiveShare(event.low_power().share(), what + ".share"); break;
      case v1::Event::kCorrupt: PositiveShare(event.corrupt().share(), what + ".share"); break;
      case v1::Event::kDegrade: PositiveShare(event.degrade().loss(), what + ".loss"); break;
      case v1::Event::WHAT_NOT_SET: Require(false, path, "needs one of " + JoinWords(EventKinds())); break;
    }
  }

  void CheckAdversaries(const v1::Adversaries& adversaries, const std::string& path) {
    const bool share = adversaries.share() > 0 || origin_.Has(path + ".share");
    const bool count = adversaries.count() > 0 || origin_.Has(path + ".count");
    Require(share || count, path, "says neither share nor count; add share: 20% or count: 1");
    Require(!(share && count), path, "gives both share and count; keep one of them");
    if (share) {
      Share(adversaries.share(), path + ".share");
      Require(adversaries.share() > 0, path + ".share", "0% is nobody; write a share above 0%");
      Require(adversaries.share() < 1, path + ".share", "100% leaves no honest micro-node to judge; write less");
    }
    if (count) {
      Require(adversaries.count() >= 1, path + ".count", "0 is nobody; write at least 1");
      Require(adversaries.count() < scenario_.population().micro_nodes(), path + ".count",
              "leaves no honest micro-node to judge; write less than " +
                  std::to_string(scenario_.population().micro_nodes()));
    }
    Require(adversaries.attack() != v1::ATTACK_UNSPECIFIED, path,
            "no attack is given; add attack: with one of " + JoinWords(EnumWords(*v1::Attack_descriptor())));
  }

  void CheckPartition(const v1::Partition& partition, const std::string& path) {
    Require(partition.groups_size() > 0, path + ".groups", "names no region; write groups: [[eu], [us, asia]]");
    std::map<std::string, int> group_of;
    for (int g = 0; g < partition.groups_size(); ++g) {
      const std::string group = Index(path + ".groups", g);
      Require(!partition.groups(g).regions().empty(), group, "names no region; write for example [eu]");
      for (int k = 0; k < partition.groups(g).regions_size(); ++k) {
        const std::string& region = partition.groups(g).regions(k);
        Region(region, Index(group, k));
        Require(group_of.emplace(region, g).second, Index(group, k),
                region + " is named twice; a region can be in one group only");
      }
    }
    Require(partition.groups_size() > 1 || group_of.size() < regions_.size(), path + ".groups",
            "one group with every region cuts nothing; write at least two groups, such as [[eu], [us, asia]]");
  }

  // ---- Thresholds ----

  void CheckThreshold(const v1::Threshold& threshold, const std::string& path) {
    const Metric* metric = FindMetric(threshold.metric());
    if (metric == nullptr) {
      const std::string near = Nearest(threshold.metric(), MetricNames());
      Require(false, path + ".metric",
              "there is no metric " + threshold.metric() + (near.empty() ? "" : "; did you mean " + near + "?") +
                  (near.empty() ? "; " : " ") + "`lvs scenario explain` lists all");
      return;
    }
    Require(threshold.has_max() || threshold.has_min(), path,
            "sets no limit; add max: or min:, for example max: " + LimitExamples(*metric));
    if (threshold.has_max()) CheckLimit(*metric, threshold.max(), path + ".max");
    if (threshold.has_min()) CheckLimit(*metric, threshold.min(), path + ".min");
    Require(!threshold.has_max() || !threshold.has_min() || threshold.min() <= threshold.max(), path,
            "min is more than max, so nothing can pass; swap them");
    if (metric->name == kRecoveryMetric) {
      CheckAfter(threshold, path);
    } else {
      Require(threshold.after().empty(), path + ".after",
              "is only for " + std::string(kRecoveryMetric) + "; remove it, or write at: with a time");
      CheckAt(*metric, threshold, path + ".at");
    }
  }

  void CheckLimit(const Metric& metric, double limit, const std::string& path) {
    const auto written = origin_.dimensions.find(path);
    if (written == origin_.dimensions.end()) return;  // made in code: already in the base unit
    const Dimension dimension = written->second;
    const std::string mend = "; write for example " + LimitExamples(metric);
    Require(DimensionFits(metric, dimension, limit), path,
            dimension == Dimension::kNone ? Plain(limit) + " has no unit" + mend
                                          : "this unit does not fit " + metric.name + mend);
  }

  void CheckAt(const Metric& metric, const v1::Threshold& threshold, const std::string& path) {
    if (threshold.at() == "end") return;
    const absl::StatusOr<std::int64_t> at_us = ParseDurationUs(threshold.at());
    Require(at_us.ok(), path, at_us.ok() ? "" : std::string(at_us.status().message()) + ", or end");
    if (!at_us.ok()) return;
    Require(metric.of_sample != nullptr, path,
            metric.name + " is known only at the end of a run; remove `at`, or use " + JoinWords(TimedMetrics()));
    Require(*at_us <= RunLengthUs(scenario_), path,
            threshold.at() + " is after the end of the run (" + RunText() + "); write end or an earlier time");
  }

  void CheckAfter(const v1::Threshold& threshold, const std::string& path) {
    std::set<std::string> present;
    bool ends_in_time = false;
    for (const v1::Event& event : scenario_.events()) {
      present.insert(EventKind(event));
      ends_in_time |= EventKind(event) == threshold.after() && event.at_us() + event.for_us() < RunLengthUs(scenario_);
    }
    const std::string kinds =
        present.empty() ? "this file has no events" : "this file has " + JoinWords({present.begin(), present.end()});
    Require(threshold.at().empty(), path + ".at",
            "does not go with recovery.seconds; write after: with a kind of event");
    Require(!threshold.after().empty(), path,
            "recovery.seconds needs after: with the kind of event that ends; " + kinds);
    Require(present.contains(threshold.after()), path + ".after",
            "no event in this file is a " + threshold.after() + "; " + kinds);
    Require(ends_in_time, path + ".after",
            "no " + threshold.after() +
                " ends before the run does, so there is nothing to recover from; give the event a `for`");
  }

  static std::vector<std::string> TimedMetrics() {
    std::vector<std::string> names;
    for (const Metric& metric : Metrics()) {
      if (metric.of_sample) names.push_back(metric.name);
    }
    return names;
  }

  std::string RunText() const { return FormatDurationUs(RunLengthUs(scenario_)); }

  const v1::Scenario& scenario_;
  const YamlOrigin& origin_;
  const std::vector<std::string> regions_;
  absl::Status status_;
};

// ---- Defaults ------------------------------------------------------------------------------------------------------

void FillState(v1::Scenario& scenario, const auto& unset) {
  v1::State& state = *scenario.mutable_state();
  if (unset(state.shards(), "state.shards")) state.set_shards(kDefaults.shards);
  if (unset(state.value_slots(), "state.value_slots")) state.set_value_slots(kDefaults.value_slots);
  if (unset(state.replicas_min(), "state.replicas_min")) {
    state.set_replicas_min(std::max(1u, std::min(kDefaults.replicas_min, scenario.population().micro_nodes())));
  }
  if (!state.has_opening_balance_uvu()) state.set_opening_balance_uvu(kDefaults.opening_balance_uvu);
  if (!state.has_value_spread_uvu()) {
    state.set_value_spread_uvu(std::min(kDefaults.value_spread_uvu, state.opening_balance_uvu()));
  }
  if (!state.has_coordinate_range()) state.set_coordinate_range(kDefaults.coordinate_range);
}

void FillDrift(v1::Drift& drift, const auto& unset) {
  constexpr const DriftDefaults& defaults = kDefaults.drift;
  if (unset(drift.peers(), "drift.peers")) drift.set_peers(defaults.peers);
  if (!drift.has_alpha()) drift.set_alpha(defaults.alpha);
  if (!drift.has_beta()) drift.set_beta(defaults.beta);
  if (!drift.has_ledger_weight()) drift.set_ledger_weight(defaults.ledger_weight);
  if (!drift.has_bound_factor()) drift.set_bound_factor(defaults.bound_factor);
  if (!drift.has_shuffle()) drift.set_shuffle(defaults.shuffle);
}

// One row for every unordered pair of regions. Rows that make no sense stay as they are, for ValidateScenario to
// refuse.
void ExpandLinks(v1::Scenario& scenario, const YamlOrigin& origin) {
  v1::Links& links = *scenario.mutable_links();
  links.mutable_within();
  if (!Checker(scenario, origin).RunLinksOnly().ok()) return;
  v1::RegionLink otherwise;
  otherwise.set_latency_us(kDefaults.between_latency_us);
  std::map<RegionPair, v1::RegionLink> rows;
  for (const v1::RegionLink& row : links.between()) {
    if (row.regions().empty()) {
      otherwise = row;
    } else {
      rows[PairOf(row)] = row;
    }
  }
  links.clear_between();
  const std::vector<std::string> regions = RegionNames(scenario);
  for (std::size_t i = 0; i < regions.size(); ++i) {
    for (std::size_t k = i + 1; k < regions.size(); ++k) {
      v1::RegionLink& row = *links.add_between();
      const auto given = rows.find({regions[i], regions[k]});
      row = given == rows.end() ? otherwise : given->second;
      row.clear_regions();
      row.add_regions(regions[i]);
      row.add_regions(regions[k]);
    }
  }
}

void FillWorkload(v1::Scenario& scenario, const auto& unset) {
  v1::Workload& workload = *scenario.mutable_workload();
  if (unset(workload.acknowledge_nodes(), "workload.acknowledge_nodes")) {
    const auto regions = static_cast<std::uint32_t>(scenario.population().regions_size());
    workload.set_acknowledge_nodes(std::min(kDefaults.acknowledge_nodes, regions));
  }
  if (unset(workload.sessions(), "workload.sessions")) {
    const double sessions = std::ceil(workload.contributions_per_second() * kDefaults.sessions_per_contribution_rate);
    workload.set_sessions(static_cast<std::uint32_t>(std::clamp(sessions, 0.0, 1.0 * kLimits.sessions_max)));
  }
}

// Takes out what lies beyond the end of a run that the command line made shorter, and says so.
std::vector<std::string> DropWhatIsBeyondTheEnd(v1::Scenario& scenario, std::int64_t settle_us) {
  std::vector<std::string> notes;
  const std::int64_t run_us = RunLengthUs(scenario);
  const std::string end = "the end of the run (" + FormatDurationUs(run_us) + ")";
  if (scenario.cycle().has_settle_us() && settle_us > run_us) {
    scenario.mutable_cycle()->set_settle_us(run_us / 2);
    notes.push_back("cycle.settle is shortened to " + FormatDurationUs(run_us / 2) + ", half the run");
  }
  std::set<std::string> ending;
  auto* events = scenario.mutable_events();
  for (auto event = events->begin(); event != events->end();) {
    if (event->at_us() >= run_us) {
      notes.push_back("dropped: " + DescribeEvent(*event) + " at " + FormatDurationUs(event->at_us()) + ", after " +
                      end);
      event = events->erase(event);
      continue;
    }
    if (event->for_us() > run_us - event->at_us()) {
      notes.push_back("cut short by " + end + ": " + DescribeEvent(*event));
      event->set_for_us(run_us - event->at_us());
    }
    if (event->for_us() > 0 && event->at_us() + event->for_us() < run_us) ending.insert(EventKind(*event));
    ++event;
  }
  auto* thresholds = scenario.mutable_thresholds();
  for (auto threshold = thresholds->begin(); threshold != thresholds->end();) {
    const auto at_us = ParseDurationUs(threshold->at());
    const bool too_late = at_us.ok() && *at_us > run_us;
    const bool no_event = !threshold->after().empty() && !ending.contains(threshold->after());
    if (too_late || no_event) {
      notes.push_back("dropped: the threshold on " + threshold->metric() +
                      (too_late ? " at " + threshold->at() : " after " + threshold->after()) + ", after " + end);
      threshold = thresholds->erase(threshold);
    } else {
      ++threshold;
    }
  }
  return notes;
}

fs::path BinaryDirectory() {
  std::error_code error;
  const fs::path binary = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path() : binary.parent_path();
}

// A bare name ("phase2") is looked for among the shipped scenarios, unless there is such a file here.
absl::StatusOr<fs::path> FindScenario(std::string_view path_or_name) {
  const std::string name(path_or_name);
  std::error_code error;
  const fs::path path(name);
  const bool bare = name.find('/') == std::string::npos && path.extension() != ".yaml" && path.extension() != ".yml";
  if (!bare || fs::is_regular_file(path, error)) return path;
  std::vector<std::string> names;
  for (const fs::path& shipped : ShippedScenarios()) {
    if (shipped.stem() == name) return shipped;
    names.push_back(shipped.stem().string());
  }
  const std::string near = Nearest(name, names);
  return absl::NotFoundError(name + ": no such file, and no scenario of this name is shipped" +
                             (near.empty() ? "" : "; did you mean " + near + "?") +
                             (names.empty() ? "" : (near.empty() ? "; there are " : " There are ") + JoinWords(names)));
}

}  // namespace

void FillDefaults(v1::Scenario* scenario, const YamlOrigin* origin) {
  const auto unset = [origin](auto value, const char* path) {
    return value == 0 && (origin == nullptr || !origin->Has(path));
  };
  if (unset(scenario->seed(), "seed")) scenario->set_seed(kDefaults.seed);
  v1::Population& population = *scenario->mutable_population();
  if (population.regions().empty() && (origin == nullptr || !origin->Has("population.regions"))) {
    (*population.mutable_regions())[std::string(kDefaults.region)] = 1.0;
  }
  FillState(*scenario, unset);
  const bool free_given = origin != nullptr && origin->Has("state.free_coordinates");
  if (origin != nullptr && !free_given) scenario->mutable_state()->set_free_coordinates(kDefaults.free_coordinates);
  if (unset(population.shards_per_node(), "population.shards_per_node")) {
    population.set_shards_per_node(std::min(kDefaults.shards_per_node, scenario->state().shards()));
  }
  v1::Cycle& cycle = *scenario->mutable_cycle();
  if (unset(cycle.period_us(), "cycle.period")) cycle.set_period_us(kDefaults.period_us);
  if (!cycle.has_settle_us()) cycle.set_settle_us(std::min(kDefaults.settle_us, RunLengthUs(*scenario) / 2));
  FillDrift(*scenario->mutable_drift(), unset);
  ExpandLinks(*scenario, origin == nullptr ? YamlOrigin() : *origin);
  FillWorkload(*scenario, unset);
  for (int i = 0; i < scenario->events_size(); ++i) {
    v1::Event& event = *scenario->mutable_events(i);
    if (unset(event.for_us(), (Index("events", i) + ".for").c_str())) {
      event.set_for_us(std::max<std::int64_t>(0, RunLengthUs(*scenario) - event.at_us()));
    }
  }
  for (v1::Threshold& threshold : *scenario->mutable_thresholds()) {
    if (threshold.at().empty() && threshold.metric() != kRecoveryMetric) threshold.set_at("end");
  }
}

absl::Status ValidateScenario(const v1::Scenario& scenario, const YamlOrigin& origin) {
  return Checker(scenario, origin).Run();
}

absl::StatusOr<LoadedScenario> ParseScenario(std::string_view text, std::string_view name,
                                             const ScenarioOverrides& overrides) {
  LoadedScenario loaded;
  loaded.file = name;
  loaded.text = text;
  v1::Scenario written;
  const absl::StatusOr<YamlOrigin> origin = ParseYaml(text, name, &written);
  if (!origin.ok()) return origin.status();
  loaded.scenario = written;
  FillDefaults(&loaded.scenario, &*origin);
  if (absl::Status status = ValidateScenario(loaded.scenario, *origin); !status.ok()) return status;

  if (overrides.cycles && *overrides.cycles != written.cycle().count()) {
    // The file is sound as it stands; now the same file with another length.
    const std::int64_t settle_us = written.cycle().settle_us();
    written.mutable_cycle()->set_count(*overrides.cycles);
    written.mutable_cycle()->set_period_us(loaded.scenario.cycle().period_us());
    // From here on indices no longer match the file's lines, but keys that it gives as 0 must stay 0.
    loaded.notes = DropWhatIsBeyondTheEnd(written, settle_us);
    YamlOrigin given = *origin;
    std::erase_if(given.lines, [](const auto& entry) { return entry.first.starts_with("events["); });
    FillDefaults(&written, &given);
    loaded.scenario = written;
    YamlOrigin nowhere;
    if (absl::Status status = ValidateScenario(loaded.scenario, nowhere); !status.ok()) {
      return absl::InvalidArgumentError(std::string(name) + " with --cycles " + std::to_string(*overrides.cycles) +
                                        ": " + std::string(status.message()));
    }
  }
  if (overrides.seed) loaded.scenario.set_seed(*overrides.seed);
  return loaded;
}

absl::StatusOr<LoadedScenario> LoadScenario(std::string_view path_or_name, const ScenarioOverrides& overrides) {
  const absl::StatusOr<fs::path> file = FindScenario(path_or_name);
  if (!file.ok()) return file.status();
  const absl::StatusOr<std::string> text = ReadTextFile(*file);
  if (!text.ok()) return text.status();
  return ParseScenario(*text, file->string(), overrides);
}

std::vector<fs::path> ScenarioDirectories() {
  std::vector<fs::path> directories{"deploy/scenarios"};
  if (const fs::path built_from = LVS_SCENARIO_DIR; !built_from.empty()) directories.push_back(built_from);
  if (const fs::path binary = BinaryDirectory(); !binary.empty()) {
    directories.push_back(binary.parent_path() / "share/lvs/scenarios");
  }
  return directories;
}

std::vector<fs::path> ShippedScenarios() {
  std::map<std::string, fs::path> by_name;
  for (const fs::path& directory : ScenarioDirectories()) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
      if (entry.path().extension() == ".yaml") by_name.emplace(entry.path().stem().string(), entry.path());
    }
  }
  std::vector<fs::path> files;
  for (const auto& [name, file] : by_name) files.push_back(file);
  return files;
}

std::string EventKind(const v1::Event& event) {
  const auto* field = event.GetReflection()->GetOneofFieldDescriptor(event, v1::Event::descriptor()->oneof_decl(0));
  return field == nullptr ? "" : YamlKey(*field);
}

std::string DescribeEvent(const v1::Event& event) {
  std::string text = EventKind(event);
  switch (event.what_case()) {
    case v1::Event::kChurn: return text + " " + Percent(event.churn().rate()) + "/s";
    case v1::Event::kAdversaries: {
      const v1::Adversaries& adversaries = event.adversaries();
      const std::string who =
          adversaries.count() > 0 ? std::to_string(adversaries.count()) : Percent(adversaries.share());
      return text + " " + who + ", " + EnumWord(*v1::Attack_descriptor()->FindValueByNumber(adversaries.attack()));
    }
    case v1::Event::kPartition:
      for (int g = 0; g < event.partition().groups_size(); ++g) {
        text += g == 0 ? "" : " |";
        for (const std::string& region : event.partition().groups(g).regions()) text += " " + region;
      }
      return text;
    case v1::Event::kOutage: return text + " " + event.outage().region();
    case v1::Event::kLeave: return text + ", keeping " + std::to_string(event.leave().keep());
    case v1::Event::kJoin: return text + " of " + std::to_string(event.join().micro_nodes()) + " micro-nodes";
    case v1::Event::kLowPower: return text + " " + Percent(event.low_power().share());
    case v1::Event::kCorrupt: return text + " " + Percent(event.corrupt().share());
    case v1::Event::kDegrade: return text + ", " + Percent(event.degrade().loss()) + " more loss";
    case v1::Event::WHAT_NOT_SET: break;
  }
  return text;
}

}  // namespace lvs::services
