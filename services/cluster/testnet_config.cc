#include "services/cluster/testnet_config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <sstream>
#include <system_error>

#include "services/base/text.h"
#include "services/cluster/testnet_network.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPortsPerNode = 3;
// The port inside a namespace may be fixed, because every port there is free.
constexpr std::size_t kNamespacePort = 7'400;
// Ports stay below the ephemeral range of Linux, where a connection might take a port, even one from another node to
// this very port.
constexpr std::uint16_t kPortFirst = 20'000;
constexpr std::uint16_t kPortLast = 32'000;

// Binds a socket to the port, so that the port stays reserved while further ones are sought. Returns -1 where it is
// taken.
int BindLoopback(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);  // as in a node: TIME_WAIT does not block the port
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Two sockets with SO_REUSEADDR may share a port until one of them listens.
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(fd, 1) == 0) return fd;
  ::close(fd);
  return -1;
}

absl::StatusOr<std::vector<std::uint16_t>> FreePorts(std::size_t count, std::uint16_t base) {
  std::vector<std::uint16_t> ports;
  std::vector<int> held;
  const std::uint32_t span = kPortLast - kPortFirst;
  const std::uint32_t start = std::random_device()() % span;
  absl::Status status;
  for (std::uint32_t tried = 0; ports.size() < count && status.ok(); ++tried) {
    const std::uint32_t port = base != 0 ? std::uint32_t{base} + tried : kPortFirst + (start + tried) % span;
    const int fd = port <= 65'535 ? BindLoopback(static_cast<std::uint16_t>(port)) : -1;
    if (fd >= 0) {
      held.push_back(fd);
      ports.push_back(static_cast<std::uint16_t>(port));
    } else if (base != 0) {
      status = absl::ResourceExhaustedError("port " + std::to_string(port) +
                                            " is taken; choose another --base-port, or "
                                            "leave it out");
    } else if (tried == span) {
      status = absl::ResourceExhaustedError("no free ports between " + std::to_string(kPortFirst) + " and " +
                                            std::to_string(kPortLast));
    }
  }
  for (const int fd : held) ::close(fd);
  if (!status.ok()) return status;
  return ports;
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

std::string NodeConfigText(const TestnetPlan& plan, std::size_t i, const fs::path& folder,
                           const std::vector<NodeAddresses>& addresses) {
  std::string boot;
  for (std::size_t node = 0; node < std::min<std::size_t>(plan.nodes, 2); ++node) {
    if (node != i) boot += (boot.empty() ? "" : ", ") + Quoted(addresses[node].peers);
  }
  std::ostringstream text;
  text << "# Written by `lvs testnet up`.\n"
       << "region: " << Quoted(plan.regions.empty() ? "local" : plan.regions[i % plan.regions.size()]) << "\n"
       << "listen: " << Quoted(addresses[i].peers) << "\n"
       << "advertise: " << Quoted(addresses[i].peers) << "\n"
       << "control_listen: " << Quoted(addresses[i].control) << "\n"
       << "health_listen: " << Quoted(addresses[i].health) << "\n";
  if (!boot.empty()) text << "boot: [" << boot << "]\n";
  if (plan.micro_nodes > 0) text << "population: {micro_nodes: " << plan.micro_nodes << "}\n";
  if (plan.period_us > 0) text << "period: " << plan.period_us << "us\n";
  if (plan.cache) text << "cache_dir: " << Quoted((folder / "cache").string()) << "\n";
  text << "faults: true\n";
  if (plan.namespaces) text << "insecure: true  # only this machine reaches the addresses\n";
  return text.str();
}

absl::StatusOr<std::vector<NodeAddresses>> LoopbackAddresses(std::size_t nodes, std::uint16_t base_port) {
  const auto ports = FreePorts(nodes * kPortsPerNode, base_port);
  if (!ports.ok()) return ports.status();
  const auto at = [&](std::size_t n) { return "127.0.0.1:" + std::to_string((*ports)[n]); };
  std::vector<NodeAddresses> addresses;
  for (std::size_t n = 0; n < ports->size(); n += kPortsPerNode) addresses.push_back({at(n), at(n + 1), at(n + 2)});
  return addresses;
}

std::vector<NodeAddresses> AddressesIn(const v1::TestnetNetwork& network) {
  std::vector<NodeAddresses> addresses;
  for (std::size_t node = 0; node < network.nodes(); ++node) {
    const auto at = [&](std::size_t n) { return AddressOf(network, node) + ":" + std::to_string(kNamespacePort + n); };
    addresses.push_back({at(0), at(1), at(2)});
  }
  return addresses;
}

absl::StatusOr<std::vector<std::size_t>> ParsePartition(const std::string& text, std::size_t nodes) {
  constexpr std::size_t kNone = ~std::size_t{0};
  std::vector<std::size_t> group_of(nodes, kNone);
  const auto wrong = [&](const std::string& why) {
    return absl::InvalidArgumentError(text + ": " + why + "; write groups such as 0,1/2, with every node once");
  };
  std::size_t groups = 0;
  std::istringstream in(text);
  for (std::string group; std::getline(in, group, '/'); ++groups) {
    std::istringstream members(group);
    bool any = false;
    if (group.ends_with(',')) return wrong("a number is missing");
    for (std::string word; std::getline(members, word, ','); any = true) {
      std::size_t node = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), node);
      if (error != std::errc() || end != word.data() + word.size()) return wrong("\"" + word + "\" is not a node");
      if (node >= nodes) return wrong("there is no node " + std::to_string(node));
      if (group_of[node] != kNone) return wrong("node " + std::to_string(node) + " is named twice");
      group_of[node] = groups;
    }
    if (!any) return wrong("a group is empty");
  }
  if (text.ends_with('/')) return wrong("a group is empty");
  if (groups < 2) return wrong("that is one group");
  const auto missing = std::find(group_of.begin(), group_of.end(), kNone);
  if (missing != group_of.end()) return wrong("node " + std::to_string(missing - group_of.begin()) + " is missing");
  return group_of;
}

}  // namespace lvs::services
