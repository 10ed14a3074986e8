// The run directory: summary.json, timeseries.csv and report.html (issue 2, section 7; TEST-4.4, TEST-6).
//
// To look at the pages: LVS_REPORT_SAMPLES=/tmp/pages lvs_report_test --gtest_filter='*Samples*' writes one run
// directory a variant there (healthy, failed, partial, minimal, hostile).
#include "services/report/report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <numbers>
#include <random>
#include <regex>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// ---- Synthetic runs
// --------------------------------------------------------------------------------------------------

void AddThreshold(v1::Summary* summary, const char* metric, const char* when, const char* limit, double value,
                  bool passed, const char* requirement) {
  v1::ThresholdResult* result = summary->add_thresholds();
  result->set_metric(metric);
  result->set_when(when);
  result->set_limit(limit);
  result->set_value(value);
  result->set_passed(passed);
  result->set_requirement(requirement);
}

void AddFault(v1::RunReport* report, const char* kind, const char* label, double from_s, double to_s) {
  v1::FaultBand* fault = report->add_faults();
  fault->set_kind(kind);
  fault->set_label(label);
  fault->set_from_seconds(from_s);
  fault->set_to_seconds(to_s);
}

v1::Summary HealthySummary() {
  v1::Summary s;
  s.set_passed(true);
  s.set_complete(true);
  s.set_scenario("phase3");
  s.set_seed(18446744073709551557u);
  s.set_build("lvs 0.1.0 (3f2c9ab, release, gcc 12.2)");
  s.set_state_hash("9c1e04d7b2a85f36");
  s.set_replay("lvs run deploy/scenarios/phase3.yaml --seed 18446744073709551557");
  s.set_rule("SAFE");
  s.set_micro_nodes(10000);
  s.set_micro_nodes_alive(9987);
  s.set_replicas(39948);
  s.set_shards(16);
  s.set_server_nodes(3);
  s.set_threads(2);
  s.set_simd_target("AVX2");
  s.set_cycles(600);
  s.set_virtual_seconds(60);
  s.set_wall_seconds(7.31);
  s.set_startup_seconds(0.42);
  s.set_replica_cycles_per_second(3278912.4);
  s.set_micro_node_cycles_per_second(820793.4);
  s.set_resident_bytes_per_micro_node(743.6);
  auto* ledger = s.mutable_ledger();
  ledger->set_accepted_uvu(32012345678901);
  ledger->set_held_uvu(32012345678901);
  ledger->set_effective_error_relative(3.4e-8);
  ledger->set_cycles_to_1ppm(31);
  ledger->set_contributions(2751);
  ledger->set_redundancy_syncs(12);
  auto* drift = s.mutable_drift();
  drift->set_relative_spread(4.1e-8);
  drift->set_honest_bias_relative(0.00012);
  drift->set_reduction_per_cycle(2.37);
  drift->set_cycles_to_1ppm(17);
  drift->set_vector_variance(2.2e-9);
  auto* bandwidth = s.mutable_bandwidth();
  bandwidth->set_bytes_per_node_minute(31240.7);
  bandwidth->set_average_bytes_per_node_minute(28110.2);
  bandwidth->set_state_diff(17800);
  bandwidth->set_entropy(6900.5);
  bandwidth->set_ledger(2110.2);
  bandwidth->set_beacon(330);
  bandwidth->set_frames(4100);
  bandwidth->set_loss_ratio(0.0234);
  auto* guard = s.mutable_vaultguard();
  (*guard->mutable_refused())["stale_cycle"] = 1203;
  (*guard->mutable_refused())["bad_dimension"] = 418;
  (*guard->mutable_refused())["not_finite"] = 96;
  (*guard->mutable_refused())["over_contribution_policy"] = 31;
  (*guard->mutable_clamped())["shift"] = 91822;
  (*guard->mutable_clamped())["band"] = 1207;
  (*guard->mutable_clamped())["floor"] = 3;
  (*guard->mutable_anomalies())["drain"] = 8;
  (*guard->mutable_anomalies())["entropy_health"] = 2;
  guard->set_recoveries(2);
  s.mutable_swarm()->set_joined(7230);
  s.mutable_swarm()->set_left(7243);
  s.mutable_swarm()->set_repaired(411);
  s.mutable_swarm()->set_fallback_links(1893);
  for (const auto& [after, ended_s, took_s] :
       {std::tuple("partition", 30.0, 1.3), std::tuple("outage", 45.0, 2.1), std::tuple("churn", 50.0, 0.4)}) {
    auto* recovery = s.add_recoveries();
    recovery->set_after(after);
    recovery->set_ended_at_seconds(ended_s);
    recovery->set_seconds(took_s);
  }
  const std::vector<std::string> regions = {"eu", "us", "asia"};
  for (std::size_t from = 0; from < regions.size(); ++from) {
    for (std::size_t to = 0; to < regions.size(); ++to) {
      if (from == to) continue;
      auto* latency = s.add_latency();
      latency->set_from(regions[from]);
      latency->set_to(regions[to]);
      latency->set_mean_ms(80.0 + 51.3 * static_cast<double>(from + to - 1));
      latency->set_max_ms(latency->mean_ms() * 1.42);
      latency->set_frames(9600);
      latency->set_lost(100 * (from + to));
    }
  }
  AddThreshold(&s, "ledger.missing_uvu", "end", "max 0 VU", 0, true, "SPEC-5.3, SPEC-9.2");
  AddThreshold(&s, "ledger.effective_error_relative", "end", "max 1e-06", 3.4e-8, true, "SPEC-5.2");
  AddThreshold(&s, "ledger.cycles_to_1ppm", "end", "max 40", 31, true, "SPEC-7.2");
  AddThreshold(&s, "drift.relative_spread", "end", "max 1e-06", 4.1e-8, true, "SPEC-7, TEST-3.1");
  AddThreshold(&s, "drift.relative_spread", "18s", "max 1e-05", 2.2e-6, true, "SPEC-7");
  AddThreshold(&s, "drift.honest_bias_relative", "end", "max 0.001", 0.00012, true, "SPEC-8.1, TEST-7");
  AddThreshold(&s, "recovery.seconds", "after partition", "max 5s", 1.3, true, "SPEC-9.2");
  AddThreshold(&s, "recovery.seconds", "after outage", "max 5s", 2.1, true, "SPEC-9.2, TEST-5");
  AddThreshold(&s, "bandwidth.bytes_per_node_minute", "end", "max 50KB", 31240.7, true, "SPEC-12");
  AddThreshold(&s, "resident_bytes_per_micro_node", "end", "max 1KB", 743.6, true, "ARCH-4");
  return s;
}

