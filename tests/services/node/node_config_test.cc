#include "services/node/node_config.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

v1::NodeConfig Load(const std::string& text, const NodeOverrides& overrides = {}) {
  const auto loaded = ParseNodeConfig(text, "n.yaml", overrides);
  EXPECT_TRUE(loaded.ok()) << std::string(loaded.status().message());
  return loaded.ok() ? loaded->config : v1::NodeConfig();
}

std::string ErrorOf(const std::string& text, const NodeOverrides& overrides = {}) {
  const auto loaded = ParseNodeConfig(text, "n.yaml", overrides);
  if (loaded.ok()) return "";
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(loaded.status().message());
}

// A folder that is gone after the test.
class NodeConfigFiles : public ::testing::Test {
 protected:
  NodeConfigFiles() {
    std::string name = (fs::temp_directory_path() / "lvs-config-XXXXXX").string();
    dir_ = mkdtemp(name.data());
  }
  ~NodeConfigFiles() override { fs::remove_all(dir_); }

  std::string Write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const fs::path file = dir_ / name;
    std::ofstream(file) << text;
    chmod(file.c_str(), mode);
    return file.string();
  }

  std::string WriteCert(const std::string& name) { return Write(name, "-----BEGIN CERTIFICATE-----\nMA==\n", 0644); }
  std::string WriteKey(const std::string& name) { return Write(name, "-----BEGIN PRIVATE KEY-----\nMA==\n"); }

  fs::path dir_;
};

std::string TlsText(const std::string& ca, const std::string& cert, const std::string& key) {
  return "tls:\n  ca_file: " + ca + "\n  cert_file: " + cert + "\n  key_file: " + key + "\n";
}

// ---- The shipped example ----

TEST(NodeConfigExample, LoadsAndIsTheDefaults) {
  const auto loaded = LoadNodeConfig(fs::path(LVS_DEPLOY_DIR) / "node.yaml");
  ASSERT_TRUE(loaded.ok()) << std::string(loaded.status().message());
  v1::NodeConfig defaults;
  FillNodeDefaults(&defaults);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(loaded->config, defaults))
      << loaded->config.DebugString() << "\nis not\n"
      << defaults.DebugString();
  const auto without_file = LoadNodeConfig("");
  ASSERT_TRUE(without_file.ok()) << std::string(without_file.status().message());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(without_file->config, defaults));
}

