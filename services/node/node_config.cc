#include "services/node/node_config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "services/base/files.h"
#include "services/base/host_port.h"
#include "services/base/shape_limits.h"
#include "services/base/text.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

constexpr NodeDefaults kDefaults;
constexpr NodeLimitsOfConfig kLimits;
constexpr ShapeLimits kShapeLimits;

// Flags by the path in the configuration that they set.
using Flags = std::map<std::string, std::string, std::less<>>;

// As many digits as an error needs to tell a value from its limit.
std::string Plain(double number) { return FormatNumber(number, 9); }

// Whether this process, with its effective user and group, has the access `mode` (faccessat) to the file.
bool Allowed(const fs::path& file, int mode) { return faccessat(AT_FDCWD, file.c_str(), mode, AT_EACCESS) == 0; }

// ---- Checks --------------------------------------------------------------------------------------------------------
// One class, so that each check reads as one line: the condition, what is wrong and the mend. Only the first failure is
// kept.

class Checker {
 public:
  // `flags` are the paths that the command line gave: their errors name the flag and not a line.
  Checker(const v1::NodeConfig& config, const YamlOrigin& origin, Flags flags)
      : config_(config), origin_(origin), flags_(std::move(flags)) {}

  absl::Status Run() {
    CheckRegion();
    CheckAddresses();
    CheckTls();
    CheckExposure();
    CheckWeb();
    CheckState();
    CheckCacheDir();
    CheckLimits();
    CheckDrain();
    CheckLog();
    return status_;
  }

 private:
  void Require(bool holds, std::string_view path, const std::string& message) {
    if (holds || !status_.ok()) return;
    const auto flag = flags_.find(path.substr(0, path.find('[')));
    status_ =
        flag == flags_.end() ? origin_.Error(path, message) : absl::InvalidArgumentError(flag->second + ": " + message);
  }

  template <typename Number>
  void Between(Number value, Number min, Number max, std::string_view path, const std::string& mend = "") {
    Require(value >= min && value <= max, path,
            Plain(static_cast<double>(value)) + " is out of range; it must be between " +
                Plain(static_cast<double>(min)) + " and " + Plain(static_cast<double>(max)) + mend);
  }

  void Duration(std::int64_t value_us, std::int64_t min_us, std::int64_t max_us, std::string_view path) {
    Require(value_us >= min_us && value_us <= max_us, path,
            FormatDurationUs(value_us) + " is out of range; it must be between " + FormatDurationUs(min_us) + " and " +
                FormatDurationUs(max_us));
  }