void AddSamples(v1::RunReport* report, int count, bool healthy) {
  std::mt19937 random(7);
  std::normal_distribution<double> noise(0, 1);
  double spread = 1, free_spread = 1, error = 0.08, accepted = 32000, held = 32000;
  for (int i = 0; i < count; ++i) {
    const double t = 0.1 * i;
    const bool partition = t > 20 && t<30, outage = t> 40 && t<45, churn = t> 10 && t < 50;
    const double floor = (healthy ? 3e-8 : 4e-3) * (churn ? 40 : 1) * (partition ? 300 : outage ? 2000 : 1);
    spread = std::max(spread / 2.37, floor * std::exp(0.3 * noise(random)));
    free_spread = std::max(free_spread / 2.2, 0.6 * floor * std::exp(0.3 * noise(random)));
    error = i == 0 ? 0.08 : std::max(error / 1.9, 1.7 * floor * std::exp(0.2 * noise(random)));
    if (i < count - 50) accepted += 0.25 * (1 + 0.3 * noise(random));
    held += (accepted - held) * (partition || outage ? 0.004 : 0.45);
    if (i > count - 20) held = accepted;
    v1::Sample* s = report->add_samples();
    s->set_cycle(i);
    s->set_seconds(t);
    s->set_alive(10000 - (outage ? 3500 : 0) - (i % 7));
    s->set_online_events(churn ? 20 + random() % 9 : 0);
    s->set_offline_events(churn ? 20 + random() % 9 : 0);
    s->set_value_spread_relative(spread);
    s->set_free_spread_relative(i > count - 12 ? 0 : free_spread);
    s->set_drift_vector_variance(spread * spread * 900 + 1e-9);
    s->set_honest_bias_relative(1e-4);
    s->set_effective_error_relative(error);
    s->set_accepted_uvu(static_cast<std::uint64_t>(accepted * 1e6));
    s->set_held_uvu(static_cast<std::uint64_t>(held * 1e6));
    s->set_effective_uvu((accepted * (1 + (i < 20 ? 4e-4 * std::cos(i) : 0)) - 0.3 * (accepted - held)) * 1e6);
    s->set_behind_uvu(static_cast<std::uint64_t>((accepted - held) * 1e6));
    s->set_loss_ratio(0.012 + 0.001 * noise(random) + (partition ? 0.2 : outage ? 0.11 : 0));
    s->set_bytes_per_node_minute(28000 + 400 * noise(random) + (churn ? 4500 : 0) + (outage ? 9000 : 0));
    s->set_messages(120000);
    s->set_refused(churn ? random() % 5 : 0);
    s->set_anomalies(random() % 60 == 0);
    s->set_mean_trust((i < 15 ? 0.5 + 0.03 * i : 0.965) - (t > 15 ? 0.12 * std::exp(-(t - 15) / 6) : 0) +
                      0.002 * noise(random));
  }
}