// Takes the # off every line that is a key, so that the example's optional parts stay true as well.
TEST_F(NodeConfigFiles, ExampleNamesEveryKey) {
  std::ifstream in(fs::path(LVS_DEPLOY_DIR) / "node.yaml");
  std::string text;
  for (std::string line; std::getline(in, line);) {
    for (const char* key : {"advertise:", "boot:", "cache_dir:", "tls:", "  ca_file:", "  cert_file:", "  key_file:",
                            "web_listen:", "web:", "  behind_proxy:", "  origins:", "  hubs:", "  tabs_max:",
                            "  places:", "  relay_budget:", "  turn:"}) {
      if (line.starts_with("# " + std::string(key))) line = line.substr(2);
    }
    text += line + "\n";
  }
  v1::NodeConfig config;
  ASSERT_TRUE(ParseYaml(text, "node.yaml", &config).ok()) << text;
  for (const std::string& key : YamlKeys(*v1::NodeConfig::descriptor())) {
    EXPECT_THAT("\n" + text, HasSubstr("\n" + key + ":")) << "deploy/node.yaml does not show it";
  }
  EXPECT_EQ(config.boot_size(), 2);
  EXPECT_EQ(config.tls().key_file(), "/etc/lvs/node.key");
  EXPECT_EQ(config.web().turn().lifetime_us(), 3'600'000'000);
}

// ---- Defaults ----

TEST(NodeConfigDefaults, FillEverything) {
  const v1::NodeConfig config = Load("region: eu\n");
  EXPECT_EQ(config.region(), "eu");
  EXPECT_EQ(config.listen(), "127.0.0.1:7400");
  EXPECT_EQ(config.control_listen(), "127.0.0.1:7401");
  EXPECT_EQ(config.health_listen(), "127.0.0.1:7402");
  EXPECT_EQ(config.advertise(), "");
  EXPECT_EQ(config.boot_size(), 0);
  EXPECT_EQ(config.state().shards(), 16u);
  EXPECT_EQ(config.state().value_slots(), 2u);
  EXPECT_EQ(config.state().free_coordinates(), 2u);
  EXPECT_EQ(config.population().micro_nodes(), 1000u);
  EXPECT_EQ(config.population().shards_per_node(), 4u);
  EXPECT_EQ(config.period_us(), 100'000);
  EXPECT_EQ(config.limits().links(), 16u);
  EXPECT_EQ(config.limits().contributions_per_second_link(), 50'000);
  EXPECT_EQ(config.limits().contributions_per_second_session(), 100);
  EXPECT_EQ(config.drain().grace_us(), 1'000'000);
  EXPECT_EQ(config.drain().deadline_us(), 10'000'000);
  EXPECT_EQ(config.log().level(), v1::INFO);
  EXPECT_EQ(config.log().lines_per_second(), 20u);
  EXPECT_EQ(config.protocol_max(), 2u);
  EXPECT_FALSE(config.has_tls());
  EXPECT_FALSE(config.insecure() || config.faults() || config.reflection());
  v1::NodeConfig again = config;
  FillNodeDefaults(&again);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(config, again)) << "idempotent";
}

TEST(NodeConfigDefaults, ZerosOfTheFileStay) {
  EXPECT_EQ(Load("state: {free_coordinates: 0}\n").state().free_coordinates(), 0u);
  EXPECT_EQ(Load("drain: {grace: 0s}\n").drain().grace_us(), 0);
  EXPECT_EQ(Load("state: {shards: 2}\n").population().shards_per_node(), 2u) << "at most the shards there are";
  EXPECT_THAT(ErrorOf("region: eu\nstate: {shards: 0}\n"), StartsWith("n.yaml:2: state.shards: 0 is out of range"));
  EXPECT_THAT(ErrorOf("protocol_max: 0\n"), StartsWith("n.yaml:1: protocol_max: 0 is out of range"));
}

// ---- Overrides ----

TEST(NodeConfigOverrides, TakeThePlaceOfTheFile) {
  NodeOverrides overrides;
  overrides.listen = "127.0.0.1:0";
  overrides.boot = {"10.0.0.1:7400"};
  overrides.micro_nodes = 7;
  overrides.log_level = v1::DEBUG;
  overrides.cache_dir = "";
  const v1::NodeConfig config =
      Load("listen: nonsense\nboot: [a:1, b:1]\ncache_dir: /proc/self/exe\nlog: {lines_per_second: 5}\n", overrides);
  EXPECT_EQ(config.listen(), "127.0.0.1:0");
  ASSERT_EQ(config.boot_size(), 1);
  EXPECT_EQ(config.boot(0), "10.0.0.1:7400");
  EXPECT_EQ(config.population().micro_nodes(), 7u);
  EXPECT_EQ(config.log().level(), v1::DEBUG);
  EXPECT_EQ(config.log().lines_per_second(), 5u);
  EXPECT_EQ(config.cache_dir(), "");
}

TEST(NodeConfigOverrides, ErrorsNameTheFlag) {
  NodeOverrides overrides;
  overrides.control_listen = "7401";
  EXPECT_THAT(ErrorOf("control_listen: 127.0.0.1:7401\n", overrides),
              StartsWith("--control-listen: \"7401\" has no host; write 127.0.0.1:7401"));
  overrides = {};
  overrides.boot = {"a:1", "b:0"};
  EXPECT_THAT(ErrorOf("region: eu\n", overrides), StartsWith("--boot: b:0 has port 0"));
  overrides = {};
  overrides.micro_nodes = 0;
  EXPECT_THAT(ErrorOf("region: eu\n", overrides), StartsWith("--micro-nodes: 0 is out of range"));
  overrides = {};
  overrides.region = "";
  EXPECT_THAT(ErrorOf("region: eu\n", overrides), StartsWith("--region: \"\" is not a name"));
}

// ---- Refusals: each with file, line, path and the mend ----

TEST(NodeConfigRefusals, NameTheLineAndTheMend) {
  for (const auto& [text, error] : std::vector<std::pair<std::string, std::string>>{
           {"region: eu\nlissten: 127.0.0.1:1\n", "n.yaml:2: lissten: unknown key; did you mean listen?"},
           {"region: \"a b\"\n", "n.yaml:1: region: \"a b\" is not a name"},
           {"listen: 127.0.0.1\n", "n.yaml:1: listen: \"127.0.0.1\" has no port"},
           {"health_listen: 127.0.0.1:99999\n", "n.yaml:1: health_listen: \"127.0.0.1:99999\" has no port of 0"},
           {"region: eu\nboot:\n  - a:1\n  - \"::1:7\"\n", "n.yaml:4: boot[1]: \"::1:7\" has more than one colon"},
           {"boot: [0.0.0.0:7400]\n", "n.yaml:1: boot[0]: 0.0.0.0:7400 stands for every address"},
           {"boot: [a:0]\n", "n.yaml:1: boot[0]: a:0 has port 0, which nobody can connect to"},
           {"advertise: 0.0.0.0:7400\n", "n.yaml:1: advertise: 0.0.0.0:7400 stands for every address"},
           {"advertise: \"[::]:7400\"\n", "n.yaml:1: advertise: [::]:7400 stands for every address"},
           {"advertise: a:0\n", "n.yaml:1: advertise: a:0 has port 0"},
           {"listen: 127.0.0.1:7401\n",
            "n.yaml:1: control_listen: 127.0.0.1:7401 is taken by listen (127.0.0.1:7401); give each listener a port"},
           {"health_listen: 127.0.0.1:7401\n", "n.yaml:1: health_listen: 127.0.0.1:7401 is taken by control_listen"},
           {"insecure: true\nlisten: 0.0.0.0:7402\n", "n.yaml:1: health_listen: 127.0.0.1:7402 is taken by listen"},
           {"period: 9ms\n", "n.yaml:1: period: 9ms is out of range; it must be between 10ms and 3s"},
           {"period: 4s\n", "n.yaml:1: period: 4s is out of range"},
           {"period: 100\n", "n.yaml:1: period: 100 has no unit"},
           {"state: {shards: 65536}\n", "n.yaml:1: state.shards: 65536 is out of range"},
           {"state: {value_slots: 9}\n", "n.yaml:1: state.value_slots: 9 is out of range"},
           {"state: {free_coordinates: 5}\n", "n.yaml:1: state.free_coordinates: 5 is out of range"},
           {"population: {micro_nodes: 10000001}\n", "n.yaml:1: population.micro_nodes: 10000001 is out of range"},
           {"population: {shards_per_node: 17}\n", "n.yaml:1: population.shards_per_node: 17 is out of range"},
           {"population: {low_power: 101%}\n", "n.yaml:1: population.low_power: 101% is out of range"},
           {"limits: {links: 65}\n", "n.yaml:1: limits.links: 65 is out of range; it must be between 1 and 64"},
           {"limits: {contributions_per_second_per_link: 0}\n",
            "n.yaml:1: limits.contributions_per_second_per_link: 0 is out of range; it must be above 0"},
           {"limits: {contributions_per_second_per_session: 1e7}\n",
            "n.yaml:1: limits.contributions_per_second_per_session: 10000000 is out of range"},
           {"drain: {deadline: 500ms}\n", "n.yaml:1: drain.deadline: 500ms is over before the grace of 1s is"},
           {"drain: {deadline: 2h}\n", "n.yaml:1: drain.deadline: 2h is out of range"},
           {"log: {level: loud}\n", "n.yaml:1: log.level: \"loud\" is not known"},
           {"log: {lines_per_second: 0}\n", "n.yaml:1: log.lines_per_second: 0 is out of range"},
           {"protocol_max: 3\n", "n.yaml:1: protocol_max: 3 is out of range; it must be between 1 and 2"},
           {"tls: {ca_file: a}\n", "n.yaml:1: tls"},
       }) {
    EXPECT_THAT(ErrorOf(text), StartsWith(error)) << text;
  }
}

TEST(NodeConfigRefusals, MissingFile) {
  EXPECT_EQ(LoadNodeConfig("/nowhere/node.yaml").status().code(), absl::StatusCode::kNotFound);
}

// ---- Who may listen where ----

TEST(NodeConfigExposure, OpenListenersNeedTlsOrPlainWords) {
  for (const std::string key : {"listen", "control_listen"}) {
    for (const std::string host : {"0.0.0.0", "10.0.0.7", "\"[::]", "node1.example.net"}) {
      const std::string quote = host.starts_with('"') ? "\"" : "";
      const std::string text = key + ": " + host + ":7500" + quote + "\n";
      EXPECT_THAT(ErrorOf(text), AllOf(StartsWith("n.yaml:1: " + key + ": "), HasSubstr(":7500 is not loopback"),
                                       HasSubstr("tls: {ca_file: ..."), HasSubstr("listen on 127.0.0.1:7500"),
                                       HasSubstr("add insecure: true")))
          << text;
      EXPECT_EQ(ErrorOf(text + "insecure: true\n"), "");
    }
    EXPECT_EQ(ErrorOf(key + ": \"[::1]:7500\"\n"), "");
    EXPECT_EQ(ErrorOf(key + ": localhost:7500\n"), "");
  }
}

TEST(NodeConfigExposure, HealthIsPlainAndFollowsTheNode) {
  EXPECT_THAT(ErrorOf("health_listen: 0.0.0.0:7402\n"),
              AllOf(StartsWith("n.yaml:1: health_listen: 0.0.0.0:7402 is not loopback"), HasSubstr("plain HTTP"),
                    HasSubstr("insecure: true"), HasSubstr("127.0.0.1:7402")));
  EXPECT_EQ(ErrorOf("health_listen: 0.0.0.0:7402\ninsecure: true\n"), "");
}

// Strangers connect to the web server: it needs no certificate of the network, and one that browsers trust.
TEST(NodeConfigExposure, Test3_1_TheWebServerNeedsTlsThatBrowsersTrust) {
  EXPECT_EQ(ErrorOf("web_listen: 127.0.0.1:7403\n"), "");
  EXPECT_THAT(ErrorOf("web_listen: 0.0.0.0:7403\n"),
              AllOf(StartsWith("n.yaml:1: web_listen: 0.0.0.0:7403 is not loopback"), HasSubstr("behind_proxy: true"),
                    HasSubstr("cert_file")));
  EXPECT_EQ(ErrorOf("web_listen: 0.0.0.0:7403\nweb: {behind_proxy: true}\n"), "");
  EXPECT_EQ(ErrorOf("web_listen: 0.0.0.0:7403\ninsecure: true\n"), "");
  EXPECT_THAT(ErrorOf("web_listen: 0.0.0.0:7403\nweb: {cert_file: /nowhere.pem, key_file: /nowhere.key}\n"),
              StartsWith("n.yaml:2: web.cert_file: "));
  EXPECT_THAT(ErrorOf("web_listen: 127.0.0.1:7400\n"),
              StartsWith("n.yaml:1: web_listen: 127.0.0.1:7400 is taken by listen"));
}

TEST(NodeConfigRefusals, OfTheWebServerSayWhatToMend) {
  const std::string listen = "web_listen: 127.0.0.1:7403\n";
  for (const auto& [text, error] : std::vector<std::pair<std::string, std::string>>{
           {"web: {tabs_max: 5}\n", "n.yaml:1: web: is given without web_listen"},
           {listen + "web: {tabs_max: 0}\n", "n.yaml:2: web.tabs_max: 0 is out of range"},
           {listen + "web: {places: 3}\n", "n.yaml:2: web.places: 3 is out of range; it must be between 4 and 128"},
           {listen + "state: {shards: 30}\n", "n.yaml:1: web_listen: browser tabs need a number of shards"},
           {listen + "state: {shards: 128}\n", "n.yaml:1: web_listen: browser tabs need a number of shards"},
           {listen + "web: {origins: [lvs.example]}\n", "n.yaml:2: web.origins[0]: \"lvs.example\" is not an origin"},
           {listen + "web: {origins: [\"https://lvs.example/\"]}\n", "n.yaml:2: web.origins[0]: "},
           {listen + "web: {hubs: [\"https://us.example\"]}\n", "n.yaml:2: web.hubs[0]: \"https://us.example\" is not"},
           {listen + "web: {turn: {urls: [\"stun:x\"], secret_file: /dev/null}}\n", "n.yaml:2: web.turn.urls[0]: "},
           {listen + "web: {turn: {urls: [\"turn:x\"], secret_file: /nowhere}}\n", "n.yaml:2: web.turn.secret_file: "},
           {listen + "web: {turn: {urls: [\"turn:x\"], secret_file: /dev/null}}\n", "n.yaml:2: web.turn.secret_file: "},
       }) {
    EXPECT_THAT(ErrorOf(text), StartsWith(error)) << text;
  }
}

TEST(NodeConfigExposure, TheFlagIsAsGoodAsTheKey) {
  NodeOverrides overrides;
  overrides.listen = "0.0.0.0:7400";
  EXPECT_THAT(ErrorOf("region: eu\n", overrides), StartsWith("--listen: 0.0.0.0:7400 is not loopback"));
  overrides.insecure = true;
  EXPECT_EQ(ErrorOf("region: eu\n", overrides), "");
}

TEST(NodeConfigExposure, AdvertisedAddress) {
  v1::NodeConfig config;
  FillNodeDefaults(&config);
  EXPECT_EQ(AdvertisedAddress(config, 41'000), "127.0.0.1:41000") << "the port that was taken";
  config.set_listen("[2001:db8::7]:0");
  EXPECT_EQ(AdvertisedAddress(config, 41'000), "[2001:db8::7]:41000");
  config.set_listen("0.0.0.0:7400");
  EXPECT_EQ(AdvertisedAddress(config, 7400), "") << "nobody can dial a wildcard";
  config.set_advertise("node1:7400");
  EXPECT_EQ(AdvertisedAddress(config, 41'000), "node1:7400");
}

// ---- Files on disk ----

TEST_F(NodeConfigFiles, TlsOpensTheListeners) {
  const std::string tls = TlsText(WriteCert("ca.pem"), WriteCert("node.pem"), WriteKey("node.key"));
  EXPECT_EQ(ErrorOf(tls + "listen: 0.0.0.0:7400\ncontrol_listen: 0.0.0.0:7401\nhealth_listen: 0.0.0.0:7402\n"), "");
}

TEST_F(NodeConfigFiles, TlsFilesMustBeWhatTheySay) {
  const std::string ca = WriteCert("ca.pem");
  const std::string cert = WriteCert("node.pem");
  const std::string key = WriteKey("node.key");
  EXPECT_THAT(ErrorOf(TlsText(dir_ / "no.pem", cert, key)),
              AllOf(StartsWith("n.yaml:2: tls.ca_file: "), HasSubstr("no.pem: no such file; name the PEM file with")));
  EXPECT_THAT(ErrorOf(TlsText(ca, dir_, key)), AllOf(StartsWith("n.yaml:3: tls.cert_file: "), HasSubstr("directory")));
  EXPECT_THAT(ErrorOf(TlsText(ca, key, cert)),
              AllOf(StartsWith("n.yaml:3: tls.cert_file: "), HasSubstr("is it another of the three files?")));
  EXPECT_THAT(ErrorOf(TlsText(ca, cert, cert)), StartsWith("n.yaml:4: tls.key_file: "));
  EXPECT_THAT(ErrorOf(TlsText(Write("ca.der", "\x30\x82"), cert, key)), HasSubstr("convert it with openssl"));
  EXPECT_THAT(ErrorOf(TlsText(ca, cert, Write("locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"))),
              HasSubstr("without a passphrase"));
  const std::string open_key = Write("open.key", "-----BEGIN EC PRIVATE KEY-----\n", 0644);
  EXPECT_THAT(ErrorOf(TlsText(ca, cert, open_key)),
              AllOf(StartsWith("n.yaml:4: tls.key_file: "), HasSubstr("run chmod 600 " + open_key)));
  EXPECT_EQ(ErrorOf(TlsText(ca, cert, Write("group.key", "-----BEGIN EC PRIVATE KEY-----\n", 0640))), "");
}

TEST_F(NodeConfigFiles, CacheDirIsCheckedAndNotMade) {
  EXPECT_EQ(ErrorOf("cache_dir: " + dir_.string() + "\n"), "");
  EXPECT_EQ(ErrorOf("cache_dir: " + (dir_ / "a/b/c/").string() + "\n"), "");
  EXPECT_FALSE(fs::exists(dir_ / "a"));
  const std::string file = Write("file", "x");
  EXPECT_THAT(
      ErrorOf("region: eu\ncache_dir: " + file + "\n"),
      AllOf(StartsWith("n.yaml:2: cache_dir: " + file + " is not a directory"), HasSubstr("leave the key out")));
  EXPECT_THAT(ErrorOf("cache_dir: " + file + "/below\n"), HasSubstr("is not a directory"));
}

TEST_F(NodeConfigFiles, CacheDirMustBeWritable) {
  // Root may write anywhere, so step down to a user who may not.
  const uid_t user = geteuid();
  fs::create_directory(dir_ / "closed");
  chmod(dir_.c_str(), 0755);
  chmod((dir_ / "closed").c_str(), 0555);
  if (user == 0 && seteuid(65534) != 0) GTEST_SKIP() << "cannot step down from root";
  const std::string itself = ErrorOf("cache_dir: " + (dir_ / "closed").string() + "\n");
  const std::string below = ErrorOf("cache_dir: " + (dir_ / "closed/new").string() + "\n");
  ASSERT_EQ(seteuid(user), 0);
  chmod((dir_ / "closed").c_str(), 0755);
  EXPECT_THAT(itself, HasSubstr("closed is not writable for user "));
  EXPECT_THAT(below, HasSubstr("so the folder cannot be made in it"));
}

}  // namespace
}  // namespace lvs::services
