#include "services/cluster/testnet_network.h"

#include <cmath>
#include <filesystem>
#include <random>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/process.h"

namespace lvs::services {
namespace {

// RFC 2544 reserves 198.18.0.0/15 for network tests, so no route to anywhere else is shadowed.
constexpr const char* kTestNetworks = "198.18.";
constexpr int kSubnets = 256;
constexpr const char* kTable = "inet lvs";

absl::Status RunAll(const std::vector<std::vector<std::string>>& commands) {
  for (const std::vector<std::string>& command : commands) {
    if (const auto said = RunCommand(command); !said.ok()) return said.status();
  }
  return absl::OkStatus();
}

absl::Status SetRulesOf(const std::string& name, const std::string& rules) {
  return RunCommand({"ip", "netns", "exec", name, "nft", "-f", "-"}, rules).status();
}

std::string Ruleset(const std::string& host, double loss, const std::vector<std::string>& severed) {
  // One transaction declares, deletes and fills the table, because deleting an absent table would fail.
  std::string text = absl::StrCat("table ", kTable, "\ndelete table ", kTable, "\ntable ", kTable,
                                  " {\n  chain input {\n    type filter hook input priority 0;\n");
  if (!severed.empty()) absl::StrAppend(&text, "    ip saddr { ", absl::StrJoin(severed, ", "), " } counter drop\n");
  constexpr int kParts = 1'000'000;
  if (loss > 0) {
    absl::StrAppend(&text, "    iif != lo ip saddr != ", host, " numgen random mod ", kParts, " < ",
                    static_cast<int>(std::lround(loss * kParts)), " counter drop\n");
  }
  return text + "  }\n}\n";
}

std::string BridgeOf(const v1::TestnetNetwork& network) { return network.id() + "br"; }
std::string LinkOf(const v1::TestnetNetwork& network, std::size_t node) {
  return absl::StrCat(network.id(), "v", node);
}
std::string HostOf(const v1::TestnetNetwork& network) { return network.subnet() + ".254"; }

bool NamespaceIsThere(const std::string& name) {
  std::error_code error;
  return std::filesystem::exists(std::filesystem::path("/run/netns") / name, error);
}

std::string RandomId() {
  constexpr std::string_view kLetters = "0123456789abcdef";
  std::random_device random;
  std::string id = "lvs";  // names of interfaces have 15 characters at most
  for (int i = 0; i < 6; ++i) id += kLetters[random() % kLetters.size()];
  return id;
}

}  // namespace

std::string AddressOf(const v1::TestnetNetwork& network, std::size_t node) {
  return absl::StrCat(network.subnet(), ".", node + 1);
}
std::string NamespaceOf(const v1::TestnetNetwork& network, std::size_t node) {
  return absl::StrCat(network.id(), "-", node);
}

absl::Status CheckNamespaces() {
  absl::StatusOr<v1::TestnetNetwork> network = PlanNetwork(1);
  if (!network.ok()) return network.status();
  absl::Status status = MakeNetwork(*network);
  if (status.ok()) status = SetRules(*network, 0, {.loss = 0.5, .severed = {1}});
  const absl::Status removed = RemoveNetwork(*network);
  return status.ok() ? removed : status;
}

absl::StatusOr<v1::TestnetNetwork> PlanNetwork(std::size_t nodes) {
  const auto routes = RunCommand({"ip", "-4", "route", "show", "table", "all"});
  if (!routes.ok()) return routes.status();
  v1::TestnetNetwork network;
  network.set_id(RandomId());
  network.set_nodes(static_cast<std::uint32_t>(nodes));
  const auto start = static_cast<int>(std::random_device()() % kSubnets);
  for (int i = 0; i < kSubnets; ++i) {
    network.set_subnet(absl::StrCat(kTestNetworks, (start + i) % kSubnets));
    if (routes->find(network.subnet() + ".") == std::string::npos) return network;
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("all networks of ", kTestNetworks, "0.0/16 are in use here; see `ip route`"));
}

absl::Status MakeNetwork(const v1::TestnetNetwork& network) {
  const std::string bridge = BridgeOf(network);
  absl::Status status = RunAll({{"ip", "link", "add", bridge, "type", "bridge"},
                                {"ip", "address", "add", HostOf(network) + "/24", "dev", bridge},
                                {"ip", "link", "set", bridge, "up"}});
  for (std::size_t i = 0; i < network.nodes() && status.ok(); ++i) {
    const std::string name = NamespaceOf(network, i);
    const std::string link = LinkOf(network, i);
    status = RunAll({{"ip", "netns", "add", name},
                     {"ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name},
                     // One segment at a time, so that a drop hits one packet and not a batch of them.
                     {"ip", "-n", name, "link", "set", "eth0", "gso_max_segs", "1"},
                     {"ip", "link", "set", link, "master", bridge},
                     {"ip", "link", "set", link, "up"},
                     {"ip", "-n", name, "address", "add", AddressOf(network, i) + "/24", "dev", "eth0"},
                     {"ip", "-n", name, "link", "set", "eth0", "up"},
                     {"ip", "-n", name, "link", "set", "lo", "up"}});
  }
  if (!status.ok()) RemoveNetwork(network).IgnoreError();
  return status;
}

bool NetworkIsThere(const v1::TestnetNetwork& network) {
  for (std::size_t i = 0; i < network.nodes(); ++i) {
    if (!NamespaceIsThere(NamespaceOf(network, i))) return false;
  }
  return true;
}

absl::Status SetRules(const v1::TestnetNetwork& network, std::size_t node, const NetworkRules& rules) {
  std::vector<std::string> severed;
  for (const std::size_t far : rules.severed) severed.push_back(AddressOf(network, far));
  return SetRulesOf(NamespaceOf(network, node), Ruleset(HostOf(network), rules.loss, severed));
}

absl::Status RemoveNetwork(const v1::TestnetNetwork& network) {
  absl::Status status;
  const auto links = RunCommand({"ip", "-brief", "link", "show"});
  if (!links.ok()) return links.status();
  const auto remove = [&](const std::string& link) {
    // Each line starts with "NAME@peer" or "NAME ".
    for (const char after : {'@', ' '}) {
      if (absl::StrCat("\n", *links).find(absl::StrCat("\n", link, std::string(1, after))) == std::string::npos)
        continue;
      status.Update(RunCommand({"ip", "link", "delete", link}).status());
      return;
    }
  };
  // The host's end is deleted first, because deleting the namespace removes the interface only some time later.
  for (std::size_t i = 0; i < network.nodes(); ++i) {
    remove(LinkOf(network, i));
    const std::string name = NamespaceOf(network, i);
    if (NamespaceIsThere(name)) status.Update(RunCommand({"ip", "netns", "delete", name}).status());
  }
  remove(BridgeOf(network));
  return status;
}

}  // namespace lvs::services
