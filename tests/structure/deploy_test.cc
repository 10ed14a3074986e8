// What is shipped to run nodes with (deploy/): configurations that the node takes, files that agree with one another,
// and what the tools that are installed say to them. Containers and clusters are not run here: docs/operations.md,
// "What was checked". Where a tool is not installed, its test is skipped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/structure/source_text.h"
#include "yaml-cpp/yaml.h"

namespace lvs {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

const fs::path kDeploy = kRoot / "deploy";

struct Ended {
  int exit_code = -1;
  std::string out;  // and what it said to stderr
};

Ended RunCommand(const std::string& command) {
  Ended ended;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return ended;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) ended.out.append(buffer.data(), n);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) ended.exit_code = WEXITSTATUS(status);
  return ended;
}

bool Installed(const std::string& tool) { return RunCommand("command -v " + tool).exit_code == 0; }

std::string Quoted(const std::string& word) { return "'" + word + "'"; }

std::string Replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
  return text;
}

// Every match of the first group.
std::set<std::string> AllIn(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at) found.insert((*at)[1].str());
  return found;
}

std::vector<std::string> Words(const YAML::Node& list) { return list.as<std::vector<std::string>>(); }

// "10s" -> 10: what the default is, which deploy/node.yaml says.
int DrainDeadlineSeconds() {
  const auto text = YAML::LoadFile(kDeploy / "node.yaml")["drain"]["deadline"].as<std::string>();
  EXPECT_EQ(text.back(), 's');
  return std::stoi(text);
}

// A folder for what a test writes; gone with the test.
class Test8_Deploy : public ::testing::Test {
 protected:
  Test8_Deploy() : folder_(fs::temp_directory_path() / ("lvs_deploy_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~Test8_Deploy() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  fs::path Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  // Runs `lvs node ... --validate` on a shipped file. The folders of a node's machine become the test's, which has the
  // three TLS files, as far as their names and first lines go.
  Ended Validate(const fs::path& file, const std::vector<std::string>& arguments = {}) const {
    Write("ca.crt", "-----BEGIN CERTIFICATE-----\n");
    Write("tls.crt", "-----BEGIN CERTIFICATE-----\n");
    fs::permissions(Write("tls.key", "-----BEGIN PRIVATE KEY-----\n"), fs::perms::owner_read | fs::perms::owner_write);
    std::string text = Replaced(TextOf(file), "/etc/lvs/tls/", folder_.string() + "/");
    text = Replaced(text, "/var/lib/lvs", (folder_ / "cache").string());
    std::string command = Quoted(LVS_BINARY) + " node --config " + Quoted(Write("node.yaml", text)) + " --validate";
    for (const std::string& argument : arguments) command += " " + Quoted(argument);
    return RunCommand(command);
  }

  fs::path folder_;
};

// What follows "node --config FILE" in a shipped command line.
std::vector<std::string> ArgumentsOf(const std::vector<std::string>& words) {
  const std::vector<std::string> begin = {"node", "--config", "/etc/lvs/node.yaml"};
  EXPECT_GE(words.size(), begin.size());
  EXPECT_TRUE(std::equal(begin.begin(), begin.end(), words.begin())) << words.front();
  return {words.begin() + 3, words.end()};
}

// ---- All files -----------------------------------------------------------------------------------------------------

TEST_F(Test8_Deploy, EveryYamlFileParses) {
  int files = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kDeploy)) {
    if (entry.path().extension() != ".yaml") continue;
    EXPECT_NO_THROW(EXPECT_FALSE(YAML::LoadAllFromFile(entry.path()).empty()) << entry.path()) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 20);
}

TEST_F(Test8_Deploy, TheNodeTakesEveryShippedConfiguration) {
  const Ended plain = Validate(kDeploy / "node.yaml");
  EXPECT_EQ(plain.exit_code, 0) << plain.out;
  for (const auto& [name, service] :
       YAML::LoadFile(kDeploy / "compose.yaml")["services"].as<std::map<std::string, YAML::Node>>()) {
    if (service["image"].as<std::string>("lvs") != "lvs") continue;
    const Ended ended = Validate(kDeploy / "container/node.yaml", ArgumentsOf(Words(service["command"])));
    EXPECT_EQ(ended.exit_code, 0) << name << ": " << ended.out;
  }
  const YAML::Node pod = YAML::LoadFile(kDeploy / "kubernetes/statefulset.yaml")["spec"]["template"]["spec"];
  std::vector<std::string> arguments = ArgumentsOf(Words(pod["containers"][0]["args"]));
  for (std::string& argument : arguments) argument = Replaced(argument, "$(POD_IP)", "10.0.0.7");
  const Ended kubernetes = Validate(kDeploy / "kubernetes/node.yaml", arguments);
  EXPECT_EQ(kubernetes.exit_code, 0) << kubernetes.out;
}

