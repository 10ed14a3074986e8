// Node configuration: loads it, fills in every default, and checks that the node can run with it.
//
//   absl::StatusOr<LoadedNodeConfig> loaded = LoadNodeConfig("/etc/lvs/node.yaml");
//   if (!loaded.ok()) {
//     std::cerr << loaded.status().message();   // "node.yaml:4: listen: 0.0.0.0:7400 is not loopback ..."
//     return;
//   }
//   const v1::NodeConfig& config = loaded->config;   // complete: no field is left unset
//
// The format is proto/lvs/v1/config.proto; deploy/node.yaml is an example with every key. File names in a configuration
// are relative to the working directory of the process.
//
// Exposure: a listener that other machines reach needs `tls`, or an explicit `insecure: true`, because the protocol has
// no identities and operators protect their own network. A listener on loopback needs neither. The health listener is
// always plain HTTP, for probes and Prometheus. It only shows figures, so it may leave loopback as soon as the node
// itself has `tls` or `insecure`. The web listener is for strangers: it has a certificate of its own, which browsers trust.
//
// Errors: INVALID_ARGUMENT where the file or a flag must be mended (the message names file, line, path and the mend);
// NOT_FOUND, PERMISSION_DENIED, FAILED_PRECONDITION where the file cannot be read. Checks look at the disk (TLS files,
// cache folder) and change nothing there. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/config.pb.h"
#include "services/base/log.h"
#include "services/base/yaml_proto.h"

namespace lvs::services {

// ---- Defaults and limits: the one place ----------------------------------------------------------------------------

struct NodeDefaults {
  std::string_view region = "local";
  std::string_view listen = "127.0.0.1:7400";
  std::string_view control_listen = "127.0.0.1:7401";
  std::string_view health_listen = "127.0.0.1:7402";
  std::uint32_t shards = 16;
  std::uint32_t value_slots = 2;
  std::uint32_t free_coordinates = 2;
  std::uint32_t micro_nodes = 1000;
  std::uint32_t shards_per_node = 4;  // at most state.shards
  std::int64_t period_us = 100'000;
  std::uint32_t links = 16;
  double contributions_per_second_link = 50'000;
  double contributions_per_second_session = 100;
  std::int64_t drain_grace_us = 1'000'000;
  std::int64_t drain_deadline_us = 10'000'000;
  v1::LogLevel log_level = kDefaultLogLevel;
  std::uint32_t lines_per_second = kDefaultLogLinesPerSecond;
  std::uint32_t protocol_max = 2;
  std::uint32_t tabs_max = 10'000;
  std::uint32_t tab_places = 16;  // at least a quarter of the shards
  double relay_budget = 1e6;      // bytes a second
  std::int64_t turn_lifetime_us = 3'600'000'000;
};

// Limits that only a node has. Shapes have those of base/shape_limits.h.
struct NodeLimitsOfConfig {
  std::int64_t period_us_min = 10'000;
  std::int64_t period_us_max = 3'000'000;  // half of the silence after which a peer hangs up
  std::uint32_t links_max = 64;
  int boot_max = 256;
  double contributions_per_second_max = 1e6;
  std::int64_t drain_us_max = 3'600'000'000;
  std::uint32_t lines_per_second_max = 10'000;
  std::uint32_t protocol_newest = 2;
  std::uint32_t tabs_max = 50'000;
  std::uint32_t tab_places_max = 128;
  std::uint32_t shards_of_tabs_max = 64;  // and a multiple of 4
  double relay_budget_max = 1e9;
  int web_names_max = 32;  // origins, hubs, TURN servers
  std::int64_t turn_lifetime_us_min = 60'000'000;
  std::int64_t turn_lifetime_us_max = 86'400'000'000;
};

// ---- Loading -------------------------------------------------------------------------------------------------------

struct LoadedNodeConfig {
  v1::NodeConfig config;       // complete and valid
  std::filesystem::path file;  // its source; empty where there is none
  std::string text;            // the file's own text
};

// Values from the command line. Each one that is set replaces the file's value before anything is checked.
struct NodeOverrides {
  std::optional<std::string> region;
  std::optional<std::string> listen;
  std::optional<std::string> advertise;
  std::optional<std::string> control_listen;
  std::optional<std::string> health_listen;
  std::optional<std::string> web_listen;         // "": no web server
  std::optional<std::vector<std::string>> boot;  // the whole list
  std::optional<std::string> cache_dir;          // "": no cache
  std::optional<std::uint32_t> micro_nodes;
  std::optional<bool> insecure;
  std::optional<bool> reflection;
  std::optional<bool> faults;
  std::optional<v1::LogLevel> log_level;
};

// Loads a file. An empty path means the defaults, with the overrides.
absl::StatusOr<LoadedNodeConfig> LoadNodeConfig(const std::filesystem::path& path, const NodeOverrides& overrides = {});

// Loads text that is already in memory; errors call it `name`. An error about a value that an override gave names the
// flag instead of the file: "--listen: ...".
absl::StatusOr<LoadedNodeConfig> ParseNodeConfig(std::string_view text, std::string_view name,
                                                 const NodeOverrides& overrides = {});

// ---- The two steps, for configurations that are made in code -------------------------------------------------------

// Fills in every unset field. With an origin, a 0 in the file stays 0 (and ValidateNodeConfig refuses it); without one,
// 0 means unset, except where the schema says `optional`. `advertise` stays as it is: see AdvertisedAddress.
// Idempotent.
void FillNodeDefaults(v1::NodeConfig* config, const YamlOrigin* origin = nullptr);

// Checks a complete configuration. Returns the first problem, with its line where `origin` has one.
absl::Status ValidateNodeConfig(const v1::NodeConfig& config, const YamlOrigin& origin = {});

// The address that peers are told to dial, once `listen` is bound to `port`: `advertise`, or else `listen` with that
// port. Empty where `listen` is a wildcard or cannot be parsed: nobody can dial this node then.
std::string AdvertisedAddress(const v1::NodeConfig& config, std::uint16_t port);

}  // namespace lvs::services