void AddSnapshot(v1::RunReport* report, const char* label, double seconds, double radius, int dots, bool adversaries) {
  std::mt19937 random(static_cast<unsigned>(seconds * 10) + 1);
  std::normal_distribution<double> noise(0, 1);
  v1::Snapshot* snapshot = report->add_snapshots();
  snapshot->set_cycle(static_cast<std::uint64_t>(seconds * 10));
  snapshot->set_seconds(seconds);
  snapshot->set_label(label);
  for (int i = 0; i < dots; ++i) {
    const double angle = 2 * std::numbers::pi * i * 0.618034, r = radius * std::sqrt((i + 0.5) / dots);
    v1::Dot* dot = snapshot->add_dots();
    dot->set_region(i % 3);
    dot->set_adversary(adversaries && i % 13 == 0);
    dot->set_x(
        static_cast<float>(dot->adversary() ? 900 + i : 100 + r * std::cos(angle) + 0.08 * radius * noise(random)));
    dot->set_y(static_cast<float>(dot->adversary() ? 20 + i * 0.6
                                                   : 100 + r * std::sin(angle) + 0.08 * radius * noise(random)));
    dot->set_dx(static_cast<float>(seconds > 0 ? -(dot->x() - 100) * 0.35 : 0));
    dot->set_dy(static_cast<float>(seconds > 0 ? -(dot->y() - 100) * 0.35 : 0));
    dot->set_entropy(static_cast<float>(0.4 + 0.6 * std::abs(noise(random))));
    for (int k = 0; k < 4; ++k) dot->add_peer(random() % dots);
  }
}

v1::RunReport HealthyReport(int samples = 600, int snapshots = 5, int dots = 250) {
  v1::RunReport report;
  *report.mutable_summary() = HealthySummary();
  AddSamples(&report, samples, true);
  AddFault(&report, "churn", "churn 2%/s", 10, 50);
  AddFault(&report, "adversaries", "adversaries 8%, drain", 15, 60);
  AddFault(&report, "partition", "partition eu | us+asia", 20, 30);
  AddFault(&report, "outage", "outage us", 40, 45);
  const char* const labels[] = {"start", "after 5 cycles", "adversaries begin", "partition", "outage us", "end"};
  const double seconds[] = {0, 0.5, 15.2, 25, 43, 60};
  const double radii[] = {95, 42, 14, 9, 5, 0.4};
  for (int i = 0; i < snapshots; ++i) AddSnapshot(&report, labels[i], seconds[i], radii[i], dots, i >= 2);
  for (const char* region : {"eu", "us", "asia"}) report.add_regions(region);
  const v1::Sample& last = report.samples(samples - 1);
  report.mutable_summary()->mutable_ledger()->set_accepted_uvu(last.accepted_uvu());
  report.mutable_summary()->mutable_ledger()->set_held_uvu(last.held_uvu());
  report.set_about(
      "10,000 micro-nodes in three regions, through churn, a drain attack, a partition and the loss of a region.");
  report.set_scenario_yaml(
      "name: phase3\nseed: 7\nstate: {shards: 16, value_slots: 2, free_coordinates: 2}\npopulation:\n"
      "  micro_nodes: 10000\n  regions: {eu: 40%, us: 35%, asia: 25%}\ncycle: {period: 100ms, count: 600}\nevents:\n"
      "  - {at: 10s, for: 40s, churn: {rate: 2%/s}}\n  - {at: 20s, for: 10s, partition: {groups: [[eu], [us, "
      "asia]]}}\n");
  return report;
}

