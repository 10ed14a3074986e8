#include "services/base/yaml_proto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "lvs/v1/scenario.pb.h"
#include "lvs/v1/units.pb.h"

namespace lvs::services {
namespace {

using ::testing::HasSubstr;

// The message of the error that this text gives; empty if it is read.
std::string ErrorOf(const std::string& text) {
  v1::Scenario scenario;
  const auto origin = ParseYaml(text, "f.yaml", &scenario);
  if (origin.ok()) return "";
  EXPECT_EQ(origin.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(origin.status().message());
}

constexpr const char* kHead = "name: x\npopulation: {micro_nodes: 10}\ncycle: {count: 10}\n";

// The error of a file that is sound but for what stands from line 4 on.
std::string ErrorFrom4(const std::string& text) { return ErrorOf(kHead + text); }

v1::Scenario Read(const std::string& text, YamlOrigin* origin = nullptr) {
  v1::Scenario scenario;
  auto read = ParseYaml(text, "f.yaml", &scenario);
  EXPECT_TRUE(read.ok()) << std::string(read.status().message());
  if (origin != nullptr && read.ok()) *origin = *read;
  return scenario;
}

// ---- What is read ----

TEST(YamlProto, ReadsEveryKindOfField) {
  YamlOrigin origin;
  const v1::Scenario scenario = Read(R"(name: all
seed: 18446744073709551615
rule: plain
state: {shards: 4, opening_balance: 250uVU, coordinate_range: 1.5e2}
population:
  micro_nodes: 10
  regions: {eu: 35%, us: 65%}
cycle: {period: 100ms, count: 10}
events:
  - {at: 1s, adversaries: {share: 20%, attack: a_little-is_enough}}
  - at: 2s
    partition: {groups: [[eu], [us]]}
thresholds:
  - {metric: m, max: 50KB, requirement: [SPEC-12, TEST-6]}
)",
                                     &origin);
  EXPECT_EQ(scenario.seed(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(scenario.rule(), v1::PLAIN);
  EXPECT_EQ(scenario.state().opening_balance_uvu(), 250);
  EXPECT_DOUBLE_EQ(scenario.state().coordinate_range(), 150);
  EXPECT_EQ(scenario.population().regions().at("eu"), 0.35);
  EXPECT_EQ(scenario.cycle().period_us(), 100'000);
  EXPECT_EQ(scenario.events(0).adversaries().attack(), v1::A_LITTLE_IS_ENOUGH);
  EXPECT_EQ(scenario.events(1).partition().groups(1).regions(0), "us");
  EXPECT_EQ(scenario.thresholds(0).max(), 50'000);
  EXPECT_EQ(scenario.thresholds(0).requirement_size(), 2);

  EXPECT_EQ(origin.dimensions.at("thresholds[0].max"), Dimension::kBytes);
  EXPECT_EQ(origin.Line("population.regions.us"), 7);
  EXPECT_EQ(origin.Line("events[1].partition.groups[0]"), 12);
  EXPECT_EQ(origin.Line("events[1].for"), 11) << "a key that is not given stands where its parent stands";
  EXPECT_EQ(origin.Line("links.within.loss"), 1);
  EXPECT_TRUE(origin.Has("cycle.period"));
  EXPECT_FALSE(origin.Has("cycle.settle"));
}

TEST(YamlProto, MessageWithOneListMayBeWrittenAsList) {
  const v1::Scenario scenario =
      Read(std::string(kHead) + "events: [{at: 1s, partition: {groups: [{regions: [eu]}, [us, asia]]}}]\n");
  EXPECT_EQ(scenario.events(0).partition().groups(0).regions(0), "eu");
  EXPECT_EQ(scenario.events(0).partition().groups(1).regions_size(), 2);
}

// ---- Units ----

struct DurationCase {
  const char* text;
  std::int64_t us;
};

TEST(YamlProto, DurationsAreWholeMicroseconds) {
  for (const DurationCase& c : std::vector<DurationCase>{{"100ms", 100'000},
                                                         {"5s", 5'000'000},
                                                         {"2m", 120'000'000},
                                                         {"1h", 3'600'000'000},
                                                         {"250us", 250},
                                                         {"0s", 0},
                                                         {"1.5s", 1'500'000},
                                                         {"0.1ms", 100},
                                                         {"1e3ms", 1'000'000},
                                                         {"20 ms", 20'000}}) {
    const auto us = ParseDurationUs(c.text);
    ASSERT_TRUE(us.ok()) << c.text;
    EXPECT_EQ(*us, c.us) << c.text;
  }
}

struct TextCase {
  const char* text;
  const char* message;
};

TEST(YamlProto, DurationsThatAreRefused) {
  for (const TextCase& c :
       std::vector<TextCase>{{"100", "100 has no unit; write 100ms, 2s, 5m or 1h"},
                             {"0", "0 has no unit; write 100ms, 2s, 5m or 1h"},
                             {"", "has no value; write 100ms, 2s, 5m or 1h"},
                             {"soon", "\"soon\" is not a duration; write 100ms, 2s, 5m or 1h"},
                             {"5sec", "5sec: \"sec\" is not a unit of a duration; write 100ms, 2s, 5m or 1h"},
                             {"5S", "5S: \"S\" is not a unit of a duration; write 100ms, 2s, 5m or 1h"},
                             {"-5s", "-5s is negative; a duration is 0 or more"},
                             {"0.5us", "0.5us is finer than 1us, the smallest step; round it"},
                             {"1e300h", "1e300h is out of range; it must be at most 2500000h"},
                             {"1e999s", "1e999s is out of range; write 100ms, 2s, 5m or 1h"},
                             {"infs", "infs is not a finite number; write 100ms, 2s, 5m or 1h"},
                             {"-.inf", "-.inf is not a finite number; write 100ms, 2s, 5m or 1h"},
                             {"nan", "nan is not a finite number; write 100ms, 2s, 5m or 1h"},
                             {"0x10s", "0x10s: \"x10s\" is not a unit of a duration; write 100ms, 2s, 5m or 1h"}}) {
    EXPECT_EQ(std::string(ParseDurationUs(c.text).status().message()), c.message);
  }
}

TEST(YamlProto, SharesAndValuesAreExact) {
  const v1::Scenario scenario = Read(std::string(kHead) + R"(
links: {within: {loss: 1%, duplicate: 0%, reorder: 100%}}
workload: {amount: {min: 0.1VU, max: 9000000000VU}}
events: [{at: 0s, churn: {rate: 2%/s}}]
)");
  EXPECT_EQ(scenario.links().within().loss(), 0.01);
  EXPECT_EQ(scenario.links().within().reorder(), 1.0);
  EXPECT_EQ(scenario.workload().amount().min_uvu(), 100'000);
  EXPECT_EQ(scenario.workload().amount().max_uvu(), 9'000'000'000'000'000);
  EXPECT_EQ(scenario.events(0).churn().rate(), 0.02);
}

TEST(YamlProto, LimitsKeepTheirDimension) {
  struct Case {
    const char* text;
    double value;
    Dimension dimension;
  };
  for (const Case& c : std::vector<Case>{{"1e-6", 1e-6, Dimension::kNone},
                                         {"0", 0, Dimension::kNone},
                                         {"-1", -1, Dimension::kNone},
                                         {"200ms", 0.2, Dimension::kTime},
                                         {"5s", 5, Dimension::kTime},
                                         {"12B", 12, Dimension::kBytes},
                                         {"50KB", 50e3, Dimension::kBytes},
                                         {"1MB", 1e6, Dimension::kBytes},
                                         {"0.1%", 0.001, Dimension::kShare},
                                         {"2VU", 2e6, Dimension::kValue},
                                         {"7uVU", 7, Dimension::kValue}}) {
    YamlOrigin origin;
    const v1::Scenario scenario =
        Read(std::string(kHead) + "thresholds: [{metric: m, max: " + c.text + "}]\n", &origin);
    EXPECT_DOUBLE_EQ(scenario.thresholds(0).max(), c.value) << c.text;
    EXPECT_EQ(origin.dimensions.at("thresholds[0].max"), c.dimension) << c.text;
  }
}

// ---- Refusals: each with file, line, path and the mend ----

TEST(YamlProto, UnknownKeyNamesTheNearest) {
  EXPECT_EQ(ErrorFrom4("population2: {}\n"),
            "f.yaml:4: population2: unknown key; did you mean population? Keys here: name, about, seed, rule, state, "
            "population, cycle, drift, links, workload, events, thresholds");
  EXPECT_EQ(ErrorFrom4("links:\n  within:\n    latancy: 5ms\n"),
            "f.yaml:6: links.within.latancy: unknown key; did you mean latency? Keys here: latency, jitter, loss, "
            "duplicate, reorder");
  EXPECT_THAT(ErrorFrom4("zzzzzz: 1\n"), HasSubstr("f.yaml:4: zzzzzz: unknown key; keys here: name, about"));
  // The name of the proto field is not a key where the schema gives another.
  EXPECT_THAT(ErrorFrom4("links: {within: {latency_us: 5}}\n"),
              HasSubstr("latency_us: unknown key; did you mean latency?"));
}

TEST(YamlProto, ShippedRefusals) {
  for (
      const TextCase& c : std::vector<TextCase>{
          // Units.
          {"links: {within: {latency: 20}}\n",
           "f.yaml:4: links.within.latency: 20 has no unit; write 100ms, 2s, 5m or 1h"},
          {"links:\n  within:\n    loss: 120%\n",
           "f.yaml:6: links.within.loss: 120% is out of range; it must be between 0% and 100%"},
          {"links: {within: {loss: -1%}}\n",
           "f.yaml:4: links.within.loss: -1% is negative; a share is between 0% and 100%"},
          {"links: {within: {loss: 0.01}}\n", "f.yaml:4: links.within.loss: 0.01 has no unit; write 1% or 0.5%"},
          {"links: {within: {loss: .nan}}\n",
           "f.yaml:4: links.within.loss: .nan is not a finite number; write 1% or 0.5%"},
          {"population: 1\n", "f.yaml:4: population: given twice, first on line 2; remove one of them"},
          {"workload: {amount: {min: 5}}\n", "f.yaml:4: workload.amount.min: 5 has no unit; write 0.1VU or 250uVU"},
          {"workload: {amount: {min: 0.0000001VU}}\n",
           "f.yaml:4: workload.amount.min: 0.0000001VU is finer than 1uVU, the smallest step; round it"},
          {"events: [{at: 1s, churn: {rate: 2%}}]\n",
           "f.yaml:4: events[0].churn.rate: 2%: \"%\" is not a unit of a share a second; write 2%/s"},
          {"thresholds: [{metric: m, max: 5 parsecs}]\n",
           "f.yaml:4: thresholds[0].max: 5 parsecs: \"parsecs\" is not a unit of a limit; write 5s, 50KB, 1%, 2VU or a "
           "plain number such as 1e-6"},
          {"drift: {alpha: 5%}\n", "f.yaml:4: drift.alpha: 5% takes no unit; write a plain number"},
          {"thresholds: [{metric: m, min: -1e308GB}]\n",
           "f.yaml:4: thresholds[0].min: -1e308GB is out of range; it must be a finite number"},
          {"drift: {alpha: .inf}\n", "f.yaml:4: drift.alpha: .inf is not a finite number; write a plain number"},
          // Types.
          {"seed: -1\n", "f.yaml:4: seed: -1 is out of range; it must be between 0 and 18446744073709551615"},
          {"seed: 18446744073709551616\n",
           "f.yaml:4: seed: 18446744073709551616 is out of range; it must be between 0 and 18446744073709551615"},
          {"seed: 1.5\n", "f.yaml:4: seed: \"1.5\" is not a whole number; write one such as 16"},
          {"seed: \"7\"\n", "f.yaml:4: seed: \"7\" is text; write 7 without quotes"},
          {"seed: 10_000\n", "f.yaml:4: seed: \"10_000\" is not a whole number; write the digits without separators"},
          {"seed: 5s\n", "f.yaml:4: seed: \"5s\" is not a whole number; it takes no unit"},
          {"seed: [1]\n", "f.yaml:4: seed: expected a whole number, found a list"},
          {"seed:\n", "f.yaml:4: seed: expected a whole number, found nothing"},
          {"state: 5\n",
           "f.yaml:4: state: expected a group of keys (shards, value_slots, free_coordinates, replicas_min, "
           "opening_balance, value_spread, coordinate_range), found \"5\""},
          {"events: {at: 1s}\n",
           "f.yaml:4: events: expected a list, found a group of keys; start each entry with \"- \""},
          {"thresholds: [{metric: m, requirement: SPEC-1}]\n",
           "f.yaml:4: thresholds[0].requirement: expected a list, found \"SPEC-1\"; write [SPEC-1]"},
          {"rule: sage\n", "f.yaml:4: rule: \"sage\" is not known; did you mean safe? Write one of safe, plain"},
          {"events: [{at: 1s, adversaries: {count: 1, attack: attack-unspecified}}]\n",
           "f.yaml:4: events[0].adversaries.attack: \"attack-unspecified\" is not known; Write one of stubborn, drain, "
           "noise, stealth, alternate, a-little-is-enough, entropy-flood, replay, forged-ledger, range-edge, "
           "just-inside, "
           "fast-ahead, slow-ahead, two-camps, feigned-reciprocity"},
          // Presence.
          {"events:\n  - {at: 1s}\n",
           "f.yaml:5: events[0]: needs one of churn, adversaries, partition, outage, leave, join, low_power, corrupt, "
           "degrade, restart"},
          {"events:\n  - at: 1s\n    churn: {rate: 1%/s}\n    outage: {region: eu}\n",
           "f.yaml:7: events[0].outage: cannot stand beside churn (line 6); only one of churn, adversaries, partition, "
           "outage, leave, join, low_power, corrupt, degrade, restart may be given, so write a second entry"},
          {"events:\n  - churn: {rate: 1%/s}\n",
           "f.yaml:5: events[0]: the key at is missing; add at: with a duration: 100ms, 2s, 5m or 1h"},
          {"about:\n  a: b\n", "f.yaml:4: about: expected a word, found a group of keys"},
          {"about: \"\"\n", "f.yaml:4: about: has no value; write a word or leave the key out"}}) {
    EXPECT_EQ(ErrorFrom4(c.text), c.message) << c.text;
  }
}

TEST(YamlProto, DuplicateNamesInAMapAreRefused) {
  EXPECT_EQ(ErrorOf("name: x\npopulation:\n  micro_nodes: 1\n  regions:\n    eu: 50%\n    eu: 50%\n"),
            "f.yaml:6: population.regions.eu: given twice, first on line 5; remove one of them");
}

TEST(YamlProto, MissingRequiredKeyIsNamed) {
  EXPECT_EQ(ErrorOf("population: {micro_nodes: 1}\ncycle: {count: 1}\n"),
            "f.yaml:1: the key name is missing; add name: with a word");
  EXPECT_EQ(ErrorOf("name: x\npopulation:\n  low_power: 1%\ncycle: {count: 1}\n"),
            "f.yaml:2: population: the key micro_nodes is missing; add micro_nodes: with a whole number");
}

TEST(YamlProto, WhatIsNotOneYamlDocument) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("f.yaml:1: is empty; give at least its required keys"));
  EXPECT_THAT(ErrorOf("# nothing\n"), HasSubstr("is empty"));
  EXPECT_THAT(ErrorOf("- a\n"), HasSubstr("f.yaml:1: expected a group of keys (name,"));
  EXPECT_THAT(ErrorOf("name: [a\nb: c\n"), HasSubstr("is not valid YAML at column"));
  EXPECT_THAT(ErrorOf("name: x\n\tseed: 1\n"), HasSubstr("f.yaml:2: is not valid YAML"));
  for (const char* tabbed : {"name: x\n\tseed: 1\n", "name: x\n \tseed: 1\n", "name: x\nevents:\n\t- {at: 1s}\n",
                             "name: x\npopulation:\n\tmicro_nodes: 10\n"}) {
    EXPECT_THAT(ErrorOf(tabbed), HasSubstr("indented with a tab, which YAML does not allow: use spaces")) << tabbed;
  }
  EXPECT_THAT(ErrorOf("name: x\nseed: [1\n"), Not(HasSubstr("tab")));
  EXPECT_THAT(ErrorOf("name: [::1]:7400\n"), HasSubstr("put quotes around an address with brackets"));
  EXPECT_THAT(ErrorOf("name: {a: [[::1]:7400]}\n"), HasSubstr("found a group of keys"));
  EXPECT_THAT(ErrorOf("name: x\n---\nname: y\n"), HasSubstr("the document ends before this"));
  EXPECT_EQ(ErrorOf("name: x\nabout: \xff\n"), "f.yaml:2: is not UTF-8 text; save the file as UTF-8");
  EXPECT_EQ(ErrorOf(std::string("name: x\n\0", 9)), "f.yaml:2: is not UTF-8 text; save the file as UTF-8");
  EXPECT_THAT(ErrorOf("? [a]\n: b\n"), HasSubstr("a key must be a word"));
  EXPECT_THAT(ErrorOf("a: &x [*x]\n"), HasSubstr("f.yaml:1"));
}

// yaml-cpp's LoadAll never returns from these.
TEST(YamlProto, StrayBracketsAreRefused) {
  for (const char* stray : {"]\n", "}\n", "seed: 1}\n", "]", "state: {shards: 4}}\n"}) {
    EXPECT_THAT(ErrorOf(std::string(kHead) + stray), HasSubstr("f.yaml:")) << stray;
  }
  EXPECT_THAT(ErrorOf("]"), HasSubstr("f.yaml:1: "));
}

TEST(YamlProto, DeepNestingIsRefusedAndDoesNotCrash) {
  EXPECT_NE(ErrorOf("name: " + std::string(100'000, '[')), "");
  EXPECT_NE(ErrorOf(std::string(100'000, '{')), "");
}

// ---- Files ----

TEST(YamlProto, UnreadableFiles) {
  v1::Scenario scenario;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("lvs_yaml_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  EXPECT_EQ(ReadYaml(folder / "none.yaml", &scenario).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadYaml(folder / "none.yaml", &scenario).status().message()),
              HasSubstr("none.yaml: no such file"));
  EXPECT_EQ(ReadYaml(folder, &scenario).status().code(), absl::StatusCode::kFailedPrecondition);

  std::ofstream(folder / "large.yaml") << std::string(kYamlBytesMax + 1, '#');
  EXPECT_EQ(ReadYaml(folder / "large.yaml", &scenario).status().code(), absl::StatusCode::kFailedPrecondition);

  std::ofstream(folder / "secret.yaml") << "name: x\n";
  chmod((folder / "secret.yaml").c_str(), 0);
  if (geteuid() != 0) {
    EXPECT_EQ(ReadYaml(folder / "secret.yaml", &scenario).status().code(), absl::StatusCode::kPermissionDenied);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace lvs::services