TEST_F(Test8_Deploy, AMistakeInAShippedConfigurationWouldBeSeen) {
  const Ended ended = Validate(kDeploy / "container/node.yaml", {"--advertise", "nobody"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.out, HasSubstr("--advertise"));
}

// ---- Container and compose -----------------------------------------------------------------------------------------

TEST_F(Test8_Deploy, TheImageHasTheLibrariesOfTheBinary) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitized binary links to more";
#endif
  if (!Installed("dpkg-query") || !Installed("objdump")) GTEST_SKIP() << "this is no Debian with binutils";
  const std::string file = TextOf(kDeploy / "container/Dockerfile");
  const std::string stage = file.substr(file.rfind("\nFROM "));
  const std::string packages = Replaced(stage.substr(0, stage.find("rm -rf")), "\\\n", " ");
  std::string patterns;
  std::istringstream needed(RunCommand("objdump -p " LVS_BINARY " | sed -n 's/.*NEEDED *//p'").out);
  for (std::string library; std::getline(needed, library);) patterns += " '*-linux-gnu*/" + library + "'";
  int libraries = 0;
  std::istringstream found(RunCommand("dpkg-query -S" + patterns).out);
  for (std::string line; std::getline(found, line);) {
    const std::string package = line.substr(0, line.find(':'));
    if (package == "libc6" || package == "libgcc-s1") continue;  // in every image
    EXPECT_THAT(packages, HasSubstr(" " + package + " ")) << line;
    ++libraries;
  }
  EXPECT_GT(libraries, 10);
}

TEST_F(Test8_Deploy, TheImageRunsWithoutRootAndDrains) {
  const std::string file = TextOf(kDeploy / "container/Dockerfile");
  EXPECT_THAT(file, HasSubstr("\nUSER 65532:65532\n"));
  EXPECT_THAT(file, HasSubstr("\nSTOPSIGNAL SIGTERM\n"));
  // Not through a shell, which would keep the signal to itself.
  EXPECT_THAT(file, HasSubstr("\nENTRYPOINT [\"lvs\"]\n"));
}

class Test8_Compose : public Test8_Deploy {
 protected:
  const YAML::Node compose_ = YAML::LoadFile(kDeploy / "compose.yaml");

  static bool IsNode(const YAML::Node& service) { return service["<<"].IsDefined(); }
  // The key of a node, which may stand in what it merges.
  static YAML::Node Of(const YAML::Node& service, const char* key) {
    return service[key].IsDefined() || !IsNode(service) ? service[key] : service["<<"][key];
  }
};

TEST_F(Test8_Compose, ThreeRegionsFindOneAnother) {
  std::set<std::string> regions, wan, watch, booted;
  for (const auto& service : compose_["services"]) {
    if (!IsNode(service.second)) continue;
    const YAML::Node networks = service.second["networks"];
    const auto advertised = networks["wan"]["aliases"][0].as<std::string>();
    wan.insert(advertised);
    watch.insert(networks["watch"]["aliases"][0].as<std::string>() + ":7402");
    EXPECT_TRUE(networks["region-" + service.first.as<std::string>()].IsDefined());
    const std::vector<std::string> words = Words(service.second["command"]);
    for (std::size_t n = 0; n + 1 < words.size(); ++n) {
      if (words[n] == "--region") regions.insert(words[n + 1]);
      if (words[n] == "--advertise") {
        EXPECT_EQ(words[n + 1], advertised + ":7400");
      }
      if (words[n] == "--boot") booted.insert(words[n + 1].substr(0, words[n + 1].find(':')));
    }
  }
  EXPECT_THAT(regions, ::testing::ElementsAre("asia", "eu", "us"));
  EXPECT_EQ(booted, wan);
  std::set<std::string> targets;
  for (const YAML::Node& job : YAML::LoadFile(kDeploy / "prometheus/prometheus.yaml")["scrape_configs"]) {
    EXPECT_EQ(job["job_name"].as<std::string>(), "lvs");
    for (const YAML::Node& config : job["static_configs"]) targets.insert(config["targets"][0].as<std::string>());
  }
  EXPECT_EQ(targets, watch);
}

