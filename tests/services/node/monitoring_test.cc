// The alerts and the dashboard that are shipped (deploy/prometheus, deploy/grafana) speak of metrics that nodes export.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "services/node/operations.h"
#include "yaml-cpp/yaml.h"

namespace lvs::services {
namespace {

const std::string kDeploy = LVS_DEPLOY_DIR;

std::string TextOf(const std::string& file) {
  std::ifstream in(file);
  EXPECT_TRUE(in.good()) << file;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Label values by metric and label, of a node on which everything happens.
std::map<std::string, std::map<std::string, std::set<std::string>>> Exported() {
  v1::NodeStatus status;
  status.mutable_ledger()->add_total_uvu(1);
  status.add_connections()->set_port("peers");
  (*status.mutable_refused())["stale"] = 1;
  v1::WebStatus* web = status.mutable_web();
  for (int n = 0; n < 3; ++n) web->add_shards_heard(1);
  (*web->mutable_ended())["goodbye"] = (*web->mutable_refused())["claim"] = 1;
  (*web->mutable_over_budget())["relay_all"] = 1;
  v1::PeerList peers;
  v1::Peer* peer = peers.add_peers();
  peer->set_region("eu");
  peer->set_rtt_ms(1);
  std::map<std::string, std::map<std::string, std::set<std::string>>> exported;
  for (const auto& family : NodeMetrics(status, peers)) {
    auto& labels = exported[family.name];
    for (const auto& metric : family.metric) {
      for (const auto& label : metric.label) labels[label.name].insert(label.value);
    }
  }
  return exported;
}

std::set<std::string> MetricsIn(const std::string& expression) {
  static const std::regex metric(R"(\b(?:lvs|process)_\w+)");
  std::set<std::string> names;
  for (std::sregex_iterator at(expression.begin(), expression.end(), metric), end; at != end; ++at) {
    names.insert(at->str());
  }
  return names;
}

// What is wrong with the metrics and labels of an expression; empty: nothing.
std::string Complaint(const std::string& expression) {
  const auto exported = Exported();
  for (const std::string& name : MetricsIn(expression)) {
    if (!exported.contains(name)) return name + " is not exported";
  }
  static const std::regex selector(R"((\w+)\{([^}]*)\})");
  static const std::regex matcher(R"re((\w+)\s*(=~|!~|!=|=)\s*"([^"]*)")re");
  for (std::sregex_iterator at(expression.begin(), expression.end(), selector), end; at != end; ++at) {
    const std::string name = (*at)[1];
    const std::string labels = (*at)[2];
    for (std::sregex_iterator label(labels.begin(), labels.end(), matcher); label != end; ++label) {
      const std::string key = (*label)[1];
      if (key == "job" || key == "instance") continue;
      if (!exported.contains(name) || !exported.at(name).contains(key)) return name + " has no label " + key;
      const auto& values = exported.at(name).at(key);
      if ((*label)[2] == "=" && !values.contains((*label)[3])) return name + " is never " + label->str();
    }
  }
  return "";
}

std::vector<std::string> RuleExpressions() {
  std::vector<std::string> expressions;
  for (const YAML::Node& group : YAML::LoadFile(kDeploy + "/prometheus/rules.yaml")["groups"]) {
    for (const YAML::Node& rule : group["rules"]) expressions.push_back(rule["expr"].as<std::string>());
  }
  return expressions;
}

void CollectExpressions(const nlohmann::json& json, std::vector<std::string>* expressions) {
  if (json.is_object() && json.contains("expr")) expressions->push_back(json["expr"]);
  if (json.is_object() && json.contains("definition")) expressions->push_back(json["definition"]);
  if (!json.is_structured()) return;
  for (const nlohmann::json& part : json) CollectExpressions(part, expressions);
}

std::vector<std::string> DashboardExpressions() {
  std::vector<std::string> expressions;
  CollectExpressions(nlohmann::json::parse(TextOf(kDeploy + "/grafana/lvs.json")), &expressions);
  return expressions;
}

TEST(Test6_Monitoring, AlertsSpeakOfWhatIsExported) {
  const std::vector<std::string> expressions = RuleExpressions();
  EXPECT_GE(expressions.size(), 10u);
  for (const std::string& expression : expressions) EXPECT_EQ(Complaint(expression), "") << expression;
}

TEST(Test6_Monitoring, TheDashboardShowsAllThatIsExportedAndNothingElse) {
  const std::vector<std::string> expressions = DashboardExpressions();
  std::set<std::string> shown;
  for (const std::string& expression : expressions) {
    EXPECT_EQ(Complaint(expression), "") << expression;
    shown.merge(MetricsIn(expression));
  }
  for (const auto& [name, labels] : Exported()) EXPECT_TRUE(shown.contains(name)) << name << " is on no panel";
}

TEST(Test6_Monitoring, EveryRowOfTheDashboardIsThereAndAnyPrometheusWillDo) {
  const nlohmann::json dashboard = nlohmann::json::parse(TextOf(kDeploy + "/grafana/lvs.json"));
  std::vector<std::string> rows;
  std::set<int> ids;
  for (const nlohmann::json& panel : dashboard["panels"]) {
    EXPECT_TRUE(ids.insert(panel["id"].get<int>()).second) << panel["title"];
    if (panel["type"] == "row") {
      rows.push_back(panel["title"]);
      continue;
    }
    EXPECT_EQ(panel["datasource"]["uid"], "${datasource}") << panel["title"];
    EXPECT_FALSE(panel["description"].get<std::string>().empty()) << panel["title"];
    EXPECT_FALSE(panel["targets"].empty()) << panel["title"];
  }
  EXPECT_THAT(rows, testing::ElementsAre("Health", "Drift", "Ledger", "Links", "Tabs", "Resources"));
}

TEST(Test6_MonitoringSelfTest, AMetricOrALabelThatIsNotExportedIsSeen) {
  EXPECT_EQ(Complaint("rate(lvs_cycles_total[5m]) > 0"), "");
  EXPECT_EQ(Complaint("lvs_cycle_total > 0"), "lvs_cycle_total is not exported");
  EXPECT_EQ(Complaint("lvs_peers{kind=\"known\"}"), "lvs_peers has no label kind");
  EXPECT_EQ(Complaint("lvs_peers{job=\"$job\", state=\"lost\"}"), "lvs_peers is never state=\"lost\"");
}

TEST(Test6_Monitoring, PromtoolAcceptsAndTestsTheAlerts) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "promtool is not installed (Debian package prometheus)";
  }
  const std::string folder = "cd '" + kDeploy + "/prometheus' && promtool ";
  EXPECT_EQ(std::system((folder + "check rules rules.yaml >/dev/null").c_str()), 0);
  EXPECT_EQ(std::system((folder + "test rules rules_test.yaml >/dev/null").c_str()), 0);
}

// An alert without a test of its own may never fire.
TEST(Test6_Monitoring, EveryAlertHasATestInWhichItFires) {
  const std::string tests = TextOf(kDeploy + "/prometheus/rules_test.yaml");
  for (const YAML::Node& group : YAML::LoadFile(kDeploy + "/prometheus/rules.yaml")["groups"]) {
    for (const YAML::Node& rule : group["rules"]) {
      const std::string name = rule["alert"].as<std::string>();
      EXPECT_TRUE(tests.find("alertname=\"" + name + "\"") != std::string::npos) << name;
      EXPECT_TRUE(rule["labels"]["severity"] && rule["annotations"]["summary"] && rule["annotations"]["description"])
          << name;
    }
  }
}

}  // namespace
}  // namespace lvs::services
