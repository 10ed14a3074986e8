#include "services/scenario/scenario.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace lvs::services {
namespace {

using ::testing::HasSubstr;

// Lines 1 to 6 of every file below; what a test adds stands from line 7 on.
constexpr const char* kHead = R"(name: x
population:
  micro_nodes: 100
  regions: {eu: 40%, us: 35%, asia: 25%}
cycle: {count: 100}
seed: 7
)";

v1::Scenario Load(const std::string& text) {
  const auto loaded = ParseScenario(text, "f.yaml");
  EXPECT_TRUE(loaded.ok()) << std::string(loaded.status().message());
  return loaded.ok() ? loaded->scenario : v1::Scenario();
}

std::string ErrorOf(const std::string& text) {
  const auto loaded = ParseScenario(text, "f.yaml");
  if (loaded.ok()) return "";
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(loaded.status().message());
}

// ---- Shipped scenarios ----

TEST(ShippedScenarios, AllAreSoundAndNamedLikeTheirFiles) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LVS_SCENARIO_DIR)) {
    const auto loaded = LoadScenario(entry.path().string());
    ASSERT_TRUE(loaded.ok()) << std::string(loaded.status().message());
    EXPECT_EQ(loaded->scenario.name(), entry.path().stem());
    EXPECT_FALSE(loaded->scenario.about().empty()) << entry.path();
    EXPECT_GT(loaded->scenario.thresholds_size(), 0) << entry.path();
    for (const v1::Threshold& threshold : loaded->scenario.thresholds()) {
      EXPECT_FALSE(threshold.requirement().empty()) << entry.path() << ": " << threshold.metric();
    }
    EXPECT_TRUE(loaded->text.starts_with("# ")) << entry.path() << " opens with what it shows";
    ++files;
  }
  EXPECT_GE(files, 14);
}

TEST(ShippedScenarios, AreFoundByName) {
  const auto loaded = LoadScenario("phase2-closed");
  ASSERT_TRUE(loaded.ok()) << std::string(loaded.status().message());
  EXPECT_EQ(loaded->scenario.seed(), 7u);
  EXPECT_EQ(loaded->scenario.events_size(), 4);
  const auto unknown = LoadScenario("phase4");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.status().message()),
              HasSubstr("no scenario of this name is shipped; did you mean phase"));
}

// ---- Defaults ----