v1::RunReport FailedReport() {
  v1::RunReport report = HealthyReport();
  report.clear_samples();
  AddSamples(&report, 600, false);
  v1::Summary* s = report.mutable_summary();
  s->set_passed(false);
  s->set_rule("PLAIN");
  s->set_scenario("hostile-45-plain");
  s->mutable_ledger()->set_missing_uvu(1234567);
  s->mutable_drift()->set_relative_spread(0.0113);
  s->mutable_drift()->set_cycles_to_1ppm(-1);
  s->mutable_bandwidth()->set_bytes_per_node_minute(71240);
  s->mutable_recoveries(1)->set_seconds(-1);
  for (int i : {0, 3, 7, 8}) s->mutable_thresholds(i)->set_passed(false);
  s->mutable_thresholds(0)->set_value(1234567);
  s->mutable_thresholds(3)->set_value(0.0113);
  s->mutable_thresholds(7)->set_value(-1);
  s->mutable_thresholds(8)->set_value(71240);
  return report;
}

v1::RunReport PartialReport() {
  v1::RunReport report = HealthyReport(130, 2);
  report.mutable_summary()->set_complete(false);
  report.mutable_summary()->set_passed(false);
  report.mutable_summary()->set_cycles(130);
  report.mutable_summary()->set_virtual_seconds(13);
  return report;
}

// What a run that was stopped at once leaves: one region, no samples, no thresholds, no pictures.
v1::RunReport MinimalReport() {
  v1::RunReport report;
  report.mutable_summary()->set_complete(true);
  report.mutable_summary()->set_passed(true);
  report.mutable_summary()->set_scenario("pair");
  report.add_regions("local");
  return report;
}

constexpr char kHostile[] = "</script><script>alert('x')</script><img src=x onerror=alert(1)>{{data}}<!--";

v1::RunReport HostileReport() {
  v1::RunReport report = HealthyReport(1, 1, 3);
  report.mutable_summary()->set_scenario(kHostile);
  report.mutable_summary()->mutable_thresholds(0)->set_metric(kHostile);
  report.mutable_summary()->mutable_thresholds(0)->set_value(std::nan(""));
  report.set_about(kHostile);
  report.set_scenario_yaml(std::string(kHostile) + "\xff\xfe broken UTF-8");
  report.set_regions(0, kHostile);
  report.mutable_faults(0)->set_label(kHostile);
  report.mutable_faults(0)->set_to_seconds(std::numeric_limits<double>::infinity());
  (*report.mutable_summary()->mutable_vaultguard()->mutable_refused())[kHostile] = 1;
  report.mutable_samples(0)->set_loss_ratio(std::nan(""));
  return report;
}

// ---- Helpers
// ---------------------------------------------------------------------------------------------------------

class Report : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "lvs_report_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  static std::string Read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void Write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

  fs::path root_;
};

std::string DataBlock(const std::string& html) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const std::size_t begin = html.find(open) + open.size();
  return html.substr(begin, html.find("</script>", begin) - begin);
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// ---- summary.json
// ----------------------------------------------------------------------------------------------------