TEST_F(Test8_Compose, NothingLeavesTheMachineAndNodesAreHardened) {
  for (const auto& service : compose_["services"]) {
    const auto name = service.first.as<std::string>();
    for (const YAML::Node& port : service.second["ports"]) {
      EXPECT_EQ(port.as<std::string>().rfind("127.0.0.1:", 0), 0u) << name << " publishes " << port;
    }
    for (const YAML::Node& volume : service.second["volumes"]) {
      const auto text = volume.as<std::string>();
      const std::string source = text.substr(0, text.find(':'));
      if (source[0] == '.') {
        EXPECT_TRUE(fs::exists(kDeploy / source)) << name << " mounts " << source;
      } else {
        EXPECT_TRUE(compose_["volumes"][source].IsDefined()) << name << " mounts " << source;
      }
    }
    if (!IsNode(service.second)) continue;
    EXPECT_TRUE(Of(service.second, "read_only").as<bool>());
    EXPECT_EQ(Of(service.second, "user").as<std::string>(), "65532:65532");
    EXPECT_GT(std::stoi(Of(service.second, "stop_grace_period").as<std::string>()), DrainDeadlineSeconds() + 10);
    for (const auto& network : service.second["networks"]) {
      // Over `front` the web server is published, on loopback.
      const auto of_node = network.first.as<std::string>();
      EXPECT_TRUE(of_node == "front" || compose_["networks"][of_node]["internal"].as<bool>()) << of_node;
    }
    for (const YAML::Node& port : service.second["ports"]) {
      EXPECT_THAT(port.as<std::string>(), ::testing::EndsWith(":7403")) << name;
    }
  }
  const auto source = YAML::LoadFile(kDeploy / "grafana/provisioning/datasources/prometheus.yaml")["datasources"][0];
  EXPECT_EQ(source["url"].as<std::string>(), "http://prometheus:9090");
  EXPECT_TRUE(compose_["services"]["prometheus"].IsDefined());
}

// ---- Kubernetes ----------------------------------------------------------------------------------------------------

class Test8_Kubernetes : public Test8_Deploy {
 protected:
  static YAML::Node Load(const std::string& name) { return YAML::LoadFile(kDeploy / "kubernetes" / name); }
  // Of peers, and of the web server.
  static std::vector<YAML::Node> Services() { return YAML::LoadAllFromFile(kDeploy / "kubernetes/services.yaml"); }
  static std::map<std::string, std::string> Labels(const YAML::Node& node) {
    return node.as<std::map<std::string, std::string>>();
  }

  const YAML::Node set_ = Load("statefulset.yaml");
  const YAML::Node pod_ = set_["spec"]["template"]["spec"];
  const YAML::Node container_ = pod_["containers"][0];
  const std::map<std::string, std::string> labels_ = Labels(set_["spec"]["template"]["metadata"]["labels"]);

  std::map<std::string, int> Ports() const {
    std::map<std::string, int> ports;
    for (const YAML::Node& port : container_["ports"])
      ports[port["name"].as<std::string>()] = port["containerPort"].as<int>();
    return ports;
  }
};

TEST_F(Test8_Kubernetes, SelectorsMatchThePods) {
  EXPECT_EQ(Labels(set_["spec"]["selector"]["matchLabels"]), labels_);
  for (const YAML::Node& service : Services()) EXPECT_EQ(Labels(service["spec"]["selector"]), labels_);
  EXPECT_EQ(Labels(Load("disruption.yaml")["spec"]["selector"]["matchLabels"]), labels_);
  EXPECT_EQ(Labels(Load("network-policy.yaml")["spec"]["podSelector"]["matchLabels"]), labels_);
  EXPECT_EQ(Labels(Load("optional/pod-monitor.yaml")["spec"]["selector"]["matchLabels"]), labels_);
  for (const YAML::Node& spread : pod_["topologySpreadConstraints"]) {
    EXPECT_EQ(Labels(spread["labelSelector"]["matchLabels"]), labels_);
  }
  for (const char* name : {"optional/autoscaler.yaml", "optional/autoscaler-tabs.yaml"}) {
    const YAML::Node scaled = Load(name)["spec"]["scaleTargetRef"];
    EXPECT_EQ(scaled["kind"].as<std::string>(), set_["kind"].as<std::string>());
    EXPECT_EQ(scaled["name"].as<std::string>(), set_["metadata"]["name"].as<std::string>());
  }
  const YAML::Node backend =
      Load("optional/ingress.yaml")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
  EXPECT_EQ(backend["name"].as<std::string>(), Services()[1]["metadata"]["name"].as<std::string>());
  EXPECT_EQ(backend["port"]["name"].as<std::string>(), Services()[1]["spec"]["ports"][0]["name"].as<std::string>());
}