  void CheckRegion() {
    const std::string& word = config_.region();
    const bool sound = !word.empty() && word.size() <= 64 && std::isalnum(static_cast<unsigned char>(word.front())) &&
                       std::all_of(word.begin(), word.end(),
                                   [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
    Require(sound, "region",
            "\"" + word + "\" is not a name; use 1 to 64 letters, digits, - and _, starting with a letter or digit");
  }

  // ---- Addresses ----

  HostPort Address(const std::string& text, std::string_view path) {
    const absl::StatusOr<HostPort> at = ParseHostPort(text);
    Require(at.ok(), path, std::string(at.status().message()));
    return at.ok() ? *at : HostPort();
  }

  // Checks an address that somebody dials.
  void Target(const std::string& text, std::string_view path) {
    const absl::StatusOr<HostPort> at = ParseTarget(text);
    Require(at.ok(), path, std::string(at.status().message()));
  }

  void CheckAddresses() {
    listen_ = Address(config_.listen(), "listen");
    control_ = Address(config_.control_listen(), "control_listen");
    health_ = Address(config_.health_listen(), "health_listen");
    Apart(listen_, control_, "control_listen", "listen");
    Apart(listen_, health_, "health_listen", "listen");
    Apart(control_, health_, "health_listen", "control_listen");
    if (!config_.advertise().empty()) Target(config_.advertise(), "advertise");
    Require(config_.boot_size() <= kLimits.boot_max, "boot",
            std::to_string(config_.boot_size()) + " addresses are more than the " + std::to_string(kLimits.boot_max) +
                " that a node begins with; give a few, or one DNS name that stands for many");
    for (int i = 0; i < config_.boot_size(); ++i) Target(config_.boot(i), "boot[" + std::to_string(i) + "]");
  }

  void Apart(const HostPort& first, const HostPort& second, std::string_view path, const std::string& other) {
    const bool same_host = first.host == second.host || IsWildcard(first.host) || IsWildcard(second.host);
    Require(first.port == 0 || first.port != second.port || !same_host, path,
            FormatHostPort(second) + " is taken by " + other + " (" + FormatHostPort(first) +
                "); give each listener a port of its own");
  }

  void CheckExposure() {
    Exposed(listen_, "listen", "peers");
    Exposed(control_, "control_listen", "tools and clients");
    Require(IsLoopback(health_.host) || config_.has_tls() || config_.insecure(), "health_listen",
            FormatHostPort(health_) +
                " is not loopback. Health and metrics are plain HTTP; other machines may read them once the node has "
                "tls:, or says insecure: true. Listen on " +
                FormatHostPort({"127.0.0.1", health_.port}) + " otherwise");
  }

  void Exposed(const HostPort& at, std::string_view path, const std::string& who) {
    Require(IsLoopback(at.host) || config_.has_tls() || config_.insecure(), path,
            FormatHostPort(at) + " is not loopback, and without TLS anybody who reaches it could pose as one of the " +
                who + ". Add tls: {ca_file: ..., cert_file: ..., key_file: ...}; or listen on " +
                FormatHostPort({"127.0.0.1", at.port}) +
                "; or, where the network is protected otherwise, add insecure: true");
  }

  // ---- TLS ----

  void CheckTls() {
    if (!config_.has_tls()) return;
    const v1::Tls& tls = config_.tls();
    PemFile(tls.ca_file(), "tls.ca_file", {"-----BEGIN CERTIFICATE-----"}, "the certificates of the CA");
    CertificateFile(tls.cert_file(), "tls.cert_file");
    KeyFile(tls.key_file(), "tls.key_file");
  }

  void CertificateFile(const std::string& file, std::string_view path) {
    PemFile(file, path, {"-----BEGIN CERTIFICATE-----"}, "the node's certificate");
  }

  void KeyFile(const std::string& file, std::string_view path) {
    PemFile(file, path,
            {"-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN EC PRIVATE KEY-----"},
            "the node's private key, without a passphrase");
    struct stat key {};
    if (!status_.ok() || stat(file.c_str(), &key) != 0) return;
    Require((key.st_mode & S_IRWXO) == 0, path,
            file + " can be read or changed by every user of this machine; run chmod 600 " + file +
                " (in Kubernetes: defaultMode: 0400 of the secret's volume)");
  }

  void PemFile(const std::string& file, std::string_view path, const std::vector<std::string>& markers,
               const std::string& what) {
    Require(!file.empty(), path, "is not given; name the PEM file with " + what);
    if (!status_.ok()) return;
    const absl::StatusOr<std::string> text = ReadTextFile(file);
    Require(text.ok(), path, std::string(text.status().message()) + "; name the PEM file with " + what);
    if (!text.ok()) return;
    const bool found = std::any_of(markers.begin(), markers.end(), [&text](const std::string& marker) {
      return text->find(marker) != std::string::npos;
    });
    Require(found, path,
            file + " is not a PEM file with " + what + ": it has no line \"" + markers.front() +
                (text->find("-----BEGIN ") != std::string::npos ? "\"; is it another of the three files?"
                                                                : "\"; convert it with openssl, -outform PEM"));
  }

  // ---- Web ----

  void CheckWeb() {
    const v1::WebConfig& web = config_.web();
    if (config_.web_listen().empty()) {
      Require(!config_.has_web(), "web",
              "is given without web_listen; add web_listen: 127.0.0.1:7403, or leave out web");
      return;
    }
    const HostPort at = Address(config_.web_listen(), "web_listen");
    Apart(listen_, at, "web_listen", "listen");
    Apart(control_, at, "web_listen", "control_listen");
    Apart(health_, at, "web_listen", "health_listen");
    const std::uint32_t shards = config_.state().shards();
    Require(shards % 4 == 0 && shards <= kLimits.shards_of_tabs_max, "web_listen",
            "browser tabs need a number of shards that is a multiple of 4 and at most " +
                std::to_string(kLimits.shards_of_tabs_max) + "; state.shards is " + std::to_string(shards));
    CheckWebCertificate(at);
    Between<std::uint32_t>(web.tabs_max(), 1, kLimits.tabs_max, "web.tabs_max");
    Between<std::uint32_t>(web.places(), std::max(1u, shards / 4), kLimits.tab_places_max, "web.places",
                           "; a quarter of the shards is the least with which each shard can be heard");
    Between(web.relay_budget(), 0.0, kLimits.relay_budget_max, "web.relay_budget");
    Names(
        web.origins(), "web.origins",
        [](std::string_view origin) {
          return origin == "*" || ((origin.starts_with("https://") || origin.starts_with("http://")) &&
                                   origin.find('/', origin.find("//") + 2) == std::string_view::npos);
        },
        "is not an origin; write https://HOST, without a path, or \"*\"");
    Names(
        web.hubs(), "web.hubs",
        [](std::string_view url) { return url.starts_with("wss://") || url.starts_with("ws://"); },
        "is not the address of a hub; write wss://HOST/peer");
    CheckTurn();
  }

  void CheckWebCertificate(const HostPort& at) {
    const v1::WebConfig& web = config_.web();
    const bool has_certificate = !web.cert_file().empty() || !web.key_file().empty();
    Require(IsLoopback(at.host) || has_certificate || web.behind_proxy() || config_.insecure(), "web_listen",
            FormatHostPort(at) +
                " is not loopback, and browsers open no WebSocket from a page of https to plain HTTP. Add "
                "web: {cert_file: ..., key_file: ...} with a certificate that browsers trust; or, where a proxy "
                "before this node speaks TLS, web: {behind_proxy: true}; or, for a test, insecure: true");
    if (!has_certificate) return;
    Require(!web.behind_proxy(), "web.behind_proxy", "a node behind a proxy needs no certificate; give one of the two");
    CertificateFile(web.cert_file(), "web.cert_file");
    KeyFile(web.key_file(), "web.key_file");
  }

  void CheckTurn() {
    if (!config_.web().has_turn()) return;
    const v1::TurnConfig& turn = config_.web().turn();
    Names(
        turn.urls(), "web.turn.urls",
        [](std::string_view url) { return url.starts_with("turn:") || url.starts_with("turns:"); },
        "is not the address of a TURN server; write turn:HOST:PORT");
    const absl::StatusOr<std::string> secret = ReadTextFile(turn.secret_file());
    Require(secret.ok(), "web.turn.secret_file",
            std::string(secret.status().message()) + "; name the file with the static-auth-secret of the TURN server");
    Require(!secret.ok() || !absl::StripAsciiWhitespace(*secret).empty(), "web.turn.secret_file",
            turn.secret_file() + " is empty; it needs the static-auth-secret of the TURN server");
    Duration(turn.lifetime_us(), kLimits.turn_lifetime_us_min, kLimits.turn_lifetime_us_max, "web.turn.lifetime");
  }

  template <class Fits>
  void Names(const google::protobuf::RepeatedPtrField<std::string>& names, const std::string& path, Fits fits,
             const std::string& mend) {
    Require(names.size() <= kLimits.web_names_max, path,
            std::to_string(names.size()) + " are more than the " + std::to_string(kLimits.web_names_max) +
                " that a node takes");
    for (int n = 0; n < names.size(); ++n) {
      Require(fits(names[n]) && names[n].size() <= 256, path + "[" + std::to_string(n) + "]",
              "\"" + names[n] + "\" " + mend);
    }
  }

  // ---- The rest ----

  void CheckState() {
    const v1::NodeShape& state = config_.state();
    Between<std::uint32_t>(state.shards(), 1, kShapeLimits.shards_max, "state.shards");
    Between<std::uint32_t>(state.value_slots(), 1, kShapeLimits.value_slots_max, "state.value_slots");
    Between<std::uint32_t>(state.free_coordinates(), 0, kShapeLimits.free_coordinates_max, "state.free_coordinates");
    const v1::NodePopulation& population = config_.population();
    Between<std::uint32_t>(population.micro_nodes(), 1, kShapeLimits.micro_nodes_max, "population.micro_nodes");
    Between<std::uint32_t>(population.shards_per_node(), 1, std::max(1u, state.shards()), "population.shards_per_node",
                           " (state.shards)");
    Require(population.low_power() >= 0 && population.low_power() <= 1, "population.low_power",
            Plain(100 * population.low_power()) + "% is out of range; it must be between 0% and 100%");
    Duration(config_.period_us(), kLimits.period_us_min, kLimits.period_us_max, "period");
  }

  // Checks the folder itself, or where it is still to be made, the nearest folder above it that exists.
  void CheckCacheDir() {
    if (config_.cache_dir().empty()) return;
    const absl::StatusOr<fs::path> absolute = AbsolutePath(config_.cache_dir());
    Require(absolute.ok(), "cache_dir", std::string(absolute.status().message()));
    if (!absolute.ok()) return;
    const fs::path dir = absolute->lexically_normal();
    fs::path at = dir;
    std::error_code error;
    fs::file_status found = fs::status(at, error);
    while (found.type() == fs::file_type::not_found && at != at.root_path()) {
      at = at.parent_path();
      found = fs::status(at, error);
    }
    const std::string made = at == dir ? "" : ", so the folder cannot be made in it";
    Require(found.type() == fs::file_type::directory, "cache_dir",
            at.string() + " is not a directory" + made + "; name a folder, or leave the key out to keep all in memory");
    Require(Allowed(at, W_OK | X_OK), "cache_dir",
            at.string() + " is not writable for user " + std::to_string(geteuid()) + made +
                "; chown it, name another folder, or leave the key out to keep all in memory");
  }

  void CheckLimits() {
    const v1::NodeLimits& limits = config_.limits();
    Between<std::uint32_t>(limits.links(), 1, kLimits.links_max, "limits.links");
    Rate(limits.contributions_per_second_link(), "limits.contributions_per_second_per_link");
    Rate(limits.contributions_per_second_session(), "limits.contributions_per_second_per_session");
    Between<std::uint32_t>(config_.protocol_max(), 1, kLimits.protocol_newest, "protocol_max");
  }

  void Rate(double rate, std::string_view path) {
    Require(rate > 0 && rate <= kLimits.contributions_per_second_max, path,
            Plain(rate) + " is out of range; it must be above 0 and at most " +
                Plain(kLimits.contributions_per_second_max));
  }

  void CheckDrain() {
    const v1::DrainTimes& drain = config_.drain();
    Duration(drain.grace_us(), 0, kLimits.drain_us_max, "drain.grace");
    Duration(drain.deadline_us(), 0, kLimits.drain_us_max, "drain.deadline");
    Require(drain.deadline_us() > drain.grace_us(), "drain.deadline",
            FormatDurationUs(drain.deadline_us()) + " is over before the grace of " +
                FormatDurationUs(drain.grace_us()) +
                " is (drain.grace); write more, and leave some time to hand things over");
  }

  void CheckLog() {
    Require(config_.log().level() >= v1::DEBUG && config_.log().level() <= v1::ERROR, "log.level",
            "is not known; write one of " + JoinWords(EnumWords(*v1::LogLevel_descriptor())));
    Between<std::uint32_t>(config_.log().lines_per_second(), 1, kLimits.lines_per_second_max, "log.lines_per_second");
  }

  const v1::NodeConfig& config_;
  const YamlOrigin& origin_;
  const Flags flags_;
  HostPort listen_;
  HostPort control_;
  HostPort health_;
  absl::Status status_;
};

// Merges the overrides into the configuration. Returns the flags that were given.
Flags Merge(const NodeOverrides& overrides, v1::NodeConfig* config) {
  Flags given;
  const auto merge = [&given](const auto& value, const char* path, const char* flag, const auto& set) {
    if (!value) return;
    set(*value);
    given.emplace(path, flag);
  };
  using Text = std::string;
  using Texts = std::vector<std::string>;
  v1::NodeConfig& to = *config;
  merge(overrides.region, "region", "--region", [&to](const Text& v) { to.set_region(v); });
  merge(overrides.listen, "listen", "--listen", [&to](const Text& v) { to.set_listen(v); });
  merge(overrides.advertise, "advertise", "--advertise", [&to](const Text& v) { to.set_advertise(v); });
  merge(overrides.control_listen, "control_listen", "--control-listen",
        [&to](const Text& v) { to.set_control_listen(v); });
  merge(overrides.health_listen, "health_listen", "--health-listen", [&to](const Text& v) { to.set_health_listen(v); });
  merge(overrides.web_listen, "web_listen", "--web-listen", [&to](const Text& v) { to.set_web_listen(v); });
  merge(overrides.boot, "boot", "--boot", [&to](const Texts& v) { to.mutable_boot()->Assign(v.begin(), v.end()); });
  merge(overrides.cache_dir, "cache_dir", "--cache-dir", [&to](const Text& v) { to.set_cache_dir(v); });
  merge(overrides.micro_nodes, "population.micro_nodes", "--micro-nodes",
        [&to](std::uint32_t v) { to.mutable_population()->set_micro_nodes(v); });
  merge(overrides.insecure, "insecure", "--insecure", [&to](bool v) { to.set_insecure(v); });
  merge(overrides.reflection, "reflection", "--reflection", [&to](bool v) { to.set_reflection(v); });
  merge(overrides.faults, "faults", "--faults", [&to](bool v) { to.set_faults(v); });
  merge(overrides.log_level, "log.level", "--log-level", [&to](v1::LogLevel v) { to.mutable_log()->set_level(v); });
  return given;
}

template <class Unset>
void FillWebDefaults(v1::NodeConfig* config, Unset unset) {
  if (config->web_listen().empty()) return;
  v1::WebConfig& web = *config->mutable_web();
  if (unset(web.tabs_max(), "web.tabs_max")) web.set_tabs_max(kDefaults.tabs_max);
  if (unset(web.places(), "web.places")) {
    web.set_places(std::max(kDefaults.tab_places, config->state().shards() / 4));
  }
  if (!web.has_relay_budget()) web.set_relay_budget(kDefaults.relay_budget);
  if (!web.has_turn()) return;
  v1::TurnConfig& turn = *web.mutable_turn();
  if (unset(turn.lifetime_us(), "web.turn.lifetime")) turn.set_lifetime_us(kDefaults.turn_lifetime_us);
}

absl::StatusOr<LoadedNodeConfig> Complete(LoadedNodeConfig loaded, YamlOrigin origin, const NodeOverrides& overrides) {
  Flags flags = Merge(overrides, &loaded.config);
  // A flag counts as given even where its value means "absent" in the proto (0, ""), as a key of the file does.
  for (const auto& [path, flag] : flags) origin.lines.emplace(path, 0);
  FillNodeDefaults(&loaded.config, &origin);
  if (absl::Status status = Checker(loaded.config, origin, std::move(flags)).Run(); !status.ok()) return status;
  return loaded;
}

}  // namespace

void FillNodeDefaults(v1::NodeConfig* config, const YamlOrigin* origin) {
  const auto unset = [origin](auto value, const char* path) {
    return value == 0 && (origin == nullptr || !origin->Has(path));
  };
  const auto blank = [origin](const std::string& value, const char* path) {
    return value.empty() && (origin == nullptr || !origin->Has(path));
  };
  if (blank(config->region(), "region")) config->set_region(std::string(kDefaults.region));
  if (blank(config->listen(), "listen")) config->set_listen(std::string(kDefaults.listen));
  if (blank(config->control_listen(), "control_listen")) {
    config->set_control_listen(std::string(kDefaults.control_listen));
  }
  if (blank(config->health_listen(), "health_listen")) config->set_health_listen(std::string(kDefaults.health_listen));

  v1::NodeShape& state = *config->mutable_state();
  if (unset(state.shards(), "state.shards")) state.set_shards(kDefaults.shards);
  if (unset(state.value_slots(), "state.value_slots")) state.set_value_slots(kDefaults.value_slots);
  if (!state.has_free_coordinates()) state.set_free_coordinates(kDefaults.free_coordinates);
  v1::NodePopulation& population = *config->mutable_population();
  if (unset(population.micro_nodes(), "population.micro_nodes")) population.set_micro_nodes(kDefaults.micro_nodes);
  if (unset(population.shards_per_node(), "population.shards_per_node")) {
    population.set_shards_per_node(std::min(kDefaults.shards_per_node, state.shards()));
  }
  if (unset(config->period_us(), "period")) config->set_period_us(kDefaults.period_us);

  v1::NodeLimits& limits = *config->mutable_limits();
  if (unset(limits.links(), "limits.links")) limits.set_links(kDefaults.links);
  if (unset(limits.contributions_per_second_link(), "limits.contributions_per_second_per_link")) {
    limits.set_contributions_per_second_link(kDefaults.contributions_per_second_link);
  }
  if (unset(limits.contributions_per_second_session(), "limits.contributions_per_second_per_session")) {
    limits.set_contributions_per_second_session(kDefaults.contributions_per_second_session);
  }
  v1::DrainTimes& drain = *config->mutable_drain();
  if (!drain.has_grace_us()) drain.set_grace_us(kDefaults.drain_grace_us);
  if (!drain.has_deadline_us()) drain.set_deadline_us(kDefaults.drain_deadline_us);
  v1::NodeLog& log = *config->mutable_log();
  if (unset(static_cast<int>(log.level()), "log.level")) log.set_level(kDefaults.log_level);
  if (unset(log.lines_per_second(), "log.lines_per_second")) log.set_lines_per_second(kDefaults.lines_per_second);
  if (unset(config->protocol_max(), "protocol_max")) config->set_protocol_max(kDefaults.protocol_max);
  FillWebDefaults(config, unset);
}

absl::Status ValidateNodeConfig(const v1::NodeConfig& config, const YamlOrigin& origin) {
  return Checker(config, origin, {}).Run();
}

absl::StatusOr<LoadedNodeConfig> ParseNodeConfig(std::string_view text, std::string_view name,
                                                 const NodeOverrides& overrides) {
  LoadedNodeConfig loaded;
  loaded.file = name;
  loaded.text = text;
  absl::StatusOr<YamlOrigin> origin = ParseYaml(text, name, &loaded.config);
  if (!origin.ok()) return origin.status();
  return Complete(std::move(loaded), *std::move(origin), overrides);
}

absl::StatusOr<LoadedNodeConfig> LoadNodeConfig(const fs::path& path, const NodeOverrides& overrides) {
  if (path.empty()) return Complete({}, {}, overrides);
  const absl::StatusOr<std::string> text = ReadTextFile(path);
  if (!text.ok()) return text.status();
  return ParseNodeConfig(*text, path.string(), overrides);
}

std::string AdvertisedAddress(const v1::NodeConfig& config, std::uint16_t port) {
  if (!config.advertise().empty()) return config.advertise();
  absl::StatusOr<HostPort> at = ParseHostPort(config.listen());
  if (!at.ok() || IsWildcard(at->host) || port == 0) return "";
  at->port = port;
  return FormatHostPort(*at);
}

}  // namespace lvs::services