TEST(ScenarioDefaults, FillEverything) {
  const v1::Scenario scenario = Load("name: x\npopulation: {micro_nodes: 100}\ncycle: {count: 600}\n");
  EXPECT_EQ(scenario.seed(), 1u);
  EXPECT_EQ(scenario.rule(), v1::SAFE);
  EXPECT_EQ(scenario.state().shards(), 16u);
  EXPECT_EQ(scenario.state().value_slots(), 2u);
  EXPECT_EQ(scenario.state().free_coordinates(), 2u);
  EXPECT_EQ(scenario.state().replicas_min(), 3u);
  EXPECT_EQ(scenario.state().opening_balance_uvu(), 1'000'000'000);
  EXPECT_EQ(scenario.state().value_spread_uvu(), 100'000'000);
  EXPECT_EQ(scenario.state().coordinate_range(), 200);
  EXPECT_EQ(scenario.population().shards_per_node(), 4u);
  ASSERT_EQ(scenario.population().regions_size(), 1);
  EXPECT_EQ(scenario.population().regions().at("local"), 1.0);
  EXPECT_EQ(scenario.cycle().period_us(), 100'000);
  EXPECT_EQ(scenario.cycle().settle_us(), 5'000'000);
  EXPECT_EQ(scenario.drift().peers(), DriftDefaults{}.peers);
  EXPECT_EQ(scenario.drift().alpha(), DriftDefaults{}.alpha);
  EXPECT_EQ(scenario.drift().beta(), DriftDefaults{}.beta);
  EXPECT_EQ(scenario.drift().ledger_weight(), DriftDefaults{}.ledger_weight);
  EXPECT_EQ(scenario.drift().bound_factor(), DriftDefaults{}.bound_factor);
  EXPECT_EQ(scenario.drift().shuffle(), DriftDefaults{}.shuffle);
  EXPECT_TRUE(scenario.links().has_within());
  EXPECT_EQ(scenario.links().between_size(), 0);
  EXPECT_TRUE(scenario.has_workload());
  EXPECT_EQ(scenario.workload().acknowledge_nodes(), 1u);
}

TEST(ScenarioDefaults, FollowTheRestOfTheFile) {
  const v1::Scenario scenario = Load(R"(name: x
population: {micro_nodes: 2, regions: {eu: 50%, us: 50%}}
state: {shards: 2, free_coordinates: 0, opening_balance: 10VU}
cycle: {count: 20}
workload: {contributions_per_second: 2.5, amount: {min: 1VU, max: 1VU}}
events: [{at: 500ms, churn: {rate: 1%/s}}]
thresholds: [{metric: ledger.missing_uvu, max: 0}]
)");
  EXPECT_EQ(scenario.state().replicas_min(), 2u) << "at most the micro-nodes there are";
  EXPECT_EQ(scenario.state().free_coordinates(), 0u) << "a 0 that is written stays 0";
  EXPECT_EQ(scenario.state().value_spread_uvu(), 10'000'000) << "at most the opening balance";
  EXPECT_EQ(scenario.population().shards_per_node(), 2u) << "at most the shards there are";
  EXPECT_EQ(scenario.cycle().settle_us(), 1'000'000) << "at most half the run";
  EXPECT_EQ(scenario.workload().acknowledge_nodes(), 2u);
  EXPECT_EQ(scenario.workload().sessions(), 10u);
  EXPECT_EQ(scenario.events(0).for_us(), 1'500'000) << "to the end of the run";
  EXPECT_EQ(scenario.thresholds(0).at(), "end");
}

TEST(ScenarioDefaults, OneLinkForEveryPairOfRegions) {
  const std::string rows = "links:\n  between:\n    - {regions: [us, asia], latency: 150ms, loss: 3%}\n";
  v1::Scenario scenario = Load(kHead + rows);
  ASSERT_EQ(scenario.links().between_size(), 3);
  const auto pair = [](const v1::RegionLink& row) { return row.regions(0) + "-" + row.regions(1); };
  EXPECT_EQ(pair(scenario.links().between(0)), "asia-eu");
  EXPECT_EQ(pair(scenario.links().between(1)), "asia-us");
  EXPECT_EQ(pair(scenario.links().between(2)), "eu-us");
  EXPECT_EQ(scenario.links().between(0).latency_us(), 80'000);
  EXPECT_EQ(scenario.links().between(1).latency_us(), 150'000);
  EXPECT_EQ(scenario.links().between(1).loss(), 0.03);

  scenario = Load(kHead + rows + "    - {latency: 10ms, loss: 1%}\n");
  EXPECT_EQ(scenario.links().between(0).latency_us(), 10'000) << "the row without regions is for all others";
  EXPECT_EQ(scenario.links().between(1).latency_us(), 150'000);
  EXPECT_EQ(scenario.links().between(2).loss(), 0.01);
}

TEST(ScenarioDefaults, AreIdempotentAndServeCode) {
  v1::Scenario scenario;
  scenario.set_name("code");
  scenario.mutable_population()->set_micro_nodes(10);
  scenario.mutable_cycle()->set_count(10);
  FillDefaults(&scenario);
  EXPECT_TRUE(ValidateScenario(scenario).ok()) << std::string(ValidateScenario(scenario).message());
  EXPECT_EQ(scenario.state().shards(), 16u);
  v1::Scenario again = scenario;
  FillDefaults(&again);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(scenario, again));
  scenario.mutable_links()->mutable_within()->set_loss(1.2);
  EXPECT_EQ(std::string(ValidateScenario(scenario).message()),
            "links.within.loss: 120% is out of range; it must be between 0% and 100%");
}

// ---- Refusals ----

struct Case {
  const char* text;     // from line 7 on
  const char* message;  // all of it
};

TEST(ScenarioLoader, RefusesWithLineAndMend) {
  for (const Case& c : std::vector<Case>{
           {"state: {shards: 0}\n", "f.yaml:7: state.shards: 0 is out of range; it must be between 1 and 65535"},
           {"state: {shards: 65536}\n",
            "f.yaml:7: state.shards: 65536 is out of range; it must be between 1 and 65535"},
           {"state:\n  value_slots: 9\n", "f.yaml:8: state.value_slots: 9 is out of range; it must be between 1 and 8"},
           {"state: {value_slots: 0}\n", "f.yaml:7: state.value_slots: 0 is out of range; it must be between 1 and 8"},
           {"state: {free_coordinates: 5}\n",
            "f.yaml:7: state.free_coordinates: 5 is out of range; it must be between 0 and 4"},
           {"state: {replicas_min: 101}\n",
            "f.yaml:7: state.replicas_min: 101 is out of range; it must be between 1 and 100 (population.micro_nodes)"},
           {"state: {opening_balance: 1VU, value_spread: 2VU}\n",
            "f.yaml:7: state.value_spread: is more than opening_balance, so values would start below 0; write at most "
            "1VU"},
           {"state: {shards: 65535, value_slots: 8, opening_balance: 9000000000VU}\n",
            "f.yaml:7: state.opening_balance: the sum over all shards and slots is too large; write less than "
            "8773937.59VU"},
           {"state: {shards: 3}\npopulation2: 1\n", ""},
           {"state: {shards: 401}\n",
            "f.yaml:3: population.micro_nodes: all micro-nodes together hold 400 replicas, too few for 401 shards; "
            "write "
            "more micro_nodes, more shards_per_node or fewer state.shards"},
           {"drift: {peers: 0}\n", "f.yaml:7: drift.peers: 0 is out of range; it must be between 1 and 16"},
           {"drift: {peers: 17}\n", "f.yaml:7: drift.peers: 17 is out of range; it must be between 1 and 16"},
           {"drift: {beta: 1.5}\n", "f.yaml:7: drift.beta: 1.5 is out of range; it must be between 0 and 1"},
           {"drift: {alpha: -1}\n", "f.yaml:7: drift.alpha: -1 is out of range; it must be between 0 and 1"},
           {"links:\n  within: {latency: 90ms, jitter: 20ms}\n",
            "f.yaml:8: links.within: latency plus jitter is 110ms, longer than cycle.period (100ms); within a region a "
            "message must arrive in the same cycle, so lower them or lengthen the period"},
           {"links:\n  between:\n    - {regions: [eu, uss]}\n",
            "f.yaml:9: links.between[0].regions[1]: there is no region uss; did you mean us? The regions are asia, eu, "
            "us "
            "(population.regions)"},
           {"links: {between: [{regions: [eu, eu]}]}\n",
            "f.yaml:7: links.between[0].regions: a link joins two different regions; write regions: [eu, us]"},
           {"links: {between: [{regions: [eu]}]}\n",
            "f.yaml:7: links.between[0].regions: a link joins two different regions; write regions: [eu, us]"},
           {"links: {between: [{regions: []}]}\n",
            "f.yaml:7: links.between[0]: regions is empty; name two regions, or leave the key out for the default of "
            "every pair"},
           {"links:\n  between:\n    - {latency: 1ms}\n    - {latency: 2ms}\n",
            "f.yaml:10: links.between[1]: a second row without regions; the default was given on line 9"},
           {"links:\n  between:\n    - {regions: [eu, us]}\n    - {regions: [us, eu]}\n",
            "f.yaml:10: links.between[1].regions: this pair was given on line 9; keep one of them"},
           {"workload: {contributions_per_second: 1}\n",
            "f.yaml:7: workload: contributions have no amount; add amount: {min: 0.1VU, max: 10VU}"},
           {"workload:\n  contributions_per_second: 1\n  amount:\n    min: 2VU\n    max: 1VU\n",
            "f.yaml:9: workload.amount: min (2VU) is more than max (1VU); swap them"},
           {"workload: {contributions_per_second: 1, amount: {min: 0VU, max: 1VU}}\n",
            "f.yaml:7: workload.amount.min: min must be above 0; write for example min: 0.1VU"},
           {"workload: {contributions_per_second: -1}\n",
            "f.yaml:7: workload.contributions_per_second: -1 is out of range; it must be between 0 and 1000000"},
           {"workload: {acknowledge_nodes: 4}\n",
            "f.yaml:7: workload.acknowledge_nodes: 4 is out of range; it must be between 1 and 3 (each region is one "
            "server node)"}}) {
    const std::string error = ErrorOf(std::string(kHead) + c.text);
    if (*c.message == '\0') {
      EXPECT_THAT(error, HasSubstr("f.yaml:8: population2: unknown key; did you mean population?"));
    } else {
      EXPECT_EQ(error, c.message) << c.text;
    }
  }
}

TEST(ScenarioLoader, RefusesChurnOfMoreThanAllInACycle) {
  const auto file = [](const std::string& period) {
    return "name: x\npopulation: {micro_nodes: 100}\ncycle: {count: 15, period: " + period +
           "}\nevents:\n  - {at: 2s, churn: {rate: 100%/s}}\n";
  };
  EXPECT_EQ(ErrorOf(file("2s")),
            "f.yaml:5: events[0].churn.rate: 100%/s is more than every micro-node in each cycle of 2s; write at most "
            "50%/s, or a shorter cycle.period");
  EXPECT_EQ(Load(file("1s")).events_size(), 1);
}

TEST(ScenarioLoader, RefusesEvents) {
  for (const Case& c : std::vector<Case>{
           {"{at: 10s, churn: {rate: 1%/s}}",
            "events[0].at: 10s is not before the end of the run (10s); start it earlier or raise cycle.count"},
           {"{at: 5s, for: 6s, churn: {rate: 1%/s}}",
            "events[0].for: the event would end at 11s, after the end of the run (10s); shorten it, leave the key out "
            "for "
            "the rest of the run, or raise cycle.count"},
           {"{at: 5s, for: 0s, churn: {rate: 1%/s}}",
            "events[0].for: 0s is too short; write for example 10s, or leave the key out for the rest of the run"},
           {"{at: 5s, for: -1s, churn: {rate: 1%/s}}", "events[0].for: -1s is negative; a duration is 0 or more"},
           {"{at: 5s, churn: {rate: 0%/s}}",
            "events[0].churn.rate: must be above 0%/s and at most 100%/s; write for example 2%/s"},
           {"{at: 1s, adversaries: {attack: drain}}",
            "events[0].adversaries: share and count are both missing; add share: 20% or count: 1"},
           {"{at: 1s, adversaries: {share: 20%, count: 1, attack: drain}}",
            "events[0].adversaries: gives both share and count; keep one of them"},
           {"{at: 1s, adversaries: {share: 20%, count: 0, attack: drain}}",
            "events[0].adversaries: gives both share and count; keep one of them"},
           {"{at: 1s, adversaries: {count: 0, attack: drain}}",
            "events[0].adversaries.count: 0 adds no adversary; write at least 1"},
           {"{at: 1s, adversaries: {count: 100, attack: drain}}",
            "events[0].adversaries.count: leaves no honest micro-node to judge; write less than 100"},
           {"{at: 1s, adversaries: {share: 20%}}",
            "events[0].adversaries: the key attack is missing; add attack: with one of stubborn, drain, noise, "
            "stealth, "
            "alternate, a-little-is-enough, entropy-flood, replay, forged-ledger, range-edge, just-inside, "
            "fast-ahead, slow-ahead, two-camps, feigned-reciprocity"},
           {"{at: 1s, partition: {groups: []}}",
            "events[0].partition.groups: names no region; write groups: [[eu], [us, asia]]"},
           {"{at: 1s, partition: {}}", "events[0].partition: the key groups is missing; add groups: with a list"},
           {"{at: 1s, partition: {groups: [[eu], []]}}",
            "events[0].partition.groups[1]: names no region; write for example [eu]"},
           {"{at: 1s, partition: {groups: [[eu], [us, eu]]}}",
            "events[0].partition.groups[1][1]: eu is named twice; a region can be in one group only"},
           {"{at: 1s, partition: {groups: [[eu, us, asia]]}}",
            "events[0].partition.groups: one group with every region cuts nothing; write at least two groups, such as "
            "[[eu], [us, asia]]"},
           {"{at: 1s, partition: {groups: [[eu], [as]]}}",
            "events[0].partition.groups[1][0]: there is no region as; did you mean us? The regions are asia, eu, us "
            "(population.regions)"},
           {"{at: 1s, outage: {region: mars}}",
            "events[0].outage.region: there is no region mars; the regions are asia, eu, us (population.regions)"},
           {"{at: 1s, restart: {down: 0s}}",
            "events[0].restart.down: must be at least one cycle and shorter than the run; write for example 2s"},
           {"{at: 1s, restart: {}}",
            "events[0].restart: the key down is missing; add down: with a duration: 100ms, 2s, 5m or 1h"},
           {"{at: 1s, leave: {keep: 0}}", "events[0].leave.keep: 0 leaves nobody to rebuild from; write at least 1"},
           {"{at: 1s, leave: {keep: 100}}", "events[0].leave.keep: is not fewer than the 100 micro-nodes there are"},
           {"{at: 1s, join: {micro_nodes: 9999901}}",
            "events[0].join.micro_nodes: would make 10000001 micro-nodes; there may be at most 10000000"},
           {"{at: 1s, join: {micro_nodes: 0}}",
            "events[0].join.micro_nodes: 0 is out of range; it must be between 1 and 10000000"},
           {"{at: 1s, low_power: {share: 0%}}",
            "events[0].low_power.share: 0% changes nothing; write a share above 0% or remove the event"}}) {
    EXPECT_EQ(ErrorOf(std::string(kHead) + "events:\n  - " + c.text + "\n"), std::string("f.yaml:8: ") + c.message);
  }
}

TEST(ScenarioLoader, RefusesEventsThatDoNotGoTogether) {
  const auto with = [](const std::string& events) {
    return ErrorOf(std::string(kHead) + "events: [" + events + "]\n");
  };
  EXPECT_EQ(with("{at: 3s, leave: {keep: 60}}, {at: 1s, for: 1s, leave: {keep: 50}}"),
            "f.yaml:7: events[0].leave.keep: is not fewer than the 50 micro-nodes there are by then");
  EXPECT_EQ(with("{at: 1s, for: 1s, leave: {keep: 50}}, {at: 2s, for: 1s, join: {micro_nodes: 11}}, "
                 "{at: 3s, leave: {keep: 60}}"),
            "");
  EXPECT_EQ(with("{at: 1s, for: 2s, adversaries: {share: 60%, attack: drain}}, "
                 "{at: 2s, adversaries: {count: 40, attack: noise}}"),
            "f.yaml:7: events[1].adversaries: with the other events of that time 100% lie, which leaves no honest "
            "micro-node to judge; write less, or let them follow each other");
  EXPECT_EQ(with("{at: 1s, for: 1s, adversaries: {share: 60%, attack: drain}}, "
                 "{at: 2s, adversaries: {count: 40, attack: noise}}"),
            "");
  EXPECT_EQ(
      with("{at: 1s, for: 3s, outage: {region: eu}}, {at: 2s, for: 3s, outage: {region: us}}, "
           "{at: 3s, for: 3s, outage: {region: asia}}"),
      "f.yaml:7: events[2].outage: every region would be out at 3s, and everything would be lost; let the outages "
      "follow each other");
  EXPECT_EQ(with("{at: 1s, for: 2s, outage: {region: eu}}, {at: 2s, for: 3s, outage: {region: us}}, "
                 "{at: 3s, for: 3s, outage: {region: asia}}"),
            "");
  EXPECT_EQ(ErrorOf("name: x\npopulation: {micro_nodes: 10}\ncycle: {count: 10}\n"
                    "events: [{at: 100ms, corrupt: {share: 10%}}]\n"),
            "f.yaml:4: events[0].corrupt: one region sends no frames that could be corrupt; give population.regions a "
            "second one");
}

TEST(ScenarioLoader, RefusesWhatLedgersCannotHoldOrSpread) {
  const auto with = [](const std::string& state, const std::string& workload, const std::string& regions) {
    return ErrorOf("name: x\npopulation: {micro_nodes: 20, regions: " + regions +
                   "}\ncycle: {count: 300}\nstate: " + state + "\nworkload: " + workload + "\n");
  };
  const std::string two = "{a: 50%, b: 50%}";
  const std::string amount = "amount: {min: 1VU, max: 2VU}, acknowledge_nodes: 1";
  EXPECT_THAT(with("{shards: 1, value_slots: 2, opening_balance: 600000000VU}", "{}", "{a: 100%}"),
              HasSubstr("f.yaml:4: state.opening_balance: is too large for a ledger of 1048576 sessions, each of which "
                        "may hold 1000VU at once; write at most 524288000VU"));
  EXPECT_EQ(with("{shards: 1, value_slots: 2, opening_balance: 524288000VU}", "{}", "{a: 100%}"), "");
  EXPECT_THAT(with("{shards: 1, value_slots: 2, opening_balance: 524288000VU}", "{}", two),
              HasSubstr("write at most 393216000VU"))
      << "peers may not fill a table to its end";
  EXPECT_THAT(with("{shards: 1}", "{contributions_per_second: 50000, " + amount + "}", two),
              HasSubstr("f.yaml:5: workload.contributions_per_second: is more than the ledgers can spread"));
  EXPECT_EQ(with("{shards: 1}", "{contributions_per_second: 50000, sessions: 400, " + amount + "}", two), "")
      << "few sessions make few entries, however often they change";
  EXPECT_EQ(with("{shards: 1}", "{contributions_per_second: 1500, " + amount + "}", two), "");
  EXPECT_EQ(with("{shards: 1}", "{contributions_per_second: 30000, " + amount + "}", "{a: 100%}"), "")
      << "one region has nobody to tell";
}

TEST(ScenarioLoader, RefusesThresholds) {
  for (const Case& c : std::vector<Case>{
           {"{metric: ledger.missing, max: 0}",
            "thresholds[0].metric: there is no metric ledger.missing; did you mean ledger.missing_uvu? `lvs scenario "
            "explain` lists all"},
           {"{metric: happiness, max: 0}",
            "thresholds[0].metric: there is no metric happiness; `lvs scenario explain` lists all"},
           {"{metric: ledger.missing_uvu}",
            "thresholds[0]: sets no limit; add max: or min:, for example max: 0, 250uVU or 0.1VU"},
           {"{metric: drift.relative_spread, max: 1, min: 2}",
            "thresholds[0]: min is more than max, so nothing can pass; swap them"},
           {"{metric: recovery.seconds, after: churn, max: 5KB}",
            "thresholds[0].max: this unit does not fit recovery.seconds; write for example 5s or 200ms"},
           {"{metric: recovery.seconds, after: churn, max: 5}",
            "thresholds[0].max: 5 has no unit; write for example 5s or 200ms"},
           {"{metric: bandwidth.bytes_per_node_minute, max: 50s}",
            "thresholds[0].max: this unit does not fit bandwidth.bytes_per_node_minute; write for example 50KB or 1MB"},
           {"{metric: recovery.seconds, max: 5s}",
            "thresholds[0]: recovery.seconds needs after: with the kind of event that ends; this file has churn, "
            "outage"},
           {"{metric: recovery.seconds, after: partition, max: 5s}",
            "thresholds[0].after: no event in this file is a partition; this file has churn, outage"},
           {"{metric: recovery.seconds, after: outage, max: 5s}",
            "thresholds[0].after: no outage ends before the run does, so there is nothing to recover from; give the "
            "event "
            "a `for`"},
           {"{metric: drift.relative_spread, after: churn, max: 1}",
            "thresholds[0].after: is only for recovery.seconds; remove it, or write at: with a time"},
           {"{metric: drift.relative_spread, at: 11s, max: 1}",
            "thresholds[0].at: 11s is after the end of the run (10s); write end or an earlier time"},
           {"{metric: drift.relative_spread, from: 1s, max: 1}",
            "thresholds[0].from: drift.relative_spread counts no events, so no time of them can be left out; remove "
            "`from`, or use vaultguard.refused_total, vaultguard.anomalies_total, swarm.joined, swarm.left"},
           {"{metric: swarm.left, from: 10s, min: 1}",
            "thresholds[0].from: 10s is not before the end of the run (10s); write an earlier time"},
           {"{metric: drift.relative_spread, at: 11, max: 1}",
            "thresholds[0].at: 11 has no unit; write 100ms, 2s, 5m or 1h, or end"}}) {
    EXPECT_EQ(ErrorOf(std::string(kHead) +
                      "events: [{at: 1s, for: 1s, churn: {rate: 1%/s}}, {at: 5s, outage: {region: eu}}]\n" +
                      "thresholds:\n  - " + c.text + "\n"),
              std::string("f.yaml:9: ") + c.message);
  }
  EXPECT_THAT(
      ErrorOf(std::string(kHead) + "thresholds: [{metric: ledger.missing_uvu, at: 5s, max: 0}]\n"),
      HasSubstr("f.yaml:7: thresholds[0].at: ledger.missing_uvu is known only at the end of a run; remove `at`"));
}

TEST(ScenarioLoader, RefusesPopulationAndCycle) {
  const auto with = [](const std::string& population, const std::string& cycle) {
    return ErrorOf("name: x\npopulation:\n  " + population + "\ncycle: " + cycle + "\n");
  };
  EXPECT_EQ(with("micro_nodes: 0", "{count: 10}"),
            "f.yaml:3: population.micro_nodes: 0 is out of range; it must be between 1 and 10000000");
  EXPECT_EQ(with("micro_nodes: 10000001", "{count: 10}"),
            "f.yaml:3: population.micro_nodes: 10000001 is out of range; it must be between 1 and 10000000");
  EXPECT_EQ(
      with("{micro_nodes: 10, shards_per_node: 17}", "{count: 10}"),
      "f.yaml:3: population.shards_per_node: 17 is more than the 16 shards there are (state.shards); write at most "
      "16");
  EXPECT_EQ(with("{micro_nodes: 10, shards_per_node: 0}", "{count: 10}"),
            "f.yaml:3: population.shards_per_node: 0 shards a micro-node hold nothing; write at least 1");
  EXPECT_EQ(with("{micro_nodes: 100, regions: {eu: 40%, us: 35%}}", "{count: 10}"),
            "f.yaml:3: population.regions: the shares sum to 75%; they must sum to 100%");
  EXPECT_EQ(
      with("{micro_nodes: 100, regions: {eu: 99.9%, us: 0.1%}}", "{count: 10}"),
      "f.yaml:3: population.regions.us: 0.1% of 100 micro-nodes is less than one; write a larger share or remove the "
      "region");
  EXPECT_THAT(with("{micro_nodes: 100, regions: {\"../eu\": 100%}}", "{count: 10}"), HasSubstr("is not a name"));
  EXPECT_EQ(with("{micro_nodes: 100, regions: {}}", "{count: 10}"),
            "f.yaml:3: population.regions: 0 is out of range; it must be between 1 and 64");
  EXPECT_EQ(with("micro_nodes: 10", "{count: 0}"),
            "f.yaml:4: cycle.count: 0 is out of range; it must be between 1 and 10000000");
  EXPECT_EQ(with("micro_nodes: 10", "{count: 10, period: 999us}"),
            "f.yaml:4: cycle.period: 999us is out of range; it must be between 1ms and 1m");
  EXPECT_EQ(with("micro_nodes: 10", "{count: 10, period: 0s}"),
            "f.yaml:4: cycle.period: 0s is out of range; it must be between 1ms and 1m");
  EXPECT_EQ(with("micro_nodes: 10", "{count: 10, period: 61s}"),
            "f.yaml:4: cycle.period: 61s is out of range; it must be between 1ms and 1m");
  EXPECT_EQ(with("micro_nodes: 10", "{count: 10, settle: 2s}"),
            "f.yaml:4: cycle.settle: 2s is longer than the run (1s); write less");
  EXPECT_THAT(ErrorOf("name: ../x\npopulation: {micro_nodes: 10}\ncycle: {count: 10}\n"),
              HasSubstr("f.yaml:1: name: \"../x\" is not a name"));
  EXPECT_EQ(ErrorOf("name: x\npopulation: {micro_nodes: 10}\ncycle: {count: 10}\nevents: [{at: 0s, outage: {region: "
                    "local}}]\n"),
            "f.yaml:4: events[0].outage.region: this is the only region, and everything would be lost with it; give "
            "population.regions a second one");
}

// ---- Overrides ----

constexpr const char* kTimed = R"(name: x
population: {micro_nodes: 100, regions: {eu: 50%, us: 50%}}
cycle: {count: 100, settle: 4s}
events:
  - {at: 1s, for: 1s, churn: {rate: 1%/s}}
  - {at: 1s, for: 5s, partition: {groups: [[eu], [us]]}}
  - {at: 8s, low_power: {share: 10%}}
thresholds:
  - {metric: drift.relative_spread, at: 2s, max: 1}
  - {metric: drift.relative_spread, at: 9s, max: 1}
  - {metric: recovery.seconds, after: churn, max: 5s}
  - {metric: recovery.seconds, after: partition, max: 5s}
)";

TEST(ScenarioOverrides, SeedReplacesTheFiles) {
  const auto loaded = ParseScenario(kTimed, "f.yaml", {.seed = 99, .cycles = {}});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->scenario.seed(), 99u);
  EXPECT_TRUE(loaded->notes.empty());
  EXPECT_EQ(ParseScenario(kTimed, "f.yaml", {.seed = 0, .cycles = {}})->scenario.seed(), 0u);
}

TEST(ScenarioOverrides, ShorterRunDropsWhatLiesBeyondItsEnd) {
  const auto loaded = ParseScenario(kTimed, "f.yaml", {.seed = {}, .cycles = 30});
  ASSERT_TRUE(loaded.ok()) << std::string(loaded.status().message());
  const v1::Scenario& scenario = loaded->scenario;
  ASSERT_EQ(scenario.events_size(), 2);
  EXPECT_EQ(scenario.events(1).for_us(), 2'000'000) << "cut at the end of the run";
  ASSERT_EQ(scenario.thresholds_size(), 2);
  EXPECT_EQ(scenario.thresholds(0).at(), "2s");
  EXPECT_EQ(scenario.thresholds(1).after(), "churn");
  EXPECT_EQ(scenario.cycle().settle_us(), 1'500'000);
  EXPECT_THAT(loaded->notes, ::testing::ElementsAre(
                                 "cycle.settle is shortened to 1.5s, half the run",
                                 "cut short by the end of the run (3s): partition eu | us",
                                 "dropped: low_power 10% at 8s, after the end of the run (3s)",
                                 "dropped: the threshold on drift.relative_spread at 9s, after the end of the run (3s)",
                                 "dropped: the threshold on recovery.seconds after partition, after the end of the run "
                                 "(3s)"));
}

TEST(ScenarioOverrides, LongerRunKeepsEverything) {
  const auto loaded = ParseScenario(kTimed, "f.yaml", {.seed = {}, .cycles = 200});
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE(loaded->notes.empty());
  EXPECT_EQ(loaded->scenario.events(2).for_us(), 12'000'000) << "to the new end";
}

TEST(ScenarioOverrides, TheFileItselfMustBeSound) {
  EXPECT_FALSE(ParseScenario(std::string(kTimed) + "drift: {peers: 99}\n", "f.yaml", {.seed = {}, .cycles = 30}).ok());
}

}  // namespace
}  // namespace lvs::services