TEST_F(Test8_Kubernetes, PortsAreThoseOfTheConfiguration) {
  const YAML::Node node = Load("node.yaml");
  const auto port = [&](const char* key) {
    const auto text = node[key].as<std::string>();
    return std::stoi(text.substr(text.rfind(':') + 1));
  };
  const std::map<std::string, int> ports = Ports();
  EXPECT_EQ(ports.at("peers"), port("listen"));
  EXPECT_EQ(ports.at("health"), port("health_listen"));
  EXPECT_EQ(ports.at("web"), port("web_listen"));
  EXPECT_EQ(ports.size(), 3u) << "the control service stays in the pod";
  EXPECT_EQ(node["control_listen"].as<std::string>().rfind("127.0.0.1:", 0), 0u);
  for (const char* probe : {"startupProbe", "livenessProbe", "readinessProbe"}) {
    EXPECT_TRUE(ports.contains(container_[probe]["httpGet"]["port"].as<std::string>())) << probe;
    EXPECT_EQ(container_[probe]["timeoutSeconds"].as<int>(), 5) << probe;
  }
  EXPECT_EQ(container_["readinessProbe"]["httpGet"]["path"].as<std::string>(), "/readyz");
  for (const YAML::Node& service : Services()) {
    EXPECT_TRUE(ports.contains(service["spec"]["ports"][0]["targetPort"].as<std::string>()));
  }
  const YAML::Node policy = Load("network-policy.yaml")["spec"];
  for (const YAML::Node& rule : policy["ingress"]) {
    for (const YAML::Node& open : rule["ports"]) EXPECT_TRUE(ports.contains(open["port"].as<std::string>()));
  }
}

TEST_F(Test8_Kubernetes, PodsFindOneAnotherBeforeTheyAreReady) {
  const YAML::Node service = Services()[0];
  EXPECT_EQ(service["spec"]["clusterIP"].as<std::string>(), "None");
  EXPECT_TRUE(service["spec"]["publishNotReadyAddresses"].as<bool>());
  EXPECT_EQ(set_["spec"]["serviceName"].as<std::string>(), service["metadata"]["name"].as<std::string>());
  EXPECT_EQ(set_["spec"]["podManagementPolicy"].as<std::string>(), "Parallel");
  EXPECT_EQ(Words(Load("node.yaml")["boot"]),
            std::vector<std::string>{service["metadata"]["name"].as<std::string>() + ":7400"});
}

TEST_F(Test8_Kubernetes, PodsAreHardenedAndHaveTimeToDrain) {
  EXPECT_GT(pod_["terminationGracePeriodSeconds"].as<int>(), DrainDeadlineSeconds() + 10);
  EXPECT_TRUE(pod_["securityContext"]["runAsNonRoot"].as<bool>());
  EXPECT_EQ(pod_["securityContext"]["seccompProfile"]["type"].as<std::string>(), "RuntimeDefault");
  EXPECT_FALSE(pod_["automountServiceAccountToken"].as<bool>());
  EXPECT_TRUE(container_["securityContext"]["readOnlyRootFilesystem"].as<bool>());
  EXPECT_FALSE(container_["securityContext"]["allowPrivilegeEscalation"].as<bool>());
  EXPECT_EQ(Words(container_["securityContext"]["capabilities"]["drop"]), std::vector<std::string>{"ALL"});
}

TEST_F(Test8_Kubernetes, EveryMountHasItsVolume) {
  std::set<std::string> volumes, mounts;
  for (const YAML::Node& volume : pod_["volumes"]) volumes.insert(volume["name"].as<std::string>());
  for (const YAML::Node& claim : set_["spec"]["volumeClaimTemplates"]) {
    volumes.insert(claim["metadata"]["name"].as<std::string>());
  }
  for (const YAML::Node& mount : container_["volumeMounts"]) mounts.insert(mount["name"].as<std::string>());
  EXPECT_EQ(mounts, volumes);
  const YAML::Node kustomization = Load("kustomization.yaml");
  EXPECT_EQ(pod_["volumes"][0]["configMap"]["name"].as<std::string>(),
            kustomization["configMapGenerator"][0]["name"].as<std::string>());
  for (const std::string& file : Words(kustomization["resources"]))
    EXPECT_TRUE(fs::exists(kDeploy / "kubernetes" / file));
}