TEST_F(Report, SummaryHasThePromisedNamesAndTypes) {
  const Json json = Json::parse(SummaryJson(HealthySummary()));
  EXPECT_TRUE(json.at("passed").is_boolean());
  EXPECT_EQ(json.at("seed").get<std::uint64_t>(), 18446744073709551557u);
  for (const char* name : {"seed", "micro_nodes", "cycles"}) EXPECT_TRUE(json.at(name).is_number_unsigned()) << name;
  for (const char* name : {"build", "state_hash"}) EXPECT_TRUE(json.at(name).is_string()) << name;
  for (const char* name :
       {"wall_seconds", "replica_cycles_per_second", "micro_node_cycles_per_second", "resident_bytes_per_micro_node"}) {
    EXPECT_TRUE(json.at(name).is_number_float()) << name;
  }
  EXPECT_EQ(json.at("ledger").at("accepted_uvu"), 32012345678901);
  EXPECT_EQ(json.at("ledger").at("missing_uvu"), 0);
  EXPECT_EQ(json.at("ledger").at("effective_error_relative"), 3.4e-8);
  EXPECT_EQ(json.at("drift").at("relative_spread"), 4.1e-8);
  EXPECT_EQ(json.at("drift").at("honest_bias_relative"), 0.00012);
  EXPECT_EQ(json.at("bandwidth").at("bytes_per_node_minute"), 31240.7);
  EXPECT_EQ(json.at("vaultguard").at("refused").at("stale_cycle"), 1203);
  EXPECT_EQ(json.at("vaultguard").at("recoveries"), 2);
  ASSERT_EQ(json.at("thresholds").size(), 10u);
  for (const char* name : {"metric", "limit", "requirement"})
    EXPECT_TRUE(json["thresholds"][0].at(name).is_string()) << name;
  EXPECT_TRUE(json["thresholds"][0].at("value").is_number());
  EXPECT_TRUE(json["thresholds"][0].at("passed").is_boolean());
}

TEST_F(Report, SummaryHasEveryFieldEvenWhenZero) {
  const Json json = Json::parse(SummaryJson(v1::Summary()));
  EXPECT_EQ(json.size(), static_cast<std::size_t>(v1::Summary::descriptor()->field_count()));
  EXPECT_EQ(json.at("ledger").size(), static_cast<std::size_t>(v1::Summary().ledger().GetDescriptor()->field_count()));
  EXPECT_EQ(json.at("vaultguard").at("refused"), Json::object());
  EXPECT_EQ(json.at("thresholds"), Json::array());
}

TEST_F(Report, SummaryReadsBackToTheSameBits) {
  v1::Summary summary = HealthySummary();
  summary.set_wall_seconds(0.1 + 0.2);
  summary.mutable_drift()->set_cycles_to_1ppm(-1);
  Write(root_ / "summary.json", SummaryJson(summary));
  for (const fs::path& path : {root_, root_ / "summary.json"}) {
    const absl::StatusOr<v1::Summary> read = ReadSummary(path);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(SummaryJson(*read), SummaryJson(summary));
    EXPECT_EQ(read->wall_seconds(), 0.1 + 0.2);
    EXPECT_EQ(read->seed(), summary.seed());
  }
}

TEST_F(Report, ASummaryOfAnOlderBuildHasNoFigureThatItDidNotMeasure) {
  Json older = Json::parse(SummaryJson(HealthySummary()));
  for (const char* name : {"sampling_error_relative", "region_distance_relative"}) {
    EXPECT_TRUE(older["drift"].at(name).is_null()) << "nobody set it";
    older["drift"].erase(name);
  }
  Write(root_ / "summary.json", older.dump());
  const absl::StatusOr<v1::Summary> read = ReadSummary(root_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->drift().honest_bias_relative(), 0.00012);
  EXPECT_FALSE(read->drift().has_sampling_error_relative());
  EXPECT_FALSE(read->drift().has_region_distance_relative());
}

