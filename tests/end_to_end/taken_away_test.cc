// A threshold that holds whatever happens shows nothing. For every threshold of every shipped scenario, these tests take
// away what it is for (the rules, the neighbours, the liars, the time to spread), and it must be breached.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "services/scenario/scenario.h"
#include "tests/end_to_end/runs.h"

namespace lvs {
namespace {

using Change = std::function<void(v1::Scenario*)>;

void RemoveEvents(v1::Scenario* scenario, v1::Event::WhatCase what) {
  auto* events = scenario->mutable_events();
  events->erase(std::remove_if(events->begin(), events->end(),
                               [what](const v1::Event& event) { return event.what_case() == what; }),
                events->end());
}

Change Without(v1::Event::WhatCase what) {
  return [what](v1::Scenario* scenario) { RemoveEvents(scenario, what); };
}

// The rules: the paper's bare equation is left.
void WithoutRules(v1::Scenario* scenario) { scenario->set_rule(v1::PLAIN); }
// The pull of the neighbours: nobody agrees with anybody.
void WithoutNeighbours(v1::Scenario* scenario) { scenario->mutable_drift()->set_beta(0); }
// The time in which the last contributions reach every replica.
void WithoutSettling(v1::Scenario* scenario) { scenario->mutable_cycle()->set_settle_us(0); }
// Partial storage: every micro-node holds so many times as much, and sends it.
Change WithMoreShards(std::uint32_t times) {
  return [times](v1::Scenario* scenario) {
    const std::uint32_t held = times * scenario->population().shards_per_node();
    scenario->mutable_state()->set_shards(std::max(held, scenario->state().shards()));
    scenario->mutable_population()->set_shards_per_node(held);
  };
}
void WithoutLoss(v1::Scenario* scenario) {
  scenario->mutable_links()->mutable_within()->set_loss(0);
  for (v1::RegionLink& link : *scenario->mutable_links()->mutable_between()) link.set_loss(0);
}
// Who churns is not replaced.
void WithoutReplacement(v1::Scenario* scenario) {
  for (v1::Event& event : *scenario->mutable_events()) {
    if (event.has_churn()) event.mutable_leave()->set_keep(scenario->population().micro_nodes() / 2);
  }
}
// The region that is out stays out.
void WithoutReturn(v1::Scenario* scenario) {
  for (v1::Event& event : *scenario->mutable_events()) {
    if (event.has_outage()) event.set_for_us(services::RunLengthUs(*scenario) - event.at_us());
  }
}

// What the threshold is for, taken away; null where this test knows no such thing, which is a failure.
Change TakenAway(const v1::Scenario& scenario, const v1::Threshold& threshold) {
  const std::string& metric = threshold.metric();
  if (metric == "ledger.missing_uvu") {
    // Of one region's replicas most know of a contribution at once. In these two, whoever lacks one at the end is somebody
    // whose acknowledgement it waited for.
    const bool known_at_once = scenario.population().regions_size() == 1 || scenario.name() == "eight-of-one" ||
                               scenario.name() == "slow-links";
    return known_at_once ? Change(WithoutRules) : Change(WithoutSettling);
  }
  if (metric == "micro_nodes_alive") {
    if (scenario.name() == "last-node") return Without(threshold.at() == "end" ? v1::Event::kJoin : v1::Event::kLeave);
    return scenario.name() == "phase3" ? Change(WithoutReturn) : Change(WithoutReplacement);
  }
  if (metric == "drift.region_distance_relative") {
    // At least so far: they are cut off from each other. At most: they hear each other.
    return threshold.has_min() ? Without(v1::Event::kPartition) : Change(WithoutNeighbours);
  }
  static const std::map<std::string, Change> changes = {
      {"ledger.effective_error_relative", WithoutRules},
      {"ledger.cycles_to_1ppm", WithoutRules},
      {"drift.reduction_per_cycle", WithoutNeighbours},
      {"drift.cycles_to_1ppm", WithoutNeighbours},
      {"drift.relative_spread", WithoutNeighbours},
      {"drift.honest_bias_relative", WithoutRules},
      {"recovery.seconds", WithoutNeighbours},
      {"bandwidth.bytes_per_node_minute", WithMoreShards(16)},
      {"bandwidth.loss_ratio", WithoutLoss},
      {"resident_bytes_per_micro_node", WithMoreShards(4)},
      {"vaultguard.anomalies_total", Without(v1::Event::kAdversaries)},
      {"vaultguard.refused_total", Without(v1::Event::kCorrupt)},
      {"swarm.left", Without(v1::Event::kChurn)},
  };
  const auto found = changes.find(metric);
  return found == changes.end() ? nullptr : found->second;
}

bool IsOfMemory(const v1::Threshold& threshold) { return threshold.metric() == "resident_bytes_per_micro_node"; }

// The large scenarios are tried with fewer micro-nodes. Their memory shows only in a large population.
v1::Scenario Manageable(const std::string& name, const v1::Threshold& threshold) {
  constexpr std::uint32_t kMicroNodes = 10'000;
  v1::Scenario scenario = Shipped(name);
  const std::uint32_t most = IsOfMemory(threshold) ? 10 * kMicroNodes : kMicroNodes;
  if (scenario.population().micro_nodes() > most) {
    scenario.mutable_population()->set_micro_nodes(most);
    scenario.mutable_state()->set_shards(std::min(64u, scenario.state().shards()));
  }
  scenario.clear_thresholds();
  *scenario.add_thresholds() = threshold;
  return scenario;
}

std::string Text(const v1::ThresholdResult& result) {
  return result.metric() + " " + result.when() + ", " + result.limit() + ", is " + std::to_string(result.value()) +
         " " + result.untested();
}

void ExpectEachFailsWithoutWhatItIsFor(const std::string& name) {
  const v1::Scenario shipped = Shipped(name);
  for (const v1::Threshold& threshold : shipped.thresholds()) {
    SCOPED_TRACE(name);
    const Change change = TakenAway(shipped, threshold);
    ASSERT_TRUE(change) << "say here what " << threshold.metric() << " is for";
    v1::Scenario scenario = Manageable(name, threshold);
    if (scenario.population().micro_nodes() != shipped.population().micro_nodes() && !IsOfMemory(threshold)) {
      EXPECT_TRUE(Passed(Emulated(scenario))) << "it does not hold at this size, so its breach would say nothing";
    }
    change(&scenario);
    const v1::ThresholdResult result = Emulated(scenario).summary().thresholds(0);
    EXPECT_FALSE(result.passed()) << Text(result);
  }
}

class ThresholdsTakenAwayFull : public ::testing::TestWithParam<std::string> {};

TEST_P(ThresholdsTakenAwayFull, EachFailsWithoutWhatItIsFor) { ExpectEachFailsWithoutWhatItIsFor(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Scenario, ThresholdsTakenAwayFull, ::testing::ValuesIn(ShippedNames()),
                         [](const auto& test) { return TestName(test.param); });

TEST(ThresholdsTakenAway, Test5_2_EachOfPhase2FailsWithoutWhatItIsFor) { ExpectEachFailsWithoutWhatItIsFor("phase2"); }

}  // namespace
}  // namespace lvs