TEST_F(Test8_Kubernetes, TheAutoscalersMetricComesFromOneThatIsExported) {
  const YAML::Node rules = Load("optional/prometheus-adapter-values.yaml")["rules"]["custom"];
  const char* const scalers[] = {"optional/autoscaler.yaml", "optional/autoscaler-tabs.yaml"};
  for (std::size_t n = 0; n < std::size(scalers); ++n) {
    const auto metric = Load(scalers[n])["spec"]["metrics"][0]["pods"]["metric"]["name"].as<std::string>();
    EXPECT_EQ(rules[n]["name"]["as"].as<std::string>(), metric);
    // The dashboard shows exactly what is exported: monitoring_test.cc.
    for (const std::string& name : AllIn(rules[n]["seriesQuery"].as<std::string>(), R"((lvs_\w+))")) {
      EXPECT_THAT(TextOf(kDeploy / "grafana/lvs.json"), HasSubstr(name));
    }
  }
}

TEST_F(Test8_Kubernetes, KustomizeBuilds) {
  if (!Installed("kubectl")) GTEST_SKIP() << "kubectl is not installed";
  const Ended ended = RunCommand("KUBECONFIG=/dev/null kubectl kustomize " + Quoted(kDeploy / "kubernetes"));
  ASSERT_EQ(ended.exit_code, 0) << ended.out;
  EXPECT_EQ(YAML::LoadAll(ended.out).size(), 7u);
  // The name that the generator made is the one that the pods ask for.
  const std::set<std::string> names = AllIn(ended.out, R"(name: (lvs-node-\w+))");
  EXPECT_EQ(names.size(), 1u) << ended.out;
}

// ---- systemd and Prometheus ----------------------------------------------------------------------------------------

TEST_F(Test8_Deploy, SystemdTakesTheUnitAndFindsItHardened) {
  const std::string unit = TextOf(kDeploy / "systemd/lvs-node.service");
  const std::set<std::string> stop = AllIn(unit, R"(TimeoutStopSec=(\d+))");
  ASSERT_EQ(stop.size(), 1u);
  EXPECT_GT(std::stoi(*stop.begin()), DrainDeadlineSeconds() + 10);
  if (!Installed("systemd-analyze")) GTEST_SKIP() << "systemd-analyze is not installed";
  const fs::path file = Write("lvs-node.service", Replaced(unit, "/usr/local/bin/lvs", LVS_BINARY));
  const Ended verified = RunCommand("systemd-analyze verify --man=no " + Quoted(file));
  EXPECT_EQ(verified.exit_code, 0) << verified.out;
  EXPECT_THAT(verified.out, Not(HasSubstr("lvs-node")));  // other units of the machine may have their faults
  // In tenths: 1.3 is what it is; above 2.0 somebody took something away.
  const Ended secure = RunCommand("systemd-analyze security --no-pager --offline=true --threshold=20 " + Quoted(file));
  EXPECT_EQ(secure.exit_code, 0) << secure.out;
}

TEST_F(Test8_Deploy, PrometheusTakesItsConfigurationAndTheAlertsDoWhatTheyAreFor) {
  if (!Installed("promtool")) GTEST_SKIP() << "promtool is not installed";
  const Ended config = RunCommand("promtool check config " + Quoted(kDeploy / "prometheus/prometheus.yaml"));
  EXPECT_EQ(config.exit_code, 0) << config.out;
  const Ended rules = RunCommand("promtool test rules " + Quoted(kDeploy / "prometheus/rules_test.yaml"));
  EXPECT_EQ(rules.exit_code, 0) << rules.out;
}

// ---- docs/operations.md --------------------------------------------------------------------------------------------

TEST(Chain7_Operations, ThePageHasEveryMetricAndNoOther) {
  const std::string page = TextOf(kRoot / "docs/operations.md");
  const std::string metric = R"(\b((?:lvs|process)_\w+)\b)";
  std::set<std::string> documented = AllIn(page, metric);
  documented.erase("lvs_contributions_per_second");  // made by Prometheus
  EXPECT_EQ(documented, AllIn(TextOf(kDeploy / "grafana/lvs.json"), metric));
}

TEST(Chain7_Operations, ThePageHasEveryAlertAndEveryEventOfTheLog) {
  const std::string page = TextOf(kRoot / "docs/operations.md");
  for (const std::string& alert : AllIn(TextOf(kDeploy / "prometheus/rules.yaml"), R"(- alert: (\w+))")) {
    EXPECT_THAT(page, HasSubstr("`" + alert + "`"));
  }
  std::set<std::string> events;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kRoot / "services")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = TextOf(entry.path());
    const std::regex call(R"(\bLog\([^{;]*)");
    for (std::sregex_iterator at(text.begin(), text.end(), call), end; at != end; ++at) {
      events.merge(AllIn(at->str(), R"x("([a-z]+\.[a-z_]+)")x"));
    }
  }
  EXPECT_GE(events.size(), 10u);
  for (const std::string& event : events) EXPECT_THAT(page, HasSubstr(event));
}

}  // namespace
}  // namespace lvs