TEST_F(Report, NotANumberIsNullAndStaysSo) {
  v1::Summary summary = HealthySummary();
  summary.mutable_drift()->set_relative_spread(std::numeric_limits<double>::infinity());
  summary.mutable_thresholds(1)->set_value(std::nan(""));
  const std::string text = SummaryJson(summary);
  EXPECT_TRUE(Json::parse(text)["drift"]["relative_spread"].is_null());
  Write(root_ / "summary.json", text);
  const absl::StatusOr<v1::Summary> read = ReadSummary(root_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(std::isnan(read->drift().relative_spread()));
  EXPECT_EQ(SummaryJson(*read), text);
}

TEST_F(Report, ReadSummarySaysWhatIsWrong) {
  EXPECT_EQ(ReadSummary(root_).status().code(), absl::StatusCode::kNotFound);
  for (const char* text : {"", "[]", "{}", "not json", "{\"state_hash\": 5, \"seed\": \"x\"}"}) {
    Write(root_ / "summary.json", text);
    const absl::Status status = ReadSummary(root_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(status.message().find("summary.json"), absl::string_view::npos);
  }
  Json newer = Json::parse(SummaryJson(HealthySummary()));
  newer["added_later"] = {{"x", nullptr}};
  Write(root_ / "summary.json", newer.dump());
  EXPECT_TRUE(ReadSummary(root_).ok());
}

// ---- timeseries.csv
// --------------------------------------------------------------------------------------------------

TEST_F(Report, CsvHasTheFieldsOfASampleAndARowEach) {
  v1::RunReport report = HealthyReport(50);
  report.mutable_samples(3)->set_mean_trust(std::nan(""));
  const std::vector<std::string> lines = Split(TimeseriesCsv(report), '\n');
  ASSERT_EQ(lines.size(), 52u);  // header, rows, the end of the last line
  const auto* type = v1::Sample::descriptor();
  const std::vector<std::string> header = Split(lines[0], ',');
  std::vector<std::string> of_every_run;
  for (int f = 0; f < type->field_count(); ++f) {
    if (!type->field(f)->has_presence()) of_every_run.push_back(type->field(f)->name());
  }
  EXPECT_EQ(header, of_every_run) << "what only a testnet has is no column of a run";
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Split(lines[i + 1], ',').size(), header.size());
  EXPECT_EQ(Split(lines[8], ',')[0], "7");
  EXPECT_EQ(Split(lines[4], ',').back(), "");
  EXPECT_EQ(std::stod(Split(lines[8], ',')[5]), report.samples(7).value_spread_relative());
}

TEST_F(Report, CsvOfATestnetHasItsColumnsAndThoseOfItsNodes) {
  v1::RunReport report = HealthyReport(3);
  report.mutable_samples(1)->set_contributions(7);
  for (int n = 0; n < 2; ++n) {
    v1::NodeSeries* series = report.add_nodes();
    for (const double vu : {1.5, std::nan(""), 2.5}) series->add_effective_vu(vu + n);
    for (const double off : {0.25, 0.5, 0.75}) series->add_distance_relative(off);
  }
  const std::vector<std::string> lines = Split(TimeseriesCsv(report), '\n');
  const std::vector<std::string> header = Split(lines[0], ',');
  ASSERT_GT(header.size(), 5u);
  EXPECT_EQ(std::vector<std::string>(header.end() - 5, header.end()),
            (std::vector<std::string>{"contributions", "node_0_effective_vu", "node_0_distance_relative",
                                      "node_1_effective_vu", "node_1_distance_relative"}));
  const auto last = [&](int row) {
    const std::vector<std::string> cells = Split(lines[static_cast<std::size_t>(row)], ',');
    EXPECT_EQ(cells.size(), header.size());
    return std::vector<std::string>(cells.end() - 5, cells.end());
  };
  EXPECT_EQ(last(1), (std::vector<std::string>{"", "1.5", "0.25", "2.5", "0.25"}));
  EXPECT_EQ(last(2), (std::vector<std::string>{"7", "", "0.5", "", "0.5"}));
}

// ---- report.html
// -----------------------------------------------------------------------------------------------------

TEST_F(Report, PageIsOneFileThatFetchesNothing) {
  const std::string html = ReportHtml(HealthyReport());
  EXPECT_EQ(html.find("{{"), std::string::npos);
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(html.find("uPlot"), std::string::npos);
  EXPECT_NE(html.find("Permission is hereby granted"), std::string::npos);
  const std::regex fetched(
      R"((src|href|action|poster|data)\s*=\s*["']?(https?:)?//|url\(\s*["']?(https?:)?//|@import|<link[^>]+stylesheet|fetch\(|XMLHttpRequest|import\()");
  EXPECT_FALSE(std::regex_search(html, fetched));
  for (std::size_t at = html.find("https://"); at != std::string::npos; at = html.find("https://", at + 1)) {
    EXPECT_EQ(html.substr(at - 4, 22), "/*! https://github.com") << "an address that is not in uPlot's comment";
  }
  EXPECT_EQ(html.find("http://"), std::string::npos);
}

TEST_F(Report, PageDataIsTheReport) {
  const v1::RunReport report = HealthyReport();
  const Json data = Json::parse(DataBlock(ReportHtml(report)));
  EXPECT_EQ(data["samples"]["seconds"].size(), 600u);
  EXPECT_EQ(data["samples"].size(),
            Split(TimeseriesCsv(report).substr(0, TimeseriesCsv(report).find('\n')), ',').size());
  EXPECT_EQ(data["snapshots"][4]["x"].size(), 250u);
  EXPECT_EQ(data["snapshots"][4]["peer"][0].size(), 4u);
  EXPECT_EQ(data["summary"]["seed"], "18446744073709551557") << "a browser's number would round it";
  EXPECT_EQ(data["summary"]["ledger"]["accepted_uvu"], report.summary().ledger().accepted_uvu());
  EXPECT_EQ(data["scenario_yaml"], report.scenario_yaml());
}

TEST_F(Report, HostileTextStaysText) {
  const std::string html = ReportHtml(HostileReport());
  const std::string clean = ReportHtml(MinimalReport());
  const auto count = [](const std::string& text, const std::string& what) {
    int n = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
    return n;
  };
  for (const char* tag : {"<script", "</script", "<img", "<!--"}) EXPECT_EQ(count(html, tag), count(clean, tag)) << tag;
  EXPECT_NE(html.find("<title>&lt;/script&gt;"), std::string::npos);
  const Json data = Json::parse(DataBlock(html));
  EXPECT_EQ(data["about"], kHostile);
  EXPECT_TRUE(data["samples"]["loss_ratio"][0].is_null());
}

TEST_F(Report, PageStaysUnderAMegabyte) { EXPECT_LT(ReportHtml(HealthyReport(1000, 6, 300)).size(), 1'000'000u); }

TEST_F(Report, ManySamplesAreCombinedAndCountsAdded) {
  const v1::RunReport report = HealthyReport(5001, 0);
  const Json data = Json::parse(DataBlock(ReportHtml(report)));
  EXPECT_EQ(data["samples"]["cycle"].size(), 1667u);
  EXPECT_EQ(data["samples"]["cycle"].back(), 5000);
  std::uint64_t messages = 0;
  for (const Json& value : data["samples"]["messages"]) messages += value.get<std::uint64_t>();
  EXPECT_EQ(messages, 5001u * 120000u);
}

// ---- The directory
// ---------------------------------------------------------------------------------------------------

TEST_F(Report, LinesOfATestnetsNodesAreThinnedAsTheSamplesAre) {
  v1::RunReport report = HealthyReport(5000);
  for (int n = 0; n < 20; ++n) {
    v1::NodeSeries* series = report.add_nodes();
    for (int i = 0; i < 5000; ++i) {
      series->add_effective_vu(i);
      series->add_distance_relative(i);
    }
  }
  const Json data = Json::parse(DataBlock(ReportHtml(report)));
  EXPECT_EQ(data["nodes"].size(), 8u) << "no more lines than a reader can tell apart";
  EXPECT_EQ(data["nodes"][7]["effective_vu"].size(), data["samples"]["cycle"].size());
  EXPECT_EQ(data["nodes"][0]["effective_vu"].back(), 4999);
}

TEST_F(Report, WritesThreeFilesAndNothingElse) {
  const fs::path run = root_ / "runs" / "first";
  ASSERT_TRUE(PrepareRunDirectory(run).ok());
  EXPECT_TRUE(fs::is_empty(run));
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(PrepareRunDirectory(run).ok());
    const absl::Status written = WriteRunDirectory(HealthyReport(), run);
    ASSERT_TRUE(written.ok()) << written;
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(run)) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, (std::vector<std::string>{"report.html", "summary.json", "timeseries.csv"}));
  }
  EXPECT_EQ(Read(run / "report.html"), ReportHtml(HealthyReport()));
  EXPECT_EQ(Read(run / "timeseries.csv"), TimeseriesCsv(HealthyReport()));
  EXPECT_EQ(ReadSummary(run)->state_hash(), "9c1e04d7b2a85f36");
}

