#include "services/base/name_lookup.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include "services/base/host_port.h"

namespace lvs::services {

namespace {

constexpr std::size_t kAddressesMax = 32;

void LookUp(const std::string& address, std::vector<std::string>* found) {
  const absl::StatusOr<HostPort> at = ParseHostPort(address);
  if (!at.ok() || IsIpv4(at->host) || IsIpv6(at->host)) return;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* results = nullptr;
  if (getaddrinfo(at->host.c_str(), nullptr, &hints, &results) != 0) return;
  for (const addrinfo* result = results; result != nullptr && found->size() < kAddressesMax; result = result->ai_next) {
    char text[INET6_ADDRSTRLEN] = {};
    if (result->ai_family == AF_INET) {
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(result->ai_addr)->sin_addr, text, sizeof text);
    } else if (result->ai_family == AF_INET6) {
      inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(result->ai_addr)->sin6_addr, text, sizeof text);
    } else {
      continue;
    }
    found->push_back(FormatHostPort({text, at->port}));
  }
  freeaddrinfo(results);
}

}  // namespace

std::vector<std::string> LookUpNames(const std::vector<std::string>& addresses) {
  std::vector<std::string> found;
  for (const std::string& address : addresses) LookUp(address, &found);
  return found;
}

}  // namespace lvs::services