TEST_F(Report, SameRunSameBytes) {
  EXPECT_EQ(ReportHtml(HealthyReport()), ReportHtml(HealthyReport()));
  EXPECT_EQ(SummaryJson(HealthySummary()), SummaryJson(HealthySummary()));
}

TEST_F(Report, FailedWriteLeavesTheEarlierRun) {
  ASSERT_TRUE(WriteRunDirectory(HealthyReport(), root_).ok());
  const std::string page = Read(root_ / "report.html"), summary = Read(root_ / "summary.json");
  // The temporary file of summary.json, the last to be written, cannot be made.
  fs::create_directory(root_ / ("summary.json.tmp." + std::to_string(::getpid())));
  const absl::Status status = WriteRunDirectory(FailedReport(), root_);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(Read(root_ / "report.html"), page);
  EXPECT_EQ(Read(root_ / "summary.json"), summary);
  EXPECT_FALSE(fs::exists(root_ / ("report.html.tmp." + std::to_string(::getpid()))));
}

TEST_F(Report, RefusesADirectoryOfOtherFiles) {
  Write(root_ / "thesis.tex", "years of work");
  const absl::Status status = PrepareRunDirectory(root_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  for (const char* part : {root_.c_str(), "thesis.tex", "--out"}) {
    EXPECT_NE(status.message().find(part), absl::string_view::npos) << part;
  }
  Write(root_ / "summary.json", "{}");
  EXPECT_TRUE(PrepareRunDirectory(root_).ok()) << "an earlier run may have a note beside it";
}

TEST_F(Report, AcceptsWhatAKilledRunLeft) {
  Write(root_ / "report.html", "x");
  Write(root_ / "timeseries.csv.tmp.123", "x");
  EXPECT_TRUE(PrepareRunDirectory(root_).ok());
}

TEST_F(Report, UnwritableDirectoryGivesOneClearSentence) {
  Write(root_ / "file", "x");
  for (const fs::path& path : {root_ / "file", root_ / "file" / "below", fs::path("/proc/lvs-run")}) {
    const absl::Status status = PrepareRunDirectory(path);
    EXPECT_FALSE(status.ok()) << path;
    EXPECT_NE(status.message().find(path.string()), absl::string_view::npos) << status;
    EXPECT_NE(status.message().find("--out"), absl::string_view::npos) << status;
  }
  EXPECT_FALSE(WriteRunDirectory(MinimalReport(), root_ / "gone").ok());
}

TEST_F(Report, SamplesToLookAt) {
  const char* folder = std::getenv("LVS_REPORT_SAMPLES");
  if (folder == nullptr) GTEST_SKIP() << "set LVS_REPORT_SAMPLES=FOLDER to write pages of every variant";
  const std::pair<const char*, v1::RunReport> variants[] = {
      {"healthy", HealthyReport()}, {"failed", FailedReport()},   {"large", HealthyReport(1000, 6, 300)},
      {"partial", PartialReport()}, {"minimal", MinimalReport()}, {"hostile", HostileReport()}};
  for (const auto& [name, report] : variants) {
    ASSERT_TRUE(PrepareRunDirectory(fs::path(folder) / name).ok());
    ASSERT_TRUE(WriteRunDirectory(report, fs::path(folder) / name).ok());
  }
}

}  // namespace
}  // namespace lvs::services
